//! Why two images cannot be compared.

use std::io;

use crate::diagnose::{Class, Diagnose};
use crate::layer::read::ReadError;
use crate::oci::{DiffId, Digest};

/// Which of the two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// The first.
    A,
    /// The second.
    B,
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// Why two images cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// A layer cannot be had.
    #[error("{which}: cannot open layer {layer}: {source}")]
    Open {
        /// Whose.
        which: Which,
        /// Its digest.
        layer: Digest,
        /// Why.
        source: io::Error,
    },
    /// A layer is damaged, or its bytes are not those of its descriptor.
    #[error("{which}: layer {layer}: {error}")]
    Layer {
        /// Whose.
        which: Which,
        /// Its digest.
        layer: Digest,
        /// What is wrong.
        error: ReadError,
    },
    /// The tar in a layer is not the one that the config names.
    #[error("{which}: layer {layer}: the config says its diff_id is {wanted}, but it is {found}")]
    DiffId {
        /// Whose.
        which: Which,
        /// Its digest.
        layer: Digest,
        /// What the config says.
        wanted: DiffId,
        /// What the tar hashes to.
        found: DiffId,
    },
}

impl Diagnose for DiffError {
    fn class(&self) -> Class {
        match self {
            Self::Open { .. } => Class::Usage,
            Self::Layer { error, .. } => error.class(),
            Self::DiffId { .. } => Class::Integrity,
        }
    }
}
