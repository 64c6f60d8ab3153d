//! Why what stands beside an image cannot be used to rebuild it.

use std::fmt::Display;

use crate::diagnose::{Class, Diagnose};
use crate::lock::LockError;
use crate::oci::Digest;
use crate::recipe::RecipeError;

/// Why what stands beside an image cannot be used to rebuild it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProvenanceError {
    /// Another kind of artifact.
    #[error("this is no record of a build: its type is `{0}`")]
    OtherType(String),
    /// A record that this imgbuild does not understand.
    #[error("the record of the build has type `{0}`; this imgbuild reads {type}", type = super::ARTIFACT_TYPE)]
    Version(String),
    /// An image of another format, which this imgbuild cannot make.
    #[error("the image was made by imgbuild {imgbuild} in format {format}; this imgbuild makes format {known}", known = crate::lock::FORMAT)]
    Format {
        /// The version that made it.
        imgbuild: String,
        /// Its format.
        format: u32,
    },
    /// It refers to another image.
    #[error(
        "the record of the build is of another image: expected {wanted}, got {}",
        shown(found)
    )]
    Subject {
        /// The image.
        wanted: Digest,
        /// What it refers to, if to anything.
        found: Option<Digest>,
    },
    /// A document is not what it should be.
    #[error("the record of the build: {what}: {why}")]
    Malformed {
        /// Which document.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// More bytes than any build needs.
    #[error("the record of the build: {what} has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Which document.
        what: String,
        /// Bytes.
        size: u64,
        /// What is read at most.
        limit: u64,
    },
    /// A document that nobody has.
    #[error("the record of the build: {what} is missing")]
    Missing {
        /// Which document.
        what: String,
    },
    /// Other bytes than the manifest names.
    #[error("the record of the build: {what}: expected {wanted}, got {found}")]
    Digest {
        /// Which document.
        what: String,
        /// What the manifest says.
        wanted: Digest,
        /// What the bytes are.
        found: Digest,
    },
    /// The recipe in it.
    #[error("the record of the build: recipe.toml: {0}")]
    Recipe(RecipeError),
    /// The lock in it.
    #[error("the record of the build: {0}")]
    Lock(LockError),
}

fn shown(found: &Option<Digest>) -> String {
    found.map_or_else(|| "none".to_owned(), |found| found.to_string())
}

impl ProvenanceError {
    pub(super) fn malformed(what: &str, why: impl Display) -> Self {
        Self::Malformed {
            what: what.to_owned(),
            why: why.to_string(),
        }
    }
}

impl Diagnose for ProvenanceError {
    fn class(&self) -> Class {
        match self {
            Self::Version(_) | Self::Format { .. } => Class::Format,
            Self::OtherType(_) => Class::Usage,
            // Whoever may write beside an image may write anything: nothing of it is believed.
            _ => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Format { imgbuild, .. } => {
                Some(format!("use imgbuild {imgbuild}, which made it"))
            }
            Self::Version(_) => Some("use the imgbuild that made it, or a newer one".to_owned()),
            Self::OtherType(_) => None,
            _ => Some(
                "do not trust this record; bring the recipe yourself, from version control"
                    .to_owned(),
            ),
        }
    }
}
