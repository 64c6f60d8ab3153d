//! One platform's image of one side, and the ways its layers are read; every reading checks the `diff_id`.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::error::{DiffError, Which};
use super::source::LayerSource;
use crate::layer::read::{ReadError, ReadOptions, apply_layer, entries};
use crate::layer::{LayerPath, Tree};
use crate::oci::{DiffId, Digest, ImageLayer, PlatformImage};

/// One platform's image of one side.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    pub(super) which: Which,
    pub(super) documents: &'a PlatformImage,
    pub(super) source: &'a dyn LayerSource,
}

/// An entry of an image: the position of its layer, and its own in that.
pub(super) type EntryAt = (usize, usize);

impl<'a> Image<'a> {
    pub(super) fn layer(&self, at: usize) -> &'a ImageLayer {
        &self.documents.layers[at]
    }

    /// Opens the blob of a layer.
    pub(super) fn open(&self, at: usize) -> Result<Box<dyn Read + 'a>, DiffError> {
        let descriptor = &self.layer(at).descriptor;
        self.source
            .open(descriptor)
            .map_err(|source| DiffError::Open {
                which: self.which,
                layer: descriptor.digest,
                source,
            })
    }

    /// Names a layer in an error.
    pub(super) fn fault(&self, at: usize) -> impl Fn(ReadError) -> DiffError + use<> {
        let (which, layer) = (self.which, self.layer(at).descriptor.digest);
        move |error| DiffError::Layer {
            which,
            layer,
            error,
        }
    }

    /// Refuses a tar that is not the one the config names.
    pub(super) fn check(&self, at: usize, found: DiffId) -> Result<(), DiffError> {
        let layer = self.layer(at);
        if found == layer.diff_id {
            return Ok(());
        }
        Err(DiffError::DiffId {
            which: self.which,
            layer: layer.descriptor.digest,
            wanted: layer.diff_id,
            found,
        })
    }

    /// Puts a layer over `tree`, and keeps the contents that `keep` asks for in `kept`.
    pub(super) fn apply(
        &self,
        at: usize,
        tree: &mut Tree,
        keep: &mut dyn FnMut(&LayerPath, u64) -> bool,
        kept: &mut BTreeMap<Digest, Vec<u8>>,
    ) -> Result<(), DiffError> {
        let options = ReadOptions::default();
        let applied = apply_layer(tree, self.open(at)?, &options, keep);
        let applied = applied.map_err(self.fault(at))?;
        self.check(at, applied.diff_id)?;
        kept.extend(applied.kept);
        Ok(())
    }

    /// Reads a layer only to see that its tar is the one the config names.
    pub(super) fn verify(&self, at: usize) -> Result<(), DiffError> {
        let options = ReadOptions::default();
        let read = entries(self.open(at)?, &options, |_, _| Ok::<_, ReadError>(()));
        let (diff_id, _) = read.map_err(self.fault(at))?;
        self.check(at, diff_id)
    }

    /// Shows the contents of the wanted entries of a layer to `take`, in their order.
    pub(super) fn contents<E: From<DiffError>>(
        &self,
        layer: usize,
        is_wanted: impl Fn(usize) -> bool,
        mut take: impl FnMut(usize, &mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        let options = ReadOptions::default();
        let read = entries(self.open(layer)?, &options, |_, content| {
            if is_wanted(at) {
                take(at, content).map_err(Stop::Taker)?;
            }
            at += 1;
            Ok(())
        });
        match read {
            Ok(_) => Ok(()),
            Err(Stop::Layer(error)) => Err(self.fault(layer)(error).into()),
            Err(Stop::Taker(error)) => Err(error),
        }
    }

    /// Wraps a failed read of a content.
    pub(super) fn unreadable(&self, layer: usize, source: io::Error) -> DiffError {
        self.fault(layer)(ReadError::Open(source))
    }
}

/// Why reading contents stopped.
enum Stop<E> {
    Layer(ReadError),
    Taker(E),
}

impl<E> From<ReadError> for Stop<E> {
    fn from(error: ReadError) -> Self {
        Self::Layer(error)
    }
}
