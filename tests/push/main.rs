//! Pushing: what real registries take, what strict ones insist on, and what faults must not do.

mod attach;
mod faults;
mod habits;
#[path = "../harness/mod.rs"]
mod harness;
mod real;
mod recipe;
#[path = "../server/mod.rs"]
mod server;
mod strict;

use std::path::Path;
use std::time::Duration;

use imgbuild::edge::fetch::{FetchOptions, Fetcher, Patience};
use imgbuild::edge::layout::{Format, ImagePath, Parts, write};
use imgbuild::edge::progress::Silent;
use imgbuild::edge::push::{self, Destination, PushError, Pushed, Shipment};
use imgbuild::edge::registry::{Credentials, Registry};
use imgbuild::oci::{Descriptor, media_type};
use serde_json::json;

/// A client that waits little.
fn registry(credentials: Credentials) -> Registry {
    let patience = Patience {
        retries: 3,
        backoff: Duration::from_millis(4),
        stall: Duration::from_secs(10),
        ..Patience::default()
    };
    let options = FetchOptions {
        patience,
        ..FetchOptions::default()
    };
    Registry::new(Fetcher::new(options).expect("a fetcher"), credentials)
}

/// Files with the password `password` of `me` for `host`.
fn credentials(dir: &Path, host: &str, password: &str) -> Credentials {
    let path = dir.join("config.json");
    let auths = json!({"auths": {host: {"username": "me", "password": password}}});
    // All at once: it may be read meanwhile.
    let fresh = tempfile::NamedTempFile::new_in(dir).expect("a file");
    std::fs::write(fresh.path(), auths.to_string()).expect("written");
    fresh.persist(&path).expect("renamed");
    Credentials::from_files(vec![path])
}

/// Pushes the image at `path`.
async fn push(
    credentials: Credentials,
    path: &Path,
    reference: &str,
    tags: &[&str],
) -> Result<Pushed, PushError> {
    let shipment = Shipment::open(&ImagePath::new(path))?;
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let destination = Destination::new(reference.parse().expect("a reference"), &tags)?;
    let registry = registry(credentials);
    push::push(&registry, &shipment, &destination, &Silent, &|_| {}).await
}

/// An image to be written.
struct Sample<'a> {
    /// What its layers hold; each is another blob.
    layers: &'a [&'a str],
    /// For how many platforms.
    platforms: usize,
    /// The annotation that names its base.
    base: Option<&'a str>,
    /// Whether the manifest says what it is.
    typed: bool,
}

impl Default for Sample<'_> {
    fn default() -> Self {
        Self {
            layers: &["below", "above"],
            platforms: 1,
            base: None,
            typed: true,
        }
    }
}

/// Writes an image to a layout or archive and returns the descriptor of its manifest or index.
fn sample(path: &Path, format: Format, sample: &Sample<'_>) -> Descriptor {
    let mut parts = Parts::new();
    let mut images = Vec::new();
    for architecture in ["amd64", "arm64"].iter().take(sample.platforms) {
        let mut layers = Vec::new();
        for text in sample.layers {
            // Long enough for several reads of a socket.
            let bytes = format!("{text} {architecture} ")
                .repeat(40_000)
                .into_bytes();
            let layer = Descriptor::of(media_type::LAYER, &bytes);
            parts.add(&layer, bytes);
            layers.push(layer);
        }
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.digest).collect();
        let config = json!({"architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = config.to_string().into_bytes();
        let about_config = Descriptor::of(media_type::CONFIG, &config);
        parts.add(&about_config, config);
        let mut manifest = json!({"schemaVersion": 2, "config": about_config, "layers": layers});
        if sample.typed {
            manifest["mediaType"] = media_type::MANIFEST.into();
        }
        if let Some(base) = sample.base {
            manifest["annotations"] = json!({"org.opencontainers.image.base.name": base});
        }
        let manifest = manifest.to_string().into_bytes();
        let image = Descriptor::of(media_type::MANIFEST, &manifest);
        parts.add(&image, manifest);
        images.push(image);
    }
    let top = if let [image] = images.as_slice() {
        image.clone()
    } else {
        let index =
            json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": images});
        let index = index.to_string().into_bytes();
        let top = Descriptor::of(media_type::INDEX, &index);
        parts.add(&top, index);
        top
    };
    parts.name(top.clone(), Some("1.0"));
    parts.docker_tag("demo:1.0");
    write(path, format, &parts).expect("written");
    top
}
