//! Logging in, and copying images between registries, layouts and archives, with Debian's registry.

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../push/image.rs"]
mod image;
#[expect(dead_code, reason = "what copies images needs little chance")]
#[path = "../push/random.rs"]
mod random;
#[path = "../server/mod.rs"]
mod server;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use imgbuild::edge::layout::{Format, ImagePath, Layout, write};
use imgbuild::edge::push::Shipment;
use imgbuild::oci::artifact::{Artifact, empty};
use imgbuild::oci::{Descriptor, Digest};

use harness::installed;
use image::small_image;
use server::real::{real_registry, with_passwords};
use server::{Server, status};

/// Returns imgbuild in `dir`, with nothing of this machine's configuration.
fn program(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgbuild"));
    command
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("IMGBUILD_CACHE_DIR", dir.join("cache"));
    command
}

/// Runs it, with this on standard input.
fn imgbuild(dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = program(dir, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("imgbuild starts");
    let mut stdin = child.stdin.take().expect("piped");
    // Who needs no input does not read it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("imgbuild ends")
}

/// Returns standard output and error of a run with this exit code, having checked that the password is in neither.
fn done(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    assert!(
        !out.contains("hunter2") && !err.contains("hunter2"),
        "{out}\n{err}"
    );
    (out, err)
}

/// Returns the digest of what skopeo gets.
fn seen_by_skopeo(image: &str, more: &[&str]) -> Digest {
    let output = Command::new("skopeo")
        .args(["inspect", "--raw"])
        .args(more)
        .arg(image)
        .output()
        .expect("skopeo starts");
    assert!(output.status.success(), "{output:?}");
    Digest::of(&output.stdout)
}

#[test]
fn a_login_is_tried_kept_used_and_forgotten() {
    if installed(&["docker-registry", "skopeo"]).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let top = small_image(&dir.join("image"), 1).digest;
    let real = real_registry("", &with_passwords(dir));
    let (host, file) = (&*real.host, dir.join(".docker/config.json"));
    let login = ["login", host, "--username", "me", "--password-stdin"];
    let (_, said) = done(&imgbuild(dir, &login, "wrong"), 3);
    assert!(said.contains("refuses these credentials"), "{said}");
    assert!(!file.exists());
    let (_, said) = done(&imgbuild(dir, &["login", host], ""), 2);
    assert!(said.contains("--username NAME --password-stdin"), "{said}");

    let (_, said) = done(&imgbuild(dir, &login, "hunter2\n"), 0);
    assert!(said.contains(&file.display().to_string()), "{said}");
    let mode = std::fs::metadata(&file)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let image = format!("{host}/app:1.0");
    let (out, _) = done(&imgbuild(dir, &["push", "image", &image], ""), 0);
    assert_eq!(out, format!("{image}@{top}"));
    let account = ["--creds=me:hunter2", "--tls-verify=false"];
    assert_eq!(seen_by_skopeo(&format!("docker://{image}"), &account), top);

    // From one repository to another, and to disk.
    let other = format!("{host}/other:2");
    let (out, _) = done(&imgbuild(dir, &["copy", &image, &other], ""), 0);
    assert_eq!(out, format!("{other}@{top}"));
    assert_eq!(seen_by_skopeo(&format!("docker://{other}"), &account), top);
    for (to, read) in [
        ("oci:out:3", "oci:out:3"),
        ("oci-archive:out.tar:3", "oci-archive:out.tar:3"),
    ] {
        let (out, _) = done(&imgbuild(dir, &["copy", &image, to], ""), 0);
        assert_eq!(out, top.to_string());
        let image: ImagePath = read.parse().expect("a path");
        let image = image.seen_from(dir);
        let copied = Shipment::open(&image).expect("whole");
        assert_eq!(copied.top().0.digest, top);
        let layout = Layout::open(image.path()).expect("a layout");
        for child in index_entries(&layout) {
            layout.checked_blob(&child).expect("its own bytes");
        }
    }
    let arm = index_entries(&Layout::open(&dir.join("out")).expect("a layout"))[1].digest;
    let one = [
        "copy",
        "oci:out:3",
        "docker-archive:arm.tar:x:1",
        "--platform",
        "linux/arm64",
    ];
    let (out, _) = done(&imgbuild(dir, &one, ""), 0);
    assert_eq!(out, arm.to_string());
    let archive = format!("oci-archive:{}", dir.join("arm.tar").display());
    assert_eq!(seen_by_skopeo(&archive, &[]), arm);
    let other = ["copy", "arm.tar", "oci:never", "--platform", "linux/amd64"];
    let (_, said) = done(&imgbuild(dir, &other, ""), 2);
    assert!(said.contains("only one for linux/arm64"), "{said}");

    done(&imgbuild(dir, &["logout", host], ""), 0);
    let again = imgbuild(dir, &["copy", &image, "oci:never"], "");
    let (_, said) = done(&again, 3);
    assert!(said.contains("imgbuild login"), "{said}");
    assert!(!dir.join("never").exists());
}

fn index_entries(layout: &Layout) -> Vec<Descriptor> {
    let image = &layout.images()[0];
    match layout.parsed(image).expect("an index") {
        imgbuild::oci::manifest::Document::Index(index) => index.manifests,
        imgbuild::oci::manifest::Document::Manifest(_) => panic!("an index"),
    }
}

#[test]
fn a_password_is_not_sent_over_plain_http_unless_asked() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let file = dir.join(".docker/config.json");
    std::fs::create_dir(dir.join(".docker")).expect("made");
    // me:hunter2, for the mirror.
    let auths = r#"{"auths":{"m.example.com":{"auth":"bWU6aHVudGVyMg=="}}}"#;
    std::fs::write(file, auths).expect("written");
    // The proxy is the mirror.
    let mirror =
        Server::start(|_, _| status(401, &[("www-authenticate", "Basic realm=\"m\"")], ""));
    let mut copy = program(dir, &["copy", "r.example.com/app:1", "oci:out"]);
    copy.args(["--mirror", "r.example.com=http://m.example.com/"])
        .env("HTTP_PROXY", mirror.url(""));
    let (_, said) = done(&copy.output().expect("imgbuild runs"), 3);
    assert!(
        said.contains("no password is sent over plain http"),
        "{said}"
    );
    let seen = mirror.seen();
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.authorization().is_none()));
}

#[test]
fn ecr_needs_no_login() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let (_, said) = done(&imgbuild(dir.path(), &["login", host], ""), 0);
    assert!(said.contains("needs no login"), "{said}");
    assert!(!dir.path().join(".docker").exists());
}

#[test]
fn what_refers_to_an_image_is_copied_when_asked_for() {
    if installed(&["docker-registry"]).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let top = small_image(&dir.join("image"), 2);
    // The same with a note that refers to it.
    let note = Descriptor::of("application/x-note", b"a note");
    let (referrer, manifest) = Artifact {
        artifact_type: "application/vnd.test.note",
        subject: &top,
        blobs: vec![note.clone()],
        annotations: [].into(),
    }
    .manifest();
    let mut shipment = Shipment::open(&ImagePath::new(dir.join("image"))).expect("an image");
    shipment.attach(imgbuild::edge::layout::Companion {
        referrer,
        manifest,
        blobs: vec![
            (note, b"a note".to_vec().into()),
            (empty(), b"{}".to_vec().into()),
        ],
    });
    let mut parts = shipment.parts();
    parts.name(top.clone(), Some("1.0"));
    write(&dir.join("noted"), Format::Oci, &parts).expect("written");

    let real = real_registry("", "");
    let at = |name: &str| format!("{}/{name}:1", real.host);
    let (with, without) = (at("with"), at("without"));
    for arguments in [
        &["copy", "noted", &with, "--referrers"][..],
        &["copy", &with, &at("again"), "--referrers"],
        &["copy", &with, &without],
    ] {
        let (out, _) = done(&imgbuild(dir, arguments, ""), 0);
        assert!(out.ends_with(&top.digest.to_string()), "{out}");
    }
    for (image, notes) in [(&at("again"), 1), (&without, 0)] {
        done(
            &imgbuild(dir, &["copy", image, "oci:back", "--referrers"], ""),
            0,
        );
        let layout = Layout::open(&dir.join("back")).expect("a layout");
        let found = layout.referrers(top.digest).expect("readable");
        assert_eq!(found.len(), notes, "{image}");
    }
}

#[test]
fn all_tags_of_a_layout_are_pushed_and_printed() {
    if installed(&["docker-registry", "skopeo"]).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let (one, two) = (
        small_image(&dir.join("one"), 3),
        small_image(&dir.join("two"), 4),
    );
    // skopeo adds an image to a layout.
    for (from, tag) in [("one", "1.0"), ("one", "1"), ("two", "2.0")] {
        let copy = Command::new("skopeo")
            .current_dir(dir)
            .args(["--insecure-policy", "copy", "--all", "--preserve-digests"])
            .args([&format!("oci:{from}:1.0"), &format!("oci:all:{tag}")])
            .output()
            .expect("skopeo starts");
        assert!(copy.status.success(), "{copy:?}");
    }
    let real = real_registry("", "");
    let name = format!("{}/app", real.host);
    let (out, _) = done(&imgbuild(dir, &["push", "all", &name, "--all-tags"], ""), 0);
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    let line = |tag: &str, image: &Descriptor| format!("{name}:{tag}@{}", image.digest);
    assert_eq!(
        lines,
        [line("1.0", &one), line("1", &one), line("2.0", &two)]
    );
    let digest = seen_by_skopeo(&format!("docker://{name}:2.0"), &["--tls-verify=false"]);
    assert_eq!(digest, two.digest);
}

#[test]
fn a_mistake_in_usage_is_json_where_json_is_wanted() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (out, err) = done(&imgbuild(dir.path(), &["push", "--json", "x"], ""), 2);
    assert_eq!(out, "");
    let read: serde_json::Value = serde_json::from_str(&err).expect("JSON");
    assert_eq!(read["error"]["exit"], 2);
    let message = read["error"]["message"].as_str().expect("a message");
    assert!(message.contains("<REFERENCE>"), "{message}");
}
