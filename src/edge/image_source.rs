//! Where an image comes from: a registry, or a layout or archive on disk; the same questions to both.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;

use super::blocking::blocking;
use super::disk::DiskError;
use super::layout::{ImagePath, ImagePathError, Layout, LayoutError};
use super::progress::Progress;
use super::registry::{MANIFEST_LIMIT, Registry, RegistryError};
use super::store::{FileBlob, Store, StoreError};
use crate::diagnose::{Class, Diagnose};
use crate::oci::reference::ReferenceError;
use crate::oci::{Descriptor, Digest, Reference};

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageSource {
    /// A registry.
    Registry(Reference),
    /// A layout or archive: `oci:DIR[:TAG]` and the like.
    Disk(ImagePath),
}

/// A string that names no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageSourceError {
    /// It is marked as a path, and is none.
    #[error(transparent)]
    Path(#[from] ImagePathError),
    /// It is not a reference either.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl Diagnose for ImageSourceError {
    fn class(&self) -> Class {
        Class::Usage
    }
}

impl FromStr for ImageSource {
    type Err = ImageSourceError;

    fn from_str(text: &str) -> Result<Self, ImageSourceError> {
        if ImagePath::is_marked(text) {
            return Ok(Self::Disk(text.parse()?));
        }
        Ok(Self::Registry(text.parse()?))
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::Disk(path) => path.fmt(f),
        }
    }
}

/// Why an image could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The registry did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The layout or archive did not.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The cache failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Diagnose for SourceError {
    fn class(&self) -> Class {
        match self {
            Self::Registry(error) => error.class(),
            Self::Layout(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Layout(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}

impl ImageSource {
    /// Returns the same with a relative path seen from `folder`, such as the recipe's.
    #[must_use]
    pub fn seen_from(&self, folder: &Path) -> Self {
        match self {
            Self::Disk(path) => Self::Disk(path.seen_from(folder)),
            Self::Registry(_) => self.clone(),
        }
    }

    /// Returns what it leads to now: the descriptor, and the bytes of the index or manifest.
    ///
    /// # Errors
    /// [`SourceError`], by cause.
    pub async fn resolve(&self, registry: &Registry) -> Result<(Descriptor, Vec<u8>), SourceError> {
        match self {
            Self::Registry(reference) => Ok(registry.resolve(reference).await?),
            Self::Disk(path) => {
                let path = path.clone();
                let resolved = blocking(move || Layout::open(path.path())?.resolve(path.tag()));
                Ok(resolved.await?)
            }
        }
    }

    /// Returns the index or manifest that `descriptor` names: from the store, else from the source into the store.
    ///
    /// # Errors
    /// [`SourceError`], by cause.
    pub async fn manifest(
        &self,
        registry: &Registry,
        store: &Store,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, SourceError> {
        let digest = descriptor.digest;
        if let Some(bytes) = store.get(&digest).and_then(|blob| blob.read_all(MANIFEST_LIMIT).ok())
            // Read as a whole anyway, so checked as well.
            && Digest::of(&bytes) == digest
        {
            return Ok(bytes);
        }
        let bytes = match self {
            Self::Registry(reference) => registry.manifest(reference, digest).await?,
            Self::Disk(path) => {
                let (path, descriptor) = (path.clone(), descriptor.clone());
                blocking(move || Layout::open(path.path())?.document(&descriptor)).await?
            }
        };
        let mut writer = store.writer()?;
        writer.append(&bytes)?;
        writer.commit(Some((digest, None)))?;
        Ok(bytes)
    }

    /// Returns a config or layer: from the store, else from the source into the store.
    ///
    /// # Errors
    /// [`SourceError`], by cause; wrong bytes are not kept.
    pub async fn blob(
        &self,
        registry: &Registry,
        store: &Store,
        descriptor: &Descriptor,
        progress: &dyn Progress,
    ) -> Result<FileBlob, SourceError> {
        match self {
            Self::Registry(reference) => Ok(registry
                .blob(store, reference, descriptor, progress)
                .await?),
            Self::Disk(path) => {
                let (path, store, descriptor) = (path.clone(), store.clone(), descriptor.clone());
                blocking(move || import(&path, &store, &descriptor)).await
            }
        }
    }
}

/// Copies a blob into the store: what lies in a layout may change while an image is built on it.
fn import(
    path: &ImagePath,
    store: &Store,
    descriptor: &Descriptor,
) -> Result<FileBlob, SourceError> {
    if let Some(blob) = store.get_sized(&descriptor.digest, Some(descriptor.size))? {
        return Ok(blob);
    }
    let layout = Layout::open(path.path())?;
    let mut reader = layout.blob(descriptor)?.reader();
    let mut writer = store.writer()?;
    let mut buffer = vec![0; 128 * 1024];
    let read = |error| LayoutError::from(DiskError::at("read", path.path())(error));
    loop {
        match reader.read(&mut buffer).map_err(read)? {
            0 => break,
            count => writer.append(&buffer[..count])?,
        }
    }
    match writer.commit(Some((descriptor.digest, Some(descriptor.size)))) {
        Ok(_) => {}
        Err(StoreError::Digest { wanted, found, .. }) => {
            return Err(LayoutError::Digest {
                path: layout.path().to_owned(),
                wanted,
                found,
            }
            .into());
        }
        Err(error) => return Err(error.into()),
    }
    let path = store.path(&descriptor.digest);
    Ok(FileBlob::open(&path)
        .map_err(|error| StoreError::from(DiskError::at("open", &path)(error)))?)
}
