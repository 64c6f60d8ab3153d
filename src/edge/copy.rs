//! Copies an image with everything that it leads to: the same bytes, wherever they come from and go to.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Edges;
use super::image_source::{ImageSource, ImageSourceError, SourceError};
use super::layout::{self, BlobSource, Companion, ImagePath, ImagePathError, LayoutError};
use super::push::{PushError, Shipment, entry};
use super::registry::{RegistryError, Repository};
use crate::diagnose::{Class, Diagnose};
use crate::layer::RandomRead;
use crate::oci::artifact::Referring;
use crate::oci::manifest::{Document, DocumentError};
use crate::oci::{Descriptor, Digest, Platform, Reference};

/// How deep indexes may be nested; real ones are not.
const DEEPEST: usize = 8;

/// Blobs asked for at once; the transfers themselves wait for their turn at the network.
const AT_ONCE: usize = 16;

/// Where an image is copied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A registry.
    Registry(Reference),
    /// A layout or archive.
    Disk(ImagePath),
}

/// What of an image is copied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// One platform of an index; all of it otherwise.
    pub platform: Option<Platform>,
    /// What refers to the image too.
    pub referrers: bool,
}

/// Why an image could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target is no path.
    #[error(transparent)]
    Path(#[from] ImagePathError),
    /// The target is no reference either.
    #[error(transparent)]
    Reference(#[from] crate::oci::reference::ReferenceError),
    /// The source names no image.
    #[error(transparent)]
    Name(#[from] ImageSourceError),
    /// The source does not give it.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The target does not take it.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The target on disk cannot be written, or the source on disk is not whole.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A document is none of an image's.
    #[error("{name}: {digest}: {error}")]
    Document {
        /// The source.
        name: String,
        /// The document.
        digest: Digest,
        /// What is wrong with it.
        error: DocumentError,
    },
    /// Its indexes are nested without end.
    #[error("{0}: its indexes lead to indexes without end")]
    Endless(String),
}

impl From<RegistryError> for CopyError {
    fn from(error: RegistryError) -> Self {
        Self::Source(error.into())
    }
}

impl Diagnose for CopyError {
    fn class(&self) -> Class {
        match self {
            Self::Path(_) | Self::Reference(_) | Self::Name(_) => Class::Usage,
            Self::Source(error) => error.class(),
            Self::Push(error) => error.class(),
            Self::Layout(error) => error.class(),
            Self::Document { .. } | Self::Endless(_) => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Path(_) | Self::Reference(_) | Self::Name(_) => Some(
                "name oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG] or registry/repository[:tag]"
                    .to_owned(),
            ),
            Self::Source(error) => error.hint(),
            Self::Push(error) => error.hint(),
            Self::Layout(error) => error.hint(),
            Self::Document { .. } | Self::Endless(_) => None,
        }
    }
}

impl Target {
    /// Reads a target: marked as a path, or one that can only be meant as a path, or a reference.
    ///
    /// # Errors
    /// [`CopyError::Path`] or [`CopyError::Reference`].
    pub fn find(text: &str) -> Result<Self, CopyError> {
        if ImagePath::is_marked(text) {
            return Ok(Self::Disk(text.parse()?));
        }
        if text.starts_with(['.', '/']) {
            return Ok(Self::Disk(ImagePath::new(text)));
        }
        Ok(Self::Registry(text.parse()?))
    }
}

/// Gets what is to be copied, but for blobs that `there` has already.
///
/// # Errors
/// [`CopyError`], by cause.
pub async fn gather(
    source: &ImageSource,
    extent: Extent,
    there: Option<&Repository>,
    edges: &Edges<'_>,
) -> Result<Shipment, CopyError> {
    let reference = match source {
        ImageSource::Registry(reference) => reference,
        ImageSource::Disk(path) => {
            let path = path.clone();
            let opened = move || Shipment::open_for(&path, extent.platform);
            let mut shipment = super::blocking::blocking(opened).await?;
            if !extent.referrers {
                shipment.retain_companions(|_| false);
            }
            return Ok(shipment);
        }
    };
    let gathering = Gathering {
        source,
        reference,
        there,
        edges,
    };
    gathering.run(extent).await
}

/// Writes what was gathered to a layout or archive. `name` is what Docker calls it where the path does not say.
///
/// # Errors
/// [`LayoutError`].
pub fn write(shipment: &Shipment, to: &ImagePath, name: &str) -> Result<(), LayoutError> {
    let mut parts = shipment.parts();
    let (top, _) = shipment.top();
    parts.name(top.clone(), to.tag());
    parts.docker_tag(to.tag().unwrap_or(name));
    layout::write(to.path(), to.format(), &parts)
}

/// An image on its way out of a registry.
struct Gathering<'a> {
    source: &'a ImageSource,
    reference: &'a Reference,
    there: Option<&'a Repository>,
    edges: &'a Edges<'a>,
}

/// What its documents lead to.
#[derive(Default)]
struct Named {
    seen: BTreeSet<Digest>,
    manifests: Vec<(Descriptor, Vec<u8>)>,
    layers: Vec<Descriptor>,
    configs: Vec<Descriptor>,
}

impl Gathering<'_> {
    async fn run(&self, extent: Extent) -> Result<Shipment, CopyError> {
        let (mut top, mut bytes) = self.edges.registry.resolve(self.reference).await?;
        let mut document = self.parse(&top, &bytes)?;
        if let (Some(platform), Document::Index(index)) = (extent.platform, &document) {
            top = entry(index, platform, self.reference.to_string().as_ref())?;
            bytes = self.manifest(&top).await?;
            document = self.parse(&top, &bytes)?;
        }
        let mut named = Named::default();
        self.collect(&document, &mut named, 0).await?;
        let mut shipment = Shipment::new(top.clone(), bytes);
        for (descriptor, source) in self.blobs(&named.layers, self.there).await? {
            shipment.add_layer(&descriptor, source);
        }
        for (descriptor, source) in self.blobs(&named.configs, self.there).await? {
            shipment.add_config(&descriptor, source);
        }
        for (descriptor, bytes) in named.manifests {
            shipment.add_manifest(descriptor, bytes);
        }
        shipment.came_from(self.reference.clone());
        if extent.referrers {
            self.referrers(top.digest, &mut shipment).await?;
        }
        Ok(shipment)
    }

    /// Notes what a document leads to, each manifest after those it leads to.
    fn collect<'s>(
        &'s self,
        document: &'s Document,
        named: &'s mut Named,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<(), CopyError>> + 's>> {
        Box::pin(async move {
            match document {
                Document::Index(_) if depth == DEEPEST => {
                    return Err(CopyError::Endless(self.reference.to_string()));
                }
                Document::Index(index) => {
                    for child in &index.manifests {
                        if !named.seen.insert(child.digest) {
                            continue;
                        }
                        let bytes = self.manifest(child).await?;
                        let document = self.parse(child, &bytes)?;
                        self.collect(&document, named, depth + 1).await?;
                        named.manifests.push((child.clone(), bytes));
                    }
                }
                Document::Manifest(manifest) => {
                    for layer in &manifest.layers {
                        if named.seen.insert(layer.digest) {
                            named.layers.push(layer.clone());
                        }
                    }
                    if named.seen.insert(manifest.config.digest) {
                        named.configs.push(manifest.config.clone());
                    }
                }
            }
            Ok(())
        })
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, CopyError> {
        let Edges {
            registry, store, ..
        } = self.edges;
        Ok(self.source.manifest(registry, store, descriptor).await?)
    }

    fn parse(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<Document, CopyError> {
        Document::parse(bytes).map_err(|error| CopyError::Document {
            name: self.reference.to_string(),
            digest: descriptor.digest,
            error,
        })
    }

    /// Gets blobs, several at once, but for those that `there` has.
    async fn blobs(
        &self,
        descriptors: &[Descriptor],
        there: Option<&Repository>,
    ) -> Result<Vec<(Descriptor, BlobSource)>, CopyError> {
        stream::iter(descriptors)
            .map(|descriptor| async move {
                // Where that cannot be found out, it is for the upload to say why.
                let is_there = match there {
                    Some(there) => there.has(descriptor.digest).await.unwrap_or(false),
                    None => false,
                };
                let source = if is_there {
                    let absent: Arc<dyn RandomRead> = Arc::new(There(descriptor.size));
                    BlobSource::from(absent)
                } else {
                    let Edges {
                        registry,
                        store,
                        progress,
                        ..
                    } = self.edges;
                    let blob = self.source.blob(registry, store, descriptor, *progress);
                    blob.await?.into()
                };
                Ok((descriptor.clone(), source))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn referrers(&self, subject: Digest, shipment: &mut Shipment) -> Result<(), CopyError> {
        let registry = self.edges.registry;
        for mut referrer in registry.referrers(self.reference, subject, None).await? {
            let manifest = self.manifest(&referrer.descriptor).await?;
            let referring = Referring::parse(&manifest).map_err(|error| CopyError::Document {
                name: self.reference.to_string(),
                digest: referrer.descriptor.digest,
                error: error.into(),
            })?;
            // What it is, it says itself; and what it refers to.
            if referring.subject.as_ref().map(|of| of.digest) != Some(subject) {
                continue;
            }
            referrer.artifact_type = referring.artifact_type().map(str::to_owned);
            let named: Vec<Descriptor> = referring
                .config
                .iter()
                .chain(&referring.layers)
                .cloned()
                .collect();
            let blobs = self.blobs(&named, self.there).await?;
            shipment.attach(Companion {
                referrer,
                manifest,
                blobs,
            });
        }
        Ok(())
    }
}

/// A blob that is where it is copied to, so that it was not fetched: of this many bytes.
struct There(u64);

impl RandomRead for There {
    fn size(&self) -> u64 {
        self.0
    }

    fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        let why = "it was in the registry a moment ago and is not any more; copy again";
        Err(io::Error::new(io::ErrorKind::NotFound, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_path_only_where_it_can_be_nothing_else() {
        for text in ["oci:out", "oci-archive:a.tar:1", "./out", "/tmp/out"] {
            assert!(matches!(Target::find(text), Ok(Target::Disk(_))), "{text}");
        }
        assert!(matches!(
            Target::find("r.io/app:1"),
            Ok(Target::Registry(_))
        ));
        for text in ["out", "oci:", "r.io/App"] {
            assert!(Target::find(text).is_err(), "{text}");
        }
    }
}
