//! The forms of an image on disk, ours and those of others.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use imgbuild::edge::layout::{Format, Layout, LayoutError, Parts, write};
use imgbuild::edge::store::Store;
use imgbuild::layer::RandomRead;
use imgbuild::oci::manifest::Document;
use imgbuild::oci::{Descriptor, media_type};

use crate::server::have;
use crate::{LAYER, folder, image_at, names, sample, without_layer};

#[test]
fn what_is_written_is_read_back_in_each_form() {
    let dir = folder();
    let sample = sample("x");
    for format in [Format::Oci, Format::OciArchive, Format::DockerArchive] {
        // The second time something is there.
        for _ in 0..2 {
            let path = dir.path().join(format!("deep/er/{format:?}"));
            write(&path, format, &sample.parts).expect("written");
            let layout = Layout::open(&path).expect("an image");
            for tag in [None, Some("1.0")] {
                let (image, bytes) = layout.resolve(tag).expect("resolved");
                assert_eq!(
                    (image.digest, bytes.as_slice()),
                    (sample.image.digest, sample.manifest.as_slice())
                );
            }
            let config = Descriptor::of(media_type::CONFIG, &sample.config);
            assert_eq!(layout.document(&config).expect("there"), sample.config);
            assert_eq!(
                layout
                    .checked_blob(&sample.layer)
                    .expect("there")
                    .read_all(9999)
                    .expect("readable"),
                LAYER
            );
            let error = layout.resolve(Some("2.0")).expect_err("no such tag");
            assert!(
                error
                    .to_string()
                    .ends_with("holds no image tagged `2.0`: there are 1.0"),
                "{error}"
            );
        }
    }
    assert_eq!(
        names(&dir.path().join("deep/er")),
        ["DockerArchive", "Oci", "OciArchive"]
    );
    assert_eq!(
        names(&dir.path().join("deep/er/Oci")),
        ["blobs", "index.json", "oci-layout"]
    );
}

#[test]
fn the_bytes_of_an_archive_depend_on_the_image_alone() {
    let dir = folder();
    let (one, other) = (dir.path().join("one.tar"), dir.path().join("other.tar"));
    write(&one, Format::DockerArchive, &sample("x").parts).expect("written");
    // The same blobs, added in another order and from other places.
    let store = Store::open(dir.path().join("cache")).expect("a store");
    let mut writer = store.writer().expect("a writer");
    writer.append(LAYER).expect("written");
    writer.commit(None).expect("committed");
    let again = without_layer("x");
    let mut parts = Parts::new();
    parts.add(&again.layer, store.get(&again.layer.digest).expect("there"));
    parts.add(
        &again.image,
        Arc::new(again.manifest) as Arc<dyn RandomRead>,
    );
    parts.add(
        &Descriptor::of(media_type::CONFIG, &again.config),
        again.config,
    );
    parts.name(again.image, Some("1.0"));
    parts.docker_tag("demo:1.0");
    write(&other, Format::DockerArchive, &parts).expect("written");
    assert_eq!(
        fs::read(&one).expect("there"),
        fs::read(&other).expect("there")
    );
    let mut archive = tar::Archive::new(fs::File::open(&one).expect("there"));
    let mut members = Vec::new();
    for entry in archive.entries().expect("a tar") {
        let entry = entry.expect("an entry");
        let header = entry.header();
        let mode = if header.entry_type().is_dir() {
            0o755
        } else {
            0o644
        };
        assert_eq!(
            (header.uid().ok(), header.gid().ok(), header.mode().ok()),
            (Some(0), Some(0), Some(mode))
        );
        assert_eq!(header.mtime().ok(), Some(946_684_800));
        members.push(entry.path().expect("a path").display().to_string());
    }
    assert!(members.is_sorted() && members.len() == 8, "{members:?}");
    // A layout made from the store shares nothing with it: who edits one must not edit the other.
    let layout = dir.path().join("layout");
    write(&layout, Format::Oci, &parts).expect("written");
    let copy = layout.join("blobs/sha256").join(again.layer.digest.hex());
    assert_ne!(
        fs::metadata(copy).expect("there").ino(),
        fs::metadata(store.path(&again.layer.digest))
            .expect("there")
            .ino()
    );
}

#[test]
fn several_images_need_a_tag_and_a_docker_archive_holds_one() {
    let dir = folder();
    let (mut parts, one, two) = (Parts::new(), sample("1"), sample("2"));
    for (sample, tag) in [(&one, "one"), (&two, "two")] {
        parts.add(&sample.layer, LAYER.to_vec());
        parts.add(
            &Descriptor::of(media_type::CONFIG, &sample.config),
            sample.config.clone(),
        );
        parts.add(&sample.image, sample.manifest.clone());
        parts.name(sample.image.clone(), Some(tag));
    }
    let path = dir.path().join("out");
    write(&path, Format::Oci, &parts).expect("written");
    let layout = Layout::open(&path).expect("a layout");
    assert_eq!(
        layout.resolve(Some("two")).expect("there").0.digest,
        two.image.digest
    );
    let error = layout.resolve(None).expect_err("two images");
    assert!(
        error
            .to_string()
            .ends_with("holds 2 images: there are one, two"),
        "{error}"
    );
    let error =
        write(&path.with_extension("tar"), Format::DockerArchive, &parts).expect_err("two images");
    assert!(
        matches!(error, LayoutError::Platforms { count: 2, .. }),
        "{error}"
    );
    assert_eq!(names(dir.path()), ["out"]);
}

#[test]
fn an_index_leads_to_all_its_images() {
    let dir = folder();
    let sample = sample("x");
    let mut entry = sample.image.clone();
    entry.platform = Some(
        "linux/amd64"
            .parse::<imgbuild::oci::Platform>()
            .expect("a platform")
            .into(),
    );
    let bytes = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [entry]})
        .to_string()
        .into_bytes();
    let index = Descriptor::of(media_type::INDEX, &bytes);
    let mut parts = Parts::new();
    parts.add(&index, bytes.clone());
    parts.name(index.clone(), None);
    let path = dir.path().join("out");
    let error = write(&path, Format::Oci, &parts).expect_err("the manifest is missing");
    assert!(
        matches!(error, LayoutError::Missing { digest, .. } if digest == sample.image.digest),
        "{error}"
    );
    parts.add(&sample.image, sample.manifest);
    parts.add(
        &Descriptor::of(media_type::CONFIG, &sample.config),
        sample.config,
    );
    parts.add(&sample.layer, LAYER.to_vec());
    write(&path, Format::Oci, &parts).expect("written");
    assert_eq!(
        Layout::open(&path)
            .expect("a layout")
            .resolve(None)
            .expect("one")
            .1,
        bytes
    );
    write(&path.with_extension("tar"), Format::DockerArchive, &parts).expect("one image");
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn skopeo_and_umoci_read_what_we_write_and_we_read_what_skopeo_writes() {
    if !(have("skopeo") && have("umoci")) {
        return;
    }
    let dir = folder();
    let sample = sample("x");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (oci, archive, docker) = (at("oci"), at("oci.tar"), at("docker.tar"));
    write(Path::new(&oci), Format::Oci, &sample.parts).expect("written");
    write(Path::new(&archive), Format::OciArchive, &sample.parts).expect("written");
    write(Path::new(&docker), Format::DockerArchive, &sample.parts).expect("written");
    for image in [
        format!("oci:{oci}:1.0"),
        format!("oci-archive:{archive}:1.0"),
        format!("oci-archive:{docker}:1.0"),
    ] {
        let raw = run("skopeo", &["inspect", "--raw", &image]);
        assert_eq!(raw.as_bytes(), sample.manifest, "{image}");
    }
    run(
        "skopeo",
        &["inspect", &format!("docker-archive:{docker}:demo:1.0")],
    );
    run(
        "umoci",
        &[
            "unpack",
            "--rootless",
            "--image",
            &format!("{oci}:1.0"),
            &at("bundle"),
        ],
    );

    let copy = |from: &str, to: &str, more: &[&str]| {
        run(
            "skopeo",
            &[&["--insecure-policy", "copy", from, to], more].concat(),
        )
    };
    let from = format!("oci:{oci}:1.0");
    copy(
        &from,
        &format!("oci:{}:t", at("a")),
        &["--preserve-digests"],
    );
    copy(
        &from,
        &format!("oci-archive:{}:t", at("a.tar")),
        &["--preserve-digests"],
    );
    assert_eq!(image_at(Path::new(&at("a"))), sample.image.digest);
    assert_eq!(image_at(Path::new(&at("a.tar"))), sample.image.digest);
    // The old form: no index, layers by other names.
    copy(
        &from,
        &format!("docker-archive:{}:demo:old", at("b.tar")),
        &[],
    );
    image_at(Path::new(&at("b.tar")));
    let layout = Layout::open(Path::new(&at("b.tar"))).expect("a docker-archive");
    let tags: Vec<&String> = layout
        .images()
        .iter()
        .flat_map(|image| image.annotations.values())
        .collect();
    assert_eq!(tags, ["docker.io/library/demo:old"]);
    let (image, _) = layout.resolve(None).expect("one image");
    let Document::Manifest(manifest) = layout.parsed(&image).expect("a manifest") else {
        panic!("not a manifest");
    };
    assert_eq!(manifest.layers[0], sample.layer);
}
