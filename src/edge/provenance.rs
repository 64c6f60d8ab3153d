//! The record of a build: gathered after a build, and found again beside an image in a registry, layout or archive.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Edges;
use super::build::Job;
use super::image_source::{ImageSource, SourceError};
use super::layout::Layout;
use super::project::ProjectError;
use super::revision::{self, History, Used};
use super::store::FileBlob;
use crate::oci::artifact::Referrer;
use crate::oci::{Descriptor, Digest, Reference};
use crate::provenance::{self, Found, Provenance, ProvenanceError, Statement, Written};
use crate::source::SourceList;

/// Puts together how `job` was built, by a lock that is written as `lock_text`; `source` is what its copy rules found.
///
/// `remark` is told what is not known of the folder's history, and why.
///
/// # Errors
/// [`ProjectError`] if a file that locking used is gone.
pub fn gather(
    job: &Job<'_>,
    lock_text: &str,
    source: &SourceList,
    remark: &dyn Fn(&str),
) -> Result<Provenance, ProjectError> {
    let project = job.project;
    let files = files(job)?;
    let mut used: Vec<(PathBuf, Digest)> = files
        .iter()
        .map(|(name, bytes)| (PathBuf::from(name), Digest::of(bytes)))
        .collect();
    let recipe = (&project.recipe_path, project.text.as_str());
    for (path, text) in [recipe, (&project.lock_path(), lock_text)] {
        // Both lie in the folder.
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        used.push((name, Digest::of(text.as_bytes())));
    }
    let recipe = project.recipe_path.file_name().map(Path::new);
    let history = revision::find(&Used {
        folder: &project.folder,
        recipe: recipe.unwrap_or(&project.recipe_path),
        rules: &project.recipe.copy,
        source,
        files: &used,
    });
    let revision = match history {
        History::At(revision) => Some(revision),
        History::None => None,
        History::Unreadable(why) => {
            remark(&format!("the commit is not recorded: {why}"));
            None
        }
    };
    Ok(Provenance {
        statement: Statement {
            imgbuild: env!("CARGO_PKG_VERSION").to_owned(),
            format: job.lock.format,
            platforms: job.platforms.to_vec(),
            stage: job.stage,
            args: job.args.values().clone(),
            epoch: job.epoch,
            revision,
        },
        recipe: Written {
            text: project.text.clone(),
            value: project.recipe.clone(),
        },
        lock: Written {
            text: lock_text.to_owned(),
            value: job.lock.clone(),
        },
        source: source.clone(),
        files,
    })
}

/// Reads the files beside the recipe that locking used: those of the Python project, and keys.
fn files(job: &Job<'_>) -> Result<BTreeMap<String, Vec<u8>>, ProjectError> {
    let project = job.project;
    let mut names: Vec<String> = Vec::new();
    if let Some(python) = &project.recipe.python {
        for file in ["pyproject.toml", "uv.lock"] {
            let path: PathBuf = Path::new(&python.project)
                .join(file)
                .components()
                .filter(|component| *component != Component::CurDir)
                .collect();
            names.push(path.to_string_lossy().into_owned());
        }
    }
    // A key that is not beside the recipe is in the base, or has a URL.
    let keys = job.lock.keys.iter().map(|key| key.source.clone());
    names.extend(keys.filter(|source| !source.contains("://")));
    let mut files = BTreeMap::new();
    for name in names {
        let path = project.folder.join(&name);
        let bytes = fs::read(&path).map_err(|source| ProjectError::Disk {
            action: "read",
            path,
            source,
        })?;
        files.insert(name, bytes);
    }
    Ok(files)
}

/// Most records that are read: anybody may attach more.
const MOST_RECORDS: usize = 16;

/// Something that refers to an image and is, or says that it is, the record of its build.
pub struct Record {
    /// Its manifest, as a list of referrers holds it.
    pub referrer: Referrer,
    /// What it says, if it can be believed to be such a record.
    pub provenance: Result<Provenance, ProvenanceError>,
}

/// Returns what refers to the image `subject` where `source` has it, sorted by digest.
///
/// # Errors
/// [`SourceError`] if the list cannot be had.
pub async fn referrers(
    source: &ImageSource,
    subject: Digest,
    edges: &Edges<'_>,
) -> Result<Vec<Referrer>, SourceError> {
    match source {
        ImageSource::Registry(reference) => {
            Ok(edges.registry.referrers(reference, subject, None).await?)
        }
        ImageSource::Disk(path) => {
            let companions = Layout::open(path.path())?.referrers(subject)?;
            Ok(companions.into_iter().map(|found| found.referrer).collect())
        }
    }
}

/// Reads the records of the build among `referrers`, those of other versions included; the first sixteen of them.
///
/// # Errors
/// [`SourceError`] if one cannot be had; what is wrong with one that can is in the [`Record`].
pub async fn records(
    source: &ImageSource,
    subject: Digest,
    referrers: &[Referrer],
    edges: &Edges<'_>,
) -> Result<Vec<Record>, SourceError> {
    let is_record = |referrer: &&Referrer| {
        let kind = referrer.artifact_type.as_deref();
        kind.is_some_and(provenance::is_record)
    };
    let mut records = Vec::new();
    for referrer in referrers.iter().filter(is_record).take(MOST_RECORDS) {
        let provenance = match source {
            ImageSource::Registry(reference) => {
                from_registry(reference, subject, referrer, edges).await?
            }
            ImageSource::Disk(path) => from_layout(&Layout::open(path.path())?, subject, referrer)?,
        };
        records.push(Record {
            referrer: referrer.clone(),
            provenance,
        });
    }
    Ok(records)
}

async fn from_registry(
    reference: &Reference,
    subject: Digest,
    referrer: &Referrer,
    edges: &Edges<'_>,
) -> Result<Result<Provenance, ProvenanceError>, SourceError> {
    let digest = referrer.descriptor.digest;
    let manifest = edges.registry.manifest(reference, digest).await?;
    let found = match Found::parse(&manifest, subject) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let mut blobs = BTreeMap::new();
    for descriptor in found.blobs() {
        let (store, progress) = (edges.store, edges.progress);
        let blob = edges.registry.blob(store, reference, descriptor, progress);
        blobs.insert(descriptor.digest, whole(&blob.await?, descriptor));
    }
    Ok(found.read(&blobs))
}

fn from_layout(
    layout: &Layout,
    subject: Digest,
    referrer: &Referrer,
) -> Result<Result<Provenance, ProvenanceError>, SourceError> {
    let manifest = layout.document(&referrer.descriptor)?;
    let found = match Found::parse(&manifest, subject) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let mut blobs = BTreeMap::new();
    for descriptor in found.blobs() {
        blobs.insert(
            descriptor.digest,
            layout.bytes(descriptor, descriptor.size)?,
        );
    }
    Ok(found.read(&blobs))
}

/// Returns the bytes of a blob, whose size is bounded; what cannot be read has none, which its digest tells.
fn whole(blob: &FileBlob, descriptor: &Descriptor) -> Vec<u8> {
    blob.read_all(descriptor.size).unwrap_or_default()
}
