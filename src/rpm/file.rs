//! Opens an `.rpm` file: lead, signature header, header, and where the payload begins.
//!
//! Layout: <https://rpm-software-management.github.io/rpm/manual/format_v4.html>. The lead and the signature header are
//! not signed, so nothing they say is used but to check the rest.

use std::io;
use std::ops::Range;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::header::{Header, HeaderError};
use super::tag;
use crate::diagnose::{Class, Diagnose};
use crate::layer::RandomRead;
use crate::oci::digest::hex;

/// Bytes of the lead, which only says that this is an RPM package.
const LEAD: usize = 96;
/// What the lead begins with.
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// Bytes of a signature header, as rpm limits them.
const MAX_SIGNATURE: usize = 64 << 20;

/// Why bytes are not an RPM package that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The blob cannot be read, or ends early.
    #[error(
        "cannot read {what} at byte {offset}: the package is truncated or unreadable: {source}"
    )]
    Read {
        /// What was to be read.
        what: &'static str,
        /// From where, in bytes.
        offset: u64,
        /// Why not.
        source: io::Error,
    },
    /// It does not begin as an RPM package does.
    #[error("not an RPM package: wanted it to begin with edabeedb, found {0}")]
    Lead(String),
    /// One of the two headers is malformed.
    #[error("{what}: {source}")]
    Header {
        /// Which.
        what: &'static str,
        /// Why.
        source: HeaderError,
    },
    /// The signature header is larger than rpm allows.
    #[error("signature header of {0} bytes; rpm allows {MAX_SIGNATURE}")]
    SignatureSize(usize),
    /// The header's immutable region does not cover all of it: a package of the time before RPM 4.
    #[error(
        "{0}: the header is not covered by an immutable region, as packages of RPM 4 and later are"
    )]
    Uncovered(String),
    /// Name, version or release is missing.
    #[error("the header has no name, version or release")]
    Nameless,
    /// The header does not have the digest that the signature header gives.
    #[error("{package}: {algorithm} of the header: expected {wanted}, got {found}")]
    Digest {
        /// Which package, as its header says.
        package: String,
        /// Which digest.
        algorithm: &'static str,
        /// What the signature header says.
        wanted: String,
        /// What the header has.
        found: String,
    },
    /// The package is longer or shorter than the signature header says.
    #[error("{package}: header and payload: expected {wanted} bytes, got {found}")]
    Size {
        /// Which package.
        package: String,
        /// What the signature header says.
        wanted: u64,
        /// What there is.
        found: u64,
    },
}

impl Diagnose for FileError {
    fn class(&self) -> Class {
        match self {
            Self::Read { source, .. } if source.kind() != io::ErrorKind::UnexpectedEof => {
                Class::Usage
            }
            _ => Class::Integrity,
        }
    }
}

/// An opened package: both headers, checked, and the place of the payload.
#[derive(Clone, Debug)]
pub struct PackageFile {
    signature: Header,
    header: Header,
    header_range: Range<u64>,
    size: u64,
}

impl PackageFile {
    /// Reads the two headers of a package and checks the header against its digests and sizes.
    ///
    /// Signatures are not verified here, and the payload is not read.
    ///
    /// # Errors
    /// [`FileError`] for everything that is not a package of RPM 4 or later, or does not match its own digests.
    pub fn open(blob: &dyn RandomRead) -> Result<Self, FileError> {
        let lead = read(blob, "the lead", 0, LEAD)?;
        if !lead.starts_with(&LEAD_MAGIC) {
            return Err(FileError::Lead(hex(&lead[..4])));
        }
        let at = LEAD as u64;
        let (signature, length) = read_header(blob, "signature header", at, MAX_SIGNATURE)?;
        // The signature header is padded to eight bytes; the header itself is not.
        let at = at + length.next_multiple_of(8);
        let (header, length) = read_header(blob, "header", at, usize::MAX)?;
        let package = Self {
            signature,
            header,
            header_range: at..at + length,
            size: blob.size(),
        };
        package.check()?;
        Ok(package)
    }

    fn check(&self) -> Result<(), FileError> {
        let header = &self.header;
        if [tag::NAME, tag::VERSION, tag::RELEASE]
            .iter()
            .any(|&tag| header.string(tag).is_none_or(str::is_empty))
        {
            return Err(FileError::Nameless);
        }
        let package = header.nevra();
        let whole = Some((
            header.entries().len(),
            header.bytes().len() - 8 - 16 * header.entries().len(),
        ));
        if header.immutable_extent() != whole {
            return Err(FileError::Uncovered(package));
        }
        let bytes = self.header_bytes();
        for (tag, algorithm) in [(tag::SHA256HEADER, "SHA-256"), (tag::SHA1HEADER, "SHA-1")] {
            let Some(wanted) = self.signature.string(tag) else {
                continue;
            };
            let found = match tag {
                tag::SHA256HEADER => hex(&Sha256::digest(&bytes)),
                _ => hex(&Sha1::digest(&bytes)),
            };
            if !wanted.eq_ignore_ascii_case(&found) {
                return Err(FileError::Digest {
                    package,
                    algorithm,
                    wanted: wanted.to_owned(),
                    found,
                });
            }
        }
        let found = self.size - self.header_range.start;
        let small = self.signature.u32(tag::signature::SIZE).map(u64::from);
        let large = self.signature.u64s(tag::LONGSIGSIZE).first().copied();
        match small.or(large) {
            Some(wanted) if wanted != found => Err(FileError::Size {
                package,
                wanted,
                found,
            }),
            _ => Ok(()),
        }
    }

    /// Returns the signature header: signatures and digests, themselves unsigned.
    #[must_use]
    pub fn signature(&self) -> &Header {
        &self.signature
    }

    /// Returns the header: everything the package says about itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the header as it is in the package, with magic: what header signatures are of.
    #[must_use]
    pub fn header_bytes(&self) -> Vec<u8> {
        [&super::header::MAGIC, self.header.bytes()].concat()
    }

    /// Returns where the header is in the package, in bytes; the payload begins at its end.
    #[must_use]
    pub fn header_range(&self) -> Range<u64> {
        self.header_range.clone()
    }

    /// Returns where the compressed payload is in the package, in bytes.
    #[must_use]
    pub fn payload_range(&self) -> Range<u64> {
        self.header_range.end..self.size
    }

    /// Tells whether it is a source package, which is never installed.
    #[must_use]
    pub fn is_source(&self) -> bool {
        // rpm tells them by the missing name of a source package; SOURCEPACKAGE came later.
        self.header.contains(tag::SOURCEPACKAGE) || !self.header.contains(tag::SOURCERPM)
    }

    /// Returns `name-[epoch:]version-release.arch`.
    #[must_use]
    pub fn nevra(&self) -> String {
        self.header.nevra()
    }
}

fn read(
    blob: &dyn RandomRead,
    what: &'static str,
    offset: u64,
    length: usize,
) -> Result<Vec<u8>, FileError> {
    let error = |source| FileError::Read {
        what,
        offset,
        source,
    };
    // Before anything is allocated: the length comes from the file itself.
    let available = blob.size().saturating_sub(offset);
    if (length as u64) > available {
        return Err(error(io::ErrorKind::UnexpectedEof.into()));
    }
    let mut bytes = vec![0; length];
    blob.read_exact_at(&mut bytes, offset).map_err(error)?;
    Ok(bytes)
}

/// Reads the header at `offset` and returns it with the bytes it takes, magic included.
fn read_header(
    blob: &dyn RandomRead,
    what: &'static str,
    offset: u64,
    limit: usize,
) -> Result<(Header, u64), FileError> {
    let wrap = |source| FileError::Header { what, source };
    let start = read(blob, what, offset, 16)?;
    let length = Header::length_with_magic(&start).map_err(wrap)?;
    if length > limit {
        return Err(FileError::SignatureSize(length));
    }
    let bytes = read(blob, what, offset, length)?;
    let header = Header::parse_with_magic(&bytes).map_err(wrap)?;
    Ok((header, length as u64))
}
