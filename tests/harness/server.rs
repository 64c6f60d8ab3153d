//! Serves the locked inputs on a loopback port: the base, the RPMs, the wheels; wrongly where a test asks for it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::bench::Bench;
use super::layout::Layout;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends in the middle of the body.
    Cut,
    /// One byte in the middle is another.
    Flipped,
    /// The server has an error of its own.
    Broken,
    /// It is not there.
    Missing,
}

/// A running server; it ends with the value.
pub(crate) struct Server {
    /// `host:port`.
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

type Faults = dyn Fn(&str) -> Option<Fault> + Send + Sync;

/// What is where.
struct Shelf {
    /// `www/` of the stand-in.
    www: PathBuf,
    /// Blob folders of the stand-in's base layouts.
    base: Vec<PathBuf>,
    /// What the base's tag leads to.
    tag: String,
    /// Wheels, by the path of their URL.
    wheels: BTreeMap<String, PathBuf>,
    faults: Box<Faults>,
}

impl Server {
    /// Serves everything right.
    pub(crate) fn sound(bench: &Bench) -> Self {
        Self::faulty(bench, |_| None)
    }

    /// Serves everything, with the fault that `faults` names for a URL's path.
    pub(crate) fn faulty(
        bench: &Bench,
        faults: impl Fn(&str) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let standin = &bench.standin.folder;
        let base = names_of_base_layouts(standin)
            .map(|layout| layout.join("blobs/sha256"))
            .collect();
        let tag = Layout::open(&standin.join("base")).top()["digest"]
            .as_str()
            .expect("a digest")
            .to_owned();
        let shelf = Shelf {
            www: standin.join("www"),
            base,
            tag,
            wheels: bench.wheels(),
            faults: Box::new(faults),
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (asked, ending) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let (log, end) = (Arc::clone(&asked), Arc::clone(&ending));
        let thread = std::thread::spawn(move || accept(&listener, &Arc::new(shelf), &log, &end));
        Self {
            address,
            asked,
            ending,
            thread: Some(thread),
        }
    }

    /// Returns the flags that lead imgbuild here for everything.
    pub(crate) fn mirrors(&self) -> Vec<String> {
        let address = &self.address;
        [
            format!("https://cdn.amazonlinux.com/=http://{address}/"),
            format!("public.ecr.aws=http://{address}"),
            format!("https://files.pythonhosted.org/=http://{address}/wheels/"),
        ]
        .into_iter()
        .flat_map(|mirror| ["--mirror".to_owned(), mirror])
        .collect()
    }

    /// Returns the paths that were asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no thread panics with it").clone()
    }
}

fn names_of_base_layouts(standin: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    ["base", "base-x86_64", "base-aarch64"]
        .into_iter()
        .map(move |name| standin.join(name))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // The thread waits for a caller.
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(
    listener: &TcpListener,
    shelf: &Arc<Shelf>,
    asked: &Arc<Mutex<Vec<String>>>,
    ending: &AtomicBool,
) {
    for stream in listener.incoming() {
        if ending.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let (shelf, asked) = (Arc::clone(shelf), Arc::clone(asked));
        std::thread::spawn(move || {
            // A client that hangs up early is its own business.
            let _ = answer(stream, &shelf, &asked);
        });
    }
}

/// Answers one request and closes: <https://www.rfc-editor.org/rfc/rfc9112>.
fn answer(mut stream: TcpStream, shelf: &Shelf, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = first.split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let path = path.split('?').next().unwrap_or_default();
    asked
        .lock()
        .expect("no thread panics with it")
        .push(path.to_owned());

    let fault = (shelf.faults)(path);
    let found = shelf.find(path).filter(|_| fault != Some(Fault::Missing));
    let (status, mut body, kind) = match found {
        _ if fault == Some(Fault::Broken) => {
            ("503 Service Unavailable", b"tired".to_vec(), "text/plain")
        }
        None => ("404 Not Found", b"not here".to_vec(), "text/plain"),
        Some((body, kind)) => ("200 OK", body, kind),
    };
    if fault == Some(Fault::Flipped) {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    }
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        let until = if fault == Some(Fault::Cut) {
            body.len() / 2
        } else {
            body.len()
        };
        stream.write_all(&body[..until])?;
    }
    stream.flush()
}

impl Shelf {
    /// Returns the bytes at a path and their media type.
    fn find(&self, path: &str) -> Option<(Vec<u8>, &'static str)> {
        if path == "/v2/" {
            return Some((b"{}".to_vec(), "application/json"));
        }
        if let Some(wheel) = path.strip_prefix("/wheels") {
            return Some((
                fs::read(self.wheels.get(wheel)?).ok()?,
                "application/octet-stream",
            ));
        }
        if path.starts_with("/v2/") {
            let digest = match path.rsplit_once("/manifests/") {
                Some((_, "2023")) => self.tag.as_str(),
                _ => path.rsplit('/').next()?,
            };
            let hex = digest.strip_prefix("sha256:")?;
            let bytes = self
                .base
                .iter()
                .find_map(|folder| fs::read(folder.join(hex)).ok())?;
            return Some((
                bytes.clone(),
                if path.contains("/manifests/") {
                    media_type(&bytes)
                } else {
                    "application/octet-stream"
                },
            ));
        }
        let below = path
            .strip_prefix('/')
            .filter(|below| !below.contains(".."))?;
        Some((
            fs::read(self.www.join(below)).ok()?,
            "application/octet-stream",
        ))
    }
}

/// Returns the media type of a manifest as its own field says it.
fn media_type(manifest: &[u8]) -> &'static str {
    const KNOWN: [&str; 3] = [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ];
    let document: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    let said = document
        .get("mediaType")
        .and_then(serde_json::Value::as_str)
        .unwrap_or(KNOWN[0])
        .to_owned();
    KNOWN
        .into_iter()
        .find(|known| *known == said)
        .unwrap_or("application/vnd.docker.distribution.manifest.v2+json")
}
