//! An ordered tree of nodes: the merged root of an image, or what one layer adds to it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use super::merge::Merge;
use super::node::{Kind, Node};
use super::path::LayerPath;

/// Nodes by path, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<LayerPath, Node>);

/// Why a node cannot go where it was put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Two inputs want different things at one path.
    #[error("{path}: `{first}` and `{second}` both put something different here")]
    Conflict {
        /// Where.
        path: LayerPath,
        /// Who came first.
        first: String,
        /// Who came second.
        second: String,
    },
    /// Symbolic links lead in a circle.
    #[error("{0}: too many levels of symbolic links")]
    Loop(LayerPath),
    /// A symbolic link leads out of the root by `..`, or a path has a file where a directory must be.
    #[error("{0}: not a path inside the image")]
    NotInside(LayerPath),
}

impl Tree {
    /// Returns the node at `path`, without following links.
    #[must_use]
    pub fn get(&self, path: &LayerPath) -> Option<&Node> {
        self.0.get(path)
    }

    /// Puts `node` at `path`, replacing what was there, and returns that.
    pub fn insert(&mut self, path: LayerPath, node: Node) -> Option<Node> {
        self.0.insert(path, node)
    }

    /// Takes the node at `path` out.
    pub fn remove(&mut self, path: &LayerPath) -> Option<Node> {
        self.0.remove(path)
    }

    /// Takes out `directory` and everything below it.
    pub fn remove_within(&mut self, directory: &LayerPath) {
        let below: Vec<_> = self
            .within(directory)
            .map(|(path, _)| path.clone())
            .collect();
        for path in below {
            self.0.remove(&path);
        }
    }

    /// Returns all nodes in byte order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&LayerPath, &Node)> {
        self.0.iter()
    }

    /// Returns all nodes in byte order of their paths, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&LayerPath, &mut Node)> {
        self.0.iter_mut()
    }

    /// Returns `directory` and everything below it.
    pub fn within<'a>(
        &'a self,
        directory: &LayerPath,
    ) -> impl Iterator<Item = (&'a LayerPath, &'a Node)> {
        // Siblings such as `a-b` sort between `a` and `a/b`. What is below starts with `a/` and ends before `a0`,
        // as `0` comes after `/`: looking only there keeps a hostile layer from making this slow.
        let [mut start, mut end] = [directory.as_bytes(); 2].map(<[u8]>::to_vec);
        start.push(b'/');
        end.push(b'0');
        let below = if directory.is_root() {
            (Bound::Excluded(&[][..]), Bound::Unbounded)
        } else {
            (Bound::Included(&start[..]), Bound::Excluded(&end[..]))
        };
        let below = self.0.range::<[u8], _>(below);
        self.0.get_key_value(directory).into_iter().chain(below)
    }

    /// Returns how many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `path` with every symbolic link among its parents followed, as the kernel would inside this root.
    ///
    /// The last component is not followed. What does not exist is kept as written, so the answer is also where a
    /// new file would go: `/lib64/x` is `usr/lib64/x` on a merged root.
    ///
    /// # Errors
    /// [`TreeError::Loop`] after 40 links, as Linux; [`TreeError::NotInside`] where a path is no longer valid.
    pub fn resolve_parents(&self, path: &LayerPath) -> Result<LayerPath, TreeError> {
        resolve(path, Follow::Parents, |at| self.get(at))
    }

    /// Returns `path` with every symbolic link followed, the last component too.
    ///
    /// # Errors
    /// As for [`Tree::resolve_parents`].
    pub fn resolve(&self, path: &LayerPath) -> Result<LayerPath, TreeError> {
        resolve(path, Follow::All, |at| self.get(at))
    }

    /// Applies a layer on top: whiteouts remove, a non-directory replaces all below it, everything else is set.
    ///
    /// A file that loses the name that carried its content lives on under its other names.
    pub fn apply(&mut self, upper: Tree) {
        let (links, nodes): (Vec<_>, Vec<_>) = upper
            .0
            .into_iter()
            .partition(|(_, node)| matches!(node.kind, Kind::Hardlink(_)));
        let mut merge = Merge::new(self);
        // Links last, because the file that they name may come after them.
        for (path, node) in nodes.into_iter().chain(links) {
            match node.kind {
                Kind::Whiteout => merge.remove_within(&path),
                _ => merge.put(path, node),
            }
        }
        merge.finish();
    }
}

impl FromIterator<(LayerPath, Node)> for Tree {
    fn from_iter<I: IntoIterator<Item = (LayerPath, Node)>>(nodes: I) -> Self {
        Self(nodes.into_iter().collect())
    }
}

impl IntoIterator for Tree {
    type Item = (LayerPath, Node);
    type IntoIter = std::collections::btree_map::IntoIter<LayerPath, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    Parents,
    All,
}

/// Walks `path` through `lookup`; also used where two trees lie over one another.
fn resolve<'a>(
    path: &LayerPath,
    follow: Follow,
    lookup: impl Fn(&LayerPath) -> Option<&'a Node>,
) -> Result<LayerPath, TreeError> {
    const MAX_LINKS: u32 = 40;
    let mut todo: VecDeque<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
    let mut at = LayerPath::root();
    let mut links = 0;
    while let Some(component) = todo.pop_front() {
        if component == b".." {
            // The kernel's `..` at the root stays at the root.
            at = at.parent().unwrap_or_default();
            continue;
        }
        let next = at
            .join(&component)
            .map_err(|_| TreeError::NotInside(path.clone()))?;
        let is_last = todo.is_empty();
        match lookup(&next).map(|node| &node.kind) {
            Some(Kind::Symlink(target)) if follow == Follow::All || !is_last => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(TreeError::Loop(path.clone()));
                }
                if target.starts_with(b"/") {
                    at = LayerPath::root();
                }
                let parts = target
                    .split(|&c| c == b'/')
                    .filter(|part| !part.is_empty() && *part != b".");
                for part in parts.rev() {
                    todo.push_front(part.to_vec());
                }
            }
            _ => at = next,
        }
    }
    Ok(at)
}

/// Two trees, one over the other, without merging them: what a layer being made sees.
#[derive(Clone, Copy)]
pub struct Stacked<'a> {
    /// The base.
    pub lower: &'a Tree,
    /// What is being added.
    pub upper: &'a Tree,
}

impl<'a> Stacked<'a> {
    /// Returns the node that is visible at `path`; a whiteout hides, and is not returned itself.
    #[must_use]
    pub fn get(&self, path: &LayerPath) -> Option<&'a Node> {
        match self.upper.get(path) {
            Some(Node {
                kind: Kind::Whiteout,
                ..
            }) => None,
            Some(node) => Some(node),
            None => self.lower.get(path),
        }
    }

    /// As [`Tree::resolve_parents`], through both trees.
    ///
    /// # Errors
    /// As for [`Tree::resolve_parents`].
    pub fn resolve_parents(&self, path: &LayerPath) -> Result<LayerPath, TreeError> {
        resolve(path, Follow::Parents, |at| self.get(at))
    }

    /// As [`Tree::resolve`], through both trees.
    ///
    /// # Errors
    /// As for [`Tree::resolve_parents`].
    pub fn resolve(&self, path: &LayerPath) -> Result<LayerPath, TreeError> {
        resolve(path, Follow::All, |at| self.get(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::content::Content;

    fn path(text: &str) -> LayerPath {
        LayerPath::parse(text).expect(text)
    }

    fn merged_usr() -> Tree {
        [
            ("usr", Node::made_dir()),
            ("usr/lib64", Node::made_dir()),
            ("lib64", Node::made_symlink("usr/lib64")),
            ("var", Node::made_dir()),
            ("var/run", Node::made_symlink("../run")),
            ("a", Node::made_symlink("b")),
            ("b", Node::made_symlink("a")),
        ]
        .into_iter()
        .map(|(at, node)| (path(at), node))
        .collect()
    }

    #[test]
    fn parents_are_followed_as_the_kernel_would() {
        let tree = merged_usr();
        for (from, to) in [
            ("lib64/libc.so.6", "usr/lib64/libc.so.6"),
            ("lib64", "lib64"),
            ("var/run/lock/x", "run/lock/x"),
            ("new/dir/file", "new/dir/file"),
        ] {
            assert_eq!(tree.resolve_parents(&path(from)), Ok(path(to)));
        }
        assert_eq!(tree.resolve(&path("lib64")), Ok(path("usr/lib64")));
        assert_eq!(
            tree.resolve_parents(&path("a/x")),
            Err(TreeError::Loop(path("a/x")))
        );
    }

    #[test]
    fn a_layer_replaces_removes_and_adds() {
        let mut tree = merged_usr();
        let file = Node::made_file(Content::of(b"x"), 0o644);
        let upper: Tree = [
            (path("usr"), Node::whiteout()),
            (path("var"), file.clone()),
            (path("new"), Node::made_dir()),
        ]
        .into_iter()
        .collect();
        tree.apply(upper);
        assert_eq!(tree.get(&path("usr/lib64")), None);
        assert_eq!(tree.get(&path("var/run")), None);
        assert_eq!(tree.get(&path("var")), Some(&file));
        assert!(tree.get(&path("new")).is_some_and(Node::is_dir));
    }

    #[test]
    fn within_steps_over_siblings_that_sort_between() {
        let tree: Tree = ["a", "a-b", "a/c", "a/c/d", "ab"]
            .into_iter()
            .map(|at| (path(at), Node::made_dir()))
            .collect();
        let found: Vec<_> = tree
            .within(&path("a"))
            .map(|(at, _)| at.to_string())
            .collect();
        assert_eq!(found, ["/a", "/a/c", "/a/c/d"]);
    }
}
