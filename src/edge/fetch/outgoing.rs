//! Blobs on their way out: read and hashed on a thread of their own, the last bytes held back until the digest is right.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream;
use reqwest::Body;
use tokio::sync::mpsc;

use crate::layer::RandomRead;
use crate::oci::{Digest, Hasher};

/// How much is read at once.
const CHUNK: u64 = 512 * 1024;
/// Chunks between the disk and the network. Bounded: a slow network slows the disk, not fills memory.
const IN_FLIGHT: usize = 4;
/// How often a transfer is looked at.
const TICK: Duration = Duration::from_millis(100);
/// So many times longer than for bytes a server may take for its answer once it has all of them: some copy the whole
/// blob to its final place first.
const ANSWER: u32 = 5;

/// A blob to be sent, as often as it takes. Clones count together.
#[derive(Clone)]
pub(crate) struct Outgoing {
    blob: Arc<dyn RandomRead>,
    digest: Digest,
    taken: Arc<AtomicU64>,
    fault: Arc<Mutex<Option<Fault>>>,
}

/// Why the bytes are not sent to their end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// They cannot be read.
    Read(io::Error),
    /// They are others than they should be.
    Digest(Digest),
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    pub(crate) fn new(blob: Arc<dyn RandomRead>, digest: Digest) -> Self {
        Self {
            blob,
            digest,
            taken: Arc::default(),
            fault: Arc::default(),
        }
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.blob.size()
    }

    /// Returns how many bytes of the latest attempt the network has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes what was wrong with the bytes, if anything was.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Begins an attempt at the first byte.
    pub(super) fn open(&self) -> Body {
        self.taken.store(0, Ordering::Relaxed);
        let (chunks, arriving) = mpsc::channel(IN_FLIGHT);
        let (from, taken) = (self.clone(), Arc::clone(&self.taken));
        tokio::task::spawn_blocking(move || from.read(&chunks));
        Body::wrap_stream(stream::unfold(arriving, move |mut arriving| {
            let taken = Arc::clone(&taken);
            async move {
                let chunk: io::Result<Vec<u8>> = arriving.recv().await?;
                if let Ok(chunk) = &chunk {
                    taken.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                }
                Some((chunk, arriving))
            }
        }))
    }

    /// Reads to the end, or until nobody takes the chunks any more.
    fn read(&self, chunks: &mpsc::Sender<io::Result<Vec<u8>>>) {
        let size = self.size();
        let mut hasher = Hasher::default();
        let mut offset = 0;
        while offset < size {
            let mut chunk = vec![0; (size - offset).min(CHUNK) as usize];
            let fault = match self.blob.read_exact_at(&mut chunk, offset) {
                Err(error) => Some(Fault::Read(error)),
                Ok(()) => {
                    hasher.update(&chunk);
                    offset += chunk.len() as u64;
                    // A registry never gets the end of what is not the blob.
                    let found = (offset == size).then(|| hasher.clone().finish().0);
                    found
                        .filter(|found| *found != self.digest)
                        .map(Fault::Digest)
                }
            };
            let chunk = match fault {
                None => Ok(chunk),
                Some(fault) => {
                    *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                    Err(io::Error::other("the bytes to send are not right"))
                }
            };
            let ends = chunk.is_err();
            if chunks.blocking_send(chunk).is_err() || ends {
                return;
            }
        }
    }
}

/// Waits for the answer to a request that sends `blob`; fails with the time waited if nothing moves for `stall`.
pub(super) async fn watched<T>(
    sending: impl Future<Output = T>,
    blob: &Outgoing,
    stall: Duration,
) -> Result<T, Duration> {
    let mut sending = std::pin::pin!(sending);
    let (mut last, mut since) = (0, Instant::now());
    loop {
        if let Ok(answer) = tokio::time::timeout(TICK, &mut sending).await {
            return Ok(answer);
        }
        let taken = blob.taken();
        if taken != last {
            (last, since) = (taken, Instant::now());
        }
        let allowed = if taken == blob.size() {
            stall * ANSWER
        } else {
            stall
        };
        if since.elapsed() > allowed {
            return Err(since.elapsed());
        }
    }
}
