//! Writes blobs and nameless files of the store.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;

use super::{FileBlob, Store, StoreError};
use crate::edge::disk::DiskError;
use crate::layer::RandomRead;
use crate::oci::{Digest, Hasher};

const BUFFER: usize = 128 * 1024;

/// A blob being written: hashed on the way, named when complete, gone if dropped before.
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    file: BufWriter<File>,
    path: TempPath,
    hasher: Hashing,
    written: u64,
}

/// The hasher has no `Debug`, and its state tells nobody anything.
struct Hashing(Hasher);

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl BlobWriter {
    pub(super) fn new(store: Store) -> Result<Self, StoreError> {
        let dir = store.tmp();
        let (file, path) = tempfile::Builder::new()
            .prefix("blob-")
            .tempfile_in(&dir)
            .map_err(DiskError::at("make a file in", &dir))?
            .into_parts();
        set_owner_only(&file, &path)?;
        Ok(Self {
            store,
            file: BufWriter::with_capacity(BUFFER, file),
            path,
            hasher: Hashing(Hasher::default()),
            written: 0,
        })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`StoreError::Disk`], naming the file.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all(bytes)
            .map_err(DiskError::after("write", &self.path, self.written))?;
        self.hasher.0.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Returns how many bytes were taken.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Puts the blob into the store under its digest, which must be the expected one, as the size if given.
    ///
    /// # Errors
    /// [`StoreError::Size`] or [`StoreError::Digest`] if the bytes are others, and nothing is kept;
    /// [`StoreError::Disk`].
    pub fn commit(
        self,
        expected: Option<(Digest, Option<u64>)>,
    ) -> Result<(Digest, u64), StoreError> {
        let (found, size) = self.hasher.0.finish();
        if let Some((wanted, wanted_size)) = expected {
            if found != wanted {
                return Err(match wanted_size {
                    Some(wanted_size) if wanted_size != size => StoreError::Size {
                        digest: wanted,
                        wanted: wanted_size,
                        found: size,
                    },
                    _ => StoreError::Digest {
                        wanted,
                        found,
                        size,
                    },
                });
            }
            if let Some(wanted_size) = wanted_size.filter(|wanted_size| *wanted_size != size) {
                return Err(StoreError::Size {
                    digest: wanted,
                    wanted: wanted_size,
                    found: size,
                });
            }
        }
        persist(self.file, self.path, &self.store.path(&found), size)?;
        Ok((found, size))
    }
}

/// Gives the file mode 0600: a umask can take the owner's own bits away.
pub(super) fn set_owner_only(file: &File, path: &Path) -> Result<(), DiskError> {
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .map_err(DiskError::at("set the mode of", path))
}

/// Gives the file its name.
///
/// Without waiting for the disk: should a power cut leave zeros under the name, they are no danger, as blobs are hashed
/// again before they are used.
fn persist(
    file: BufWriter<File>,
    temp: TempPath,
    to: &Path,
    written: u64,
) -> Result<(), DiskError> {
    file.into_inner()
        .map_err(|error| DiskError::after("write", &temp, written)(error.into_error()))?;
    temp.persist(to)
        .map_err(|error| DiskError::at("rename into", to)(error.error))
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self
            .file
            .write(bytes)
            .map_err(named("write", &self.path, self.written))?;
        self.hasher.0.update(&bytes[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file
            .flush()
            .map_err(named("write", &self.path, self.written))
    }
}

/// Returns a function for `map_err` that puts the file's name and the free space into an I/O error of the same kind.
fn named<'a>(
    action: &'static str,
    path: &'a Path,
    written: u64,
) -> impl FnOnce(io::Error) -> io::Error + 'a {
    move |error| io::Error::new(error.kind(), DiskError::after(action, path, written)(error))
}

const SPOOL: &str = "write a temporary file in";

/// A file without a name, for bytes that are needed only while this process runs.
#[derive(Debug)]
pub struct SpoolFile {
    file: BufWriter<File>,
    /// Where it lies, for messages.
    dir: PathBuf,
    written: u64,
}

impl SpoolFile {
    pub(super) fn new(dir: &Path) -> Result<Self, StoreError> {
        let file = tempfile::tempfile_in(dir).map_err(DiskError::at("make a file in", dir))?;
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER, file),
            dir: dir.to_owned(),
            written: 0,
        })
    }

    /// Ends writing and returns the bytes for reading.
    ///
    /// # Errors
    /// What the system says to the last write.
    #[expect(
        clippy::boxed_local,
        reason = "the shape of `Spool::finish`, which calls it"
    )]
    pub fn finish(self: Box<Self>) -> io::Result<Arc<dyn RandomRead>> {
        let file = self
            .file
            .into_inner()
            .map_err(|error| named(SPOOL, &self.dir, self.written)(error.into_error()))?;
        Ok(Arc::new(FileBlob::from_file(file)?))
    }
}

impl Write for SpoolFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self
            .file
            .write(bytes)
            .map_err(named(SPOOL, &self.dir, self.written))?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file
            .flush()
            .map_err(named(SPOOL, &self.dir, self.written))
    }
}
