//! Keeps finished layers in the store, and what was unpacked for them as long as it is needed.

use std::io::{self, Write};
use std::sync::Arc;

use super::store::{BlobWriter, SpoolFile, Store};
use crate::build::{LayerSink, PendingLayer, SpoolSource};
use crate::layer::RandomRead;
use crate::layer::codec::Codec;
use crate::layer::write::Layer;
use crate::oci::{DiffId, Digest};
use crate::rpm::payload::Spool;

/// The kind under which the store keeps which layer was made of what.
const LAYERS: &str = "layer";
/// The kind under which it keeps what became of the parts of an image.
const STEPS: &str = "step";

impl LayerSink for Store {
    fn find(&self, key: &Digest) -> Option<Layer> {
        let bytes = self.get_derived(LAYERS, *key)?;
        let known: KnownLayer = serde_json::from_slice(&bytes).ok()?;
        let layer = Layer {
            digest: known.digest,
            diff_id: known.diff_id,
            size: known.size,
            media_type: Codec::GzipV1.media_type(),
        };
        self.holds(&layer).then_some(layer)
    }

    fn holds(&self, layer: &Layer) -> bool {
        // A damaged blob is made anew instead of going into an image.
        self.verify(&layer.digest).unwrap_or(false)
    }

    fn recall(&self, key: &Digest) -> Option<Vec<u8>> {
        self.get_derived(STEPS, *key)
    }

    fn remember(&self, key: &Digest, bytes: &[u8]) {
        // On a full disk the image is as good.
        let _ = self.put_derived(STEPS, *key, bytes);
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

impl SpoolSource for Store {
    fn spool(&self) -> io::Result<Box<dyn Spool>> {
        Ok(Box::new(Self::spool(self).map_err(io::Error::other)?))
    }
}

impl Spool for SpoolFile {
    fn finish(self: Box<Self>) -> io::Result<Arc<dyn RandomRead>> {
        Self::finish(self)
    }
}
