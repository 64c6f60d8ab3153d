//! Rebuilds an image into nothing but digests, and again into a form that can be compared where they are others.

use std::io::{self, Read, Write};
use std::path::Path;

use super::VerifyError;
use super::claim::Claim;
use crate::build::{LayerSink, PendingLayer};
use crate::diff::{self, Compared, Difference, LayerSource, Side};
use crate::edge::Edges;
use crate::edge::build::{self, Images, Job};
use crate::edge::diff_files;
use crate::edge::store::Store;
use crate::edge::subject::Subject;
use crate::layer::Contents;
use crate::layer::write::Layer;
use crate::oci::{Descriptor, Digest, ImageDocuments, Platform, PlatformImage};
use crate::source::SourceList;

/// An image to rebuild.
pub(super) struct Rebuild<'a> {
    pub(super) runtime: &'a tokio::runtime::Runtime,
    pub(super) claim: &'a Claim,
    pub(super) platforms: &'a [Platform],
    pub(super) source: &'a (SourceList, Contents),
    pub(super) threads: usize,
    /// Where to write both versions of what differs.
    pub(super) report_dir: Option<&'a Path>,
    pub(super) edges: &'a Edges<'a>,
}

impl Rebuild<'_> {
    /// Rebuilds it and keeps no byte of its layers.
    pub(super) fn hashed(&self) -> Result<Images, VerifyError> {
        self.with_sink(&Nowhere)
    }

    /// Rebuilds it once more, into `store`, and compares it: A is the image, B what is rebuilt.
    pub(super) fn compared(
        &self,
        subject: &Subject,
        store: &Store,
        what: Compared,
    ) -> Result<Difference, VerifyError> {
        let (images, index) = self.with_sink(store)?;
        let mut rebuilt = Vec::new();
        for image in images {
            rebuilt.push(PlatformImage::parse(
                image.descriptor,
                image.manifest,
                image.config,
            )?);
        }
        let documents = match index {
            Some((top, bytes)) => ImageDocuments {
                top,
                bytes,
                images: rebuilt,
                others: Vec::new(),
            },
            None => ImageDocuments::of(rebuilt.remove(0)),
        };
        let layers = RebuiltLayers {
            made: store,
            inputs: self.edges.store,
        };
        let ours = Side {
            documents: &documents,
            layers: &layers,
        };
        let theirs = Side {
            documents: subject.documents(),
            layers: subject,
        };
        let difference = diff::compare(&theirs, &ours, what)?;
        if let Some(folder) = self.report_dir {
            diff_files::write(folder, [&theirs, &ours], &difference)?;
        }
        Ok(difference)
    }

    fn with_sink(&self, sink: &dyn LayerSink) -> Result<Images, VerifyError> {
        let claim = self.claim;
        let job = Job {
            project: &claim.project,
            lock: &claim.lock,
            args: &claim.args,
            platforms: self.platforms,
            stage: claim.stage,
            epoch: claim.epoch,
            threads: self.threads,
        };
        Ok(build::build_of(
            self.runtime,
            &job,
            self.source,
            sink,
            self.edges,
        )?)
    }
}

/// Takes layers and forgets them: their digests are computed before it.
struct Nowhere;

impl LayerSink for Nowhere {
    fn begin(&self) -> io::Result<Box<dyn PendingLayer>> {
        Ok(Box::new(Self))
    }
}

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PendingLayer for Nowhere {
    fn commit(self: Box<Self>, _: &Digest, _: &Layer) -> io::Result<()> {
        Ok(())
    }
}

/// The layers of a rebuilt image: those that were made, and those of the base.
struct RebuiltLayers<'a> {
    made: &'a Store,
    inputs: &'a Store,
}

impl LayerSource for RebuiltLayers<'_> {
    fn open(&self, layer: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = &layer.digest;
        let blob = self.made.get(digest).or_else(|| self.inputs.get(digest));
        match blob {
            Some(blob) => Ok(Box::new(blob.reader())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
