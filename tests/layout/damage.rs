//! Images that were damaged, or made to do damage.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::layout::{Format, Layout, LayoutError, write};
use imgbuild::oci::Digest;
use imgbuild::oci::manifest::Document;
use proptest::prelude::*;

use crate::{LAYER, folder, sample};

#[test]
fn a_damaged_layout_is_an_error_that_names_the_blob() {
    let dir = folder();
    let path = dir.path().join("out");
    let sample = sample("x");
    write(&path, Format::Oci, &sample.parts).expect("written");
    let layout = Layout::open(&path).expect("a layout");
    let blob = |digest: &Digest| path.join("blobs/sha256").join(digest.hex());
    // As long as before: only the digest tells.
    let edited = String::from_utf8(sample.manifest.clone())
        .expect("text")
        .replace("sha256", "sha265");
    fs::write(blob(&sample.image.digest), edited).expect("edited");
    let error = layout.resolve(None).expect_err("edited");
    assert!(matches!(error, LayoutError::Digest { .. }), "{error}");
    assert_eq!(error.class(), Class::Integrity);
    fs::write(blob(&sample.layer.digest), "").expect("cut");
    assert!(matches!(
        layout.blob(&sample.layer),
        Err(LayoutError::Size { found: 0, .. })
    ));
    fs::remove_file(blob(&sample.layer.digest)).expect("removed");
    assert!(matches!(
        layout.blob(&sample.layer),
        Err(LayoutError::Missing { .. })
    ));
    fs::write(path.join("index.json"), "{").expect("edited");
    assert!(matches!(
        Layout::open(&path),
        Err(LayoutError::Document { .. })
    ));
    for (name, bytes) in [
        ("text", &b"hello"[..]),
        ("nothing", b""),
        ("zeros", &[0; 4096]),
    ] {
        fs::write(dir.path().join(name), bytes).expect("written");
        let error = Layout::open(&dir.path().join(name)).expect_err(name);
        assert!(
            matches!(error, LayoutError::NotAnImage { .. }),
            "{name}: {error}"
        );
    }
    assert!(matches!(
        Layout::open(&dir.path().join("missing")),
        Err(LayoutError::Disk(_))
    ));
    assert!(matches!(
        Layout::open(dir.path()),
        Err(LayoutError::NotAnImage { .. })
    ));
}

/// Returns the bytes of an archive of the sample, to be damaged.
fn archive(docker: bool) -> Vec<u8> {
    let dir = folder();
    let path = dir.path().join("a.tar");
    let format = if docker {
        Format::DockerArchive
    } else {
        Format::OciArchive
    };
    write(&path, format, &sample("x").parts).expect("written");
    fs::read(path).expect("there")
}

fn read_everything(bytes: &[u8]) {
    let dir = folder();
    let path = dir.path().join("a.tar");
    fs::write(&path, bytes).expect("written");
    let Ok(layout) = Layout::open(&path) else {
        return;
    };
    for image in layout.images() {
        if let Ok(Document::Manifest(manifest)) = layout.parsed(image) {
            for descriptor in manifest.layers.iter().chain([&manifest.config]) {
                if let Ok(blob) = layout.checked_blob(descriptor) {
                    let mut bytes = Vec::new();
                    let _ = blob.reader().read_to_end(&mut bytes);
                    assert_eq!(Digest::of(&bytes), descriptor.digest);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_damaged_archive_is_an_error_and_never_a_panic_or_other_bytes(
        docker: bool, cut in 0_usize..10_000, edits in proptest::collection::vec((0_usize..10_000, any::<u8>()), 0..6)
    ) {
        let mut bytes = archive(docker);
        for (at, value) in edits {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        bytes.truncate(bytes.len().saturating_sub(cut / 4));
        read_everything(&bytes);
    }
}

#[test]
fn a_name_that_is_twice_in_an_archive_is_refused() {
    let mut bytes = archive(false);
    // All members again, before the end.
    let end = bytes.len() - 1024;
    let again = bytes[..end].to_vec();
    bytes.splice(end..end, again);
    let dir = folder();
    let path = dir.path().join("a.tar");
    fs::write(&path, &bytes).expect("written");
    let error = Layout::open(&path).expect_err("twice");
    assert!(
        error.to_string().contains("this name is there twice"),
        "{error}"
    );
}

#[test]
fn members_of_an_archive_may_have_long_names_and_links() {
    let dir = folder();
    let sample = sample("x");
    let long = format!("{}/layer.tar", "d".repeat(150));
    let manifest =
        serde_json::json!([{"Config": "./c.json", "RepoTags": null, "Layers": ["link/layer.tar"]}])
            .to_string();
    let files: BTreeMap<&str, &[u8]> = BTreeMap::from([
        ("c.json", sample.config.as_slice()),
        ("manifest.json", manifest.as_bytes()),
        (&long, LAYER),
    ]);
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, bytes)
            .expect("added");
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder
        .append_link(&mut header, "link/layer.tar", format!("../{long}"))
        .expect("added");
    let path = dir.path().join("a.tar");
    fs::write(&path, builder.into_inner().expect("finished")).expect("written");
    let layout = Layout::open(&path).expect("a docker-archive");
    let (image, _) = layout.resolve(None).expect("one image");
    let Document::Manifest(manifest) = layout.parsed(&image).expect("a manifest") else {
        panic!("not a manifest");
    };
    assert_eq!(manifest.layers, [sample.layer]);
    assert_eq!(
        layout.document(&manifest.config).expect("a config"),
        sample.config
    );
}
