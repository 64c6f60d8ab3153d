//! Builds: fetches what plans name, hands it to the core as it comes, all images at once, and writes the result.

use std::io;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

use super::Edges;
use super::base::{BaseError, BaseShop};
use super::fetch::{self, FetchError, Input};
use super::image_source::{ImageSource, ImageSourceError};
use super::layout::{self, Companion, Format, LayoutError, Parts};
use super::project::Project;
use super::push::Shipment;
use super::source_walk::{self, WalkError};
use super::store::{FileBlob, Store};
use super::supply::Supply;
use super::tag::Tag;
use crate::build::{
    self, BlobSource as _, BuildError, LayerSink, Materials, Recalled, Underway, Workshop,
};
use crate::diagnose::{Class, Diagnose};
use crate::image::{self, Image, NewLayer};
use crate::layer::Contents;
use crate::layer::codec::Codec;
use crate::layer::write::Press;
use crate::lock::Lock;
use crate::oci::{Descriptor, Digest, Platform};
use crate::plan::{self, Plan, PlanError};
use crate::provenance::Provenance;
use crate::recipe::{Args, CopyRule, Stage};
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
    /// The system gives no more threads.
    #[error("cannot start a thread: {0}")]
    Threads(#[source] io::Error),
    /// An image cannot be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The result cannot be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl EdgeBuildError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        Some(match self {
            Self::Threads(_) => return None,
            Self::Plan(error) => error,
            Self::Source(error) => error,
            Self::Base(error) => error,
            Self::Fetch(error) => error,
            Self::Walk(error) => error,
            Self::Build(error) => error,
            Self::Layout(error) => error,
        })
    }
}

impl Diagnose for EdgeBuildError {
    fn class(&self) -> Class {
        self.inner().map_or(Class::Usage, Diagnose::class)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Threads(_) => Some("check `ulimit -u`".to_owned()),
            _ => self.inner()?.hint(),
        }
    }
}

/// Builds every platform of `job` from the source tree in the recipe's folder, and keeps the layers in the store.
///
/// Inputs are fetched, and all platforms built, at the same time. Of several things that fail, the first is told in the
/// order of the images, not of time.
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
    source: &(SourceList, Contents),
    sink: &dyn LayerSink,
    edges: &Edges<'_>,
) -> Result<Images, EdgeBuildError> {
    let recipe = &job.project.recipe;
    let plans = plan::plan(recipe, job.lock, job.platforms, job.stage)?;
    let base = recipe
        .base
        .image
        .parse::<ImageSource>()?
        .seen_from(&job.project.folder);
    let press = Press::new(Codec::GzipV1, job.threads).map_err(EdgeBuildError::Threads)?;
    let shared = &Shared {
        runtime,
        job,
        edges,
        base: &base,
        source,
        sink,
        press: &press,
        underway: &Underway::default(),
    };
    let recalled: Vec<Recalled> = thread::scope(|scope| {
        let recalling: Vec<_> = plans
            .iter()
            .map(|plan| scope.spawn(move || shared.recall(plan)))
            .collect();
        recalling.into_iter().map(join).collect()
    });
    let known = || plans.iter().zip(&recalled);
    // Packages first: everything else lies on what they install.
    let packages = known().filter(|(_, known)| known.needs_packages());
    let packages = inputs(packages.flat_map(|(plan, _)| plan.packages()));
    let wheels = known().filter(|(_, known)| known.needs_wheels());
    let wheels = inputs(wheels.flat_map(|(plan, _)| plan.wheels()));
    let mut inputs = fetch::largest_first(&packages);
    inputs.extend(fetch::largest_first(&wheels));
    let supply = &Supply::of(edges.store, &inputs);
    let images = thread::scope(|scope| {
        let fetching = supply.fetch(edges.fetcher, inputs, edges.progress);
        let fetching = scope.spawn(|| runtime.block_on(fetching));
        let building: Vec<_> = plans
            .iter()
            .zip(recalled)
            .map(|(plan, recalled)| scope.spawn(move || shared.image(plan, recalled, supply)))
            .collect();
        let mut images = Ok(Vec::new());
        for image in building {
            match (join(image), &mut images) {
                (Ok(image), Ok(images)) => images.push(image),
                (Err(error), Ok(_)) => {
                    supply.stop();
                    images = Err(error);
                }
                (_, Err(_)) => {}
            }
        }
        match (images, join(fetching)) {
            // Who waits for an input in vain knows only that it did not come.
            (Ok(_) | Err(EdgeBuildError::Build(_)), Err(why)) => Err(why.into()),
            (images, _) => images,
        }
    })?;
    let index = (images.len() > 1).then(|| image::index(&images));
    Ok((images, index))
}

/// Returns planned inputs as what to fetch.
fn inputs(planned: impl Iterator<Item = plan::Input>) -> Vec<Input> {
    let inputs = planned.map(|input| Input {
        what: input.what,
        urls: vec![input.url],
        digest: input.digest,
        size: input.size,
    });
    inputs.collect()
}

/// What all images of a job share.
struct Shared<'a> {
    runtime: &'a tokio::runtime::Runtime,
    job: &'a Job<'a>,
    edges: &'a Edges<'a>,
    base: &'a ImageSource,
    source: &'a (SourceList, Contents),
    sink: &'a dyn LayerSink,
    press: &'a Press,
    underway: &'a Underway,
}

impl Shared<'_> {
    /// Recalls what was made before of the same.
    fn recall(&self, plan: &Plan<'_>) -> Recalled {
        let quiet = |_: &str| {};
        let recipe = &self.job.project.recipe;
        let workshop = self.workshop(&|_| {}, &quiet);
        Recalled::of(plan, recipe, self.job.lock, &self.source.0, &workshop)
    }

    /// Builds one image. Its base is read while its packages are unpacked.
    fn image(
        &self,
        plan: &Plan<'_>,
        recalled: Recalled,
        supply: &Supply<'_>,
    ) -> Result<Image, EdgeBuildError> {
        let (job, edges) = (self.job, self.edges);
        let recipe = &job.project.recipe;
        let remark = |text: &str| (edges.tell)(&format!("{}: {text}", plan.platform));
        let finished = |new: &NewLayer| {
            let NewLayer { layer, created_by } = new;
            remark(&format!(
                "{created_by}: {} ({} bytes)",
                layer.digest, layer.size
            ));
        };
        let workshop = self.workshop(&finished, &remark);
        let shop = BaseShop {
            reference: &recipe.base.image,
            source: self.base,
            registry: edges.registry,
            store: edges.store,
            progress: edges.progress,
        };
        let on = |base| Materials {
            recipe,
            lock: job.lock,
            args: job.args,
            epoch: job.epoch,
            base,
            source: &self.source.0,
            source_contents: &self.source.1,
        };
        if recalled.is_whole() {
            let base = self.runtime.block_on(shop.image(plan.base))?;
            return Ok(build::recall(plan, &on(&base), recalled, &workshop)?);
        }
        let blobs = supply.share();
        let (base, prepared) = thread::scope(|scope| {
            let base = scope.spawn(|| {
                let base = self.runtime.block_on(shop.load(plan.base));
                if base.is_err() {
                    blobs.give_up();
                }
                base
            });
            let prepared = build::prepare(plan, recipe, job.lock, recalled, &blobs, &workshop);
            (join(base), prepared)
        });
        let (base, prepared) = (base?, prepared?);
        let materials = on(&base.image);
        Ok(build::build(
            plan, &materials, &base.root, prepared, &workshop,
        )?)
    }

    fn workshop<'w>(
        &'w self,
        finished: &'w (dyn Fn(&NewLayer) + Sync),
        remark: &'w (dyn Fn(&str) + Sync),
    ) -> Workshop<'w> {
        Workshop {
            sink: self.sink,
            spools: self.edges.store,
            press: self.press,
            underway: self.underway,
            finished,
            remark,
        }
    }
}

/// Waits for a thread, and panics as it did.
fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Writes what was built and returns the digest of the manifest, or of the index. A layout that is there already is left
/// alone.
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
    let digest_of = |blob: &FileBlob| built.store.digest_of(blob);
    if format != Format::Oci || !layout::is_there(output, &parts, &digest_of) {
        layout::write(output, format, &parts).inspect_err(|error| {
            if matches!(error, LayoutError::Digest { .. }) {
                built.doubt();
            }
        })?;
    }
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

    /// Hashes all layers again, whatever is remembered of their files: one was damaged by something that leaves no trace,
    /// such as a bad disk. It is removed, so that the next build makes it anew.
    fn doubt(&self) {
        let layers = self.images.iter().flat_map(|image| &image.layers);
        for layer in layers {
            let _ = self.store.verify_again(&layer.digest);
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
