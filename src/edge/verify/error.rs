//! Why an image cannot be verified. None of it says that the image differs.

use std::io;

use crate::build::BuildError;
use crate::diagnose::{Class, Diagnose};
use crate::diff::DiffError;
use crate::edge::base::BaseError;
use crate::edge::build::EdgeBuildError;
use crate::edge::bundle::BundleError;
use crate::edge::diff_files::DiffFilesError;
use crate::edge::image_source::{ImageSourceError, SourceError};
use crate::edge::locked_keys::LockedKeyError;
use crate::edge::project::ProjectError;
use crate::edge::source_walk::WalkError;
use crate::edge::store::StoreError;
use crate::edge::subject::{Fault, SubjectError};
use crate::layer::read::ReadError;
use crate::lock::LockError;
use crate::oci::Digest;
use crate::oci::image::ImageDocumentError;
use crate::plan::PlanError;
use crate::provenance::ProvenanceError;
use crate::recipe::ArgError;
use crate::rpm::file::FileError;
use crate::rpm::keys::SignatureError;

/// Why an image cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The image cannot be read.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// Blobs are not those of their descriptors.
    #[error("{}", list(.0))]
    Faults(Vec<Fault>),
    /// What refers to the image cannot be listed.
    #[error(transparent)]
    Referrers(#[from] SourceError),
    /// Nobody says how it was built.
    #[error("no record of its build is attached to {0}, and none was brought")]
    NoRecipe(String),
    /// The record of its build cannot be used.
    #[error(transparent)]
    Provenance(#[from] ProvenanceError),
    /// The recipe that was brought, or its lock.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The lock in the record was made from another recipe.
    #[error("the record of the build contradicts itself: {0}")]
    Contradiction(LockError),
    /// A build argument.
    #[error(transparent)]
    Args(#[from] ArgError),
    /// A platform that is not locked.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The source tree.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A copy rule.
    #[error(transparent)]
    Source(#[from] crate::source::SourceError),
    /// A layer of the image.
    #[error("layer {layer}: {error}")]
    Layer {
        /// Its digest.
        layer: Digest,
        /// What is wrong.
        error: ReadError,
    },
    /// The image cannot be rebuilt.
    #[error(transparent)]
    Build(#[from] EdgeBuildError),
    /// The name of the base.
    #[error(transparent)]
    BaseName(#[from] ImageSourceError),
    /// The base.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A key that the lock names.
    #[error(transparent)]
    Key(#[from] LockedKeyError),
    /// A package cannot be opened.
    #[error("{package}: {error}")]
    Package {
        /// Which.
        package: String,
        /// What is wrong.
        error: FileError,
    },
    /// A package's signature.
    #[error("{package}: {error}")]
    Signature {
        /// Which.
        package: String,
        /// What is wrong.
        error: SignatureError,
    },
    /// What was rebuilt is no image.
    #[error("what was rebuilt: {0}")]
    Rebuilt(#[from] ImageDocumentError),
    /// The two images cannot be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// What differs cannot be written.
    #[error(transparent)]
    Report(#[from] DiffFilesError),
    /// The cache.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A temporary file.
    #[error("cannot keep files of the image for rebuilding it: {0}")]
    Spool(#[source] io::Error),
}

fn list(faults: &[Fault]) -> String {
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    shown.join("; ")
}

impl VerifyError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        Some(match self {
            Self::Subject(error) => error,
            Self::Referrers(error) => error,
            Self::Provenance(error) => error,
            Self::Project(error) => error,
            Self::Args(error) => error,
            Self::Plan(error) => error,
            Self::Bundle(error) => error,
            Self::Walk(error) => error,
            Self::Source(error) => error,
            Self::Layer { error, .. } => error,
            Self::Build(error) => error,
            Self::BaseName(error) => error,
            Self::Base(error) => error,
            Self::Key(error) => error,
            Self::Package { error, .. } => error,
            Self::Signature { error, .. } => error,
            Self::Diff(error) => error,
            Self::Report(error) => error,
            Self::Store(error) => error,
            Self::Faults(_)
            | Self::NoRecipe(_)
            | Self::Contradiction(_)
            | Self::Rebuilt(_)
            | Self::Spool(_) => return None,
        })
    }
}

impl Diagnose for VerifyError {
    fn class(&self) -> Class {
        match self {
            Self::NoRecipe(_) => Class::Unavailable,
            Self::Faults(_) | Self::Contradiction(_) => Class::Integrity,
            // Somebody took it out of the cache meanwhile.
            Self::Build(EdgeBuildError::Build(BuildError::Missing { .. })) => Class::Unavailable,
            _ => self.inner().map_or(Class::Usage, Diagnose::class),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoRecipe(_) => Some(
                "bring recipe and lock from version control: --recipe DIR; or attach the record by `imgbuild push`"
                    .to_owned(),
            ),
            Self::Faults(_) => Some(
                "do not use this image: its bytes were changed; get it again, or rebuild it"
                    .to_owned(),
            ),
            Self::Contradiction(_) => Some(
                "do not trust this record; bring recipe and lock from version control: --recipe DIR"
                    .to_owned(),
            ),
            _ => {
                let own = self.inner().and_then(Diagnose::hint);
                let is_damage = self.class() == Class::Integrity;
                own.or_else(|| {
                    is_damage.then(|| {
                        "do not use these bytes: get them again from where they come from".to_owned()
                    })
                })
            }
        }
    }
}
