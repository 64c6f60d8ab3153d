//! Where files really go: paths through the symbolic links of the base and of the packages themselves.
//!
//! A base with a merged `/usr` has `/lib64` as a link; a package that lists `/lib64/libc.so.6` means
//! `/usr/lib64/libc.so.6`. A layer that holds `lib64/` as a directory hides the link under some storage drivers and
//! not under others, so no path may go through a link.

use std::collections::BTreeMap;

use super::InstallError;
use crate::layer::node::{Kind, Meta};
use crate::layer::tree::{Stacked, TreeError};
use crate::layer::{LayerPath, Node, Tree};
use crate::rpm::entries::{FileEntry, FileFlags, FileType};
use crate::rpm::payload::Unpacked;
use crate::rpm::selection::FileState;

/// Resolves parents; each directory once.
pub(super) struct Resolver<'a> {
    trees: Stacked<'a>,
    directories: BTreeMap<Vec<u8>, LayerPath>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(base: &'a Tree, links: &'a Tree) -> Self {
        Self {
            trees: Stacked {
                lower: base,
                upper: links,
            },
            directories: BTreeMap::new(),
        }
    }

    /// Returns where a file of a package really is.
    pub(super) fn resolve(
        &mut self,
        entry: &FileEntry,
        directories: &[Vec<u8>],
        package: &str,
    ) -> Result<LayerPath, InstallError> {
        let wrap = |source| InstallError::Parents {
            package: package.to_owned(),
            source,
        };
        let own = directories.get(entry.dir_index as usize);
        let Some((parent, directory)) = entry.path.parent().zip(own) else {
            return Ok(entry.path.clone());
        };
        if !self.directories.contains_key(directory) {
            let resolved = self.trees.resolve(&parent).map_err(wrap)?;
            self.directories.insert(directory.clone(), resolved);
        }
        self.directories[directory]
            .join(entry.path.file_name())
            .map_err(|_| wrap(TreeError::NotInside(entry.path.clone())))
    }
}

/// Returns the symbolic links that the packages bring, at the places where they end up.
///
/// A link may lie below another one that comes with it, in either order, so places are sought until they stay.
pub(super) fn links_of(base: &Tree, packages: &[Unpacked]) -> Result<Tree, InstallError> {
    const MAX_ROUNDS: usize = 8;
    let mut links = Tree::default();
    for _ in 0..MAX_ROUNDS {
        let mut found = Tree::default();
        let mut resolver = Resolver::new(base, &links);
        for package in packages {
            let nevra = package.nevra();
            for (entry, state) in package.files.entries.iter().zip(&package.states) {
                let is_link = entry.kind == FileType::Symlink && *state == FileState::Normal;
                if !is_link || entry.flags.has(FileFlags::GHOST) {
                    continue;
                }
                let path = resolver.resolve(entry, &package.files.directories, &nevra)?;
                // A directory of the base stays one; that a link wants its place is said later, with its package.
                if !base.get(&path).is_some_and(Node::is_dir) {
                    let kind = Kind::Symlink(entry.target.clone());
                    let meta = Meta::made(0o777);
                    found.insert(path, Node { kind, meta });
                }
            }
        }
        if found == links {
            break;
        }
        links = found;
    }
    Ok(links)
}
