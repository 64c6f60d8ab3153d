//! What effects change, over the base and the files just placed.

use std::collections::BTreeMap;
use std::io;

use crate::layer::node::Kind;
use crate::layer::path::PathError;
use crate::layer::tree::{Stacked, TreeError};
use crate::layer::{Content, Contents, LayerPath, Node, Tree};
use crate::oci::Digest;

use super::effect::PathTest;

/// Reads the bytes of a file of the base or of a package.
pub type Read<'a> = dyn Fn(&Content) -> io::Result<Vec<u8>> + 'a;

/// Why a change cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The path is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Links lead nowhere.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file that must be read cannot be.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// Which file.
        path: LayerPath,
        /// Why not.
        source: io::Error,
    },
    /// Something else is where a change must go.
    #[error("{path}: wanted {wanted}, found {found}")]
    InTheWay {
        /// Where.
        path: LayerPath,
        /// What is to be made.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
}

/// The image as the effects applied so far leave it.
pub struct Overlay<'a> {
    lower: &'a Tree,
    upper: Tree,
    read: &'a Read<'a>,
    /// Nodes made or replaced, and whiteouts of the base's.
    pub(super) changes: Tree,
    /// Nodes of `upper` that are gone.
    pub(super) removed: Vec<LayerPath>,
    /// Contents of the files made.
    pub(super) contents: Contents,
    made: BTreeMap<Digest, Vec<u8>>,
}

impl<'a> Overlay<'a> {
    /// Begins without changes.
    #[must_use]
    pub fn new(root: Stacked<'a>, read: &'a Read<'a>) -> Self {
        Self {
            lower: root.lower,
            upper: root.upper.clone(),
            read,
            changes: Tree::default(),
            removed: Vec::new(),
            contents: Contents::default(),
            made: BTreeMap::new(),
        }
    }

    /// Returns the image as it is now.
    #[must_use]
    pub fn root(&self) -> Stacked<'_> {
        Stacked {
            lower: self.lower,
            upper: &self.upper,
        }
    }

    /// Returns the base alone, as it was.
    #[must_use]
    pub(super) fn base(&self) -> Overlay<'a> {
        Overlay {
            lower: self.lower,
            upper: Tree::default(),
            read: self.read,
            changes: Tree::default(),
            removed: Vec::new(),
            contents: Contents::default(),
            made: BTreeMap::new(),
        }
    }

    /// Returns the bytes of a file; none if there is no file at `path`. Links are followed.
    ///
    /// # Errors
    /// [`OverlayError::Read`]
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, OverlayError> {
        let at = self.file(path)?;
        match self.root().get(&at).map(|node| &node.kind) {
            Some(Kind::File(content)) => self.content(&at, content).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns where `path` leads, hard links included.
    fn file(&self, path: &str) -> Result<LayerPath, OverlayError> {
        let at = self.root().resolve(&LayerPath::parse(path)?)?;
        Ok(match self.root().get(&at).map(|node| &node.kind) {
            Some(Kind::Hardlink(first)) => first.clone(),
            _ => at,
        })
    }

    pub(super) fn content(
        &self,
        path: &LayerPath,
        content: &Content,
    ) -> Result<Vec<u8>, OverlayError> {
        if let Some(bytes) = self.made.get(&content.digest) {
            return Ok(bytes.clone());
        }
        (self.read)(content).map_err(|source| OverlayError::Read {
            path: path.clone(),
            source,
        })
    }

    /// Evaluates a test of test(1).
    ///
    /// # Errors
    /// [`OverlayError`] for paths that cannot be.
    pub fn test(&self, test: PathTest, path: &str) -> Result<bool, OverlayError> {
        Ok(path_test(self.root(), test, &LayerPath::parse(path)?))
    }

    /// Returns the target of the symbolic link at `path`.
    ///
    /// # Errors
    /// [`OverlayError`] for paths that cannot be.
    pub fn link(&self, path: &str) -> Result<Option<Vec<u8>>, OverlayError> {
        let at = self.root().resolve_parents(&LayerPath::parse(path)?)?;
        Ok(match self.root().get(&at).map(|node| &node.kind) {
            Some(Kind::Symlink(target)) => Some(target.clone()),
            _ => None,
        })
    }

    /// Writes a file; one that is there keeps its mode and owner, as when a tool writes to it.
    ///
    /// # Errors
    /// [`OverlayError::InTheWay`] if something else is there.
    pub fn write(&mut self, path: &str, bytes: Vec<u8>, mode: u32) -> Result<(), OverlayError> {
        let at = self.file(path)?;
        let content = self.contents.add_inline(bytes.as_slice());
        self.made.insert(content.digest, bytes);
        let mut node = Node::made_file(content, mode);
        match self.root().get(&at) {
            None => {}
            Some(old) if matches!(old.kind, Kind::File(_)) => {
                if matches!(&old.kind, Kind::File(old) if *old == content) {
                    return Ok(());
                }
                (node.meta.mode, node.meta.uid, node.meta.gid) =
                    (old.meta.mode, old.meta.uid, old.meta.gid);
                node.meta.xattrs = old.meta.xattrs.clone();
            }
            Some(other) => return Err(in_the_way(at, "a file", other)),
        }
        self.put(at, node)
    }

    /// Makes a symbolic link, replacing a link or file.
    ///
    /// # Errors
    /// [`OverlayError::InTheWay`] if a directory is there.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<(), OverlayError> {
        let at = self.root().resolve_parents(&LayerPath::parse(path)?)?;
        if self.link(path)?.as_deref() == Some(target.as_bytes()) {
            return Ok(());
        }
        if let Some(node) = self.root().get(&at).filter(|node| node.is_dir()) {
            return Err(in_the_way(at, "a link", node));
        }
        self.put(at, Node::made_symlink(target))
    }

    /// Makes a symbolic link at a path whose parents are resolved.
    pub(super) fn symlink_at(&mut self, at: LayerPath, target: &[u8]) -> Result<(), OverlayError> {
        self.put(at, Node::made_symlink(target))
    }

    /// Makes a directory and its parents, as `mkdir -p`.
    ///
    /// # Errors
    /// [`OverlayError::InTheWay`] if something else is there.
    pub fn make_dir(&mut self, path: &str) -> Result<(), OverlayError> {
        let at = self.root().resolve(&LayerPath::parse(path)?)?;
        match self.root().get(&at) {
            None if at.is_root() => Ok(()),
            None => self.put(at, Node::made_dir()),
            Some(node) if node.is_dir() => Ok(()),
            Some(other) => Err(in_the_way(at, "a directory", other)),
        }
    }

    /// Removes a file or link, as `rm -f`; nothing if there is none.
    ///
    /// # Errors
    /// [`OverlayError::InTheWay`] for a directory.
    pub fn remove(&mut self, path: &str) -> Result<(), OverlayError> {
        let at = self.root().resolve_parents(&LayerPath::parse(path)?)?;
        self.remove_at(at)
    }

    /// Removes a file or link at a path whose parents are resolved.
    pub(super) fn remove_at(&mut self, at: LayerPath) -> Result<(), OverlayError> {
        match self.root().get(&at) {
            None => return Ok(()),
            Some(node) if node.is_dir() => return Err(in_the_way(at, "a file", node)),
            Some(_) => {}
        }
        self.changes.remove(&at);
        if self.upper.remove(&at).is_some() {
            self.removed.push(at.clone());
        }
        if self.lower.get(&at).is_some() {
            self.changes.insert(at.clone(), Node::whiteout());
            self.upper.insert(at, Node::whiteout());
        }
        Ok(())
    }

    fn put(&mut self, at: LayerPath, node: Node) -> Result<(), OverlayError> {
        let mut parent = at.parent();
        while let Some(directory) = parent.filter(|directory| !directory.is_root()) {
            match self.root().get(&directory) {
                Some(node) if node.is_dir() => break,
                Some(other) => return Err(in_the_way(directory, "a directory", other)),
                None => {
                    self.changes.insert(directory.clone(), Node::made_dir());
                    self.upper.insert(directory.clone(), Node::made_dir());
                }
            }
            parent = directory.parent();
        }
        self.changes.insert(at.clone(), node.clone());
        self.upper.insert(at, node);
        Ok(())
    }
}

fn in_the_way(path: LayerPath, wanted: &'static str, found: &Node) -> OverlayError {
    OverlayError::InTheWay {
        path,
        wanted,
        found: match found.kind {
            Kind::Dir => "a directory",
            Kind::File(_) | Kind::Hardlink(_) => "a file",
            Kind::Symlink(_) => "a symbolic link",
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } => "a device",
            Kind::Fifo => "a pipe",
            Kind::Whiteout => "nothing",
        },
    }
}

/// Evaluates a test of test(1) on a tree.
#[must_use]
pub fn path_test(root: Stacked<'_>, test: PathTest, path: &LayerPath) -> bool {
    let resolved = match test {
        PathTest::Symlink => root.resolve_parents(path),
        _ => root.resolve(path),
    };
    let Ok(at) = resolved else {
        return false;
    };
    if at.is_root() {
        return matches!(
            test,
            PathTest::Exists | PathTest::Executable | PathTest::Dir
        );
    }
    let Some(node) = root.get(&at) else {
        return false;
    };
    let node = match &node.kind {
        Kind::Hardlink(first) => root.get(first).unwrap_or(node),
        _ => node,
    };
    let is_file = matches!(node.kind, Kind::File(_) | Kind::Hardlink(_));
    match test {
        PathTest::Exists => true,
        PathTest::Executable => node.is_dir() || node.meta.mode & 0o111 != 0,
        PathTest::File => is_file,
        PathTest::Dir => node.is_dir(),
        PathTest::Symlink => matches!(node.kind, Kind::Symlink(_)),
        PathTest::NotEmpty => match &node.kind {
            Kind::File(content) => content.size > 0,
            _ => node.is_dir(),
        },
    }
}
