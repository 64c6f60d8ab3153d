//! Builds: fetches what a plan names, hands it to the core, keeps the layers in the store, writes the result.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::Edges;
use super::base::{Base, BaseError, BaseShop};
use super::fetch::{FetchError, Input};
use super::image_source::{ImageSource, ImageSourceError};
use super::layout::{self, Companion, Format, LayoutError, Parts};
use super::project::Project;
use super::push::Shipment;
use super::source_walk::{self, WalkError};
use super::store::{BlobWriter, FileBlob, SpoolFile, Store};
use super::tag::Tag;
use crate::build::{
    self, BlobSource, BuildError, LayerSink, Materials, PendingLayer, SpoolSource, Workshop,
};
use crate::diagnose::{Class, Diagnose};
use crate::image::{self, Image, NewLayer};
use crate::layer::codec::Codec;
use crate::layer::write::Layer;
use crate::layer::{Contents, RandomRead};
use crate::lock::Lock;
use crate::oci::{Descriptor, DiffId, Digest, Platform};
use crate::plan::{self, Plan, PlanError};
use crate::provenance::Provenance;
use crate::recipe::{Args, CopyRule, Stage};
use crate::rpm::payload::Spool;
use crate::source::SourceList;

/// What to build.
pub struct Job<'a> {
    /// The recipe and its folder.
    pub project: &'a Project,
    /// Its lock, fresh.
    pub lock: &'a Lock,
    /// Build arguments.
    pub args: &'a Args,
    /// Which platforms.
    pub platforms: &'a [Platform],
    /// Which stage.
    pub stage: Stage,
    /// Creation time, seconds since 1970 UTC.
    pub epoch: i64,
    /// Threads that compress.
    pub threads: usize,
}

impl Job<'_> {
    /// Returns the copy rules of the stage.
    #[must_use]
    pub fn rules(&self) -> &[CopyRule] {
        match self.stage {
            Stage::Runtime => &self.project.recipe.copy,
            Stage::Builder => &[],
        }
    }
}

/// One image, or several under an index.
pub struct Built {
    /// In the order of the platforms asked for.
    pub images: Vec<Image>,
    /// The index, for several platforms.
    pub index: Option<(Descriptor, Vec<u8>)>,
    /// What the copy rules found.
    pub source: SourceList,
    /// What refers to it.
    companions: Vec<Companion>,
    store: Store,
}

/// Why a build fails.
#[derive(Debug, thiserror::Error)]
pub enum EdgeBuildError {
    /// A platform that is not locked.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The base's reference.
    #[error(transparent)]
    Source(#[from] ImageSourceError),
    /// The base.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// An input cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The source tree.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// An image cannot be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The result cannot be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl EdgeBuildError {
    fn inner(&self) -> &dyn Diagnose {
        match self {
            Self::Plan(error) => error,
            Self::Source(error) => error,
            Self::Base(error) => error,
            Self::Fetch(error) => error,
            Self::Walk(error) => error,
            Self::Build(error) => error,
            Self::Layout(error) => error,
        }
    }
}

impl Diagnose for EdgeBuildError {
    fn class(&self) -> Class {
        self.inner().class()
    }

    fn hint(&self) -> Option<String> {
        self.inner().hint()
    }
}

/// Builds every platform of `job` from the source tree in the recipe's folder, and keeps the layers in the store.
///
/// # Errors
/// [`EdgeBuildError`]; nothing is written then but what the cache may keep.
pub fn build(
    runtime: &tokio::runtime::Runtime,
    job: &Job<'_>,
    edges: &Edges<'_>,
) -> Result<Built, EdgeBuildError> {
    // Before anything is fetched: the source tree is at hand, and wrong more often than the network.
    let source = source_walk::walk(&job.project.folder, job.rules())?;
    let (images, index) = build_of(runtime, job, &source, edges.store, edges)?;
    Ok(Built {
        images,
        index,
        source: source.0,
        companions: Vec::new(),
        store: edges.store.clone(),
    })
}

/// Images, in the order of the platforms, and the index over several.
pub type Images = (Vec<Image>, Option<(Descriptor, Vec<u8>)>);

/// Builds every platform of `job` from this source tree, and gives the layers to `sink`.
///
/// # Errors
/// As [`build`].
pub fn build_of(
    runtime: &tokio::runtime::Runtime,
    job: &Job<'_>,
    (source, source_contents): &(SourceList, Contents),
    sink: &dyn LayerSink,
    edges: &Edges<'_>,
) -> Result<Images, EdgeBuildError> {
    let recipe = &job.project.recipe;
    let plans = plan::plan(recipe, job.lock, job.platforms, job.stage)?;
    let bases = runtime.block_on(obtain(job, &plans, edges))?;

    let mut images = Vec::new();
    for (plan, base) in plans.iter().zip(&bases) {
        let materials = Materials {
            recipe,
            lock: job.lock,
            args: job.args,
            epoch: job.epoch,
            base: &base.image,
            root: &base.root,
            blobs: edges.store,
            source,
            source_contents,
        };
        let remark = |text: &str| (edges.tell)(&format!("{}: {text}", plan.platform));
        let finished = |new: &NewLayer| {
            let NewLayer { layer, created_by } = new;
            (edges.tell)(&format!(
                "{}: {created_by}: {} ({} bytes)",
                plan.platform, layer.digest, layer.size
            ));
        };
        let workshop = Workshop {
            sink,
            spools: edges.store,
            threads: job.threads,
            finished: &finished,
            remark: &remark,
        };
        images.push(build::build(plan, &materials, &workshop)?);
    }
    let index = (images.len() > 1).then(|| image::index(&images));
    Ok((images, index))
}

/// Gets bases and inputs into the store, all at once.
async fn obtain(
    job: &Job<'_>,
    plans: &[Plan<'_>],
    edges: &Edges<'_>,
) -> Result<Vec<Base>, EdgeBuildError> {
    let reference = &job.project.recipe.base.image;
    let source = reference
        .parse::<ImageSource>()?
        .seen_from(&job.project.folder);
    let shop = BaseShop {
        reference,
        source: &source,
        registry: edges.registry,
        store: edges.store,
        progress: edges.progress,
    };
    let inputs = plans.iter().flat_map(Plan::inputs).map(|input| Input {
        what: input.what,
        urls: vec![input.url],
        digest: input.digest,
        size: input.size,
    });
    let inputs = edges
        .fetcher
        .fetch_all(edges.store, inputs.collect(), edges.progress);
    let bases = futures_util::future::try_join_all(plans.iter().map(|plan| shop.load(plan.base)));
    let (_, bases) = futures_util::future::try_join(
        async { inputs.await.map_err(EdgeBuildError::from) },
        async { bases.await.map_err(EdgeBuildError::from) },
    )
    .await?;
    Ok(bases)
}

/// Writes what was built and returns the digest of the manifest, or of the index.
///
/// # Errors
/// [`EdgeBuildError::Layout`]; what was at `output` is then still there.
pub fn write(
    built: &Built,
    output: &Path,
    format: Format,
    tags: &[Tag],
    name: &str,
) -> Result<Digest, EdgeBuildError> {
    let mut parts = Parts::new();
    for image in &built.images {
        for layer in &image.layers {
            parts.add(layer, built.layer(layer)?);
        }
        parts.add(&image.config_descriptor, image.config.clone());
        parts.add(&image.descriptor, image.manifest.clone());
    }
    if let Some((descriptor, bytes)) = &built.index {
        parts.add(descriptor, bytes.clone());
    }
    let (top, _) = built.top();
    for tag in tags {
        // `name:tag` is what `docker load` names the image; a layout wants the tag alone.
        parts.name(top.clone(), Some(tag.tag()));
        parts.docker_tag(tag.with_name(name));
    }
    for companion in &built.companions {
        parts.attach(companion);
    }
    layout::write(output, format, &parts)?;
    Ok(top.digest)
}

impl Built {
    /// Returns what was built, ready to be pushed out of the store.
    ///
    /// # Errors
    /// [`EdgeBuildError::Build`] if somebody took a layer out of the store meanwhile.
    pub fn shipment(&self) -> Result<Shipment, EdgeBuildError> {
        let (top, bytes) = self.top();
        let mut shipment = Shipment::new(top.clone(), bytes.to_vec());
        for image in &self.images {
            for layer in &image.layers {
                shipment.add_layer(layer, self.layer(layer)?);
            }
            shipment.add_config(&image.config_descriptor, image.config.clone());
            if self.index.is_some() {
                shipment.add_manifest(image.descriptor.clone(), image.manifest.clone());
            }
        }
        for companion in &self.companions {
            shipment.attach(companion.clone());
        }
        Ok(shipment)
    }

    /// Has the record of the build go with it.
    pub fn attach(&mut self, provenance: &Provenance) {
        let attachment = provenance.artifact(self.top().0);
        self.companions.push(attachment.into());
    }

    /// Returns the index, or the manifest of the only image.
    fn top(&self) -> (&Descriptor, &[u8]) {
        match &self.index {
            Some((descriptor, bytes)) => (descriptor, bytes),
            None => (&self.images[0].descriptor, &self.images[0].manifest),
        }
    }

    fn layer(&self, layer: &Descriptor) -> Result<FileBlob, BuildError> {
        self.store
            .get(&layer.digest)
            .ok_or_else(|| BuildError::Missing {
                what: "a layer".to_owned(),
                digest: layer.digest,
            })
    }
}

impl BlobSource for Store {
    fn open(&self, digest: &Digest) -> Option<Arc<dyn RandomRead>> {
        self.get(digest)
            .map(|blob| Arc::new(blob) as Arc<dyn RandomRead>)
    }
}

impl SpoolSource for Store {
    fn spool(&self) -> io::Result<Box<dyn Spool>> {
        Ok(Box::new(Self::spool(self).map_err(io::Error::other)?))
    }
}

/// The kind under which the store keeps which layer was made of what.
const LAYERS: &str = "layer";

impl LayerSink for Store {
    fn find(&self, key: &Digest) -> Option<Layer> {
        let bytes = self.get_derived(LAYERS, *key)?;
        let known: KnownLayer = serde_json::from_slice(&bytes).ok()?;
        // Hashed again: a damaged blob is made anew instead of going into an image.
        let sound = self.verify(&known.digest).unwrap_or(false);
        sound.then_some(Layer {
            digest: known.digest,
            diff_id: known.diff_id,
            size: known.size,
            media_type: Codec::GzipV1.media_type(),
        })
    }

    fn begin(&self) -> io::Result<Box<dyn PendingLayer>> {
        let writer = self.writer().map_err(io::Error::other)?;
        Ok(Box::new(StoredLayer {
            store: self.clone(),
            writer,
        }))
    }
}

/// What the store keeps of a layer besides its blob.
#[derive(serde::Serialize, serde::Deserialize)]
struct KnownLayer {
    digest: Digest,
    diff_id: DiffId,
    size: u64,
}

/// A layer on its way into the store.
struct StoredLayer {
    store: Store,
    writer: BlobWriter,
}

impl Write for StoredLayer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl PendingLayer for StoredLayer {
    fn commit(self: Box<Self>, key: &Digest, layer: &Layer) -> io::Result<()> {
        let expected = (layer.digest, Some(layer.size));
        self.writer
            .commit(Some(expected))
            .map_err(io::Error::other)?;
        let known = KnownLayer {
            digest: layer.digest,
            diff_id: layer.diff_id,
            size: layer.size,
        };
        let bytes = serde_json::to_vec(&known).map_err(io::Error::other)?;
        self.store
            .put_derived(LAYERS, *key, &bytes)
            .map_err(io::Error::other)
    }
}

impl Spool for SpoolFile {
    fn finish(self: Box<Self>) -> io::Result<Arc<dyn RandomRead>> {
        Self::finish(self)
    }
}
