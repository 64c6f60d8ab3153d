//! The cache of libraries on the stand-in's base with the builder's packages on it, against the real ldconfig's.

use std::path::Path;
use std::process::Command;

use imgbuild::layer::Tree;
use imgbuild::layer::node::Kind;
use imgbuild::layer::tree::Stacked;
use imgbuild::oci::digest::hex;
use imgbuild::rpm::effects::elf::Machine;
use imgbuild::rpm::effects::ldconfig::ldconfig;
use imgbuild::rpm::effects::overlay::Overlay;

use super::disk::{Bytes, load, tool};
use super::inventory::standin;

/// What a builder installs, as far as it holds libraries, links to them or a file trigger.
const PACKAGES: [&str; 7] = [
    "python3.11-libs",
    "python3.11-devel",
    "mpdecimal",
    "libcurl",
    "binutils",
    "mpfr",
    "libxcrypt-devel",
];

fn sh(script: &str, folder: &Path, argument: &Path) {
    let status = Command::new("/bin/sh")
        .args(["-e", "-c", script, "sh"])
        .arg(argument)
        .current_dir(folder)
        .status()
        .expect("a shell");
    assert!(status.success(), "{script} {}", argument.display());
}

/// Returns the blob that the JSON document `name` of a layout refers to under `pointer`.
fn blob(layout: &Path, document: &Path, pointer: &str) -> std::path::PathBuf {
    let bytes = std::fs::read(document).expect("a document");
    let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let digest = json.pointer(pointer).and_then(|digest| digest.as_str());
    let digest = digest.expect("a digest").trim_start_matches("sha256:");
    layout.join("blobs/sha256").join(digest)
}

#[test]
fn the_cache_of_the_stand_in_with_packages_equals_that_of_the_real_ldconfig() {
    let Some(packages) = standin() else {
        return;
    };
    let layout = crate::common::standin_folder().join("base-x86_64");
    if tool("rpm2archive").is_none() || !layout.exists() {
        return;
    }
    let Some(mut real) = tool("ldconfig") else {
        return;
    };
    let manifest = blob(&layout, &layout.join("index.json"), "/manifests/0/digest");
    let layer = blob(&layout, &manifest, "/layers/0/digest");
    let folder = tempfile::tempdir().expect("a folder");
    sh("tar -xf \"$1\"", folder.path(), &layer);
    let mut bytes = Bytes::default();
    let lower = load(folder.path(), &mut bytes);
    let mut installed = std::collections::BTreeSet::new();
    for package in &packages {
        let file = package
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = file.rsplitn(3, '-').nth(2).unwrap_or_default().to_owned();
        // The same file lies in the stand-in's cache too.
        if PACKAGES.contains(&name.as_str())
            && file.ends_with(".x86_64.rpm")
            && installed.insert(name)
        {
            sh(
                "rpm2archive - < \"$1\" | tar -xzf - --keep-directory-symlink",
                folder.path(),
                package,
            );
        }
    }
    assert!(installed.len() + 2 >= PACKAGES.len(), "{installed:?}");
    let merged = load(folder.path(), &mut bytes);
    let upper: Tree = merged
        .iter()
        .filter(|(at, node)| lower.get(at).map(|old| &old.kind) != Some(&node.kind))
        .map(|(at, node)| (at.clone(), node.clone()))
        .collect();
    let status = real
        .arg("-r")
        .arg(folder.path())
        .output()
        .expect("runs")
        .status;
    assert!(status.success());

    let read = |content: &_| bytes.get(content);
    let root = Stacked {
        lower: &lower,
        upper: &upper,
    };
    let mut overlay = Overlay::new(root, &read);
    assert_eq!(
        ldconfig(&mut overlay, Machine::X86_64).expect("works"),
        None
    );
    let made = overlay
        .read("/etc/ld.so.cache")
        .expect("reads")
        .expect("is there");
    let wanted = std::fs::read(folder.path().join("etc/ld.so.cache")).expect("a cache");
    assert_eq!(hex(&made), hex(&wanted));
    let mut ignored = Bytes::default();
    for (at, node) in load(folder.path(), &mut ignored).iter() {
        let ours = overlay.root().get(at).map(|node| &node.kind);
        let is_aux = at.to_string().starts_with("/var/cache/ldconfig");
        assert!(is_aux || ours == Some(&node.kind), "{at}: {ours:?}");
        assert!(!matches!(ours, Some(Kind::Whiteout)));
    }
}
