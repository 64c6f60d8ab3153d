//! Packages are opened and unpacked as rpm does it, and damaged ones are refused.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use imgbuild::diagnose::{Class, Diagnose};
use imgbuild::layer::RandomRead;
use imgbuild::layer::content::Location;
use imgbuild::oci::Digest;
use imgbuild::rpm::entries::{FileFlags, FileType};
use imgbuild::rpm::file::PackageFile;
use imgbuild::rpm::payload::{Limits, Unpacked, unpack};
use imgbuild::rpm::selection::Selection;

fn everything() -> Selection {
    Selection {
        docs: true,
        languages: None,
        color: 0,
    }
}

fn open_and_unpack(bytes: &Vec<u8>) -> Result<Unpacked, (Class, String)> {
    let package = PackageFile::open(bytes).map_err(|e| (e.class(), e.to_string()))?;
    let spool = Box::new(Vec::new());
    unpack(&package, bytes, &everything(), Limits::default(), spool)
        .map_err(|e| (e.class(), e.to_string()))
}

/// All packages below `directory`, in order of their paths.
fn packages(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                todo.push(path);
            } else if path.to_string_lossy().contains(".rpm") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn bytes_of(unpacked: &Unpacked, index: usize) -> Vec<u8> {
    let content = unpacked.contents[index].expect("contents of a wanted file");
    let location = unpacked.locations.get(&content.digest).expect("a location");
    let Location::Extent {
        blob,
        offset,
        packed,
        ..
    } = location
    else {
        panic!("unpacked files are in the spool");
    };
    let mut bytes = vec![0; usize::try_from(*packed).expect("fits")];
    blob.read_exact_at(&mut bytes, *offset)
        .expect("in the spool");
    assert_eq!(Digest::of(&bytes), content.digest);
    bytes
}

/// What rpm itself finds in the payload: digests of regular files, hard links resolved, by path.
fn rpm_finds(package: &Path) -> Option<BTreeMap<Vec<u8>, Digest>> {
    let archive = Command::new("rpm2archive")
        .arg("-n")
        .arg("-")
        .stdin(std::fs::File::open(package).expect("opens"))
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !archive.status.success() || archive.stdout.is_empty() {
        return None;
    }
    let mut found = BTreeMap::new();
    let mut archive = tar::Archive::new(archive.stdout.as_slice());
    let mut links = Vec::new();
    let name_of = |name: &[u8]| name.strip_prefix(b".").unwrap_or(name).to_vec();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = name_of(&entry.path_bytes());
        match entry.header().entry_type() {
            tar::EntryType::Link => {
                let target = entry.link_name_bytes().expect("a target");
                links.push((name, name_of(&target)));
            }
            tar::EntryType::Regular => {
                let mut hasher = imgbuild::oci::Hasher::default();
                std::io::copy(&mut entry, &mut hasher).expect("reads");
                found.insert(name, hasher.finish().0);
            }
            _ => {}
        }
    }
    for (name, target) in links {
        let digest = found[&target];
        found.insert(name, digest);
    }
    Some(found)
}

#[test]
fn survey() {
    let Some(root) = common::data("rpms") else {
        return;
    };
    for path in packages(&root) {
        let bytes = std::fs::read(&path).expect("reads");
        let name = path
            .strip_prefix(&root)
            .expect("below")
            .display()
            .to_string();
        match open_and_unpack(&bytes) {
            Ok(unpacked) => {
                let ours: BTreeMap<_, _> = unpacked
                    .files
                    .entries
                    .iter()
                    .enumerate()
                    .filter(|(_, e)| e.kind == FileType::Regular && !e.flags.has(FileFlags::GHOST))
                    .map(|(i, e)| (e.raw_path.clone(), Digest::of(&bytes_of(&unpacked, i))))
                    .collect();
                match rpm_finds(&path) {
                    Some(theirs) => {
                        println!("{name}: {} files, same {}", ours.len(), ours == theirs)
                    }
                    None => println!("{name}: {} files, rpm cannot", ours.len()),
                }
            }
            Err((class, e)) => println!("{name}: ERR {class:?} {e}"),
        }
    }
}
