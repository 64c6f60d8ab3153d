//! Why an image cannot be looked at.

use std::io;
use std::path::PathBuf;

use crate::diagnose::{Class, Diagnose};
use crate::edge::image_source::{ImageSourceError, SourceError};
use crate::oci::Platform;
use crate::oci::image::ImageDocumentError;

/// Why an image cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// The text names no image.
    #[error(transparent)]
    Name(#[from] ImageSourceError),
    /// There is nothing there.
    #[error("{} does not exist", .0.display())]
    Absent(PathBuf),
    /// A document or blob cannot be had, or is not what its descriptor says.
    #[error("{name}: {what}: {error}")]
    Blob {
        /// The image as it was named.
        name: String,
        /// Which document or blob.
        what: String,
        /// Why.
        error: SourceError,
    },
    /// A document has another size than its descriptor says.
    #[error("{name}: {what}: expected {wanted} bytes, got {found}")]
    Size {
        /// The image as it was named.
        name: String,
        /// Which document.
        what: String,
        /// The size said of it.
        wanted: u64,
        /// Its size.
        found: u64,
    },
    /// A document is not what it should be.
    #[error("{name}: {what}: {error}")]
    Document {
        /// The image as it was named.
        name: String,
        /// Which document.
        what: String,
        /// What is wrong with it.
        error: ImageDocumentError,
    },
    /// Documents, but no image.
    #[error("{name} is not an image: {why}")]
    NotAnImage {
        /// As it was named.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// It has no image for a platform that was asked for.
    #[error("{name} has no image for {platform}; it has {}", found.join(", "))]
    Platform {
        /// The image as it was named.
        name: String,
        /// The platform.
        platform: Platform,
        /// What it has.
        found: Vec<String>,
    },
    /// A blob cannot be read.
    #[error("{name}: cannot read {what}: {source}")]
    Read {
        /// The image as it was named.
        name: String,
        /// Which blob.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}

impl Diagnose for SubjectError {
    fn class(&self) -> Class {
        match self {
            Self::Name(error) => error.class(),
            Self::Blob { error, .. } => error.class(),
            Self::Absent(_)
            | Self::NotAnImage { .. }
            | Self::Platform { .. }
            | Self::Read { .. } => Class::Usage,
            Self::Size { .. } | Self::Document { .. } => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Name(_) | Self::Absent(_) => Some(
                "name a layout folder, an archive, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, or registry/repository[:tag][@digest]".to_owned(),
            ),
            Self::Blob { error, .. } => error.hint(),
            _ => None,
        }
    }
}

/// Returns a function for `map_err` that names the image and which of its documents or blobs it is about.
pub(super) fn wrong<E: Into<SourceError>>(
    name: &str,
    what: &str,
) -> impl FnOnce(E) -> SubjectError + use<E> {
    let (name, what) = (name.to_owned(), what.to_owned());
    move |error| SubjectError::Blob {
        name,
        what,
        error: error.into(),
    }
}
