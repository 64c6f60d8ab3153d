//! Gets the OpenPGP keys that a lock names: from the base, beside the recipe, by URL; known by their fingerprints.

use std::io;
use std::path::{Path, PathBuf};

use super::fetch::{FetchError, Fetcher};
use crate::diagnose::{Class, Diagnose};
use crate::lock;
use crate::root::Root;
use crate::rpm::keys::{self, Key, KeyError};

/// What the file of a key may have: 16 MiB.
const LARGEST: u64 = 16 << 20;

/// Why a locked key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockedKeyError {
    /// The base has no such file.
    #[error("key {fingerprint}: the base has no {path}")]
    NotInBase {
        /// Which key.
        fingerprint: String,
        /// Where it was when it was locked.
        path: String,
    },
    /// It cannot be fetched.
    #[error("key {fingerprint}: {error}")]
    Fetch {
        /// Which key.
        fingerprint: String,
        /// What happened.
        error: FetchError,
    },
    /// It is no longer beside the recipe.
    #[error("key {fingerprint}: cannot read {}: {source}", path.display())]
    File {
        /// Which key.
        fingerprint: String,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds no keys.
    #[error("key {fingerprint}: {source_name}: {error}")]
    Format {
        /// Which key.
        fingerprint: String,
        /// Where it was read from.
        source_name: String,
        /// What is wrong.
        error: KeyError,
    },
    /// The file holds other keys.
    #[error("{source_name} does not hold the locked key {fingerprint}")]
    Other {
        /// Which key.
        fingerprint: String,
        /// Where it was looked for.
        source_name: String,
    },
}

impl Diagnose for LockedKeyError {
    fn class(&self) -> Class {
        match self {
            Self::Fetch { error, .. } => error.class(),
            Self::NotInBase { .. } | Self::File { .. } => Class::Unavailable,
            Self::Format { .. } | Self::Other { .. } => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Fetch { error, .. } => error.hint(),
            Self::File { path, .. } => Some(format!(
                "bring {} back, or name a bundle with --inputs",
                path.display()
            )),
            Self::NotInBase { .. } | Self::Format { .. } | Self::Other { .. } => {
                Some("run `imgbuild lock` to see which keys the repositories name now".to_owned())
            }
        }
    }
}

/// Tells whether a locked key is a file of the base, which is pinned by itself.
#[must_use]
pub fn is_in_base(key: &lock::Key) -> bool {
    key.source.starts_with("file://")
}

/// Returns the file of a key of the base.
///
/// # Errors
/// [`LockedKeyError::NotInBase`].
pub fn from_base<'r>(key: &lock::Key, root: &'r Root) -> Result<&'r [u8], LockedKeyError> {
    let path = key.source.strip_prefix("file://").unwrap_or(&key.source);
    root.read(path).ok_or_else(|| LockedKeyError::NotInBase {
        fingerprint: key.fingerprint.clone(),
        path: path.to_owned(),
    })
}

/// Returns the file of a key that is not in the base: from beside the recipe in `folder`, or by its URL.
///
/// # Errors
/// [`LockedKeyError`]; what comes is not looked at: see [`read`].
pub async fn from_elsewhere(
    key: &lock::Key,
    folder: &Path,
    fetcher: &Fetcher,
) -> Result<Vec<u8>, LockedKeyError> {
    let fingerprint = || key.fingerprint.clone();
    if key.source.contains("://") {
        let got = fetcher.get(&key.source, LARGEST).await;
        return got.map_err(|error| LockedKeyError::Fetch {
            fingerprint: fingerprint(),
            error,
        });
    }
    let path = folder.join(&key.source);
    std::fs::read(&path).map_err(|source| LockedKeyError::File {
        fingerprint: fingerprint(),
        path,
        source,
    })
}

/// Returns the locked key that `bytes` hold.
///
/// # Errors
/// [`LockedKeyError::Format`] or [`LockedKeyError::Other`] if they do not.
pub fn read(key: &lock::Key, bytes: &[u8]) -> Result<Key, LockedKeyError> {
    let keys = keys::parse_keys(bytes).map_err(|error| LockedKeyError::Format {
        fingerprint: key.fingerprint.clone(),
        source_name: key.source.clone(),
        error,
    })?;
    let wanted = |found: &Key| found.fingerprint().to_string() == key.fingerprint;
    keys.into_iter()
        .find(wanted)
        .ok_or_else(|| LockedKeyError::Other {
            fingerprint: key.fingerprint.clone(),
            source_name: key.source.clone(),
        })
}
