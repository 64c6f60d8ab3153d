//! Debian's registry, plain and with passwords; skopeo pulls what was pushed, with the same digest.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use imgbuild::edge::layout::Format;

use crate::server::have;
use crate::server::real::{real_registry, with_passwords};
use crate::strict::{Strict, Tags};
use crate::{Sample, sample};

/// Returns `imgbuild push` in `dir`, with nothing of this machine's configuration.
pub(crate) fn program(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgbuild"));
    command
        .arg("push")
        .args(arguments)
        .current_dir(dir)
        .env("HOME", dir)
        .env("IMGBUILD_CACHE_DIR", dir.join("cache"));
    for name in [
        "DOCKER_CONFIG",
        "REGISTRY_AUTH_FILE",
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs it, with this on standard input.
pub(crate) fn imgbuild(dir: &Path, arguments: &[&str], input: &str) -> Output {
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

pub(crate) fn out(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone())
        .expect("text")
        .trim_end()
        .to_owned()
}

pub(crate) fn err(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// Pulls everything with skopeo and returns the digest of what came.
pub(crate) fn pulled(dir: &Path, image: &str, more: &[&str]) -> String {
    let to = dir.join("pulled");
    let _ = std::fs::remove_dir_all(&to);
    let output = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--all", "--preserve-digests"])
        .arg("--src-tls-verify=false")
        .args(more)
        .arg(format!("docker://{image}"))
        .arg(format!("dir:{}", to.display()))
        .output()
        .expect("skopeo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let manifest = std::fs::read(to.join("manifest.json")).expect("a manifest");
    imgbuild::oci::Digest::of(&manifest).to_string()
}

#[test]
fn what_was_pushed_is_pulled_with_the_same_digest_from_every_form() {
    if !(have("docker-registry") && have("skopeo")) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let real = real_registry("", "");
    let two = Sample {
        platforms: 2,
        ..Sample::default()
    };
    let several = sample(&dir.join("layout"), Format::Oci, &two);
    let one = sample(&dir.join("a.tar"), Format::OciArchive, &Sample::default());
    sample(
        &dir.join("d.tar"),
        Format::DockerArchive,
        &Sample::default(),
    );
    for (number, (source, top)) in [
        ("layout", &several),
        ("oci:layout:1.0", &several),
        ("a.tar", &one),
        ("oci-archive:a.tar:1.0", &one),
        ("d.tar", &one),
        ("docker-archive:d.tar", &one),
    ]
    .into_iter()
    .enumerate()
    {
        let image = format!("{}/team/app{number}:1.0", real.host);
        let said = out(&imgbuild(dir, &[source, &image, "--tag", "2"], ""));
        assert_eq!(said, format!("{image}@{}", top.digest), "{source}");
        assert_eq!(pulled(dir, &image, &[]), top.digest.to_string(), "{source}");
        let second = image.replace(":1.0", ":2");
        assert_eq!(pulled(dir, &second, &[]), top.digest.to_string());
    }
    // By its digest alone, and told as JSON; then again.
    let name = format!("{}/team/other", real.host);
    for (uploaded, skipped) in [(6, 0), (0, 6)] {
        let said = out(&imgbuild(dir, &["layout", &name, "--json", "-q"], ""));
        let json: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(json["reference"], format!("{name}@{}", several.digest));
        assert_eq!(json["digest"], several.digest.to_string());
        let blobs = serde_json::json!({"uploaded": uploaded, "mounted": 0, "skipped": skipped});
        assert_eq!(json["blobs"], blobs);
        assert_eq!(json["bytes"].as_u64() > Some(0), uploaded > 0);
        assert!(json["seconds"].is_f64());
    }
    assert_eq!(
        pulled(dir, &format!("{name}@{}", several.digest), &[]),
        several.digest.to_string()
    );
    assert!(
        !real
            .data()
            .join("docker/registry/v2/repositories/team/other/_manifests/tags")
            .exists()
    );
}

#[test]
fn a_registry_with_passwords_takes_them_from_flags_environment_and_files() {
    if !(have("docker-registry") && have("skopeo")) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let real = real_registry("", &with_passwords(dir));
    let top = sample(&dir.join("layout"), Format::Oci, &Sample::default());
    let image = format!("{}/team/app:1.0", real.host);
    let said = err(&imgbuild(dir, &["layout", &image], ""), 3);
    assert!(said.contains("refuses without credentials"), "{said}");
    assert!(said.contains("hint: log in first"), "{said}");
    let flags = ["layout", &image, "--username", "me", "--password-stdin"];
    let said = err(&imgbuild(dir, &flags, "wrong\n"), 3);
    assert!(
        said.contains("refuses these credentials") && !said.contains("wrong"),
        "{said}"
    );
    let said = err(&imgbuild(dir, &flags, ""), 2);
    assert!(said.contains("there is no password for me"), "{said}");
    assert_eq!(
        out(&imgbuild(dir, &flags, "hunter2\n")),
        format!("{image}@{}", top.digest)
    );
    let creds = ["--src-creds=me:hunter2"];
    assert_eq!(pulled(dir, &image, &creds), top.digest.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_imgbuild"))
        .args(["push", "layout", &image.replace("1.0", "2")])
        .current_dir(dir)
        .env("IMGBUILD_CACHE_DIR", dir.join("cache"))
        .env("IMGBUILD_USERNAME", "me")
        .env("IMGBUILD_PASSWORD", "hunter2")
        .output();
    out(&output.expect("imgbuild starts"));
    std::fs::create_dir(dir.join(".docker")).expect("made");
    let auths = serde_json::json!({"auths": {real.host.as_str(): {"auth": "bWU6aHVudGVyMg=="}}});
    std::fs::write(dir.join(".docker/config.json"), auths.to_string()).expect("written");
    out(&imgbuild(dir, &["layout", &image.replace("1.0", "3")], ""));
    for tag in ["2", "3"] {
        assert_eq!(
            pulled(dir, &image.replace("1.0", tag), &creds),
            top.digest.to_string()
        );
    }
}

#[test]
fn exit_codes_say_what_kind_of_failure_it_was() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    sample(&dir.join("one"), Format::Oci, &Sample::default());
    let changed = Sample {
        layers: &["changed"],
        ..Sample::default()
    };
    sample(&dir.join("two"), Format::Oci, &changed);
    let strict = Strict::start(Tags::Immutable, |_| None);
    let image = strict.at("a/b:1.0");
    out(&imgbuild(dir, &["one", &image], ""));
    let said = err(&imgbuild(dir, &["two", &image], ""), 6);
    assert!(said.contains("is immutable"), "{said}");
    let said = err(&imgbuild(dir, &["two", &image, "--json"], ""), 6);
    assert!(said.contains(r#""exit":6"#), "{said}");
    err(&imgbuild(dir, &["absent", &image], ""), 2);
    err(&imgbuild(dir, &["one", "no-registry"], ""), 2);
    let said = err(
        &imgbuild(dir, &["one", &image, "--stage", "builder"], ""),
        2,
    );
    assert!(said.contains("is an image"), "{said}");
    std::fs::create_dir(dir.join("empty")).expect("made");
    let said = err(&imgbuild(dir, &["empty", &image], ""), 2);
    assert!(said.contains("neither an image"), "{said}");
}
