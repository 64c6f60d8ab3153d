//! What is attached to an image says how to rebuild it and is believed in nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use imgbuild::edge::layout::{ImagePath, Layout};
use imgbuild::oci::Descriptor;
use imgbuild::provenance::{Found, Provenance};
use serde_json::json;

use crate::harness::{self, Bench, Made, run};
use crate::{answers, copy, place, tampered, verify};

/// Reads the record that a layout holds.
fn record(layout: &Path) -> Provenance {
    let open = Layout::open(layout).expect("a layout");
    let (top, _) = open.resolve(None).expect("an image");
    let companion = open.referrers(top.digest).expect("a list").remove(0);
    let read = |source: &imgbuild::edge::layout::BlobSource| {
        let blob = source.random_read();
        let mut bytes = vec![0; blob.size() as usize];
        blob.read_exact_at(&mut bytes, 0).expect("readable");
        bytes
    };
    let blobs: BTreeMap<_, _> = companion
        .blobs
        .iter()
        .map(|(descriptor, source)| (descriptor.digest, read(source)))
        .collect();
    let found = Found::parse(&companion.manifest, top.digest).expect("a record");
    found.read(&blobs).expect("a record")
}

/// Replaces the record that a layout holds, referring to the image of `subject`.
fn attach(layout: &Path, record: &Provenance, subject: &Descriptor) {
    let attachment = record.artifact(subject);
    for (_, bytes) in &attachment.blobs {
        tampered::add(layout, bytes);
    }
    tampered::add(layout, &attachment.manifest);
    let list = json!({
        "schemaVersion": 2,
        "mediaType": imgbuild::oci::media_type::INDEX,
        "manifests": [attachment.referrer],
    });
    let (digest, _) = tampered::add(layout, list.to_string().as_bytes());
    let mut index = harness::Layout::open(layout).index();
    index["annotations"]["vnd.imgbuild.referrers"] = digest.into();
    fs::write(layout.join("index.json"), index.to_string()).expect("written");
}

fn top(layout: &Path) -> Descriptor {
    let path = ImagePath::new(layout);
    let open = Layout::open(path.path()).expect("a layout");
    open.resolve(None).expect("an image").0
}

#[test]
fn a_record_of_another_image_or_recipe_or_with_other_settings_proves_nothing() {
    let Some(bench) = Bench::open() else { return };
    let folder = place(bench);
    let made = bench.made(Made::Amd64);
    let honest = record(&made);
    let layout = copy(&made, &folder.path().join("image"));
    let image = top(&layout);

    // Of another image: it is not even one that refers to this.
    attach(&layout, &honest, &top(&bench.made(Made::Both)));
    answers(&verify(bench, &layout, &[]), 3, "could not verify");

    // A recipe that its lock was not made from.
    let mut swapped = honest.clone();
    swapped.recipe.text = swapped
        .recipe
        .text
        .replacen("name = ", "name = \"x\" # ", 1);
    swapped.recipe.value.image.name = "x".to_owned();
    attach(&layout, &swapped, &image);
    let done = verify(bench, &layout, &[]);
    answers(&done, 4, "corrupt");
    assert!(done.err.contains("contradicts itself"), "{done}");

    // Another time: the recipe is right, and it builds another image.
    let mut swapped = honest.clone();
    swapped.statement.epoch += 1;
    attach(&layout, &swapped, &image);
    answers(&verify(bench, &layout, &[]), 1, "differs");

    // A file that the image does not hold as it was recorded is named.
    let mut swapped = honest.clone();
    let entries = swapped.source.rules.iter_mut().flatten();
    for entry in entries.filter(|entry| entry.path.as_bytes() == b"app.py") {
        if let imgbuild::source::SourceKind::File { content, .. } = &mut entry.kind {
            *content = imgbuild::layer::Content::of(b"another");
        }
    }
    attach(&layout, &swapped, &image);
    let done = verify(bench, &layout, &[]);
    answers(&done, 1, "differs");
    assert!(done.out.contains("/app/src/app.py"), "{done}");

    // Who brings the recipe from version control needs none of it.
    let recipe = bench.project.display().to_string();
    let done = run(bench
        .imgbuild(&["verify", "--offline", "--recipe", &recipe])
        .arg(&layout));
    assert_ne!(done.code, Some(4), "{done}");
}

#[test]
fn a_lock_of_another_format_is_neither_the_same_nor_different() {
    let Some(bench) = Bench::open() else { return };
    let folder = place(bench);
    let layout = copy(&bench.made(Made::Amd64), &folder.path().join("image"));
    let mut later = record(&layout);
    later.statement.format = 2;
    later.statement.imgbuild = "7.8.9".to_owned();
    later.lock.text = later.lock.text.replacen("format = 1", "format = 2", 1);
    attach(&layout, &later, &top(&layout));
    let done = verify(bench, &layout, &[]);
    answers(&done, 5, "other format");
    assert!(done.err.contains("7.8.9"), "which version to get: {done}");

    let project = bench.copy_of_project(folder.path());
    harness::edit(&project.join("recipe.lock"), "format = 1", "format = 2");
    let done = verify(
        bench,
        &layout,
        &["--recipe", &project.display().to_string()],
    );
    answers(&done, 5, "other format");
}
