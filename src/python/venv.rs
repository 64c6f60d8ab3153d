//! Lays wheels out as a virtual environment.

mod place;

use std::collections::{BTreeMap, BTreeSet};

use pep440_rs::Version;
use pep508_rs::PackageName;

use self::place::Placed;
use super::markers::{minor, release};
use super::record::{self, Row};
use super::scripts::{self, is_interpreter, shebang, with_shebang};
use super::wheel::{Category, Purity, Wheel};
use crate::diagnose::{Class, Diagnose};
use crate::layer::path::PathError;
use crate::layer::{Contents, LayerPath, Node, Tree};

/// What INSTALLER says: the tool that installed the package.
const INSTALLER: &str = "imgbuild\n";

/// Where a virtual environment is, and for which interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenvSpec {
    /// The folder of the venv, such as `app/.venv`. It reaches the bytes: scripts name their interpreter by it.
    pub path: LayerPath,
    /// The absolute path of the interpreter in the image, such as `/usr/bin/python3.11`.
    pub interpreter: String,
    /// The full version of the interpreter. Only the first two numbers reach the bytes.
    pub version: Version,
}

/// A virtual environment, ready to be written as two layers.
#[derive(Clone, Default)]
pub struct Venv {
    /// The venv itself and the pure wheels: the same on every processor if the wheels are.
    pub pure: Tree,
    /// The wheels with machine code; empty if there are none.
    pub native: Tree,
    /// Where the bytes of both are.
    pub contents: Contents,
    /// Which package each file is of, as `name version`; several are joined by commas.
    pub owners: BTreeMap<LayerPath, String>,
}

/// Why wheels cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VenvError {
    /// The folder of the venv cannot be written into scripts.
    #[error("venv `{0}`: wanted a path of printable UTF-8 below the root")]
    Path(LayerPath),
    /// The interpreter is not an absolute path.
    #[error("interpreter `{0}`: wanted an absolute path without spaces or control characters")]
    Interpreter(String),
    /// Two wheels are of one package.
    #[error("{name}: there are two wheels of it, `{first}` and `{second}`")]
    Twice {
        /// The package.
        name: PackageName,
        /// One wheel.
        first: String,
        /// The other.
        second: String,
    },
    /// Two packages, or one of them twice, put different things at one path.
    #[error("{path}: `{first}` and `{second}` both install something different here")]
    Conflict {
        /// Where.
        path: LayerPath,
        /// One package.
        first: String,
        /// The other.
        second: String,
    },
    /// A package would replace a part of the venv itself.
    #[error("{path}: `{package}` would replace a part of the venv itself")]
    Reserved {
        /// Where.
        path: LayerPath,
        /// The package.
        package: String,
    },
    /// A path of a package is none of an image.
    #[error("`{package}`: {fault}")]
    FilePath {
        /// The package.
        package: String,
        /// What is wrong with the path.
        fault: PathError,
    },
}

impl Diagnose for VenvError {
    fn class(&self) -> Class {
        match self {
            Self::Reserved { .. } | Self::FilePath { .. } => Class::Integrity,
            // A wheel that contradicts itself.
            Self::Conflict { first, second, .. } if first == second => Class::Integrity,
            Self::Path(_) | Self::Interpreter(_) | Self::Twice { .. } | Self::Conflict { .. } => {
                Class::Usage
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict { .. } => Some(
                "uv would keep whichever it happens to write last: take versions that do not overlap, or leave one \
                 of the packages out"
                    .to_owned(),
            ),
            Self::Twice { .. } => Some("run `uv lock`".to_owned()),
            Self::Path(_) | Self::Interpreter(_) => Some("correct `python` in the recipe".to_owned()),
            Self::Reserved { .. } | Self::FilePath { .. } => None,
        }
    }
}

/// Lays out `wheels` as the venv that `spec` describes, in whatever order they come.
///
/// Nothing in it needs to be written at run time, so it works on a read-only root. There is no bytecode, and no
/// activation script: `PATH` does what these do.
///
/// # Errors
/// [`VenvError`] if two wheels want different things, or one wants what is the venv's own.
pub fn lay_out(spec: &VenvSpec, wheels: &[Wheel]) -> Result<Venv, VenvError> {
    let mut placed = Placed::new(spec)?;
    let mut order: Vec<&Wheel> = wheels.iter().collect();
    order.sort_by_key(|wheel| (wheel.name().name(), wheel.name().as_str()));
    for pair in order.windows(2) {
        if let [first, second] = pair
            && first.name().name() == second.name().name()
        {
            return Err(VenvError::Twice {
                name: first.name().name().clone(),
                first: first.name().to_string(),
                second: second.name().to_string(),
            });
        }
    }
    shell(spec, &mut placed)?;
    for wheel in order {
        install(spec, wheel, &mut placed)?;
    }
    placed.finish()
}

/// Returns the folder of packages, relative to the venv.
fn site_packages(spec: &VenvSpec) -> String {
    format!("lib/python{}/site-packages", minor(&spec.version))
}

/// Places what makes a folder a venv, and no more.
///
/// <https://docs.python.org/3/library/site.html>: the interpreter looks for `pyvenv.cfg` above its own link, and for
/// its standard library in `home`. The patch version stays out, so that the layer is the same on both processors.
fn shell(spec: &VenvSpec, placed: &mut Placed<'_>) -> Result<(), VenvError> {
    let (home, _) = spec.interpreter.rsplit_once('/').unwrap_or_default();
    let home = if home.is_empty() { "/" } else { home };
    let short = minor(&spec.version);
    let configuration = format!(
        "home = {home}\nimplementation = CPython\nversion_info = {short}\ninclude-system-site-packages = false\n"
    );
    let content = placed.contents.add_inline(configuration.into_bytes());
    placed.own("pyvenv.cfg", Node::made_file(content, 0o644))?;
    placed.own("bin/python", Node::made_symlink(spec.interpreter.as_str()))?;
    placed.own("bin/python3", Node::made_symlink("python"))?;
    placed.own(&format!("bin/python{short}"), Node::made_symlink("python"))?;
    // Where sys.platlibdir is lib64, as on Fedora and its kin, native modules are looked for there.
    placed.own("lib64", Node::made_symlink("lib"))?;
    placed.own_folder(&site_packages(spec))
}

/// Returns where a file goes, relative to the venv (2.b, 2.c: the folders of `.data` go where the venv has their kind).
fn place_of(spec: &VenvSpec, wheel: &Wheel, category: Category, path: &str) -> String {
    match category {
        Category::Library => format!("{}/{path}", site_packages(spec)),
        Category::Scripts => format!("bin/{path}"),
        Category::Data => path.to_owned(),
        Category::Headers => {
            let (version, name) = (minor(&spec.version), wheel.name().name());
            format!("include/site/python{version}/{name}/{path}")
        }
    }
}

/// Places the files of a wheel ("Installing a wheel", 2: spread).
fn install(spec: &VenvSpec, wheel: &Wheel, placed: &mut Placed<'_>) -> Result<(), VenvError> {
    let site = site_packages(spec);
    let python = format!("{}/bin/python", spec.path);
    let first_line = shebang(&python);
    let mut rows = BTreeSet::new();
    for file in wheel.files() {
        let to = place_of(spec, wheel, file.category, &file.path);
        let mode = if file.executable { 0o755 } else { 0o644 };
        let mut row = file.row.clone();
        row.path = relative(&site, &to);
        let mut content = file.content;
        // 2.e: scripts that start with `#!python` get the interpreter of the venv.
        let placeholder = file.placeholder.as_deref();
        if let Some(script) = placeholder.and_then(|script| with_shebang(script, &first_line)) {
            content = placed.contents.add_inline(script);
            row = Row::made(row.path, &content);
        }
        placed.file(wheel, &to, Node::made_file(content, mode))?;
        rows.insert(row);
    }
    for (category, path) in wheel.folders() {
        let to = place_of(spec, wheel, *category, path);
        placed.file(wheel, &to, Node::made_dir())?;
    }
    wheel.add_contents(&mut placed.contents);
    let (_, minor) = release(&spec.version);
    for point in scripts::with_versioned_pip(wheel.entry_points(), minor) {
        let script = point.script(&first_line).into_bytes();
        let content = placed.contents.add_inline(script);
        let to = format!("bin/{}", point.name);
        placed.file(wheel, &to, Node::made_file(content, 0o755))?;
        rows.insert(Row::made(relative(&site, &to), &content));
    }
    // 2.d: RECORD lists what was installed. INSTALLER is "Recording installed packages"; REQUESTED, direct_url.json
    // and the files of uv's own cache say nothing that the lock does not.
    let mut metadata = |name: &str, text: String| {
        let content = placed.contents.add_inline(text.into_bytes());
        let to = format!("{site}/{}/{name}", wheel.dist_info());
        placed.file(wheel, &to, Node::made_file(content, 0o644))?;
        Ok::<_, VenvError>(Row::made(relative(&site, &to), &content))
    };
    rows.insert(metadata("INSTALLER", INSTALLER.to_owned())?);
    rows.insert(Row {
        path: format!("{}/RECORD", wheel.dist_info()),
        hash: None,
        size: None,
    });
    metadata("RECORD", record::write(&rows))?;
    Ok(())
}

/// Returns `to` as seen from the folder `from`, both relative to one root.
fn relative(from: &str, to: &str) -> String {
    let mut from: Vec<&str> = from.split('/').collect();
    let mut rest = to;
    while let Some((first, after)) = rest.split_once('/') {
        if from.first() != Some(&first) {
            break;
        }
        from.remove(0);
        rest = after;
    }
    format!("{}{rest}", "../".repeat(from.len()))
}

/// Tells whether `path` in a venv is a part of the venv itself.
fn is_reserved(path: &str) -> bool {
    path == "pyvenv.cfg"
        || path.split('/').next() == Some("lib64")
        || path.strip_prefix("bin/").is_some_and(is_interpreter)
}

impl Purity {
    /// Returns the purity of a file that both bring.
    fn shared(self, other: Self) -> Self {
        self.min(other)
    }
}
