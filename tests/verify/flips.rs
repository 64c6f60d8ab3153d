//! One bit is flipped in each blob in turn, its size kept: every one is noticed before anything is rebuilt.

use std::fs;
use std::path::Path;

use crate::harness::{self, Bench, Made, imgbuild, run};
use crate::server::have;
use crate::server::real::real_registry;
use crate::{answers, copy, imgbuild_with, place, verify};

/// Flips a bit in the middle of a file.
fn flip(file: &Path) {
    let mut bytes = fs::read(file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).expect("written");
}

#[test]
fn a_bit_flipped_in_any_blob_of_a_layout_is_noticed() {
    let Some(bench) = Bench::open() else { return };
    let folder = place(bench);
    let layout = copy(&bench.made(Made::Both), &folder.path().join("image"));
    let blobs = layout.join("blobs/sha256");
    let names = harness::names(&blobs);
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let blob = blobs.join(&name);
        flip(&blob);
        let done = verify(bench, &layout, &[]);
        answers(&done, 4, "corrupt");
        assert!(
            done.err.starts_with("error: ") && done.err.contains("\nhint: "),
            "{done}"
        );
        flip(&blob);
    }
}

#[test]
fn a_layer_that_a_registry_has_changed_is_noticed_though_the_cache_has_the_right_one() {
    let Some(bench) = Bench::open() else { return };
    if !have("docker-registry") {
        return;
    }
    let real = real_registry("", "");
    let image = format!("{}/team/webhook:1.0", real.host);
    let made = bench.made(Made::Amd64);
    run(imgbuild(&["push"])
        .arg(&made)
        .arg(&image)
        .arg("--cache-dir")
        .arg(&bench.cache))
    .ok();
    let layer = bench.layout(Made::Amd64).images()[0]
        .layer("copy")
        .digest
        .clone();
    let hex = &layer["sha256:".len()..];
    let kept = real
        .data()
        .join("docker/registry/v2/blobs/sha256")
        .join(&hex[..2])
        .join(hex)
        .join("data");
    flip(&kept);
    assert!(bench.cache.join("blobs/sha256").join(hex).exists());
    let done = run(imgbuild_with(&bench.cache, &["verify", &image]).args(&bench.standin.mirrors));
    answers(&done, 4, "corrupt");
    assert!(done.err.contains(hex), "{done}");
}
