//! Why a database cannot be read or written.

use crate::diagnose::{Class, Diagnose};
use crate::rpm::header::HeaderError;

/// Why an RPM database cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database is in Berkeley DB's format.
    #[error("the base's RPM database is in Berkeley DB format (before RPM 4.16): wanted sqlite")]
    BerkeleyDb,
    /// The database is in rpm's own "ndb" format.
    #[error("the base's RPM database is in ndb format: wanted sqlite")]
    Ndb,
    /// The file is no database at all.
    #[error("the base's RPM database begins with {0}: wanted an sqlite database")]
    Unknown(String),
    /// The write-ahead log is malformed.
    #[error("the write-ahead log of the base's RPM database: {0}")]
    Wal(#[from] WalError),
    /// SQLite cannot read it.
    #[error("sqlite cannot read the base's RPM database: {0}")]
    Read(#[source] rusqlite::Error),
    /// The table of packages is missing or is not a table.
    #[error("the base's RPM database has no table of packages")]
    NoPackages,
    /// A package's number is impossible.
    #[error("the base's RPM database has an entry number {0}, which is no number that rpm gives")]
    Number(i64),
    /// The header of an entry is malformed.
    #[error("entry {number} of the base's RPM database: {source}")]
    Header {
        /// Which entry.
        number: u32,
        /// What is wrong.
        source: HeaderError,
    },
    /// A package's header holds a tag that only its signature header may hold.
    #[error("{package}: the header holds tag {tag}, which belongs into the signature header")]
    Foreign {
        /// Which package.
        package: String,
        /// Which tag.
        tag: u32,
    },
    /// A tag of a signature header has a type or count that it cannot have.
    #[error("{package}: tag {tag} of the signature header has a type or count that it cannot have")]
    Type {
        /// Which package.
        package: String,
        /// Which tag.
        tag: u32,
    },
    /// A package has no immutable region to store.
    #[error("{0}: the header has no immutable region")]
    NoRegion(String),
    /// There are not as many file states as files.
    #[error("{package}: {found} file states for {wanted} files")]
    States {
        /// Which package.
        package: String,
        /// Files.
        wanted: usize,
        /// States.
        found: usize,
    },
    /// The merged header is not one that rpm would read.
    #[error("{package}: the header to store: {source}")]
    Merged {
        /// Which package.
        package: String,
        /// What is wrong.
        source: HeaderError,
    },
    /// Two entries have one number.
    #[error("two packages have the number {0} in the RPM database")]
    SameNumber(u32),
    /// SQLite cannot write it.
    #[error("sqlite cannot write the RPM database: {0}")]
    Write(#[source] rusqlite::Error),
    /// SQLite returned something that is not a database.
    #[error("sqlite returned {0} bytes for a database")]
    Serialized(usize),
}

impl Diagnose for DatabaseError {
    fn class(&self) -> Class {
        match self {
            Self::BerkeleyDb | Self::Ndb | Self::Write(_) | Self::Serialized(_) => Class::Usage,
            _ => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        matches!(self, Self::BerkeleyDb | Self::Ndb).then(|| {
            "convert it in the base: `rpmdb --rebuilddb --define '_db_backend sqlite'`".to_owned()
        })
    }
}

/// Why a write-ahead log is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// It does not begin as one.
    #[error("wanted it to begin with 377f0682 or 377f0683, found {0}")]
    Magic(String),
    /// It is of another version.
    #[error("version {0}: wanted 3007000")]
    Version(u32),
    /// Its page size is impossible, or not the database's.
    #[error("pages of {found} bytes, the database's have {wanted}")]
    PageSize {
        /// In the database, in bytes.
        wanted: u32,
        /// In the log, in bytes.
        found: u32,
    },
    /// It asks for a database that is larger than allowed.
    #[error("it asks for {0} pages")]
    TooLarge(u32),
}
