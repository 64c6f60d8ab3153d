//! Why a registry did not give what was asked for.

use crate::diagnose::{Class, Diagnose};
use crate::edge::fetch::{FetchError, Retry, Retryable};
use crate::edge::store::StoreError;
use crate::oci::Digest;
use crate::oci::manifest::DocumentError;

/// Why a registry did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry does not have it.
    #[error("{what}: not found at {url}{}", said(words))]
    NotFound {
        /// The image or blob.
        what: String,
        /// Where it was asked for.
        url: String,
        /// What the registry said.
        words: String,
    },
    /// The registry does not give it to this user, or not to everybody.
    #[error("{what}: {host} refuses {}{}{}", if *anonymous { "without credentials" } else { "these credentials" }, said(words), listed(trouble))]
    Denied {
        /// The image or blob.
        what: String,
        /// The registry, which refuses itself or through its token service.
        host: String,
        /// Whether no credential was found.
        anonymous: bool,
        /// What the host said.
        words: String,
        /// What went wrong in looking for credentials.
        trouble: Vec<String>,
    },
    /// The registry sends to a token service that must not see credentials.
    #[error("{host} sends to the token service {realm}: {why}")]
    Realm {
        /// The registry.
        host: String,
        /// The token service.
        realm: String,
        /// Why it is not asked.
        why: &'static str,
    },
    /// The token service does not answer with a token.
    #[error("{realm} gave no token for {host}: {why}")]
    Token {
        /// The registry.
        host: String,
        /// The token service.
        realm: String,
        /// What it answered instead.
        why: String,
    },
    /// The manifest is another than the one asked for.
    #[error("{what}: expected {wanted}, got {found}")]
    Digest {
        /// The image.
        what: String,
        /// The digest asked for.
        wanted: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The registry names another digest than the bytes it sends have.
    #[error("{what}: the registry says {said}, but sends {found}")]
    Header {
        /// The image.
        what: String,
        /// The `Docker-Content-Digest` header.
        said: String,
        /// The digest of what came.
        found: Digest,
    },
    /// The document is not an index or manifest.
    #[error("{what}: {error}")]
    Document {
        /// The image.
        what: String,
        /// What is wrong with it.
        error: DocumentError,
    },
    /// The transfer failed.
    #[error("{what}: {error}")]
    Fetch {
        /// The image or blob.
        what: String,
        /// Why.
        error: FetchError,
    },
    /// The cache failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn said(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    }
}

fn listed(trouble: &[String]) -> String {
    if trouble.is_empty() {
        String::new()
    } else {
        format!(" ({})", trouble.join("; "))
    }
}

impl RegistryError {
    pub(super) fn fetch(what: &str) -> impl FnOnce(FetchError) -> Self + '_ {
        move |error| Self::Fetch {
            what: what.to_owned(),
            error,
        }
    }
}

impl Retryable for RegistryError {
    fn retry(&self) -> Retry {
        match self {
            Self::Fetch { error, .. } => error.retry(),
            _ => Retry::No,
        }
    }

    fn gave_up(self, tries: u32) -> Self {
        match self {
            Self::Fetch { what, error } => Self::Fetch {
                what,
                error: error.gave_up(tries),
            },
            other => other,
        }
    }
}

impl Diagnose for RegistryError {
    fn class(&self) -> Class {
        match self {
            Self::NotFound { .. }
            | Self::Denied { .. }
            | Self::Realm { .. }
            | Self::Token { .. } => Class::Unavailable,
            Self::Digest { .. } | Self::Header { .. } | Self::Document { .. } => Class::Integrity,
            Self::Fetch { error, .. } => error.class(),
            Self::Store(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => {
                Some("check the spelling of the repository and tag; some registries answer so when a login is missing".to_owned())
            }
            Self::Denied { host, .. } => Some(format!("log in first, for example: docker login {host}")),
            Self::Fetch { error, .. } => error.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}
