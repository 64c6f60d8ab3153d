//! File contents by digest: where the bytes of each are, read only when a layer is written.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use flate2::bufread::DeflateDecoder;

use crate::oci::Digest;

/// The bytes of a file: their digest and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    /// The SHA-256 of the bytes; checked again while a layer is written.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

impl Content {
    /// Describes `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }
}

/// Bytes that can be read at any offset by many threads: a file of the store, or a slice in memory.
pub trait RandomRead: Send + Sync {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are not enough bytes; whatever the disk says.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Returns how many bytes there are.
    fn size(&self) -> u64;
}

impl RandomRead for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start
            .checked_add(buffer.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }
}

/// How the bytes of an extent are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    Stored,
    /// One raw deflate stream, as in a zip member.
    Deflate,
}

/// Where the bytes of a content are.
#[derive(Clone)]
pub enum Location {
    /// In memory: files that imgbuild itself makes.
    Inline(Arc<[u8]>),
    /// In a blob: a member of a wheel, a file of an unpacked RPM payload, a file of the source tree.
    Extent {
        /// What holds them.
        blob: Arc<dyn RandomRead>,
        /// First byte.
        offset: u64,
        /// Bytes as packed.
        packed: u64,
        /// How they are packed.
        packing: Packing,
    },
}

/// How much of an extent is read at once; small enough to stay in the processor's cache.
const PIECE: usize = 64 << 10;

impl Location {
    /// Returns how many bytes there are, where that is known before reading.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Inline(bytes) => Some(bytes.len() as u64),
            Self::Extent {
                packed,
                packing: Packing::Stored,
                ..
            } => Some(*packed),
            Self::Extent {
                packing: Packing::Deflate,
                ..
            } => None,
        }
    }

    /// Returns a reader of the bytes, unpacked. They are not checked against any digest.
    #[must_use]
    pub fn reader(&self) -> Box<dyn Read + '_> {
        match self {
            Self::Inline(bytes) => Box::new(&bytes[..]),
            Self::Extent {
                blob,
                offset,
                packed,
                packing,
            } => {
                let extent = Extent {
                    blob: &**blob,
                    at: *offset,
                    left: *packed,
                };
                match packing {
                    Packing::Stored => Box::new(extent),
                    Packing::Deflate => {
                        Box::new(DeflateDecoder::new(BufReader::with_capacity(PIECE, extent)))
                    }
                }
            }
        }
    }
}

/// Reads a range of a blob from its start to its end.
struct Extent<'a> {
    blob: &'a dyn RandomRead,
    at: u64,
    left: u64,
}

impl Read for Extent<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if len == 0 {
            return Ok(0);
        }
        self.blob.read_exact_at(&mut buffer[..len], self.at)?;
        // What was read exists, so its end has an offset.
        self.at += len as u64;
        self.left -= len as u64;
        Ok(len)
    }
}

/// The contents that nodes refer to.
#[derive(Clone, Default)]
pub struct Contents(BTreeMap<Digest, Location>);

impl fmt::Debug for Contents {
    /// Writes which contents are known, not where they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Contents {
    /// Adds bytes held in memory and returns what to put in a node.
    pub fn add_inline(&mut self, bytes: impl Into<Arc<[u8]>>) -> Content {
        let bytes = bytes.into();
        let content = Content::of(&bytes);
        self.0
            .entry(content.digest)
            .or_insert(Location::Inline(bytes));
        content
    }

    /// Adds the place where the bytes of `digest` are. The first place given stays.
    pub fn add(&mut self, digest: Digest, location: Location) {
        self.0.entry(digest).or_insert(location);
    }

    /// Takes over all of `other`.
    pub fn extend(&mut self, other: Self) {
        for (digest, location) in other.0 {
            self.add(digest, location);
        }
    }

    /// Returns the bytes of `content`, checked.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if nobody said where they are, [`io::ErrorKind::InvalidData`] if they are others.
    pub fn read(&self, content: &Content) -> io::Result<Vec<u8>> {
        let location = self.get(&content.digest).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = Vec::new();
        location
            .reader()
            .take(content.size.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if Content::of(&bytes) != *content {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(bytes)
    }

    /// Returns where the bytes of `digest` are.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&Location> {
        self.0.get(digest)
    }
}
