//! Images on disk: written whole or not at all, read by others, refused when damaged.

mod server;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::layout::{Format, Layout, LayoutError, Parts, write};
use imgbuild::edge::store::Store;
use imgbuild::layer::RandomRead;
use imgbuild::oci::manifest::Document;
use imgbuild::oci::{Descriptor, Digest, media_type};
use proptest::prelude::*;
use server::{have, skip};
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
        assert_eq!(
            (header.uid().ok(), header.gid().ok(), header.mode().ok()),
            (Some(0), Some(0), Some(0o644))
        );
        assert_eq!(header.mtime().ok(), Some(946_684_800));
        members.push(entry.path().expect("a path").display().to_string());
    }
    assert!(members.is_sorted() && members.len() == 6, "{members:?}");
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
fn nothing_is_written_of_an_image_that_is_not_complete_and_true() {
    let dir = folder();
    let path = dir.path().join("out");
    let mut wrong_bytes = without_layer("x");
    wrong_bytes.parts.add(&wrong_bytes.layer, vec![1; 1024]);
    let mut wrong_size = without_layer("x");
    wrong_size.parts.add(&wrong_size.layer, vec![0; 1023]);
    let mut no_manifest = Parts::new();
    no_manifest.name(sample("x").image, None);
    for (name, parts) in [
        ("missing", without_layer("x").parts),
        ("bytes", wrong_bytes.parts),
        ("size", wrong_size.parts),
        ("manifest", no_manifest),
    ] {
        for format in [Format::Oci, Format::OciArchive] {
            let error = write(&path, format, &parts).expect_err(name);
            assert_eq!(error.class(), Class::Integrity, "{error}");
            assert!(
                names(dir.path()).is_empty(),
                "{name}: {:?}",
                names(dir.path())
            );
        }
    }
}

#[test]
fn only_a_layout_is_replaced_by_a_layout() {
    let dir = folder();
    let sample = sample("x");
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("empty")).expect("made");
    write(&at("empty"), Format::Oci, &sample.parts).expect("an empty folder may be filled");
    std::os::unix::fs::symlink("empty", at("link")).expect("made");
    write(&at("link"), Format::Oci, &self::sample("y").parts)
        .expect("what a link leads to is replaced");
    assert!(at("link").is_symlink());
    assert_eq!(image_at(&at("empty")), self::sample("y").image.digest);

    fs::create_dir(at("project")).expect("made");
    write(&at("project"), Format::Oci, &sample.parts).expect("written");
    fs::write(at("project/main.py"), "precious").expect("written");
    fs::create_dir(at("other")).expect("made");
    fs::write(at("other/index.json"), "{}").expect("written");
    fs::write(at("file"), "precious").expect("written");
    std::os::unix::fs::symlink("nowhere", at("dangling")).expect("made");
    let before = names(dir.path());
    for (name, says) in [
        (
            "project",
            "it holds `main.py`, which is no part of an OCI layout",
        ),
        ("other", "without the file `oci-layout`"),
        ("file", "it is not a folder"),
        ("dangling", "leads nowhere"),
    ] {
        let error = write(&at(name), Format::Oci, &sample.parts).expect_err(name);
        assert!(
            matches!(error, LayoutError::Occupied { .. }) && error.to_string().contains(says),
            "{error}"
        );
        assert_eq!(error.class(), Class::Usage);
    }
    let error = write(&at("empty"), Format::OciArchive, &sample.parts).expect_err("a folder");
    assert!(matches!(error, LayoutError::Occupied { .. }), "{error}");
    assert_eq!(names(dir.path()), before);
    assert_eq!(
        fs::read_to_string(at("project/main.py")).expect("there"),
        "precious"
    );
}

/// Says that the layer is being read, then never gives it.
struct Forever;

impl RandomRead for Forever {
    fn read_exact_at(&self, _: &mut [u8], _: u64) -> std::io::Result<()> {
        let mut out = std::io::stdout();
        writeln!(out, "reading the layer").and_then(|()| out.flush())?;
        loop {
            std::thread::park();
        }
    }

    fn size(&self) -> u64 {
        LAYER.len() as u64
    }
}

#[test]
#[ignore = "runs in a process of its own, which is killed by the test below"]
fn child_writes_until_killed() {
    let path = std::env::var_os("IMGBUILD_TEST_OUT").expect("set by the test below");
    let format = std::env::var("IMGBUILD_TEST_FORMAT").expect("set by the test below");
    let mut sample = without_layer("new");
    sample
        .parts
        .add(&sample.layer, Arc::new(Forever) as Arc<dyn RandomRead>);
    write(
        Path::new(&path),
        format.parse().expect("a format"),
        &sample.parts,
    )
    .expect("written");
}

#[test]
fn a_killed_writer_leaves_the_old_image_or_none_and_the_next_one_cleans_up() {
    for (format, name) in [(Format::Oci, "oci"), (Format::OciArchive, "oci-archive")] {
        for old in [false, true] {
            let dir = folder();
            let path = dir.path().join("out");
            if old {
                write(&path, format, &sample("old").parts).expect("written");
            }
            let before = names(dir.path());
            let mut child = Command::new(std::env::current_exe().expect("this test"))
                .args([
                    "--exact",
                    "--ignored",
                    "--nocapture",
                    "child_writes_until_killed",
                ])
                .env("IMGBUILD_TEST_OUT", &path)
                .env("IMGBUILD_TEST_FORMAT", name)
                .stdout(Stdio::piped())
                .spawn()
                .expect("this test starts");
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            assert!(lines.any(|line| line.is_ok_and(|line| line.contains("reading the layer"))));
            // Beside a writer that lives, another may write, and does not take the first one's work away.
            let during = names(dir.path());
            assert_eq!(during.len(), before.len() + 1, "{during:?}");
            if old {
                write(&path, format, &sample("old").parts).expect("written");
                assert_eq!(names(dir.path()), during);
            }
            child.kill().expect("killed");
            child.wait().expect("gone");
            assert_eq!(names(dir.path()), during);
            assert_eq!(path.exists(), old);
            if old {
                assert_eq!(image_at(&path), sample("old").image.digest);
            }
            write(&path, format, &sample("new").parts).expect("written");
            assert_eq!(names(dir.path()), ["out"]);
            assert_eq!(image_at(&path), sample("new").image.digest);
        }
    }
}

#[test]
fn many_writers_to_one_place_leave_one_whole_image() {
    let dir = folder();
    for format in [Format::Oci, Format::OciArchive] {
        let path = dir.path().join(format!("{format:?}"));
        write(&path, format, &sample("0").parts).expect("written");
        std::thread::scope(|scope| {
            for number in 0..6 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..10 {
                        write(path, format, &sample(&number.to_string()).parts).expect("written");
                    }
                });
            }
        });
        image_at(&path);
    }
    assert_eq!(names(dir.path()), ["Oci", "OciArchive"]);
}

#[test]
fn a_full_disk_leaves_the_old_image() {
    let dir = folder();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(dir.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        return skip("a small file system cannot be mounted (needs root)");
    }
    let path = dir.path().join("out");
    write(&path, Format::Oci, &sample("old").parts).expect("written");
    let mut big = without_layer("x");
    let layer = vec![7; 1024 * 1024];
    big.manifest = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": Descriptor::of(media_type::CONFIG, &big.config), "layers": [Descriptor::of(media_type::LAYER, &layer)]})
    .to_string()
    .into_bytes();
    let image = Descriptor::of(media_type::MANIFEST, &big.manifest);
    let mut parts = Parts::new();
    parts.add(&Descriptor::of(media_type::CONFIG, &big.config), big.config);
    parts.add(&Descriptor::of(media_type::LAYER, &layer), layer);
    parts.add(&image, big.manifest);
    parts.name(image, None);
    let errors = [Format::Oci, Format::OciArchive].map(|format| {
        write(
            &dir.path().join(if format == Format::Oci {
                "out"
            } else {
                "out.tar"
            }),
            format,
            &parts,
        )
    });
    let (left, image) = (names(dir.path()), image_at(&path));
    let unmounted = Command::new("umount").arg(dir.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    for error in errors {
        let error = error.expect_err("the disk is full");
        assert!(
            error.to_string().contains("no space left") && error.hint().is_some(),
            "{error}"
        );
        assert_eq!(error.class(), Class::Usage);
    }
    assert_eq!(
        (left, image),
        (vec!["out".to_owned()], sample("old").image.digest)
    );
}

#[test]
fn a_layout_has_the_modes_that_the_umask_leaves_and_its_owner_can_read_it() {
    let dir = folder();
    for (umask, folders, files) in [
        ("0022", 0o755, 0o644),
        ("0077", 0o700, 0o600),
        ("0777", 0o700, 0o600),
    ] {
        let out = dir.path().join(umask);
        let output = Command::new("sh")
            .args([
                "-c",
                "umask $1; exec \"$2\" --exact --ignored child_writes_both",
                "sh",
                umask,
            ])
            .arg(std::env::current_exe().expect("this test"))
            .env("IMGBUILD_TEST_OUT", &out)
            .output()
            .expect("a shell");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
        assert_eq!(
            [
                mode(&out),
                mode(&out.join("blobs")),
                mode(&out.join("blobs/sha256"))
            ],
            [folders; 3],
            "{umask}"
        );
        assert_eq!(
            [
                mode(&out.join("index.json")),
                mode(&out.with_extension("tar"))
            ],
            [files; 2],
            "{umask}"
        );
    }
}

#[test]
#[ignore = "runs in a process of its own, started by the test above"]
fn child_writes_both() {
    let out = std::env::var_os("IMGBUILD_TEST_OUT").expect("set by the test above");
    write(Path::new(&out), Format::Oci, &sample("x").parts).expect("written");
    write(
        &Path::new(&out).with_extension("tar"),
        Format::OciArchive,
        &sample("x").parts,
    )
    .expect("written");
}

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
