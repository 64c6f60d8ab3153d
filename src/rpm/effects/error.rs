//! Why the effects of scriptlets cannot be had, in words.

use super::alternatives::AlternativesError;
use super::overlay::OverlayError;
use super::sysusers::SysusersError;
use crate::accounts::AccountsError;
use crate::diagnose::{Class, Diagnose};

/// Why the effects of scriptlets cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EffectsError {
    /// A user or group cannot be made.
    #[error("{package}: {source}")]
    Accounts {
        /// Whose scriptlet.
        package: String,
        /// Why not.
        source: AccountsError,
    },
    /// sysusers.d cannot be followed.
    #[error(transparent)]
    Sysusers(#[from] SysusersError),
    /// A scriptlet names a file of sysusers.d that is not there.
    #[error("{package}: there is no `{file}` for systemd-sysusers to read")]
    NoSysusers {
        /// Whose scriptlet.
        package: String,
        /// What it names.
        file: String,
    },
    /// Alternatives cannot be set.
    #[error(transparent)]
    Alternatives(#[from] AlternativesError),
    /// A file cannot be read or put in place.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// Certificates would have to be extracted, which imgbuild does not do.
    #[error(
        "{package}: certificates must be extracted by update-ca-trust: wanted a base that has them, found {found}"
    )]
    TrustStore {
        /// Whose scriptlet.
        package: String,
        /// What makes it necessary.
        found: String,
    },
}

impl Diagnose for EffectsError {
    fn class(&self) -> Class {
        match self {
            Self::Alternatives(error) => error.class(),
            _ => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Accounts { source, .. } => source.hint(),
            Self::TrustStore { .. } => Some(
                "use a base image that holds the certificates, and add none by packages".to_owned(),
            ),
            _ => None,
        }
    }
}
