//! The record comes back as it was written, and nothing else is taken for it.

use super::*;
use crate::diagnose::Diagnose as _;
use crate::layer::{Content, LayerPath};
use crate::oci::{Digest, media_type};
use crate::source::{SourceEntry, SourceKind};

const RECIPE_TEXT: &str = "# kept\n[image]\nname = \"a\"\n[base]\nimage = \"r.io/b\"\n[args]\nVERSION = {}\n\
                           [[copy]]\nfrom = \"src\"\nto = \"/app\"\n";

fn lock_text(recipe: &Recipe) -> String {
    let digest = Digest::of(b"base");
    format!(
        "# a comment\nformat = 1\nrecipe = \"{}\"\nepoch = 0\n[base]\nimage = \"r.io/b\"\ndigest = \"{digest}\"\n\
         size = 1\n[[base.platform]]\nplatform = \"linux/amd64\"\nmanifest = {{ digest = \"{digest}\", size = 1 }}\n\
         config = {{ digest = \"{digest}\", size = 1 }}\nlayers = []\n",
        recipe.checksum()
    )
}

fn provenance() -> Provenance {
    let recipe = Recipe::parse(RECIPE_TEXT).expect("a recipe");
    let lock = lock_text(&recipe);
    let entry = |path: &[u8], kind| SourceEntry {
        path: LayerPath::parse(path).expect("a path"),
        kind,
    };
    let file = |bytes: &[u8], executable| SourceKind::File {
        content: Content::of(bytes),
        executable,
    };
    Provenance {
        statement: Statement {
            imgbuild: "0.1.0".to_owned(),
            format: 1,
            platforms: vec!["linux/amd64".parse().expect("supported")],
            stage: Stage::Runtime,
            args: BTreeMap::from([("VERSION".to_owned(), "1.2".to_owned())]),
            epoch: 1_700_000_000,
            revision: Some(Revision {
                commit: "f00d".to_owned(),
                dirty: true,
            }),
        },
        lock: Written {
            value: Lock::parse("recipe.lock", &lock).expect("a lock"),
            text: lock,
        },
        recipe: Written {
            value: recipe,
            text: RECIPE_TEXT.to_owned(),
        },
        source: SourceList {
            rules: vec![vec![
                entry(b"", SourceKind::Dir),
                entry(b"app.py", file(b"x", false)),
                entry(b"link", SourceKind::Symlink(b"app.py".to_vec())),
                entry(b"run\n\\x", file(b"y", true)),
                entry(b"\xff\xfe", file(b"", false)),
            ]],
        },
        files: BTreeMap::from([("uv.lock".to_owned(), b"version = 1\n".to_vec())]),
    }
}

fn subject() -> Descriptor {
    Descriptor::of(media_type::INDEX, b"an index")
}

fn blobs(attachment: &Attachment) -> BTreeMap<Digest, Vec<u8>> {
    let blobs = attachment.blobs.iter();
    blobs
        .map(|(descriptor, bytes)| (descriptor.digest, bytes.clone()))
        .collect()
}

fn read(attachment: &Attachment) -> Result<Provenance, ProvenanceError> {
    Found::parse(&attachment.manifest, subject().digest)?.read(&blobs(attachment))
}

/// Returns the attachment with one document replaced, and the manifest naming the replacement.
fn forged(title: &str, change: impl Fn(&str) -> String) -> Attachment {
    let mut attachment = provenance().artifact(&subject());
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&attachment.manifest).expect("JSON");
    let layers = manifest["layers"].as_array_mut().expect("a list");
    let layer = layers
        .iter_mut()
        .find(|layer| layer["annotations"][TITLE] == title)
        .expect("it is there");
    let (descriptor, bytes) = attachment
        .blobs
        .iter_mut()
        .find(|(descriptor, _)| {
            descriptor.annotations.get(TITLE).map(String::as_str) == Some(title)
        })
        .expect("it is there");
    *bytes = change(str::from_utf8(bytes).expect("text")).into_bytes();
    descriptor.digest = Digest::of(bytes);
    descriptor.size = bytes.len() as u64;
    layer["digest"] = descriptor.digest.to_string().into();
    layer["size"] = descriptor.size.into();
    attachment.manifest = json::canonical(&manifest);
    attachment
}

fn edited(from: &str, to: &str) -> Result<Found, ProvenanceError> {
    let manifest = String::from_utf8(provenance().artifact(&subject()).manifest).expect("JSON");
    assert!(manifest.contains(from), "{manifest}");
    Found::parse(manifest.replace(from, to).as_bytes(), subject().digest)
}

#[test]
fn the_record_comes_back_as_it_was_written_and_is_the_same_bytes_each_time() {
    let attachment = provenance().artifact(&subject());
    assert_eq!(read(&attachment), Ok(provenance()));
    assert_eq!(provenance().artifact(&subject()), attachment);
    let args = provenance().args().expect("declared");
    assert_eq!(args.values()["VERSION"], "1.2");
}

#[test]
fn the_manifest_is_an_artifact_by_the_image_specification() {
    let attachment = provenance().artifact(&subject());
    let manifest: serde_json::Value = serde_json::from_slice(&attachment.manifest).expect("JSON");
    assert_eq!(manifest["mediaType"], media_type::MANIFEST);
    assert_eq!(manifest["artifactType"], ARTIFACT_TYPE);
    assert_eq!(manifest["config"]["mediaType"], media_type::EMPTY);
    assert_eq!(manifest["subject"]["digest"], subject().digest.to_string());
    assert_eq!(manifest["annotations"][REVISION], "f00d-dirty");
    assert_eq!(manifest["annotations"][CREATED], "2023-11-14T22:13:20Z");
    // ECR refuses media types with parameters.
    assert!(!String::from_utf8_lossy(&attachment.manifest).contains(';'));
    let names: Vec<_> = manifest["layers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|layer| layer["annotations"][TITLE].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "rebuild.json",
            "recipe.toml",
            "recipe.lock",
            "source.json",
            "uv.lock"
        ]
    );
}

#[test]
fn one_byte_of_any_blob_is_noticed() {
    let attachment = provenance().artifact(&subject());
    for changed in 0..attachment.blobs.len() - 1 {
        let mut blobs = blobs(&attachment);
        let bytes = blobs
            .get_mut(&attachment.blobs[changed].0.digest)
            .expect("it is there");
        bytes[0] ^= 1;
        let found = Found::parse(&attachment.manifest, subject().digest).expect("sound");
        let error = found.read(&blobs).expect_err("another byte");
        assert!(matches!(error, ProvenanceError::Digest { .. }), "{error}");
        assert_eq!(error.class().exit_code(), 4);
        let found = Found::parse(&attachment.manifest, subject().digest).expect("sound");
        blobs.remove(&attachment.blobs[changed].0.digest);
        let error = found.read(&blobs).expect_err("no byte");
        assert!(matches!(error, ProvenanceError::Missing { .. }), "{error}");
    }
}

#[test]
fn a_record_of_another_image_or_version_or_kind_is_told_from_ours() {
    let other = Found::parse(
        &provenance().artifact(&subject()).manifest,
        Digest::of(b"another image"),
    );
    assert!(matches!(other, Err(ProvenanceError::Subject { .. })));
    let newer = edited("imgbuild.rebuild.v1", "imgbuild.rebuild.v2").expect_err("unknown");
    assert_eq!(newer.class().exit_code(), 5);
    let sbom = edited(ARTIFACT_TYPE, "application/spdx+json").expect_err("no record");
    assert!(matches!(sbom, ProvenanceError::OtherType(_)));
    let lock = forged("recipe.lock", |text| {
        text.replace("format = 1", "format = 2")
    });
    assert_eq!(read(&lock).expect_err("unknown").class().exit_code(), 5);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_got() {
    let recipe = format!("\"size\":{}", RECIPE_TEXT.len());
    let error = edited(&recipe, "\"size\":99999999999").expect_err("too large");
    assert!(matches!(error, ProvenanceError::TooLarge { .. }), "{error}");
    // Many that are just small enough are too many.
    let manifest = provenance().artifact(&subject()).manifest;
    let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let layers = manifest["layers"].as_array_mut().expect("a list");
    for at in 0..8 {
        let mut layer = Descriptor::of(FILE, b"x");
        layer.size = TEXT_AT_MOST;
        layer.annotations.insert(TITLE.to_owned(), at.to_string());
        layers.push(serde_json::to_value(layer).expect("JSON"));
    }
    let error = Found::parse(&json::canonical(&manifest), subject().digest).expect_err("too large");
    assert!(matches!(error, ProvenanceError::TooLarge { .. }), "{error}");
}

const TEXT_AT_MOST: u64 = 16 << 20;

#[test]
fn documents_that_do_not_belong_together_are_refused() {
    for (title, from, to) in [
        ("rebuild.json", "\"format\":1", "\"format\":2"),
        ("rebuild.json", "1700000000", "-1"),
        ("rebuild.json", "linux/amd64", "linux/arm64"),
        ("rebuild.json", "[\"linux/amd64\"]", "[]"),
        ("rebuild.json", "VERSION", "OTHER"),
        ("rebuild.json", "\"runtime\"", "\"builder\""),
        ("rebuild.json", "{", "["),
        ("recipe.toml", "[image]", "[imaeg]"),
        ("recipe.lock", "size = 1", "size = x"),
        (
            "source.json",
            "\"app.py\",\"size\"",
            "\"../../etc/passwd\",\"size\"",
        ),
        ("source.json", "\"app.py\",\"size\"", "\"zz.py\",\"size\""),
        ("source.json", "0755", "4755"),
    ] {
        let attachment = forged(title, |text| {
            assert!(text.contains(from), "{title} has no {from}: {text}");
            text.replace(from, to)
        });
        let error = read(&attachment).expect_err(from);
        assert_eq!(error.class().exit_code(), 4, "{title}: {from}: {error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_document_that_is_there_twice_or_not_at_all_is_refused() {
    for (from, to) in [(LOCK, RECIPE), (SOURCE, "x/y"), (FILE, STATEMENT)] {
        let error = edited(from, to).expect_err("not whole");
        assert_eq!(error.class().exit_code(), 4, "{error}");
    }
}
