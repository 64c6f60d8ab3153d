//! Writes a tree as a layer: tar, both digests, compression on all cores.
//!
//! ```text
//! assemble ──▶ chunks ─┬─▶ compress × threads ─▶ in order ─▶ SHA-256 = digest ─▶ sink
//!                      └─▶ SHA-256 = diff_id
//! ```
//! The threads that compress belong to a [`Press`], which layers written at the same time share. It bounds how many
//! chunks there are, so memory depends on the number of threads and not on the layers. The bytes depend on the tree,
//! its contents and the codec alone.

mod content;
mod order;
mod pipeline;
mod press;

use std::io::{self, Write};

use super::class_of_io;
use super::codec::WalkError;
use super::codec::cut::{Cutter, has_own_chunks};
use super::content::{Content, Contents};
use super::path::LayerPath;
use super::tar::write::{END, header};
use super::tar::{padding, write::EntryError};
use super::tree::Tree;
use crate::diagnose::{Class, Diagnose};
use crate::oci::{DiffId, Digest};

pub use press::Press;

use order::Planned;
use pipeline::{Feed, Halt};

/// A layer that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// SHA-256 of the compressed bytes: the blob.
    pub digest: Digest,
    /// SHA-256 of the tar: what the image config lists.
    pub diff_id: DiffId,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Media type of the blob.
    pub media_type: &'static str,
}

/// Why a layer cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A node that a layer cannot hold.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A node without its parent directory.
    #[error(
        "{path}: parent directory is not in the layer, so unpackers would make one of their own"
    )]
    NoParent {
        /// The node.
        path: LayerPath,
    },
    /// A node below something else than a directory.
    #[error("{path}: {parent} is not a directory in the same layer")]
    ParentNotDirectory {
        /// The node.
        path: LayerPath,
        /// What is no directory.
        parent: LayerPath,
    },
    /// A hard link to nothing.
    #[error("{path}: hard link to {target}, which is not in the same layer")]
    LinkMissing {
        /// The link.
        path: LayerPath,
        /// What it links to.
        target: LayerPath,
    },
    /// A hard link to something else than a file, another hard link included.
    #[error("{path}: hard link to {target}, which is not a regular file")]
    LinkToOther {
        /// The link.
        path: LayerPath,
        /// What it links to.
        target: LayerPath,
    },
    /// Nobody said where the bytes are.
    #[error("{path}: no content known for {digest}")]
    NoContent {
        /// The file.
        path: LayerPath,
        /// The bytes it should have.
        digest: Digest,
    },
    /// The bytes are not what the node says.
    #[error(
        "{path}: expected {} ({} bytes), got {} ({} bytes)",
        wanted.digest, wanted.size, found.digest, found.size
    )]
    ContentDiffers {
        /// The file.
        path: LayerPath,
        /// What the node says.
        wanted: Content,
        /// What was read.
        found: Content,
    },
    /// There are more or fewer bytes than the node says.
    #[error("{path}: expected {wanted} bytes, {found}")]
    ContentSize {
        /// The file.
        path: LayerPath,
        /// What the node says, in bytes.
        wanted: u64,
        /// What was found.
        found: FoundSize,
    },
    /// The bytes cannot be read.
    #[error("{path}: cannot read its content: {source}")]
    ContentUnreadable {
        /// The file.
        path: LayerPath,
        /// Why.
        source: io::Error,
    },
    /// The layer cannot be stored.
    #[error("cannot write the layer: {0}")]
    Sink(#[source] io::Error),
    /// The system gives no more threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// What libdeflate wrote is not deflate: a fault of imgbuild.
    #[error("compressing a chunk failed: {0}")]
    Codec(#[from] WalkError),
}

/// What was found instead of the size wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundSize {
    /// This many.
    Exactly(u64),
    /// At least one more; the rest was not read.
    More,
}

impl std::fmt::Display for FoundSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(size) => write!(f, "got {size}"),
            Self::More => write!(f, "got more"),
        }
    }
}

impl Diagnose for WriteError {
    fn class(&self) -> Class {
        match self {
            Self::ContentDiffers { .. } | Self::ContentSize { .. } => Class::Integrity,
            Self::ContentUnreadable { source, .. } => class_of_io(source),
            Self::NoContent { .. } => Class::Unavailable,
            _ => Class::Usage,
        }
    }
}

/// Writes `tree` to `sink` as one layer.
///
/// Entries are in byte order of their paths, which is the order of [`LayerPath`]: a directory comes before what is
/// in it, and `a-b` between `a` and `a/b`. Of a group of hard links the bytewise first name carries the content and
/// the metadata of the file node, and all others link to it, whichever of them is the file in `tree`. Every content
/// is hashed again on its way and must be what its node says.
///
/// If this fails, what `sink` received is no layer.
///
/// # Errors
/// [`WriteError`]; the tree is checked before the first byte is written, contents when their turn comes.
pub fn write_layer(
    tree: &Tree,
    contents: &Contents,
    press: &Press,
    sink: &mut (dyn Write + Send),
) -> Result<Layer, WriteError> {
    let plan = order::plan(tree)?;
    pipeline::run(press, sink, |feed| assemble(&plan, contents, feed))
}

/// Feeds the tar of `plan`, cut into chunks.
fn assemble(plan: &[Planned<'_>], contents: &Contents, feed: &mut Feed<'_>) -> Result<(), Halt> {
    let mut cutter = Cutter::default();
    let mut buffer = Vec::new();
    for Planned { entry, content } in plan {
        feed.send(cutter.before_entry(entry.path.as_bytes()))?;
        buffer.clear();
        header(entry, &mut buffer).map_err(WriteError::from)?;
        push(&buffer, &mut cutter, feed)?;
        let Some(content) = content else {
            continue;
        };
        let apart = has_own_chunks(content.size);
        if apart {
            feed.send(cutter.cut())?;
        }
        content::copy(entry.path, content, contents, &mut cutter, feed)?;
        push(&END[..padding(content.size) as usize], &mut cutter, feed)?;
        if apart {
            feed.send(cutter.cut())?;
        }
    }
    push(&END, &mut cutter, feed)?;
    feed.send(cutter.cut())
}

fn push(mut bytes: &[u8], cutter: &mut Cutter, feed: &mut Feed<'_>) -> Result<(), Halt> {
    while !bytes.is_empty() {
        let room = cutter.room(bytes.len() as u64);
        let (now, rest) = bytes.split_at(room.len());
        room.copy_from_slice(now);
        bytes = rest;
        feed.send(cutter.cut_full())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
