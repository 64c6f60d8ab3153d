//! An image as its documents describe it: index, manifests and configs, raw and parsed, and the layers they name.

use serde_json::{Map, Value};

use super::manifest::{Document, DocumentError, PlatformFields};
use super::{Descriptor, DiffId, Platform};

/// What a tag or digest leads to: one image, or an index over several.
#[derive(Clone, Debug)]
pub struct ImageDocuments {
    /// Names the index or manifest that everything else is reached from.
    pub top: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The images, in the order of the index.
    pub images: Vec<PlatformImage>,
    /// What else the index names, such as attestations.
    pub others: Vec<OtherDocument>,
}

/// The image of one platform.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// `linux/amd64`: what the index says it runs on, else what the config says.
    pub platform: String,
    /// Names the manifest.
    pub manifest: Descriptor,
    /// The manifest's bytes.
    pub manifest_bytes: Vec<u8>,
    /// Names the config.
    pub config: Descriptor,
    /// The config's bytes.
    pub config_bytes: Vec<u8>,
    /// The config, parsed.
    pub config_fields: Map<String, Value>,
    /// The layers, lowest first.
    pub layers: Vec<ImageLayer>,
}

/// A layer as manifest and config describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayer {
    /// Names the blob.
    pub descriptor: Descriptor,
    /// What the config says that the tar in it hashes to.
    pub diff_id: DiffId,
    /// Its line of the history; empty if there is none.
    pub created_by: String,
}

/// A document of an index that is no image: an attestation or another artifact.
#[derive(Clone, Debug)]
pub struct OtherDocument {
    /// Names it.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The blobs that it names.
    pub blobs: Vec<Descriptor>,
}

/// Why documents do not describe an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageDocumentError {
    /// The manifest is none.
    #[error(transparent)]
    Manifest(#[from] DocumentError),
    /// An index where a manifest belongs.
    #[error("an index where the manifest of an image was wanted")]
    Index,
    /// The config is not JSON.
    #[error("the config is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// The config is JSON, but lacks what an image has.
    #[error("the config is malformed: {0}")]
    Config(&'static str),
    /// Layers and diff_ids do not pair up.
    #[error("the manifest names {layers} layers, but the config {diff_ids} diff_ids")]
    Layers {
        /// Layers of the manifest.
        layers: usize,
        /// Entries of `rootfs.diff_ids`.
        diff_ids: usize,
    },
}

impl PlatformImage {
    /// Puts together what a manifest and its config say. The bytes are taken to be those of their descriptors.
    ///
    /// # Errors
    /// [`ImageDocumentError`] if they do not describe an image.
    pub fn parse(
        manifest: Descriptor,
        manifest_bytes: Vec<u8>,
        config_bytes: Vec<u8>,
    ) -> Result<Self, ImageDocumentError> {
        let Document::Manifest(parsed) = Document::parse(&manifest_bytes)? else {
            return Err(ImageDocumentError::Index);
        };
        let Value::Object(fields) = serde_json::from_slice(&config_bytes)? else {
            return Err(ImageDocumentError::Config("wanted an object"));
        };
        let diff_ids = diff_ids(&fields).ok_or(ImageDocumentError::Config(
            "rootfs.diff_ids is missing or malformed",
        ))?;
        if diff_ids.len() != parsed.layers.len() {
            return Err(ImageDocumentError::Layers {
                layers: parsed.layers.len(),
                diff_ids: diff_ids.len(),
            });
        }
        let made_by = made_by(&fields, diff_ids.len());
        let layers = parsed.layers.into_iter().zip(diff_ids).zip(made_by).map(
            |((descriptor, diff_id), created_by)| ImageLayer {
                descriptor,
                diff_id,
                created_by,
            },
        );
        let layers = layers.collect();
        Ok(Self {
            platform: platform(&manifest, &fields),
            manifest,
            manifest_bytes,
            config: parsed.config,
            config_bytes,
            config_fields: fields,
            layers,
        })
    }

    /// Tells whether it runs on `platform`.
    #[must_use]
    pub fn is_for(&self, platform: Platform) -> bool {
        self.platform.parse() == Ok(platform)
    }
}

impl ImageDocuments {
    /// Returns one image that no index leads to.
    #[must_use]
    pub fn of(image: PlatformImage) -> Self {
        Self {
            top: image.manifest.clone(),
            bytes: image.manifest_bytes.clone(),
            images: vec![image],
            others: Vec::new(),
        }
    }

    /// Returns every blob that is named below the documents, configs excepted, each as often as it is named.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self.images.iter().flat_map(|image| &image.layers);
        layers
            .map(|layer| &layer.descriptor)
            .chain(self.others.iter().flat_map(|other| &other.blobs))
    }
}

/// Returns the platform by one name, whatever way it is written.
fn platform(manifest: &Descriptor, config: &Map<String, Value>) -> String {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    let fields = manifest.platform.clone().unwrap_or_else(|| PlatformFields {
        architecture: text("architecture").to_owned(),
        os: text("os").to_owned(),
        variant: Some(text("variant").to_owned()).filter(|variant| !variant.is_empty()),
    });
    match (fields.platform(), &fields.variant) {
        (Some(known), _) => known.to_string(),
        (None, Some(variant)) => format!("{}/{}/{variant}", fields.os, fields.architecture),
        (None, None) => format!("{}/{}", fields.os, fields.architecture),
    }
}

fn diff_ids(config: &Map<String, Value>) -> Option<Vec<DiffId>> {
    let ids = config.get("rootfs")?.get("diff_ids")?;
    // Programs in Go write null for what is empty.
    if ids.is_null() {
        return Some(Vec::new());
    }
    ids.as_array()?
        .iter()
        .map(|id| id.as_str()?.parse().ok().map(DiffId))
        .collect()
}

/// Returns a line of the history for each layer, if history and layers fit together; else empty ones.
fn made_by(config: &Map<String, Value>, layers: usize) -> Vec<String> {
    let history = config.get("history").and_then(Value::as_array);
    let lines: Vec<String> = history
        .into_iter()
        .flatten()
        .filter(|line| line.get("empty_layer").and_then(Value::as_bool) != Some(true))
        .map(|line| {
            let made_by = line.get("created_by").and_then(Value::as_str);
            made_by.unwrap_or_default().to_owned()
        })
        .collect();
    if lines.len() == layers {
        lines
    } else {
        vec![String::new(); layers]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Digest, json, media_type};
    use serde_json::json;

    fn image(layers: usize, config: &Value) -> Result<PlatformImage, ImageDocumentError> {
        let config = json::canonical(config);
        let layer = Descriptor::of(media_type::LAYER, b"x");
        let manifest = json::canonical(&json!({
            "schemaVersion": 2,
            "config": Descriptor::of(media_type::CONFIG, &config),
            "layers": vec![layer; layers],
        }));
        let descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
        PlatformImage::parse(descriptor, manifest, config)
    }

    #[test]
    fn layers_are_paired_with_their_diff_id_and_history() {
        let id = Digest::of(b"tar");
        let config = json!({
            "os": "linux", "architecture": "arm64", "variant": "v8",
            "rootfs": {"type": "layers", "diff_ids": [id]},
            "history": [{"created_by": "env", "empty_layer": true}, {"created_by": "copy"}],
        });
        let image = image(1, &config).expect("an image");
        assert_eq!(image.platform, "linux/arm64");
        assert_eq!(image.layers[0].diff_id, DiffId(id));
        assert_eq!(image.layers[0].created_by, "copy");
    }

    #[test]
    fn documents_that_do_not_fit_together_are_refused() {
        let config = json!({"rootfs": {"diff_ids": [Digest::of(b"tar")]}});
        let layers = image(2, &config);
        assert!(matches!(
            layers,
            Err(ImageDocumentError::Layers {
                layers: 2,
                diff_ids: 1
            })
        ));
        for config in [json!([]), json!({}), json!({"rootfs": {"diff_ids": ["x"]}})] {
            assert!(image(0, &config).is_err(), "{config} was accepted");
        }
    }
}
