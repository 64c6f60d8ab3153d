//! Why a bundle cannot be made or used.

use crate::bundle::BundleDocumentError;
use crate::diagnose::{Class, Diagnose};
use crate::edge::fetch::FetchError;
use crate::edge::image_source::{ImageSourceError, SourceError};
use crate::edge::layout::LayoutError;
use crate::edge::locked_keys::LockedKeyError;

/// Why a bundle cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The base's reference, or the bundle's name.
    #[error(transparent)]
    Name(#[from] ImageSourceError),
    /// An input of the base cannot be had, or the bundle's own documents cannot.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An input cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A key cannot be had.
    #[error(transparent)]
    Key(#[from] LockedKeyError),
    /// The bundle cannot be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Something else than a bundle.
    #[error("{bundle}: {error}")]
    Document {
        /// Where it is.
        bundle: String,
        /// What is wrong with it.
        error: BundleDocumentError,
    },
    /// An input of the bundle cannot be had, or is not what it should be.
    #[error("{input}, from the bundle: {error}")]
    Input {
        /// What people call it.
        input: String,
        /// What happened.
        error: SourceError,
    },
}

impl BundleError {
    fn inner(&self) -> &dyn Diagnose {
        match self {
            Self::Name(error) => error,
            Self::Source(error) | Self::Input { error, .. } => error,
            Self::Fetch(error) => error,
            Self::Key(error) => error,
            Self::Layout(error) => error,
            Self::Document { error, .. } => error,
        }
    }
}

impl Diagnose for BundleError {
    fn class(&self) -> Class {
        self.inner().class()
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Input { error, .. } if error.class() == Class::Integrity => Some(
                "do not use this bundle: it was changed since it was made; `imgbuild bundle` makes it again"
                    .to_owned(),
            ),
            _ => self.inner().hint(),
        }
    }
}
