//! Places the files of packages on a base: paths, owners, conflicts, configuration files.
//!
//! The result is what rpm would leave on a disk, as the nodes of one layer. Scriptlets have no part in it.

mod capabilities;
mod claims;
mod compare;
mod erase;
mod error;
mod known;
mod nodes;
mod paths;

use std::collections::BTreeMap;

pub use self::capabilities::{CAPABILITY_NAMES, CapabilityError, capability_xattr};
pub use self::error::{InstallError, OwnerKind};

use self::claims::{Claims, Outcome};
use self::compare::Action;
use self::known::known_files;
use self::nodes::Maker;
use self::paths::{Resolver, links_of};
use super::header::Header;
use super::payload::Unpacked;
use super::selection::FileState;
use crate::layer::tree::Stacked;
use crate::layer::{LayerPath, Node, Tree};

/// The accounts of the image, by name.
pub trait Owners {
    /// Returns the number of user `name`.
    fn uid(&self, name: &str) -> Option<u32>;

    /// Returns the number of group `name`.
    fn gid(&self, name: &str) -> Option<u32>;
}

/// What packages are installed on.
#[derive(Clone, Copy)]
pub struct Base<'a> {
    /// All files of the base.
    pub tree: &'a Tree,
    /// The headers of its installed packages that stay.
    pub kept: &'a [Header],
    /// The headers of its installed packages that go: replaced by newer ones, or erased.
    pub erased: &'a [Header],
}

/// What an installation adds to a base.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// The nodes of the layer; parents that exist in the base or that no package owns are not among them.
    ///
    /// A configuration file of the base that was moved aside keeps its content, which is in the base's own layer.
    pub tree: Tree,
    /// For each package, in the order given, the states of its files: what the database records.
    pub file_states: Vec<Vec<FileState>>,
    /// For each node that came from a package, which package.
    pub owner_of: BTreeMap<LayerPath, String>,
    /// Configuration files put beside others, and others moved aside: worth telling the user.
    pub set_aside: Vec<LayerPath>,
}

/// Installs `packages`, in this order, on `base`.
///
/// The rules are rpm's: a file that two packages hold must be the same in both, of several packages the last one's time
/// counts; a configuration file that was changed is kept; a directory that exists keeps its metadata.
///
/// # Errors
/// [`InstallError`], naming package and path.
pub fn install(
    base: Base<'_>,
    owners: &dyn Owners,
    packages: &[Unpacked],
) -> Result<Installation, InstallError> {
    let links = links_of(base.tree, packages)?;
    let mut resolver = Resolver::new(base.tree, &links);
    let known = known_files(base.kept, base.erased, &mut resolver)?;
    let mut claims = Claims::new(packages);
    for index in 0..packages.len() {
        claims.add(index, &mut resolver, &known)?;
    }
    let Outcome {
        winners,
        owned,
        file_states,
    } = claims.finish();

    let mut out = Installation {
        file_states,
        ..Installation::default()
    };
    let mut maker = Maker::new(owners, packages);
    for (path, winner) in &winners {
        let old = known.get(path).map_or(&[][..], Vec::as_slice);
        let disk = visible(base.tree, path);
        let entry = maker.entry(*winner);
        let nevra = maker.nevra(*winner);
        match claims::action(maker.side(*winner), old, disk) {
            Action::Skip => continue,
            Action::Create => {
                let existing = base.tree.get(path);
                if entry.kind == super::entries::FileType::Dir {
                    let trees = Stacked {
                        lower: base.tree,
                        upper: &links,
                    };
                    let real = trees.resolve(path).unwrap_or_else(|_| path.clone());
                    // As it is below, or through a link: /lib64 of a merged root.
                    if trees.get(&real).is_some_and(Node::is_dir) {
                        continue;
                    }
                } else if existing.is_some_and(Node::is_dir) {
                    return Err(InstallError::OverDirectory {
                        package: nevra.to_owned(),
                        path: path.clone(),
                    });
                }
                maker.add(path.clone(), *winner);
            }
            Action::PutBeside => {
                let beside = with_suffix(path, ".rpmnew");
                maker.add(beside.clone(), *winner);
                out.set_aside.push(beside);
            }
            Action::MoveAside(suffix) => {
                let aside = with_suffix(path, suffix);
                if let Some(node) = disk {
                    out.tree.insert(aside.clone(), node.clone());
                    out.set_aside.push(aside);
                }
                maker.add(path.clone(), *winner);
            }
        }
    }
    maker.finish(base.tree, &mut out)?;
    erase::erase(base.tree, &known, &owned, &mut out);
    Ok(out)
}

/// Returns what is at `path`; for another name of a file, the file.
fn visible<'a>(tree: &'a Tree, path: &LayerPath) -> Option<&'a Node> {
    match tree.get(path) {
        Some(Node {
            kind: crate::layer::Kind::Hardlink(first),
            ..
        }) => tree.get(first),
        other => other,
    }
}

/// Returns `path` with a suffix, as `.rpmnew`; unchanged if no file system could store that name.
fn with_suffix(path: &LayerPath, suffix: &str) -> LayerPath {
    LayerPath::parse([path.as_bytes(), suffix.as_bytes()].concat()).unwrap_or_else(|_| path.clone())
}
