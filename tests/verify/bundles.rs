//! Bundles: complete, the same each time, enough for a rebuild without a network, by anybody, anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{self, Bench, Layout, Made, run, text};
use crate::server::have;
use crate::server::real::real_registry;
use crate::{answers, bundle, copy, imgbuild_with, nowhere, place};

/// Returns every manifest of a bundle.
fn manifests(bundle: &Path) -> Vec<Value> {
    let layout = Layout::open(bundle);
    let read = |descriptor: &Value| -> Value {
        let bytes = layout.blob(descriptor["digest"].as_str().expect("a digest"));
        assert!(bytes.len() < 4 << 20, "registries take no more than 4 MiB");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let top = read(&layout.top());
    assert_eq!(top["artifactType"], "application/vnd.imgbuild.bundle.v1");
    match top["manifests"].as_array() {
        Some(parts) => parts.iter().map(read).collect(),
        None => vec![top],
    }
}

/// Returns the descriptors of the inputs.
fn inputs(bundle: &Path) -> Vec<Value> {
    let manifests = manifests(bundle);
    let layers = |manifest: &Value| manifest["layers"].as_array().expect("a list").clone();
    assert!(
        manifests
            .iter()
            .all(|manifest| layers(manifest).len() <= 100)
    );
    manifests.iter().flat_map(layers).collect()
}

/// Returns where a bundle keeps an input.
fn kept(bundle: &Path, input: &toml::Table) -> PathBuf {
    bundle
        .join("blobs/sha256")
        .join(&text(input, "digest")["sha256:".len()..])
}

/// Returns a package of both stages' lock that the image of amd64 needs.
fn a_package(bench: &Bench) -> toml::Table {
    let rpms = bench.locked("rpm");
    rpms.into_iter()
        .find(|rpm| text(rpm, "name") == "python3.11" && text(rpm, "arch") == "x86_64")
        .expect("it is requested")
}

#[test]
fn a_bundle_holds_every_locked_input_once_and_is_the_same_each_time() {
    let Some(bench) = Bench::open() else { return };
    let bundle = bundle(bench);
    let inputs = inputs(bundle);
    let digest = |input: &Value| input["digest"].as_str().expect("a digest").to_owned();
    let held: BTreeSet<String> = inputs.iter().map(digest).collect();
    assert_eq!(held.len(), inputs.len(), "each once");
    // Independently of the product: everything in the lock that is called a digest of bytes.
    let lock = bench.lock();
    let of = |kind: &str| {
        bench
            .locked(kind)
            .iter()
            .map(|it| text(it, "digest"))
            .collect::<Vec<_>>()
    };
    let mut wanted: BTreeSet<String> = of("rpm").into_iter().chain(of("wheel")).collect();
    let base = lock["base"].as_table().expect("a table");
    wanted.insert(text(base, "digest"));
    for platform in base["platform"].as_array().expect("a list") {
        for blob in ["manifest", "config"] {
            wanted.insert(text(platform[blob].as_table().expect("a table"), "digest"));
        }
        for layer in platform["layers"].as_array().expect("a list") {
            wanted.insert(text(layer.as_table().expect("a table"), "digest"));
        }
    }
    assert_eq!(held, wanted);
    // Names are those that tools such as oras write files by.
    let titles: BTreeSet<&str> = inputs
        .iter()
        .map(|input| {
            input["annotations"]["org.opencontainers.image.title"]
                .as_str()
                .expect("a name")
        })
        .collect();
    assert_eq!(titles.len(), inputs.len());
    for input in &inputs {
        Layout::open(bundle).blob(&digest(input));
    }

    let folder = place(bench);
    let again = folder.path().join("again");
    let mut command = bench.imgbuild(&["bundle", "--offline"]);
    let done = run(command.arg(&bench.project).arg("-o").arg(&again)).ok();
    assert_eq!(done.text(), again.display().to_string());
    run(Command::new("diff").arg("-r").arg(bundle).arg(&again)).ok();
}

#[test]
fn a_build_from_a_bundle_without_a_network_by_another_user_anywhere_gives_the_same_digest() {
    let Some(bench) = Bench::open() else { return };
    if harness::needs_root("a namespace without a network, and another user").is_none() {
        return;
    }
    let wanted = bench.digest(Made::Both);
    let folder = place(bench);
    let project = bench.copy_of_project(folder.path());
    let program = folder.path().join("imgbuild");
    fs::copy(env!("CARGO_BIN_EXE_imgbuild"), &program).expect("a copy");
    let archive = folder.path().join("bundle.tar");
    run(bench
        .imgbuild(&["bundle", "--offline", "--format", "oci-archive"])
        .arg(&project)
        .arg("-o")
        .arg(&archive))
    .ok();
    harness::give(folder.path(), 65534);
    for (number, world) in [
        "umask 077; export TZ=Pacific/Auckland LC_ALL=tr_TR.UTF-8; exec taskset 1 \"$@\" --threads 1",
        "umask 000; export TZ=UTC+11 LC_ALL=C USER=x; cd /proc/self; exec \"$@\" --threads 8",
    ]
    .iter()
    .enumerate()
    {
        let cache = folder.path().join(format!("cache{number}"));
        let image = folder.path().join(format!("image{number}"));
        let elsewhere = |words: &[&str]| {
            let mut command = Command::new("unshare");
            command
                .args(["--net", "setpriv", "--reuid", "65534", "--regid", "65534"])
                .args(["--clear-groups", "sh", "-c", world, "-"])
                .arg(&program)
                .args(words)
                .arg("--cache-dir")
                .arg(&cache)
                .env_remove("SOURCE_DATE_EPOCH")
                .env("HOME", folder.path());
            command
        };
        // The first from an archive and by what the build itself proves; the second verifies besides.
        let mut build = elsewhere(&["build", "--offline"]);
        build.arg("--inputs").arg(&archive);
        let built = run(build.arg(&project).arg("-o").arg(&image)).ok();
        assert_eq!(built.text(), wanted, "world {number}");
        if number == 1 {
            let mut verify = elsewhere(&["verify", "--offline"]);
            let done = run(verify.arg("--inputs").arg(&archive).arg(&image));
            answers(&done, 0, "verified");
        }
    }
}

#[test]
fn an_input_that_a_bundle_lacks_is_named_and_one_that_is_another_is_refused() {
    let Some(bench) = Bench::open() else { return };
    let image = bench.made(Made::Amd64);
    let rpm = a_package(bench);
    let folder = place(bench);
    let broken = copy(bundle(bench), &folder.path().join("broken"));
    let input = kept(&broken, &rpm);
    let mut bytes = fs::read(&input).expect("bundled");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&input, &bytes).expect("written");
    let with = |cache: &str, verb: &[&str]| {
        let mut command = imgbuild_with(&folder.path().join(cache), verb);
        run(command.args(nowhere()).arg("--inputs").arg(&broken))
    };
    let subject = image.display().to_string();
    let recipe = bench.project.display().to_string();
    let out = folder.path().join("out").display().to_string();
    let build = [
        "build",
        &recipe,
        "-o",
        &out,
        "--platform",
        "linux/amd64",
        "--offline",
    ];

    let done = with("a", &["verify", &subject, "--offline"]);
    answers(&done, 4, "corrupt");
    assert!(verdict_names(&done, "python3.11-3.11"), "{done}");
    let done = with("a", &build);
    assert_eq!(done.code, Some(4), "{done}");
    assert!(done.err.contains("python3.11-3.11"), "{done}");

    fs::remove_file(&input).expect("there");
    let done = with("a", &["verify", &subject, "--offline"]);
    answers(&done, 3, "could not verify");
    assert!(verdict_names(&done, "python3.11-3.11"), "{done}");
    let done = with("a", &build);
    assert_eq!(done.code, Some(3), "{done}");
    assert!(done.err.contains("python3.11-3.11"), "{done}");
    assert!(!Path::new(&out).exists(), "half written");
}

fn verdict_names(done: &harness::Done, name: &str) -> bool {
    crate::verdict(done).contains(name)
}

#[test]
fn an_image_is_no_bundle_and_a_bundle_is_no_image() {
    let Some(bench) = Bench::open() else { return };
    let image = bench.made(Made::Amd64);
    let done = crate::verify(bench, &image, &["--inputs", &image.display().to_string()]);
    answers(&done, 2, "failed");
    assert!(done.err.contains("is no bundle"), "{done}");
    let done = crate::verify(bench, bundle(bench), &[]);
    answers(&done, 2, "failed");
}

#[test]
fn a_bundle_is_pushed_attached_and_found_again_when_upstream_is_gone() {
    let Some(bench) = Bench::open() else { return };
    if !have("docker-registry") {
        return;
    }
    let real = real_registry("", "");
    let folder = place(bench);
    let name = format!("{}/team/webhook", real.host);
    let (image, inputs) = (format!("{name}:1.0"), format!("{name}:inputs"));
    let push = |source: &Path, reference: &str, more: &[&str]| {
        let mut command = imgbuild_with(&folder.path().join("push"), &["push"]);
        run(command.arg(source).arg(reference).args(more)).ok()
    };
    push(&bench.made(Made::Amd64), &image, &[]);
    push(bundle(bench), &inputs, &[]);

    // By its own tag.
    let mut build = imgbuild_with(&folder.path().join("a"), &["build", "--inputs", &inputs]);
    let out = folder.path().join("out");
    let built = run(build
        .args(nowhere())
        .args(["--platform", "linux/amd64"])
        .arg(&bench.project)
        .arg("-o")
        .arg(&out))
    .ok();
    assert_eq!(built.text(), bench.digest(Made::Amd64));

    // Attached to the image, and nobody names it.
    let verify = |cache: &str| {
        let mut command = imgbuild_with(&folder.path().join(cache), &["verify", &image]);
        run(command.args(nowhere()))
    };
    answers(&verify("b"), 3, "could not verify");
    let attached = push(bundle(bench), &image, &["--attach"]);
    assert_eq!(
        push(bundle(bench), &image, &["--attach"]).text(),
        attached.text()
    );
    answers(&verify("b"), 0, "verified");
}
