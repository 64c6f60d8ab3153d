//! Puts the entries of a layer where the links of the layers below lead.

use super::BuildError;
use crate::layer::tree::Stacked;
use crate::layer::{Kind, LayerPath, Node, Tree};

/// Puts every path where the links below lead, so that no layer replaces a link such as `/lib64` or `/var/run`.
///
/// Folders that are there already are left out: they keep their owner and mode.
///
/// # Errors
/// [`BuildError::Tree`] where links lead nowhere; [`BuildError::OverFolder`] for what would hide a folder and all in it.
pub(super) fn through_links(tree: Tree, below: Stacked<'_>) -> Result<Tree, BuildError> {
    let is_folder = |at: &LayerPath| below.get(at).is_some_and(Node::is_dir);
    let mut out = Tree::default();
    for (path, node) in tree {
        let mut at = below.resolve_parents(&path)?;
        // A folder over a link to a folder means that folder.
        if node.is_dir() && below.get(&at).is_some_and(|below| !below.is_dir()) {
            at = below.resolve(&at)?;
        }
        match &node.kind {
            Kind::Dir if is_folder(&at) => continue,
            Kind::Dir | Kind::Whiteout => {}
            _ if is_folder(&at) => return Err(BuildError::OverFolder(at)),
            _ => {}
        }
        out.insert(at, node);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::{Class, Diagnose as _};
    use crate::layer::Content;

    fn tree(nodes: &[(&str, Node)]) -> Tree {
        let path = |at: &str| LayerPath::parse(at).expect(at);
        nodes
            .iter()
            .map(|(at, node)| (path(at), node.clone()))
            .collect()
    }

    fn placed(upper: Tree) -> Result<Vec<String>, BuildError> {
        let lower = tree(&[
            ("usr", Node::made_dir()),
            ("usr/bin", Node::made_dir()),
            ("usr/bin/tool", Node::made_file(Content::of(b"t"), 0o755)),
            ("bin", Node::made_symlink("usr/bin")),
        ]);
        let nothing = Tree::default();
        let below = Stacked {
            lower: &lower,
            upper: &nothing,
        };
        let tree = through_links(upper, below)?;
        Ok(tree.iter().map(|(path, _)| path.to_string()).collect())
    }

    #[test]
    fn paths_lead_through_the_links_below_and_folders_that_are_there_are_left_alone() {
        let file = Node::made_file(Content::of(b"x"), 0o644);
        let upper = tree(&[
            ("bin", Node::made_dir()),
            ("bin/app", file.clone()),
            ("bin/tool", file),
            ("srv", Node::made_dir()),
        ]);
        let wanted = ["/srv", "/usr/bin/app", "/usr/bin/tool"];
        assert_eq!(placed(upper).expect("fits"), wanted);
    }

    #[test]
    fn a_file_or_link_never_hides_a_folder_of_the_base() {
        let file = Node::made_file(Content::of(b"x"), 0o644);
        for node in [file, Node::made_symlink("elsewhere")] {
            let error = placed(tree(&[("usr/bin", node)])).expect_err("all tools would be gone");
            assert_eq!(error.class(), Class::Usage);
            assert_eq!(
                error.to_string(),
                "/usr/bin is a folder in the image, and what goes there is not"
            );
        }
        assert!(placed(tree(&[("usr/bin", Node::whiteout())])).is_ok());
    }
}
