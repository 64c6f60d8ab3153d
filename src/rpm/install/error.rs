//! Why packages cannot be installed on a base.

use std::fmt;

use super::capabilities::CapabilityError;
use crate::diagnose::{Class, Diagnose};
use crate::layer::LayerPath;
use crate::layer::tree::TreeError;
use crate::rpm::entries::EntriesError;

/// Which of a file's owners is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// Its user.
    User,
    /// Its group.
    Group,
}

impl fmt::Display for OwnerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Group => "group",
        })
    }
}

/// Why packages cannot be installed on a base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// The file list of an installed package is unusable.
    #[error("in the database of the base: {0}")]
    Entries(#[from] EntriesError),
    /// The symbolic links among the parents of a path lead nowhere.
    #[error("{package}: {source}")]
    Parents {
        /// Which package.
        package: String,
        /// Where, and why.
        source: TreeError,
    },
    /// A file belongs to an account that does not exist.
    #[error("{package}: {path} belongs to {kind} `{name}`, which does not exist in the image")]
    Owner {
        /// Which package.
        package: String,
        /// Which file.
        path: LayerPath,
        /// User or group.
        kind: OwnerKind,
        /// Its name.
        name: String,
    },
    /// The capabilities of a file are unusable.
    #[error("{package}: {path} has capabilities `{text}`: {source}")]
    Capability {
        /// Which package.
        package: String,
        /// Which file.
        path: LayerPath,
        /// The capabilities, as the header has them.
        text: String,
        /// What is wrong with them.
        source: CapabilityError,
    },
    /// Two packages hold different files at one path.
    #[error("{path} conflicts: {first} and {second} both hold it, and not the same")]
    Conflict {
        /// Where.
        path: LayerPath,
        /// Who has it, or comes first.
        first: String,
        /// Who wants it too.
        second: String,
    },
    /// A file would have to replace a directory, which rpm does not do either.
    #[error("{package}: {path} is a directory already, which cannot be replaced by a file")]
    OverDirectory {
        /// Which package.
        package: String,
        /// Where.
        path: LayerPath,
    },
    /// A parent of a file is not a directory.
    #[error("{package}: {path} cannot be placed: {parent} is not a directory")]
    Parent {
        /// Which package.
        package: String,
        /// Which file.
        path: LayerPath,
        /// Which parent.
        parent: LayerPath,
    },
    /// A file that is wanted was not unpacked.
    #[error("{package}: {path} was not unpacked")]
    NotUnpacked {
        /// Which package.
        package: String,
        /// Which file.
        path: LayerPath,
    },
}

impl Diagnose for InstallError {
    fn class(&self) -> Class {
        match self {
            Self::Entries(_) | Self::Parents { .. } | Self::Capability { .. } => Class::Integrity,
            _ => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Owner { kind, name, .. } => Some(format!(
                "the package that creates {kind} `{name}` is not installed, or creates it in a scriptlet that is not \
                 understood"
            )),
            _ => None,
        }
    }
}
