//! Compares two images platform by platform.

use std::collections::BTreeMap;

use super::error::{DiffError, Which};
use super::merged::merged;
use super::source::Side;
use super::verdict::{Difference, Level, PlatformDifference};
use crate::oci::PlatformImage;

/// Compares two images.
///
/// # Errors
/// [`DiffError`] if a layer that has to be read cannot be, or is not what its descriptor and config say.
pub fn compare(a: &Side<'_>, b: &Side<'_>) -> Result<Difference, DiffError> {
    let mut platforms = BTreeMap::new();
    for image in &a.documents.images {
        let images = b.documents.images.iter();
        let Some(other) = images
            .clone()
            .find(|other| other.platform == image.platform)
        else {
            continue;
        };
        let digests = [image, other].map(|image| image.manifest.digest);
        let difference = PlatformDifference {
            digests,
            level: level(a, b, image, other)?,
            rows: Vec::new(),
        };
        platforms.insert(image.platform.clone(), difference);
    }
    Ok(Difference {
        digests: [a, b].map(|side| side.documents.top.digest),
        index: Vec::new(),
        platforms,
        is_chosen: false,
    })
}

fn level(
    a: &Side<'_>,
    b: &Side<'_>,
    first: &PlatformImage,
    second: &PlatformImage,
) -> Result<Level, DiffError> {
    if first.manifest.digest == second.manifest.digest {
        return Ok(Level::Digest);
    }
    let trees = [merged(a, Which::A, first)?, merged(b, Which::B, second)?];
    Ok(if first.config.digest == second.config.digest {
        Level::Content
    } else if trees[0] == trees[1] {
        Level::Tree
    } else {
        Level::Differs
    })
}
