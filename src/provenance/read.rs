//! Reads the artifact as something that anybody may have written: sizes first, then digests, then what it says.

use std::collections::BTreeMap;

use super::error::ProvenanceError;
use super::{
    ARTIFACT_TYPE, FILE, LOCK, Provenance, RECIPE, SOURCE, STATEMENT, Statement, TITLE, Written,
    is_record, listing,
};
use crate::lock::{Lock, LockError};
use crate::oci::artifact::{Referring, empty};
use crate::oci::{Descriptor, Digest};
use crate::recipe::{Recipe, Stage};

/// Most bytes of the statement: arguments are short.
const STATEMENT_LIMIT: u64 = 1 << 20;
/// Most bytes of recipe, lock and files; real ones have a tenth of it.
const TEXT_LIMIT: u64 = 16 << 20;
/// Most bytes of the source listing: some 200 a file.
const SOURCE_LIMIT: u64 = 64 << 20;
/// Most files beside recipe and lock.
const FILES_LIMIT: usize = 64;
/// Most bytes of all together.
const TOTAL_LIMIT: u64 = 128 << 20;
/// The last second of the year 9999, which timestamps can say.
const LAST_EPOCH: i64 = 253_402_300_799;

/// The record of a build, of which only the manifest was read.
#[derive(Clone, Debug)]
pub struct Found {
    config: Descriptor,
    statement: Descriptor,
    recipe: Descriptor,
    lock: Descriptor,
    source: Descriptor,
    files: BTreeMap<String, Descriptor>,
}

impl Found {
    /// Reads the manifest of an artifact that was found beside the image `subject`.
    ///
    /// # Errors
    /// [`ProvenanceError`] if it is no record of that image, is of another version, or wants too much to be read.
    pub fn parse(manifest: &[u8], subject: Digest) -> Result<Self, ProvenanceError> {
        let manifest = Referring::parse(manifest)
            .map_err(|error| ProvenanceError::malformed("the manifest", error))?;
        let kind = manifest.artifact_type().unwrap_or_default();
        if kind != ARTIFACT_TYPE {
            return Err(if is_record(kind) {
                ProvenanceError::Version(kind.to_owned())
            } else {
                ProvenanceError::OtherType(kind.to_owned())
            });
        }
        let found = manifest.subject.map(|subject| subject.digest);
        if found != Some(subject) {
            return Err(ProvenanceError::Subject {
                wanted: subject,
                found,
            });
        }
        let one = |media_type: &str, what: &str, limit: u64| {
            let mut fitting = manifest
                .layers
                .iter()
                .filter(|layer| layer.media_type == media_type);
            let layer = fitting.next().ok_or_else(|| ProvenanceError::Missing {
                what: what.to_owned(),
            })?;
            if fitting.next().is_some() {
                return Err(ProvenanceError::malformed(what, "it is there twice"));
            }
            bounded(layer, what, limit)
        };
        let mut files = BTreeMap::new();
        for layer in manifest.layers.iter().filter(|l| l.media_type == FILE) {
            let name = layer
                .annotations
                .get(TITLE)
                .ok_or_else(|| ProvenanceError::malformed("the manifest", "a file has no name"))?;
            let layer = bounded(layer, name, TEXT_LIMIT)?;
            if files.insert(name.clone(), layer).is_some() {
                return Err(ProvenanceError::malformed(name, "it is there twice"));
            }
        }
        if files.len() > FILES_LIMIT {
            let why = format!("{} files; at most {FILES_LIMIT} are read", files.len());
            return Err(ProvenanceError::malformed("the manifest", why));
        }
        // It says nothing, but every blob of the record is checked.
        let config = manifest.config.clone();
        let config = config
            .filter(|config| *config == empty())
            .ok_or_else(|| ProvenanceError::malformed("the manifest", "its config is not empty"))?;
        let found = Self {
            config,
            statement: one(STATEMENT, "rebuild.json", STATEMENT_LIMIT)?,
            recipe: one(RECIPE, "recipe.toml", TEXT_LIMIT)?,
            lock: one(LOCK, "recipe.lock", TEXT_LIMIT)?,
            source: one(SOURCE, "source.json", SOURCE_LIMIT)?,
            files,
        };
        let size = found.blobs().map(|blob| blob.size).sum();
        if size > TOTAL_LIMIT {
            return Err(ProvenanceError::TooLarge {
                what: "all of it".to_owned(),
                size,
                limit: TOTAL_LIMIT,
            });
        }
        Ok(found)
    }

    /// Returns the blobs to get, whose sizes are bounded.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let Self {
            config,
            statement,
            recipe,
            lock,
            source,
            files,
        } = self;
        [config, statement, recipe, lock, source]
            .into_iter()
            .chain(files.values())
    }

    /// Reads the record out of the blobs that were got, by digest; their bytes are checked here.
    ///
    /// # Errors
    /// [`ProvenanceError`] if bytes are missing or others, or do not make a build.
    pub fn read(self, blobs: &BTreeMap<Digest, Vec<u8>>) -> Result<Provenance, ProvenanceError> {
        let bytes = |what: &str, descriptor: &Descriptor| checked(blobs, what, descriptor);
        let text = |what: &str, descriptor: &Descriptor| {
            let bytes = bytes(what, descriptor)?;
            str::from_utf8(bytes)
                .map(str::to_owned)
                .map_err(|error| ProvenanceError::malformed(what, error))
        };
        bytes("the config", &self.config)?;
        let statement: Statement = serde_json::from_slice(bytes("rebuild.json", &self.statement)?)
            .map_err(|error| ProvenanceError::malformed("rebuild.json", error))?;
        let recipe = text("recipe.toml", &self.recipe)?;
        let lock = text("recipe.lock", &self.lock)?;
        let locked = Lock::parse("recipe.lock", &lock).map_err(|error| match error {
            LockError::Format { found, .. } => ProvenanceError::Format {
                imgbuild: statement.imgbuild.clone(),
                format: found,
            },
            error => ProvenanceError::Lock(error),
        })?;
        let mut files = BTreeMap::new();
        for (name, descriptor) in &self.files {
            files.insert(name.clone(), bytes(name, descriptor)?.to_vec());
        }
        let provenance = Provenance {
            statement,
            recipe: Written {
                value: Recipe::parse(&recipe).map_err(ProvenanceError::Recipe)?,
                text: recipe,
            },
            lock: Written {
                value: locked,
                text: lock,
            },
            source: listing::read(bytes("source.json", &self.source)?)?,
            files,
        };
        check(&provenance)?;
        Ok(provenance)
    }
}

/// Checks that the documents are of one build; that it gives the image, only rebuilding can tell.
fn check(provenance: &Provenance) -> Result<(), ProvenanceError> {
    let bad = |why: String| Err(ProvenanceError::malformed("rebuild.json", why));
    let statement = &provenance.statement;
    if statement.format != provenance.lock.value.format {
        return bad(format!(
            "format {} beside a lock of format {}",
            statement.format, provenance.lock.value.format
        ));
    }
    if !(0..=LAST_EPOCH).contains(&statement.epoch) {
        return bad(format!("epoch {} is no time", statement.epoch));
    }
    let mut platforms = statement.platforms.iter();
    if statement.platforms.is_empty()
        || platforms.any(|&platform| provenance.lock.value.base_of(platform).is_none())
    {
        return bad("it names platforms that the lock does not cover".to_owned());
    }
    if let Err(error) = provenance.args() {
        return bad(error.to_string());
    }
    let rules = match statement.stage {
        Stage::Runtime => provenance.recipe.value.copy.len(),
        Stage::Builder => 0,
    };
    if provenance.source.rules.len() != rules {
        let why = format!(
            "{} rules beside a recipe with {rules}",
            provenance.source.rules.len()
        );
        return Err(ProvenanceError::malformed("source.json", why));
    }
    Ok(())
}

fn bounded(layer: &Descriptor, what: &str, limit: u64) -> Result<Descriptor, ProvenanceError> {
    if layer.size > limit {
        return Err(ProvenanceError::TooLarge {
            what: what.to_owned(),
            size: layer.size,
            limit,
        });
    }
    Ok(layer.clone())
}

fn checked<'a>(
    blobs: &'a BTreeMap<Digest, Vec<u8>>,
    what: &str,
    descriptor: &Descriptor,
) -> Result<&'a [u8], ProvenanceError> {
    let bytes = blobs
        .get(&descriptor.digest)
        .ok_or_else(|| ProvenanceError::Missing {
            what: what.to_owned(),
        })?;
    let found = Digest::of(bytes);
    if found != descriptor.digest || bytes.len() as u64 != descriptor.size {
        return Err(ProvenanceError::Digest {
            what: what.to_owned(),
            wanted: descriptor.digest,
            found,
        });
    }
    Ok(bytes)
}
