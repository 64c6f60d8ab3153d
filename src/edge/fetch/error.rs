//! Why bytes could not be had.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::retry::{Retry, Retryable};
use crate::diagnose::{Class, Diagnose};
use crate::edge::store::StoreError;
use crate::oci::Digest;

/// Why bytes could not be had. URLs in it hold no user, password or query.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It would have to come over the network, which is not to be used.
    #[error("it is not in the cache, and {url} is not asked because of --offline")]
    Offline {
        /// Where it would come from.
        url: String,
    },
    /// The server says that it is not there.
    #[error("{url} is not there (HTTP status {status}{})", said(words))]
    NotFound {
        /// What was asked for.
        url: String,
        /// 403, 404 or 410: object stores answer 403 for what is missing.
        status: u16,
        /// What the server said, cleaned and shortened.
        words: String,
    },
    /// The server answers with another status than success.
    #[error("{url} answered with HTTP status {status}{}", said(words))]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the server said, cleaned and shortened.
        words: String,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// No connection: no such host, refused, no route, or no TLS session.
    #[error("cannot reach {url}: {why}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What the system said.
        why: String,
    },
    /// The server's certificate is not trusted.
    #[error("cannot trust {url}: {why}")]
    Untrusted {
        /// What was asked for.
        url: String,
        /// What is wrong with the certificate.
        why: String,
    },
    /// The connection broke on the way.
    #[error("the connection to {url} broke: {why}")]
    Broken {
        /// What was asked for.
        url: String,
        /// What the system said.
        why: String,
    },
    /// Nothing came for too long.
    #[error("{url} sent nothing for {} s", waited.as_secs_f32())]
    Stalled {
        /// What was asked for.
        url: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The body ended early.
    #[error("{url} ended after {found} of {wanted} bytes")]
    Truncated {
        /// What was asked for.
        url: String,
        /// How many bytes were announced.
        wanted: u64,
        /// How many came.
        found: u64,
    },
    /// The body is larger than such a document can be.
    #[error("{url} is larger than the {limit} bytes allowed")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are not those that were pinned.
    #[error("{url}: expected {wanted}, got {found}")]
    Digest {
        /// What was asked for.
        url: String,
        /// The digest asked for.
        wanted: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The number of bytes is not what was pinned.
    #[error("{url}: expected {wanted} bytes, got {found}{}", if *more { " or more" } else { "" })]
    Size {
        /// What was asked for.
        url: String,
        /// The size that was pinned.
        wanted: u64,
        /// The size that came.
        found: u64,
        /// Whether reading stopped there.
        more: bool,
    },
    /// The server sends elsewhere, again and again, or where nobody should go.
    #[error("{url} redirects to {to}: {why}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Where it sends to.
        to: String,
        /// Why that is not followed.
        why: &'static str,
    },
    /// A URL that cannot be asked.
    #[error("`{url}` is not a URL to fetch from: {why}")]
    Url {
        /// The URL as written.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no URL to ask.
    #[error("no URL is known for it")]
    NoUrl,
    /// A file named by a `file:` URL cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of `--ca-file` holds no certificates.
    #[error("cannot use the certificates in {}: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
    /// The cache failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another error, after the last of several tries.
    #[error("{last} (tried {tries} times)")]
    GaveUp {
        /// How often it was tried.
        tries: u32,
        /// What happened the last time.
        last: Box<FetchError>,
    },
    /// Another error, about this input.
    #[error("{what}: {error}")]
    Input {
        /// The input, as people know it.
        what: String,
        /// What happened.
        error: Box<FetchError>,
    },
}

fn said(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    }
}

impl FetchError {
    /// Tells whether the server says that the thing does not exist, so that asking elsewhere makes sense.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self.root(), Self::NotFound { .. })
            || matches!(self.root(), Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Returns the cause, without how often it was tried and for what.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::GaveUp { last, .. } => last.root(),
            Self::Input { error, .. } => error.root(),
            other => other,
        }
    }

    pub(crate) fn about(self, what: &str) -> Self {
        Self::Input {
            what: what.to_owned(),
            error: Box::new(self),
        }
    }

    /// Says what a transport error means.
    pub(crate) fn transport(url: &str, error: &reqwest::Error, stall: Duration) -> Self {
        let url = url.to_owned();
        let why = deepest(error);
        if why.contains("certificate") {
            Self::Untrusted { url, why }
        } else if error.is_connect() {
            Self::Unreachable { url, why }
        } else if error.is_timeout() {
            Self::Stalled { url, waited: stall }
        } else {
            Self::Broken { url, why }
        }
    }
}

/// The innermost cause names the fault; the outer ones say only that there was one, and repeat the URL.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl Retryable for FetchError {
    fn retry(&self) -> Retry {
        match self {
            // 499: it saw the request end early, which is how a registry tells that a connection broke.
            Self::Refused {
                status: 408 | 429 | 499 | 500..=599,
                retry_after,
                ..
            } => match retry_after {
                Some(wait) => Retry::After(*wait),
                None => Retry::Yes,
            },
            Self::Broken { .. } | Self::Stalled { .. } | Self::Truncated { .. } => Retry::Yes,
            Self::Unreachable { .. } => Retry::Once,
            _ => Retry::No,
        }
    }

    fn gave_up(self, tries: u32) -> Self {
        Self::GaveUp {
            tries,
            last: Box::new(self),
        }
    }
}

impl Diagnose for FetchError {
    fn class(&self) -> Class {
        match self {
            Self::TooLarge { .. } | Self::Digest { .. } | Self::Size { .. } => Class::Integrity,
            Self::Url { .. } | Self::CaFile { .. } | Self::Client(_) => Class::Usage,
            Self::Store(error) => error.class(),
            Self::GaveUp { last: error, .. } | Self::Input { error, .. } => error.class(),
            Self::Offline { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::Broken { .. }
            | Self::Stalled { .. }
            | Self::Truncated { .. }
            | Self::Redirect { .. }
            | Self::NoUrl
            | Self::File { .. } => Class::Unavailable,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Offline { .. } => "run the same command once without --offline",
            Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::Broken { .. }
            | Self::Truncated { .. } => {
                "check the network and HTTPS_PROXY, or name another place with --mirror FROM=TO"
            }
            Self::Untrusted { .. } => {
                "pass the certificate authority's file with --ca-file, or set SSL_CERT_FILE"
            }
            Self::Refused { status: 429, .. } => "wait and try again, or log in for a higher limit",
            Self::Refused { .. } | Self::Redirect { .. } => {
                "try again later, or name another place with --mirror FROM=TO"
            }
            Self::NotFound { .. } => {
                "if the pin is old, run `imgbuild lock --update`; or name a mirror that has it with --mirror FROM=TO"
            }
            Self::Digest { .. } | Self::Size { .. } => {
                "do not use these bytes: the server or a mirror changed them since they were locked"
            }
            Self::Store(error) => return error.hint(),
            Self::GaveUp { last: error, .. } | Self::Input { error, .. } => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
