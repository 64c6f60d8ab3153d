//! What refers to an image goes along: by the API, under the fallback tag, or not, and then it is said.

use std::path::Path;

use imgbuild::edge::layout::{Companion, Format, Layout};
use imgbuild::edge::progress::Silent;
use imgbuild::edge::push::{self, Attachments, Destination, PushError, Pushed, Shipment};
use imgbuild::edge::registry::Credentials;
use imgbuild::oci::artifact::{Artifact, fallback_tag};
use imgbuild::oci::{Descriptor, Reference};
use serde_json::json;

use crate::server::artifacts::{Artifacts, Knows, artifact};
use crate::server::have;
use crate::server::real::real_registry;
use crate::{Sample, registry, sample};

const KIND: &str = "application/vnd.imgbuild.rebuild.v1";

/// Returns an artifact that refers to `subject`.
fn companion(subject: &Descriptor) -> Companion {
    let blob = Descriptor::of("application/x-note", b"a note");
    let (referrer, manifest) = Artifact {
        artifact_type: KIND,
        subject,
        blobs: vec![blob.clone()],
        annotations: [("a".to_owned(), "b".to_owned())].into(),
    }
    .manifest();
    let empty = imgbuild::oci::artifact::empty();
    Companion {
        referrer,
        manifest,
        blobs: vec![
            (blob, b"a note".to_vec().into()),
            (empty, b"{}".to_vec().into()),
        ],
    }
}

async fn push_with_note(
    dir: &Path,
    reference: &str,
    attachments: Attachments,
) -> (Result<Pushed, PushError>, Companion, Vec<String>) {
    let layout = dir.join("layout");
    let top = sample(&layout, Format::Oci, &Sample::default());
    let note = companion(&top);
    let mut shipment =
        Shipment::open(&imgbuild::edge::layout::ImagePath::new(&layout)).expect("an image");
    shipment.attach(note.clone());
    shipment.set_attachments(attachments);
    let destination = Destination::new(reference.parse().expect("a reference"), &[]);
    let destination = destination.expect("no tags");
    let told = std::sync::Mutex::new(Vec::new());
    let tell = |text: &str| told.lock().expect("no panic").push(text.to_owned());
    let registry = registry(Credentials::default());
    let pushed = push::push(&registry, &shipment, &destination, &Silent, &tell).await;
    (pushed, note, told.into_inner().expect("no panic"))
}

#[tokio::test]
async fn a_registry_with_the_api_lists_what_was_pushed_and_pages_and_filters() {
    for knows in [Knows::Api, Knows::ApiWithoutFilter] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let fake = Artifacts::start(knows);
        let image = format!("{}/team/app:1.0", fake.server.host);
        for first in [true, false] {
            let (pushed, note, told) =
                push_with_note(dir.path(), &image, Attachments::Required).await;
            let pushed = pushed.expect("pushed");
            assert_eq!(pushed.attached, [note.referrer.descriptor.digest]);
            assert_eq!(told.iter().any(|text| text.starts_with("attached")), first);
            assert!(
                fake.manifest("team/app", &fallback_tag(pushed.digest))
                    .is_none(),
                "the list is the registry's"
            );
            let subject = pushed.digest;
            fake.put(
                "team/app",
                "x",
                &artifact("application/spdx+json", &subject.to_string()),
            );
            let reference: Reference = image.parse().expect("a reference");
            let registry = registry(Credentials::default());
            let all = registry.referrers(&reference, subject, None).await;
            assert_eq!(all.expect("listed").len(), 2, "both pages");
            let ours = registry.referrers(&reference, subject, Some(KIND)).await;
            assert_eq!(ours.expect("listed"), [note.referrer]);
        }
    }
}

#[tokio::test]
async fn a_registry_without_the_api_gets_a_tag_that_keeps_what_others_wrote() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let fake = Artifacts::start(Knows::Nothing);
    let image = format!("{}/team/app:1.0", fake.server.host);
    let top = sample(&dir.path().join("layout"), Format::Oci, &Sample::default());
    let tag = fallback_tag(top.digest);
    let other = json!({"mediaType": "m/n", "artifactType": "x/y", "size": 1, "unknown": [1],
        "digest": imgbuild::oci::Digest::of(b"x")});
    fake.put(
        "team/app",
        &tag,
        &json!({"schemaVersion": 2, "manifests": [other]}),
    );
    for _ in 0..2 {
        let (pushed, note, _) = push_with_note(dir.path(), &image, Attachments::Required).await;
        pushed.expect("pushed");
        let list = fake.manifest("team/app", &tag).expect("a list");
        assert_eq!(
            list["manifests"],
            json!([other, note.referrer]),
            "once, and as it was"
        );
        let reference: Reference = image.parse().expect("a reference");
        let listed = registry(Credentials::default());
        let listed = listed.referrers(&reference, top.digest, Some(KIND)).await;
        assert_eq!(listed.expect("listed"), [note.referrer]);
    }
}

#[tokio::test]
async fn a_list_that_another_writer_replaced_is_written_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let fake = Artifacts::start(Knows::Races);
    let image = format!("{}/team/app:1.0", fake.server.host);
    let (pushed, note, _) = push_with_note(dir.path(), &image, Attachments::Required).await;
    let pushed = pushed.expect("pushed");
    let list = fake.manifest("team/app", &fallback_tag(pushed.digest));
    let list = list.expect("a list");
    let entries = list["manifests"].as_array().expect("a list");
    assert_eq!(entries.len(), 2, "the other's and ours: {list}");
    assert_eq!(entries[0]["data"], "kept as it is");
    assert_eq!(entries[1], json!(note.referrer));
}

#[tokio::test]
async fn a_registry_that_refuses_artifacts_gets_the_image_unless_they_are_required() {
    for code in [400, 405] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let fake = Artifacts::start(Knows::Refuses(code));
        let image = format!("{}/team/app:1.0", fake.server.host);
        let (pushed, _, _) = push_with_note(dir.path(), &image, Attachments::Required).await;
        pushed.expect_err("required");
        assert!(fake.manifest("team/app", "1.0").is_none(), "no tag moved");
        let (pushed, _, told) = push_with_note(dir.path(), &image, Attachments::Tried).await;
        assert!(pushed.expect("pushed").attached.is_empty());
        assert!(fake.manifest("team/app", "1.0").is_some());
        let said = told
            .iter()
            .find(|text| text.starts_with("warning: not attached"));
        assert!(
            said.is_some_and(|said| said.contains("unknown media type")),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn debians_registry_keeps_the_list_under_the_fallback_tag() {
    if !have("docker-registry") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let real = real_registry("", "");
    let image = format!("{}/team/app:1.0", real.host);
    for first in [true, false] {
        let (pushed, note, told) = push_with_note(dir.path(), &image, Attachments::Required).await;
        let pushed = pushed.expect("pushed");
        assert_eq!(
            told.iter().any(|text| text.contains("keeps no list")),
            first,
            "{told:?}"
        );
        let reference: Reference = image.parse().expect("a reference");
        let registry = registry(Credentials::default());
        let listed = registry.referrers(&reference, pushed.digest, None).await;
        assert_eq!(
            listed.expect("listed"),
            std::slice::from_ref(&note.referrer)
        );
        let manifest = registry
            .manifest(&reference, note.referrer.descriptor.digest)
            .await;
        assert_eq!(manifest.expect("there"), note.manifest);
    }
}

#[test]
fn a_layout_keeps_what_refers_to_its_image_and_its_image_is_found_without_a_tag() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("plain");
    let top = sample(&path, Format::Oci, &Sample::default());
    let note = companion(&top);
    // As oras writes it: an entry of its own.
    for (name, bytes) in [(note.referrer.descriptor.digest, note.manifest.clone())]
        .into_iter()
        .chain([(Descriptor::of("x", b"a note").digest, b"a note".to_vec())])
        .chain([(Descriptor::of("x", b"{}").digest, b"{}".to_vec())])
    {
        std::fs::write(path.join("blobs/sha256").join(name.hex()), bytes).expect("written");
    }
    let index = path.join("index.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&index).expect("there")).expect("JSON");
    let entries = json["manifests"].as_array_mut().expect("a list");
    entries.push(serde_json::to_value(&note.referrer).expect("JSON"));
    std::fs::write(&index, json.to_string()).expect("written");
    let layout = Layout::open(&path).expect("a layout");
    assert_eq!(
        layout.resolve(None).expect("one image").0.digest,
        top.digest
    );
    let found = layout.referrers(top.digest).expect("listed");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].manifest, note.manifest);
    assert_eq!(found[0].blobs.len(), 2);
    let other = layout.referrers(imgbuild::oci::Digest::of(b"another image"));
    assert!(other.expect("listed").is_empty());
}
