//! Copy rules and a listing of the source tree become nodes.

use crate::diagnose::{Class, Diagnose};
use crate::layer::{Content, Kind, LayerPath, Meta, Node, Tree};
use crate::recipe::CopyRule;

/// One entry of the source tree, as a copy rule found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceEntry {
    /// Relative to the rule's `from`; the root is `from` itself.
    pub path: LayerPath,
    /// What it is.
    pub kind: SourceKind,
}

/// What an entry of the source tree is. Modes reduce to "executable or not", owners and times are not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A folder.
    Dir,
    /// A file.
    File {
        /// Its bytes.
        content: Content,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A relative link that stays inside the copied folder.
    Symlink(Vec<u8>),
}

/// What each copy rule of a recipe found, in the order of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceList {
    /// Entries sorted by path, for each rule.
    pub rules: Vec<Vec<SourceEntry>>,
}

/// Why the source tree cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Two rules want different things at one path.
    #[error("copy rules {first} and {second} both put something different at {path}")]
    Conflict {
        /// Where.
        path: LayerPath,
        /// `from` of the first rule.
        first: String,
        /// `from` of the second rule.
        second: String,
    },
    /// The rule's destination is not a path.
    #[error("copy rule `{from}`: {message}")]
    Destination {
        /// `from` of the rule.
        from: String,
        /// What is wrong.
        message: String,
    },
    /// The rule's owner is no user of the image.
    #[error("copy rule `{from}`: the image has no user `{owner}`")]
    Owner {
        /// `from` of the rule.
        from: String,
        /// The user's name.
        owner: String,
    },
}

impl Diagnose for SourceError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict { .. } => {
                Some("leave it out of one rule with `exclude = [...]`".to_owned())
            }
            Self::Owner { .. } => {
                Some("declare it under [user], or leave `owner` out for root".to_owned())
            }
            Self::Destination { .. } => None,
        }
    }
}

/// Returns where an entry of `rule` goes: `to` for the root of a folder, `to/NAME` for a file and a `to` that ends in `/`
/// or is the image's root.
fn destination(rule: &CopyRule, entry: &SourceEntry) -> Result<LayerPath, SourceError> {
    let bad = |error: crate::layer::path::PathError| SourceError::Destination {
        from: rule.from.clone(),
        message: error.to_string(),
    };
    let to = LayerPath::parse(&rule.to).map_err(bad)?;
    let is_lone_file = entry.path.is_root() && !matches!(entry.kind, SourceKind::Dir);
    if is_lone_file && (rule.to.ends_with('/') || to.is_root()) {
        let from = LayerPath::parse(&rule.from).map_err(bad)?;
        return to.join(from.file_name()).map_err(bad);
    }
    to.join(entry.path.as_bytes()).map_err(bad)
}

/// Lays the entries out: folders 0755, files 0644 or 0755, one owner a rule, one time for all.
///
/// `owner` tells a user's uid and gid.
///
/// # Errors
/// [`SourceError`] for rules that contradict one another and owners the image does not have.
pub fn lay_out(
    rules: &[CopyRule],
    list: &SourceList,
    owner: impl Fn(&str) -> Option<(u32, u32)>,
) -> Result<Tree, SourceError> {
    let mut tree = Tree::default();
    let mut placed_by = std::collections::BTreeMap::new();
    for (rule, entries) in rules.iter().zip(&list.rules) {
        let (uid, gid) = match &rule.owner {
            None => (0, 0),
            Some(name) => {
                let missing = || SourceError::Owner {
                    from: rule.from.clone(),
                    owner: name.clone(),
                };
                owner(name).ok_or_else(missing)?
            }
        };
        for entry in entries {
            let path = destination(rule, entry)?;
            if path.is_root() {
                continue;
            }
            let (kind, mode) = match &entry.kind {
                SourceKind::Dir => (Kind::Dir, 0o755),
                SourceKind::File {
                    content,
                    executable,
                } => (
                    Kind::File(*content),
                    if *executable { 0o755 } else { 0o644 },
                ),
                SourceKind::Symlink(target) => (Kind::Symlink(target.clone()), 0o777),
            };
            let node = Node {
                kind,
                meta: Meta::made(mode).owned_by(uid, gid),
            };
            match tree.get(&path) {
                Some(present) if *present != node && !(present.is_dir() && node.is_dir()) => {
                    let first: &&CopyRule =
                        placed_by.get(&path).expect("every node placed is recorded");
                    return Err(SourceError::Conflict {
                        path,
                        first: first.from.clone(),
                        second: rule.from.clone(),
                    });
                }
                Some(_) => {}
                None => {
                    placed_by.insert(path.clone(), rule);
                    tree.insert(path, node);
                }
            }
        }
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(from: &str, to: &str) -> CopyRule {
        CopyRule {
            from: from.to_owned(),
            to: to.to_owned(),
            exclude: Vec::new(),
            owner: None,
        }
    }

    fn file(path: &str, bytes: &[u8]) -> SourceEntry {
        let path = LayerPath::parse(path).expect(path);
        SourceEntry {
            path,
            kind: SourceKind::File {
                content: Content::of(bytes),
                executable: false,
            },
        }
    }

    fn paths(tree: &Tree) -> Vec<String> {
        tree.iter().map(|(path, _)| path.to_string()).collect()
    }

    #[test]
    fn a_folder_goes_into_its_destination_and_a_file_becomes_it() {
        let folder = vec![
            SourceEntry {
                path: LayerPath::root(),
                kind: SourceKind::Dir,
            },
            file("app.py", b"x"),
        ];
        let rules = [
            rule("src", "/app/src"),
            rule("pyproject.toml", "/app/p.toml"),
            rule("docs/README", "/app/"),
            rule("docs/LICENSE", "/."),
        ];
        let list = SourceList {
            rules: vec![
                folder,
                vec![file("", b"p")],
                vec![file("", b"r")],
                vec![file("", b"l")],
            ],
        };
        let tree = lay_out(&rules, &list, |_| None).expect("no conflict");
        assert_eq!(
            paths(&tree),
            [
                "/LICENSE",
                "/app/README",
                "/app/p.toml",
                "/app/src",
                "/app/src/app.py"
            ]
        );
    }

    #[test]
    fn rules_that_contradict_one_another_are_named() {
        let rules = [rule("a", "/x"), rule("b", "/x")];
        let same = SourceList {
            rules: vec![vec![file("", b"1")], vec![file("", b"1")]],
        };
        assert!(lay_out(&rules, &same, |_| None).is_ok());
        let differs = SourceList {
            rules: vec![vec![file("", b"1")], vec![file("", b"2")]],
        };
        let error = lay_out(&rules, &differs, |_| None).expect_err("a conflict");
        assert_eq!(
            error.to_string(),
            "copy rules a and b both put something different at /x"
        );
    }
}
