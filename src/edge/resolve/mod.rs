//! `imgbuild lock`: the only place where names become bytes.
//!
//! Base first; its own packages decide the repositories and the versions; what is already pinned stays.

mod error;
mod metadata;
mod packages;
mod pins;
mod python;
mod repositories;
mod update;

use std::collections::{BTreeMap, BTreeSet};

use super::Edges;
use super::base::{Base, BaseShop};
use super::image_source::ImageSource;
use super::project::Project;
use crate::image::parse_rfc3339;
use crate::lock::{self, Lock};
use crate::oci::{Digest, Platform};
use crate::recipe::Recipe;

pub use error::ResolveError;
pub use update::{Update, UpdateError};

/// Resolves a project; pins of `old` that still hold stay, but for what `update` names.
///
/// # Errors
/// [`ResolveError`] with the input it is about.
pub async fn resolve(
    project: &Project,
    old: Option<&Lock>,
    update: &Update,
    edges: &Edges<'_>,
) -> Result<Lock, ResolveError> {
    let recipe = &project.recipe;
    let (base, bases) = resolve_base(project, old, update, edges).await?;

    let mut parts = BTreeMap::new();
    for (pinned, base_of) in base.platforms.iter().zip(&bases) {
        let part = packages::resolve(project, pinned.platform, base_of, old, update, edges).await?;
        parts.insert(pinned.platform, part);
    }

    let files = project.python()?;
    let (python, wheels) = match (&recipe.python, &files) {
        (Some(section), Some(files)) => {
            let interpreters = parts
                .iter()
                .map(|(&platform, part)| Ok((platform, part.interpreter(section)?)))
                .collect::<Result<BTreeMap<_, _>, ResolveError>>()?;
            let (python, wheels) = python::select(section, files, &interpreters)?;
            (Some(python), wheels)
        }
        _ => (None, Vec::new()),
    };

    Ok(assemble(recipe, base, &bases, parts, python, wheels))
}

/// Pins the base and reads it on every platform.
async fn resolve_base(
    project: &Project,
    old: Option<&Lock>,
    update: &Update,
    edges: &Edges<'_>,
) -> Result<(lock::Base, Vec<Base>), ResolveError> {
    let image = &project.recipe.base.image;
    let source = image.parse::<ImageSource>()?.seen_from(&project.folder);
    let shop = BaseShop {
        reference: image,
        source: &source,
        registry: edges.registry,
        store: edges.store,
        progress: edges.progress,
    };
    let kept = old
        .map(|old| &old.base)
        .filter(|base| base.image == *image && !update.base());
    let (top, platforms) = shop
        .resolve(
            kept.map(|base| lock::Blob {
                digest: base.digest,
                size: base.size,
            }),
            &project.recipe.image.platforms,
        )
        .await?;
    let mut bases = Vec::new();
    for platform in &platforms {
        bases.push(shop.load(platform).await?);
    }
    Ok((
        lock::Base {
            image: image.clone(),
            digest: top.digest,
            size: top.size,
            platforms,
        },
        bases,
    ))
}

/// Merges what the platforms have in common and puts everything in order.
fn assemble(
    recipe: &Recipe,
    base: lock::Base,
    bases: &[Base],
    parts: BTreeMap<Platform, packages::Part>,
    python: Option<lock::Python>,
    wheels: Vec<lock::Wheel>,
) -> Lock {
    let created = |base: &Base| parse_rfc3339(base.image.config.get("created")?.as_str()?);
    // The newest input: an image cannot be older than what it is made of.
    let newest_base = bases.iter().filter_map(created).max();
    let newest_rpm = parts.values().map(|part| part.newest).max();
    let epoch = newest_base
        .into_iter()
        .chain(newest_rpm)
        .max()
        .unwrap_or(crate::layer::node::MADE_MTIME);

    let mut repositories = Vec::new();
    let mut keys = BTreeMap::new();
    let mut rpms: BTreeMap<(String, String, Digest), lock::Rpm> = BTreeMap::new();
    let mut erased: BTreeMap<(String, String), lock::Erased> = BTreeMap::new();
    let mut scriptlets = BTreeSet::new();
    for (_, part) in parts {
        repositories.extend(part.repositories);
        keys.extend(
            part.keys
                .into_iter()
                .map(|key| (key.fingerprint.clone(), key)),
        );
        scriptlets.extend(part.scriptlets);
        for gone in part.erased {
            let at = (gone.name.clone(), gone.nevra());
            match erased.get_mut(&at) {
                Some(same) => {
                    same.builder.extend(gone.builder);
                    same.runtime.extend(gone.runtime);
                }
                None => {
                    erased.insert(at, gone);
                }
            }
        }
        for rpm in part.rpms {
            let at = (rpm.name.clone(), rpm.arch.clone(), rpm.digest);
            match rpms.get_mut(&at) {
                // A noarch package of both platforms is one input.
                Some(same) => {
                    same.builder.extend(rpm.builder);
                    same.runtime.extend(rpm.runtime);
                    let wanted: BTreeSet<String> =
                        same.wanted_by.drain(..).chain(rpm.wanted_by).collect();
                    same.wanted_by = wanted.into_iter().collect();
                }
                None => {
                    rpms.insert(at, rpm);
                }
            }
        }
    }
    repositories.sort_by(|a, b| (&a.id, a.platform).cmp(&(&b.id, b.platform)));
    Lock {
        format: lock::FORMAT,
        recipe: recipe.checksum(),
        epoch: epoch.max(crate::layer::node::MADE_MTIME),
        base,
        python,
        repositories,
        keys: keys.into_values().collect(),
        rpms: rpms.into_values().collect(),
        erased: erased.into_values().collect(),
        scriptlets: scriptlets.into_iter().collect(),
        wheels,
    }
}
