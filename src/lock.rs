//! What is pinned: `recipe.lock`, every byte that can reach an image, by digest.
//!
//! One block per input in a stable order, so that a change reads well in a review.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::diagnose::{Class, Diagnose};
use crate::oci::{Descriptor, DiffId, Digest, Platform};
use crate::recipe::{Recipe, Stage};

/// The format this imgbuild writes: anything that changes one output byte is a new one.
pub const FORMAT: u32 = 1;

/// The name of a lock, beside its recipe.
pub const FILE_NAME: &str = "recipe.lock";

/// A lock: the inputs of a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lock {
    /// The output format; see [`FORMAT`].
    pub format: u32,
    /// The checksum of the recipe this was made from.
    pub recipe: Digest,
    /// The image's creation time, derived from its inputs: seconds since 1970 UTC.
    pub epoch: i64,
    /// The base image.
    pub base: Base,
    /// The Python project, if the recipe has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<Python>,
    /// The repositories the RPMs come from, by platform and id.
    #[serde(default, rename = "repository", skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<Repository>,
    /// The keys that signed them, by fingerprint.
    #[serde(default, rename = "key", skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
    /// The RPMs, by name, architecture and version.
    #[serde(default, rename = "rpm", skip_serializing_if = "Vec::is_empty")]
    pub rpms: Vec<Rpm>,
    /// The packages of the base that go, by name.
    #[serde(default, rename = "erased", skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<Erased>,
    /// The scriptlets and triggers of the RPMs and what becomes of each.
    #[serde(default, rename = "scriptlet", skip_serializing_if = "Vec::is_empty")]
    pub scriptlets: Vec<Scriptlet>,
    /// The wheels, by name and file name.
    #[serde(default, rename = "wheel", skip_serializing_if = "Vec::is_empty")]
    pub wheels: Vec<Wheel>,
}

/// The base image: what the recipe's reference led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Base {
    /// The reference as the recipe writes it.
    pub image: String,
    /// What it led to: an index, or the manifest of the only platform.
    pub digest: Digest,
    /// The size of that document in bytes.
    pub size: u64,
    /// The image of each platform.
    #[serde(rename = "platform")]
    pub platforms: Vec<BasePlatform>,
}

/// The base image of one platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BasePlatform {
    /// Which.
    pub platform: Platform,
    /// Its manifest.
    pub manifest: Blob,
    /// Its config.
    pub config: Blob,
    /// Its layers, lowest first.
    pub layers: Vec<BaseLayer>,
}

/// A blob by digest and size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Blob {
    /// SHA-256.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

impl Blob {
    /// Returns the blob's descriptor.
    #[must_use]
    pub fn descriptor(&self, media_type: &str) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest: self.digest,
            size: self.size,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// A layer of the base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BaseLayer {
    /// The compressed blob.
    pub digest: Digest,
    /// The uncompressed tar.
    pub diff_id: DiffId,
    /// Bytes, compressed.
    pub size: u64,
    /// As the manifest writes it.
    pub media_type: String,
}

impl BaseLayer {
    /// Returns the layer's descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Blob {
            digest: self.digest,
            size: self.size,
        }
        .descriptor(&self.media_type)
    }
}

/// The Python project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Python {
    /// The checksum of its `uv.lock`.
    pub uv_lock: Digest,
    /// The interpreter's full version on each platform.
    pub interpreter: BTreeMap<String, String>,
    /// The C library's version on each platform, which decides what wheels fit.
    pub glibc: BTreeMap<String, String>,
}

/// A repository, at one immutable state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repository {
    /// Its id in the `.repo` file.
    pub id: String,
    /// The platform it serves.
    pub platform: Platform,
    /// The folder that holds `repodata/`.
    pub url: String,
    /// `$releasever` as it was substituted, from the base's own `system-release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releasever: Option<String>,
    /// The digest of `repomd.xml`.
    pub repomd: Digest,
    /// The fingerprint that signed `repomd.xml`, where the repository publishes a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Whether packages without a good signature were refused.
    pub gpgcheck: bool,
}

/// An OpenPGP key that packages or repositories are signed by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Key {
    /// Hexadecimal, upper case.
    pub fingerprint: String,
    /// Where it came from.
    pub source: String,
}

/// An RPM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rpm {
    /// Its name.
    pub name: String,
    /// `[epoch:]version-release`.
    pub evr: String,
    /// Its architecture.
    pub arch: String,
    /// The id of the repository it comes from.
    pub repository: String,
    /// Where it is.
    pub url: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub digest: Digest,
    /// The source package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The fingerprint of the key that signed it; none where the recipe waived signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// The platforms whose builder stage it is installed in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub builder: BTreeSet<Platform>,
    /// The platforms whose runtime stage it is installed in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub runtime: BTreeSet<Platform>,
    /// Who asked for it: a request of the recipe in quotes, or a package's name.
    pub wanted_by: Vec<String>,
}

impl Rpm {
    /// Returns `name-[epoch:]version-release.arch`.
    #[must_use]
    pub fn nevra(&self) -> String {
        format!("{}-{}.{}", self.name, self.evr, self.arch)
    }

    /// Returns the platforms whose `stage` it is installed in.
    #[must_use]
    pub fn platforms(&self, stage: Stage) -> &BTreeSet<Platform> {
        match stage {
            Stage::Builder => &self.builder,
            Stage::Runtime => &self.runtime,
        }
    }

    /// Tells whether it is installed in `stage` on `platform`.
    #[must_use]
    pub fn is_in(&self, platform: Platform, stage: Stage) -> bool {
        self.platforms(stage).contains(&platform)
    }
}

/// A package of the base that an upgrade or a replacement takes away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Erased {
    /// Its name.
    pub name: String,
    /// `[epoch:]version-release`.
    pub evr: String,
    /// Its architecture.
    pub arch: String,
    /// The platforms whose builder stage it is erased from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub builder: BTreeSet<Platform>,
    /// The platforms whose runtime stage it is erased from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub runtime: BTreeSet<Platform>,
}

impl Erased {
    /// Returns `name-[epoch:]version-release.arch`.
    #[must_use]
    pub fn nevra(&self) -> String {
        format!("{}-{}.{}", self.name, self.evr, self.arch)
    }

    /// Tells whether it is erased from `stage` on `platform`.
    #[must_use]
    pub fn is_in(&self, platform: Platform, stage: Stage) -> bool {
        match stage {
            Stage::Builder => self.builder.contains(&platform),
            Stage::Runtime => self.runtime.contains(&platform),
        }
    }
}

/// A scriptlet or trigger and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scriptlet {
    /// `package:kind`.
    pub name: String,
    /// The digest of its interpreter and text.
    pub digest: Digest,
    /// The native effect, why it has none in an image, or that the recipe skips it.
    pub effect: String,
}

/// A wheel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wheel {
    /// The distribution's name, normalised.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The wheel's file name.
    pub filename: String,
    /// Where it is.
    pub url: String,
    /// Bytes, where uv.lock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256.
    pub digest: Digest,
    /// The platforms it is installed on.
    pub platforms: BTreeSet<Platform>,
}

/// Why a lock cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// There is none.
    #[error("{name} does not exist")]
    Missing {
        /// Which file.
        name: String,
        /// What to run.
        command: String,
    },
    /// Not TOML, or not a lock.
    #[error("{name}: line {line}: {message}")]
    Syntax {
        /// Which file.
        name: String,
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// Made by another format version.
    #[error("{name} has format {found}; this imgbuild builds format {FORMAT}")]
    Format {
        /// Which file.
        name: String,
        /// Its format.
        found: u32,
    },
    /// Made from another recipe or project.
    #[error("{name} is stale: {why}")]
    Stale {
        /// Which file.
        name: String,
        /// What changed.
        why: String,
        /// What to run.
        command: String,
    },
}

impl Diagnose for LockError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. } | Self::Stale { .. } => Class::No,
            Self::Syntax { .. } => Class::Usage,
            Self::Format { .. } => Class::Format,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { command, .. } | Self::Stale { command, .. } => {
                Some(format!("run `{command}`"))
            }
            Self::Syntax { .. } => Some(
                "restore it from version control, or delete it and run `imgbuild lock`".to_owned(),
            ),
            Self::Format { .. } => Some(
                "use the imgbuild that made it; or delete it and run `imgbuild lock`, for other digests"
                    .to_owned(),
            ),
        }
    }
}

impl Lock {
    /// Reads a lock; `name` is for messages.
    ///
    /// # Errors
    /// [`LockError::Syntax`], and [`LockError::Format`] for a lock of another format version.
    pub fn parse(name: &str, text: &str) -> Result<Self, LockError> {
        let syntax = |error: &toml::de::Error| LockError::Syntax {
            name: name.to_owned(),
            line: error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1),
            message: error.message().to_owned(),
        };
        // The format first: another one may have other fields.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = toml::from_str(text).map_err(|error| syntax(&error))?;
        if format != FORMAT {
            return Err(LockError::Format {
                name: name.to_owned(),
                found: format,
            });
        }
        toml::from_str(text).map_err(|error| syntax(&error))
    }

    /// Returns the lock as text: the same lock gives the same bytes.
    #[must_use]
    pub fn render(&self) -> String {
        let body = toml::to_string(self).expect("a lock holds only what TOML can say");
        format!(
            "# Written by `imgbuild lock`. Do not edit: change recipe.toml and run it again.\n\n{body}"
        )
    }

    /// Checks that the lock was made from `recipe` and, where it has one, from this `uv.lock`.
    ///
    /// # Errors
    /// [`LockError::Stale`] with what changed and the command to run.
    pub fn check_fresh(
        &self,
        name: &str,
        command: &str,
        recipe: &Recipe,
        uv_lock: Option<Digest>,
    ) -> Result<(), LockError> {
        let stale = |why: &str| {
            Err(LockError::Stale {
                name: name.to_owned(),
                why: why.to_owned(),
                command: command.to_owned(),
            })
        };
        if self.recipe != recipe.checksum() {
            return stale("the recipe has changed since it was written");
        }
        if self.python.as_ref().map(|python| python.uv_lock) != uv_lock {
            return stale("uv.lock has changed since it was written");
        }
        Ok(())
    }

    /// Returns the base image of `platform`.
    #[must_use]
    pub fn base_of(&self, platform: Platform) -> Option<&BasePlatform> {
        self.base
            .platforms
            .iter()
            .find(|base| base.platform == platform)
    }
}
