//! Which commit a recipe's folder is at, and whether what was built is what that commit holds.
//!
//! Read with libgit2: no program is run, neither git nor one that the repository's configuration names.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use git2::{ErrorCode, ObjectType, Repository, Tree, TreeWalkMode, TreeWalkResult};

use crate::layer::LayerPath;
use crate::oci::Digest;
use crate::provenance::Revision;
use crate::recipe::CopyRule;
use crate::source::{SourceEntry, SourceKind, SourceList};

/// git's mode of a file that its owner may execute.
const EXECUTABLE: i32 = 0o100_755;
/// git's mode of a symbolic link.
const SYMLINK: i32 = 0o120_000;

/// What of a folder went into a build.
pub struct Used<'a> {
    /// The recipe's folder.
    pub folder: &'a Path,
    /// The recipe's path from there. One that is not committed is not under version control, whatever is around it.
    pub recipe: &'a Path,
    /// Its copy rules.
    pub rules: &'a [CopyRule],
    /// What they found.
    pub source: &'a SourceList,
    /// Other files: their path from the folder, and the digest of what was read.
    pub files: &'a [(PathBuf, Digest)],
}

/// What is known of a folder's history.
#[derive(Debug, PartialEq, Eq)]
pub enum History {
    /// It is at a commit.
    At(Revision),
    /// It is not under version control, or nothing of it is committed yet.
    None,
    /// It cannot be read.
    Unreadable(String),
}

/// Finds the commit that is checked out around `used.folder`.
#[must_use]
pub fn find(used: &Used<'_>) -> History {
    match look(used) {
        Ok(Some(revision)) => History::At(revision),
        Ok(None) => History::None,
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch) => {
            History::None
        }
        Err(error) => History::Unreadable(error.message().to_owned()),
    }
}

fn look(used: &Used<'_>) -> Result<Option<Revision>, git2::Error> {
    let repository = Repository::discover(used.folder)?;
    let commit = repository.head()?.peel_to_commit()?;
    // A bare repository holds no folder to build from; this one is somebody else's.
    let below = repository.workdir().and_then(|top| {
        let (top, folder) = (top.canonicalize().ok()?, used.folder.canonicalize().ok()?);
        Some(folder.strip_prefix(top).ok()?.to_owned())
    });
    let Some(below) = below else {
        return Ok(None);
    };
    let committed = Committed {
        repository: &repository,
        tree: commit.tree()?,
        below,
    };
    if committed.blob(used.recipe).is_none() {
        return Ok(None);
    }
    Ok(Some(Revision {
        commit: commit.id().to_string(),
        dirty: !committed.has_all(used),
    }))
}

/// What a commit holds.
struct Committed<'a> {
    repository: &'a Repository,
    tree: Tree<'a>,
    /// The recipe's folder in it.
    below: PathBuf,
}

impl Committed<'_> {
    /// Tells whether a checkout of the commit would be built to the same image, as far as the folder decides it.
    fn has_all(&self, used: &Used<'_>) -> bool {
        let files = used.files.iter();
        files
            .into_iter()
            .all(|(path, digest)| self.holds(path, Some(digest), None))
            && used
                .rules
                .iter()
                .zip(&used.source.rules)
                .all(|(rule, entries)| self.has_rule(used.folder, rule, entries))
    }

    fn has_rule(&self, folder: &Path, rule: &CopyRule, entries: &[SourceEntry]) -> bool {
        let from = Path::new(&rule.from);
        let all = entries.iter().all(|entry| {
            let path = from.join(path_of(&entry.path));
            match &entry.kind {
                // git knows no folders, only what is in them.
                SourceKind::Dir => true,
                SourceKind::File {
                    content,
                    executable,
                } => self.holds(&path, Some(&content.digest), Some(*executable)),
                SourceKind::Symlink(target) => self.holds_link(&path, target),
            }
        });
        all && self.lacks_nothing(folder, from, entries)
    }

    /// Tells whether everything in the commit below a copied folder was found, or is there and left out by the rule.
    fn lacks_nothing(&self, folder: &Path, from: &Path, entries: &[SourceEntry]) -> bool {
        let found: BTreeSet<&LayerPath> = entries.iter().map(|entry| &entry.path).collect();
        let Some(tree) = self.folder(from) else {
            return true;
        };
        let mut all = true;
        let walked = tree.walk(TreeWalkMode::PreOrder, |parent, entry| {
            if entry.kind() == Some(ObjectType::Tree) {
                return TreeWalkResult::Ok;
            }
            let name = [parent.as_bytes(), entry.name_bytes()].concat();
            let known = LayerPath::parse(&name).is_ok_and(|path| found.contains(&path));
            let there = || {
                LayerPath::parse(&name).is_ok_and(|path| {
                    folder
                        .join(from)
                        .join(path_of(&path))
                        .symlink_metadata()
                        .is_ok()
                })
            };
            if !known && !there() {
                all = false;
                return TreeWalkResult::Abort;
            }
            TreeWalkResult::Ok
        });
        all && walked.is_ok()
    }

    /// Returns a folder of the commit.
    fn folder(&self, path: &Path) -> Option<Tree<'_>> {
        let path = normal(&self.below.join(path))?;
        if path.as_os_str().is_empty() {
            return Some(self.tree.clone());
        }
        let entry = self.tree.get_path(&path).ok()?;
        self.repository.find_tree(entry.id()).ok()
    }

    /// Tells whether a file of the commit has these bytes.
    fn holds(&self, path: &Path, digest: Option<&Digest>, executable: Option<bool>) -> bool {
        let Some((mode, bytes)) = self.blob(path) else {
            return false;
        };
        mode != SYMLINK
            && executable.is_none_or(|executable| executable == (mode == EXECUTABLE))
            && digest.is_none_or(|digest| *digest == Digest::of(&bytes))
    }

    fn holds_link(&self, path: &Path, target: &[u8]) -> bool {
        self.blob(path) == Some((SYMLINK, target.to_vec()))
    }

    fn blob(&self, path: &Path) -> Option<(i32, Vec<u8>)> {
        let path = normal(&self.below.join(path))?;
        let entry = self.tree.get_path(&path).ok()?;
        let blob = self.repository.find_blob(entry.id()).ok()?;
        Some((entry.filemode(), blob.content().to_vec()))
    }
}

fn path_of(path: &LayerPath) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()))
}

/// Returns a path without `.` and `..`; none if it leads out.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Content;

    /// A repository whose commit holds `app/recipe.toml`, `app/src/a.py` and the link `app/src/b`.
    struct Sample {
        dir: tempfile::TempDir,
        repository: Repository,
        commit: String,
    }

    impl Sample {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let repository = Repository::init(dir.path()).expect("a repository");
            let app = dir.path().join("app");
            std::fs::create_dir_all(app.join("src")).expect("made");
            std::fs::write(app.join("recipe.toml"), "recipe").expect("written");
            std::fs::write(app.join("src/a.py"), "a").expect("written");
            std::os::unix::fs::symlink("a.py", app.join("src/b")).expect("linked");
            let commit = {
                let mut index = repository.index().expect("an index");
                let everything = ["*"].iter();
                let all = index.add_all(everything, git2::IndexAddOption::DEFAULT, None);
                all.expect("added");
                let tree = index.write_tree().expect("a tree");
                let tree = repository.find_tree(tree).expect("it was written");
                let who = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).expect("a name");
                let commit = repository.commit(Some("HEAD"), &who, &who, "x", &tree, &[]);
                commit.expect("committed").to_string()
            };
            Self {
                dir,
                repository,
                commit,
            }
        }

        /// Looks as if `a.py` had these bytes when it was copied.
        fn look(&self, a: &[u8], more: &[&str]) -> History {
            let entry = |path: &str, kind| SourceEntry {
                path: LayerPath::parse(path).expect(path),
                kind,
            };
            let file = |bytes: &[u8]| SourceKind::File {
                content: Content::of(bytes),
                executable: false,
            };
            let mut entries = vec![entry("", SourceKind::Dir), entry("a.py", file(a))];
            entries.push(entry("b", SourceKind::Symlink(b"a.py".to_vec())));
            entries.extend(more.iter().map(|path| entry(path, file(b"more"))));
            let rule: CopyRule = toml::from_str("from = \"src\"\nto = \"/app\"").expect("a rule");
            find(&Used {
                folder: &self.dir.path().join("app"),
                recipe: Path::new("recipe.toml"),
                rules: &[rule],
                source: &SourceList {
                    rules: vec![entries],
                },
                files: &[("recipe.toml".into(), Digest::of(b"recipe"))],
            })
        }

        fn at(&self, dirty: bool) -> History {
            History::At(Revision {
                commit: self.commit.clone(),
                dirty,
            })
        }
    }

    #[test]
    fn what_was_built_is_compared_with_the_commit_and_not_with_what_is_staged() {
        let sample = Sample::new();
        assert_eq!(sample.look(b"a", &[]), sample.at(false));
        assert_eq!(sample.look(b"other", &[]), sample.at(true));
        assert_eq!(sample.look(b"a", &["untracked.py"]), sample.at(true));
        // Staged, and so unknown to the commit.
        std::fs::write(sample.dir.path().join("app/src/new.py"), "more").expect("written");
        let mut index = sample.repository.index().expect("an index");
        index.add_path(Path::new("app/src/new.py")).expect("added");
        index.write().expect("written");
        assert_eq!(sample.look(b"a", &["new.py"]), sample.at(true));
    }

    #[test]
    fn a_file_that_is_left_out_by_a_rule_is_not_missed_and_one_that_was_deleted_is() {
        let sample = Sample::new();
        let rule: CopyRule = toml::from_str("from = \"src\"\nto = \"/app\"").expect("a rule");
        let look = || {
            find(&Used {
                folder: &sample.dir.path().join("app"),
                recipe: Path::new("recipe.toml"),
                rules: std::slice::from_ref(&rule),
                source: &SourceList {
                    rules: vec![Vec::new()],
                },
                files: &[],
            })
        };
        assert_eq!(look(), sample.at(false));
        std::fs::remove_file(sample.dir.path().join("app/src/a.py")).expect("deleted");
        assert_eq!(look(), sample.at(true));
    }

    #[test]
    fn a_recipe_that_is_not_committed_has_no_history() {
        let sample = Sample::new();
        let other = sample.dir.path().join("other");
        std::fs::create_dir(&other).expect("made");
        let nowhere = tempfile::tempdir().expect("a temporary folder");
        for folder in [other.as_path(), nowhere.path()] {
            let used = Used {
                folder,
                recipe: Path::new("recipe.toml"),
                rules: &[],
                source: &SourceList::default(),
                files: &[],
            };
            assert_eq!(find(&used), History::None);
        }
    }
}
