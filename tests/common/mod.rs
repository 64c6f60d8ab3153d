//! Finds test data that is not part of the repository, and the tools to compare with.

#![allow(
    dead_code,
    reason = "each test binary uses another part, so no one part is always unused"
)]

pub(crate) mod install;
pub(crate) mod on_disk;
pub(crate) mod package;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the path of a file of the shared test data; says why and returns none if it is absent.
///
/// # Panics
/// If it is absent and `IMGBUILD_TEST_REQUIRE_ALL=1` asks for all tests.
pub(crate) fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("IMGBUILD_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = root.join(name);
    path.exists().then_some(path).or_else(|| {
        skip(&format!(
            "test data {name} is not here: set IMGBUILD_TEST_DATA"
        ))
    })
}

/// Says that a test cannot run, and why.
///
/// # Panics
/// If `IMGBUILD_TEST_REQUIRE_ALL=1` asks for all tests.
pub(crate) fn skip<T>(why: &str) -> Option<T> {
    let all = std::env::var_os("IMGBUILD_TEST_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!all, "cannot run: {why}");
    say(&format!("skipped: {why}"));
    None
}

/// Says what a test did, for `--nocapture`.
#[expect(
    clippy::print_stdout,
    reason = "what was skipped or counted must be seen"
)]
pub(crate) fn say(what: &str) {
    println!("{what}");
}

/// Returns all packages below `directory`, in order of their file names.
pub(crate) fn packages(directory: &Path) -> Vec<PathBuf> {
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
    found.sort_by_key(|path| (path.file_name().map(ToOwned::to_owned), path.clone()));
    found
}

/// Returns where `tests/standin/make` makes the stand-in: `target/standin`, or what `IMGBUILD_STANDIN` says.
pub(crate) fn standin_folder() -> PathBuf {
    std::env::var_os("IMGBUILD_STANDIN").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/standin"),
        PathBuf::from,
    )
}

/// Returns the stand-in's folder if it was made; says why not otherwise.
///
/// # Panics
/// As for [`skip`].
pub(crate) fn standin() -> Option<PathBuf> {
    let root = standin_folder();
    root.join("www").is_dir().then_some(root).or_else(|| {
        skip("the stand-in is not here: run tests/standin/make, or set IMGBUILD_STANDIN")
    })
}

/// Returns the stand-in's packages for an architecture, those for all included.
pub(crate) fn standin_packages(arch: &str) -> Vec<PathBuf> {
    let Some(root) = standin() else {
        return Vec::new();
    };
    let mut found = packages(&root.join("www"));
    found.retain(|path| {
        let name = path.to_string_lossy();
        name.ends_with(&format!(".{arch}.rpm")) || name.ends_with(".noarch.rpm")
    });
    found.dedup_by_key(|path| path.file_name().map(ToOwned::to_owned));
    found
}

/// Returns a command for one of rpm's tools on the database in `directory`; says why not if it is not installed.
pub(crate) fn rpm(tool: &str, directory: &Path) -> Option<Command> {
    let is_there = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !is_there {
        return skip(&format!("{tool} is not installed"));
    }
    let mut command = Command::new(tool);
    command
        .env("LC_ALL", "C")
        .env("HOME", directory)
        .arg("--dbpath")
        .arg(directory)
        .args(["--define", "_db_backend sqlite"]);
    Some(command)
}
