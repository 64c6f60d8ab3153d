//! The merged root of an image: what all its layers come to, one over the other.

use super::error::{DiffError, Which};
use super::source::Side;
use crate::layer::Tree;
use crate::layer::read::{ReadOptions, apply_layer};
use crate::oci::{ImageLayer, PlatformImage};

/// Reads all layers of an image into one tree.
pub(super) fn merged(
    side: &Side<'_>,
    which: Which,
    image: &PlatformImage,
) -> Result<Tree, DiffError> {
    let mut tree = Tree::default();
    for layer in &image.layers {
        apply(&mut tree, side, which, layer)?;
    }
    Ok(tree)
}

/// Puts one layer over a tree; its `diff_id` is checked.
pub(super) fn apply(
    tree: &mut Tree,
    side: &Side<'_>,
    which: Which,
    layer: &ImageLayer,
) -> Result<(), DiffError> {
    let digest = layer.descriptor.digest;
    let reader = side.layers.open(&layer.descriptor);
    let reader = reader.map_err(|source| DiffError::Open {
        which,
        layer: digest,
        source,
    })?;
    let applied = apply_layer(tree, reader, &ReadOptions::default(), &mut |_, _| false);
    let applied = applied.map_err(|error| DiffError::Layer {
        which,
        layer: digest,
        error,
    })?;
    if applied.diff_id == layer.diff_id {
        return Ok(());
    }
    Err(DiffError::DiffId {
        which,
        layer: digest,
        wanted: layer.diff_id,
        found: applied.diff_id,
    })
}
