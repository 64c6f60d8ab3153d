//! Why bytes are not a header.

use std::fmt;

use crate::diagnose::{Class, Diagnose};
use crate::rpm::tag;

/// Why bytes are not an RPM header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The first bytes are not those of a header.
    #[error("no header here: wanted the magic 8eade801, found {0}")]
    Magic(String),
    /// There are fewer or more bytes than the header says.
    #[error("header of {found} bytes, but its first bytes promise {wanted}")]
    Length {
        /// Bytes that the counts at its start ask for.
        wanted: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A count is larger than rpm allows.
    #[error("header claims {count} {what}; rpm allows {limit}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many are claimed.
        count: u32,
        /// How many are allowed.
        limit: u32,
    },
    /// The type of an entry is unknown, or not the one its tag must have.
    #[error("header entry {} has the impossible type {kind}", Tag(*.tag))]
    Type {
        /// The tag.
        tag: u32,
        /// The type number found.
        kind: u32,
    },
    /// The data of an entry lies outside, overlaps the entry before, or is not aligned.
    #[error("data of header entry {} ({count} items at offset {offset}) {problem}", Tag(*.tag))]
    Data {
        /// The tag.
        tag: u32,
        /// Items claimed.
        count: u32,
        /// Offset claimed, in bytes from the start of the data.
        offset: u32,
        /// What is wrong.
        problem: DataProblem,
    },
    /// A tag occurs twice in the same part, so readers could disagree about its value.
    #[error("header entry {} occurs twice", Tag(*.0))]
    Duplicate(u32),
    /// The part that signatures cover is not delimited as it must be.
    #[error("the region of header entry {} is malformed", Tag(*.0))]
    Region(u32),
}

/// What can be wrong with the data of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataProblem {
    /// It ends after the end of the header.
    Outside,
    /// It begins before the end of the entry before it.
    Overlaps,
    /// Numbers must lie at a multiple of their size.
    Unaligned,
    /// It has no items, or a single string has several.
    Count,
    /// A string has no terminating NUL.
    Unterminated,
}

impl fmt::Display for DataProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "ends outside the header",
            Self::Overlaps => "overlaps the entry before it",
            Self::Unaligned => "is not aligned",
            Self::Count => "has an impossible count",
            Self::Unterminated => "holds a string without end",
        })
    }
}

impl Diagnose for HeaderError {
    fn class(&self) -> Class {
        Class::Integrity
    }
}

/// A tag as messages show it.
struct Tag(u32);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match tag::name(self.0) {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}
