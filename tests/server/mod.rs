//! A web server for tests, in this process and on loopback, that can misbehave in every way a real one does.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

pub mod artifacts;
pub mod real;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Seen {
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(String::as_str)
    }
}

/// What to do about a request.
pub enum Reply {
    /// Answer as one should.
    Full(u16, Vec<(String, String)>, Vec<u8>),
    /// Announce the whole body and send the first bytes of it.
    Cut(Vec<u8>, usize),
    /// Announce no length and send the first bytes.
    CutUnannounced(Vec<u8>, usize),
    /// Reset the connection before reading the request.
    Reset,
    /// Reset the connection after reading so many bytes of the request's body.
    ResetInBody(usize),
    /// Announce the whole body, send the first bytes and then nothing.
    Stall(Vec<u8>, usize),
    /// Announce a body with this status, and send nothing of it for longer than a test takes.
    Drag(u16),
}

/// Answers with a body.
pub fn ok(body: impl Into<Vec<u8>>) -> Reply {
    Reply::Full(200, Vec::new(), body.into())
}

/// Answers with a status, headers and a body.
pub fn status(code: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Reply::Full(code, headers, body.as_bytes().to_vec())
}

/// A running server. It stops when dropped.
pub struct Server {
    /// `127.0.0.1:PORT`.
    pub host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopping: Arc<AtomicBool>,
}

impl Server {
    /// Starts one; `answer` is given each request and how many came before.
    pub fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_knowing(|_| answer)
    }

    /// The same, for answers that hold the server's own address.
    pub fn start_knowing<A>(answer: impl FnOnce(&str) -> A) -> Self
    where
        A: Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        let answer = Arc::new(answer(&host));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (log, stop) = (Arc::clone(&seen), Arc::clone(&stopping));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || {
                    // A client that goes away is part of the tests.
                    let _ = serve(stream, &*answer, &log);
                });
            }
        });
        Self {
            host,
            seen,
            stopping,
        }
    }

    /// Returns the URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// Returns the requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic while logging").clone()
    }

    /// Returns how many requests there were.
    pub fn count(&self) -> usize {
        self.seen().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.host);
    }
}

fn serve(
    stream: TcpStream,
    answer: &dyn Fn(&Seen, usize) -> Reply,
    log: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(1, stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut seen = Seen {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Seen::default()
    };
    if seen.method.is_empty() {
        return Ok(());
    }
    // The rest of the request stays unread: closing then resets the connection.
    let before = log.lock().expect("no panic while logging").len();
    let stops = match answer(&seen, before) {
        Reply::Reset => {
            log.lock().expect("no panic while logging").push(seen);
            return Ok(());
        }
        Reply::ResetInBody(length) => Some(length),
        _ => None,
    };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            seen.headers
                .insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    if let Some(length) = stops {
        reader.read_exact(&mut vec![0; length])?;
        log.lock().expect("no panic while logging").push(seen);
        return Ok(());
    }
    if let Some(length) = seen
        .headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
    {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        seen.bytes = body;
    } else if seen.headers.contains_key("transfer-encoding") {
        seen.bytes = chunked(&mut reader)?;
    }
    seen.body = String::from_utf8_lossy(&seen.bytes).into_owned();
    let reply = answer(&seen, before);
    log.lock().expect("no panic while logging").push(seen);
    let mut out = stream;
    match reply {
        Reply::Full(code, headers, body) => {
            write!(
                out,
                "HTTP/1.1 {code} X\r\ncontent-length: {}\r\nconnection: close\r\n",
                body.len()
            )?;
            for (name, value) in headers {
                write!(out, "{name}: {value}\r\n")?;
            }
            out.write_all(b"\r\n")?;
            out.write_all(&body)?;
        }
        Reply::Cut(body, length) => {
            write!(
                out,
                "HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n",
                body.len()
            )?;
            out.write_all(&body[..length])?;
        }
        Reply::CutUnannounced(body, length) => {
            out.write_all(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n")?;
            out.write_all(&body[..length])?;
        }
        Reply::Stall(body, length) => {
            write!(
                out,
                "HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n",
                body.len()
            )?;
            out.write_all(&body[..length])?;
            out.flush()?;
            std::thread::sleep(Duration::from_secs(5));
        }
        Reply::Drag(code) => {
            write!(out, "HTTP/1.1 {code} X\r\ncontent-length: 10\r\n\r\n")?;
            out.flush()?;
            std::thread::sleep(Duration::from_secs(60));
        }
        Reply::Reset | Reply::ResetInBody(_) => {}
    }
    out.flush()
}

/// Reads a body that comes in chunks, each after its length.
///
/// <https://www.rfc-editor.org/rfc/rfc9112.html#section-7.1>
fn chunked(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let before = body.len() as u64;
        // The line end after a chunk, and after the last one, which is empty.
        reader.by_ref().take(length).read_to_end(&mut body)?;
        reader.read_line(&mut String::new())?;
        if body.len() as u64 != before + length {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if length == 0 {
            return Ok(body);
        }
    }
}

/// Returns whether a program is there; without it a test is skipped with one line, or fails where all are required.
pub fn have(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Says why a test is skipped; fails it where all are required.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("IMGBUILD_TEST_REQUIRE_ALL").is_none_or(|value| value != "1"),
        "{why}, and IMGBUILD_TEST_REQUIRE_ALL=1"
    );
    let _ = writeln!(std::io::stderr().lock(), "skipped: {why}");
}
