//! Why a payload cannot be unpacked.

use std::io;

use crate::diagnose::{Class, Diagnose};
use crate::layer::LayerPath;
use crate::rpm::entries::EntriesError;

/// Why a package cannot be unpacked: which package, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{package}: {problem}")]
pub struct UnpackError {
    /// Which package.
    pub package: String,
    /// What is wrong.
    #[source]
    pub problem: PayloadError,
}

impl Diagnose for UnpackError {
    fn class(&self) -> Class {
        self.problem.class()
    }
}

/// What can be wrong with a payload.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The header's file list is unusable.
    #[error(transparent)]
    Entries(#[from] EntriesError),
    /// Source packages are not installed.
    #[error("a source package: wanted a binary one")]
    Source,
    /// The archive is not cpio.
    #[error("payload format `{0}` is not read: wanted cpio")]
    Format(String),
    /// The payload is compressed in a way that is not read.
    #[error("payload compressor `{0}` is not read: wanted gzip, bzip2, xz, lzma, zstd or none")]
    Compressor(String),
    /// The payload is not compressed as the header says.
    #[error("payload: wanted {wanted}, found bytes beginning with {found}")]
    Compression {
        /// What the header says.
        wanted: String,
        /// First bytes found.
        found: String,
    },
    /// The payload ends early, does not decompress, or cannot be read.
    #[error("payload is truncated, damaged or unreadable: {0}")]
    Read(#[source] io::Error),
    /// The spool cannot be written.
    #[error("cannot write unpacked files: {0}")]
    Spool(#[source] io::Error),
    /// An archive record is malformed.
    #[error("archive record at byte {position}: wanted cpio newc, found `{found}`")]
    Record {
        /// Where in the archive, in bytes.
        position: u64,
        /// What is there.
        found: String,
    },
    /// A name in the archive is empty, too long or has no end.
    #[error("archive record at byte {position}: a name of {size} bytes is not usable")]
    NameSize {
        /// Where in the archive, in bytes.
        position: u64,
        /// Its claimed size, in bytes.
        size: u32,
    },
    /// The archive holds a file that the header does not list.
    #[error("the payload holds `{0}`, which the header does not list")]
    Unlisted(String),
    /// A file is in the archive twice.
    #[error("the payload holds {0} twice")]
    Twice(LayerPath),
    /// The header lists a file that the archive does not hold.
    #[error("the header lists {0}, which the payload does not hold")]
    Missing(LayerPath),
    /// Archive and header disagree about the kind of a file.
    #[error("{path}: mode {wanted:o} in the header, {found:o} in the payload")]
    Mode {
        /// Which file.
        path: LayerPath,
        /// Mode in the header.
        wanted: u32,
        /// Mode in the archive.
        found: u32,
    },
    /// Archive and header disagree about the size of a file.
    #[error("{path}: {wanted} bytes in the header, {found} in the payload")]
    Size {
        /// Which file.
        path: LayerPath,
        /// Size in the header, in bytes.
        wanted: u64,
        /// Size in the archive, in bytes.
        found: u64,
    },
    /// Archive and header disagree about the target of a symbolic link.
    #[error("{path}: points to `{wanted}` in the header, to `{found}` in the payload")]
    Target {
        /// Which file.
        path: LayerPath,
        /// Target in the header.
        wanted: String,
        /// Target in the archive.
        found: String,
    },
    /// A file does not have the digest that the header gives.
    #[error("{path}: expected {wanted}, got {found}")]
    Digest {
        /// Which file.
        path: LayerPath,
        /// Digest in the header.
        wanted: String,
        /// Digest of the bytes.
        found: String,
    },
    /// A file does not have the sum that its archive record gives.
    #[error("{path}: expected sum {wanted:08x}, got {found:08x}")]
    Sum {
        /// Which file.
        path: LayerPath,
        /// Sum in the record.
        wanted: u32,
        /// Sum of the bytes.
        found: u32,
    },
    /// The compressed payload does not have the digest that the package gives.
    #[error("payload: expected {wanted}, got {found}")]
    PayloadDigest {
        /// Digest in the package.
        wanted: String,
        /// Digest of the bytes.
        found: String,
    },
    /// The payload digest is of an algorithm that is not read.
    #[error("payload digest is of unknown algorithm {0}")]
    Algorithm(u32),
    /// The files are larger than allowed.
    #[error("the header lists {found} bytes of files; the limit is {limit}")]
    TooLarge {
        /// Bytes of all files.
        found: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// Something follows where the end must be.
    #[error("bytes follow the end of the {0}")]
    Trailing(&'static str),
}

impl Diagnose for PayloadError {
    fn class(&self) -> Class {
        match self {
            Self::Spool(_) | Self::Source => Class::Usage,
            _ => Class::Integrity,
        }
    }
}
