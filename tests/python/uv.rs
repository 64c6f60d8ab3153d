//! Finds uv and Python, runs them in a temporary project, and keeps the wheels that were fetched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use imgbuild::oci::Digest;
use imgbuild::python::select::Selected;
use imgbuild::python::wheel::Wheel;

/// What the tests compare with.
pub(crate) struct Uv {
    uv: PathBuf,
    python: String,
    /// The full version of `python`.
    pub(crate) version: String,
    cache: PathBuf,
}

impl Uv {
    /// Finds uv and a CPython 3.11; without them the test is skipped, or fails if nothing may be skipped.
    pub(crate) fn find() -> Option<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let from_env = std::env::var_os("IMGBUILD_TEST_UV").map(PathBuf::from);
        let own = target.join("venv/bin/uv");
        let candidates = from_env.into_iter().chain([PathBuf::from("uv"), own]);
        let Some(uv) = candidates.into_iter().find(|uv| runs(uv, &["--version"])) else {
            return skip("uv was not found: `pip install uv`, or set IMGBUILD_TEST_UV");
        };
        let python = "python3.11";
        if !runs(Path::new(python), &["--version"]) {
            return skip("python3.11 was not found");
        }
        if !runs(Path::new("curl"), &["--version"]) {
            return skip("curl was not found");
        }
        let ask = "import platform; print(platform.python_version())";
        let output = Command::new(python).args(["-c", ask]).output().unwrap();
        let cache = target.join("test-cache");
        fs::create_dir_all(cache.join("wheels")).unwrap();
        Some(Self {
            uv,
            python: python.to_owned(),
            version: String::from_utf8(output.stdout).unwrap().trim().to_owned(),
            cache,
        })
    }

    /// Runs uv in `folder`.
    pub(crate) fn run(&self, folder: &Path, arguments: &[&str]) -> Output {
        Command::new(&self.uv)
            .args(arguments)
            .args(["--python", &self.python, "--no-python-downloads"])
            .current_dir(folder)
            .env("UV_CACHE_DIR", self.cache.join("uv"))
            .env("UV_PROJECT_ENVIRONMENT", folder.join(".venv"))
            .env("UV_NO_CONFIG", "1")
            .env_remove("VIRTUAL_ENV")
            .output()
            .unwrap()
    }

    /// Runs uv, which must succeed.
    pub(crate) fn must(&self, folder: &Path, arguments: &[&str]) {
        let output = self.run(folder, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "uv {arguments:?}: {said}");
    }

    /// Makes a venv and installs one wheel into it.
    pub(crate) fn install(&self, venv: &Path, wheel: &Path) {
        let venv = venv.to_str().unwrap();
        self.must(Path::new("/"), &["venv", "--no-project", venv]);
        let output = Command::new(&self.uv)
            .args(["pip", "install", "--no-deps", "--no-index", "--offline"])
            .args(["--link-mode", "copy", "--python", venv])
            .arg(wheel)
            .env("UV_CACHE_DIR", self.cache.join("uv"))
            .env("UV_NO_CONFIG", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// Returns the path of the interpreter itself, not of a link or launcher to it.
    pub(crate) fn interpreter(&self) -> String {
        let ask = "import os, sys; print(os.path.realpath(sys.executable))";
        let output = Command::new(&self.python)
            .args(["-c", ask])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Lets uv judge whether what is in a venv fits together.
    pub(crate) fn check(&self, venv: &Path) {
        let output = Command::new(&self.uv)
            .args(["pip", "check", "--python"])
            .arg(venv)
            .env("UV_NO_CONFIG", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// Fetches a wheel, or takes it from an earlier run, and reads it with every digest checked.
    pub(crate) fn wheel(&self, selected: &Selected) -> Wheel {
        let path = self.cache.join("wheels").join(selected.digest.hex());
        let cached = fs::read(&path).ok();
        let bytes = cached.filter(|bytes| Digest::of(bytes) == selected.digest);
        let bytes = bytes.unwrap_or_else(|| {
            let temporary = path.with_extension(std::process::id().to_string());
            let status = Command::new("curl")
                .args(["-sSfL", "--retry", "3", "-o"])
                .args([temporary.as_os_str(), selected.url.as_ref()])
                .status()
                .unwrap();
            assert!(status.success(), "could not fetch {}", selected.url);
            let bytes = fs::read(&temporary).unwrap();
            assert_eq!(Digest::of(&bytes), selected.digest, "{}", selected.url);
            fs::rename(&temporary, &path).unwrap();
            bytes
        });
        if let Some(size) = selected.size {
            assert_eq!(bytes.len() as u64, size);
        }
        let wheel = Wheel::read(selected.filename.clone(), Arc::new(bytes));
        let wheel = wheel.unwrap_or_else(|error| panic!("{error}"));
        wheel.verify().unwrap_or_else(|error| panic!("{error}"));
        wheel
    }
}

/// Says why nothing was tested; fails if that is not allowed.
pub(crate) fn skip<T>(why: &str) -> Option<T> {
    assert!(
        std::env::var_os("IMGBUILD_TEST_REQUIRE_ALL").is_none_or(|value| value != "1"),
        "{why}"
    );
    eprintln!("skipped: {why}");
    None
}

fn runs(program: &Path, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}
