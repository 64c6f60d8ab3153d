//! The entries of a layer in order, with hard links made to point at the first name of their group.

use std::collections::BTreeMap;

use super::WriteError;
use crate::layer::content::Content;
use crate::layer::node::{Kind, Meta};
use crate::layer::path::LayerPath;
use crate::layer::tar::write::{Body, Entry};
use crate::layer::tree::Tree;

/// An entry to write, and the content that follows its header.
pub(super) struct Planned<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) content: Option<&'a Content>,
}

/// One file with several names.
struct Group<'a> {
    first: &'a LayerPath,
    content: &'a Content,
    meta: &'a Meta,
}

/// Returns the entries of `tree` in byte order of their paths.
pub(super) fn plan(tree: &Tree) -> Result<Vec<Planned<'_>>, WriteError> {
    let groups = groups(tree)?;
    tree.iter()
        .map(|(path, node)| {
            check_parent(tree, path)?;
            let file = match &node.kind {
                Kind::File(_) => Some(path),
                Kind::Hardlink(target) => Some(target),
                _ => None,
            };
            if let Some(group) = file.and_then(|file| groups.get(file)) {
                return Ok(named(path, group));
            }
            let mut content = None;
            let body = match &node.kind {
                Kind::Dir => Body::Dir,
                Kind::File(file) => {
                    content = Some(file);
                    Body::File(file.size)
                }
                Kind::Symlink(target) => Body::Symlink(target),
                Kind::Hardlink(target) => Body::Link(target),
                Kind::CharDevice { major, minor } => Body::CharDevice(*major, *minor),
                Kind::BlockDevice { major, minor } => Body::BlockDevice(*major, *minor),
                Kind::Fifo => Body::Fifo,
                Kind::Whiteout => Body::Whiteout,
            };
            let meta = &node.meta;
            let entry = Entry { path, meta, body };
            Ok(Planned { entry, content })
        })
        .collect()
}

/// Returns the entry for one name of a file that has several.
///
/// All names carry the file's metadata: an unpacker sets owner and attributes again for each, on the same inode,
/// and setting the owner clears the capabilities.
fn named<'a>(path: &'a LayerPath, group: &Group<'a>) -> Planned<'a> {
    let is_first = path == group.first;
    let body = if is_first {
        Body::File(group.content.size)
    } else {
        Body::Link(group.first)
    };
    Planned {
        entry: Entry {
            path,
            meta: group.meta,
            body,
        },
        content: is_first.then_some(group.content),
    }
}

/// Returns the files that have several names, by the path of the file node.
fn groups(tree: &Tree) -> Result<BTreeMap<&LayerPath, Group<'_>>, WriteError> {
    let mut groups: BTreeMap<&LayerPath, Group<'_>> = BTreeMap::new();
    for (path, node) in tree.iter() {
        let Kind::Hardlink(target) = &node.kind else {
            continue;
        };
        let Some(file) = tree.get(target) else {
            return Err(WriteError::LinkMissing {
                path: path.clone(),
                target: target.clone(),
            });
        };
        let Kind::File(content) = &file.kind else {
            return Err(WriteError::LinkToOther {
                path: path.clone(),
                target: target.clone(),
            });
        };
        // Paths come in order, so the first link seen is the first of all links.
        groups.entry(target).or_insert(Group {
            first: path.min(target),
            content,
            meta: &file.meta,
        });
    }
    Ok(groups)
}

fn check_parent(tree: &Tree, path: &LayerPath) -> Result<(), WriteError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    match tree.get(&parent) {
        Some(node) if node.is_dir() => Ok(()),
        Some(_) => Err(WriteError::ParentNotDirectory {
            path: path.clone(),
            parent,
        }),
        // Every image has a root.
        None if parent.is_root() => Ok(()),
        None => Err(WriteError::NoParent { path: path.clone() }),
    }
}
