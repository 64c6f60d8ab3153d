//! The nouns of the OCI specifications: digests, descriptors, media types, platforms, references, documents.

pub mod artifact;
pub mod digest;
pub mod image;
pub mod json;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod reference;

pub use digest::{DiffId, Digest, Hasher};
pub use image::{ImageDocuments, ImageLayer, PlatformImage};
pub use manifest::Descriptor;
pub use platform::{Arch, Platform};
pub use reference::Reference;
