//! Writes and reads images on disk: OCI layouts and archives.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

mod archive;
mod copy;
mod docker;
mod error;
mod files;
mod path;
mod read;
mod referrers;
mod stage;
mod tar_index;
mod write;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

pub use error::LayoutError;
pub use path::{ImagePath, ImagePathError};
pub use read::Layout;
pub use referrers::Companion;
pub use write::{check, is_there, write};

use super::store::FileBlob;
use crate::layer::RandomRead;
use crate::oci::artifact::Referrer;
use crate::oci::{Descriptor, Digest};

/// The annotation that tags an image in a layout.
///
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// In what form an image is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A folder: an OCI image layout.
    #[default]
    Oci,
    /// The layout as one tar file.
    OciArchive,
    /// The same, with the `manifest.json` that `docker load` reads.
    DockerArchive,
}

/// A word that `--format` does not know.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a format: wanted oci, oci-archive or docker-archive")]
pub struct FormatError(String);

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text {
            "oci" => Ok(Self::Oci),
            "oci-archive" => Ok(Self::OciArchive),
            "docker-archive" => Ok(Self::DockerArchive),
            _ => Err(FormatError(text.to_owned())),
        }
    }
}

/// Where the bytes of a blob are.
#[derive(Clone)]
pub enum BlobSource {
    /// In memory: manifests and configs.
    Memory(Arc<[u8]>),
    /// In a file: layers of the store.
    File(FileBlob),
    /// Elsewhere.
    Other(Arc<dyn RandomRead>),
}

impl From<Vec<u8>> for BlobSource {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Memory(bytes.into())
    }
}

impl From<FileBlob> for BlobSource {
    fn from(blob: FileBlob) -> Self {
        Self::File(blob)
    }
}

impl From<Arc<dyn RandomRead>> for BlobSource {
    fn from(blob: Arc<dyn RandomRead>) -> Self {
        Self::Other(blob)
    }
}

impl BlobSource {
    /// Returns the bytes for reading at any offset.
    #[must_use]
    pub fn random_read(&self) -> Arc<dyn RandomRead> {
        match self {
            Self::Memory(bytes) => Arc::new(bytes.to_vec()),
            Self::File(blob) => Arc::new(blob.clone()),
            Self::Other(blob) => Arc::clone(blob),
        }
    }
}

/// What a layout is to hold: blobs, and the images that its `index.json` names.
#[derive(Clone, Default)]
pub struct Parts {
    blobs: BTreeMap<Digest, (u64, BlobSource)>,
    images: Vec<Descriptor>,
    docker_tags: Vec<String>,
    referrers: Vec<Referrer>,
    /// Which blob lists them.
    list: Option<Digest>,
}

impl Parts {
    /// Holds nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a blob: an index, a manifest, a config or a layer. The same blob may be added again.
    ///
    /// Its bytes are checked against the descriptor while they are written.
    pub fn add(&mut self, descriptor: &Descriptor, source: impl Into<BlobSource>) {
        self.blobs
            .entry(descriptor.digest)
            .or_insert_with(|| (descriptor.size, source.into()));
    }

    /// Names an added index or manifest in `index.json`, under a tag if there is one.
    pub fn name(&mut self, mut descriptor: Descriptor, tag: Option<&str>) {
        if let Some(tag) = tag {
            descriptor
                .annotations
                .insert(REF_NAME.to_owned(), tag.to_owned());
        }
        self.images.push(descriptor);
    }

    /// Names the image `name:tag` to `docker load`.
    pub fn docker_tag(&mut self, name_and_tag: impl Into<String>) {
        self.docker_tags.push(name_and_tag.into());
    }
}
