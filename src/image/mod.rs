//! Base, layers and configuration become the manifest and config of an image.

mod run;
mod time;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::diagnose::{Class, Diagnose};
use crate::layer::write::Layer;
use crate::oci::{Descriptor, Digest, Platform, json as canonical, media_type};
use crate::recipe::{ArgError, Args, ConfigSection, UserSection};

pub use time::{parse_rfc3339, rfc3339};

use run::{RunError, set_run};

/// The image that new layers go on top of.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// The reference as the recipe writes it.
    pub reference: String,
    /// The digest of its manifest for this platform.
    pub manifest: Digest,
    /// Its config, as parsed: fields that imgbuild does not know are kept.
    pub config: Map<String, Value>,
    /// Its layers, lowest first, byte for byte.
    pub layers: Vec<Descriptor>,
}

/// A new layer and how it reads in the image's history.
#[derive(Clone, Debug)]
pub struct NewLayer {
    /// What was written.
    pub layer: Layer,
    /// One line for `docker history`.
    pub created_by: String,
}

/// What of the recipe becomes configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The image's name.
    pub name: &'a str,
    /// `[config]`.
    pub config: &'a ConfigSection,
    /// `[user]`.
    pub user: Option<&'a UserSection>,
    /// Build arguments.
    pub args: &'a Args,
    /// Creation time, seconds since 1970 UTC.
    pub epoch: i64,
}

/// An image: two documents and the blobs they name.
#[derive(Clone, Debug)]
pub struct Image {
    /// What it runs on.
    pub platform: Platform,
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The config's descriptor.
    pub config_descriptor: Descriptor,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// All layers, the base's first.
    pub layers: Vec<Descriptor>,
}

/// Why an image cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// A `${NAME}` that nobody knows.
    #[error(transparent)]
    Args(#[from] ArgError),
    /// The base's config is not what the specification asks for.
    #[error("base `{base}`: its config has a malformed `{field}`")]
    BaseConfig {
        /// The base's reference.
        base: String,
        /// The field.
        field: &'static str,
    },
    /// The base's layers and diff_ids do not pair up.
    #[error("base `{base}`: {layers} layers but {diff_ids} diff_ids")]
    BaseLayers {
        /// The base's reference.
        base: String,
        /// Layers in its manifest.
        layers: usize,
        /// Entries of `rootfs.diff_ids`.
        diff_ids: usize,
    },
}

impl Diagnose for ImageError {
    fn class(&self) -> Class {
        match self {
            Self::Args(error) => error.class(),
            _ => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Args(error) => error.hint(),
            _ => None,
        }
    }
}

/// Puts an image together: base layers and base history pass through, one history entry per new layer.
///
/// # Errors
/// [`ImageError`] for a malformed base config and for values that cannot be expanded.
pub fn assemble(
    platform: Platform,
    base: &BaseImage,
    layers: &[NewLayer],
    settings: &Settings<'_>,
) -> Result<Image, ImageError> {
    let created = rfc3339(settings.epoch);
    let config = config_of(base, layers, settings, &created)?;
    let config_bytes = canonical::canonical(&Value::Object(config.clone()));
    let config_descriptor = Descriptor::of(media_type::CONFIG, &config_bytes);

    let mut descriptors: Vec<Descriptor> = base.layers.iter().map(in_oci_terms).collect();
    descriptors.extend(layers.iter().map(|new| Descriptor {
        media_type: new.layer.media_type.to_owned(),
        digest: new.layer.digest,
        size: new.layer.size,
        annotations: BTreeMap::new(),
        platform: None,
    }));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "config": config_descriptor,
        "layers": descriptors,
        "annotations": annotations(base, &config, settings, &created),
    });
    let manifest = canonical::canonical(&manifest);
    let mut descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
    descriptor.platform = Some(platform.into());
    Ok(Image {
        platform,
        descriptor,
        manifest,
        config_descriptor,
        config: config_bytes,
        layers: descriptors,
    })
}

/// Returns the bytes of an index over `images`, in the order given, and its descriptor.
#[must_use]
pub fn index(images: &[Image]) -> (Descriptor, Vec<u8>) {
    let entries: Vec<&Descriptor> = images.iter().map(|image| &image.descriptor).collect();
    let bytes = canonical::canonical(&json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "manifests": entries,
    }));
    (Descriptor::of(media_type::INDEX, &bytes), bytes)
}

/// A base layer under its OCI media type; the bytes, digest and size are the same.
fn in_oci_terms(layer: &Descriptor) -> Descriptor {
    let media_type = match layer.media_type.as_str() {
        media_type::DOCKER_LAYER_GZIP => media_type::LAYER_GZIP,
        other => other,
    };
    Descriptor {
        media_type: media_type.to_owned(),
        platform: None,
        ..layer.clone()
    }
}

fn config_of(
    base: &BaseImage,
    layers: &[NewLayer],
    settings: &Settings<'_>,
    created: &str,
) -> Result<Map<String, Value>, ImageError> {
    let malformed = |field| ImageError::BaseConfig {
        base: base.reference.clone(),
        field,
    };
    let mut config = base.config.clone();

    let diff_ids = config
        .entry("rootfs")
        .or_insert_with(|| json!({"type": "layers", "diff_ids": []}))
        .get_mut("diff_ids")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| malformed("rootfs.diff_ids"))?;
    if diff_ids.len() != base.layers.len() {
        let (layers, diff_ids) = (base.layers.len(), diff_ids.len());
        return Err(ImageError::BaseLayers {
            base: base.reference.clone(),
            layers,
            diff_ids,
        });
    }
    diff_ids.extend(
        layers
            .iter()
            .map(|new| new.layer.diff_id.to_string().into()),
    );

    let history = config.entry("history").or_insert_with(|| json!([]));
    // Programs in Go write null for what is empty.
    if history.is_null() {
        *history = json!([]);
    }
    let history = history.as_array_mut().ok_or_else(|| malformed("history"))?;
    history.extend(
        layers
            .iter()
            .map(|new| json!({"created": created, "created_by": new.created_by})),
    );
    let ends_empty = !settings.config.env.is_empty() || settings.config.cmd.is_some();
    if ends_empty {
        history.push(json!({"created": created, "created_by": "imgbuild: configuration", "empty_layer": true}));
    }

    let run = config.entry("config").or_insert_with(|| json!({}));
    if run.is_null() {
        *run = json!({});
    }
    let run = run.as_object_mut().ok_or_else(|| malformed("config"))?;
    set_run(run, settings).map_err(|error| match error {
        RunError::Args(error) => ImageError::Args(error),
        RunError::Malformed(field) => malformed(field),
    })?;
    config.insert("created".to_owned(), created.into());
    Ok(config)
}

/// Standard annotations; those the recipe gives as labels are repeated, as they describe the image too.
///
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
fn annotations(
    base: &BaseImage,
    config: &Map<String, Value>,
    settings: &Settings<'_>,
    created: &str,
) -> BTreeMap<String, String> {
    const PREFIX: &str = "org.opencontainers.image.";
    let labels = config
        .get("config")
        .and_then(|run| run.get("Labels"))
        .and_then(Value::as_object);
    let mut out: BTreeMap<String, String> = settings
        .config
        .labels
        .keys()
        .filter(|name| name.starts_with(PREFIX))
        .filter_map(|name| Some((name.clone(), labels?.get(name)?.as_str()?.to_owned())))
        .collect();
    let title = format!("{PREFIX}title");
    out.entry(title).or_insert_with(|| settings.name.to_owned());
    out.insert(format!("{PREFIX}created"), created.to_owned());
    out.insert(format!("{PREFIX}base.name"), base.reference.clone());
    out.insert(format!("{PREFIX}base.digest"), base.manifest.to_string());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> BaseImage {
        let config = json!({
            "architecture": "amd64", "os": "linux", "x-unknown": {"kept": true},
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/bash"]},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"base").to_string()]},
            "history": [{"created_by": "base"}],
        });
        let Value::Object(config) = config else {
            unreachable!("written as an object")
        };
        let layer = Descriptor::of(media_type::DOCKER_LAYER_GZIP, b"base layer");
        BaseImage {
            reference: "r.io/base:1".to_owned(),
            manifest: Digest::of(b"m"),
            config,
            layers: vec![layer],
        }
    }

    #[test]
    fn the_base_passes_through_and_the_recipe_is_added() {
        let section: ConfigSection = toml::from_str(
            r#"
            env = { PATH = "/app/bin:$PATH", A = "1" }
            cmd = ["python"]
            expose = ["5000"]
            labels = { "org.opencontainers.image.version" = "1" }
            healthcheck = { cmd = "curl x", interval = "30s", retries = 3 }
            "#,
        )
        .expect("a valid section");
        let args = Args::default();
        let settings = Settings {
            name: "app",
            config: &section,
            user: None,
            args: &args,
            epoch: 0,
        };
        let platform = "linux/amd64".parse().expect("supported");
        let image = assemble(platform, &base(), &[], &settings).expect("assembles");
        let config: Value = serde_json::from_slice(&image.config).expect("JSON");
        assert_eq!(config["x-unknown"]["kept"], true);
        assert_eq!(
            config["config"]["Env"],
            json!(["PATH=/app/bin:/usr/bin:/bin", "A=1"])
        );
        assert_eq!(config["config"]["Cmd"], json!(["python"]));
        assert_eq!(
            config["config"]["Healthcheck"]["Interval"],
            30_000_000_000_u64
        );
        assert_eq!(config["config"]["ExposedPorts"], json!({"5000/tcp": {}}));
        assert_eq!(config["history"][0], json!({"created_by": "base"}));
        let manifest: Value = serde_json::from_slice(&image.manifest).expect("JSON");
        assert_eq!(manifest["layers"][0]["mediaType"], media_type::LAYER_GZIP);
        assert_eq!(
            manifest["annotations"]["org.opencontainers.image.base.name"],
            "r.io/base:1"
        );
        assert_eq!(
            manifest["annotations"]["org.opencontainers.image.version"],
            "1"
        );
    }

    #[test]
    fn what_a_base_writes_as_null_is_empty() {
        let mut base = base();
        base.config.insert("history".to_owned(), Value::Null);
        let run = json!({"Env": null, "ExposedPorts": null, "Labels": null});
        base.config.insert("config".to_owned(), run);
        let section: ConfigSection =
            toml::from_str("expose = [\"80\"]\nlabels = { a = \"b\" }\n").expect("valid");
        let args = Args::default();
        let settings = Settings {
            name: "app",
            config: &section,
            user: None,
            args: &args,
            epoch: 0,
        };
        let platform = "linux/amd64".parse().expect("supported");
        let image = assemble(platform, &base, &[], &settings).expect("assembles");
        let config: Value = serde_json::from_slice(&image.config).expect("JSON");
        assert_eq!(config["config"]["ExposedPorts"], json!({"80/tcp": {}}));
    }

    #[test]
    fn a_base_whose_layers_and_diff_ids_do_not_pair_up_is_refused() {
        let mut base = base();
        base.layers.clear();
        let (section, args) = (ConfigSection::default(), Args::default());
        let settings = Settings {
            name: "app",
            config: &section,
            user: None,
            args: &args,
            epoch: 0,
        };
        let platform = "linux/amd64".parse().expect("supported");
        assert!(matches!(
            assemble(platform, &base, &[], &settings),
            Err(ImageError::BaseLayers { .. })
        ));
    }
}
