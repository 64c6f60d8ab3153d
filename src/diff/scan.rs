//! What a layer holds, entry by entry as its tar has them, contents as digests.

use std::io::Read;

use super::error::DiffError;
use super::image::Image;
use crate::layer::read::{Form, RawEntry, RawKind, ReadError, ReadOptions, entries_with_form};
use crate::layer::{Content, LayerPath, Meta};
use crate::oci::Hasher;

const OPAQUE: &[u8] = b".wh..wh..opq";
const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// An entry of a layer.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What it is about: of a whiteout what it hides, of an opaque marker the directory.
    pub(super) path: LayerPath,
    pub(super) kind: EntryKind,
    pub(super) meta: Meta,
    /// Its name as it is written.
    pub(super) written: Vec<u8>,
    pub(super) form: Form,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File(Content),
    Dir,
    Symlink(Vec<u8>),
    Hardlink(LayerPath),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    /// Hides a path of the layers below.
    Whiteout,
    /// Hides everything in a directory of the layers below.
    Opaque,
}

/// Reads a layer.
pub(super) fn scan(image: &Image<'_>, at: usize) -> Result<Vec<Entry>, DiffError> {
    let mut found = Vec::new();
    let options = ReadOptions::default();
    let read = entries_with_form(image.open(at)?, &options, |entry, form, content| {
        found.push(take(entry, form, content)?);
        Ok::<_, ReadError>(())
    });
    let (diff_id, _) = read.map_err(image.fault(at))?;
    image.check(at, diff_id)?;
    Ok(found)
}

fn take(entry: RawEntry, form: Form, content: &mut dyn Read) -> Result<Entry, ReadError> {
    let mut path = LayerPath::parse(&entry.path)?;
    let kind = match entry.kind {
        RawKind::Dir => EntryKind::Dir,
        RawKind::Symlink(target) => EntryKind::Symlink(target),
        RawKind::Hardlink(target) => EntryKind::Hardlink(LayerPath::parse(target)?),
        RawKind::CharDevice(major, minor) => EntryKind::CharDevice(major, minor),
        RawKind::BlockDevice(major, minor) => EntryKind::BlockDevice(major, minor),
        RawKind::Fifo => EntryKind::Fifo,
        RawKind::File => EntryKind::File(hash(&path, content)?),
    };
    // Unpackers look at the name alone, whatever the entry is.
    let name = path.file_name();
    let parent = path.parent().unwrap_or_default();
    let kind = if name == OPAQUE {
        path = parent;
        EntryKind::Opaque
    } else if let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX)
        && !hidden.is_empty()
        && !hidden.starts_with(WHITEOUT_PREFIX)
        && let Ok(hidden) = parent.join(hidden)
    {
        path = hidden;
        EntryKind::Whiteout
    } else {
        kind
    };
    Ok(Entry {
        path,
        kind,
        meta: Meta {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: entry.xattrs,
        },
        written: entry.path,
        form,
    })
}

fn hash(path: &LayerPath, content: &mut dyn Read) -> Result<Content, ReadError> {
    let mut hasher = Hasher::default();
    std::io::copy(content, &mut hasher).map_err(|source| ReadError::Content {
        path: path.clone(),
        source,
    })?;
    let (digest, size) = hasher.finish();
    Ok(Content { digest, size })
}
