//! What the end-to-end tests stand on: the built binary, the stand-in, one image for all, other people's tools.
//!
//! ```text
//! bench    finds the stand-in, locks recipes/webhook once, builds each variant of its image once
//! command  runs programs, with a time limit and failures that can be read
//! daemon   servers and daemons that end when the test does, however it ends
//! server   serves the locked inputs on a loopback port, wrongly where a test asks for it
//! layout   reads what was built, independently of the product
//! attempt  a place to fail in, and what a refusal must say
//! root     the image's root, unpacked by umoci, and programs run in it
//! ```

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

#[path = "../common/mod.rs"]
mod common;

mod attempt;
mod bench;
mod command;
pub(crate) mod daemon;
mod layout;
mod mtree;
mod root;
mod server;

pub(crate) use attempt::Attempt;
pub(crate) use bench::{Bench, Made, imgbuild, is_on, source, target, text};
pub(crate) use command::{Done, run, run_within};
pub(crate) use common::{say, skip};
pub(crate) use daemon::{Container, Docker, Podman, free_port};
pub(crate) use layout::{Entry, Image, Layer, Layout, sha256};
pub(crate) use mtree::{Listed, parse as parse_mtree};
pub(crate) use root::{Root, rpm};
pub(crate) use server::{Fault, Server};

use std::fs;
use std::path::{Path, PathBuf};

/// Tells whether all `programs` are installed; says which is not.
pub(crate) fn installed(programs: &[&str]) -> Option<()> {
    for program in programs {
        if find_program(program).is_none() {
            return skip(&format!("`{program}` is not installed: run tests/install"));
        }
    }
    Some(())
}

/// Returns where a program is; daemons are in `sbin`, which an ordinary user's PATH leaves out.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|folder| Path::new(folder).join(name))
        .find(|program| program.is_file())
}

/// Tells whether the tests run as root, which owners, mounts and daemons need.
pub(crate) fn as_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a test that needs root does not run.
pub(crate) fn needs_root(why: &str) -> Option<()> {
    if as_root() {
        Some(())
    } else {
        skip(&format!("not root: {why}"))
    }
}

/// Makes a folder that other users may enter and that is gone with the returned value.
pub(crate) fn scratch() -> tempfile::TempDir {
    scratch_in(&std::env::temp_dir())
}

/// The same, below `parent`.
pub(crate) fn scratch_in(parent: &Path) -> tempfile::TempDir {
    let folder = tempfile::Builder::new()
        .prefix("imgbuild-e2e-")
        .tempdir_in(parent)
        .expect("a scratch folder");
    set_mode(folder.path(), 0o755);
    folder
}

/// Sets the mode of a file or folder.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Returns the names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// Returns the files below a folder, relative to it, sorted.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    fn visit(folder: &Path, below: &Path, out: &mut Vec<PathBuf>) {
        for name in names(&folder.join(below)) {
            let path = below.join(name);
            if folder
                .join(&path)
                .symlink_metadata()
                .expect("it was listed")
                .is_dir()
            {
                visit(folder, &path, out);
            } else {
                out.push(path);
            }
        }
    }
    let mut out = Vec::new();
    visit(folder, Path::new(""), &mut out);
    out
}

/// The order in which a copy is made: file systems may list a folder in it, or in its reverse.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Forward,
    Reverse,
}

/// Copies a folder of files, with their modes, in the given order.
pub(crate) fn copy_folder(from: &Path, to: &Path, order: Order) {
    fs::create_dir_all(to).expect("a folder");
    let mut names = names(from);
    if order == Order::Reverse {
        names.reverse();
    }
    for name in names {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy_folder(&from, &to, order);
        } else {
            fs::copy(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        }
    }
}

/// Gives a folder and all in it to a user.
pub(crate) fn give(folder: &Path, uid: u32) {
    use std::os::unix::fs::lchown;
    lchown(folder, Some(uid), Some(uid)).expect("root may");
    if folder.is_dir() && !folder.is_symlink() {
        for name in names(folder) {
            give(&folder.join(name), uid);
        }
    }
}

/// Replaces text in a file, which must hold it.
pub(crate) fn edit(file: &Path, from: &str, to: &str) {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(
        text.contains(from),
        "{} does not hold {from:?}",
        file.display()
    );
    fs::write(file, text.replacen(from, to, 1)).expect("written");
}
