//! Adds the parent directories of the nodes of a layer, with the exact metadata they have below.

use super::node::Node;
use super::path::LayerPath;
use super::tree::{Stacked, Tree, TreeError};

/// Adds to `upper` every parent directory that its nodes lack.
///
/// A directory that exists in `lower` comes with its exact metadata, because unpackers apply what the layer says
/// to the directory that is there. One that is new is made with mode 0755, owned by root. The root itself is not
/// added. Removals need parents too.
///
/// # Errors
/// [`TreeError::NotInside`] if a parent is something else than a directory, in `upper` or in `lower`: resolve
/// paths through symbolic links first.
pub fn complete(upper: &mut Tree, lower: Stacked<'_>) -> Result<(), TreeError> {
    let mut missing: Vec<(LayerPath, Node)> = Vec::new();
    let mut last = LayerPath::root();
    for (path, _) in upper.iter() {
        let mut parent = path.parent().unwrap_or_default();
        // Siblings come one after the other: what held for the last parent holds for this one.
        if parent == last {
            continue;
        }
        last = parent.clone();
        while !parent.is_root() {
            match upper.get(&parent) {
                Some(node) if node.is_dir() => {}
                Some(_) => return Err(TreeError::NotInside(parent)),
                None => {
                    let node = match lower.get(&parent) {
                        Some(node) if node.is_dir() => node.clone(),
                        Some(_) => return Err(TreeError::NotInside(parent)),
                        None => Node::made_dir(),
                    };
                    missing.push((parent.clone(), node));
                }
            }
            parent = parent.parent().unwrap_or_default();
        }
    }
    for (path, node) in missing {
        upper.insert(path, node);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::content::Content;
    use crate::layer::node::Meta;

    fn path(text: &str) -> LayerPath {
        LayerPath::parse(text).expect(text)
    }

    fn over(lower: &Tree) -> Stacked<'_> {
        static NOTHING: std::sync::LazyLock<Tree> = std::sync::LazyLock::new(Tree::default);
        Stacked {
            lower,
            upper: &NOTHING,
        }
    }

    fn file() -> Node {
        Node::made_file(Content::of(b"x"), 0o644)
    }

    fn tree(nodes: &[(&str, Node)]) -> Tree {
        nodes
            .iter()
            .map(|(at, node)| (path(at), node.clone()))
            .collect()
    }

    #[test]
    fn a_parent_that_exists_below_keeps_its_exact_metadata() {
        let mut sticky = Node::made_dir();
        sticky.meta = Meta::made(0o1777).owned_by(3, 4);
        sticky.meta.mtime = -5;
        sticky.meta.xattrs.insert(b"user.x".to_vec(), vec![0]);
        let lower = tree(&[("tmp", sticky.clone())]);
        let mut upper = tree(&[("tmp/new/file", file()), ("tmp/gone", Node::whiteout())]);
        complete(&mut upper, over(&lower)).expect("complete");
        assert_eq!(upper.get(&path("tmp")), Some(&sticky));
        assert_eq!(upper.get(&path("tmp/new")), Some(&Node::made_dir()));
        assert_eq!(upper.len(), 4, "the root is not added: {upper:?}");
    }

    #[test]
    fn a_parent_of_the_layer_itself_is_left_alone() {
        let mut own = Node::made_dir();
        own.meta.mode = 0o700;
        let lower = tree(&[("a", Node::made_dir())]);
        let mut upper = tree(&[("a", own.clone()), ("a/b/c", file())]);
        complete(&mut upper, over(&lower)).expect("complete");
        assert_eq!(upper.get(&path("a")), Some(&own));
        assert!(upper.get(&path("a/b")).is_some_and(Node::is_dir));
    }

    #[test]
    fn a_parent_that_is_no_directory_is_an_error() {
        let link = Node::made_symlink("usr/lib64");
        for (lower, upper) in [
            (
                tree(&[("lib64", link.clone())]),
                tree(&[("lib64/x", file())]),
            ),
            (tree(&[]), tree(&[("lib64", link), ("lib64/x", file())])),
            (tree(&[("lib64", file())]), tree(&[("lib64/a/x", file())])),
            (
                tree(&[("lib64", Node::made_dir())]),
                tree(&[("lib64", Node::whiteout()), ("lib64/x", file())]),
            ),
        ] {
            let mut upper = upper;
            assert_eq!(
                complete(&mut upper, over(&lower)),
                Err(TreeError::NotInside(path("lib64")))
            );
        }
    }
}
