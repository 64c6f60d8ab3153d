//! Reads a repository's metadata: repomd.xml, primary.xml and filelists.xml.
//!
//! <https://github.com/rpm-software-management/createrepo_c/tree/master/doc>

mod compressed;
mod filelists;
mod primary;
mod repomd;
mod xml;

use std::io;

use crate::diagnose::{Class, Diagnose};
use crate::rpm::package::ChecksumError;

pub use compressed::{Compression, Unsupported, open_compressed};
pub use filelists::{FoundFile, add_files, scan_filelists};
pub use primary::parse_primary;
pub use repomd::{Record, Repomd, parse_repomd};

/// Why metadata cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RepodataError {
    /// The bytes end early, do not decompress, or are more than they may be.
    #[error("{document} cannot be read: {source}")]
    Read {
        /// Which document.
        document: &'static str,
        /// What the reader says.
        source: io::Error,
    },
    /// Not XML.
    #[error("{document} is not XML at byte {at}: {problem}")]
    Syntax {
        /// Which document.
        document: &'static str,
        /// Offset in bytes.
        at: u64,
        /// What the XML reader says.
        problem: String,
    },
    /// XML, but another document.
    #[error("{document} begins with <{found}>, wanted <{wanted}>")]
    Root {
        /// Which document.
        document: &'static str,
        /// What it begins with.
        found: String,
        /// What it must begin with.
        wanted: &'static str,
    },
    /// Elements nest deeper than the format does.
    #[error("{document} nests elements more than {limit} deep at byte {at}")]
    Deep {
        /// Which document.
        document: &'static str,
        /// Offset in bytes.
        at: u64,
        /// How deep they may nest.
        limit: usize,
    },
    /// One element or text is longer than the format needs.
    #[error("{document} holds a single piece of more than {limit} bytes at byte {at}")]
    Long {
        /// Which document.
        document: &'static str,
        /// Offset in bytes.
        at: u64,
        /// How long one may be.
        limit: u64,
    },
    /// An element or attribute that cannot be left out.
    #[error("{document}: {entry} has no {wanted}")]
    Missing {
        /// Which document.
        document: &'static str,
        /// The package or record.
        entry: String,
        /// What is missing.
        wanted: &'static str,
    },
    /// Not a number.
    #[error("{document}: {entry}: {field} is `{found}`, wanted a number")]
    Number {
        /// Which document.
        document: &'static str,
        /// The package or record.
        entry: String,
        /// Which field.
        field: &'static str,
        /// What was found.
        found: String,
    },
    /// A checksum that is malformed or no longer safe.
    #[error("{document}: {entry}: {source}")]
    Checksum {
        /// Which document.
        document: &'static str,
        /// The package or record.
        entry: String,
        /// What is wrong with it.
        source: ChecksumError,
    },
}

impl Diagnose for RepodataError {
    fn class(&self) -> Class {
        Class::Integrity
    }
}
