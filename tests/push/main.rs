//! Pushing: what real registries take, what strict ones insist on, and what faults must not do.

mod attach;
mod chaos;
mod ecr;
mod engines;
mod faults;
mod habits;
#[path = "../harness/mod.rs"]
mod harness;
mod image;
mod kill;
mod proxy;
mod random;
mod real;
mod recipe;
mod secrets;
#[path = "../server/mod.rs"]
mod server;
mod strict;
mod tls;
mod walk;
mod wire;

use std::path::Path;
use std::time::Duration;

use imgbuild::edge::fetch::{FetchOptions, Fetcher, Patience};
use imgbuild::edge::layout::{Format, ImagePath, Parts, write};
use imgbuild::edge::progress::Silent;
use imgbuild::edge::push::{self, Destination, PushError, Pushed, Shipment};
use imgbuild::edge::registry::{Credentials, Registry};
use imgbuild::oci::{Descriptor, media_type};
use serde_json::{Value, json};

/// Waits little.
fn patience() -> Patience {
    Patience {
        retries: 3,
        backoff: Duration::from_millis(4),
        stall: Duration::from_secs(10),
        ..Patience::default()
    }
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
    push_with(patience(), credentials, path, reference, tags).await
}

/// The same, waiting otherwise.
async fn push_with(
    patience: Patience,
    credentials: Credentials,
    path: &Path,
    reference: &str,
    tags: &[&str],
) -> Result<Pushed, PushError> {
    let shipment = Shipment::open(&ImagePath::new(path))?;
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let destination = Destination::new(reference.parse().expect("a reference"), &tags)?;
    let options = FetchOptions {
        patience,
        ..FetchOptions::default()
    };
    let registry = Registry::new(Fetcher::new(options).expect("a fetcher"), credentials);
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
        let manifest = describe(&mut parts, architecture, &layers);
        images.push(add_manifest(&mut parts, manifest, sample));
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

/// Adds a config to the parts and returns a manifest for it.
fn describe(parts: &mut Parts, architecture: &str, layers: &[Descriptor]) -> Value {
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.digest).collect();
    let config = json!({"architecture": architecture, "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = config.to_string().into_bytes();
    let about = Descriptor::of(media_type::CONFIG, &config);
    parts.add(&about, config);
    json!({"schemaVersion": 2, "config": about, "layers": layers})
}

fn add_manifest(parts: &mut Parts, mut manifest: Value, sample: &Sample<'_>) -> Descriptor {
    if sample.typed {
        manifest["mediaType"] = media_type::MANIFEST.into();
    }
    if let Some(base) = sample.base {
        manifest["annotations"] = json!({"org.opencontainers.image.base.name": base});
    }
    let manifest = manifest.to_string().into_bytes();
    let image = Descriptor::of(media_type::MANIFEST, &manifest);
    parts.add(&image, manifest);
    image
}

/// Writes an image of these layers, whatever they are, to a layout.
fn odd_image(path: &Path, layers: &[(Descriptor, Vec<u8>)]) {
    let mut parts = Parts::new();
    for (layer, bytes) in layers {
        parts.add(layer, bytes.clone());
    }
    let layers: Vec<_> = layers.iter().map(|(layer, _)| layer.clone()).collect();
    let manifest = describe(&mut parts, "amd64", &layers);
    let image = add_manifest(&mut parts, manifest, &Sample::default());
    parts.name(image, Some("1.0"));
    write(path, Format::Oci, &parts).expect("written");
}
