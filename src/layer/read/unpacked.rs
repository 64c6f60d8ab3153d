//! The tar inside a layer, whatever it is compressed with, hashed and limited while it is read.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use super::ReadOptions;
use crate::oci::{DiffId, Hasher};

/// A tar that is more than it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// In all.
    #[error("layer unpacks to more than {limit} bytes")]
    Size {
        /// The limit in bytes.
        limit: u64,
    },
    /// For what it is compressed.
    #[error("layer unpacks to more than {limit} times its size")]
    Ratio {
        /// The limit.
        limit: u64,
    },
}

/// The ratio of anything below this is fine: nothing that small does harm.
const RATIO_FROM: u64 = 256 << 20;

/// Reads the tar of a layer.
pub(super) struct Unpacked<'a> {
    tar: Box<dyn Read + 'a>,
    consumed: Rc<Cell<u64>>,
    hasher: Hasher,
    size: u64,
    options: ReadOptions,
}

impl<'a> Unpacked<'a> {
    /// Finds out how `reader` is compressed by its first bytes.
    pub(super) fn open(mut reader: impl Read + 'a, options: &ReadOptions) -> io::Result<Self> {
        let mut start = Vec::new();
        reader.by_ref().take(4).read_to_end(&mut start)?;
        let consumed = Rc::new(Cell::new(0));
        let all = Counted {
            inner: io::Cursor::new(start.clone()).chain(reader),
            count: Rc::clone(&consumed),
        };
        let buffered = BufReader::with_capacity(128 << 10, all);
        let tar: Box<dyn Read + 'a> = match &start[..] {
            [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
            // Frames, and skippable frames, which may come first.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                Box::new(zstd::stream::read::Decoder::with_buffer(buffered)?)
            }
            _ => Box::new(buffered),
        };
        Ok(Self {
            tar,
            consumed,
            hasher: Hasher::default(),
            size: 0,
            options: *options,
        })
    }

    /// Returns what was hashed, and its size in bytes.
    pub(super) fn finish(self) -> (DiffId, u64) {
        let (digest, size) = self.hasher.finish();
        (DiffId(digest), size)
    }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.tar.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.size += read as u64;
        let refuse = |limit| Err(io::Error::new(io::ErrorKind::InvalidData, limit));
        let ReadOptions {
            tar_size, ratio, ..
        } = self.options;
        if self.size > tar_size {
            return refuse(TooLarge::Size { limit: tar_size });
        }
        if self.size > RATIO_FROM && self.size / ratio.max(1) > self.consumed.get() {
            return refuse(TooLarge::Ratio { limit: ratio });
        }
        Ok(read)
    }
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}
