//! Other people's tools accept what is built: skopeo, umoci, Docker, podman, and the specification's own schemas.

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use harness::{Bench, Docker, Entry, Image, Layout, Made, Podman, installed, run, sha256, skip};

/// Where Debian keeps the image specification's schemas.
const SCHEMAS: &str = "/usr/share/gocode/src/github.com/opencontainers/image-spec/schema";

/// Returns the manifest as skopeo reads it: its exact bytes decide the digest.
fn raw_digest(reference: &str) -> String {
    let done = run(Command::new("skopeo").args(["inspect", "--raw", reference])).ok();
    sha256(done.out.as_bytes())
}

fn amd64(layout: &Layout) -> Image {
    layout
        .images()
        .into_iter()
        .find(|image| image.platform == "linux/amd64")
        .expect("built for it")
}

#[test]
fn skopeo_reads_the_same_manifest_from_a_layout_and_from_both_archives() {
    let (Some(bench), Some(())) = (Bench::open(), installed(&["skopeo"])) else {
        return;
    };
    let layout = raw_digest(&format!("oci:{}:e2e", bench.made(Made::Amd64).display()));
    assert_eq!(
        layout,
        bench.digest(Made::Amd64),
        "the digest that build printed"
    );
    assert_eq!(
        layout,
        raw_digest(&format!(
            "oci-archive:{}:e2e",
            bench.made(Made::OciArchive).display()
        ))
    );
    assert_eq!(layout, bench.digest(Made::OciArchive));
    // The dual form: an OCI archive with Docker's manifest.json beside it.
    assert_eq!(
        layout,
        raw_digest(&format!(
            "oci-archive:{}:e2e",
            bench.made(Made::DockerArchive).display()
        ))
    );
    let index = raw_digest(&format!("oci:{}:e2e", bench.made(Made::Both).display()));
    assert_eq!(
        index,
        bench.digest(Made::Both),
        "several platforms give the digest of their index"
    );
}

#[test]
fn tools_that_are_given_no_tag_find_the_image_beside_the_record_of_its_build() {
    let (Some(bench), Some(())) = (Bench::open(), installed(&["skopeo", "podman", "umoci"])) else {
        return;
    };
    let (layout, archive) = (bench.made(Made::Amd64), bench.made(Made::OciArchive));
    assert!(!bench.layout(Made::Amd64).referrers().is_empty());
    let digest = bench.digest(Made::Amd64);
    assert_eq!(raw_digest(&format!("oci:{}", layout.display())), digest);
    assert_eq!(
        raw_digest(&format!("oci-archive:{}", archive.display())),
        digest
    );
    let podman = Podman::new();
    podman
        .run(&["pull", "--quiet", &format!("oci:{}", layout.display())])
        .ok();
    let listed = run(Command::new("umoci").args(["ls", "--layout"]).arg(&layout)).ok();
    assert_eq!(listed.text(), "e2e");
    // What another tool adds to the layout does not take the record away.
    let folder = harness::scratch();
    let copy = folder.path().join("layout");
    harness::copy_folder(&layout, &copy, harness::Order::Forward);
    let to = format!("oci:{}:again", copy.display());
    let from = format!("oci:{}", layout.display());
    run(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", &from, &to])).ok();
    assert_eq!(
        Layout::open(&copy).referrers(),
        bench.layout(Made::Amd64).referrers()
    );
}

#[test]
fn skopeo_copies_every_blob_of_every_platform() {
    let (Some(bench), Some(())) = (Bench::open(), installed(&["skopeo"])) else {
        return;
    };
    let folder = harness::scratch();
    let copy = folder.path().join("copy");
    let from = format!("oci:{}:e2e", bench.made(Made::Both).display());
    let to = format!("oci:{}:e2e", copy.display());
    run(Command::new("skopeo").args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--all",
        "--preserve-digests",
        &from,
        &to,
    ]))
    .ok();
    let digests = |layout: &Layout| {
        layout
            .images()
            .into_iter()
            .map(|image| image.digest)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        digests(&Layout::open(&copy)),
        digests(&bench.layout(Made::Both))
    );
}

#[test]
fn every_document_is_valid_by_the_image_specifications_own_schemas() {
    let Some(bench) = Bench::open() else { return };
    let python = harness::target().join("venv/bin/python");
    if !python.exists() || !std::path::Path::new(SCHEMAS).exists() {
        return skip("no schemas or no target/venv: run tests/install").unwrap_or(());
    }
    let script = harness::source().join("tests/harness/schema_validate.py");
    let validate =
        |folder: &std::path::Path| run(Command::new(&python).arg(&script).arg(SCHEMAS).arg(folder));
    for what in [Made::Both, Made::Amd64, Made::Builder] {
        let done = validate(&bench.made(what)).ok();
        assert!(
            done.out.contains("config sha256:"),
            "it looked at nothing: {done}"
        );
    }
    // The validator itself: a layout without its version is not one.
    let folder = harness::scratch();
    let broken = folder.path().join("layout");
    harness::copy_folder(&bench.made(Made::Amd64), &broken, harness::Order::Forward);
    harness::edit(&broken.join("oci-layout"), "imageLayoutVersion", "version");
    assert_eq!(validate(&broken).code, Some(1));
}

#[test]
fn docker_loads_the_archive_and_keeps_what_the_recipe_says() {
    let (Some(bench), Some(())) = (Bench::open(), installed(&["docker", "dockerd"])) else {
        return;
    };
    if harness::needs_root("dockerd").is_none() {
        return;
    }
    let docker = Docker::shared();
    let archive = bench.made(Made::DockerArchive);
    let loaded = docker
        .run(&["load", "--input", &archive.display().to_string()])
        .ok();
    assert!(
        loaded.out.contains("e2e"),
        "the tag is loaded with it: {loaded}"
    );
    let image = amd64(&bench.layout(Made::Amd64));
    let name = loaded
        .out
        .lines()
        .find_map(|line| line.strip_prefix("Loaded image: "))
        .expect("a name")
        .to_owned();
    let inspected = docker.run(&["image", "inspect", &name]).ok();
    let inspected: serde_json::Value = serde_json::from_str(&inspected.out).expect("JSON");
    let inspected = &inspected[0];
    // Docker's id of an image is the digest of its config.
    assert_eq!(inspected["Id"], image.manifest["config"]["digest"]);
    assert_eq!(
        inspected["RootFS"]["Layers"],
        image.config["rootfs"]["diff_ids"]
    );
    for key in [
        "User",
        "WorkingDir",
        "Cmd",
        "Env",
        "Healthcheck",
        "ExposedPorts",
        "StopSignal",
    ] {
        assert_eq!(
            inspected["Config"][key], image.config["config"][key],
            "{key}"
        );
    }
    assert_eq!(inspected["Config"]["Healthcheck"]["Test"][0], "CMD-SHELL");
}

#[test]
fn podman_pulls_the_layout() {
    let (Some(bench), Some(())) = (Bench::open(), installed(&["podman"])) else {
        return;
    };
    let podman = Podman::new();
    let pulled = podman
        .run(&[
            "pull",
            "--quiet",
            &format!("oci:{}:e2e", bench.made(Made::Amd64).display()),
        ])
        .ok();
    let image = amd64(&bench.layout(Made::Amd64));
    let config = image.manifest["config"]["digest"].as_str().expect("text");
    assert_eq!(
        pulled.text(),
        &config["sha256:".len()..],
        "podman's id is the config's digest"
    );
}

#[test]
fn an_index_names_both_platforms_and_a_layout_holds_nothing_else() {
    let Some(bench) = Bench::open() else { return };
    let both = bench.layout(Made::Both);
    let platforms: Vec<String> = both
        .images()
        .into_iter()
        .map(|image| image.platform)
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let index = serde_json::from_slice::<serde_json::Value>(&both.blob(&bench.digest(Made::Both)))
        .expect("JSON");
    let named = |key: &str| {
        index["manifests"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|m| m["platform"][key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (named("os"), named("architecture")),
        (
            vec!["linux".into(), "linux".into()],
            vec!["amd64".into(), "arm64".into()]
        )
    );
    assert_eq!(
        both.index()["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"],
        "e2e"
    );
    for what in [Made::Both, Made::Amd64, Made::Builder] {
        bench.layout(what).assert_complete();
    }
    // The same image, alone or in an index.
    assert_eq!(
        amd64(&both).digest,
        amd64(&bench.layout(Made::Amd64)).digest
    );
}

#[test]
fn the_layers_are_those_of_the_recipe_in_their_order() {
    let Some(bench) = Bench::open() else { return };
    for image in bench.layout(Made::Both).images() {
        let base = base_of(bench, &image);
        let added: Vec<&str> = image.layers[base.layers.len()..]
            .iter()
            .map(|layer| layer.created_by.as_str())
            .collect();
        assert_eq!(added.len(), 5, "{added:?}");
        for (line, words) in
            added
                .iter()
                .zip(["rpm", "user", "pure wheels", "native wheels", "copy"])
        {
            assert!(
                line.contains(words),
                "{line:?} is in the place of {words:?}"
            );
        }
        let history = image.config["history"].as_array().expect("a list");
        let empty = history
            .iter()
            .filter(|line| line["empty_layer"] == true)
            .count();
        assert_eq!(
            history.len() - empty,
            image.layers.len(),
            "one line of history for each layer"
        );
        let base_history = base.config["history"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert_eq!(
            history[..base_history.len()],
            base_history,
            "the base's history passes through"
        );
    }
}

#[test]
fn the_layer_of_pure_wheels_is_the_same_on_both_platforms_and_the_others_are_not() {
    let Some(bench) = Bench::open() else { return };
    let images = bench.layout(Made::Both).images();
    let digests = |words: &str| {
        images
            .iter()
            .map(|image| image.layer(words).digest.clone())
            .collect::<BTreeSet<_>>()
            .len()
    };
    assert_eq!(digests("pure wheels"), 1);
    assert_eq!(digests("copy"), 1, "sources are the same files everywhere");
    assert_eq!((digests("native wheels"), digests("rpm")), (2, 2));
}

/// Returns the stand-in's own base image for a platform.
fn base_of(bench: &Bench, image: &Image) -> Image {
    let name = if image.platform == "linux/amd64" {
        "base-x86_64"
    } else {
        "base-aarch64"
    };
    Layout::open(&bench.standin.folder.join(name))
        .images()
        .remove(0)
}

#[test]
fn the_layers_of_the_base_pass_through_byte_for_byte() {
    let Some(bench) = Bench::open() else { return };
    let both = bench.layout(Made::Both);
    for image in both.images() {
        let base = base_of(bench, &image);
        assert!(!base.layers.is_empty());
        for (theirs, ours) in base.layers.iter().zip(&image.layers) {
            assert_eq!(
                (&theirs.digest, &theirs.diff_id),
                (&ours.digest, &ours.diff_id)
            );
            both.blob(&ours.digest);
        }
        let annotations = &image.manifest["annotations"];
        assert_eq!(
            annotations["org.opencontainers.image.base.name"],
            "public.ecr.aws/amazonlinux/amazonlinux:2023"
        );
        assert!(
            annotations["org.opencontainers.image.base.digest"]
                .as_str()
                .is_some_and(|digest| digest.starts_with("sha256:"))
        );
    }
}

#[test]
fn tars_are_written_by_the_rules_of_format_one() {
    let Some(bench) = Bench::open() else { return };
    let both = bench.layout(Made::Both);
    for image in both.images() {
        let base = base_of(bench, &image);
        for layer in &image.layers[base.layers.len()..] {
            let broken = broken_rules(&both.entries(layer));
            assert!(
                broken.is_empty(),
                "{}:\n{}",
                layer.created_by,
                broken.join("\n")
            );
            check_headers(&layer.created_by, &both.tar(layer));
        }
    }
}

/// Format 1, rule 4: paths sorted by bytes, parents first, each once, links to the first name, no attributes but one.
fn broken_rules(entries: &[Entry]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut seen: BTreeMap<&str, &Entry> = BTreeMap::new();
    for pair in entries.windows(2) {
        if pair[0].path.as_bytes() >= pair[1].path.as_bytes() {
            broken.push(format!("{} comes before {}", pair[0].path, pair[1].path));
        }
    }
    for entry in entries {
        let path = &entry.path;
        if path
            .rsplit_once('/')
            .is_some_and(|(parent, _)| seen.get(parent).is_none_or(|parent| parent.kind != '5'))
        {
            broken.push(format!("{path} has no folder"));
        }
        let first = seen.get(entry.link.as_str());
        if entry.kind == '1' && first.is_none_or(|first| first.kind != '0' || first.path > *path) {
            broken.push(format!("{path} is a hard link to {}", entry.link));
        }
        if !"0125".contains(entry.kind) {
            broken.push(format!("{path} is of kind {}", entry.kind));
        }
        if entry.xattrs.keys().any(|key| key != "security.capability") {
            broken.push(format!("{path} has {:?}", entry.xattrs.keys()));
        }
        seen.insert(path, entry);
    }
    broken
}

#[test]
fn tars_that_break_a_rule_are_caught() {
    let entry = |path: &str, kind: char, link: &str| Entry {
        path: path.to_owned(),
        kind,
        mode: 0o755,
        owner: (0, 0),
        mtime: 0,
        content: String::new(),
        link: link.to_owned(),
        xattrs: BTreeMap::new(),
    };
    let sound = [
        entry("a", '5', ""),
        entry("a/b", '0', ""),
        entry("a/c", '1', "a/b"),
        entry("a/d", '2', "/x"),
    ];
    assert_eq!(broken_rules(&sound), [""; 0]);
    let with = |at: usize, other: Entry| {
        let mut entries = sound.to_vec();
        entries[at] = other;
        broken_rules(&entries)
    };
    let labelled = Entry {
        xattrs: BTreeMap::from([("security.selinux".to_owned(), vec![0])]),
        ..sound[1].clone()
    };
    for (what, broken) in [
        ("order", with(3, entry("a/a", '0', ""))),
        ("twice", with(3, entry("a/c", '0', ""))),
        ("no parent", with(3, entry("b/x", '0', ""))),
        ("a link to a folder", with(2, entry("a/c", '1', "a"))),
        ("a link to nothing", with(2, entry("a/c", '1', "a/z"))),
        ("a device", with(3, entry("a/d", '3', ""))),
        ("a label", with(1, labelled)),
    ] {
        assert_eq!(broken.len(), 1, "{what}: {broken:?}");
    }
}

/// The headers themselves: ustar and PAX, and no names of users.
fn check_headers(name: &str, tar: &[u8]) {
    for entry in tar::Archive::new(tar).entries().expect("a tar").raw(true) {
        let entry = entry.expect("an entry");
        let header = entry
            .header()
            .as_ustar()
            .unwrap_or_else(|| panic!("{name}: not ustar"));
        assert_eq!(
            (header.uname[0], header.gname[0]),
            (0, 0),
            "{name}: names of users are the image's business"
        );
        assert!(
            b"0125x".contains(&entry.header().entry_type().as_byte()),
            "{name}: no extensions but PAX"
        );
    }
}
