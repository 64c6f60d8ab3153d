//! What is left when a writer is killed, disturbed, or has no space; what is not replaced.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::layout::{Format, LayoutError, Parts, write};
use imgbuild::layer::RandomRead;
use imgbuild::oci::{Descriptor, media_type};

use crate::server::skip;
use crate::{LAYER, folder, image_at, names, sample, without_layer};

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
    write(&at("link"), Format::Oci, &crate::sample("y").parts)
        .expect("what a link leads to is replaced");
    assert!(at("link").is_symlink());
    assert_eq!(image_at(&at("empty")), crate::sample("y").image.digest);

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
                    "faults::child_writes_until_killed",
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
                "umask $1; exec \"$2\" --exact --ignored faults::child_writes_both",
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
