//! A blob of the store, open for reading by many threads.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use crate::layer::RandomRead;
use crate::oci::{Digest, Hasher};

/// A file, or a part of one, open for reading at any offset. Clones share the file.
#[derive(Clone, Debug)]
pub struct FileBlob {
    file: Arc<File>,
    start: u64,
    size: u64,
}

impl FileBlob {
    /// Opens a regular file.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::InvalidInput`] if it is not a regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::from_file(File::open(path)?)
    }

    /// Takes over an open regular file.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is not a regular file.
    pub fn from_file(file: File) -> io::Result<Self> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Ok(Self {
            file: Arc::new(file),
            start: 0,
            size: meta.len(),
        })
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Tells whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Returns a reader of its own from the first byte on.
    #[must_use]
    pub fn reader(&self) -> BlobReader {
        BlobReader {
            blob: self.clone(),
            position: 0,
        }
    }

    /// Returns the digest and size of the bytes as they are now.
    ///
    /// # Errors
    /// What the system says.
    pub fn hash(&self) -> io::Result<(Digest, u64)> {
        hash(&mut self.reader())
    }

    /// Returns all bytes, at most `limit`.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] if there are more; what the system says.
    pub fn read_all(&self, limit: u64) -> io::Result<Vec<u8>> {
        if self.size > limit {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("{} bytes, more than the {limit} allowed", self.size),
            ));
        }
        let mut bytes = Vec::new();
        self.reader().take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns a part of it, if it has so many bytes.
    #[must_use]
    pub fn slice(&self, offset: u64, size: u64) -> Option<Self> {
        let end = offset.checked_add(size)?;
        (end <= self.size).then(|| Self {
            file: Arc::clone(&self.file),
            start: self.start + offset,
            size,
        })
    }

    /// Tells whether `path` still leads to this file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), std::fs::metadata(path)) {
            (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    /// Returns the file, if this is the whole of it.
    pub(crate) fn whole_file(&self) -> Option<&File> {
        let whole = self.start == 0
            && self
                .file
                .metadata()
                .is_ok_and(|meta| meta.len() == self.size);
        whole.then_some(&*self.file)
    }
}

/// Returns the digest and size of everything `reader` gives.
pub(crate) fn hash(reader: &mut dyn Read) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl RandomRead for FileBlob {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buffer, self.start + offset)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

/// Reads a blob from its first byte to its last.
#[derive(Clone, Debug)]
pub struct BlobReader {
    blob: FileBlob,
    position: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.blob.size.saturating_sub(self.position);
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self
            .blob
            .file
            .read_at(&mut buffer[..length], self.blob.start + self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.blob.size.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
