//! What is pushed: an image with everything that it leads to, found and complete before the registry is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::super::layout::{BlobSource, Companion, ImagePath, Layout, LayoutError, Parts};
use super::Attachments;
use crate::oci::manifest::{Document, Index};
use crate::oci::{Descriptor, Digest, Platform, Reference};

/// The annotation that names the image an image was made on.
///
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
const BASE_NAME: &str = "org.opencontainers.image.base.name";

/// How deep indexes may be nested; real ones are not.
const DEEPEST: usize = 8;

/// An image or index, with all blobs that it leads to.
#[derive(Clone)]
pub struct Shipment {
    layers: BTreeMap<Digest, (Descriptor, BlobSource)>,
    configs: BTreeMap<Digest, (Descriptor, BlobSource)>,
    manifests: Vec<(Descriptor, Vec<u8>)>,
    top: (Descriptor, Vec<u8>),
    base: Option<Reference>,
    companions: Vec<Companion>,
    attachments: Attachments,
}

#[derive(Deserialize)]
struct Annotated {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Shipment {
    /// Begins with the manifest or index that tags lead to.
    #[must_use]
    pub fn new(top: Descriptor, bytes: Vec<u8>) -> Self {
        Self {
            layers: BTreeMap::new(),
            configs: BTreeMap::new(),
            manifests: Vec::new(),
            base: base_of(&bytes),
            companions: Vec::new(),
            attachments: Attachments::default(),
            top: (top, bytes),
        }
    }

    /// Reads what is at `path`; every blob is there and has its size. Bytes are checked when they are sent.
    ///
    /// # Errors
    /// [`LayoutError`] if there is no such image, or not all of it.
    pub fn open(path: &ImagePath) -> Result<Self, LayoutError> {
        Self::open_for(path, None)
    }

    /// The same for the image of one platform, where there is an index.
    ///
    /// # Errors
    /// As [`Shipment::open`]; [`LayoutError::NotAnImage`] if there is none for the platform.
    pub fn open_for(path: &ImagePath, platform: Option<Platform>) -> Result<Self, LayoutError> {
        let layout = Layout::open(path.path())?;
        let (mut top, mut bytes) = layout.resolve(path.tag())?;
        let mut document = layout.parsed(&top)?;
        if let (Some(platform), Document::Index(index)) = (platform, &document) {
            top = entry(index, platform, path.path())?;
            bytes = layout.document(&top)?;
            document = layout.parsed(&top)?;
        }
        let mut shipment = Self::new(named(top, &document), bytes);
        let mut seen = BTreeSet::from([shipment.top.0.digest]);
        shipment.collect(&layout, &document, &mut seen, 0)?;
        shipment.companions = layout.referrers(shipment.top.0.digest)?;
        Ok(shipment)
    }

    /// Says where it was copied from: that repository has all its blobs.
    pub fn came_from(&mut self, reference: Reference) {
        self.base = Some(reference);
    }

    /// Returns what a layout with it holds, without a name.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let mut parts = Parts::new();
        for (descriptor, source) in self.layers.values().chain(self.configs.values()) {
            parts.add(descriptor, source.clone());
        }
        for (descriptor, bytes) in self.manifests() {
            parts.add(descriptor, bytes.to_vec());
        }
        for companion in &self.companions {
            parts.attach(companion);
        }
        parts
    }

    /// Adds what a document leads to, the furthest first.
    fn collect(
        &mut self,
        layout: &Layout,
        document: &Document,
        seen: &mut BTreeSet<Digest>,
        depth: usize,
    ) -> Result<(), LayoutError> {
        if depth > DEEPEST {
            return Err(LayoutError::NotAnImage {
                path: layout.path().to_owned(),
                why: "its indexes lead to indexes without end".to_owned(),
            });
        }
        match document {
            Document::Index(index) => {
                for child in &index.manifests {
                    if seen.insert(child.digest) {
                        let bytes = layout.document(child)?;
                        let document = layout.parsed(child)?;
                        self.collect(layout, &document, seen, depth + 1)?;
                        self.add_manifest(named(child.clone(), &document), bytes);
                    }
                }
            }
            Document::Manifest(manifest) => {
                for layer in &manifest.layers {
                    self.add_layer(layer, layout.blob(layer)?);
                }
                self.add_config(&manifest.config, layout.blob(&manifest.config)?);
            }
        }
        Ok(())
    }

    /// Returns the same under another manifest or index, which names the same blobs.
    #[must_use]
    pub fn with_top(&self, top: Descriptor, bytes: Vec<u8>) -> Self {
        Self {
            top: (top, bytes),
            companions: Vec::new(),
            ..self.clone()
        }
    }

    /// Adds a layer.
    pub fn add_layer(&mut self, descriptor: &Descriptor, source: impl Into<BlobSource>) {
        self.layers
            .insert(descriptor.digest, (descriptor.clone(), source.into()));
    }

    /// Adds a config.
    pub fn add_config(&mut self, descriptor: &Descriptor, source: impl Into<BlobSource>) {
        self.configs
            .insert(descriptor.digest, (descriptor.clone(), source.into()));
    }

    /// Adds a manifest that the index leads to, after those that it leads to itself.
    pub fn add_manifest(&mut self, descriptor: Descriptor, bytes: Vec<u8>) {
        if self.base.is_none() {
            self.base = base_of(&bytes);
        }
        self.manifests.push((descriptor, bytes));
    }

    /// Adds something that refers to the image.
    pub fn attach(&mut self, companion: Companion) {
        self.companions.push(companion);
    }

    /// Returns what refers to the image.
    #[must_use]
    pub fn companions(&self) -> &[Companion] {
        &self.companions
    }

    /// Says what to do where what refers to the image is not taken.
    pub fn set_attachments(&mut self, attachments: Attachments) {
        self.attachments = attachments;
    }

    /// Returns what to do where what refers to the image is not taken.
    pub(super) fn attachments(&self) -> Attachments {
        self.attachments
    }

    /// Leaves out what refers to the image and for which `keep` is false.
    pub fn retain_companions(&mut self, keep: impl Fn(&Companion) -> bool) {
        self.companions.retain(keep);
    }

    /// Returns the manifest or index that tags lead to.
    #[must_use]
    pub fn top(&self) -> (&Descriptor, &[u8]) {
        (&self.top.0, &self.top.1)
    }

    /// Returns the layers.
    pub(super) fn layers(&self) -> &BTreeMap<Digest, (Descriptor, BlobSource)> {
        &self.layers
    }

    /// Returns the configs.
    pub(super) fn configs(&self) -> &BTreeMap<Digest, (Descriptor, BlobSource)> {
        &self.configs
    }

    /// Returns manifests and indexes, each after those it leads to.
    pub(super) fn manifests(&self) -> impl Iterator<Item = (&Descriptor, &[u8])> {
        self.manifests
            .iter()
            .chain([&self.top])
            .map(|(descriptor, bytes)| (descriptor, bytes.as_slice()))
    }

    /// Returns the image that this one says it was made on.
    pub(super) fn base(&self) -> Option<&Reference> {
        self.base.as_ref()
    }
}

/// Returns the entry of an index for a platform.
///
/// # Errors
/// [`LayoutError::NotAnImage`] if there is none; `at` is for the message.
pub(in crate::edge) fn entry(
    index: &Index,
    platform: Platform,
    at: &Path,
) -> Result<Descriptor, LayoutError> {
    let found = index.entry(platform).cloned();
    found.ok_or_else(|| LayoutError::NotAnImage {
        path: at.to_owned(),
        why: format!("it has none for {platform}"),
    })
}

/// Returns the descriptor with the media type that the document gives itself, which registries compare.
fn named(descriptor: Descriptor, document: &Document) -> Descriptor {
    let own = match document {
        Document::Index(index) => &index.media_type,
        Document::Manifest(manifest) => &manifest.media_type,
    };
    Descriptor {
        media_type: own.clone().unwrap_or(descriptor.media_type),
        ..descriptor
    }
}

fn base_of(manifest: &[u8]) -> Option<Reference> {
    let annotated: Annotated = serde_json::from_slice(manifest).ok()?;
    annotated.annotations.get(BASE_NAME)?.parse().ok()
}
