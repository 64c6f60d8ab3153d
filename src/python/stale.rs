//! Tells whether a uv.lock is out of step with its pyproject.toml, as `uv lock --check` would.

use std::collections::{BTreeMap, BTreeSet};

use pep440_rs::{VersionSpecifier, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName};

use super::markers::{GroupName, Marker};
use super::pyproject::{Declared, Pyproject};
use super::uv_lock::{Package, Requirement, UvLock};
use crate::diagnose::{Class, Diagnose};

/// How a lock is out of step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// The project was renamed, or its lock is another's.
    #[error("uv.lock is out of step: it does not hold the project `{0}`")]
    Project(PackageName),
    /// The project is for other Python versions now.
    #[error("uv.lock is out of step: it is for Python {locked}, pyproject.toml says {declared}")]
    RequiresPython {
        /// What the lock says.
        locked: VersionSpecifiers,
        /// What the project says.
        declared: VersionSpecifiers,
    },
    /// A dependency, extra or group was added or changed.
    #[error(
        "uv.lock is out of step: {list} of pyproject.toml have `{declared}`, the lock does not"
    )]
    Added {
        /// Which list of dependencies.
        list: String,
        /// The dependency.
        declared: String,
    },
    /// A dependency, extra or group was removed or changed.
    #[error("uv.lock is out of step: it has `{locked}` for {list}, pyproject.toml does not")]
    Removed {
        /// Which list of dependencies.
        list: String,
        /// The dependency.
        locked: String,
    },
}

impl Diagnose for Stale {
    fn class(&self) -> Class {
        Class::No
    }

    fn hint(&self) -> Option<String> {
        Some("run `uv lock`".to_owned())
    }
}

/// Compares `lock` with the pyproject.toml of its project.
///
/// Where a package is taken from is not compared, nor are lists that a build backend computes.
///
/// # Errors
/// [`Stale`] naming the first difference.
pub fn check(lock: &UvLock, pyproject: &Pyproject) -> Result<(), Stale> {
    let Some(project) = &pyproject.project else {
        return Ok(());
    };
    let is_it = |package: &&Package| {
        package.name == project.name && package.source.local_folder().is_some()
    };
    let locked = lock.packages.iter().find(is_it);
    let locked = locked.ok_or_else(|| Stale::Project(project.name.clone()))?;
    if let (Some(found), Some(declared)) = (&lock.requires_python, &project.requires_python) {
        let (left, right) = (as_marker(found), as_marker(declared));
        // A workspace is for the versions that all its members are for.
        let is_workspace = lock.manifest.members.len() > 1;
        if !left.implies(&right) || (!is_workspace && !right.implies(&left)) {
            return Err(Stale::RequiresPython {
                locked: found.clone(),
                declared: declared.clone(),
            });
        }
    }
    let scope = lock
        .requires_python
        .as_ref()
        .map_or_else(Marker::always, as_marker);
    let compare = |list: &str, declared: Vec<Declared>, locked: &[&Requirement]| {
        let declared = declared
            .iter()
            .map(|it| Line::declared(it, pyproject, &scope));
        let locked = locked.iter().map(|it| Line::locked(it, pyproject, &scope));
        difference(list, declared.collect(), locked.collect())
    };
    if let (Some(dependencies), Some(extras)) = (&project.dependencies, &project.extras) {
        let mut declared = dependencies.clone();
        for (extra, more) in extras {
            let only = format!("extra == '{extra}'").parse();
            let only = only.unwrap_or_else(|_| Marker::always());
            declared.extend(more.iter().cloned().map(|mut it| {
                it.marker = it.marker.and(&only);
                it
            }));
        }
        let locked: Vec<_> = locked.metadata.requires_dist.iter().collect();
        compare("the dependencies", declared, &locked)?;
    }
    // Since revision 1 the lock names every extra, since revision 4 every group, the empty ones too.
    if let (Some(declared), Some(locked)) = (&project.extras, &locked.metadata.provides_extras) {
        same_names(
            "the extras",
            declared.keys().collect(),
            locked.iter().collect(),
        )?;
    }
    let groups = &locked.metadata.requires_dev;
    if lock.revision >= 4 {
        same_names(
            "the groups",
            pyproject.groups.keys().collect(),
            groups.keys().collect(),
        )?;
    }
    let names = pyproject.groups.keys().chain(groups.keys());
    for name in names {
        let declared = pyproject.groups.get(name).cloned().unwrap_or_default();
        let locked: Vec<_> = groups.get(name).into_iter().flatten().collect();
        compare(&group_list(name), declared, &locked)?;
    }
    Ok(())
}

fn same_names(
    list: &str,
    declared: BTreeSet<&ExtraName>,
    locked: BTreeSet<&ExtraName>,
) -> Result<(), Stale> {
    let list = list.to_owned();
    if let Some(name) = declared.difference(&locked).next() {
        let declared = name.to_string();
        return Err(Stale::Added { list, declared });
    }
    if let Some(name) = locked.difference(&declared).next() {
        let locked = name.to_string();
        return Err(Stale::Removed { list, locked });
    }
    Ok(())
}

fn group_list(name: &GroupName) -> String {
    format!("the dependencies of group `{name}`")
}

/// Returns the environments whose Python is one of `specifiers`.
fn as_marker(specifiers: &VersionSpecifiers) -> Marker {
    specifiers.iter().fold(Marker::always(), |all, specifier| {
        let text = specifier.to_string();
        let at = text.find(|c: char| !"=<>!~".contains(c)).unwrap_or(0);
        let (operator, version) = text.split_at(at);
        let one = format!("python_full_version {operator} '{}'", version.trim());
        all.and(&one.parse().unwrap_or_else(|_| Marker::always()))
    })
}

/// A dependency in the form that is compared, and as it is shown.
struct Line {
    name: PackageName,
    extras: Vec<String>,
    /// None if `tool.uv.sources` may replace the versions by a place, and split one entry by markers into several.
    condition: Option<(Vec<VersionSpecifier>, Marker)>,
    shown: String,
}

impl Line {
    fn declared(it: &Declared, pyproject: &Pyproject, scope: &Marker) -> Self {
        let extras = it.extras.iter().map(ToString::to_string).collect();
        let specifier = it.specifier.as_ref().filter(|_| !it.is_direct);
        Self::new(&it.name, extras, specifier, &it.marker, pyproject, scope)
    }

    fn locked(it: &Requirement, pyproject: &Pyproject, scope: &Marker) -> Self {
        let mut extras: Vec<_> = it.extras.iter().map(ToString::to_string).collect();
        extras.sort();
        let always = Marker::always();
        let marker = it.marker.as_ref().unwrap_or(&always);
        Self::new(
            &it.name,
            extras,
            it.specifier.as_ref(),
            marker,
            pyproject,
            scope,
        )
    }

    fn new(
        name: &PackageName,
        extras: Vec<String>,
        specifier: Option<&VersionSpecifiers>,
        marker: &Marker,
        pyproject: &Pyproject,
        scope: &Marker,
    ) -> Self {
        let versions: Vec<VersionSpecifier> =
            specifier.iter().flat_map(|it| it.iter()).cloned().collect();
        let mut texts: Vec<_> = versions.iter().map(ToString::to_string).collect();
        texts.sort();
        let mut shown = name.to_string();
        if !extras.is_empty() {
            shown = format!("{shown}[{}]", extras.join(","));
        }
        shown.push_str(&texts.join(","));
        let condition = marker.to_string();
        if !condition.is_empty() {
            shown = format!("{shown} ; {condition}");
        }
        Self {
            name: name.clone(),
            extras,
            condition: (!pyproject.redirected.contains(name))
                .then(|| (versions, marker.and(scope))),
            shown,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let is_same = match (&self.condition, &other.condition) {
            (Some((ours, here)), Some((theirs, there))) => {
                // By version, not by text: `8.0` is `8`.
                let within = |some: &[VersionSpecifier], all: &[VersionSpecifier]| {
                    some.iter().all(|it| all.contains(it))
                };
                here == there && within(ours, theirs) && within(theirs, ours)
            }
            (ours, theirs) => ours.is_none() == theirs.is_none(),
        };
        is_same && self.name == other.name && self.extras == other.extras
    }
}

fn difference(list: &str, declared: Vec<Line>, locked: Vec<Line>) -> Result<(), Stale> {
    let by_name = |lines: &[Line]| {
        let mut names: BTreeMap<PackageName, Vec<usize>> = BTreeMap::new();
        for (at, line) in lines.iter().enumerate() {
            names.entry(line.name.clone()).or_default().push(at);
        }
        names
    };
    let (ours, theirs) = (by_name(&declared), by_name(&locked));
    let missing = |lines: &[Line], others: &[Line], index: &BTreeMap<PackageName, Vec<usize>>| {
        let missing = lines.iter().find(|line| {
            let candidates = index.get(&line.name).into_iter().flatten();
            !candidates
                .filter_map(|&at| others.get(at))
                .any(|other| line.is_same(other))
        });
        missing.map(|line| line.shown.clone())
    };
    let list = list.to_owned();
    if let Some(declared) = missing(&declared, &locked, &theirs) {
        return Err(Stale::Added { list, declared });
    }
    if let Some(locked) = missing(&locked, &declared, &ours) {
        return Err(Stale::Removed { list, locked });
    }
    Ok(())
}
