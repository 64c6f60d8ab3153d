//! What the layers of an image hold, and whose it is.

use std::collections::BTreeMap;
use std::io;

use rayon::prelude::*;
use serde::Serialize;

use crate::diagnose::{Class, Diagnose};
use crate::diff::{LayerSource, Owner, Owners, keeps_for_owners};
use crate::layer::path::show;
use crate::layer::read::{RawKind, ReadError, ReadOptions, apply_layer, entries};
use crate::layer::{LayerPath, class_of_io};
use crate::oci::{DiffId, Digest, ImageLayer, PlatformImage};
use crate::root::Root;

/// How many of the largest files of a layer are named.
const BIGGEST: usize = 5;
/// How deep folders are told apart where nobody owns what is in them.
const FOLDERS: usize = 3;

/// What an image's layers hold.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// For each layer.
    pub layers: Vec<LayerContents>,
    /// Of all layers together, by owner; bytes that a later layer hides are counted, as they are sent all the same.
    pub holdings: BTreeMap<Owner, Holding>,
    /// What neither a package nor a wheel owns, by folder.
    pub folders: BTreeMap<String, Holding>,
}

/// What a layer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LayerContents {
    /// Bytes of the tar.
    pub unpacked: u64,
    /// Files, other names of one included.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub links: u64,
    /// Whiteouts: what it removes from the layers below.
    pub removed: u64,
    /// What is in it by owner, the most bytes first.
    pub holds: Vec<Held>,
    /// The largest files.
    pub biggest: Vec<PathSize>,
}

/// What an owner has in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Whose.
    pub owner: Owner,
    /// How much.
    #[serde(flatten)]
    pub holding: Holding,
}

/// Files and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// Files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// A file and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathSize {
    /// Where it is.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// Why the layers of an image cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// A layer does not open.
    #[error("layer {layer}: cannot open it: {source}")]
    Open {
        /// The layer.
        layer: Digest,
        /// What the system says.
        source: io::Error,
    },
    /// A layer cannot be read.
    #[error("layer {layer}: {error}")]
    Layer {
        /// The layer.
        layer: Digest,
        /// Why.
        error: ReadError,
    },
    /// A tar is not the one that the config names.
    #[error("layer {layer}: the config says {}, but its tar is {}", wanted.0, found.0)]
    DiffId {
        /// The layer.
        layer: Digest,
        /// What the config says.
        wanted: DiffId,
        /// What it is.
        found: DiffId,
    },
}

impl Diagnose for InspectError {
    fn class(&self) -> Class {
        match self {
            Self::Open { source, .. } => class_of_io(source),
            Self::Layer { error, .. } => error.class(),
            Self::DiffId { .. } => Class::Integrity,
        }
    }
}

impl Holding {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Reads what the layers of `image` hold. Every layer is checked against descriptor and config.
///
/// # Errors
/// [`InspectError`] with the layer it is about.
pub fn read(image: &PlatformImage, layers: &dyn LayerSource) -> Result<Contents, InspectError> {
    // Twice: once merged, to know whose what is, and once as they are, to count it.
    let (root, listings) = rayon::join(|| merged(image, layers), || listings(image, layers));
    let root = root?;
    let owners = Owners::read(image, &root);
    let mut contents = Contents::default();
    for (at, listing) in listings?.into_iter().enumerate() {
        let layer = listing.count(at, &root, &owners, &mut contents);
        contents.layers.push(layer);
    }
    Ok(contents)
}

fn merged(image: &PlatformImage, layers: &dyn LayerSource) -> Result<Root, InspectError> {
    let mut root = Root::default();
    for layer in &image.layers {
        let reader = open(layer, layers)?;
        let options = ReadOptions::default();
        let applied = apply_layer(&mut root.tree, reader, &options, &mut keeps_for_owners);
        let applied = applied.map_err(fault(layer))?;
        if applied.diff_id != layer.diff_id {
            return Err(InspectError::DiffId {
                layer: layer.descriptor.digest,
                wanted: layer.diff_id,
                found: applied.diff_id,
            });
        }
        root.files.extend(applied.kept);
    }
    Ok(root)
}

fn open<'a>(
    layer: &ImageLayer,
    layers: &'a dyn LayerSource,
) -> Result<Box<dyn io::Read + 'a>, InspectError> {
    layers
        .open(&layer.descriptor)
        .map_err(|source| InspectError::Open {
            layer: layer.descriptor.digest,
            source,
        })
}

fn fault(layer: &ImageLayer) -> impl FnOnce(ReadError) -> InspectError + use<> {
    let layer = layer.descriptor.digest;
    move |error| InspectError::Layer { layer, error }
}

/// The entries of a layer as far as they are counted.
#[derive(Default)]
struct Listing {
    contents: LayerContents,
    files: Vec<(LayerPath, u64)>,
}

fn listings(image: &PlatformImage, layers: &dyn LayerSource) -> Result<Vec<Listing>, InspectError> {
    let listing = |layer: &ImageLayer| {
        let reader = open(layer, layers)?;
        let mut listing = Listing::default();
        let read = entries(reader, &ReadOptions::default(), |entry, _| {
            let path = LayerPath::parse(&entry.path)?;
            let contents = &mut listing.contents;
            match entry.kind {
                RawKind::Dir => contents.folders += 1,
                RawKind::Symlink(_) => contents.links += 1,
                _ if path.file_name().starts_with(b".wh.") => contents.removed += 1,
                _ => {
                    contents.files += 1;
                    listing.files.push((path, entry.size));
                }
            }
            Ok::<_, ReadError>(())
        });
        let (_, size) = read.map_err(fault(layer))?;
        listing.contents.unpacked = size;
        Ok(listing)
    };
    image.layers.par_iter().map(listing).collect()
}

impl Listing {
    /// Counts what is in layer `at`, and adds it to that of the whole image.
    fn count(self, at: usize, root: &Root, owners: &Owners, image: &mut Contents) -> LayerContents {
        let Self {
            mut contents,
            mut files,
        } = self;
        let mut holds: BTreeMap<Owner, Holding> = BTreeMap::new();
        for (path, size) in &files {
            // As unpackers place it: through the links of the folders it is in.
            let real = root.tree.resolve_parents(path);
            let real = real.as_ref().unwrap_or(path);
            let owner = owners.of(real, at);
            if !matches!(owner, Some(Owner::Rpm(_) | Owner::Wheel(_))) {
                image.folders.entry(folder(real)).or_default().add(*size);
            }
            let owner = owner.unwrap_or_else(|| Owner::Layer(format!("layer {}", at + 1)));
            image.holdings.entry(owner.clone()).or_default().add(*size);
            holds.entry(owner).or_default().add(*size);
        }
        let holds = holds.into_iter();
        contents.holds = holds
            .map(|(owner, holding)| Held { owner, holding })
            .collect();
        // Stable: of the same size, by name.
        contents
            .holds
            .sort_by_key(|held| std::cmp::Reverse(held.holding.bytes));
        files.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let biggest = files.iter().take(BIGGEST);
        contents.biggest = biggest
            .map(|(path, size)| PathSize {
                path: path.to_string(),
                size: *size,
            })
            .collect();
        contents
    }
}

/// Returns the folder that stands for a file: not deeper than is of use.
fn folder(path: &LayerPath) -> String {
    let parent = path.parent().unwrap_or_default();
    let parts: Vec<String> = parent.components().take(FOLDERS).map(show).collect();
    format!("/{}", parts.join("/"))
}
