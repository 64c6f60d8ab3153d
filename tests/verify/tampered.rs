//! Changes an image as somebody would who wants it to pass: every digest made to fit again.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Layout, sha256};

/// Changes the tar of the layer whose line of the history holds `words`, and compresses it in another way.
///
/// The layout is of one platform.
pub(crate) fn layer(layout: &Path, words: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let image = Layout::open(layout).images().remove(0);
    let old = image.layer(words);
    let mut tar = Layout::open(layout).tar(old);
    change(&mut tar);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&tar).expect("in memory");
    let layer = add(layout, &encoder.finish().expect("in memory"));
    let place = |list: &Value, of: &str| {
        let list = list.as_array().expect("a list");
        list.iter().position(|it| it == of || it["digest"] == of)
    };

    let mut config = image.config.clone();
    let ids = &mut config["rootfs"]["diff_ids"];
    let at = place(ids, &old.diff_id).expect("it is listed");
    ids[at] = sha256(&tar).into();
    let config = if config == image.config {
        // As it was written, so that it keeps its digest.
        image.manifest["config"].clone()
    } else {
        described(
            &image.manifest["config"],
            &add(layout, config.to_string().as_bytes()),
        )
    };
    let mut manifest = image.manifest.clone();
    let layers = &mut manifest["layers"];
    let at = place(layers, &old.digest).expect("it is listed");
    layers[at] = described(&layers[at], &layer);
    manifest["config"] = config;
    let manifest = add(layout, manifest.to_string().as_bytes());
    let mut index = Layout::open(layout).index();
    index["manifests"][0] = described(&index["manifests"][0], &manifest);
    fs::write(layout.join("index.json"), index.to_string()).expect("written");
}

/// Returns a descriptor with the digest and size of other bytes.
fn described(descriptor: &Value, bytes: &(String, usize)) -> Value {
    let mut descriptor = descriptor.clone();
    descriptor["digest"] = json!(bytes.0);
    descriptor["size"] = json!(bytes.1);
    descriptor
}

/// Adds a blob and returns its digest and size.
pub(crate) fn add(layout: &Path, bytes: &[u8]) -> (String, usize) {
    let digest = sha256(bytes);
    let path = layout.join("blobs/sha256").join(&digest["sha256:".len()..]);
    fs::write(path, bytes).expect("written");
    (digest, bytes.len())
}

/// Returns the bytes of the content of a file in a tar, to be changed in place.
pub(crate) fn content_of<'t>(tar: &'t mut [u8], path: &str) -> &'t mut [u8] {
    let mut archive = tar::Archive::new(&tar[..]);
    let mut found = None;
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        if entry.path().expect("a path") == Path::new(path) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("in memory");
            found = Some((entry.raw_file_position() as usize, bytes.len()));
        }
    }
    let (at, size) = found.unwrap_or_else(|| panic!("{path} is not in the layer"));
    &mut tar[at..at + size]
}
