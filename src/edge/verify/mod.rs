//! Verifies an image: gets what is claimed to rebuild it, rebuilds it apart from all that was computed before, compares.
//!
//! Nothing of the cache is believed but inputs by digest, which are hashed again. Layers are made into nothing but their
//! digests; where those are others than the image's, they are made again into a form that can be compared.

mod attached;
mod claim;
mod error;
mod rebuild;
mod signatures;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub use error::VerifyError;

use super::Edges;
use super::build::Images;
use super::image_source::ImageSource;
use super::store::Store;
use super::subject::Subject;
use crate::diagnose::Diagnose as _;
use crate::diff::{Compared, Level};
use crate::oci::{Descriptor, Digest, Platform, PlatformImage};
use crate::plan::{self, Plan};
use crate::recipe::Stage;
use crate::verify::{Rebuilt, Report, Verdict, What};

use attached::Attached;
use claim::{Brought, Claim};
use rebuild::Rebuild;

/// What to verify, and how.
pub struct Request<'a> {
    /// The image.
    pub subject: &'a ImageSource,
    /// A recipe beside its lock, instead of what is attached to the image.
    pub recipe: Option<&'a Path>,
    /// The source tree; that of the recipe's folder if one is brought.
    pub source: Option<&'a Path>,
    /// A bundle to take inputs from.
    pub inputs: Option<&'a ImageSource>,
    /// Only these platforms.
    pub platforms: &'a [Platform],
    /// Build arguments.
    pub set: &'a BTreeMap<String, String>,
    /// How far it must be the same.
    pub required: Level,
    /// Threads that compress.
    pub threads: usize,
    /// Where to write both versions of every file that differs, if anywhere.
    pub report_dir: Option<&'a Path>,
}

/// Verifies an image. The report says how far it went; an early end is part of it.
pub fn verify(
    runtime: &tokio::runtime::Runtime,
    request: &Request<'_>,
    edges: &Edges<'_>,
) -> Report {
    let mut report = Report::new(request.subject.to_string(), request.required);
    if let Err(error) = apart(runtime, request, edges, &mut report) {
        report.stop(error.class(), &error.to_string(), error.hint());
    }
    report
}

/// Gives the work a place of its own, which is gone when it ends.
fn apart(
    runtime: &tokio::runtime::Runtime,
    request: &Request<'_>,
    edges: &Edges<'_>,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let scratch = edges.store.scratch()?;
    let inputs = edges.store.apart(&scratch.path().join("apart"))?;
    // Not even blobs of the cache: what a registry serves now is what is verified.
    let fresh = Store::open(scratch.path().join("subject"))?;
    let theirs = Edges {
        store: &fresh,
        ..*edges
    };
    let work = Work {
        runtime,
        request,
        scratch: scratch.path(),
        theirs,
        ours: Edges {
            store: &inputs,
            ..*edges
        },
    };
    work.run(report)
}

/// A verification under way.
struct Work<'a> {
    runtime: &'a tokio::runtime::Runtime,
    request: &'a Request<'a>,
    scratch: &'a Path,
    /// Where the image goes through.
    theirs: Edges<'a>,
    /// Where inputs are, and what is computed now.
    ours: Edges<'a>,
}

impl Work<'_> {
    fn run(&self, report: &mut Report) -> Result<(), VerifyError> {
        let request = self.request;
        let fetched = Subject::fetch(request.subject, &self.theirs, request.platforms);
        let subject = self.runtime.block_on(fetched)?;
        let top = subject.documents().top.digest;
        report.digest = Some(top);
        let faults = subject.faults()?;
        if !faults.is_empty() {
            return Err(VerifyError::Faults(faults));
        }
        report.check(What::Blobs, true, blobs(&subject));

        let (source, a_recipe) = (request.subject, request.recipe.is_some());
        let attached = Attached::read(source, top, a_recipe, &self.theirs);
        let attached = self.runtime.block_on(attached)?;
        let brought = Brought {
            recipe: request.recipe,
            source: request.source,
            set: request.set,
        };
        let mut claims = Vec::new();
        match (brought.recipe, attached.records.as_slice()) {
            (Some(recipe), records) => {
                let record = records.iter().find_map(|(_, record)| record.as_ref().ok());
                claims.push(Claim::brought(recipe, &brought, record));
            }
            (None, []) => return Err(VerifyError::NoRecipe(subject.name().to_owned())),
            (None, records) => claims.extend(records.iter().map(|(digest, record)| {
                let record = record.as_ref().map_err(Clone::clone)?;
                Claim::attached(record, *digest, &brought)
            })),
        }
        // Builds of several commits may give one image: any record that rebuilds it is proof.
        let begun = report.clone();
        let mut first = None;
        for claim in claims {
            let mut attempt = begun.clone();
            let ended =
                claim.and_then(|claim| self.attempt(&subject, &attached, &claim, &mut attempt));
            if ended.is_ok() && attempt.verdict() == Verdict::Verified {
                *report = attempt;
                return Ok(());
            }
            // What differs says more than a record that is not one.
            let says_more =
                |(_, best): &(Report, Result<(), VerifyError>)| best.is_err() && ended.is_ok();
            if first.as_ref().is_none_or(says_more) {
                first = Some((attempt, ended));
            }
        }
        match first {
            Some((attempt, ended)) => {
                *report = attempt;
                ended
            }
            None => Err(VerifyError::NoRecipe(subject.name().to_owned())),
        }
    }

    /// Rebuilds the image by one claim and compares it.
    fn attempt(
        &self,
        subject: &Subject,
        attached: &Attached,
        claim: &Claim,
        report: &mut Report,
    ) -> Result<(), VerifyError> {
        report.check(What::Recipe, true, claim.told.clone());
        let request = self.request;
        let images = &subject.documents().images;
        let has: Vec<Platform> = images
            .iter()
            .filter_map(|image| image.platform.parse().ok())
            .collect();
        let platforms = claim.platforms(request.platforms, &has);
        let recipe = &claim.project.recipe;
        let plans = plan::plan(recipe, &claim.lock, &platforms, claim.stage)?;
        let rules = match claim.stage {
            Stage::Runtime => recipe.copy.as_slice(),
            Stage::Builder => &[],
        };
        let source = source::find(claim, rules, subject, self.ours.store)?;
        report.check(What::Source, source.holds, source.told);
        report.from_image = source.from_image;
        report.missing = source.missing;

        let needed: BTreeSet<Digest> = plans.iter().flat_map(Plan::needed).collect();
        let count = needed.len();
        let supply = attached.supply(request.inputs, needed.into_iter().collect(), &self.ours);
        let inputs = self.runtime.block_on(supply)?;
        let rebuild = Rebuild {
            runtime: self.runtime,
            claim,
            platforms: &platforms,
            source: &source.tree,
            threads: request.threads,
            report_dir: request.report_dir,
            edges: &self.ours,
        };
        let rebuilt = rebuild.hashed()?;
        let told = format!("{count} inputs, each as the lock pins it");
        report.check(What::Inputs, true, told);
        check_base(claim, images, report);
        let signatures = signatures::check(claim, &plans, inputs.as_ref(), &self.ours);
        let signatures = self.runtime.block_on(signatures)?;
        report.check(What::Signatures, true, signatures);
        self.compare(subject, &rebuild, &rebuilt, report)
    }

    /// Compares digests; where they differ, what they are of.
    fn compare(
        &self,
        subject: &Subject,
        rebuild: &Rebuild<'_>,
        (images, index): &Images,
        report: &mut Report,
    ) -> Result<(), VerifyError> {
        let documents = subject.documents();
        let all = self.request.platforms.is_empty();
        let pair = |found: &PlatformImage| {
            let rebuilt = images.iter().find(|image| found.is_for(image.platform));
            rebuilt.map(|rebuilt| {
                (
                    found.platform.clone(),
                    found.manifest.digest,
                    rebuilt.descriptor.digest,
                )
            })
        };
        let pairs: Vec<_> = documents.images.iter().filter_map(pair).collect();
        let top = |index: &Option<(Descriptor, Vec<u8>)>| match (index, images.as_slice()) {
            (Some((descriptor, _)), _) => Some(descriptor.digest),
            (None, [image]) => Some(image.descriptor.digest),
            _ => None,
        };
        let tops = top(index).map(|rebuilt| [documents.top.digest, rebuilt]);
        let is_index = index.is_some()
            || documents
                .images
                .iter()
                .all(|image| image.manifest.digest != documents.top.digest);
        report.index = tops.filter(|_| all && is_index);
        let same_tops = !all || tops.is_some_and(|[found, rebuilt]| found == rebuilt);
        let complete = pairs.len() == documents.images.len() && pairs.len() == images.len();
        let equal = complete && pairs.iter().all(|(_, found, rebuilt)| found == rebuilt);

        let mut levels = BTreeMap::new();
        if !equal {
            let store = Store::open(self.scratch.join("rebuilt"))?;
            let what = if all {
                Compared::Everything
            } else {
                Compared::Images
            };
            let difference = rebuild.compared(subject, &store, what)?;
            for (platform, difference) in &difference.platforms {
                levels.insert(platform.clone(), difference.level);
            }
            report.difference = Some(difference);
        }
        let mut level = match (complete, same_tops) {
            (false, _) => Level::Differs,
            // The images are the same, and how the index describes them is not.
            (true, false) => Level::Content,
            (true, true) => Level::Digest,
        };
        if !report.missing.is_empty() {
            level = Level::Differs;
        }
        for (platform, found, rebuilt) in pairs {
            let of_it = if found == rebuilt {
                Level::Digest
            } else {
                levels.get(&platform).copied().unwrap_or(Level::Differs)
            };
            level = level.min(of_it);
            report.platforms.push(Rebuilt {
                platform,
                found,
                rebuilt,
                level: of_it,
            });
        }
        report.level = Some(level);
        Ok(())
    }
}

/// Counts what was checked of the image.
fn blobs(subject: &Subject) -> String {
    let documents = subject.documents();
    let mut seen: BTreeMap<Digest, u64> = BTreeMap::new();
    let described = documents
        .images
        .iter()
        .flat_map(|image| [&image.manifest, &image.config]);
    for blob in [&documents.top]
        .into_iter()
        .chain(described)
        .chain(documents.blobs())
    {
        seen.insert(blob.digest, blob.size);
    }
    let bytes: u64 = seen.values().sum();
    format!(
        "{} blobs ({bytes} bytes), each what its descriptor says",
        seen.len()
    )
}

/// Tells whether the lowest layers of every image are the locked ones.
fn check_base(claim: &Claim, images: &[PlatformImage], report: &mut Report) {
    let mut told = Vec::new();
    let mut holds = true;
    for image in images {
        let locked = image.platform.parse().ok();
        let locked = locked.and_then(|platform| claim.lock.base_of(platform));
        let Some(locked) = locked else {
            holds = false;
            told.push(format!("{} is not locked", image.platform));
            continue;
        };
        let wanted = locked.layers.iter().map(|layer| layer.digest);
        let found = image.layers.iter().map(|layer| layer.descriptor.digest);
        let same = wanted.clone().eq(found.take(locked.layers.len()));
        holds &= same;
        if !same {
            told.push(format!(
                "the lowest layers of {} are not those of the locked base {}",
                image.platform, locked.manifest.digest
            ));
        }
    }
    let told = if holds {
        format!(
            "the lowest layers are those of {}, as locked",
            claim.lock.base.image
        )
    } else {
        told.join("; ")
    };
    report.check(What::Base, holds, told);
}
