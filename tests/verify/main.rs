//! Verifying: what is proven with no network and nothing of the builder's, what differs, and what cannot be known.

mod bundles;
mod flips;
#[path = "../harness/mod.rs"]
mod harness;
mod records;
#[path = "../server/mod.rs"]
mod server;
mod tampered;
mod verdicts;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use harness::{Bench, Done, imgbuild, run, scratch_in};

/// Where nothing listens, for everything.
fn nowhere() -> Vec<String> {
    [
        "public.ecr.aws=http://127.0.0.1:1",
        "https://cdn.amazonlinux.com/=http://127.0.0.1:1/",
        "https://files.pythonhosted.org/=http://127.0.0.1:1/",
    ]
    .iter()
    .flat_map(|mirror| ["--mirror".to_owned(), (*mirror).to_owned()])
    .collect()
}

/// Verifies `subject` with the inputs of the bench's cache and without a network.
fn verify(bench: &Bench, subject: &Path, more: &[&str]) -> Done {
    run(bench
        .imgbuild(&["verify", "--offline"])
        .arg(subject)
        .args(more))
}

/// Returns the last line of standard output: the verdict.
fn verdict(done: &Done) -> &str {
    done.out.lines().last().unwrap_or_default()
}

/// Checks exit code and verdict, and that no word of the output says more.
#[track_caller]
fn answers(done: &Done, code: i32, begins: &str) {
    assert_eq!(done.code, Some(code), "{done}");
    assert!(verdict(done).starts_with(begins), "{done}");
    assert_eq!(done.out.contains("verified"), code == 0, "{done}");
    assert!(!done.err.contains("panicked"), "{done}");
}

/// Returns a folder on the disk of the cache, for copies that are links.
fn place(bench: &Bench) -> tempfile::TempDir {
    scratch_in(bench.cache.parent().expect("target/e2e"))
}

/// Copies a layout, to be changed.
fn copy(layout: &Path, to: &Path) -> PathBuf {
    run(Command::new("cp").arg("-r").arg(layout).arg(to)).ok();
    to.to_owned()
}

/// Returns the bundle of the sample's lock, made once.
fn bundle(bench: &Bench) -> &'static Path {
    static BUNDLE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    &BUNDLE
        .get_or_init(|| {
            let folder = place(bench);
            let bundle = folder.path().join("bundle");
            run(bench
                .imgbuild(&["bundle"])
                .arg(&bench.project)
                .arg("-o")
                .arg(&bundle))
            .ok();
            (folder, bundle)
        })
        .1
}

/// Returns `imgbuild ARGUMENTS` with a cache of its own.
fn imgbuild_with(cache: &Path, arguments: &[&str]) -> Command {
    let mut command = imgbuild(arguments);
    command.arg("--cache-dir").arg(cache);
    command
}
