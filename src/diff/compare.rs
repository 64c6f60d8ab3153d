//! Compares two images platform by platform.

use std::collections::BTreeMap;
use std::io::Read;

use super::cause::Cause;
use super::entries::EntryRow;
use super::error::{DiffError, Which};
use super::image::Image;
use super::owners::{Owners, is_base, keeps_for_owners};
use super::pair::{Pairing, pair};
use super::source::Side;
use super::verdict::{
    Attribute, Change, Difference, LayerDifference, Level, PlatformDifference, Row, RowKind,
};
use super::{documents, layers};
use crate::layer::Tree;
use crate::oci::{ImageLayer, PlatformImage};
use crate::root::Root;

/// What is compared besides the images of the platforms that both have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The indexes over platforms, too.
    Everything,
    /// Only images: some platforms were asked for, and the index they were found in is not looked at.
    Images,
}

/// Compares two images.
///
/// Layers that are the same blob in both are not read, unless something else in the images differs.
///
/// # Errors
/// [`DiffError`] if a layer that has to be read cannot be, or is not what its descriptor and config say.
pub fn compare(a: &Side<'_>, b: &Side<'_>, what: Compared) -> Result<Difference, DiffError> {
    let mut platforms = BTreeMap::new();
    for (x, y) in images(a, b) {
        let (first, second) = (image(a, Which::A, x), image(b, Which::B, y));
        platforms.insert(x.platform.clone(), platform(&first, &second)?);
    }
    let is_same_top = a.documents.bytes == b.documents.bytes;
    let mut index = Vec::new();
    if what == Compared::Everything && !is_same_top {
        index = documents::index(a.documents, b.documents);
        let is_explained = |platform: &PlatformDifference| platform.level < Level::Digest;
        if index.is_empty() && !platforms.values().any(is_explained) {
            index.push(other_bytes());
        }
    }
    Ok(Difference {
        digests: [a, b].map(|side| side.documents.top.digest),
        index,
        platforms,
    })
}

/// Shows every file of a side whose row says that it differs: its platform, its row, the place of its layer from 1.
///
/// # Errors
/// [`DiffError`], and whatever `visit` returns.
pub fn differing_files<E: From<DiffError>>(
    side: &Side<'_>,
    which: Which,
    difference: &Difference,
    mut visit: impl FnMut(&str, &Row, usize, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    for documents in &side.documents.images {
        let Some(platform) = difference.platforms.get(&documents.platform) else {
            continue;
        };
        let image = image(side, which, documents);
        let mut wanted: BTreeMap<usize, BTreeMap<usize, &Row>> = BTreeMap::new();
        for row in platform.rows() {
            if let Some((layer, at)) = row.files[which as usize] {
                wanted.entry(layer).or_default().insert(at, row);
            }
        }
        for (layer, rows) in wanted {
            image.contents(
                layer,
                |at| rows.contains_key(&at),
                |at, content| visit(&documents.platform, rows[&at], layer + 1, content),
            )?;
        }
    }
    Ok(())
}

fn image<'a>(side: &Side<'a>, which: Which, documents: &'a PlatformImage) -> Image<'a> {
    Image {
        which,
        documents,
        source: side.layers,
    }
}

/// Returns the images of the platforms that both have.
fn images<'a>(a: &Side<'a>, b: &Side<'a>) -> Vec<(&'a PlatformImage, &'a PlatformImage)> {
    let others = &b.documents.images;
    let images = a.documents.images.iter();
    images
        .filter_map(|x| Some((x, others.iter().find(|y| y.platform == x.platform)?)))
        .collect()
}

fn platform(a: &Image<'_>, b: &Image<'_>) -> Result<PlatformDifference, DiffError> {
    let (x, y) = (a.documents, b.documents);
    let mut out = PlatformDifference {
        digests: [x, y].map(|image| image.manifest.digest),
        level: Level::Digest,
        layer_counts: [x, y].map(|image| image.layers.len()),
        manifest: documents::manifest(x, y),
        config: documents::config(x, y),
        layers: Vec::new(),
    };
    if x.manifest.digest == y.manifest.digest {
        return Ok(out);
    }
    let pairings = pair(&x.layers, &y.layers);
    let mut compared: Vec<(LayerDifference, Vec<EntryRow>)> = Vec::new();
    for pairing in &pairings {
        compared.extend(layers::compare(a, b, pairing)?);
    }
    let is_same_tar = |pairing: &Pairing| matches!(pairing, Pairing::Same(..));
    out.level = if !pairings.iter().all(is_same_tar) {
        let (was, is) = roots(a, b)?;
        set_owners(&mut compared, [(a, &was), (b, &is)]);
        if was.tree == is.tree {
            Level::Tree
        } else {
            Level::Differs
        }
    } else if x.config_bytes == y.config_bytes {
        Level::Content
    } else {
        Level::Tree
    };
    out.layers = compared
        .into_iter()
        .map(|(layer, rows)| finish(layer, rows, a, b))
        .collect();
    // Lowest first: layers that moved come last out of the pairing.
    let place = |layer: &LayerDifference| {
        let place = |side: usize| layer.places[side].first().copied();
        (place(1).or(place(0)), place(0))
    };
    out.layers.sort_by_key(place);
    if out.rows().next().is_none() && out.layers.is_empty() {
        out.manifest.push(other_bytes());
    }
    Ok(out)
}

/// Reads the merged roots; the layers that both begin with are read once.
fn roots(a: &Image<'_>, b: &Image<'_>) -> Result<(Root, Root), DiffError> {
    let (x, y) = (&a.documents.layers, &b.documents.layers);
    let pairs = x.iter().zip(y);
    let shared = pairs.take_while(|(x, y)| is_same(x, y)).count();
    let empty = Root {
        tree: Tree::default(),
        files: BTreeMap::new(),
    };
    let common = root(a, empty, 0..shared, a)?;
    let copy = common.clone();
    let (was, is) = rayon::join(
        || root(a, common, shared..x.len(), a),
        || root(b, copy, shared..y.len(), a),
    );
    Ok((was?, is?))
}

/// Puts layers over a root. What the first image has as the same blob is read there.
fn root(
    image: &Image<'_>,
    mut root: Root,
    layers: std::ops::Range<usize>,
    first: &Image<'_>,
) -> Result<Root, DiffError> {
    for at in layers {
        let mut layers = first.documents.layers.iter();
        let there = layers.position(|layer| is_same(layer, image.layer(at)));
        let (from, at) = there.map_or((image, at), |there| (first, there));
        from.apply(at, &mut root.tree, &mut keeps_for_owners, &mut root.files)?;
    }
    Ok(root)
}

/// Tells whether two layers are the same blob, and are said to hold the same tar.
fn is_same(x: &ImageLayer, y: &ImageLayer) -> bool {
    x.descriptor.digest == y.descriptor.digest && x.diff_id == y.diff_id
}

fn set_owners(compared: &mut [(LayerDifference, Vec<EntryRow>)], sides: [(&Image<'_>, &Root); 2]) {
    let owners = sides.map(|(image, root)| Owners::read(image.documents, root));
    for row in compared.iter_mut().flat_map(|(_, rows)| rows) {
        for (side, owners) in owners.iter().enumerate() {
            let layer = row.layers[side];
            row.row.owners[side] = layer.and_then(|layer| owners.of(&row.path, layer));
        }
    }
}

fn finish(
    mut layer: LayerDifference,
    rows: Vec<EntryRow>,
    a: &Image<'_>,
    b: &Image<'_>,
) -> LayerDifference {
    layer.rows.extend(rows.into_iter().map(|row| row.row));
    let is_of_base = |image: &Image<'_>, side: usize| {
        let mut places = layer.places[side].iter();
        places.any(|place| is_base(image.documents, place - 1))
    };
    if is_of_base(a, 0) || is_of_base(b, 1) {
        layer.cause = layer.cause.or(Some(Cause::MovedBase));
    }
    layer
}

/// Nothing that is said differs, and yet the bytes do.
fn other_bytes() -> Row {
    let what = "the same content in other bytes".to_owned();
    let change = Change::new(Attribute::Bytes, None, Some(what));
    Row::new(RowKind::Changed, String::new(), vec![change])
}
