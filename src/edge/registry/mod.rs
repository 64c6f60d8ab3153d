//! Talks to registries: references to manifests and blobs.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

mod amazon;
mod ask;
mod auth;
mod challenge;
mod client;
mod credentials;
mod error;
mod helper;
mod hush;
mod login;
mod realm;
mod referrers;
mod repository;
mod scheme;
mod upload;

pub use amazon::AmazonError;
pub use client::Registry;
pub use credentials::{Credential, Credentials};
pub use error::RegistryError;
pub use login::{Asked, LoginError, forget, keep};
pub use referrers::Attached;
pub use repository::{Mount, Repository};
pub use upload::Sent;

pub(crate) use amazon::{Ecr, PrivateEcr};
pub(crate) use client::MANIFEST_LIMIT;

/// Tells whether a host is a registry of Amazon ECR, whose passwords AWS gives.
#[must_use]
pub fn is_ecr(host: &str) -> bool {
    Ecr::of(host).is_some()
}
