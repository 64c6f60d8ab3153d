//! What rebuilding an image needs beside its inputs and its source tree, as an artifact that refers to the image.
//!
//! ```text
//! image (index or manifest) ◀─ subject ─ manifest, artifactType application/vnd.imgbuild.rebuild.v1
//!                                          ├─ rebuild.json   imgbuild, format, platforms, stage, arguments, epoch, revision
//!                                          ├─ recipe.toml    as it was written
//!                                          ├─ recipe.lock    as it was written
//!                                          ├─ source.json    every copied file with its digest and mode
//!                                          └─ …              files of the project that locking used: uv.lock, keys
//! ```
//!
//! It stands beside the image, never inside: an image has one digest, however and by whomever it is recorded. The same
//! build gives the same artifact; no time, user, host or path of a machine is in it. Build arguments are: they are no
//! place for secrets.

mod error;
mod listing;
mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use error::ProvenanceError;
pub use read::Found;

use crate::image::rfc3339;
use crate::lock::Lock;
use crate::oci::artifact::{Artifact, EMPTY, Referrer, empty};
use crate::oci::{Descriptor, Platform, json};
use crate::recipe::{ArgError, Args, Recipe, Stage};
use crate::source::SourceList;

/// The type of the artifact.
pub const ARTIFACT_TYPE: &str = "application/vnd.imgbuild.rebuild.v1";
/// What the types of all versions begin with.
const ANY_VERSION: &str = "application/vnd.imgbuild.rebuild.v";

/// Tells whether an artifact is the record of a build, of whatever version.
#[must_use]
pub fn is_record(artifact_type: &str) -> bool {
    artifact_type.starts_with(ANY_VERSION)
}

/// The media type of [`Statement`].
const STATEMENT: &str = "application/vnd.imgbuild.statement.v1+json";
/// The media type of the recipe.
const RECIPE: &str = "application/vnd.imgbuild.recipe.v1+toml";
/// The media type of the lock.
pub(crate) const LOCK: &str = "application/vnd.imgbuild.lock.v1+toml";
/// The media type of the source listing.
const SOURCE: &str = "application/vnd.imgbuild.source.v1+json";
/// The media type of a file that locking used.
const FILE: &str = "application/vnd.imgbuild.file.v1";

/// The annotation with a blob's file name, by which other tools unpack artifacts.
///
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
pub(crate) const TITLE: &str = "org.opencontainers.image.title";
/// The annotation with the commit.
const REVISION: &str = "org.opencontainers.image.revision";
/// The annotation with the time: the image's own.
const CREATED: &str = "org.opencontainers.image.created";

/// How an image was built.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// What recipe and lock do not say.
    pub statement: Statement,
    /// The recipe.
    pub recipe: Written<Recipe>,
    /// Its lock.
    pub lock: Written<Lock>,
    /// What the copy rules found; nothing in the builder stage.
    pub source: SourceList,
    /// Files beside the recipe that locking used, by their path from its folder: `uv.lock`, `pyproject.toml`, keys.
    ///
    /// In what was read, the names are somebody else's: keys to look up, not paths to write to.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A document as it was written, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Written<T> {
    /// The text.
    pub text: String,
    /// What it says.
    pub value: T,
}

/// What recipe and lock do not say of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The version of imgbuild.
    pub imgbuild: String,
    /// The output format, which is the lock's.
    pub format: u32,
    /// What was built, in the order of the index.
    pub platforms: Vec<Platform>,
    /// Which stage.
    pub stage: Stage,
    /// Every declared build argument and its value. Not secret.
    pub args: BTreeMap<String, String>,
    /// The creation time in use, seconds since 1970 UTC: the lock's, or `SOURCE_DATE_EPOCH`.
    pub epoch: i64,
    /// The commit of the recipe's folder, if it is under version control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its hexadecimal name.
    pub commit: String,
    /// Whether recipe, lock or a copied file was not as in the commit.
    pub dirty: bool,
}

/// An artifact with all its bytes, ready to be put beside an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its manifest, as a list of referrers holds it.
    pub referrer: Referrer,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// What the manifest names, the empty config included.
    pub blobs: Vec<(Descriptor, Vec<u8>)>,
}

impl Provenance {
    /// Returns the artifact that refers to `subject`: the image's index or its only manifest.
    #[must_use]
    pub fn artifact(&self, subject: &Descriptor) -> Attachment {
        let named = |media_type: &str, title: &str, bytes: Vec<u8>| {
            let mut descriptor = Descriptor::of(media_type, &bytes);
            descriptor
                .annotations
                .insert(TITLE.to_owned(), title.to_owned());
            (descriptor, bytes)
        };
        let mut blobs = vec![
            named(STATEMENT, "rebuild.json", json::canonical(&self.statement)),
            named(RECIPE, "recipe.toml", self.recipe.text.clone().into_bytes()),
            named(LOCK, "recipe.lock", self.lock.text.clone().into_bytes()),
            named(SOURCE, "source.json", listing::write(&self.source)),
        ];
        let files = self.files.iter();
        blobs.extend(files.map(|(name, bytes)| named(FILE, name, bytes.clone())));
        let mut annotations = BTreeMap::from([(CREATED.to_owned(), rfc3339(self.statement.epoch))]);
        if let Some(revision) = &self.statement.revision {
            annotations.insert(REVISION.to_owned(), revision.to_string());
        }
        let artifact = Artifact {
            artifact_type: ARTIFACT_TYPE,
            subject,
            blobs: blobs
                .iter()
                .map(|(descriptor, _)| descriptor.clone())
                .collect(),
            annotations,
        };
        let (referrer, manifest) = artifact.manifest();
        blobs.push((empty(), EMPTY.to_vec()));
        Attachment {
            referrer,
            manifest,
            blobs,
        }
    }

    /// Returns the build arguments, ready for the build.
    ///
    /// # Errors
    /// [`ArgError`] if they are not those that the recipe declares.
    pub fn args(&self) -> Result<Args, ArgError> {
        Args::settle(&self.recipe.value, &self.statement.args, |_| None)
    }
}

impl std::fmt::Display for Revision {
    /// Writes the commit, with `-dirty` behind it as `git describe` does.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.commit)?;
        if self.dirty {
            f.write_str("-dirty")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
