//! Assembles, hashes and writes a layer at once, while the press compresses its chunks.
//!
//! Order comes from a queue of places: for every chunk its maker puts the receiving end of a one-shot channel into
//! it, and whichever thread compresses the chunk answers there. When any part fails it drops its ends of the
//! channels; whoever talks to it then stops too, so nothing waits for ever. The queues need no bound of their own, as
//! the press has room for so many chunks only.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

use super::press::{Chunk, Compressed, Press};
use super::{Layer, WriteError};
use crate::layer::codec::{GZIP_HEADER, Trailer};
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

/// Where chunks go.
pub(super) struct Feed<'p> {
    press: &'p Press,
    /// With the chunk, so that its room is not free before it is written.
    places: Sender<(Receiver<Compressed>, Arc<Chunk>)>,
    hashing: Sender<Arc<Chunk>>,
}

impl Feed<'_> {
    /// Sends the next chunk on its way, if there is one; waits while too many are.
    pub(super) fn send(&mut self, chunk: Option<Vec<u8>>) -> Result<(), Halt> {
        let Some(chunk) = chunk else {
            return Ok(());
        };
        let chunk = self.press.admit(chunk);
        let (answer, place) = sync_channel(1);
        self.places
            .send((place, Arc::clone(&chunk)))
            .map_err(|_| Halt::Closed)?;
        self.hashing
            .send(Arc::clone(&chunk))
            .map_err(|_| Halt::Closed)?;
        self.press.compress(chunk, answer);
        Ok(())
    }
}

/// Runs `assemble` and writes what it feeds to `sink`.
pub(super) fn run(
    press: &Press,
    sink: &mut (dyn Write + Send),
    assemble: impl FnOnce(&mut Feed<'_>) -> Result<(), Halt> + Send,
) -> Result<Layer, WriteError> {
    thread::scope(|scope| {
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let (places, in_order) = channel();
        let (hashing, to_hash) = channel();
        let hasher = spawn("hash")
            .spawn_scoped(scope, move || hash(&to_hash))
            .map_err(WriteError::Thread)?;
        let mut feed = Feed {
            press,
            places,
            hashing,
        };
        let assembler = spawn("assemble")
            .spawn_scoped(scope, move || assemble(&mut feed))
            .map_err(WriteError::Thread)?;

        let mut out = Output::new(sink);
        out.write(&GZIP_HEADER)?;
        let mut trailer = Trailer::default();
        for (place, _held) in in_order {
            let chunk = place.recv().map_err(|_| thread_lost())??;
            out.write(&chunk.bytes)?;
            trailer.add(&chunk);
        }
        match join(assembler) {
            Err(Halt::Failed(error)) => return Err(error),
            Err(Halt::Closed) => return Err(thread_lost()),
            Ok(()) => {}
        }
        out.write(&trailer.bytes())?;
        let (digest, size) = out.finish()?;
        Ok(Layer {
            digest,
            diff_id: DiffId(join(hasher)),
            size,
            media_type: press.codec().media_type(),
        })
    })
}

/// Hashes the chunks as one stream.
fn hash(chunks: &Receiver<Arc<Chunk>>) -> Digest {
    let mut hasher = Hasher::default();
    for chunk in chunks {
        hasher.update(&chunk);
    }
    hasher.finish().0
}

/// A thread of the press ends early only by a panic, which it has printed.
fn thread_lost() -> WriteError {
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
