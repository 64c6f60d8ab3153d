//! Bytes that are not those of their descriptor: nothing is compared, and the exit code says why.

use serde_json::json;

use crate::choice::Random;
use crate::harness::{Done, imgbuild, run, scratch, sha256};
use crate::picture::{Picture, Written};
use crate::sample::{COPY, sample};
use crate::told::diff;

type Damage = fn(&mut Random, &Written);

/// Every kind of damage, and what the refusal has to name.
const DAMAGES: [(&str, Damage, &str); 9] = [
    ("a manifest of the same size", manifest, "expected sha256:"),
    ("a config of the same size", config, "the config sha256:"),
    (
        "a layer of the same size",
        layer,
        "of linux/amd64: expected sha256:",
    ),
    ("a layer that is cut", cut, "bytes, got"),
    ("a config that is cut", cut_config, "bytes, got"),
    ("a layer that is longer", longer, "bytes, got"),
    ("a layer that is missing", lost, "is missing"),
    ("a config that is missing", lost_config, "is missing"),
    ("a manifest that is missing", lost_manifest, "is missing"),
];

/// Changes a letter for another, so that it may still be JSON.
fn letter(random: &mut Random, bytes: &mut [u8]) {
    let letters: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at].is_ascii_lowercase())
        .collect();
    let at = letters[random.below(letters.len())];
    bytes[at] = if bytes[at] == b'z' {
        b'a'
    } else {
        bytes[at] + 1
    };
}

fn manifest(random: &mut Random, image: &Written) {
    image.damage(&image.manifest, |bytes| letter(random, bytes));
}

fn config(random: &mut Random, image: &Written) {
    image.damage(&image.config, |bytes| letter(random, bytes));
}

fn any_layer<'a>(random: &mut Random, image: &'a Written) -> &'a str {
    &image.layers[random.below(image.layers.len())]
}

fn layer(random: &mut Random, image: &Written) {
    let digest = any_layer(random, image).to_owned();
    image.damage(&digest, |bytes| {
        let at = random.below(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
    });
}

fn cut(random: &mut Random, image: &Written) {
    let digest = any_layer(random, image).to_owned();
    image.damage(&digest, |bytes| bytes.truncate(random.below(bytes.len())));
}

fn cut_config(random: &mut Random, image: &Written) {
    image.damage(&image.config, |bytes| {
        bytes.truncate(random.below(bytes.len()))
    });
}

fn longer(random: &mut Random, image: &Written) {
    let digest = any_layer(random, image).to_owned();
    image.damage(&digest, |bytes| bytes.push(0));
}

fn lost(random: &mut Random, image: &Written) {
    image.lose(any_layer(random, image));
}

fn lost_config(_: &mut Random, image: &Written) {
    image.lose(&image.config);
}

fn lost_manifest(_: &mut Random, image: &Written) {
    image.lose(&image.manifest);
}

fn refused(what: &str, done: &Done, words: &str) {
    assert_eq!(done.code, Some(4), "{what}: {done}");
    assert!(done.err.contains(words), "{what}: no {words:?}: {done}");
    assert!(done.out.is_empty(), "{what}: {done}");
}

#[test]
fn tampering_with_any_blob_of_either_image_is_an_integrity_error() {
    let folder = scratch();
    let good = sample().write(&folder.path().join("good"));
    let mut count = 0;
    for (what, damage, words) in DAMAGES {
        for _ in 0..4 {
            let bad = sample().write(&folder.path().join(format!("bad{count}")));
            damage(&mut Random::new(count), &bad);
            // Beside an image that is equal by its digests, which would otherwise not be looked into.
            let (a, b) = if count % 2 == 0 {
                (&good, &bad)
            } else {
                (&bad, &good)
            };
            refused(what, &diff(&a.folder, &b.folder, &[]), words);
            count += 1;
        }
    }
    assert_eq!(count, 36);
}

#[test]
fn an_index_that_lies_about_its_manifests_is_refused() {
    let folder = scratch();
    let mut picture = sample();
    picture.index = Some([].into());
    let good = picture.write(&folder.path().join("good"));
    let bad = picture.write(&folder.path().join("bad"));
    bad.damage(&bad.top, |bytes| letter(&mut Random::new(1), bytes));
    refused(
        "an index",
        &diff(&good.folder, &bad.folder, &[]),
        "expected sha256:",
    );
}

/// Returns the sample with a claim about a tar that is not true, and all digests right.
fn liar(layer: usize, picture: &Picture) -> Picture {
    let mut liar = picture.clone();
    liar.claimed.insert(layer, sha256(b"another tar"));
    liar
}

#[test]
fn a_config_that_lies_about_a_tar_is_refused_once_the_layer_is_read() {
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    for layer in 0..3 {
        let b = liar(layer, &sample()).write(&folder.path().join(format!("b{layer}")));
        refused(
            "a diff_id",
            &diff(&a.folder, &b.folder, &[]),
            "the config says its diff_id is",
        );
    }
    // A changed layer under the diff_id of the old one: else it would pass for the same in another compression.
    let mut picture = sample();
    let honest = sha256(&picture.layers[COPY].tar);
    picture.edit_entry(COPY, "app/src/B00.py", |piece| {
        piece.set_content(b"evil()\n")
    });
    picture.claimed.insert(COPY, honest);
    let b = picture.write(&folder.path().join("evil"));
    refused(
        "content",
        &diff(&a.folder, &b.folder, &[]),
        "the config says its diff_id is",
    );
}

#[test]
fn a_layer_that_is_no_tar_is_refused_under_its_right_digest() {
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    for (name, blob) in [("half", 0.5), ("almost", 0.98)] {
        let mut picture = sample();
        let layer = &picture.layers[COPY];
        let blob = layer.blob[..(layer.blob.len() as f64 * blob) as usize].to_vec();
        picture.layers[COPY] = layer.packed(blob, "+gzip");
        let b = picture.write(&folder.path().join(name));
        refused(name, &diff(&a.folder, &b.folder, &[]), "layer sha256:");
    }
}

#[test]
fn what_cannot_be_had_is_not_called_different() {
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    let done = diff(&a.folder, &folder.path().join("absent"), &[]);
    assert_eq!(done.code, Some(2), "{done}");
    // Nobody answers on this port.
    let cache = folder.path().join("cache");
    let done = run(imgbuild(&["diff", "--cache-dir"])
        .arg(&cache)
        .arg(&a.folder)
        .arg("127.0.0.1:1/team/app:1"));
    assert_eq!(done.code, Some(3), "{done}");
    // A document that is JSON and no image.
    let folder = folder.path().join("empty");
    std::fs::create_dir_all(folder.join("blobs/sha256")).expect("a folder");
    std::fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("written");
    std::fs::write(
        folder.join("index.json"),
        json!({"manifests": []}).to_string(),
    )
    .expect("written");
    let done = diff(&a.folder, &folder, &[]);
    assert_eq!(done.code, Some(2), "{done}");
}
