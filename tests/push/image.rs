//! A small image that is a real one: layers that unpack, two platforms, one layer that both have.

use std::io::Write as _;
use std::path::Path;

use imgbuild::edge::layout::{Format, Parts, write};
use imgbuild::oci::{Descriptor, media_type};
use serde_json::json;

use crate::harness::sha256;
use crate::random::Random;

/// Returns a tar with one file of so many bytes, which do not compress.
fn tar(name: &str, seed: u64, size: usize) -> Vec<u8> {
    let bytes = Random::new(seed).bytes(size);
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    let mut out = tar::Builder::new(Vec::new());
    out.append_data(&mut header, name, bytes.as_slice())
        .expect("in memory");
    out.into_inner().expect("in memory")
}

/// Writes the image to a layout, tagged `1.0`, and returns its index; another seed makes another image.
pub(crate) fn small_image(path: &Path, seed: u64) -> Descriptor {
    let mut parts = Parts::new();
    let mut manifests = Vec::new();
    for (number, architecture) in (1..).zip(["amd64", "arm64"]) {
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        let own = seed * 100 + number * 10;
        for (name, seed, size) in [
            ("shared", seed * 100, 150_000),
            ("large", own + 1, 250_000),
            ("tiny", own + 2, 100),
        ] {
            let tar = tar(name, seed, size);
            diff_ids.push(sha256(&tar));
            let level = flate2::Compression::fast();
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
            gzip.write_all(&tar).expect("in memory");
            let bytes = gzip.finish().expect("in memory");
            let layer = Descriptor::of(media_type::LAYER, &bytes);
            parts.add(&layer, bytes);
            layers.push(layer);
        }
        let config = json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["/x"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = config.to_string().into_bytes();
        let about = Descriptor::of(media_type::CONFIG, &config);
        parts.add(&about, config);
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
            "config": about, "layers": layers});
        let manifest = manifest.to_string().into_bytes();
        let about = Descriptor::of(media_type::MANIFEST, &manifest);
        parts.add(&about, manifest);
        let mut listed = serde_json::to_value(&about).expect("a descriptor");
        listed["platform"] = json!({"architecture": architecture, "os": "linux"});
        manifests.push(listed);
    }
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": manifests});
    let index = index.to_string().into_bytes();
    let top = Descriptor::of(media_type::INDEX, &index);
    parts.add(&top, index);
    parts.name(top.clone(), Some("1.0"));
    write(path, Format::Oci, &parts).expect("written");
    top
}
