//! A proxy on loopback that spoils what passes, at a byte that is chosen before, or holds it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What happens at a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Both sides see the connection end.
    Cut,
    /// The side that reads sees its end; the other one does not.
    Truncate,
    /// Nothing goes on.
    Stall,
    /// The next kilobytes come a few bytes at a time.
    Slow,
    /// Bits of the byte are turned.
    Corrupt(u8),
}

/// In which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToRegistry,
    ToClient,
}

/// A fault of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spoil {
    pub(crate) fault: Fault,
    pub(crate) way: Way,
    /// After how many bytes.
    pub(crate) at: u64,
}

/// A running proxy. It stops when dropped.
pub(crate) struct Proxy {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    shared: Arc<Shared>,
}

struct Shared {
    to: String,
    stopping: AtomicBool,
    spoilt: AtomicUsize,
    /// Bytes that went to the registry.
    passed: AtomicU64,
    /// After how many of them nothing passes any more, and who is told.
    hold: Option<(u64, Mutex<Sender<()>>)>,
    rewrite: Option<(&'static str, &'static str)>,
}

impl Proxy {
    /// Starts one that spoils each connection, by its number, as `spoils` says.
    pub(crate) fn spoiling(
        to: &str,
        spoils: impl Fn(usize) -> Option<Spoil> + Send + 'static,
    ) -> Self {
        Self::start(to, None, None, spoils)
    }

    /// Starts one that changes `from`, of the same length, to `to` wherever it passes to the registry in one piece.
    pub(crate) fn rewriting(registry: &str, from: &'static str, to: &'static str) -> Self {
        assert_eq!(from.len(), to.len(), "lengths are announced before");
        Self::start(registry, None, Some((from, to)), |_| None)
    }

    /// Starts one that lets so many bytes pass to the registry, then holds everything and says so.
    pub(crate) fn holding(to: &str, after: u64) -> (Self, Receiver<()>) {
        let (tell, told) = channel();
        (
            Self::start(to, Some((after, Mutex::new(tell))), None, |_| None),
            told,
        )
    }

    fn start(
        to: &str,
        hold: Option<(u64, Mutex<Sender<()>>)>,
        rewrite: Option<(&'static str, &'static str)>,
        spoils: impl Fn(usize) -> Option<Spoil> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("it is bound").to_string();
        let shared = Arc::new(Shared {
            to: to.to_owned(),
            stopping: AtomicBool::new(false),
            spoilt: AtomicUsize::new(0),
            passed: AtomicU64::new(0),
            hold,
            rewrite,
        });
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                if all.stopping.load(Ordering::SeqCst) {
                    return;
                }
                connect(&client, &all, spoils(number));
            }
        });
        Self { host, shared }
    }

    /// Returns how many faults happened so far.
    pub(crate) fn spoilt(&self) -> usize {
        self.shared.spoilt.load(Ordering::SeqCst)
    }

    /// Returns how many bytes went to the registry so far.
    pub(crate) fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // The thread waits for a caller.
        let _ = TcpStream::connect(&self.host);
    }
}

/// Passes bytes both ways until one side or a fault ends it.
fn connect(client: &TcpStream, shared: &Arc<Shared>, spoil: Option<Spoil>) {
    let Ok(registry) = TcpStream::connect(&shared.to) else {
        return;
    };
    for stream in [client, &registry] {
        stream.set_nodelay(true).expect("a TCP stream");
    }
    for (way, from, to) in [
        (Way::ToRegistry, client, &registry),
        (Way::ToClient, &registry, client),
    ] {
        let mut pipe = Pipe {
            from: from.try_clone().expect("a second handle"),
            to: to.try_clone().expect("a second handle"),
            way,
            spoil: spoil.filter(|spoil| spoil.way == way),
            shared: Arc::clone(shared),
        };
        std::thread::spawn(move || {
            // Connections that end are what this is for.
            let _ = pipe.run();
        });
    }
}

/// One direction of a connection.
struct Pipe {
    from: TcpStream,
    to: TcpStream,
    way: Way,
    spoil: Option<Spoil>,
    shared: Arc<Shared>,
}

impl Pipe {
    fn run(&mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        let mut offset = 0;
        loop {
            let count = self.from.read(&mut buffer)?;
            if count == 0 {
                return self.to.shutdown(Shutdown::Write);
            }
            if let Some((old, new)) = self.shared.rewrite.filter(|_| self.way == Way::ToRegistry) {
                let mut pieces = buffer[..count].windows(old.len());
                if let Some(at) = pieces.position(|piece| piece == old.as_bytes()) {
                    buffer[at..at + new.len()].copy_from_slice(new.as_bytes());
                }
            }
            let end = offset + count as u64;
            match self.spoil.filter(|spoil| spoil.at < end) {
                None => self.pass(&buffer[..count])?,
                Some(spoil) => {
                    self.spoil = None;
                    self.shared.spoilt.fetch_add(1, Ordering::SeqCst);
                    let before = (spoil.at - offset) as usize;
                    self.pass(&buffer[..before])?;
                    self.spoil_rest(spoil.fault, &mut buffer[before..count])?;
                }
            }
            offset = end;
        }
    }

    fn spoil_rest(&mut self, fault: Fault, rest: &mut [u8]) -> std::io::Result<()> {
        match fault {
            Fault::Corrupt(mask) => {
                rest[0] ^= mask;
                self.pass(rest)
            }
            Fault::Slow => {
                for few in rest.chunks(256) {
                    std::thread::sleep(Duration::from_millis(1));
                    self.pass(few)?;
                }
                Ok(())
            }
            Fault::Truncate => {
                self.to.shutdown(Shutdown::Write)?;
                while self.from.read(&mut [0; 4096])? > 0 {}
                Ok(())
            }
            Fault::Stall => {
                self.wait();
                self.end()
            }
            Fault::Cut => self.end(),
        }
    }

    fn end(&self) -> std::io::Result<()> {
        self.to.shutdown(Shutdown::Both)?;
        self.from.shutdown(Shutdown::Both)
    }

    /// Waits for the end of the test, or long enough to be noticed.
    fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.shared.stopping.load(Ordering::SeqCst) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn pass(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let length = bytes.len() as u64;
        let before = match self.way {
            Way::ToRegistry => self.shared.passed.fetch_add(length, Ordering::SeqCst),
            Way::ToClient => self.shared.passed.load(Ordering::SeqCst),
        };
        let Some((after, tell)) = &self.shared.hold else {
            return self.to.write_all(bytes);
        };
        let allowed = match self.way {
            Way::ToRegistry => after.saturating_sub(before).min(length),
            Way::ToClient if before < *after => length,
            Way::ToClient => 0,
        };
        self.to.write_all(&bytes[..allowed as usize])?;
        if allowed == length {
            return Ok(());
        }
        // Nobody may listen any more.
        let _ = tell.lock().expect("no panic while telling").send(());
        self.wait();
        self.end()
    }
}
