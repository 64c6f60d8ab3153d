//! What is claimed to rebuild an image: recipe, lock and settings, attached to the image or brought along.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::VerifyError;
use crate::edge::project::Project;
use crate::lock::Lock;
use crate::oci::{Digest, Platform};
use crate::plan;
use crate::provenance::Provenance;
use crate::recipe::{Args, Stage};
use crate::source::SourceList;

/// What is claimed to rebuild an image.
pub(super) struct Claim {
    /// The recipe; its folder is that of the source tree.
    pub(super) project: Project,
    pub(super) lock: Lock,
    pub(super) args: Args,
    pub(super) epoch: i64,
    pub(super) stage: Stage,
    /// What was built, if that is recorded.
    platforms: Option<Vec<Platform>>,
    /// What was copied, if that is recorded.
    pub(super) listing: Option<SourceList>,
    /// Where the source tree is at hand.
    pub(super) checkout: Option<PathBuf>,
    /// Files beside the recipe that came with the record.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Where it comes from, for people.
    pub(super) told: String,
}

/// What a person brings along.
pub(super) struct Brought<'a> {
    /// A recipe, beside its lock.
    pub(super) recipe: Option<&'a Path>,
    /// The source tree.
    pub(super) source: Option<&'a Path>,
    /// Build arguments.
    pub(super) set: &'a BTreeMap<String, String>,
}

impl Claim {
    /// Reads what is brought; stage, arguments and time are those of the record, where there is one.
    pub(super) fn brought(
        recipe: &Path,
        brought: &Brought<'_>,
        record: Option<&Provenance>,
    ) -> Result<Self, VerifyError> {
        let mut project = Project::open(recipe)?;
        let lock = project.fresh_written_lock()?;
        let same = record.map(|record| record.lock.text == lock.text);
        let told = format!(
            "{} and its lock, format {}{}",
            project.recipe_path.display(),
            lock.value.format,
            match same {
                None => "; none is attached to the image",
                Some(true) => ", the same as attached to the image",
                Some(false) => "; another lock is attached to the image",
            }
        );
        let recorded = record.map(|record| &record.statement);
        let mut set: BTreeMap<String, String> = recorded
            .map(|recorded| recorded.args.clone())
            .unwrap_or_default();
        set.retain(|name, _| project.recipe.args.contains_key(name));
        set.extend(brought.set.clone());
        let checkout = brought.source.unwrap_or(&project.folder).to_owned();
        project.folder.clone_from(&checkout);
        Ok(Self {
            // What the machine's environment says has no part in it.
            args: Args::settle(&project.recipe, &set, |_| None)?,
            epoch: recorded.map_or(lock.value.epoch, |recorded| recorded.epoch),
            stage: recorded.map_or(Stage::Runtime, |recorded| recorded.stage),
            platforms: None,
            listing: record.map(|record| record.source.clone()),
            checkout: Some(checkout),
            files: BTreeMap::new(),
            lock: lock.value,
            project,
            told,
        })
    }

    /// Takes the record that is attached to the image, under `digest`.
    pub(super) fn attached(
        record: &Provenance,
        digest: Digest,
        brought: &Brought<'_>,
    ) -> Result<Self, VerifyError> {
        let (recipe, lock) = (&record.recipe.value, &record.lock.value);
        let uv_lock = lock.python.as_ref().map(|python| python.uv_lock);
        lock.check_fresh("recipe.lock", "imgbuild lock", recipe, uv_lock)
            .map_err(VerifyError::Contradiction)?;
        let statement = &record.statement;
        let commit = statement.revision.as_ref();
        let commit = commit.map_or_else(String::new, |commit| format!(", commit {commit}"));
        let told = format!(
            "attached to the image ({digest}), by imgbuild {}, format {}{commit}",
            statement.imgbuild, statement.format
        );
        let checkout = brought.source.map(Path::to_owned);
        Ok(Self {
            args: record.args()?,
            epoch: statement.epoch,
            stage: statement.stage,
            platforms: Some(statement.platforms.clone()),
            listing: Some(record.source.clone()),
            files: record.files.clone(),
            lock: lock.clone(),
            project: Project {
                folder: checkout.clone().unwrap_or_else(|| PathBuf::from(".")),
                recipe_path: PathBuf::from("recipe.toml"),
                text: record.recipe.text.clone(),
                recipe: recipe.clone(),
            },
            checkout,
            told,
        })
    }

    /// Returns what to rebuild, in the order of the index: what was asked for, else what is recorded, else what the
    /// image `has`.
    pub(super) fn platforms(&self, asked: &[Platform], has: &[Platform]) -> Vec<Platform> {
        match (asked, &self.platforms) {
            ([], Some(recorded)) => recorded.clone(),
            ([], None) => plan::choose(&self.project.recipe, has),
            (asked, _) => plan::choose(&self.project.recipe, asked),
        }
    }
}
