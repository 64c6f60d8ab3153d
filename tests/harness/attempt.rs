//! A place to fail in: what a refused command must say, and what it may not leave behind.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::bench::{Bench, imgbuild, text};
use super::command::{Done, run};
use super::{names, scratch_in};

/// A place to fail in: a copy of the project, a cache that may lack something, an output that must not appear.
pub(crate) struct Attempt {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) project: PathBuf,
    pub(crate) cache: PathBuf,
}

impl Attempt {
    /// Starts with everything in order, and a cache that has everything but `missing`.
    pub(crate) fn without(bench: &Bench, missing: &[&toml::Table]) -> Self {
        let folder = scratch_in(bench.cache.parent().expect("target/e2e"));
        let project = bench.copy_of_project(folder.path());
        let cache = folder.path().join("cache");
        bench.copy_cache(&cache);
        for input in missing {
            fs::remove_file(
                cache
                    .join("blobs/sha256")
                    .join(&text(input, "digest")["sha256:".len()..]),
            )
            .expect("it was cached");
        }
        fs::create_dir(folder.path().join("out")).expect("a folder");
        Self {
            folder,
            project,
            cache,
        }
    }

    /// Starts with an empty cache.
    pub(crate) fn cold(bench: &Bench) -> Self {
        let folder = scratch_in(bench.cache.parent().expect("target/e2e"));
        let project = bench.copy_of_project(folder.path());
        fs::create_dir(folder.path().join("out")).expect("a folder");
        Self {
            project,
            cache: folder.path().join("cache"),
            folder,
        }
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.folder.path().join("out/image")
    }

    /// Runs `build` for amd64 with the mirrors given.
    pub(crate) fn build(&self, mirrors: &[String]) -> Done {
        let mut command = imgbuild(&["build", "--platform", "linux/amd64", "--cache-dir"]);
        run(command
            .arg(&self.cache)
            .args(mirrors)
            .arg(&self.project)
            .arg("-o")
            .arg(self.image()))
    }

    /// Runs `lock` with the mirrors given; the old lock is gone.
    pub(crate) fn lock(&self, mirrors: &[String]) -> Done {
        let _ = fs::remove_file(self.project.join("recipe.lock"));
        run(imgbuild(&["lock", "--cache-dir"])
            .arg(&self.cache)
            .args(mirrors)
            .arg(&self.project))
    }

    /// Checks the refusal, and that nothing is half written.
    #[track_caller]
    pub(crate) fn refused(&self, done: &Done, code: i32, words: &[&str]) {
        assert_eq!(done.code, Some(code), "{done}");
        let line = |start: &str| done.err.lines().find(|line| line.starts_with(start));
        let error =
            line("error: ").unwrap_or_else(|| panic!("no line begins with `error: `: {done}"));
        for word in words {
            assert!(
                error.contains(word),
                "the error does not name `{word}`: {done}"
            );
        }
        assert!(
            line("hint: ").is_some(),
            "no line begins with `hint: `: {done}"
        );
        assert!(
            done.out.is_empty(),
            "a script would take this for a result: {done}"
        );
        assert!(!done.err.contains("panicked"), "{done}");
        let left = names(&self.folder.path().join("out"));
        assert!(left.is_empty(), "half written: {left:?}");
        let temporary = self.cache.join("tmp");
        if temporary.exists() {
            let left = names(&temporary);
            assert!(left.is_empty(), "left in the cache: {left:?}");
        }
        let project = names(&self.project);
        assert!(
            project.iter().all(|name| !name.starts_with('.')),
            "left in the project: {project:?}"
        );
    }
}
