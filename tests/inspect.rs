//! What `imgbuild inspect` says of real images: the sample in each form, the stand-in's base, and what it is made of.

mod harness;
#[path = "server/mod.rs"]
mod server;

use std::collections::BTreeSet;
use std::path::Path;

use harness::{Bench, Layout, Made, is_on, run, text};
use serde_json::Value;

fn inspect(bench: &Bench, arguments: &[&str]) -> String {
    run(bench.imgbuild(&["inspect"]).args(arguments)).ok().out
}

fn json(bench: &Bench, subject: &Path, more: &[&str]) -> Value {
    let subject = subject.display().to_string();
    let out = inspect(bench, &[&[&*subject, "--json"], more].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn owners(image: &Value, kind: &str) -> BTreeSet<String> {
    let layers = image["layers"].as_array().expect("a list").iter();
    let held = layers.flat_map(|layer| layer["holds"].as_array().expect("a list"));
    held.filter(|held| held["owner"]["kind"] == kind)
        .map(|held| held["owner"]["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn every_locked_package_and_wheel_of_the_platform_is_found_in_the_image() {
    let Some(bench) = Bench::open() else { return };
    let report = json(bench, &bench.made(Made::Amd64), &[]);
    assert_eq!(report["digest"], bench.digest(Made::Amd64));
    assert_eq!(report["tags"], serde_json::json!(["e2e"]));
    let image = &report["images"][0];
    let (rpms, wheels) = (owners(image, "rpm"), owners(image, "wheel"));
    for rpm in bench.locked("rpm") {
        let (name, evr, arch) = (text(&rpm, "name"), text(&rpm, "evr"), text(&rpm, "arch"));
        let nevra = format!("{name}-{evr}.{arch}");
        // A package may have no files of its own.
        if is_on(&rpm, "runtime", "linux/amd64") && ["python3.11", "curl"].contains(&&*name) {
            assert!(rpms.contains(&nevra), "{nevra} is not in {rpms:?}");
        }
        if !is_on(&rpm, "runtime", "linux/amd64") {
            assert!(!rpms.contains(&nevra), "{nevra} is only in the builder");
        }
    }
    for wheel in bench.locked("wheel") {
        if is_on(&wheel, "platforms", "linux/amd64") {
            let name = text(&wheel, "name").replace('-', "_");
            let found = wheels.iter().any(|found| {
                found
                    .to_ascii_lowercase()
                    .replace(['-', '.'], "_")
                    .starts_with(&name)
            });
            assert!(found, "{name} is not in {wheels:?}");
        }
    }
}

#[test]
fn the_figures_are_those_of_the_layers() {
    let Some(bench) = Bench::open() else { return };
    let layout = bench.layout(Made::Amd64);
    let report = json(bench, &bench.made(Made::Amd64), &[]);
    let image = &report["images"][0];
    let expected = layout.images().remove(0);
    let layers = image["layers"].as_array().expect("a list");
    assert_eq!(layers.len(), expected.layers.len());
    for (layer, expected) in layers.iter().zip(&expected.layers) {
        assert_eq!(layer["digest"], expected.digest);
        assert_eq!(layer["size"], layout.blob(&expected.digest).len());
        assert_eq!(layer["unpacked"], layout.tar(expected).len());
        let entries = layout.entries(expected);
        let count = |kinds: &[char]| entries.iter().filter(|e| kinds.contains(&e.kind)).count();
        assert_eq!(
            layer["files"],
            count(&['0', '1']),
            "{}",
            expected.created_by
        );
        assert_eq!(layer["folders"], count(&['5']));
        assert_eq!(layer["links"], count(&['2']));
        let held = layer["holds"].as_array().expect("a list").iter();
        let files: u64 = held.filter_map(|held| held["files"].as_u64()).sum();
        assert_eq!(layer["files"], files, "every file is somebody's, once");
    }
}

#[test]
fn people_see_the_same_text_each_time_in_every_form() {
    let Some(bench) = Bench::open() else { return };
    let show = |what| {
        let path = bench.made(what).display().to_string();
        let out = inspect(bench, &[&path]);
        assert_eq!(out, inspect(bench, &[&path]), "the same bytes on each run");
        // The first line names the file.
        out.split_once('\n').expect("lines").1.to_owned()
    };
    let shown = show(Made::Amd64);
    for words in [
        bench.digest(Made::Amd64).as_str(),
        "  user         1000:1000",
        "  workdir      /app",
        "  cmd          python -m src.app",
        "  ports        5000/tcp",
        "curl -f http://localhost:5000/health || exit 1 (every 30s",
        "imgbuild: rpm: python3.11 curl",
        "RPMs, ",
        "wheels, ",
        "application/vnd.imgbuild.rebuild.v1",
        "  built by     imgbuild ",
        "  arguments    VERSION=",
    ] {
        assert!(shown.contains(words), "no {words:?} in:\n{shown}");
    }
    assert_eq!(show(Made::OciArchive), shown);
    let docker = show(Made::DockerArchive);
    let tagless = |text: &str| {
        text.lines()
            .filter(|line| !line.contains("tags"))
            .collect::<String>()
    };
    assert_eq!(tagless(&docker), tagless(&shown));
}

#[test]
fn what_was_pushed_is_shown_as_it_was_on_disk_with_the_record_of_its_build() {
    let Some(bench) = Bench::open() else { return };
    if !server::have("docker-registry") {
        return;
    }
    let layout = bench.made(Made::Both).display().to_string();
    let real = server::real::real_registry("", "");
    let image = format!("{}/team/webhook:e2e", real.host);
    for _ in 0..2 {
        let push = ["push", "--require-provenance", &layout, &image];
        run(&mut bench.imgbuild(&push)).ok();
    }
    let unnamed = |text: String| text.split_once('\n').expect("lines").1.to_owned();
    let shown = unnamed(inspect(bench, &[&image]));
    assert_eq!(shown, unnamed(inspect(bench, &[&layout])));
    let other = inspect(bench, &[&image, "--platform", "linux/arm64"]);
    assert!(other.contains("\nlinux/arm64\n"), "{other}");
    // Without a record there is nothing to require.
    let scratch = harness::scratch();
    let bare = scratch.path().join("image").display().to_string();
    let build = ["build", "--offline", "--no-provenance", "-o", &bare];
    run(bench.imgbuild(&build).arg(&bench.project)).ok();
    let push = ["push", "--require-provenance", &bare, &image];
    let refused = run(&mut bench.imgbuild(&push));
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(
        refused.err.contains("holds no record of its build"),
        "{refused}"
    );
}

#[test]
fn bytes_are_told_by_layer_and_owner_and_against_another_image() {
    let Some(bench) = Bench::open() else { return };
    let path = |what| bench.made(what).display().to_string();
    let (image, builder) = (path(Made::Amd64), path(Made::Builder));
    let table = inspect(bench, &[&image, "--size"]);
    for words in ["  all\n", "rpm python3.11-", "wheel ", "copy of src"] {
        assert!(table.contains(words), "no {words:?} in:\n{table}");
    }
    let same = inspect(bench, &[&image, "--compare", &image]);
    assert!(same.contains("     0 B  stored"), "{same}");
    assert!(!same.contains("rpm "), "{same}");
    let other = inspect(bench, &[&image, "--compare", &builder, "--size"]);
    let line = |start: &str| {
        let found = other.lines().find(|line| line.contains(start));
        found.unwrap_or_else(|| panic!("no {start:?} in:\n{other}"))
    };
    assert!(line("rpm gcc").ends_with("(only B)"));
    assert!(line("wheel fastapi").ends_with("(only A)"));
    assert!(line("folder /app").contains('+'));
}

#[test]
fn a_base_that_was_made_by_other_tools_is_shown_too() {
    let Some(bench) = Bench::open() else { return };
    let base = bench.standin.folder.join("base-x86_64");
    if !base.join("oci-layout").exists() {
        return harness::skip("the stand-in keeps no layout of its base").unwrap_or(());
    }
    let out = inspect(bench, &[&base.display().to_string()]);
    assert!(
        out.contains("linux/amd64") && out.contains("RPMs, "),
        "{out}"
    );
    assert!(out.ends_with("nothing refers to it\n"), "{out}");
}

#[test]
fn the_record_of_the_build_holds_what_rebuilding_needs() {
    let Some(bench) = Bench::open() else { return };
    let layout: Layout = bench.layout(Made::Both);
    layout.assert_complete();
    let referrers = layout.referrers();
    let [(_, manifest)] = referrers.as_slice() else {
        panic!("one record: {referrers:?}")
    };
    assert_eq!(manifest["subject"]["digest"], bench.digest(Made::Both));
    let blob = |title: &str| {
        let layers = manifest["layers"].as_array().expect("a list").iter();
        let layer = layers
            .clone()
            .find(|layer| layer["annotations"]["org.opencontainers.image.title"] == title);
        let layer = layer.unwrap_or_else(|| panic!("no {title} in {manifest}"));
        layout.blob(layer["digest"].as_str().expect("a digest"))
    };
    for name in ["recipe.toml", "recipe.lock", "uv.lock", "pyproject.toml"] {
        let file = std::fs::read(bench.project.join(name)).expect("there");
        assert_eq!(blob(name), file, "{name}");
    }
    let source: Value = serde_json::from_slice(&blob("source.json")).expect("JSON");
    let file = source["rules"][0]
        .as_array()
        .expect("a list")
        .iter()
        .find(|entry| entry["path"] == "app.py")
        .expect("it was copied");
    let bytes = std::fs::read(bench.project.join("src/app.py")).expect("there");
    assert_eq!(file["digest"], harness::sha256(&bytes));
    assert_eq!(file["mode"], "0644");
    let statement: Value = serde_json::from_slice(&blob("rebuild.json")).expect("JSON");
    assert_eq!(
        statement["platforms"],
        serde_json::json!(["linux/amd64", "linux/arm64"])
    );
    // The project lies in `target`, which is nobody's repository.
    assert_eq!(statement["revision"], Value::Null);
    // Left out, the image is the same.
    let scratch = harness::scratch();
    let out = scratch.path().join("image");
    let build = ["build", "--offline", "--no-provenance"];
    let done = run(bench
        .imgbuild(&build)
        .arg(&bench.project)
        .arg("-o")
        .arg(&out))
    .ok();
    assert_eq!(done.text(), bench.digest(Made::Both));
    assert!(Layout::open(&out).referrers().is_empty());
    Layout::open(&out).assert_complete();
}
