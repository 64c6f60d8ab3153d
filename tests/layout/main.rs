//! Images on disk: written whole or not at all, read by others, refused when damaged.

mod damage;
mod faults;
mod forms;
#[path = "../server/mod.rs"]
mod server;

use std::fs;
use std::path::Path;

use imgbuild::edge::layout::{Layout, Parts};
use imgbuild::oci::manifest::Document;
use imgbuild::oci::{Descriptor, Digest, media_type};
use tempfile::TempDir;

/// An empty tar, as a layer that any reader takes.
const LAYER: &[u8] = &[0; 1024];

struct Sample {
    parts: Parts,
    image: Descriptor,
    layer: Descriptor,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

/// Returns an image whose config says `variant`, without its layer.
fn without_layer(variant: &str) -> Sample {
    let layer = Descriptor::of(media_type::LAYER, LAYER);
    let config =
        serde_json::json!({"architecture": "amd64", "os": "linux", "author": variant, "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]}})
        .to_string()
        .into_bytes();
    let about_config = Descriptor::of(media_type::CONFIG, &config);
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": about_config, "layers": [layer]})
    .to_string()
    .into_bytes();
    let image = Descriptor::of(media_type::MANIFEST, &manifest);
    let mut parts = Parts::new();
    parts.add(&about_config, config.clone());
    parts.add(&image, manifest.clone());
    parts.name(image.clone(), Some("1.0"));
    parts.docker_tag("demo:1.0");
    Sample {
        parts,
        image,
        layer,
        config,
        manifest,
    }
}

fn sample(variant: &str) -> Sample {
    let mut sample = without_layer(variant);
    sample.parts.add(&sample.layer, LAYER.to_vec());
    sample
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Returns the names in a folder, those that begin with a dot included.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().display().to_string())
        .collect();
    names.sort();
    names
}

fn image_at(path: &Path) -> Digest {
    let layout = Layout::open(path).expect("an image");
    let (image, _) = layout.resolve(None).expect("one image");
    let Document::Manifest(manifest) = layout.parsed(&image).expect("a manifest") else {
        panic!("not a manifest");
    };
    layout.document(&manifest.config).expect("a config");
    for layer in &manifest.layers {
        layout.checked_blob(layer).expect("a layer");
    }
    image.digest
}
