//! Reads uv.lock.

use std::collections::BTreeMap;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName};
use serde::Deserialize;

use super::markers::{GroupName, Marker};
use crate::diagnose::{Class, Diagnose};

/// The version of the format that is read.
const VERSION: i64 = 1;

/// A `uv.lock`: every package that any platform, extra or group of the project could need.
///
/// Unknown keys are ignored, as uv's own policy for `revision` asks: a greater revision only adds.
/// <https://docs.astral.sh/uv/concepts/resolution/#lockfile-versioning>
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UvLock {
    /// The revision of the format; each only adds to the one before.
    #[serde(default)]
    pub revision: u64,
    /// The Python versions that the lock was made for.
    pub requires_python: Option<VersionSpecifiers>,
    /// Where each fork of the resolution holds.
    #[serde(default)]
    pub resolution_markers: Vec<Marker>,
    /// The environments that the lock was made for (`tool.uv.environments`); all if empty.
    #[serde(default)]
    pub supported_markers: Vec<Marker>,
    /// The environments that must have wheels (`tool.uv.required-environments`).
    #[serde(default)]
    pub required_markers: Vec<Marker>,
    /// Extras, groups and projects that cannot be chosen together.
    #[serde(default)]
    pub conflicts: Vec<Vec<Conflict>>,
    /// What the workspace holds.
    #[serde(default)]
    pub manifest: Manifest,
    /// The packages, in the order of the file.
    #[serde(default, rename = "package", alias = "distribution")]
    pub packages: Vec<Package>,
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Conflict {
    /// The project.
    pub package: PackageName,
    /// Its extra; with neither extra nor group, the project itself.
    pub extra: Option<ExtraName>,
    /// Its group.
    pub group: Option<GroupName>,
}

/// What the workspace holds besides packages.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Manifest {
    /// The projects of the workspace; empty if there is only one.
    #[serde(default)]
    pub members: Vec<PackageName>,
    /// Requirements of a script or of a workspace root that is no project.
    #[serde(default)]
    pub requirements: Vec<Requirement>,
    /// Groups of a workspace root that is no project.
    #[serde(default)]
    pub dependency_groups: BTreeMap<GroupName, Vec<Requirement>>,
}

/// A locked package.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Its version; none for local projects that compute theirs.
    pub version: Option<Version>,
    /// Where it comes from.
    pub source: Source,
    /// Where this version holds, if there are several of the package.
    #[serde(default)]
    pub resolution_markers: Vec<Marker>,
    /// What it needs.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
    /// What each of its extras needs.
    #[serde(default)]
    pub optional_dependencies: BTreeMap<ExtraName, Vec<Dependency>>,
    /// What each of its groups needs; projects only.
    #[serde(default, alias = "dependency-groups")]
    pub dev_dependencies: BTreeMap<GroupName, Vec<Dependency>>,
    /// Its source distribution.
    pub sdist: Option<File>,
    /// Its wheels, in the order of the file, which decides between equals.
    #[serde(default)]
    pub wheels: Vec<File>,
    /// What it declares itself; local projects only.
    #[serde(default)]
    pub metadata: Metadata,
}

/// Where a package comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A package index: its address or folder.
    Registry(String),
    /// A repository: `url?reference#commit`.
    Git(String),
    /// A wheel or source archive of the project's own tree.
    Path(String),
    /// A local project, to be built.
    Directory(String),
    /// A local project, to be installed as a reference to its folder.
    Editable(String),
    /// A local project that is never installed; only its dependencies are.
    Virtual(String),
    /// An archive at an address.
    #[serde(untagged)]
    Url {
        /// The address.
        url: String,
        /// The folder of the project in it.
        subdirectory: Option<String>,
    },
}

/// A file of a package: a wheel or a source distribution.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct File {
    /// Its address.
    pub url: Option<String>,
    /// Its path, in an index that is a folder.
    pub path: Option<String>,
    /// Its name, where neither address nor path says it.
    pub filename: Option<String>,
    /// Its digest, `algorithm:digits`.
    pub hash: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// An edge from one package to another.
#[derive(Clone, Debug, Deserialize)]
pub struct Dependency {
    /// The package.
    pub name: PackageName,
    /// Which version, if the lock holds several.
    pub version: Option<Version>,
    /// Which source, if the lock holds several.
    pub source: Option<Source>,
    /// Its extras.
    #[serde(default)]
    pub extra: Vec<ExtraName>,
    /// When it is needed; always if none.
    pub marker: Option<Marker>,
}

/// What a local project declared when it was locked, to tell whether the lock is out of step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Metadata {
    /// Its dependencies; those of extras have `extra == '..'` in their marker.
    #[serde(default)]
    pub requires_dist: Vec<Requirement>,
    /// Its extras.
    pub provides_extras: Option<Vec<ExtraName>>,
    /// Its groups.
    #[serde(default)]
    pub requires_dev: BTreeMap<GroupName, Vec<Requirement>>,
}

/// A requirement as it was declared.
#[derive(Clone, Debug, Deserialize)]
pub struct Requirement {
    /// The package.
    pub name: PackageName,
    /// Its extras.
    #[serde(default)]
    pub extras: Vec<ExtraName>,
    /// Which versions; any if none.
    pub specifier: Option<VersionSpecifiers>,
    /// When it is needed; always if none.
    pub marker: Option<Marker>,
    /// The repository it is taken from.
    pub git: Option<String>,
    /// The archive it is taken from.
    pub url: Option<String>,
    /// The local file it is taken from.
    pub path: Option<String>,
    /// The local folder it is built from.
    pub directory: Option<String>,
    /// The local folder it refers to.
    pub editable: Option<String>,
    /// The local folder whose dependencies alone it means.
    pub r#virtual: Option<String>,
}

/// Why a uv.lock cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UvLockError {
    /// Not TOML, or not the shape of a uv.lock.
    #[error("uv.lock cannot be read: {0}")]
    Malformed(String),
    /// Written by a uv that changed the format.
    #[error("uv.lock has format version {found}: wanted {VERSION}")]
    Version {
        /// The version it has.
        found: i64,
    },
    /// Two packages of one name, version and source.
    #[error("uv.lock lists `{0}` twice from one source")]
    Duplicate(String),
}

impl Diagnose for UvLockError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Malformed(_) | Self::Duplicate(_) => "run `uv lock`".to_owned(),
            Self::Version { .. } => {
                "update imgbuild, or run `uv lock` with the uv release that wrote version 1"
                    .to_owned()
            }
        })
    }
}

impl UvLock {
    /// Reads the text of a uv.lock of version 1, any revision.
    ///
    /// # Errors
    /// [`UvLockError`] if it is not one.
    pub fn parse(text: &str) -> Result<Self, UvLockError> {
        let malformed = |error: toml::de::Error| UvLockError::Malformed(error.to_string());
        // The version alone first: another one may change everything else.
        #[derive(Deserialize)]
        struct Head {
            version: i64,
        }
        let head: Head = toml::from_str(text).map_err(malformed)?;
        if head.version != VERSION {
            return Err(UvLockError::Version {
                found: head.version,
            });
        }
        let lock: Self = toml::from_str(text).map_err(malformed)?;
        let mut known = std::collections::BTreeSet::new();
        for package in &lock.packages {
            if !known.insert((&package.name, &package.version, &package.source)) {
                return Err(UvLockError::Duplicate(package.to_string()));
            }
        }
        Ok(lock)
    }
}

impl std::fmt::Display for Package {
    /// Writes the name and version.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} {version}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

impl Source {
    /// Returns what the lock calls this kind of source.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Registry(_) => "registry",
            Self::Url { .. } => "url",
            Self::Git(_) => "git",
            Self::Path(_) => "path",
            Self::Directory(_) => "directory",
            Self::Editable(_) => "editable",
            Self::Virtual(_) => "virtual",
        }
    }

    /// Returns the folder of a local project, relative to the lock.
    #[must_use]
    pub fn local_folder(&self) -> Option<&str> {
        match self {
            Self::Directory(folder) | Self::Editable(folder) | Self::Virtual(folder) => {
                Some(folder)
            }
            _ => None,
        }
    }
}

impl File {
    /// Returns its name: the last part of its address or path, without percent escapes.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        if let Some(name) = &self.filename {
            return Some(name.clone());
        }
        let place = self.url.as_ref().or(self.path.as_ref())?;
        let place = place.split(['?', '#']).next()?;
        Some(unescape(place.rsplit('/').next()?))
    }
}

/// Undoes percent escapes; what is no escape stays.
fn unescape(text: &str) -> String {
    let nibble = |at: Option<&u8>| at.and_then(|&c| char::from(c).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, nibble(bytes.get(at + 1)), nibble(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high << 4 | low));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_source_is_read() {
        let lock = UvLock::parse(
            r#"
version = 1
revision = 99
requires-python = ">=3.11, <4"
supported-markers = ["sys_platform == 'linux'"]
conflicts = [[{ package = "svc", extra = "cpu" }, { package = "svc", group = "gpu" }]]
something-new = { a = 1 }

[manifest]
members = ["svc"]

[[package]]
name = "a"
version = "1"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/a-1%2Bcpu-py3-none-any.whl#sha256=0", hash = "sha256:00", size = 3, upload-time = 2026-01-01T00:00:00Z }]

[[package]]
name = "b"
version = "1"
source = { url = "https://x/b.tar.gz", subdirectory = "c" }

[[package]]
name = "c"
version = "1"
source = { git = "https://x/c?tag=v1#0123" }

[[package]]
name = "d"
version = "1"
source = { path = "d-1-py3-none-any.whl" }
wheels = [{ filename = "d-1-py3-none-any.whl", hash = "sha256:00" }]

[[package]]
name = "e"
source = { directory = "../e" }

[[package]]
name = "f"
source = { virtual = "f" }

[[package]]
name = "svc"
version = "0.1"
source = { editable = "." }
dependencies = [{ name = "A", extra = ["X_y"], marker = "python_version >= '3.11'" }]

[package.optional-dependencies]
cpu = [{ name = "b" }]

[package.dev-dependencies]
dev = [{ name = "c" }]

[package.metadata]
requires-dist = [{ name = "a", extras = ["x-y"], specifier = ">=1" }, { name = "c", git = "https://x/c?tag=v1" }]
"#,
        )
        .expect("a valid lock");
        let kinds: Vec<_> = lock.packages.iter().map(|p| p.source.kind()).collect();
        assert_eq!(
            kinds,
            [
                "registry",
                "url",
                "git",
                "path",
                "directory",
                "virtual",
                "editable"
            ]
        );
        assert_eq!(
            lock.packages[0].wheels[0].name().as_deref(),
            Some("a-1+cpu-py3-none-any.whl")
        );
        assert_eq!(lock.packages[6].dependencies[0].extra[0].to_string(), "x-y");
        assert_eq!(
            lock.conflicts[0][1].group,
            Some("gpu".parse().expect("a name"))
        );
    }

    #[test]
    fn another_version_is_refused_and_any_revision_is_read() {
        assert!(UvLock::parse("version = 1\nrevision = 12").is_ok());
        assert_eq!(
            UvLock::parse("version = 2\npackage = 3").err(),
            Some(UvLockError::Version { found: 2 })
        );
        for text in [
            "",
            "version = 'x'",
            "version = 1\npackage = 3",
            "[",
            "version = 1\nrequires-python = 'x'",
        ] {
            assert!(
                matches!(UvLock::parse(text), Err(UvLockError::Malformed(_))),
                "{text}"
            );
        }
        let twice = "[[package]]\nname='a'\nversion='1'\nsource={virtual='.'}\n".repeat(2);
        assert_eq!(
            UvLock::parse(&format!("version = 1\n{twice}")).err(),
            Some(UvLockError::Duplicate("a 1".to_owned()))
        );
    }

    #[test]
    fn percent_escapes_are_undone_and_nothing_else() {
        for (text, plain) in [
            ("a%2Bb", "a+b"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%e2%82%ac", "€"),
        ] {
            assert_eq!(unescape(text), plain);
        }
    }
}
