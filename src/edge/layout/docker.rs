//! Reads what older `docker save` writes: no OCI index, only `manifest.json`, with layers that are not compressed.
//!
//! <https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::REF_NAME;
use super::error::LayoutError;
use super::files::Files;
use super::tar_index::clean;
use crate::edge::disk::DiskError;
use crate::edge::registry::MANIFEST_LIMIT;
use crate::edge::store::FileBlob;
use crate::layer::RandomRead as _;
use crate::oci::manifest::DocumentError;
use crate::oci::{Descriptor, Digest, json, media_type};

/// A docker-archive seen as an OCI layout.
pub(super) struct Docker {
    /// What an `index.json` would name.
    pub(super) images: Vec<Descriptor>,
    /// The manifests that it would have.
    pub(super) manifests: BTreeMap<Digest, Vec<u8>>,
    /// Configs and layers.
    pub(super) blobs: BTreeMap<Digest, FileBlob>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

/// Reads an archive's `manifest.json`; nothing if there is none.
pub(super) fn read(files: &Files) -> Result<Option<Docker>, LayoutError> {
    let Some(bytes) = files.document("manifest.json", MANIFEST_LIMIT)? else {
        return Ok(None);
    };
    let entries: Vec<Entry> =
        serde_json::from_slice(&bytes).map_err(|error| LayoutError::Document {
            path: files.path().to_owned(),
            what: "manifest.json".to_owned(),
            error: DocumentError::Json(error),
        })?;
    let mut docker = Docker {
        images: Vec::new(),
        manifests: BTreeMap::new(),
        blobs: BTreeMap::new(),
    };
    for entry in entries {
        let config = docker.describe(files, &entry.config, Some(media_type::CONFIG))?;
        let mut layers = Vec::new();
        for layer in &entry.layers {
            layers.push(docker.describe(files, layer, None)?);
        }
        let manifest = json::canonical(&json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "config": config,
            "layers": layers,
        }));
        let image = Descriptor::of(media_type::MANIFEST, &manifest);
        let tags = entry.tags.unwrap_or_default();
        for tag in &tags {
            let mut tagged = image.clone();
            tagged.annotations.insert(REF_NAME.to_owned(), tag.clone());
            docker.images.push(tagged);
        }
        if tags.is_empty() {
            docker.images.push(image.clone());
        }
        docker.manifests.insert(image.digest, manifest);
    }
    Ok(Some(docker))
}

impl Docker {
    fn describe(
        &mut self,
        files: &Files,
        name: &str,
        kind: Option<&str>,
    ) -> Result<Descriptor, LayoutError> {
        let blob = files
            .get(&clean(name))?
            .ok_or_else(|| LayoutError::NotAnImage {
                path: files.path().to_owned(),
                why: format!("its manifest.json names `{name}`, which is not there"),
            })?;
        let (digest, size) = blob.hash().map_err(DiskError::at("read", files.path()))?;
        let mut magic = [0; 4];
        let packed = blob.read_exact_at(&mut magic, 0).is_ok();
        let media_type = match (kind, magic) {
            (Some(kind), _) => kind,
            (None, [0x1f, 0x8b, ..]) if packed => media_type::LAYER_GZIP,
            (None, [0x28, 0xb5, 0x2f, 0xfd]) if packed => media_type::LAYER_ZSTD,
            _ => media_type::LAYER,
        };
        self.blobs.insert(digest, blob);
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
        })
    }
}
