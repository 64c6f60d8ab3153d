//! Makes nodes of the files of packages: owners by name, capabilities, devices, hard links.

use std::collections::BTreeMap;

use super::capabilities::capability_xattr;
use super::claims::{Claim, side};
use super::compare::Side;
use super::{InstallError, Installation, OwnerKind, Owners};
use crate::layer::node::{Kind, Meta};
use crate::layer::tree::Stacked;
use crate::layer::{LayerPath, Node, Tree};
use crate::rpm::entries::{FileEntry, FileType};
use crate::rpm::payload::Unpacked;

/// Collects files by their final paths; then makes nodes of them.
pub(super) struct Maker<'a> {
    owners: &'a dyn Owners,
    packages: &'a [Unpacked],
    names: Vec<String>,
    placed: BTreeMap<LayerPath, Claim>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(owners: &'a dyn Owners, packages: &'a [Unpacked]) -> Self {
        Self {
            owners,
            packages,
            names: packages.iter().map(Unpacked::nevra).collect(),
            placed: BTreeMap::new(),
        }
    }

    pub(super) fn entry(&self, claim: Claim) -> &'a FileEntry {
        &self.packages[claim.package].files.entries[claim.file]
    }

    pub(super) fn nevra(&self, claim: Claim) -> &str {
        &self.names[claim.package]
    }

    pub(super) fn side(&self, claim: Claim) -> Side<'a> {
        side(self.packages, claim)
    }

    /// Puts a file at `path`.
    pub(super) fn add(&mut self, path: LayerPath, claim: Claim) {
        self.placed.insert(path, claim);
    }

    /// Makes the nodes and adds those that the base does not already have.
    pub(super) fn finish(self, base: &Tree, out: &mut Installation) -> Result<(), InstallError> {
        // Paths come in byte order, so the first of several names is the one that carries the file.
        let mut first_names: BTreeMap<(usize, u32), LayerPath> = BTreeMap::new();
        let mut names_of: BTreeMap<(usize, u32), usize> = BTreeMap::new();
        for claim in self.placed.values() {
            if let Some(number) = self.entry(*claim).hardlinks {
                *names_of.entry((claim.package, number)).or_default() += 1;
            }
        }
        for (path, claim) in &self.placed {
            let entry = self.entry(*claim);
            let group = entry.hardlinks.map(|number| (claim.package, number));
            let group = group.filter(|group| names_of.get(group).is_some_and(|&n| n > 1));
            let kind = match group.and_then(|group| first_names.get(&group)) {
                Some(first) => Kind::Hardlink(first.clone()),
                None => self.kind(*claim, path)?,
            };
            if let Some(group) = group {
                first_names.entry(group).or_insert_with(|| path.clone());
            }
            let meta = self.meta(*claim, path)?;
            let node = Node { kind, meta };
            // Hard links stay within a layer, so all of their names are written.
            if group.is_none() && base.get(path) == Some(&node) {
                continue;
            }
            out.owner_of
                .insert(path.clone(), self.nevra(*claim).to_owned());
            out.tree.insert(path.clone(), node);
        }
        self.check_parents(base, out)
    }

    fn check_parents(&self, base: &Tree, out: &Installation) -> Result<(), InstallError> {
        let trees = Stacked {
            lower: base,
            upper: &out.tree,
        };
        let mut last_checked = LayerPath::root();
        for (path, claim) in &self.placed {
            let mut at = path.parent();
            while let Some(parent) = at {
                if parent == last_checked {
                    break;
                }
                if trees.get(&parent).is_some_and(|node| !node.is_dir()) {
                    return Err(InstallError::Parent {
                        package: self.nevra(*claim).to_owned(),
                        path: path.clone(),
                        parent,
                    });
                }
                at = parent.parent();
            }
            last_checked = path.parent().unwrap_or_default();
        }
        Ok(())
    }

    fn kind(&self, claim: Claim, path: &LayerPath) -> Result<Kind, InstallError> {
        let entry = self.entry(claim);
        let (major, minor) = device_numbers(entry.rdev);
        Ok(match entry.kind {
            FileType::Dir => Kind::Dir,
            FileType::Symlink => Kind::Symlink(entry.target.clone()),
            FileType::CharDevice => Kind::CharDevice { major, minor },
            FileType::BlockDevice => Kind::BlockDevice { major, minor },
            FileType::Fifo => Kind::Fifo,
            FileType::Regular => {
                let contents = &self.packages[claim.package].contents;
                let content = contents.get(claim.file).copied().flatten();
                Kind::File(content.ok_or_else(|| InstallError::NotUnpacked {
                    package: self.nevra(claim).to_owned(),
                    path: path.clone(),
                })?)
            }
        })
    }

    fn meta(&self, claim: Claim, path: &LayerPath) -> Result<Meta, InstallError> {
        let entry = self.entry(claim);
        let number = |kind, name: &str, found: Option<u32>| match (name, found) {
            // rpm does not look root up either: its number is the same everywhere.
            ("root", _) => Ok(0),
            (_, Some(number)) => Ok(number),
            (_, None) => Err(InstallError::Owner {
                package: self.nevra(claim).to_owned(),
                path: path.clone(),
                kind,
                name: name.to_owned(),
            }),
        };
        let (user, group) = (entry.user.as_str(), entry.group.as_str());
        let mut meta = Meta {
            mode: entry.mode & 0o7777,
            uid: number(OwnerKind::User, user, self.owners.uid(user))?,
            gid: number(OwnerKind::Group, group, self.owners.gid(group))?,
            mtime: i64::from(entry.mtime),
            xattrs: BTreeMap::new(),
        };
        if entry.kind == FileType::Regular {
            let text = &entry.capabilities;
            let value = capability_xattr(text).map_err(|source| InstallError::Capability {
                package: self.nevra(claim).to_owned(),
                path: path.clone(),
                text: text.clone(),
                source,
            })?;
            if let Some(value) = value {
                meta.xattrs.insert(b"security.capability".to_vec(), value);
            }
        }
        Ok(meta)
    }
}

/// Takes a device number apart as Linux does: `gnu_dev_major` and `gnu_dev_minor` of glibc.
fn device_numbers(rdev: u32) -> (u32, u32) {
    (
        (rdev >> 8) & 0xfff,
        (rdev & 0xff) | ((rdev >> 12) & 0xf_ff00),
    )
}
