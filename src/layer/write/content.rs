//! Copies the bytes of a file into the tar and checks that they are the ones wanted.

use std::io::{self, Read};

use super::pipeline::{Feed, Halt};
use super::{FoundSize, WriteError};
use crate::layer::codec::cut::Cutter;
use crate::layer::content::{Content, Contents};
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
    feed: &mut Feed<'_>,
) -> Result<(), Halt> {
    let wrong_size = |found| {
        Err(Halt::Failed(WriteError::ContentSize {
            path: path.clone(),
            wanted: wanted.size,
            found,
        }))
    };
    let location = contents.get(&wanted.digest).ok_or_else(|| {
        Halt::Failed(WriteError::NoContent {
            path: path.clone(),
            digest: wanted.digest,
        })
    })?;
    if let Some(found) = location.size().filter(|found| *found != wanted.size) {
        return wrong_size(FoundSize::Exactly(found));
    }
    let mut source = location.reader();
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
