//! Applies entries to a tree as an unpacker would apply them to a disk.
//!
//! containerd's `archive/tar.go` is what is followed, and the image specification where that is stricter:
//! <https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets>

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use super::{RawEntry, RawKind, ReadError};
use crate::layer::content::Content;
use crate::layer::merge::Merge;
use crate::layer::node::{Kind, Meta, Node};
use crate::layer::path::{LayerPath, show};
use crate::layer::tar::WHITEOUT_PREFIX;
use crate::layer::tree::Tree;
use crate::oci::{Digest, Hasher};

const OPAQUE: &[u8] = b".wh..wh..opq";
/// What aufs kept for itself; unpackers skip it.
const AUFS_PREFIX: &[u8] = b".wh..wh.";

/// Applies the entries of one layer.
pub(super) struct Applier<'a> {
    merge: Merge<'a>,
    keep: &'a mut dyn FnMut(&LayerPath, u64) -> bool,
    kept: BTreeMap<Digest, Vec<u8>>,
    /// What this layer put there, which its own whiteouts do not remove.
    own: BTreeSet<LayerPath>,
    /// Whiteouts and opaque directories that were seen; a second time they have nothing left to remove.
    hidden: BTreeSet<(LayerPath, Hides)>,
    /// The parent of the last entry, as written and as resolved.
    last_parent: Option<(LayerPath, LayerPath)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hides {
    /// The path and all below it.
    All,
    /// All below the path.
    Below,
}

impl<'a> Applier<'a> {
    pub(super) fn new(
        base: &'a mut Tree,
        keep: &'a mut dyn FnMut(&LayerPath, u64) -> bool,
    ) -> Self {
        Self {
            merge: Merge::new(base),
            keep,
            kept: BTreeMap::new(),
            own: BTreeSet::new(),
            hidden: BTreeSet::new(),
            last_parent: None,
        }
    }

    /// Makes the tree whole and returns the contents that were asked for.
    pub(super) fn finish(self) -> BTreeMap<Digest, Vec<u8>> {
        self.merge.finish();
        self.kept
    }

    pub(super) fn apply(
        &mut self,
        entry: RawEntry,
        content: &mut dyn Read,
    ) -> Result<(), ReadError> {
        let name = last_component(&entry.path);
        if name == OPAQUE {
            let path = LayerPath::parse(&entry.path)?;
            let directory = self.parent_of(&path)?;
            self.hide(directory, Hides::Below);
            return Ok(());
        }
        if name.starts_with(AUFS_PREFIX) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) {
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(ReadError::Whiteout(show(&entry.path)));
            }
            let start = entry.path.len() - trailing_slashes(&entry.path) - name.len();
            let path = LayerPath::parse([&entry.path[..start], hidden].concat())?;
            let path = self.parent_of(&path)?.join(hidden)?;
            self.hide(path, Hides::All);
            return Ok(());
        }
        self.put(entry, content)
    }

    fn put(&mut self, entry: RawEntry, content: &mut dyn Read) -> Result<(), ReadError> {
        let written = LayerPath::parse(&entry.path)?;
        let path = if written.is_root() {
            written
        } else {
            self.parent_of(&written)?.join(written.file_name())?
        };
        let mut meta = Meta {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: entry.xattrs,
        };
        let kind = match entry.kind {
            RawKind::Dir => Kind::Dir,
            _ if path.is_root() => return Err(ReadError::Root),
            RawKind::File => Kind::File(self.content(&path, entry.size, content)?),
            RawKind::Symlink(target) if target.is_empty() || target.len() > 4095 => {
                let size = target.len();
                return Err(ReadError::Symlink { path, size });
            }
            RawKind::Symlink(target) => Kind::Symlink(target),
            RawKind::CharDevice(major, minor) => Kind::CharDevice { major, minor },
            RawKind::BlockDevice(major, minor) => Kind::BlockDevice { major, minor },
            RawKind::Fifo => Kind::Fifo,
            RawKind::Hardlink(target) => {
                let (target, shared) = self.link_target(&path, &target)?;
                meta = shared;
                Kind::Hardlink(target)
            }
        };
        self.forget_parent_if_changed(&path, &kind);
        self.own.insert(path.clone());
        self.merge.put(path, Node { kind, meta });
        Ok(())
    }

    /// Reads the content of a file, and keeps it if asked to.
    fn content(
        &mut self,
        path: &LayerPath,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<Content, ReadError> {
        let mut kept = (self.keep)(path, size).then(Vec::new);
        let mut hasher = Hasher::default();
        let mut buffer = [0; 32 << 10];
        loop {
            match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    if let Some(kept) = &mut kept {
                        kept.extend_from_slice(&buffer[..read]);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let path = path.clone();
                    return Err(ReadError::Content { path, source });
                }
            }
        }
        let (digest, size) = hasher.finish();
        if let Some(kept) = kept {
            self.kept.insert(digest, kept);
        }
        Ok(Content { digest, size })
    }

    /// Returns what a hard link refers to, and its metadata: both names are one file.
    fn link_target(
        &mut self,
        path: &LayerPath,
        target: &[u8],
    ) -> Result<(LayerPath, Meta), ReadError> {
        let target = LayerPath::parse(target)?;
        let target = self.merge.tree().resolve_parents(&target)?;
        // An unpacker removes what is at `path` before it makes the link.
        let gone = self.merge.tree().get(path).is_some() && target.is_within(path);
        match self.merge.tree().get(&target) {
            Some(node) if !gone && !node.is_dir() => Ok((target, node.meta.clone())),
            Some(_) if !gone => Err(ReadError::LinkToDirectory {
                path: path.clone(),
                target,
            }),
            _ => Err(ReadError::LinkMissing {
                path: path.clone(),
                target,
            }),
        }
    }

    /// Returns the directory that an entry goes into, through symbolic links, and makes it if it is not there.
    fn parent_of(&mut self, path: &LayerPath) -> Result<LayerPath, ReadError> {
        let written = path.parent().unwrap_or_default();
        if let Some((last, resolved)) = &self.last_parent
            && *last == written
        {
            return Ok(resolved.clone());
        }
        let resolved = self.merge.tree().resolve(&written)?;
        let mut missing = Vec::new();
        let mut at = resolved.clone();
        while !at.is_root() {
            match self.merge.tree().get(&at) {
                Some(node) if node.is_dir() => break,
                Some(_) => {
                    return Err(ReadError::ParentNotDirectory {
                        path: path.clone(),
                        parent: at,
                    });
                }
                None => missing.push(at.clone()),
            }
            at = at.parent().unwrap_or_default();
        }
        for directory in missing {
            self.own.insert(directory.clone());
            self.merge.put(directory, Node::made_dir());
        }
        self.last_parent = Some((written, resolved.clone()));
        Ok(resolved)
    }

    /// Removes what the layers below have at `path`. What this layer has there stays, with its parents.
    fn hide(&mut self, path: LayerPath, hides: Hides) {
        if !self.hidden.insert((path.clone(), hides)) {
            return;
        }
        self.last_parent = None;
        let below: Vec<_> = self
            .merge
            .tree()
            .within(&path)
            .filter(|(at, _)| hides == Hides::All || **at != path)
            .filter(|(at, _)| !self.is_own(at))
            .map(|(at, _)| at.clone())
            .collect();
        for at in below {
            self.merge.remove(&at);
        }
    }

    /// Tells whether this layer put something at `path` or below.
    fn is_own(&self, path: &LayerPath) -> bool {
        let mut below = path.as_bytes().to_vec();
        below.push(b'/');
        self.own.contains(path)
            || self
                .own
                .range::<[u8], _>((
                    std::ops::Bound::Included(&below[..]),
                    std::ops::Bound::Unbounded,
                ))
                .next()
                .is_some_and(|own| own.as_bytes().starts_with(&below))
    }

    /// Forgets the last parent if putting `kind` at `path` may lead it elsewhere or take it away.
    fn forget_parent_if_changed(&mut self, path: &LayerPath, kind: &Kind) {
        let there = self.merge.tree().get(path).map(|node| &node.kind);
        let same = match (there, kind) {
            (Some(Kind::Symlink(_)), _) | (_, Kind::Symlink(_)) => false,
            (Some(Kind::Dir), kind) => *kind == Kind::Dir,
            // A copy of a symbolic link leads elsewhere too.
            (_, Kind::Hardlink(_)) => false,
            _ => true,
        };
        if !same {
            self.last_parent = None;
        }
    }
}

/// Returns the last component as written, without slashes after it.
fn last_component(path: &[u8]) -> &[u8] {
    let path = &path[..path.len() - trailing_slashes(path)];
    let start = path.iter().rposition(|&c| c == b'/').map_or(0, |at| at + 1);
    &path[start..]
}

fn trailing_slashes(path: &[u8]) -> usize {
    path.iter().rev().take_while(|&&c| c == b'/').count()
}
