//! Copies a blob to a file or an archive, checking its digest and size on the way.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::BlobSource;
use super::error::LayoutError;
use crate::edge::disk::DiskError;
use crate::edge::store::FileBlob;
use crate::layer::RandomRead;
use crate::oci::{Digest, Hasher};

const BUFFER: u64 = 256 * 1024;

/// Writes the bytes of `source` to `out`; `path` is for messages.
pub(super) fn copy(
    source: &BlobSource,
    digest: Digest,
    size: u64,
    out: &mut dyn Write,
    path: &Path,
) -> Result<(), LayoutError> {
    check_size(source, digest, size, path)?;
    let mut hasher = Hasher::default();
    match source {
        BlobSource::Memory(bytes) => {
            hasher.update(bytes);
            check_digest(hasher, digest, path)?;
            out.write_all(bytes).map_err(DiskError::at("write", path))?;
            return Ok(());
        }
        BlobSource::File(blob) => pump(blob, &mut hasher, out, path)?,
        BlobSource::Other(blob) => pump(&**blob, &mut hasher, out, path)?,
    }
    check_digest(hasher, digest, path)
}

/// Writes the bytes of `source` to an empty file, sharing the disk's blocks where it can.
///
/// Never a hard link: who edits the layout must not edit the cache.
pub(super) fn copy_to_file(
    source: &BlobSource,
    digest: Digest,
    size: u64,
    out: &mut File,
    path: &Path,
) -> Result<(), LayoutError> {
    if let BlobSource::File(blob) = source
        && let Some(file) = blob.whole_file()
        && size > 0
        && rustix::fs::ioctl_ficlone(&*out, file).is_ok()
    {
        check_size(source, digest, size, path)?;
        // What was cloned is what is checked: the source may be another file's blocks by now.
        let cloned = FileBlob::open(path).map_err(DiskError::at("read", path))?;
        let mut hasher = Hasher::default();
        pump(&cloned, &mut hasher, &mut io::sink(), path)?;
        return check_digest(hasher, digest, path);
    }
    copy(source, digest, size, out, path)
}

fn check_size(
    source: &BlobSource,
    digest: Digest,
    wanted: u64,
    path: &Path,
) -> Result<(), LayoutError> {
    let found = match source {
        BlobSource::Memory(bytes) => bytes.len() as u64,
        BlobSource::File(blob) => blob.len(),
        BlobSource::Other(blob) => blob.size(),
    };
    if found == wanted {
        return Ok(());
    }
    Err(LayoutError::Size {
        path: path.to_owned(),
        digest,
        wanted,
        found,
    })
}

fn check_digest(hasher: Hasher, wanted: Digest, path: &Path) -> Result<(), LayoutError> {
    let (found, _) = hasher.finish();
    if found == wanted {
        return Ok(());
    }
    Err(LayoutError::Digest {
        path: path.to_owned(),
        wanted,
        found,
    })
}

fn pump(
    from: &dyn RandomRead,
    hasher: &mut Hasher,
    out: &mut dyn Write,
    path: &Path,
) -> Result<(), LayoutError> {
    let size = from.size();
    let mut buffer = vec![0; size.min(BUFFER) as usize];
    let mut offset = 0;
    while offset < size {
        let length = (size - offset).min(BUFFER) as usize;
        let piece = &mut buffer[..length];
        from.read_exact_at(piece, offset)
            .map_err(DiskError::at("read what is to be written to", path))?;
        hasher.update(piece);
        out.write_all(piece)
            .map_err(DiskError::after("write", path, offset))?;
        offset += length as u64;
    }
    Ok(())
}
