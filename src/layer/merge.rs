//! Merges nodes into a tree without losing files that have several names.
//!
//! In a tree one name of such a file carries the content and the others refer to it. On a disk all names are equal:
//! when a layer replaces or removes the one that carries, the file must live on under the others. So while nodes
//! are merged, names are kept in groups, and only at the end the first of each group is made to carry.

use std::collections::{BTreeMap, BTreeSet};

use super::content::Content;
use super::node::{Kind, Meta, Node};
use super::path::LayerPath;
use super::tree::Tree;

/// One file and all its names.
struct Group {
    content: Content,
    meta: Meta,
    names: BTreeSet<LayerPath>,
}

/// A tree that is being changed.
pub(super) struct Merge<'a> {
    tree: &'a mut Tree,
    groups: Vec<Group>,
    /// The group of every name that is in one.
    group_of: BTreeMap<LayerPath, usize>,
}

impl<'a> Merge<'a> {
    /// Starts to change `tree`; it is whole again after [`Merge::finish`].
    pub(super) fn new(tree: &'a mut Tree) -> Self {
        let links: Vec<_> = tree
            .iter()
            .filter_map(|(path, node)| match &node.kind {
                Kind::Hardlink(target) => Some((path.clone(), target.clone())),
                _ => None,
            })
            .collect();
        let mut merge = Self {
            tree,
            groups: Vec::new(),
            group_of: BTreeMap::new(),
        };
        for (path, target) in links {
            merge.join(path, &target);
        }
        merge
    }

    /// Returns the tree as it is; which name of a file carries its content is open.
    pub(super) fn tree(&self) -> &Tree {
        self.tree
    }

    /// Puts `node` at `path` as an unpacker would: only a directory on a directory leaves what is below.
    ///
    /// A hard link becomes a name of the file it links to, or a copy of what else it links to. If that is not
    /// there, it stays as it is.
    pub(super) fn put(&mut self, path: LayerPath, node: Node) {
        match self.tree.get(&path) {
            Some(there) if there.is_dir() && !node.is_dir() => self.remove_within(&path),
            Some(_) => self.remove(&path),
            None => {}
        }
        let Kind::Hardlink(target) = &node.kind else {
            self.tree.insert(path, node);
            return;
        };
        let target = target.clone();
        match self.tree.get(&target) {
            Some(other) if !matches!(other.kind, Kind::File(_) | Kind::Hardlink(_)) => {
                let copy = other.clone();
                self.tree.insert(path, copy);
            }
            _ => {
                self.tree.insert(path.clone(), node);
                self.join(path, &target);
            }
        }
    }

    /// Takes `path` and everything below it out.
    pub(super) fn remove_within(&mut self, path: &LayerPath) {
        let below: Vec<_> = self.tree.within(path).map(|(at, _)| at.clone()).collect();
        for at in below {
            self.remove(&at);
        }
    }

    /// Takes one node out.
    pub(super) fn remove(&mut self, path: &LayerPath) {
        self.tree.remove(path);
        if let Some(group) = self.group_of.remove(path) {
            self.groups[group].names.remove(path);
        }
    }

    /// Makes the first name of every file carry it and the others link to that.
    pub(super) fn finish(self) {
        for Group {
            content,
            meta,
            names,
        } in self.groups
        {
            let mut names = names.into_iter();
            let Some(first) = names.next() else {
                continue;
            };
            for name in names {
                let node = Node {
                    kind: Kind::Hardlink(first.clone()),
                    meta: meta.clone(),
                };
                self.tree.insert(name, node);
            }
            let kind = Kind::File(content);
            self.tree.insert(first, Node { kind, meta });
        }
    }

    /// Makes `path` a name of the file at `target`, if there is one.
    fn join(&mut self, path: LayerPath, target: &LayerPath) {
        let group = match (self.group_of.get(target), self.tree.get(target)) {
            (Some(&group), _) => group,
            (None, Some(file)) => {
                let Kind::File(content) = file.kind else {
                    return;
                };
                let group = self.groups.len();
                self.groups.push(Group {
                    content,
                    meta: file.meta.clone(),
                    names: [target.clone()].into(),
                });
                self.group_of.insert(target.clone(), group);
                group
            }
            (None, None) => return,
        };
        self.groups[group].names.insert(path.clone());
        self.group_of.insert(path, group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> LayerPath {
        LayerPath::parse(text).expect(text)
    }

    fn file(bytes: &[u8]) -> Node {
        Node::made_file(Content::of(bytes), 0o644)
    }

    fn link(target: &str) -> Node {
        Node {
            kind: Kind::Hardlink(path(target)),
            meta: Meta::made(0o644),
        }
    }

    fn tree(nodes: &[(&str, Node)]) -> Tree {
        nodes
            .iter()
            .map(|(at, node)| (path(at), node.clone()))
            .collect()
    }

    #[test]
    fn a_file_lives_on_when_the_name_that_carried_it_goes() {
        let lower = [
            ("a", file(b"old")),
            ("b", link("a")),
            ("c", link("a")),
            ("d", Node::made_symlink("x")),
        ];
        for (upper, wanted) in [
            (
                tree(&[("a", Node::whiteout())]),
                tree(&[
                    ("b", file(b"old")),
                    ("c", link("b")),
                    ("d", Node::made_symlink("x")),
                ]),
            ),
            (
                tree(&[("a", file(b"new")), ("b", Node::whiteout())]),
                tree(&[
                    ("a", file(b"new")),
                    ("c", file(b"old")),
                    ("d", Node::made_symlink("x")),
                ]),
            ),
            (
                tree(&[("a", link("z")), ("z", file(b"new")), ("d", link("c"))]),
                tree(&[
                    ("a", file(b"new")),
                    ("b", file(b"old")),
                    ("c", link("b")),
                    ("d", link("b")),
                    ("z", link("a")),
                ]),
            ),
        ] {
            let mut lower = tree(&lower);
            lower.apply(upper);
            assert_eq!(lower, wanted);
        }
    }

    #[test]
    fn a_link_to_what_is_no_file_is_a_copy() {
        let mut lower = tree(&[("a", Node::made_symlink("x"))]);
        lower.apply(tree(&[("b", link("a"))]));
        assert_eq!(lower.get(&path("b")), Some(&Node::made_symlink("x")));
    }
}
