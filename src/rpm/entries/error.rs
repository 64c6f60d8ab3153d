//! Why the file list of a header cannot be used.

use crate::diagnose::{Class, Diagnose};
use crate::layer::LayerPath;
use crate::layer::path::PathError;
use crate::rpm::tag;

/// Why the file list of a header cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntriesError {
    /// A list is not as long as the list of files.
    #[error("{package}: header entry {} has {found} items for {wanted} files", tag::name(*.tag).unwrap_or("?"))]
    Count {
        /// Which package.
        package: String,
        /// Which tag.
        tag: u32,
        /// How many files there are.
        wanted: usize,
        /// How many items there are.
        found: usize,
    },
    /// File names are stored in the form used before RPM 4.
    #[error("{0}: file names are in the form used before RPM 4 (OLDFILENAMES)")]
    OldFileNames(String),
    /// The digest algorithm is not one that is read.
    #[error("{package}: file digests are of unknown algorithm {number}")]
    Algorithm {
        /// Which package.
        package: String,
        /// The number found.
        number: u32,
    },
    /// The directory of a file is not in the list.
    #[error("{package}: file `{file}` is in directory {index} of {count}")]
    Directory {
        /// Which package.
        package: String,
        /// The base name.
        file: String,
        /// The index found.
        index: u32,
        /// How many directories there are.
        count: usize,
    },
    /// A path is relative, holds `..`, or is otherwise impossible.
    #[error("{package}: path `{path}` is not usable: {problem}")]
    Path {
        /// Which package.
        package: String,
        /// The path.
        path: String,
        /// Why not.
        problem: PathProblem,
    },
    /// A path is listed twice.
    #[error("{package}: {path} is listed twice")]
    Twice {
        /// Which package.
        package: String,
        /// The path.
        path: LayerPath,
    },
    /// The mode says neither file, directory, link nor device.
    #[error("{package}: {path} has mode {mode:o}, which is no kind of file that packages hold")]
    Mode {
        /// Which package.
        package: String,
        /// The path.
        path: LayerPath,
        /// The mode.
        mode: u32,
    },
    /// A name of an owner, a digest or a capability is not UTF-8.
    #[error("{package}: {path}: `{found}` is not UTF-8")]
    Text {
        /// Which package.
        package: String,
        /// The path.
        path: LayerPath,
        /// What was found, escaped.
        found: String,
    },
}

/// What can be wrong with a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// Packages list absolute paths.
    #[error("it is not absolute")]
    Relative,
    /// A base name with a slash would mean another path to other readers.
    #[error("its last part holds a slash")]
    Slash,
    /// See [`PathError`].
    #[error(transparent)]
    Invalid(#[from] PathError),
}

impl Diagnose for EntriesError {
    fn class(&self) -> Class {
        Class::Integrity
    }
}
