//! Threads that hash and compress chunks while more are made, and bring them back in order.
//!
//! Order comes from a queue of places: for every chunk its maker puts the receiving end of a one-shot channel into
//! it, and whichever worker compresses the chunk answers there. When any part fails it drops its ends of the
//! channels; whoever talks to it then stops too, so nothing waits for ever.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{Layer, WriteError, WriteOptions};
use crate::layer::codec::{CompressedChunk, Encoder, GZIP_HEADER, Trailer, WalkError};
use crate::oci::{DiffId, Digest, Hasher};

/// Why assembling ended early.
pub(super) enum Halt {
    /// Nobody takes chunks any more; the reason is known further down.
    Closed,
    /// It cannot go on.
    Failed(WriteError),
}

impl From<WriteError> for Halt {
    fn from(error: WriteError) -> Self {
        Self::Failed(error)
    }
}

type Compressed = Result<CompressedChunk, WalkError>;

struct Job {
    chunk: Arc<Vec<u8>>,
    answer: SyncSender<Compressed>,
}

/// Where chunks go.
pub(super) struct Feed {
    places: SyncSender<Receiver<Compressed>>,
    jobs: SyncSender<Job>,
    hashing: SyncSender<Arc<Vec<u8>>>,
}

impl Feed {
    /// Sends the next chunk on its way, if there is one; waits while too many are.
    pub(super) fn send(&mut self, chunk: Option<Vec<u8>>) -> Result<(), Halt> {
        let Some(chunk) = chunk else {
            return Ok(());
        };
        let chunk = Arc::new(chunk);
        let (answer, place) = sync_channel(1);
        // The queue of places goes first: it is the one that bounds how many chunks there are.
        self.places.send(place).map_err(|_| Halt::Closed)?;
        self.hashing
            .send(Arc::clone(&chunk))
            .map_err(|_| Halt::Closed)?;
        self.jobs
            .send(Job { chunk, answer })
            .map_err(|_| Halt::Closed)
    }
}

/// Runs `assemble` and writes what it feeds to `sink`.
pub(super) fn run(
    options: &WriteOptions,
    sink: &mut (dyn Write + Send),
    assemble: impl FnOnce(&mut Feed) -> Result<(), Halt> + Send,
) -> Result<Layer, WriteError> {
    let threads = options.threads.max(1);
    let in_flight = 2 * threads + 2;
    thread::scope(|scope| {
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let (places, in_order) = sync_channel(in_flight);
        let (jobs, work) = sync_channel::<Job>(in_flight);
        let (hashing, to_hash) = sync_channel::<Arc<Vec<u8>>>(in_flight);

        // Shared by the workers alone, so that when the last of them ends, sending to it fails.
        let work = Arc::new(Mutex::new(work));
        for _ in 0..threads {
            let work = Arc::clone(&work);
            spawn("compress")
                .spawn_scoped(scope, move || compress(options, &work))
                .map_err(WriteError::Thread)?;
        }
        drop(work);
        let hasher = spawn("hash")
            .spawn_scoped(scope, move || hash(&to_hash))
            .map_err(WriteError::Thread)?;
        let mut feed = Feed {
            places,
            jobs,
            hashing,
        };
        let assembler = spawn("assemble")
            .spawn_scoped(scope, move || assemble(&mut feed))
            .map_err(WriteError::Thread)?;

        let mut out = Output::new(sink);
        out.write(&GZIP_HEADER)?;
        let mut trailer = Trailer::default();
        for place in in_order {
            let chunk = place.recv().map_err(|_| worker_lost())??;
            out.write(&chunk.bytes)?;
            trailer.add(&chunk);
        }
        match join(assembler) {
            Err(Halt::Failed(error)) => return Err(error),
            Err(Halt::Closed) => return Err(worker_lost()),
            Ok(()) => {}
        }
        out.write(&trailer.bytes())?;
        let (digest, size) = out.finish()?;
        Ok(Layer {
            digest,
            diff_id: DiffId(join(hasher)),
            size,
            media_type: options.codec.media_type(),
        })
    })
}

/// Compresses chunks until there are no more.
fn compress(options: &WriteOptions, work: &Mutex<Receiver<Job>>) {
    let mut encoder = Encoder::new(options.codec);
    loop {
        // A worker that panicked did so outside the lock, so what it guards is sound.
        let job = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { chunk, answer }) = job else {
            return;
        };
        // If nobody waits for the answer, writing has failed and the queue is about to end.
        let _ = answer.send(encoder.compress_chunk(&chunk));
    }
}

/// Hashes the chunks as one stream.
fn hash(chunks: &Receiver<Arc<Vec<u8>>>) -> Digest {
    let mut hasher = Hasher::default();
    for chunk in chunks {
        hasher.update(&chunk);
    }
    hasher.finish().0
}

/// A worker ends early only by a panic, which is raised again when all threads have ended; this is never seen.
fn worker_lost() -> WriteError {
    WriteError::Thread(io::Error::other("a compressing thread ended early"))
}

/// Waits for a thread, and panics as it did.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The sink, with the digest and size of what it received.
struct Output<'a> {
    sink: &'a mut (dyn Write + Send),
    hasher: Hasher,
}

impl<'a> Output<'a> {
    fn new(sink: &'a mut (dyn Write + Send)) -> Self {
        Self {
            sink,
            hasher: Hasher::default(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.hasher.update(bytes);
        self.sink.write_all(bytes).map_err(WriteError::Sink)
    }

    fn finish(self) -> Result<(Digest, u64), WriteError> {
        self.sink.flush().map_err(WriteError::Sink)?;
        Ok(self.hasher.finish())
    }
}
