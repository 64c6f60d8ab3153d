//! Walks a source folder for copy rules, reading names, contents and the executable bit: nothing else of the host.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::diagnose::{Class, Diagnose};
use crate::layer::content::{Location, Packing};
use crate::layer::{Content, Contents, LayerPath, RandomRead};
use crate::oci::Hasher;
use crate::recipe::CopyRule;
use crate::source::{SourceEntry, SourceKind, SourceList};

/// What is never copied, in every folder: version control, bytecode and the caches of tools.
pub const NEVER_COPIED: [&str; 13] = [
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "*.py[co]",
    ".venv",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".DS_Store",
    "*.swp",
];

/// Why the source tree cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The disk refuses.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A rule names something that is not there.
    #[error("copy rule `{from}`: {} does not exist", path.display())]
    Missing {
        /// `from` of the rule.
        from: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A socket, device or pipe.
    #[error("{} is neither a file, a folder nor a link", .0.display())]
    Special(PathBuf),
    /// A link that means something else in the image than on this machine.
    #[error("{} is a link to `{target}`, which leads out of the copied folder", path.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: String,
    },
    /// A rule that leads through a link, behind which may be anything of this machine.
    #[error("copy rule `{from}`: {} is a symbolic link", path.display())]
    ThroughLink {
        /// `from` of the rule.
        from: String,
        /// The link.
        path: PathBuf,
    },
    /// What is being built would be copied by the next build.
    #[error("copy rule `{from}` would copy {} into the next image", output.display())]
    Output {
        /// `from` of the rule.
        from: String,
        /// Where the image is to be written.
        output: PathBuf,
    },
    /// A pattern of `exclude`.
    #[error("copy rule `{from}`: exclude pattern `{pattern}`: {message}")]
    Pattern {
        /// `from` of the rule.
        from: String,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A name that no image can hold.
    #[error(transparent)]
    Name(#[from] crate::layer::path::PathError),
}

impl Diagnose for WalkError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { path, .. } => Some(format!(
                "check with `ls -l {}`, or leave it out with `exclude`",
                path.display()
            )),
            Self::Special(_) | Self::Link { .. } => {
                Some("leave it out with `exclude = [...]` in its copy rule".to_owned())
            }
            Self::Missing { path, .. } => Some(format!(
                "check `from` in its copy rule: see `ls {}`",
                path.parent().unwrap_or(path).display()
            )),
            Self::ThroughLink { .. } => Some("name the folder that it leads to".to_owned()),
            Self::Output { .. } => {
                Some("write the image elsewhere, or leave it out with `exclude = [...]`".to_owned())
            }
            Self::Pattern { .. } | Self::Name(_) => None,
        }
    }
}

/// Lists what every copy rule finds below `root`, the recipe's folder.
///
/// # Errors
/// [`WalkError`] for what cannot be read or copied.
pub fn walk(root: &Path, rules: &[CopyRule]) -> Result<(SourceList, Contents), WalkError> {
    let mut contents = Contents::default();
    let rules = rules
        .iter()
        .map(|rule| walk_rule(root, rule, &mut contents))
        .collect::<Result<_, _>>()?;
    Ok((SourceList { rules }, contents))
}

fn walk_rule(
    root: &Path,
    rule: &CopyRule,
    contents: &mut Contents,
) -> Result<Vec<SourceEntry>, WalkError> {
    let from = root.join(&rule.from);
    let mut parent = root.to_owned();
    let below = Path::new(&rule.from).parent().unwrap_or(Path::new(""));
    for component in below.components() {
        parent.push(component);
        if parent.is_symlink() {
            return Err(WalkError::ThroughLink {
                from: rule.from.clone(),
                path: parent,
            });
        }
    }
    if fs::symlink_metadata(&from).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Err(WalkError::Missing {
            from: rule.from.clone(),
            path: from,
        });
    }
    let mut walk = Walk {
        from: &from,
        excludes: excludes(&from, rule)?,
        entries: Vec::new(),
        contents,
    };
    walk.visit(&from, &LayerPath::root())?;
    let mut entries = walk.entries;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Checks that no rule would copy what is written to `output`: the first build and the second would differ.
///
/// # Errors
/// [`WalkError::Output`]; [`WalkError::Pattern`].
pub fn check_output(root: &Path, rules: &[CopyRule], output: &Path) -> Result<(), WalkError> {
    // The output itself need not exist; what leads to it is compared by its real name.
    let parent = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (Ok(parent), Some(name)) = (parent.canonicalize(), output.file_name()) else {
        return Ok(());
    };
    let real = parent.join(name);
    for rule in rules {
        let from = root.join(&rule.from);
        let Ok(real_from) = from.canonicalize() else {
            continue;
        };
        let Ok(inside) = real.strip_prefix(&real_from) else {
            continue;
        };
        let left_out = excludes(&from, rule)?
            .matched_path_or_any_parents(inside, true)
            .is_ignore();
        if !left_out {
            return Err(WalkError::Output {
                from: rule.from.clone(),
                output: output.to_owned(),
            });
        }
    }
    Ok(())
}

fn excludes(from: &Path, rule: &CopyRule) -> Result<Gitignore, WalkError> {
    let mut builder = GitignoreBuilder::new(from);
    for pattern in NEVER_COPIED
        .into_iter()
        .chain(rule.exclude.iter().map(String::as_str))
    {
        builder
            .add_line(None, pattern)
            .map_err(|error| WalkError::Pattern {
                from: rule.from.clone(),
                pattern: pattern.to_owned(),
                message: error.to_string(),
            })?;
    }
    builder.build().map_err(|error| WalkError::Pattern {
        from: rule.from.clone(),
        pattern: rule.exclude.join(" "),
        message: error.to_string(),
    })
}

struct Walk<'a> {
    from: &'a Path,
    excludes: Gitignore,
    entries: Vec<SourceEntry>,
    contents: &'a mut Contents,
}

impl Walk<'_> {
    fn visit(&mut self, at: &Path, path: &LayerPath) -> Result<(), WalkError> {
        let unreadable = |source| WalkError::Read {
            path: at.to_owned(),
            source,
        };
        let metadata = fs::symlink_metadata(at).map_err(unreadable)?;
        let kind = if metadata.is_dir() {
            for child in fs::read_dir(at).map_err(unreadable)? {
                let child = child.map_err(unreadable)?;
                let is_dir = child.file_type().map_err(unreadable)?.is_dir();
                if !self.excludes.matched(child.path(), is_dir).is_ignore() {
                    self.visit(&child.path(), &path.join(child.file_name().as_bytes())?)?;
                }
            }
            SourceKind::Dir
        } else if metadata.is_symlink() {
            let target = fs::read_link(at).map_err(unreadable)?;
            self.check_link(at, path, &target)?;
            SourceKind::Symlink(target.as_os_str().as_bytes().to_vec())
        } else if metadata.is_file() {
            let content = hash(at).map_err(unreadable)?;
            let blob: Arc<dyn RandomRead> = Arc::new(SourceFile {
                path: at.to_owned(),
                size: content.size,
            });
            let extent = Location::Extent {
                blob,
                offset: 0,
                packed: content.size,
                packing: Packing::Stored,
            };
            self.contents.add(content.digest, extent);
            SourceKind::File {
                content,
                executable: metadata.permissions().mode() & 0o100 != 0,
            }
        } else {
            return Err(WalkError::Special(at.to_owned()));
        };
        self.entries.push(SourceEntry {
            path: path.clone(),
            kind,
        });
        Ok(())
    }

    /// A link may only lead to what is copied with it.
    fn check_link(&self, at: &Path, path: &LayerPath, target: &Path) -> Result<(), WalkError> {
        let leads_out = || WalkError::Link {
            path: at.to_owned(),
            target: target.display().to_string(),
        };
        if target.is_absolute() || at == self.from {
            return Err(leads_out());
        }
        let mut depth = path.components().count().saturating_sub(1);
        for component in target.components() {
            match component {
                std::path::Component::ParentDir => {
                    depth = depth.checked_sub(1).ok_or_else(leads_out)?
                }
                std::path::Component::Normal(_) => depth += 1,
                _ => {}
            }
        }
        Ok(())
    }
}

fn hash(path: &Path) -> io::Result<Content> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let (digest, size) = hasher.finish();
    Ok(Content { digest, size })
}

/// A file of the source tree, opened only while it is read: a tree may hold more files than a process may open.
struct SourceFile {
    path: PathBuf,
    size: u64,
}

impl RandomRead for SourceFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        File::open(&self.path)?.read_exact_at(buffer, offset)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

#[cfg(test)]
mod tests;
