//! The RPM part of a lock: the solution of each stage, the packages themselves, their scriptlets.

use std::collections::{BTreeMap, BTreeSet};

use pep440_rs::Version;

use super::python::Interpreter;
use super::repositories::{self, Opened};
use super::{Edges, ResolveError, Update};
use crate::build::scriptlets::as_locked;
use crate::edge::base::Base;
use crate::edge::fetch::Input;
use crate::edge::project::Project;
use crate::lock::{self, Lock};
use crate::oci::{Digest, Platform};
use crate::recipe::{PythonSection, Recipe, Stage};
use crate::rpm::effects::{self, Transaction};
use crate::rpm::file::PackageFile;
use crate::rpm::header::Header;
use crate::rpm::package::Package;
use crate::rpm::solve::{self, Request, SolveError, Weak, Why};

/// What one platform adds to a lock.
#[derive(Default)]
pub(super) struct Part {
    pub(super) repositories: Vec<lock::Repository>,
    pub(super) keys: Vec<lock::Key>,
    pub(super) rpms: Vec<lock::Rpm>,
    pub(super) erased: Vec<lock::Erased>,
    pub(super) scriptlets: Vec<lock::Scriptlet>,
    /// When the newest package was built, seconds since 1970 UTC.
    pub(super) newest: i64,
    /// Everything the runtime stage holds: the base's packages and the chosen ones.
    runtime: Vec<Package>,
}

impl Part {
    /// Returns what wheels must fit: the versions of the interpreter and of the C library that the image will hold.
    pub(super) fn interpreter(&self, section: &PythonSection) -> Result<Interpreter, ResolveError> {
        let path = format!("/usr/bin/{}", section.interpreter);
        let holds = |package: &&Package| package.files.iter().any(|file| **file == *path);
        let holder = self
            .runtime
            .iter()
            .find(holds)
            .ok_or(ResolveError::NoInterpreter { path: path.clone() })?;
        let glibc = self
            .runtime
            .iter()
            .find(|package| *package.name == *"glibc")
            .ok_or(ResolveError::NoGlibc)?;
        let python: Version = holder
            .evr
            .version
            .parse()
            .map_err(|_| ResolveError::OddVersion(holder.nevra().to_string()))?;
        let mut numbers = glibc.evr.version.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Interpreter {
                python,
                glibc: (major, minor),
            }),
            _ => Err(ResolveError::OddVersion(glibc.nevra().to_string())),
        }
    }
}

/// A package that at least one stage needs.
struct Chosen {
    package: Package,
    url: String,
    stages: BTreeSet<Stage>,
    wanted_by: BTreeSet<String>,
}

/// Resolves the RPMs of one platform.
pub(super) async fn resolve(
    project: &Project,
    platform: Platform,
    base: &Base,
    old: Option<&Lock>,
    update: &Update,
    edges: &Edges<'_>,
) -> Result<Part, ResolveError> {
    let recipe = &project.recipe;
    let rpmdb = base.root.rpm_database()?.ok_or(ResolveError::NoDatabase)?;
    let headers: Vec<Header> = rpmdb
        .packages
        .into_iter()
        .map(|package| package.header)
        .collect();
    let installed = headers
        .iter()
        .map(Package::from_header)
        .collect::<Result<Vec<_>, _>>()?;
    let stages = [Stage::Builder, Stage::Runtime];
    if stages
        .iter()
        .all(|&stage| recipe.stage(stage).is_empty())
    {
        return Ok(Part {
            runtime: installed,
            ..Part::default()
        });
    }
    let requests = stages.map(|stage| request(recipe, platform, stage));
    let mut opened =
        repositories::open(project, platform, base, &headers, old, update, edges).await?;
    let available = opened.packages(&installed, &requests, edges).await?;
    let pinned = pinned_only(&available, old, platform, update);

    let mut chosen: BTreeMap<Digest, Chosen> = BTreeMap::new();
    let mut runtime = installed.clone();
    let mut erased: BTreeMap<Stage, Vec<Package>> = BTreeMap::new();
    for (stage, request) in stages.into_iter().zip(&requests) {
        let solution = match solve::solve(&installed, &pinned, request) {
            // A new request may need something newer than what is pinned.
            Err(SolveError::Unsolvable(_) | SolveError::Unknown { .. })
                if pinned.len() != available.len() =>
            {
                solve::solve(&installed, &available, request)?
            }
            other => other?,
        };
        for met in &solution.met {
            let by = met.by.nevra();
            (edges.tell)(&format!(
                "{platform}: {} is already in the base: {by}",
                met.request
            ));
        }
        erased.insert(
            stage,
            solution.erase.iter().copied().cloned().collect(),
        );
        if stage == Stage::Runtime {
            runtime.retain(|package| !solution.erase.contains(&package));
        }
        for picked in &solution.install {
            let (digest, url) = opened.place_of(picked.package)?;
            let entry = chosen.entry(digest).or_insert_with(|| Chosen {
                package: picked.package.clone(),
                url,
                stages: BTreeSet::new(),
                wanted_by: BTreeSet::new(),
            });
            entry.stages.insert(stage);
            entry.wanted_by.insert(wanted_by(&picked.why));
            if stage == Stage::Runtime {
                runtime.push(picked.package.clone());
            }
        }
    }
    let (part, files) = pin(platform, opened, &chosen, edges).await?;
    Ok(Part {
        erased: erasures(&erased, platform),
        scriptlets: scriptlets(recipe, &headers, &files, &erased)?,
        runtime,
        ..part
    })
}

fn request(recipe: &Recipe, platform: Platform, stage: Stage) -> Request {
    let mut request = Request::new(platform.arch.rpm(), recipe.packages(stage));
    let section = recipe.stage(stage);
    request.upgrade.clone_from(&section.upgrade);
    request.replace.clone_from(&section.replace);
    request.exclude.clone_from(&recipe.rpm.exclude);
    request.prefer.clone_from(&recipe.rpm.prefer);
    request.weak = if recipe.rpm.weak_dependencies {
        Weak::Install
    } else {
        Weak::Skip
    };
    request
}

/// Leaves only the pinned build of every package that is pinned, still there, and not asked to move.
fn pinned_only(
    available: &[Package],
    old: Option<&Lock>,
    platform: Platform,
    update: &Update,
) -> Vec<Package> {
    let pins: BTreeMap<(&str, &str), BTreeSet<Digest>> = old
        .into_iter()
        .flat_map(|old| &old.rpms)
        .filter(|rpm| {
            [Stage::Builder, Stage::Runtime]
                .iter()
                .any(|&stage| rpm.is_in(platform, stage))
                && !update.package(&rpm.name)
        })
        .fold(BTreeMap::new(), |mut pins, rpm| {
            pins.entry((rpm.name.as_str(), rpm.arch.as_str()))
                .or_insert_with(BTreeSet::new)
                .insert(rpm.digest);
            pins
        });
    let digest = |package: &Package| {
        package
            .checksum
            .as_ref()
            .and_then(|checksum| checksum.sha256())
    };
    let still_there: BTreeSet<Digest> = available.iter().filter_map(digest).collect();
    let keep = |package: &&Package| match pins.get(&(&*package.name, &*package.arch)) {
        Some(pinned) if pinned.iter().any(|pin| still_there.contains(pin)) => {
            digest(package).is_some_and(|digest| pinned.contains(&digest))
        }
        _ => true,
    };
    available.iter().filter(keep).cloned().collect()
}

/// Who asked, in the words of a lock.
fn wanted_by(why: &Why) -> String {
    match why {
        Why::Request(request) => format!("\"{request}\""),
        Why::Replaces(name) => name.clone(),
        Why::Upgrades(nevra) => nevra.name.to_string(),
        Why::Requires { by, .. } | Why::Recommends { by, .. } => by.name.to_string(),
        Why::Supplements { dependency } => dependency.clone(),
    }
}

/// Fetches the chosen packages and verifies their signatures; returns them by stage, too.
async fn pin(
    platform: Platform,
    opened: Opened,
    chosen: &BTreeMap<Digest, Chosen>,
    edges: &Edges<'_>,
) -> Result<(Part, BTreeMap<Stage, Vec<PackageFile>>), ResolveError> {
    let inputs = chosen.iter().map(|(&digest, chosen)| Input {
        what: format!("{}.rpm", chosen.package.nevra()),
        urls: vec![chosen.url.clone()],
        digest,
        size: Some(chosen.package.size),
    });
    let blobs = edges
        .fetcher
        .fetch_all(edges.store, inputs.collect(), edges.progress)
        .await?;

    let mut part = Part::default();
    let mut signers = BTreeSet::new();
    let mut files: BTreeMap<Stage, Vec<PackageFile>> = BTreeMap::new();
    for ((&digest, chosen), blob) in chosen.iter().zip(&blobs) {
        let nevra = chosen.package.nevra().to_string();
        let file = PackageFile::open(blob).map_err(|error| ResolveError::Package {
            package: nevra.clone(),
            error,
        })?;
        if file.nevra() != nevra {
            return Err(ResolveError::OtherPackage {
                wanted: nevra,
                found: file.nevra(),
            });
        }
        let signed_by = opened.verify(&chosen.package, &file)?;
        signers.extend(signed_by.clone());
        let build_time = i64::try_from(chosen.package.build_time).unwrap_or_default();
        part.newest = part.newest.max(build_time);
        part.rpms.push(lock::Rpm {
            name: chosen.package.name.to_string(),
            evr: chosen.package.evr.to_string(),
            arch: chosen.package.arch.to_string(),
            repository: opened.id_of(&chosen.package).to_owned(),
            url: chosen.url.clone(),
            size: chosen.package.size,
            digest,
            source: Some(chosen.package.source_rpm.to_string()).filter(|source| !source.is_empty()),
            signed_by,
            builder: chosen
                .stages
                .contains(&Stage::Builder)
                .then_some(platform)
                .into_iter()
                .collect(),
            runtime: chosen
                .stages
                .contains(&Stage::Runtime)
                .then_some(platform)
                .into_iter()
                .collect(),
            wanted_by: chosen.wanted_by.iter().cloned().collect(),
        });
        for &stage in &chosen.stages {
            files.entry(stage).or_default().push(file.clone());
        }
    }
    (part.repositories, part.keys) = opened.finish(&signers);
    Ok((part, files))
}

/// Returns what a lock says of the packages of the base that go.
fn erasures(erased: &BTreeMap<Stage, Vec<Package>>, platform: Platform) -> Vec<lock::Erased> {
    let mut out: BTreeMap<String, lock::Erased> = BTreeMap::new();
    for (stage, packages) in erased {
        for package in packages {
            let entry = out
                .entry(package.nevra().to_string())
                .or_insert_with(|| lock::Erased {
                    name: package.name.to_string(),
                    evr: package.evr.to_string(),
                    arch: package.arch.to_string(),
                    builder: BTreeSet::new(),
                    runtime: BTreeSet::new(),
                });
            match stage {
                Stage::Builder => entry.builder.insert(platform),
                Stage::Runtime => entry.runtime.insert(platform),
            };
        }
    }
    out.into_values().collect()
}

/// Lists what would run, and stops at what nobody knows.
fn scriptlets(
    recipe: &Recipe,
    base: &[Header],
    files: &BTreeMap<Stage, Vec<PackageFile>>,
    erased: &BTreeMap<Stage, Vec<Package>>,
) -> Result<Vec<lock::Scriptlet>, ResolveError> {
    let acknowledged: BTreeSet<String> = recipe.rpm.scriptlets.keys().cloned().collect();
    let mut out = BTreeSet::new();
    for (stage, erased) in erased {
        let gone: BTreeSet<String> = erased.iter().map(|p| p.nevra().to_string()).collect();
        let arriving = files.get(stage).into_iter().flatten();
        let arriving = arriving.map(PackageFile::header).collect();
        let transaction =
            Transaction::new(base, arriving, |header| gone.contains(&header.nevra()));
        let scriptlets = transaction.scriptlets();
        effects::check(&scriptlets, &acknowledged)?;
        out.extend(scriptlets.iter().map(as_locked));
    }
    Ok(out.into_iter().collect())
}
