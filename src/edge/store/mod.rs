//! The content-addressed cache on disk.
//!
//! ```text
//! DIR/blobs/sha256/<hex>       what was fetched, by its digest
//! DIR/derived/<kind>/<hex>     what was computed from it, by a key, sealed
//! DIR/tmp/                     being written; renamed into place when complete
//! ```
//!
//! A blob is hashed while it is written and gets its name only if the digest is right. Before a build uses it,
//! it is hashed again unless its file is the one that was hashed before, untouched: the cache may have been restored from
//! anywhere. Any number of processes may write at once: the same blob written twice is the same rename twice.

mod blob;
mod derived;
mod seen;
mod write;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use blob::{BlobReader, FileBlob};
pub use write::{BlobWriter, SpoolFile};

use crate::diagnose::{Class, Diagnose};
use crate::edge::disk::DiskError;
use crate::oci::Digest;

/// How old a file in `tmp/` is when nobody can be writing it any more.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The cache: blobs by digest, and what was computed from them.
#[derive(Clone, Debug)]
pub struct Store {
    root: Arc<Path>,
    /// Where derived data and files without a name are: `root`, unless the store is used apart.
    work: Arc<Path>,
    /// Goes into every seal of derived data.
    secret: [u8; 32],
}

/// Why the cache failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No variable says where the cache is.
    #[error("no place for the cache: none of IMGBUILD_CACHE_DIR, XDG_CACHE_HOME and HOME is set")]
    NoPlace,
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The bytes are not those that were asked for.
    #[error("expected {wanted}, got {found} ({size} bytes)")]
    Digest {
        /// The digest asked for.
        wanted: Digest,
        /// The digest of what came.
        found: Digest,
        /// How many bytes came.
        size: u64,
    },
    /// The number of bytes is not what was said.
    #[error("{digest}: expected {wanted} bytes, got {found}")]
    Size {
        /// Of which blob.
        digest: Digest,
        /// The size that was said.
        wanted: u64,
        /// The size that it has.
        found: u64,
    },
    /// A kind of derived data that cannot be a folder's name.
    #[error(
        "`{0}` does not name a kind of derived data: wanted lower-case letters, digits and `-`"
    )]
    Kind(String),
}

impl Diagnose for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::NoPlace | Self::Kind(_) => Class::Usage,
            Self::Disk(error) => error.class(),
            Self::Digest { .. } | Self::Size { .. } => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoPlace => Some("pass --cache-dir DIR".to_owned()),
            Self::Disk(DiskError::Full { .. }) => {
                Some("make room, or pass --cache-dir DIR on another disk".to_owned())
            }
            Self::Disk(DiskError::Io { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Some("pass --cache-dir DIR with a folder you may write to".to_owned())
            }
            _ => None,
        }
    }
}

/// Returns where the cache is unless `--cache-dir` says otherwise.
///
/// `$IMGBUILD_CACHE_DIR`, else `$XDG_CACHE_HOME/imgbuild`, else `$HOME/.cache/imgbuild`; `variable` looks one up
/// (`std::env::var_os`). <https://specifications.freedesktop.org/basedir-spec/latest/>
///
/// # Errors
/// [`StoreError::NoPlace`] if none of them is set.
pub fn cache_dir(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, StoreError> {
    let set = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(dir) = set("IMGBUILD_CACHE_DIR") {
        return Ok(dir);
    }
    // The specification has relative values ignored.
    if let Some(dir) = set("XDG_CACHE_HOME").filter(|dir| dir.is_absolute()) {
        return Ok(dir.join("imgbuild"));
    }
    let home = set("HOME").ok_or(StoreError::NoPlace)?;
    Ok(home.join(".cache").join("imgbuild"))
}

impl Store {
    /// Opens the cache in `dir`, making it (readable by its owner only) if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Disk`] if the folders cannot be made.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        let dir = dir.as_ref();
        make_dir(dir)?;
        // Absolute, so that a later change of the working directory does not move it.
        let root = fs::canonicalize(dir).map_err(DiskError::at("open the cache in", dir))?;
        for below in ["blobs", "blobs/sha256", "derived", "tmp"] {
            make_dir(&root.join(below))?;
        }
        let root: Arc<Path> = root.into();
        let store = Self {
            work: Arc::clone(&root),
            root,
            secret: [0; 32],
        };
        store.sweep();
        Ok(store)
    }

    /// Returns the same, believing only derived data that was sealed with `secret`.
    ///
    /// Nothing but its seal vouches for derived data, and a seal that anybody can make vouches for nothing: who restores
    /// a cache from elsewhere must not be able to put a layer into an image.
    #[must_use]
    pub fn sealed_with(self, secret: [u8; 32]) -> Self {
        Self { secret, ..self }
    }

    /// Returns the same blobs, with derived data and temporary files in `dir`: nothing that was ever computed of them is
    /// believed, and nothing that is computed now stays.
    ///
    /// # Errors
    /// [`StoreError::Disk`] if the folders cannot be made.
    pub fn apart(&self, dir: &Path) -> Result<Self, StoreError> {
        for below in ["derived", "tmp"] {
            make_dir(&dir.join(below))?;
        }
        Ok(Self {
            work: dir.into(),
            ..self.clone()
        })
    }

    /// Makes a folder in the cache that is gone with the returned value.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn scratch(&self) -> Result<tempfile::TempDir, StoreError> {
        let tmp = self.root.join("tmp");
        let scratch = tempfile::Builder::new().prefix("scratch-").tempdir_in(&tmp);
        Ok(scratch.map_err(DiskError::at("make a folder in", &tmp))?)
    }

    /// Returns the folder of the cache.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.root
    }

    /// Returns where the blob is, or would be.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Tells whether the blob is there.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Returns the blob, if it is there. Its bytes were checked when they were written; see [`Store::get_sized`].
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<FileBlob> {
        FileBlob::open(&self.path(digest)).ok()
    }

    /// Returns the blob, if it is there and its bytes are still those of its digest.
    ///
    /// It is hashed again if anybody may have touched it: a name vouches for what was written, not for what a crash or
    /// somebody with access to the cache made of it since. A blob of other bytes is removed, to be fetched again.
    ///
    /// # Errors
    /// [`StoreError::Size`] if the blob is sound, so that the size said of it is the wrong one; [`StoreError::Disk`]
    /// if a blob cannot be read, or a damaged one not be removed.
    pub fn get_sized(
        &self,
        digest: &Digest,
        size: Option<u64>,
    ) -> Result<Option<FileBlob>, StoreError> {
        let Some(blob) = self.get(digest) else {
            return Ok(None);
        };
        if !self.is_sound(digest, &blob)? {
            return Ok(None);
        }
        match size.filter(|wanted| *wanted != blob.len()) {
            Some(wanted) => Err(StoreError::Size {
                digest: *digest,
                wanted,
                found: blob.len(),
            }),
            None => Ok(Some(blob)),
        }
    }

    /// Hashes the blob again if anybody may have touched it, and removes it if it is damaged; tells whether it is there and sound.
    ///
    /// # Errors
    /// [`StoreError::Disk`] if it cannot be read or removed.
    pub fn verify(&self, digest: &Digest) -> Result<bool, StoreError> {
        match self.get(digest) {
            Some(blob) => self.is_sound(digest, &blob),
            None => Ok(false),
        }
    }

    /// As [`Store::verify`], whether or not anybody may have touched it.
    ///
    /// # Errors
    /// As for [`Store::verify`].
    pub fn verify_again(&self, digest: &Digest) -> Result<bool, StoreError> {
        match self.get(digest) {
            Some(blob) => self.judge(digest, &blob, blob.hash().map(|(found, _)| found)),
            None => Ok(false),
        }
    }

    fn is_sound(&self, digest: &Digest, blob: &FileBlob) -> Result<bool, StoreError> {
        self.judge(digest, blob, self.digest_of(blob))
    }

    /// Tells whether an open blob has the digest of its name, and removes it if not.
    fn judge(
        &self,
        digest: &Digest,
        blob: &FileBlob,
        found: io::Result<Digest>,
    ) -> Result<bool, StoreError> {
        if found.map_err(DiskError::at("read", &self.path(digest)))? == *digest {
            return Ok(true);
        }
        // Another process may have found the same and put a good one there meanwhile.
        if blob.is_at(&self.path(digest)) {
            self.remove(digest)?;
        }
        Ok(false)
    }

    /// Removes the blob, if it is there. Readers that have it open keep it.
    ///
    /// # Errors
    /// [`StoreError::Disk`] if the system refuses.
    pub fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DiskError::at("remove", &path)(error).into())
            }
            _ => Ok(()),
        }
    }

    /// Starts a new blob.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn writer(&self) -> Result<BlobWriter, StoreError> {
        BlobWriter::new(self.clone())
    }

    /// Starts a file that has no name and is gone when its last reader is.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn spool(&self) -> Result<SpoolFile, StoreError> {
        SpoolFile::new(&self.tmp())
    }

    fn tmp(&self) -> PathBuf {
        self.work.join("tmp")
    }

    /// Removes what killed processes left in `tmp/`. Failing to is nobody's trouble.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.tmp()) else {
            return;
        };
        for entry in entries.flatten() {
            let age = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .ok()
                .and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > STALE) {
                let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
            }
        }
    }
}

/// Makes a folder with its parents; the folders it makes are the owner's alone, whatever the umask.
pub(crate) fn make_dir(dir: &Path) -> Result<(), DiskError> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dir(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        // A umask can take the owner's own bits away.
        Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(0o700)),
        // Another process was quicker.
        Err(_) if dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(DiskError::at("make the folder", dir))
}
