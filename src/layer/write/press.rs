//! The threads that compress, shared by all layers that are written at once, and the bound on what these hold.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::{io, ops::Deref};

use crate::layer::codec::{Codec, CompressedChunk, Encoder, WalkError};

/// Compresses chunks of any number of layers, on a fixed number of threads.
///
/// Chunks wait in one queue, so whatever layer has work keeps all threads busy; and there is room for so many chunks
/// and no more, so memory depends on the number of threads and not on how many layers there are, or how large.
pub struct Press {
    codec: Codec,
    room: Arc<Room>,
    /// Taken to end the threads.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// What a chunk became.
pub(super) type Compressed = Result<CompressedChunk, WalkError>;

/// A chunk to compress, and where the answer goes.
struct Job {
    chunk: Arc<Chunk>,
    answer: SyncSender<Compressed>,
}

/// A piece of tar on its way through a layer. Its room is free again when nobody holds it any more.
pub(super) struct Chunk {
    bytes: Vec<u8>,
    _place: Place,
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Press {
    /// Starts `threads` threads that compress as `codec` says; 0 counts as 1. Their number never decides a byte.
    ///
    /// # Errors
    /// What the system says if it gives no more threads.
    pub fn new(codec: Codec, threads: usize) -> io::Result<Self> {
        let threads = threads.max(1);
        let (jobs, work) = channel();
        let mut press = Self {
            codec,
            // One in every thread, as many waiting for it, and as many waiting for their turn to be written.
            room: Arc::new(Room {
                free: Mutex::new(3 * threads + 2),
                freed: Condvar::new(),
            }),
            jobs: Some(jobs),
            threads: Vec::new(),
        };
        // Shared by the threads alone, so that when the last of them ends, sending to it fails.
        let work = Arc::new(Mutex::new(work));
        for _ in 0..threads {
            let work = Arc::clone(&work);
            let thread = thread::Builder::new().name("compress".to_owned());
            press
                .threads
                .push(thread.spawn(move || compress(codec, &work))?);
        }
        Ok(press)
    }

    /// Returns how layers are compressed; decides the bytes.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Returns how many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Waits until there is room for another chunk.
    pub(super) fn admit(&self, bytes: Vec<u8>) -> Arc<Chunk> {
        Arc::new(Chunk {
            bytes,
            _place: Room::take(&self.room),
        })
    }

    /// Compresses `chunk` in its turn, and answers; to nobody if that is impossible.
    pub(super) fn compress(&self, chunk: Arc<Chunk>, answer: SyncSender<Compressed>) {
        if let Some(jobs) = &self.jobs {
            // Sending fails only if all threads panicked; who waits for the answer is then told by its channel.
            let _ = jobs.send(Job { chunk, answer });
        }
    }
}

impl Drop for Press {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // One that panicked has left somebody without an answer, who has told of it.
            let _ = thread.join();
        }
    }
}

/// Compresses chunks until there are no more.
fn compress(codec: Codec, work: &Mutex<Receiver<Job>>) {
    let mut encoder = Encoder::new(codec);
    loop {
        // A thread that panicked did so outside the lock, so what it guards is sound.
        let job = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { chunk, answer }) = job else {
            return;
        };
        // If nobody waits for the answer, writing that layer has failed.
        let _ = answer.send(encoder.compress_chunk(&chunk));
    }
}

/// How many more chunks there may be.
struct Room {
    free: Mutex<usize>,
    freed: Condvar,
}

/// The room of one chunk.
struct Place(Arc<Room>);

impl Room {
    fn take(room: &Arc<Self>) -> Place {
        let free = room.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = room
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(Arc::clone(room))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
