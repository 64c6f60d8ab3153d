//! Why a registry did not give what was asked for.

use std::io;

use super::amazon::AmazonError;
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
    /// AWS gives no password for this registry of its own.
    #[error("{what}: no credentials for {host}: {error}{}", listed(trouble))]
    Amazon {
        /// The image or blob.
        what: String,
        /// The registry.
        host: String,
        /// Why not.
        error: AmazonError,
        /// What went wrong with other credentials.
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
    /// The registry gives no place to upload to, or one that is not to be used.
    #[error("{what}: {host} names no place to upload to: {why}")]
    Location {
        /// The blob.
        what: String,
        /// The registry.
        host: String,
        /// What is wrong with what it names.
        why: String,
    },
    /// The registry does not go on with an upload, or got other bytes: a new upload may work.
    #[error("{what}: the upload did not work{}", said(words))]
    Session {
        /// The blob.
        what: String,
        /// What the registry said.
        words: String,
    },
    /// The registry says that it stored other bytes than were sent.
    #[error("{what}: sent {wanted}, but the registry says that it stored {said}")]
    Stored {
        /// The manifest.
        what: String,
        /// The digest of what was sent.
        wanted: Digest,
        /// The digest in its answer.
        said: String,
    },
    /// The list of what refers to an image cannot be read or written.
    #[error("{what}: the list of what refers to it: {why}")]
    List {
        /// The image.
        what: String,
        /// What is wrong with the list.
        why: String,
    },
    /// What is to be sent cannot be read.
    #[error("{what}: cannot read what is to be sent: {source}")]
    Read {
        /// The blob.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// What is to be sent has other bytes than its digest says.
    #[error("{what}: expected {wanted}, got {found}; it was not sent")]
    Changed {
        /// The blob.
        what: String,
        /// Its digest.
        wanted: Digest,
        /// The digest of the bytes.
        found: Digest,
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

    /// Adds the registry's own words to a refusal that has none.
    pub(super) fn saying(mut self, said: &str) -> Self {
        match &mut self {
            Self::Denied { words, .. } if words.is_empty() => said.clone_into(words),
            Self::Amazon { trouble, .. } if !said.is_empty() => {
                trouble.push(format!("the registry said: {said}"));
            }
            _ => {}
        }
        self
    }

    /// Returns what the registry said, as far as it said something.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::NotFound { words, .. }
            | Self::Denied { words, .. }
            | Self::Session { words, .. } => words,
            Self::Fetch { error, .. } => match error.root() {
                FetchError::Refused { words, .. } | FetchError::NotFound { words, .. } => words,
                _ => "",
            },
            _ => "",
        }
    }

    /// Returns the HTTP status of a refusal that is neither about credentials nor about absence.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Fetch { error, .. } => match error.root() {
                FetchError::Refused { status, .. } | FetchError::NotFound { status, .. } => {
                    Some(*status)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl Retryable for RegistryError {
    fn retry(&self) -> Retry {
        match self {
            Self::Fetch { error, .. } => error.retry(),
            Self::Session { .. } | Self::Stored { .. } => Retry::Yes,
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
            | Self::Amazon { .. }
            | Self::Realm { .. }
            | Self::Token { .. }
            | Self::Location { .. }
            | Self::List { .. }
            | Self::Session { .. } => Class::Unavailable,
            Self::Read { .. } => Class::Usage,
            Self::Digest { .. }
            | Self::Header { .. }
            | Self::Document { .. }
            | Self::Stored { .. }
            | Self::Changed { .. } => Class::Integrity,
            Self::Fetch { error, .. } => error.class(),
            Self::Store(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => {
                Some("check the spelling of the repository and tag; some registries answer so when a login is missing".to_owned())
            }
            Self::Denied { host, .. } => Some(format!(
                "log in first: imgbuild login {host} --username NAME --password-stdin"
            )),
            Self::Amazon { error, .. } => error.hint(),
            Self::Changed { .. } => Some(
                "the file was damaged after it was written; build the image again".to_owned(),
            ),
            Self::Fetch { error, .. } => error.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}
