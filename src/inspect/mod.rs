//! What an image is, for people and for scripts: its documents, and what each layer holds and whose it is.
//!
//! ```text
//! facts     what the config says, field by field
//! contents  what the layers hold, by owner: packages, wheels, copied files
//! text      the same for people
//! compare   where the bytes of two images went
//! ```

mod compare;
mod contents;
mod facts;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

pub use compare::{Comparison, Delta, compare};
pub use contents::{Contents, Held, Holding, InspectError, LayerContents, PathSize, read};
pub use facts::{Facts, Health, LayerFacts};
pub use text::{comparison as comparison_text, size_table, text};

use crate::oci::artifact::Referrer;
use crate::oci::{Digest, ImageDocuments, PlatformImage};
use crate::provenance::Statement;

/// The version of the JSON form; fields may be added to one.
pub const SCHEMA: u32 = 1;

/// What an image is.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The version of this form.
    pub schema: u32,
    /// As it was named.
    pub name: String,
    /// The digest of its index or manifest.
    pub digest: Digest,
    /// The tags that lead to it where it was found, as far as that is known.
    pub tags: Vec<String>,
    /// All its platforms, in the order of the index.
    pub platforms: Vec<PlatformSummary>,
    /// Those that were looked into.
    pub images: Vec<ImageReport>,
    /// What refers to it; none if that could not be found out.
    pub referrers: Option<Vec<ReferrerReport>>,
}

/// A platform of an image.
#[derive(Clone, Debug, Serialize)]
pub struct PlatformSummary {
    /// `linux/amd64`.
    pub platform: String,
    /// The digest of its manifest.
    pub digest: Digest,
}

/// What the image of one platform is.
#[derive(Clone, Debug, Serialize)]
pub struct ImageReport {
    /// `linux/amd64`.
    pub platform: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Bytes of its layers as they are stored and sent.
    pub size: u64,
    /// What its documents say.
    #[serde(flatten)]
    pub facts: Facts,
    /// What its layers hold.
    #[serde(skip)]
    pub contents: Contents,
    /// Its layers, lowest first.
    pub layers: Vec<LayerReport>,
}

/// What a layer is.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// What the documents say.
    #[serde(flatten)]
    pub facts: LayerFacts,
    /// What is in it.
    #[serde(flatten)]
    pub contents: LayerContents,
}

/// Something that refers to an image.
#[derive(Clone, Debug, Serialize)]
pub struct ReferrerReport {
    /// Its manifest.
    #[serde(flatten)]
    pub referrer: Referrer,
    /// What it says, where it is the record of a build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordReport>,
}

/// The record of a build.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordReport {
    /// It can be used to rebuild the image.
    Build(Box<BuildReport>),
    /// It cannot be used, and why.
    Unusable(String),
}

/// How an image says that it was built.
#[derive(Clone, Debug, Serialize)]
pub struct BuildReport {
    /// Versions, platforms, arguments, time, commit.
    #[serde(flatten)]
    pub statement: Statement,
    /// The recipe as it was written.
    pub recipe: String,
    /// How much is locked.
    pub lock: LockSummary,
    /// How many files were copied.
    pub source_files: usize,
    /// Other files that locking used, and their sizes in bytes.
    pub files: BTreeMap<String, u64>,
}

/// How much a lock pins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockSummary {
    /// What the base was locked as.
    pub base: String,
    /// Its digest.
    pub base_digest: Digest,
    /// RPMs, of all stages and platforms.
    pub rpms: usize,
    /// Wheels, of all platforms.
    pub wheels: usize,
    /// Keys that signed them.
    pub keys: usize,
}

impl BuildReport {
    /// Says in short what a record holds.
    #[must_use]
    pub fn of(provenance: &crate::provenance::Provenance) -> Self {
        let lock = &provenance.lock.value;
        let entries = provenance.source.rules.iter().flatten();
        let is_folder =
            |entry: &&crate::source::SourceEntry| entry.kind == crate::source::SourceKind::Dir;
        Self {
            statement: provenance.statement.clone(),
            recipe: provenance.recipe.text.clone(),
            lock: LockSummary {
                base: lock.base.image.clone(),
                base_digest: lock.base.digest,
                rpms: lock.rpms.len(),
                wheels: lock.wheels.len(),
                keys: lock.keys.len(),
            },
            source_files: entries.filter(|entry| !is_folder(entry)).count(),
            files: provenance
                .files
                .iter()
                .map(|(name, bytes)| (name.clone(), bytes.len() as u64))
                .collect(),
        }
    }
}

impl ImageReport {
    /// Puts together what documents say and what was read of the layers.
    #[must_use]
    pub fn new(image: &PlatformImage, contents: Contents) -> Self {
        let facts = image.layers.iter().map(LayerFacts::of);
        let layers = facts
            .zip(&contents.layers)
            .map(|(facts, contents)| LayerReport {
                facts,
                contents: contents.clone(),
            })
            .collect();
        let sizes = image.layers.iter().map(|layer| layer.descriptor.size);
        Self {
            platform: image.platform.clone(),
            digest: image.manifest.digest,
            size: sizes.sum(),
            facts: Facts::of(image),
            contents,
            layers,
        }
    }
}

/// Lists the platforms of an image: those of its index, also where only some of them were opened.
#[must_use]
pub fn platforms(documents: &ImageDocuments) -> Vec<PlatformSummary> {
    let opened = documents.images.iter().map(|image| PlatformSummary {
        platform: image.platform.clone(),
        digest: image.manifest.digest,
    });
    let opened: Vec<_> = opened.collect();
    let Ok(crate::oci::manifest::Document::Index(index)) =
        crate::oci::manifest::Document::parse(&documents.bytes)
    else {
        return opened;
    };
    let named = index.manifests.iter().filter_map(|entry| {
        let platform = entry.platform.as_ref()?;
        let variant = platform.variant.as_ref();
        let variant = variant.map_or_else(String::new, |variant| format!("/{variant}"));
        let named = format!("{}/{}{variant}", platform.os, platform.architecture);
        // Attestations are for no platform.
        (platform.os != "unknown").then_some(PlatformSummary {
            platform: named,
            digest: entry.digest,
        })
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() { opened } else { named }
}
