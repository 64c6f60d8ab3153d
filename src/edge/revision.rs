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
    /// It is not under version control, or nothing is committed yet.
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
