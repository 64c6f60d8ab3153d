//! Why an image cannot be written to or read from disk.

use std::path::PathBuf;

use crate::diagnose::{Class, Diagnose};
use crate::edge::disk::DiskError;
use crate::oci::Digest;
use crate::oci::manifest::DocumentError;

/// Why an image cannot be written to or read from disk.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The place to write to holds something else.
    #[error("{} is not replaced: {why}", path.display())]
    Occupied {
        /// The place.
        path: PathBuf,
        /// What is there.
        why: String,
    },
    /// What is there is no image.
    #[error("{} is not an image: {why}", path.display())]
    NotAnImage {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// No image has this tag.
    #[error("{} holds no image tagged `{tag}`: {}", path.display(), tags(known))]
    NoTag {
        /// The layout or archive.
        path: PathBuf,
        /// The tag asked for.
        tag: String,
        /// The tags that there are.
        known: Vec<String>,
    },
    /// There are several images and no tag was given.
    #[error("{} holds {count} images: {}", path.display(), tags(known))]
    Several {
        /// The layout or archive.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The tags that there are.
        known: Vec<String>,
    },
    /// A blob that a document names is not there.
    #[error("{}: the {what} {digest} is missing", path.display())]
    Missing {
        /// The layout or archive.
        path: PathBuf,
        /// What the blob is.
        what: &'static str,
        /// Its digest.
        digest: Digest,
    },
    /// The bytes of a blob are others.
    #[error("{}: expected {wanted}, got {found}", path.display())]
    Digest {
        /// The layout or archive.
        path: PathBuf,
        /// The digest asked for.
        wanted: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// A blob has another size.
    #[error("{}: {digest}: expected {wanted} bytes, got {found}", path.display())]
    Size {
        /// The layout or archive.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// The size said of it.
        wanted: u64,
        /// Its size.
        found: u64,
    },
    /// A document is larger than such documents are.
    #[error("{}: {what} has {size} bytes, more than the {limit} allowed", path.display())]
    TooLarge {
        /// The layout or archive.
        path: PathBuf,
        /// Which document.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A document is not what it should be.
    #[error("{}: {what}: {error}", path.display())]
    Document {
        /// The layout or archive.
        path: PathBuf,
        /// Which document.
        what: String,
        /// What is wrong with it.
        error: DocumentError,
    },
    /// An archive is damaged or not a tar.
    #[error("{} is damaged at byte {offset}: {why}", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        why: &'static str,
    },
    /// A docker-archive would hold other than one image.
    #[error("{}: a docker-archive holds the image of one platform, not of {count}", path.display())]
    Platforms {
        /// The archive.
        path: PathBuf,
        /// How many images there are.
        count: usize,
    },
}

fn tags(known: &[String]) -> String {
    if known.is_empty() {
        "none has a tag".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    }
}

impl Diagnose for LayoutError {
    fn class(&self) -> Class {
        match self {
            Self::Disk(_)
            | Self::Occupied { .. }
            | Self::NotAnImage { .. }
            | Self::NoTag { .. }
            | Self::Several { .. }
            | Self::Platforms { .. } => Class::Usage,
            Self::Missing { .. }
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::TooLarge { .. }
            | Self::Document { .. }
            | Self::Tar { .. } => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Disk(error) => error.hint(),
            Self::Occupied { .. } => {
                Some("name a new path with -o, or remove what is there".to_owned())
            }
            Self::Several { path, known, .. } => known
                .first()
                .map(|tag| format!("name one: oci:{}:{tag}", path.display())),
            Self::Platforms { .. } => {
                Some("choose one with --platform, or use --format oci-archive".to_owned())
            }
            _ => None,
        }
    }
}
