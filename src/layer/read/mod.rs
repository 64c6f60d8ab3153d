//! Reads layers of any origin into a tree, hashing every file on the way.
//!
//! Layers are hostile until proven otherwise: no bytes make this panic, and [`ReadOptions`] limits what they cost.

mod apply;
mod unpacked;

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::class_of_io;
use super::path::{LayerPath, PathError};
use super::tree::{Tree, TreeError};
use crate::diagnose::{Class, Diagnose};
use crate::oci::{DiffId, Digest};

pub use super::tar::form::Form;
pub use super::tar::read::{RawEntry, RawKind, TarError};
pub use unpacked::TooLarge;

use super::tar::read::Archive;
use apply::Applier;
use unpacked::Unpacked;

/// How much a layer may cost. The defaults are far above what real images have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Entries.
    pub entries: u64,
    /// Bytes of names, link targets and extended attributes, which are kept in memory.
    pub metadata: u64,
    /// Bytes of tar.
    pub tar_size: u64,
    /// Bytes of tar for each compressed byte; not looked at below 256 MiB.
    pub ratio: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            metadata: 256 << 20,
            tar_size: 64 << 30,
            ratio: 500,
        }
    }
}

/// What was read, besides the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// SHA-256 of the tar, to its very end.
    pub diff_id: DiffId,
    /// Size of the tar in bytes.
    pub tar_size: u64,
    /// The contents that were asked for.
    pub kept: BTreeMap<Digest, Vec<u8>>,
}

/// Why a layer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It does not even start.
    #[error("cannot read the layer: {0}")]
    Open(#[source] io::Error),
    /// The tar is damaged, cut short or of a kind that is not read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The content of a file cannot be read.
    #[error("{path}: cannot read its content: {source}")]
    Content {
        /// The file.
        path: LayerPath,
        /// Why.
        source: io::Error,
    },
    /// More entries than any image should have.
    #[error("layer has more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// More names and attributes than any image should have.
    #[error("layer has more than {limit} bytes of names and attributes")]
    TooMuchMetadata {
        /// The limit in bytes.
        limit: u64,
    },
    /// A name that leads out of the image, or that no file system stores.
    #[error("layer entry has a bad name: {0}")]
    Path(#[from] PathError),
    /// Symbolic links among the parents lead nowhere.
    #[error("layer entry has a bad parent: {0}")]
    Parent(#[from] TreeError),
    /// The root as something else than a directory.
    #[error("layer makes the root something else than a directory")]
    Root,
    /// Something else than a directory where one must be.
    #[error("{path}: {parent} is not a directory")]
    ParentNotDirectory {
        /// The entry.
        path: LayerPath,
        /// What is no directory.
        parent: LayerPath,
    },
    /// A whiteout of nothing that a directory can hold.
    #[error("layer entry `{0}` removes nothing that could be there")]
    Whiteout(String),
    /// A hard link to nothing.
    #[error("{path}: hard link to {target}, which is not there")]
    LinkMissing {
        /// The link.
        path: LayerPath,
        /// What it links to.
        target: LayerPath,
    },
    /// A hard link to a directory.
    #[error("{path}: hard link to the directory {target}")]
    LinkToDirectory {
        /// The link.
        path: LayerPath,
        /// What it links to.
        target: LayerPath,
    },
    /// A symbolic link that Linux would not make.
    #[error("{path}: symbolic link with a target of {size} bytes, wanted 1 to 4095")]
    Symlink {
        /// The link.
        path: LayerPath,
        /// The length of its target.
        size: usize,
    },
}

impl Diagnose for ReadError {
    fn class(&self) -> Class {
        match self {
            Self::Open(source)
            | Self::Content { source, .. }
            | Self::Tar(TarError::Io { source, .. }) => class_of_io(source),
            _ => Class::Integrity,
        }
    }
}

/// Applies the layer in `reader` on top of `base`, as unpackers of images would.
///
/// gzip (of any number of members), zstd and plain tar are told apart by their first bytes. An entry whose parents
/// lead through symbolic links lands where those lead, inside the root: `lib64/x` is `usr/lib64/x` on a merged
/// root. An entry replaces what is at its own path, and only a directory on a directory leaves what is below it.
/// Parents that are missing are made. Whiteouts and opaque directories remove from `base` only, wherever in the
/// layer they are. All names of a file with several share its metadata, and the bytewise first carries it.
///
/// Extended attributes that belong to the host they were read on (SELinux, IMA, overlay) are left out, and times
/// are whole seconds. `keep` is asked for each file, by path and size in bytes, whether to return its content.
///
/// # Errors
/// [`ReadError`]; `base` is then partly changed, so no longer of use.
pub fn apply_layer(
    base: &mut Tree,
    reader: impl Read,
    options: &ReadOptions,
    keep: &mut dyn FnMut(&LayerPath, u64) -> bool,
) -> Result<Applied, ReadError> {
    let mut applier = Applier::new(base, keep);
    let (diff_id, tar_size) = entries(reader, options, |entry, content| {
        applier.apply(entry, content)
    })?;
    Ok(Applied {
        diff_id,
        tar_size,
        kept: applier.finish(),
    })
}

/// Shows every entry of the layer in `reader` to `visit`, in the order they are in, with its content.
///
/// Nothing is resolved or checked beyond the format: names are as the archive has them. `visit` may leave the
/// content unread. Returns the digest of the tar, to its very end, and its size in bytes.
///
/// # Errors
/// [`ReadError`], and whatever `visit` returns.
pub fn entries<E: From<ReadError>>(
    reader: impl Read,
    options: &ReadOptions,
    mut visit: impl FnMut(RawEntry, &mut dyn Read) -> Result<(), E>,
) -> Result<(DiffId, u64), E> {
    let tar = Unpacked::open(reader, options).map_err(ReadError::Open)?;
    walk(Archive::new(tar), options, |entry, _, content| {
        visit(entry, content)
    })
}

/// The same, with how each entry is written.
///
/// # Errors
/// As for [`entries`].
pub fn entries_with_form<E: From<ReadError>>(
    reader: impl Read,
    options: &ReadOptions,
    mut visit: impl FnMut(RawEntry, Form, &mut dyn Read) -> Result<(), E>,
) -> Result<(DiffId, u64), E> {
    let tar = Unpacked::open(reader, options).map_err(ReadError::Open)?;
    walk(Archive::with_forms(tar), options, |entry, form, content| {
        let form = form.expect("the archive takes forms down");
        visit(entry, form, content)
    })
}

fn walk<E: From<ReadError>>(
    mut archive: Archive<Unpacked<'_>>,
    options: &ReadOptions,
    mut visit: impl FnMut(RawEntry, Option<Form>, &mut dyn Read) -> Result<(), E>,
) -> Result<(DiffId, u64), E> {
    let (mut count, mut metadata) = (0, 0);
    while let Some(entry) = archive.next_entry().map_err(ReadError::from)? {
        count += 1;
        let form = archive.take_form();
        metadata += metadata_size(&entry) + form.as_ref().map_or(0, Form::metadata_size);
        if count > options.entries {
            let limit = options.entries;
            return Err(ReadError::TooManyEntries { limit }.into());
        }
        if metadata > options.metadata {
            let limit = options.metadata;
            return Err(ReadError::TooMuchMetadata { limit }.into());
        }
        visit(entry, form, &mut archive)?;
    }
    Ok(archive.finish().map_err(ReadError::from)?.finish())
}

/// Returns the bytes of an entry that a tree keeps.
fn metadata_size(entry: &RawEntry) -> u64 {
    let link = match &entry.kind {
        RawKind::Symlink(target) | RawKind::Hardlink(target) => target.len(),
        _ => 0,
    };
    let xattrs = entry.xattrs.iter();
    let xattrs: usize = xattrs.map(|(name, value)| name.len() + value.len()).sum();
    (entry.path.len() + link + xattrs) as u64
}

#[cfg(test)]
mod tests;
