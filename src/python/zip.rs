//! Reads zip archives strictly: both directories must agree, and no byte may be unaccounted for.
//!
//! Installers that read the central directory and those that read local headers must see one and the same archive
//! (CVE-2025-54368). So everything that two readers could understand differently is refused.
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>

mod end;
mod names;
mod records;

use std::io::{self, Read as _};
use std::sync::Arc;

use crate::diagnose::{Class, Diagnose};
use crate::layer::RandomRead;
use crate::layer::content::{Location, Packing};

/// How much an archive may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Members.
    pub members: u64,
    /// Bytes of all members together, unpacked.
    pub size: u64,
    /// Unpacked bytes per byte of the archive, beyond the first 64 MiB.
    pub ratio: u64,
    /// Bytes of a member that is read into memory.
    pub in_memory: u64,
}

impl Default for Limits {
    /// Returns limits several times beyond the largest wheels on PyPI.
    fn default() -> Self {
        Self {
            members: 200_000,
            size: 16 << 30,
            ratio: 200,
            in_memory: 64 << 20,
        }
    }
}

/// Deflate cannot pack better than this, so a member that claims more lies about its size.
const DEFLATE_RATIO: u64 = 1032;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path: relative, normal, UTF-8 without control characters.
    pub name: String,
    /// Whether any execute bit is set.
    pub executable: bool,
    /// Its size in bytes.
    pub size: u64,
    /// The CRC-32 of its bytes.
    pub crc: u32,
    /// Where its packed bytes start in the archive.
    pub offset: u64,
    /// How many packed bytes there are.
    pub packed: u64,
    /// How they are packed.
    pub packing: Packing,
}

/// An archive whose directory has been read and found sound.
#[derive(Clone)]
pub struct Archive {
    blob: Arc<dyn RandomRead>,
    members: Vec<Member>,
    folders: Vec<String>,
    limits: Limits,
}

/// Why bytes are not an archive that is read.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// The bytes cannot be read.
    #[error("the archive cannot be read")]
    Read(#[source] io::Error),
    /// The record that ends every archive is not at its end.
    #[error("not a zip archive, or bytes follow its end")]
    End,
    /// A record is cut off or starts with the wrong signature.
    #[error("{record} at byte {at} is malformed")]
    Record {
        /// Which record.
        record: &'static str,
        /// Where.
        at: u64,
    },
    /// The archive is split, or its end contradicts itself.
    #[error("the end of the archive is inconsistent: {0}")]
    Inconsistent(&'static str),
    /// There are more members than any wheel has.
    #[error("{found} members: wanted at most {most}")]
    Count {
        /// How many.
        found: u64,
        /// How many are allowed.
        most: u64,
    },
    /// The members would unpack to more than any wheel does.
    #[error("unpacks to {found} bytes: wanted at most {most}")]
    Size {
        /// How much they claim.
        found: u64,
        /// How much is allowed.
        most: u64,
    },
    /// One member claims to unpack to more than its bytes can hold.
    #[error("{member}: {packed} bytes cannot unpack to {size}")]
    Bomb {
        /// The member.
        member: String,
        /// Its packed size.
        packed: u64,
        /// The size it claims.
        size: u64,
    },
    /// A name that could leave the folder, or that readers understand differently.
    #[error("{name}: {fault}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// A symbolic link, device or other special file.
    #[error("{member}: is {kind}: wanted a file or a directory")]
    Special {
        /// The member.
        member: String,
        /// What it is.
        kind: &'static str,
    },
    /// A feature that is not read: encryption, patches, masked headers.
    #[error(
        "{member}: is encrypted or uses another feature that wheels do not (flags {flags:#06x})"
    )]
    Flags {
        /// The member.
        member: String,
        /// Its flags.
        flags: u16,
    },
    /// A packing that is not read.
    #[error("{member}: packed by method {found}: wanted 0 (stored) or 8 (deflate)")]
    Method {
        /// The member.
        member: String,
        /// The method.
        found: u16,
    },
    /// The two headers of a member say different things.
    #[error("{member}: its {field} differs between the local header and the central directory")]
    Disagree {
        /// The member.
        member: String,
        /// What differs.
        field: &'static str,
    },
    /// Bytes between members belong to none, or to two.
    #[error("{member}: starts at byte {found}: wanted {wanted}, where the one before ends")]
    Gap {
        /// The member after the gap, or the directory.
        member: String,
        /// Where it starts.
        found: u64,
        /// Where it should start.
        wanted: u64,
    },
    /// The packed bytes do not unpack to what the directory says.
    #[error("{member}: does not unpack to the {wanted} that its directory entry says")]
    Content {
        /// The member.
        member: String,
        /// What was checked.
        wanted: &'static str,
    },
    /// A member that has to be read whole is too large for that.
    #[error("{member}: {size} bytes: wanted at most {most}")]
    TooLong {
        /// The member.
        member: String,
        /// Its size.
        size: u64,
        /// How much is allowed.
        most: u64,
    },
}

/// What is wrong with the name of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// It starts with a slash.
    #[error("the name is absolute")]
    Absolute,
    /// It holds `..`.
    #[error("the name holds `..`, which could leave the folder")]
    Parent,
    /// It holds a backslash, which some readers take for a slash.
    #[error("the name holds a backslash")]
    Backslash,
    /// It is not UTF-8, or not marked as such, or holds control characters.
    #[error("the name is not printable UTF-8")]
    NotText,
    /// It is empty, or holds `.` or an empty component.
    #[error("the name is not in normal form")]
    NotNormal,
    /// It is longer than Linux allows.
    #[error("the name is too long")]
    Long,
    /// Another member has it.
    #[error("two members have this name")]
    Duplicate,
    /// Another member is a file of the name of its folder.
    #[error("a file has the name of its folder")]
    FileAsFolder,
    /// An extra field gives it another name.
    #[error("an extra field gives it another name")]
    TwoNames,
}

impl Diagnose for ZipError {
    fn class(&self) -> Class {
        match self {
            Self::Read(error) if error.kind() != io::ErrorKind::UnexpectedEof => Class::Usage,
            _ => Class::Integrity,
        }
    }
}

impl Archive {
    /// Reads the directory of the archive in `blob` and checks all of it; no member is unpacked.
    ///
    /// # Errors
    /// [`ZipError`] if it is no archive, is ambiguous, or holds more than `limits` allow.
    pub fn open(blob: Arc<dyn RandomRead>, limits: Limits) -> Result<Self, ZipError> {
        let entries = records::read(&*blob, &limits)?;
        names::check(&entries)?;
        let mut total = 0_u64;
        for entry in &entries {
            total = total.saturating_add(entry.size);
        }
        let most = blob.size().saturating_mul(limits.ratio).max(64 << 20);
        let most = most.min(limits.size);
        if total > most {
            return Err(ZipError::Size { found: total, most });
        }
        let (folders, files): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(records::Entry::is_folder);
        let folders = folders.into_iter().map(records::Entry::into_folder);
        let mut members: Vec<Member> = files.into_iter().map(records::Entry::into_member).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            blob,
            members,
            folders: folders.collect(),
            limits,
        })
    }

    /// Returns the files, sorted by name.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns the folders that have an entry of their own, without final slash; most archives leave these out.
    #[must_use]
    pub fn folders(&self) -> &[String] {
        &self.folders
    }

    /// Returns where the bytes of `member` are, for whoever unpacks and checks them.
    #[must_use]
    pub fn location(&self, member: &Member) -> Location {
        Location::Extent {
            blob: Arc::clone(&self.blob),
            offset: member.offset,
            packed: member.packed,
            packing: member.packing,
        }
    }

    /// Unpacks `member` and checks its size and CRC.
    ///
    /// # Errors
    /// [`ZipError::Content`] if they are not as the directory says; [`ZipError::TooLong`] beyond the limit.
    pub fn read(&self, member: &Member) -> Result<Vec<u8>, ZipError> {
        let most = self.limits.in_memory;
        if member.size > most {
            return Err(ZipError::TooLong {
                member: member.name.clone(),
                size: member.size,
                most,
            });
        }
        // One byte more than promised shows a member that goes on.
        let bytes = self.unpack(member, member.size.saturating_add(1))?;
        let differs = |wanted| {
            Err(ZipError::Content {
                member: member.name.clone(),
                wanted,
            })
        };
        if bytes.len() as u64 != member.size {
            return differs("size");
        }
        if crc32fast::hash(&bytes) != member.crc {
            return differs("CRC-32");
        }
        Ok(bytes)
    }

    /// Unpacks the first `most` bytes of `member`, or all if there are fewer; nothing is checked.
    ///
    /// # Errors
    /// [`ZipError::Content`] if it does not unpack.
    pub fn read_start(&self, member: &Member, most: u64) -> Result<Vec<u8>, ZipError> {
        self.unpack(member, most.min(member.size))
    }

    fn unpack(&self, member: &Member, most: u64) -> Result<Vec<u8>, ZipError> {
        let source = Source {
            blob: &*self.blob,
            at: member.offset,
            left: member.packed,
        };
        let mut bytes = Vec::new();
        let read = match member.packing {
            Packing::Stored => source.take(most).read_to_end(&mut bytes),
            Packing::Deflate => flate2::read::DeflateDecoder::new(source)
                .take(most)
                .read_to_end(&mut bytes),
        };
        match read {
            Ok(_) => Ok(bytes),
            Err(error)
                if error.kind() == io::ErrorKind::InvalidInput
                    || error.kind() == io::ErrorKind::InvalidData =>
            {
                Err(ZipError::Content {
                    member: member.name.clone(),
                    wanted: "bytes",
                })
            }
            Err(error) => Err(ZipError::Read(error)),
        }
    }
}

/// The packed bytes of one member as a stream.
struct Source<'a> {
    blob: &'a dyn RandomRead,
    at: u64,
    left: u64,
}

impl io::Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.left.min(buffer.len() as u64);
        let length = usize::try_from(length).unwrap_or(buffer.len());
        let Some(part) = buffer.get_mut(..length) else {
            return Ok(0);
        };
        self.blob.read_exact_at(part, self.at)?;
        self.at += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}
