//! One entry of an image's tree: what it is, who owns it, when it changed.

use std::collections::BTreeMap;

use super::content::Content;
use super::path::LayerPath;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A regular file.
    File(Content),
    /// A symbolic link and its target, any bytes.
    Symlink(Vec<u8>),
    /// Another name of the file at this path, which must be in the same layer.
    Hardlink(LayerPath),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// Removes the entry of this path from the layers below.
    ///
    /// <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>
    Whiteout,
}

/// What every entry has besides its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970 UTC.
    pub mtime: i64,
    /// Extended attributes by name, for example `security.capability`.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Mode, owner, time, attributes.
    pub meta: Meta,
}

/// The mtime of everything imgbuild itself makes: 2000-01-01 00:00:00 UTC.
///
/// Fixed by the format. Not before 1980-01-01, which Python's `zipfile` refuses.
pub const MADE_MTIME: i64 = 946_684_800;

impl Meta {
    /// Returns mode `mode`, owned by root, with the time of everything imgbuild makes.
    #[must_use]
    pub fn made(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime: MADE_MTIME,
            xattrs: BTreeMap::new(),
        }
    }

    /// Returns the same with another owner.
    #[must_use]
    pub fn owned_by(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }
}

impl Node {
    /// Returns a directory that imgbuild makes, mode 0755.
    #[must_use]
    pub fn made_dir() -> Self {
        Self {
            kind: Kind::Dir,
            meta: Meta::made(0o755),
        }
    }

    /// Returns a file that imgbuild makes.
    #[must_use]
    pub fn made_file(content: Content, mode: u32) -> Self {
        Self {
            kind: Kind::File(content),
            meta: Meta::made(mode),
        }
    }

    /// Returns a symbolic link that imgbuild makes.
    #[must_use]
    pub fn made_symlink(target: impl Into<Vec<u8>>) -> Self {
        Self {
            kind: Kind::Symlink(target.into()),
            meta: Meta::made(0o777),
        }
    }

    /// Returns the removal of what lies below.
    #[must_use]
    pub fn whiteout() -> Self {
        Self {
            kind: Kind::Whiteout,
            meta: Meta::made(0o644),
        }
    }

    /// Tells whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir)
    }
}
