//! The bench: finds the stand-in, locks recipes/webhook against it, builds each variant of its image once.
//!
//! All of it is kept in `target/e2e`, so that test binaries share it; a stamp in the path says what it was made from.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use super::command::{Done, run};
use super::layout::{Layout, sha256};
use super::{Order, common, copy_folder, files_below, names};

/// The stand-in for Amazon Linux 2023, running.
#[derive(Debug)]
pub(crate) struct Standin {
    /// `target/standin`, or what `IMGBUILD_STANDIN` says.
    pub(crate) folder: PathBuf,
    /// `--mirror` flags that lead to it.
    pub(crate) mirrors: Vec<String>,
}

/// A variant of the image of recipes/webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A layout with an index over both platforms.
    Both,
    /// A layout of one platform.
    Amd64,
    /// The builder stage of one platform.
    Builder,
    /// `--format oci-archive`.
    OciArchive,
    /// `--format docker-archive`.
    DockerArchive,
}

/// What the tests of one process share.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The stand-in.
    pub(crate) standin: Standin,
    /// A cache that stays between runs.
    pub(crate) cache: PathBuf,
    /// A copy of recipes/webhook with its lock.
    pub(crate) project: PathBuf,
    made: PathBuf,
}

static BENCH: OnceLock<Result<Bench, String>> = OnceLock::new();

impl Bench {
    /// Returns the bench; says why and returns none if the stand-in is not there.
    ///
    /// # Panics
    /// If recipes/webhook cannot be locked.
    pub(crate) fn open() -> Option<&'static Self> {
        match BENCH.get_or_init(Self::prepare) {
            Ok(bench) => Some(bench),
            Err(why) => common::skip(why),
        }
    }

    fn prepare() -> Result<Self, String> {
        let standin = Standin::find()?;
        let target = target();
        let home = target.join("e2e");
        let cache = home.join("cache");
        fs::create_dir_all(&cache).expect("a folder below target/");
        let _alone = alone(&home);
        let made = home.join(stamp(&standin));
        for old in names(&home)
            .into_iter()
            .filter(|name| name.starts_with("made-"))
        {
            if home.join(&old) != made {
                fs::remove_dir_all(home.join(&old)).expect("our own folder");
            }
        }
        let project = made.join("webhook");
        let bench = Self {
            standin,
            cache,
            project,
            made,
        };
        if !bench.project.exists() {
            // Locked in a folder of another name, so that a failure is not taken for a lock.
            let fresh = bench.made.join("fresh/webhook");
            let _ = fs::remove_dir_all(&fresh);
            copy_folder(&source().join("recipes/webhook"), &fresh, Order::Forward);
            let _ = fs::remove_file(fresh.join("recipe.lock"));
            run(bench.imgbuild(&["lock"]).arg(&fresh)).ok();
            fs::rename(&fresh, &bench.project).expect("a new folder");
        }
        Ok(bench)
    }

    /// Returns `imgbuild ARGUMENTS` with the shared cache and the stand-in's mirrors.
    pub(crate) fn imgbuild(&self, arguments: &[&str]) -> Command {
        let mut command = imgbuild(arguments);
        command
            .arg("--cache-dir")
            .arg(&self.cache)
            .args(&self.standin.mirrors);
        command
    }

    /// Builds `project` for one platform into `out`.
    pub(crate) fn build(&self, project: &Path, out: &Path) -> Done {
        run(self
            .imgbuild(&["build", "--platform", "linux/amd64"])
            .arg(project)
            .arg("-o")
            .arg(out))
    }

    /// Returns the layout or archive of a variant, built if it is not there yet.
    pub(crate) fn made(&self, what: Made) -> PathBuf {
        let (name, flags): (&str, &[&str]) = match what {
            Made::Both => ("both", &[]),
            Made::Amd64 => ("amd64", &["--platform", "linux/amd64"]),
            Made::Builder => (
                "builder",
                &["--platform", "linux/amd64", "--stage", "builder"],
            ),
            Made::OciArchive => (
                "oci.tar",
                &["--platform", "linux/amd64", "--format", "oci-archive"],
            ),
            Made::DockerArchive => (
                "docker.tar",
                &["--platform", "linux/amd64", "--format", "docker-archive"],
            ),
        };
        let _alone = alone(&self.made);
        let path = self.made.join(name);
        if !path.exists() {
            let mut command = self.imgbuild(&["build", "--offline", "--tag", "e2e"]);
            // The first build of each stage may fetch; what follows has all it needs.
            if matches!(what, Made::Both | Made::Amd64 | Made::Builder) {
                command = self.imgbuild(&["build", "--tag", "e2e"]);
            } else {
                self.fetched();
            }
            let done = run(command.args(flags).arg(&self.project).arg("-o").arg(&path)).ok();
            fs::write(self.made.join(format!("{name}.digest")), done.text()).expect("written");
        }
        path
    }

    /// Returns what `build` printed for a variant.
    pub(crate) fn digest(&self, what: Made) -> String {
        let mut name = self.made(what).into_os_string();
        name.push(".digest");
        fs::read_to_string(name).expect("written with it")
    }

    /// Returns the layout of a variant, to be read.
    pub(crate) fn layout(&self, what: Made) -> Layout {
        Layout::open(&self.made(what))
    }

    /// Returns a copy of the locked project, in `folder`.
    pub(crate) fn copy_of_project(&self, folder: &Path) -> PathBuf {
        let copy = folder.join("webhook");
        copy_folder(&self.project, &copy, Order::Forward);
        copy
    }

    /// Copies the cache to a place that is not there yet: all it fetched, and nothing it computed from that.
    pub(crate) fn copy_cache(&self, to: &Path) {
        // Linked and not copied: the product replaces files of its cache and never changes one.
        run(Command::new("cp").arg("-al").arg(&self.cache).arg(to)).ok();
        // Finished layers would be found again, and what killed builds left is swept only after a day.
        for computed in ["derived", "tmp"] {
            let _ = fs::remove_dir_all(to.join(computed));
        }
    }

    /// Returns the lock as a document.
    pub(crate) fn lock(&self) -> toml::Table {
        let text = fs::read_to_string(self.project.join("recipe.lock")).expect("a lock");
        text.parse().expect("TOML")
    }

    /// Returns the blocks of a kind in the lock: `rpm`, `wheel`, …
    pub(crate) fn locked(&self, kind: &str) -> Vec<toml::Table> {
        let lock = self.lock();
        let blocks = lock
            .get(kind)
            .and_then(toml::Value::as_array)
            .unwrap_or_else(|| panic!("no [[{kind}]] in the lock"));
        blocks
            .iter()
            .map(|block| block.as_table().expect("a table").clone())
            .collect()
    }

    /// Returns where the cache keeps a locked input.
    pub(crate) fn cached(&self, input: &toml::Table) -> PathBuf {
        self.cache
            .join("blobs/sha256")
            .join(&text(input, "digest")["sha256:".len()..])
    }

    /// Returns the cached wheels by the path of their URL, fetching them if need be.
    pub(crate) fn wheels(&self) -> BTreeMap<String, PathBuf> {
        self.made(Made::Both);
        let path = |wheel: &toml::Table| {
            let url = text(wheel, "url");
            let after_scheme = url.split_once("://").expect("a URL").1;
            after_scheme[after_scheme.find('/').expect("a path")..].to_owned()
        };
        self.locked("wheel")
            .iter()
            .map(|wheel| (path(wheel), self.cached(wheel)))
            .collect()
    }

    fn fetched(&self) {
        let scratch = super::scratch();
        self.build(&self.project, &scratch.path().join("image"))
            .ok();
    }
}

/// Returns `imgbuild ARGUMENTS` with nothing of the environment that could lead it elsewhere.
pub(crate) fn imgbuild(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgbuild"));
    command
        .args(arguments)
        .env_remove("SOURCE_DATE_EPOCH")
        .env_remove("IMGBUILD_CACHE_DIR");
    command
}

/// Returns a text of a block of the lock.
pub(crate) fn text(block: &toml::Table, key: &str) -> String {
    block
        .get(key)
        .and_then(toml::Value::as_str)
        .unwrap_or_else(|| panic!("no {key} in {block}"))
        .to_owned()
}

/// Tells whether a block of the lock lists a platform under a key: a stage of an RPM, or `platforms` of a wheel.
pub(crate) fn is_on(block: &toml::Table, key: &str, platform: &str) -> bool {
    let platforms = block.get(key).and_then(toml::Value::as_array);
    platforms.is_some_and(|platforms| platforms.iter().any(|it| it.as_str() == Some(platform)))
}

/// Returns the source tree of imgbuild.
pub(crate) fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the target folder.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("target/tmp is in target")
        .to_owned()
}

/// Waits until no other test process works in a folder; it is free again when the value is dropped.
fn alone(folder: &Path) -> File {
    fs::create_dir_all(folder).expect("a folder below target/");
    let file = File::create(folder.join("alone")).expect("a file to lock");
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .expect("a local file system");
    file
}

/// Names what everything is made from: the program, the stand-in, the recipe.
fn stamp(standin: &Standin) -> String {
    let program = fs::metadata(env!("CARGO_BIN_EXE_imgbuild")).expect("cargo built it");
    let changed = program
        .modified()
        .expect("a time")
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let mut made_from = format!(
        "{} {} {}\n",
        program.len(),
        changed.as_nanos(),
        standin.folder.display()
    );
    made_from +=
        &fs::read_to_string(standin.folder.join("base/index.json")).expect("the stand-in's base");
    let recipe = source().join("recipes/webhook");
    for file in files_below(&recipe) {
        made_from += &format!(
            "{} {}\n",
            file.display(),
            sha256(&fs::read(recipe.join(&file)).expect("readable"))
        );
    }
    format!(
        "made-{}",
        &sha256(made_from.as_bytes())["sha256:".len()..][..12]
    )
}

impl Standin {
    /// Finds a stand-in that is made and served.
    fn find() -> Result<Self, String> {
        let folder = std::env::var_os("IMGBUILD_STANDIN")
            .map_or_else(|| target().join("standin"), PathBuf::from);
        let env = folder.join("run/env");
        let text = fs::read_to_string(&env).map_err(|_| {
            format!(
                "no stand-in at {}: run tests/standin/make and tests/standin/serve",
                folder.display()
            )
        })?;
        let variable = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.map(|value| value.trim_matches('\'').to_owned())
                .ok_or_else(|| format!("{} sets no {name}", env.display()))
        };
        let registry = variable("STANDIN_REGISTRY")?;
        if std::net::TcpStream::connect(&registry).is_err() {
            return Err(format!(
                "the stand-in does not answer at {registry}: run tests/standin/serve"
            ));
        }
        let mirrors = variable("STANDIN_MIRRORS")?
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        Ok(Self { folder, mirrors })
    }
}
