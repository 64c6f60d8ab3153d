//! What the disk refuses, said with the file's name.

use std::io;
use std::path::{Path, PathBuf};

use crate::diagnose::{Class, Diagnose};

/// What the disk refused.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk or the quota is full.
    #[error("no space left on the disk for {} ({written} bytes written, {} bytes free)", path.display(), shown(*free))]
    Full {
        /// The file that was being written.
        path: PathBuf,
        /// Bytes of the file written before.
        written: u64,
        /// Bytes free on its disk, if the system says.
        free: Option<u64>,
    },
}

fn shown(free: Option<u64>) -> String {
    free.map_or_else(|| "unknown".to_owned(), |free| free.to_string())
}

impl DiskError {
    /// Returns a function for `map_err` that names what was tried on which file, and tells a full disk apart.
    pub(crate) fn at<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        Self::after(action, path, 0)
    }

    /// The same, for a file of which `written` bytes were written.
    pub(crate) fn after<'a>(
        action: &'static str,
        path: &'a Path,
        written: u64,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let disk = path
                    .ancestors()
                    .find_map(|dir| rustix::fs::statvfs(dir).ok());
                Self::Full {
                    path: path.to_owned(),
                    written,
                    free: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
                }
            }
            _ => Self::Io {
                action,
                path: path.to_owned(),
                source,
            },
        }
    }
}

impl Diagnose for DiskError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Full { path, .. } => Some(format!(
                "free some space: df -h {}",
                path.parent().unwrap_or(path).display()
            )),
            Self::Io { path, source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                // The file may not be there: it is its folder that refuses.
                Some(format!(
                    "check who may write there: ls -ld {}",
                    path.parent().unwrap_or(path).display()
                ))
            }
            Self::Io { .. } => None,
        }
    }
}
