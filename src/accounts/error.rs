//! Why an account cannot be made, in words.

use crate::diagnose::{Class, Diagnose};

/// Why an account cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// `useradd` would refuse the name.
    #[error(
        "`{0}` is not a user or group name: wanted up to 32 of A-Z a-z 0-9 _ . -, not all digits, not starting with `-`"
    )]
    Name(String),
    /// A field would break the line or mean something else.
    #[error("user `{name}`: {field} `{value}` is not allowed: wanted {wanted}")]
    Field {
        /// Which user.
        name: String,
        /// `home`, `shell` or `comment`.
        field: &'static str,
        /// What was given.
        value: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The number belongs to another user.
    #[error("user `{name}`: uid {uid} is already that of `{holder}`")]
    UidTaken {
        /// Which user was to be made.
        name: String,
        /// The number.
        uid: u32,
        /// Whose it is.
        holder: String,
    },
    /// The number belongs to another group.
    #[error("group `{name}`: gid {gid} is already that of `{holder}`")]
    GidTaken {
        /// Which group was to be made.
        name: String,
        /// The number.
        gid: u32,
        /// Whose it is.
        holder: String,
    },
    /// The user is there with another number.
    #[error("user `{name}`: wanted uid {wanted}, but it already has uid {found}")]
    OtherUid {
        /// Which user.
        name: String,
        /// Number asked for.
        wanted: u32,
        /// Number it has.
        found: u32,
    },
    /// The group is there with another number.
    #[error("group `{name}`: wanted gid {wanted}, but it already has gid {found}")]
    OtherGid {
        /// Which group.
        name: String,
        /// Number asked for.
        wanted: u32,
        /// Number it has.
        found: u32,
    },
    /// A group that a user wants is not there.
    #[error("user `{user}`: there is no group `{group}`")]
    NoGroup {
        /// Which user.
        user: String,
        /// Name or number of the group.
        group: String,
    },
    /// Only existing users become members.
    #[error("group `{group}`: there is no user `{user}` to add")]
    NoUser {
        /// Name of the user.
        user: String,
        /// Which group.
        group: String,
    },
    /// Every number of the range is taken.
    #[error("`{name}`: no free number from {min} to {max}")]
    Full {
        /// Which user or group was to be made.
        name: String,
        /// First number of the range.
        min: u32,
        /// Last number of the range.
        max: u32,
    },
}

impl Diagnose for AccountsError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UidTaken { .. } | Self::GidTaken { .. } => {
                Some("choose another number in `[user]`, or the name that has it".to_owned())
            }
            Self::OtherUid { found, .. } => {
                Some(format!("write `uid = {found}`, or choose another name"))
            }
            Self::OtherGid { found, .. } => {
                Some(format!("write `gid = {found}`, or choose another name"))
            }
            _ => None,
        }
    }
}
