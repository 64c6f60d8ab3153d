//! Tells the program what sources it is made of, so that no two builds of it take over what the other remembered.

#![allow(
    clippy::print_stdout,
    reason = "that is how a build script speaks to cargo"
)]

use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;

fn main() {
    // Not cryptographic: nobody gains anything by two programs that take each other for one.
    let mut hasher = DefaultHasher::new();
    for path in ["Cargo.lock", "src"] {
        println!("cargo:rerun-if-changed={path}");
        add(Path::new(path), &mut hasher);
    }
    println!("cargo:rustc-env=IMGBUILD_SOURCES={:016x}", hasher.finish());
}

fn add(path: &Path, hasher: &mut DefaultHasher) {
    if let Ok(folder) = fs::read_dir(path) {
        let mut below: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
        below.sort();
        below.iter().for_each(|path| add(path, hasher));
    } else {
        let bytes = fs::read(path).unwrap_or_default();
        hasher.write(path.to_string_lossy().as_bytes());
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
}
