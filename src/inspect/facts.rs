//! What an image's documents say, field by field; a field that is malformed is as good as absent.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::oci::artifact::Referring;
use crate::oci::{DiffId, Digest, ImageLayer, PlatformImage};

const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// What an image's documents say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The digest of its config, which is Docker's id of the image.
    pub config: Option<Digest>,
    /// When, as it is written.
    pub created: Option<String>,
    /// The image it says that it was made on.
    pub base: Option<String>,
    /// And that one's digest.
    pub base_digest: Option<String>,
    /// The user it runs as.
    pub user: Option<String>,
    /// The folder it starts in.
    pub workdir: Option<String>,
    /// What is run before the command's words.
    pub entrypoint: Vec<String>,
    /// The command.
    pub cmd: Vec<String>,
    /// `NAME=VALUE`, in their order.
    pub env: Vec<String>,
    /// `5000/tcp`.
    pub ports: Vec<String>,
    /// Folders that are not part of the image.
    pub volumes: Vec<String>,
    /// The signal that stops it.
    pub stop_signal: Option<String>,
    /// How to find out whether it is healthy.
    pub healthcheck: Option<Health>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// A health check as Docker writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// `CMD` or `CMD-SHELL` and what follows; `NONE`.
    pub test: Vec<String>,
    /// Nanoseconds between checks; 0 is Docker's default, as for the others.
    pub interval: u64,
    /// Nanoseconds that one may take.
    pub timeout: u64,
    /// Nanoseconds at the start in which failures do not count.
    pub start_period: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u64,
}

/// What the documents say of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerFacts {
    /// The blob.
    pub digest: Digest,
    /// The tar in it.
    pub diff_id: DiffId,
    /// Its media type.
    pub media_type: String,
    /// Bytes as it is stored and sent.
    pub size: u64,
    /// Its line of the history; may be empty.
    pub created_by: String,
}

impl LayerFacts {
    pub(super) fn of(layer: &ImageLayer) -> Self {
        Self {
            digest: layer.descriptor.digest,
            diff_id: layer.diff_id,
            media_type: layer.descriptor.media_type.clone(),
            size: layer.descriptor.size,
            created_by: layer.created_by.clone(),
        }
    }
}

impl Facts {
    pub(super) fn of(image: &PlatformImage) -> Self {
        let fields = &image.config_fields;
        let empty = Map::new();
        let run = fields
            .get("config")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let annotations = Referring::parse(&image.manifest_bytes)
            .map(|manifest| manifest.annotations)
            .unwrap_or_default();
        Self {
            config: Some(image.config.digest),
            created: text(fields, "created"),
            base: annotations.get(BASE_NAME).cloned(),
            base_digest: annotations.get(BASE_DIGEST).cloned(),
            user: text(run, "User"),
            workdir: text(run, "WorkingDir"),
            entrypoint: texts(run, "Entrypoint"),
            cmd: texts(run, "Cmd"),
            env: texts(run, "Env"),
            ports: keys(run, "ExposedPorts"),
            volumes: keys(run, "Volumes"),
            stop_signal: text(run, "StopSignal"),
            healthcheck: run
                .get("Healthcheck")
                .and_then(Value::as_object)
                .map(Health::of),
            labels: pairs(run, "Labels"),
            annotations,
        }
    }
}

impl Health {
    fn of(fields: &Map<String, Value>) -> Self {
        let number = |key| fields.get(key).and_then(Value::as_u64).unwrap_or_default();
        Self {
            test: texts(fields, "Test"),
            interval: number("Interval"),
            timeout: number("Timeout"),
            start_period: number("StartPeriod"),
            retries: number("Retries"),
        }
    }
}

fn text(fields: &Map<String, Value>, key: &str) -> Option<String> {
    let text = fields.get(key)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn texts(fields: &Map<String, Value>, key: &str) -> Vec<String> {
    let list = fields.get(key).and_then(Value::as_array);
    let list = list.map_or(&[][..], Vec::as_slice).iter();
    list.filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

fn keys(fields: &Map<String, Value>, key: &str) -> Vec<String> {
    let map = fields.get(key).and_then(Value::as_object);
    map.map(|map| map.keys().cloned().collect())
        .unwrap_or_default()
}

fn pairs(fields: &Map<String, Value>, key: &str) -> BTreeMap<String, String> {
    let map = fields.get(key).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
