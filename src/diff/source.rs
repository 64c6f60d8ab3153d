//! One of the two images that are compared: its documents, and where the bytes of its layers come from.

use std::io::{self, Read};

use crate::oci::{Descriptor, ImageDocuments};

/// Opens the layers of an image: blobs on disk, or layers that are made again when they are asked for.
pub trait LayerSource: Sync {
    /// Returns the bytes of the layer that `layer` names, from the first on.
    ///
    /// They may be compressed or not, whatever the media type says: that is found out from the bytes. A layer may be
    /// opened several times, also by several threads at once. Layers that are the same blob in both images are opened
    /// only in the first.
    ///
    /// # Errors
    /// What the disk says; [`io::ErrorKind::InvalidData`], at the latest at the end, if the bytes are not those of the
    /// descriptor.
    fn open(&self, layer: &Descriptor) -> io::Result<Box<dyn Read + '_>>;
}

/// One of the two images that are compared.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Index, manifests and configs.
    pub documents: &'a ImageDocuments,
    /// Opens its layers.
    pub layers: &'a dyn LayerSource,
}
