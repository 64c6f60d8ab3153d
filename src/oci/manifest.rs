//! Descriptors, and what is read from manifests and indexes.
//!
//! Parsed forms only: the bytes as received stay the identity, and are stored and copied as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, Platform, media_type};

/// Names a blob: what it is, its digest and its size in bytes.
///
/// <https://github.com/opencontainers/image-spec/blob/main/descriptor.md>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// What the bytes are.
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// The SHA-256 of the bytes.
    pub digest: Digest,
    /// How many bytes there are.
    pub size: u64,
    /// Further facts; kept in order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The platform, in the entries of an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformFields>,
}

impl Descriptor {
    /// Describes `bytes`.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// The platform object of a descriptor, as written: it may name systems that imgbuild does not build for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformFields {
    /// `GOARCH`.
    pub architecture: String,
    /// `GOOS`.
    pub os: String,
    /// The CPU variant, for example `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl PlatformFields {
    /// Returns the platform, if imgbuild builds for it.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        match &self.variant {
            Some(variant) => format!("{}/{}/{variant}", self.os, self.architecture)
                .parse()
                .ok(),
            None => format!("{}/{}", self.os, self.architecture).parse().ok(),
        }
    }
}

impl From<Platform> for PlatformFields {
    fn from(platform: Platform) -> Self {
        Self {
            architecture: platform.arch.oci().to_owned(),
            os: "linux".to_owned(),
            variant: None,
        }
    }
}

/// An index or a manifest list.
#[derive(Clone, Debug, Deserialize)]
pub struct Index {
    /// Missing in some documents of the OCI form.
    #[serde(rename = "mediaType", default)]
    pub media_type: Option<String>,
    /// Its entries, in order.
    pub manifests: Vec<Descriptor>,
}

/// An image manifest.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// Missing in some documents of the OCI form.
    #[serde(rename = "mediaType", default)]
    pub media_type: Option<String>,
    /// The config.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// An index or a manifest: what a reference may lead to.
#[derive(Clone, Debug)]
pub enum Document {
    /// Several platforms.
    Index(Index),
    /// One image.
    Manifest(Manifest),
}

/// Why bytes are not an index or manifest.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or a field is missing or of another type.
    #[error("the manifest is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but of a kind that does not lead to an image.
    #[error("media type `{0}` is neither an image manifest nor an index")]
    MediaType(String),
}

impl Document {
    /// Reads a document as it came from a registry or layout.
    ///
    /// The document's own `mediaType` decides; without one, the fields it has.
    ///
    /// # Errors
    /// [`DocumentError`] when it is neither an index nor a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        let declared = value.get("mediaType").and_then(serde_json::Value::as_str);
        match declared {
            Some(kind) if media_type::is_index(kind) => {
                Ok(Self::Index(serde_json::from_value(value)?))
            }
            Some(kind) if media_type::is_manifest(kind) => {
                Ok(Self::Manifest(serde_json::from_value(value)?))
            }
            Some(kind) => Err(DocumentError::MediaType(kind.to_owned())),
            None if value.get("manifests").is_some() => {
                Ok(Self::Index(serde_json::from_value(value)?))
            }
            None => Ok(Self::Manifest(serde_json::from_value(value)?)),
        }
    }
}

impl Index {
    /// Returns the entry for `platform`; attestations (`unknown/unknown`) and other systems never match.
    #[must_use]
    pub fn entry(&self, platform: Platform) -> Option<&Descriptor> {
        self.manifests.iter().find(|entry| {
            entry.platform.as_ref().and_then(PlatformFields::platform) == Some(platform)
        })
    }
}
