//! Chooses the packages and wheels that a uv.lock means for one target.

use std::collections::{BTreeMap, BTreeSet};

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName};

use super::graph::needed;
use super::markers::{Active, Environment, GroupName, minor};
use super::tags::{Tags, WheelName};
use super::uv_lock::{File, Package, Source, UvLock};
use crate::diagnose::{Class, Diagnose};
use crate::oci::{Arch, Digest, Platform};

/// What the packages will run on. All three come from the image itself, never from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The full version of CPython, such as 3.11.14: locks do depend on the last number.
    pub python: Version,
    /// The version of glibc, such as `(2, 34)`.
    pub glibc: (u32, u32),
    /// The processor.
    pub arch: Arch,
}

/// Which part of a lock is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The project; if none, the one next to the lock, or else every member of the workspace.
    pub project: Option<PackageName>,
    /// Extras of the project, which must exist.
    pub extras: BTreeSet<ExtraName>,
    /// Groups of the project besides the default ones, which must exist.
    pub groups: BTreeSet<GroupName>,
    /// Groups wanted unless told otherwise, if they exist: `tool.uv.default-groups`, or `dev`.
    pub default_groups: BTreeSet<GroupName>,
    /// Leaves out the group `dev`, as `uv sync --no-dev`.
    pub no_dev: bool,
    /// Packages that are not installed though their dependencies are: local projects that are copied as source.
    pub without: BTreeSet<PackageName>,
}

impl Default for Options {
    /// Returns what `uv sync` would install: the project next to the lock, its group `dev`, no extras.
    fn default() -> Self {
        Self {
            project: None,
            extras: BTreeSet::new(),
            groups: BTreeSet::new(),
            default_groups: BTreeSet::from([dev()]),
            no_dev: false,
            without: BTreeSet::new(),
        }
    }
}

/// Returns the name of the group `dev`.
pub(super) fn dev() -> GroupName {
    "dev".parse().expect("`dev` is a normal name")
}

impl Options {
    /// Returns the groups that are wanted, if they exist.
    pub(super) fn all_groups(&self) -> BTreeSet<&GroupName> {
        let dev = dev();
        let wanted = |group: &&GroupName| !self.no_dev || **group != dev;
        let groups = self.groups.iter().chain(&self.default_groups);
        groups.filter(wanted).collect()
    }
}

/// A wheel to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The name of the package.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
    /// The name of the file.
    pub filename: WheelName,
    /// The address that the lock gives.
    pub url: String,
    /// Its size in bytes, if the lock knows.
    pub size: Option<u64>,
    /// Its digest.
    pub digest: Digest,
}

/// Why a lock does not give what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The lock has packages, but no project.
    #[error("uv.lock holds no local project")]
    NoProject,
    /// The project that was asked for is not a local one of the lock.
    #[error("uv.lock holds no local project `{0}`")]
    UnknownProject(PackageName),
    /// The extra that was asked for does not exist.
    #[error("no extra `{0}` in uv.lock")]
    UnknownExtra(ExtraName),
    /// The group that was asked for does not exist.
    #[error("no dependency group `{0}` in uv.lock")]
    UnknownGroup(GroupName),
    /// Two things were asked for that `tool.uv.conflicts` keeps apart.
    #[error("{first} and {second} are declared as conflicting: only one can be installed")]
    Conflict {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// The lock is for other versions of Python.
    #[error("uv.lock is for Python {wanted}: the image has {found}")]
    Python {
        /// What the lock requires.
        wanted: VersionSpecifiers,
        /// What the image has.
        found: Version,
    },
    /// The lock is for other environments.
    #[error(
        "uv.lock is only for `{supported}`, which does not hold on {platform} with Python {python}"
    )]
    Environment {
        /// The environments of the lock.
        supported: String,
        /// The platform.
        platform: Platform,
        /// The version of Python.
        python: Version,
    },
    /// An edge leads to a package that is not there.
    #[error("{from} depends on `{name}`, which uv.lock does not hold for this target")]
    Dangling {
        /// Who depends.
        from: String,
        /// On what.
        name: PackageName,
    },
    /// An edge could mean several packages.
    #[error("{from} depends on `{name}`, of which uv.lock holds several for this target")]
    Ambiguous {
        /// Who depends.
        from: String,
        /// On what.
        name: PackageName,
    },
    /// Two versions of one package are needed at once.
    #[error("{name} is needed as {first} and as {second} at once")]
    Twice {
        /// The package.
        name: PackageName,
        /// One version.
        first: String,
        /// Another version.
        second: String,
    },
    /// There are wheels, but none that runs here.
    #[error(
        "{package}: no wheel for CPython {python} on {platform} with glibc {glibc}; there are {wheels}"
    )]
    NoWheel {
        /// The package.
        package: String,
        /// The version of Python.
        python: String,
        /// The platform.
        platform: Platform,
        /// The version of glibc.
        glibc: String,
        /// The wheels there are.
        wheels: String,
    },
    /// There are no wheels at all.
    #[error(
        "{package}: uv.lock holds no wheel of it, only a source distribution, and building one is not supported yet"
    )]
    SourceOnly {
        /// The package.
        package: String,
    },
    /// The package comes as source from somewhere else than an index.
    #[error("{package}: its source (`{kind}`) has to be built, which is not supported yet")]
    MustBeBuilt {
        /// The package.
        package: String,
        /// The kind of source.
        kind: &'static str,
    },
    /// The wheel is a local file.
    #[error("{package}: wheel `{file}` is a local file, which is not supported yet")]
    LocalFile {
        /// The package.
        package: String,
        /// The file.
        file: String,
    },
    /// The lock does not say what the wheel must hash to, or by an algorithm that is not read.
    #[error("{package}: wheel `{file}` has hash `{found}` in uv.lock: wanted sha256")]
    Hash {
        /// The package.
        package: String,
        /// The file.
        file: String,
        /// What the lock says.
        found: String,
    },
    /// The wheel is one of another package.
    #[error("{package}: uv.lock lists wheel `{file}`, which is of another package or version")]
    Foreign {
        /// The package.
        package: String,
        /// The file.
        file: String,
    },
}

impl Diagnose for SelectError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoProject | Self::UnknownProject(_) => {
                "let `python.project` name the folder that holds pyproject.toml and uv.lock".to_owned()
            }
            Self::UnknownExtra(_) | Self::UnknownGroup(_) => {
                "correct its name in the recipe, or add it to pyproject.toml and run `uv lock`".to_owned()
            }
            Self::Conflict { .. } => "ask for only one of them in the recipe".to_owned(),
            Self::Python { .. } => {
                "install another Python in the image, or change requires-python and run `uv lock`".to_owned()
            }
            Self::Environment { .. } => {
                "add the platform to tool.uv.environments and run `uv lock`".to_owned()
            }
            Self::Dangling { .. } | Self::Ambiguous { .. } | Self::Twice { .. } | Self::Hash { .. } | Self::Foreign { .. } => {
                "run `uv lock`".to_owned()
            }
            Self::NoWheel { package, .. } | Self::SourceOnly { package } => {
                let name = package.split(' ').next().unwrap_or(package);
                format!(
                    "take a version that has one: `uv lock --upgrade-package {name}`, or `uv add '{name}<VERSION'`; \
                     or publish a wheel of it in your own index"
                )
            }
            Self::MustBeBuilt { .. } | Self::LocalFile { .. } => {
                "publish a wheel of it in an index; or, for a project of your own, copy its source with [[copy]] and \
                 add it to PYTHONPATH"
                    .to_owned()
            }
        })
    }
}

/// Returns the wheels that `lock` means for `target`, sorted by name.
///
/// # Errors
/// [`SelectError`] if the lock is not for this target, what `options` ask for is not in it, or a package has no wheel
/// that runs there.
pub fn select(
    lock: &UvLock,
    target: &Target,
    options: &Options,
) -> Result<Vec<Selected>, SelectError> {
    let platform = Platform { arch: target.arch };
    let environment = Environment::of(&target.python, target.arch);
    if let Some(wanted) = &lock.requires_python
        && !wanted.contains(&target.python)
    {
        return Err(SelectError::Python {
            wanted: wanted.clone(),
            found: target.python.clone(),
        });
    }
    let supported = &lock.supported_markers;
    let holds = |marker| environment.holds(marker, &Active::default());
    if !supported.is_empty() && !supported.iter().any(holds) {
        let texts: Vec<_> = supported.iter().map(ToString::to_string).collect();
        return Err(SelectError::Environment {
            supported: texts.join("` or `"),
            platform,
            python: target.python.clone(),
        });
    }
    let needed = needed(lock, &environment, options)?;
    let tags = Tags::of(&target.python, target.glibc, target.arch);
    let mut selected: BTreeMap<PackageName, Selected> = BTreeMap::new();
    for package in needed.packages {
        let is_root = needed.roots.iter().any(|root| std::ptr::eq(*root, package));
        let is_virtual = matches!(package.source, Source::Virtual(_));
        if is_root || is_virtual || options.without.contains(&package.name) {
            continue;
        }
        let wheel = wheel_of(package, target, &tags)?;
        let second = wheel.version.to_string();
        if let Some(first) = selected.insert(package.name.clone(), wheel) {
            return Err(SelectError::Twice {
                name: package.name.clone(),
                first: first.version.to_string(),
                second,
            });
        }
    }
    Ok(selected.into_values().collect())
}

/// Returns the best wheel of `package`: the best tag, then the greatest build tag, then the first in the lock.
fn wheel_of(package: &Package, target: &Target, tags: &Tags) -> Result<Selected, SelectError> {
    let shown = package.to_string();
    match package.source {
        Source::Registry(_) | Source::Url { .. } => {}
        Source::Path(_) if !package.wheels.is_empty() => {}
        _ => {
            return Err(SelectError::MustBeBuilt {
                package: shown,
                kind: package.source.kind(),
            });
        }
    }
    if package.wheels.is_empty() {
        return Err(SelectError::SourceOnly { package: shown });
    }
    let mut best: Option<(super::tags::Fit, WheelName, &File)> = None;
    for file in &package.wheels {
        // A name that is no wheel's runs nowhere.
        let Some(name) = file.name().and_then(|name| name.parse::<WheelName>().ok()) else {
            continue;
        };
        let Some(fit) = tags.fit(&name) else { continue };
        if best.as_ref().is_none_or(|(best, ..)| fit > *best) {
            best = Some((fit, name, file));
        }
    }
    let Some((_, filename, file)) = best else {
        return Err(no_wheel(package, target));
    };
    if *filename.name() != package.name || package.version.as_ref() != Some(filename.version()) {
        return Err(SelectError::Foreign {
            package: shown,
            file: filename.to_string(),
        });
    }
    let url = match &package.source {
        Source::Url { url, .. } => Some(url),
        _ => file.url.as_ref(),
    };
    let Some(url) = url.filter(|url| url.contains("://")) else {
        return Err(SelectError::LocalFile {
            package: shown,
            file: filename.to_string(),
        });
    };
    let hash = file.hash.as_deref().unwrap_or_default();
    let digest = hash.parse().map_err(|_| SelectError::Hash {
        package: shown,
        file: filename.to_string(),
        found: hash.to_owned(),
    })?;
    Ok(Selected {
        name: package.name.clone(),
        version: filename.version().clone(),
        filename,
        url: url.clone(),
        size: file.size,
        digest,
    })
}

/// Describes what was wanted and what there is.
fn no_wheel(package: &Package, target: &Target) -> SelectError {
    const SHOWN: usize = 6;
    let names: Vec<_> = package.wheels.iter().filter_map(File::name).collect();
    // The nearest misses first: those for this processor.
    let (near, far): (Vec<_>, Vec<_>) = names
        .into_iter()
        .partition(|name| name.contains(target.arch.rpm()) || name.ends_with("-any.whl"));
    let total = near.len() + far.len();
    let mut wheels: Vec<_> = near.into_iter().chain(far).take(SHOWN).collect();
    if total > SHOWN {
        wheels.push(format!("and {} more", total - SHOWN));
    }
    SelectError::NoWheel {
        package: package.to_string(),
        python: minor(&target.python),
        platform: Platform { arch: target.arch },
        glibc: format!("{}.{}", target.glibc.0, target.glibc.1),
        wheels: wheels.join(", "),
    }
}
