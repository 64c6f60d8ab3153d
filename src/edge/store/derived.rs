//! What was computed from blobs and may be computed again: compressed chunks, parsed metadata.
//!
//! A file holds a digest and then the bytes. The digest covers the kind, the key and the user's secret too, so a torn,
//! edited, misplaced or forged file is no answer instead of a wrong one.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::{Store, StoreError, make_dir, write};
use crate::edge::disk::DiskError;
use crate::oci::{Digest, Hasher};

const SEAL: usize = 32;

impl Store {
    /// Returns what was kept under `kind` and `key`, if it is there and sound.
    #[must_use]
    pub fn get_derived(&self, kind: &str, key: Digest) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.derived(kind, key).ok()?).ok()?;
        let (sealed, payload) = bytes.split_at_checked(SEAL)?;
        if sealed != self.seal(kind, key, payload).raw() {
            return None;
        }
        Some(bytes.split_off(SEAL))
    }

    /// Keeps `bytes` under `kind` and `key`, replacing what is there.
    ///
    /// # Errors
    /// [`StoreError::Kind`] if `kind` cannot be a folder's name; [`StoreError::Disk`].
    pub fn put_derived(&self, kind: &str, key: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.derived(kind, key)?;
        if let Some(dir) = path.parent() {
            make_dir(dir)?;
        }
        let tmp = self.tmp();
        let (file, temp) = tempfile::Builder::new()
            .prefix("derived-")
            .tempfile_in(&tmp)
            .map_err(DiskError::at("make a file in", &tmp))?
            .into_parts();
        let mut file = BufWriter::new(file);
        file.write_all(self.seal(kind, key, bytes).raw())
            .and_then(|()| file.write_all(bytes))
            .map_err(DiskError::at("write", &temp))?;
        // No sync: the seal tells if a power cut tore it.
        let file = file
            .into_inner()
            .map_err(|error| DiskError::at("write", &temp)(error.into_error()))?;
        write::set_owner_only(&file, &temp)?;
        Ok(temp
            .persist(&path)
            .map_err(|error| DiskError::at("rename into", &path)(error.error))?)
    }

    fn derived(&self, kind: &str, key: Digest) -> Result<PathBuf, StoreError> {
        let valid = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if kind.is_empty() || !kind.bytes().all(valid) {
            return Err(StoreError::Kind(kind.to_owned()));
        }
        Ok(self.work.join("derived").join(kind).join(key.hex()))
    }

    /// Two rounds, so that nobody makes the seal of longer bytes from that of shorter ones, as with HMAC.
    fn seal(&self, kind: &str, key: Digest, bytes: &[u8]) -> Digest {
        let mut inner = Hasher::default();
        inner.update(&self.secret);
        inner.update(kind.as_bytes());
        inner.update(b"\0");
        inner.update(key.raw());
        inner.update(bytes);
        let mut outer = Hasher::default();
        outer.update(&self.secret);
        outer.update(inner.finish().0.raw());
        outer.finish().0
    }
}
