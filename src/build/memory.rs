//! Remembers what became of the parts of an image, by what went into them: what is the same is not made again.
//!
//! ```text
//! base, packages, user ─▶ system ─▶ venv ─▶ copy
//!                         wheels ───┘        │
//!                         source ────────────┘
//! ```
//! The key of a step stands for everything that decides a byte of it, and so for the steps below it. What is remembered
//! of it is its layers, and what later steps must know of it. Whoever remembers must vouch for both: see [`LayerSink`].

use super::{LayerSink, Workshop};
use crate::accounts::Accounts;
use crate::image::NewLayer;
use crate::layer::write::Layer;
use crate::layer::{Tree, index};
use crate::lock::Lock;
use crate::oci::{DiffId, Digest, json};
use crate::plan::Plan;
use crate::recipe::{Recipe, Stage};
use crate::source::{self, SourceError, SourceList};

/// Which imgbuild this is. What another one remembers may have been made by other rules.
pub(super) const MAKER: &str = concat!(env!("CARGO_PKG_VERSION"), "-", env!("IMGBUILD_SOURCES"));

/// A step as it is remembered.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// Its layers, lowest first.
    pub(super) layers: Vec<NewLayer>,
    /// What a person was told of it.
    pub(super) remarks: Vec<String>,
    /// The image's users after it: `/etc/passwd`.
    pub(super) passwd: Vec<u8>,
    /// What it places.
    pub(super) tree: Tree,
}

/// The part of a memory that is JSON.
#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    layers: Vec<HeadLayer>,
    remarks: Vec<String>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct HeadLayer {
    created_by: String,
    diff_id: DiffId,
    digest: Digest,
    size: u64,
}

impl Memory {
    /// Returns what is remembered under `key`, if all its layers are still there.
    fn recall(key: &Digest, workshop: &Workshop<'_>) -> Option<Self> {
        let media_type = workshop.press.codec().media_type();
        let memory = Self::decode(&workshop.sink.recall(key)?, media_type)?;
        let holds = |new: &NewLayer| workshop.sink.holds(&new.layer);
        memory.layers.iter().all(holds).then_some(memory)
    }

    /// Remembers it under `key`.
    pub(super) fn keep(&self, key: &Digest, sink: &dyn LayerSink) {
        sink.remember(key, &self.encode());
    }

    fn encode(&self) -> Vec<u8> {
        let head = Head {
            layers: self
                .layers
                .iter()
                .map(|new| HeadLayer {
                    created_by: new.created_by.clone(),
                    diff_id: new.layer.diff_id,
                    digest: new.layer.digest,
                    size: new.layer.size,
                })
                .collect(),
            remarks: self.remarks.clone(),
        };
        let mut out = Vec::new();
        let tree = index::encode(&self.tree);
        for part in [&json::canonical(&head), &self.passwd, &tree] {
            out.extend((part.len() as u64).to_le_bytes());
            out.extend_from_slice(part);
        }
        out
    }

    fn decode(mut bytes: &[u8], media_type: &'static str) -> Option<Self> {
        let mut part = || {
            let (length, rest) = bytes.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (part, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            Some(part)
        };
        let head: Head = serde_json::from_slice(part()?).ok()?;
        let layers = head.layers.into_iter().map(|layer| NewLayer {
            layer: Layer {
                digest: layer.digest,
                diff_id: layer.diff_id,
                size: layer.size,
                media_type,
            },
            created_by: layer.created_by,
        });
        Some(Self {
            layers: layers.collect(),
            remarks: head.remarks,
            passwd: part()?.to_vec(),
            tree: index::decode(part()?).ok()?,
        })
    }

    /// Returns the image's users after it.
    pub(super) fn accounts(&self) -> Accounts {
        Accounts::parse(&self.passwd, &[], None, None)
    }
}

/// The steps of an image that were made before: none, or the first, or the first and those after it.
#[derive(Default)]
pub struct Recalled {
    pub(super) system: Option<Memory>,
    pub(super) venv: Option<Memory>,
    pub(super) copy: Option<Memory>,
    is_whole: bool,
}

impl Recalled {
    /// Recalls what it can of the image of `plan`.
    #[must_use]
    pub fn of(
        plan: &Plan<'_>,
        recipe: &Recipe,
        lock: &Lock,
        source: &SourceList,
        workshop: &Workshop<'_>,
    ) -> Self {
        let keys = Keys::of(plan, recipe, lock, workshop);
        let mut recalled = Self {
            system: Memory::recall(&keys.system, workshop),
            ..Self::default()
        };
        let Some(system) = &recalled.system else {
            return recalled;
        };
        if plan.stage == Stage::Builder {
            recalled.is_whole = true;
            return recalled;
        }
        recalled.venv = Memory::recall(&keys.venv, workshop);
        if recalled.venv.is_some()
            && let Ok(tree) = copied(recipe, source, &system.accounts())
        {
            recalled.copy = Memory::recall(&keys.copy(recipe, &tree), workshop);
            recalled.is_whole = recalled.copy.is_some();
        }
        recalled
    }

    /// Tells whether all of the image is remembered, so that nothing of its inputs is needed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Tells whether the packages of the image are needed to make it.
    #[must_use]
    pub fn needs_packages(&self) -> bool {
        self.system.is_none()
    }

    /// Tells whether its wheels are.
    #[must_use]
    pub fn needs_wheels(&self) -> bool {
        self.venv.is_none() && !self.is_whole
    }

    /// Returns all layers that are remembered, and tells what was told of them.
    pub(super) fn layers(self, workshop: &Workshop<'_>) -> Vec<NewLayer> {
        let steps = [self.system, self.venv, self.copy].into_iter().flatten();
        let mut layers = Vec::new();
        for step in steps {
            step.remarks.iter().for_each(|text| (workshop.remark)(text));
            step.layers.iter().for_each(|new| (workshop.finished)(new));
            layers.extend(step.layers);
        }
        layers
    }
}

/// Returns the copied files as entries, before they are placed on the image.
pub(super) fn copied(
    recipe: &Recipe,
    source: &SourceList,
    accounts: &Accounts,
) -> Result<Tree, SourceError> {
    let owner = |name: &str| accounts.user(name).map(|user| (user.uid, user.gid));
    source::lay_out(&recipe.copy, source, owner)
}

/// What steps are found by.
pub(super) struct Keys {
    pub(super) system: Digest,
    pub(super) venv: Digest,
}

impl Keys {
    pub(super) fn of(
        plan: &Plan<'_>,
        recipe: &Recipe,
        lock: &Lock,
        workshop: &Workshop<'_>,
    ) -> Self {
        let codec = format!("{:?}", workshop.press.codec());
        let base: Vec<&DiffId> = plan
            .base
            .layers
            .iter()
            .map(|layer| &layer.diff_id)
            .collect();
        let packages = plan.rpms.iter().map(|rpm| (rpm.nevra(), rpm.digest));
        let packages: Vec<_> = packages.collect();
        let erased = plan.erased.iter().map(|erased| erased.nevra());
        let erased: Vec<_> = erased.collect();
        let of_system = (
            (MAKER, codec, plan.platform, format!("{:?}", plan.stage)),
            (base, packages, erased, lock.epoch, &lock.scriptlets),
            (&recipe.rpm, recipe.packages(plan.stage), &recipe.user),
        );
        let system = Digest::of(&json::canonical(&of_system));
        let wheels = plan
            .wheels
            .iter()
            .map(|wheel| (&wheel.filename, wheel.digest));
        let wheels: Vec<_> = wheels.collect();
        let of_venv = (system, wheels, &lock.python, &recipe.python);
        let venv = Digest::of(&json::canonical(&of_venv));
        Self { system, venv }
    }

    /// Returns the key of the copied files: those in `tree`, before they are placed.
    pub(super) fn copy(&self, recipe: &Recipe, tree: &Tree) -> Digest {
        let tree = Digest::of(&index::encode(tree));
        let of_copy = (self.venv, tree, &recipe.copy, &recipe.config.workdir);
        Digest::of(&json::canonical(&of_copy))
    }
}
