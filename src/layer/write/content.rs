//! Copies the bytes of a file into the tar and checks that they are the ones wanted.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use flate2::bufread::DeflateDecoder;

use super::pipeline::{Feed, Halt};
use super::{FoundSize, WriteError};
use crate::layer::codec::cut::Cutter;
use crate::layer::content::{Content, Contents, Location, Packing, RandomRead};
use crate::layer::path::LayerPath;
use crate::oci::Hasher;

/// How much is read between two turns of hashing; small enough to stay in the cache.
const PIECE: u64 = 64 << 10;

/// Copies `wanted` from wherever `contents` has it.
pub(super) fn copy(
    path: &LayerPath,
    wanted: &Content,
    contents: &Contents,
    cutter: &mut Cutter,
    feed: &mut Feed,
) -> Result<(), Halt> {
    let wrong_size = |found| {
        Err(Halt::Failed(WriteError::ContentSize {
            path: path.clone(),
            wanted: wanted.size,
            found,
        }))
    };
    let mut source: Box<dyn Read> = match contents.get(&wanted.digest) {
        Some(Location::Inline(bytes)) => {
            if bytes.len() as u64 != wanted.size {
                return wrong_size(FoundSize::Exactly(bytes.len() as u64));
            }
            Box::new(&bytes[..])
        }
        Some(Location::Extent {
            blob,
            offset,
            packed,
            packing,
        }) => {
            let extent = Extent {
                blob: Arc::clone(blob),
                at: *offset,
                left: *packed,
            };
            match packing {
                Packing::Stored if *packed != wanted.size => {
                    return wrong_size(FoundSize::Exactly(*packed));
                }
                Packing::Stored => Box::new(extent),
                Packing::Deflate => Box::new(DeflateDecoder::new(BufReader::with_capacity(
                    PIECE as usize,
                    extent,
                ))),
            }
        }
        None => {
            return Err(Halt::Failed(WriteError::NoContent {
                path: path.clone(),
                digest: wanted.digest,
            }));
        }
    };
    let unreadable = |source| {
        Halt::Failed(WriteError::ContentUnreadable {
            path: path.clone(),
            source,
        })
    };

    let mut hasher = Hasher::default();
    let mut done = 0;
    while done < wanted.size {
        let room = cutter.room((wanted.size - done).min(PIECE));
        let read = fill(&mut source, room).map_err(unreadable)?;
        if read < room.len() {
            return wrong_size(FoundSize::Exactly(done + read as u64));
        }
        hasher.update(room);
        done += read as u64;
        feed.send(cutter.cut_full())?;
    }
    if fill(&mut source, &mut [0]).map_err(unreadable)? != 0 {
        return wrong_size(FoundSize::More);
    }
    let (digest, size) = hasher.finish();
    if digest != wanted.digest {
        return Err(Halt::Failed(WriteError::ContentDiffers {
            path: path.clone(),
            wanted: *wanted,
            found: Content { digest, size },
        }));
    }
    Ok(())
}

/// Reads until `buffer` is full or there is no more, and returns how much that was.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads a range of a blob from its start to its end.
struct Extent {
    blob: Arc<dyn RandomRead>,
    at: u64,
    left: u64,
}

impl Read for Extent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if len == 0 {
            return Ok(0);
        }
        self.blob.read_exact_at(&mut buffer[..len], self.at)?;
        // What was read exists, so its end has an offset.
        self.at += len as u64;
        self.left -= len as u64;
        Ok(len)
    }
}
