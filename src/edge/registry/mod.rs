//! Talks to registries: references to manifests and blobs.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

mod auth;
mod challenge;
mod client;
mod credentials;
mod error;
mod helper;
mod realm;

pub use client::Registry;
pub use credentials::{Credential, Credentials};
pub use error::RegistryError;

pub(crate) use client::MANIFEST_LIMIT;
