//! Opens an image that people name to be looked at: its documents checked, its layers at hand as checked streams.

mod error;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rayon::prelude::*;

use super::Edges;
use super::image_source::{ImageSource, SourceError};
use super::layout::{ImagePath, Layout, LayoutError};
use super::registry::MANIFEST_LIMIT;
use super::store::{BlobReader, FileBlob};
use crate::diff::LayerSource;
use crate::oci::{Descriptor, Digest, Hasher, ImageDocuments, Platform};

pub use error::SubjectError;
use error::wrong;
use walk::{Pending, Walk, Wanted};

/// Blobs asked for at once; the transfers themselves wait for their turn at the network.
const AT_ONCE: usize = 16;

/// An image that is open to be looked at.
///
/// Its documents are those of their descriptors. The bytes of its layers are checked while they are read, and all at
/// once by [`Subject::faults`].
#[derive(Debug)]
pub struct Subject {
    name: String,
    documents: ImageDocuments,
    blobs: BTreeMap<Digest, FileBlob>,
}

/// A blob that is not what its descriptor says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// What the blob is: `layer 2 of linux/amd64`.
    pub what: String,
    /// The digest of its descriptor.
    pub wanted: Digest,
    /// The digest of its bytes.
    pub found: Digest,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            wanted,
            found,
        } = self;
        write!(f, "{what}: expected {wanted}, got {found}")
    }
}

/// Finds out what `text` names: an image on disk, marked or there, or a reference to a registry.
///
/// # Errors
/// [`SubjectError::Name`] or [`SubjectError::Absent`].
pub fn find(text: &str) -> Result<ImageSource, SubjectError> {
    let path = Path::new(text);
    if ImagePath::is_marked(text) {
        return Ok(text.parse()?);
    }
    if path.exists() {
        return Ok(ImageSource::Disk(ImagePath::new(path)));
    }
    // `./out` and `/out` can only be meant as paths, though `.` could be a host.
    if text.starts_with(['.', '/']) || !text.contains('/') {
        return Err(SubjectError::Absent(path.to_owned()));
    }
    Ok(text.parse()?)
}

impl Subject {
    /// Opens what lies on disk: all of it, or the images of `platforms` if there are any. Needs no network and no store.
    ///
    /// # Errors
    /// [`SubjectError`] if it is not there, not whole, or its documents are not those of their descriptors.
    pub fn open(path: &ImagePath, platforms: &[Platform]) -> Result<Self, SubjectError> {
        let name = path.to_string();
        let at = |what: &str| wrong(&name, what);
        let layout = Layout::open(path.path()).map_err(at("the layout"))?;
        let (top, bytes) = layout.resolve(path.tag()).map_err(at("the image"))?;
        let documents = Walk::new(&name, platforms, |_, descriptor: &Descriptor| {
            let bytes = layout.document(descriptor);
            Box::pin(std::future::ready(bytes.map_err(SourceError::from))) as Pending<'_>
        });
        // Nothing in it waits.
        let documents = futures_util::FutureExt::now_or_never(documents.documents(top, bytes))
            .expect("documents on disk are at hand")?;
        let mut blobs = BTreeMap::new();
        for (what, descriptor) in named_blobs(&documents) {
            let blob = layout.blob(descriptor).map_err(at(&what))?;
            blobs.insert(descriptor.digest, blob);
        }
        Ok(Self {
            name,
            documents,
            blobs,
        })
    }

    /// Opens what `source` names; what comes from a registry goes through the store, and is fetched once.
    ///
    /// # Errors
    /// [`SubjectError`], by cause.
    pub async fn fetch(
        source: &ImageSource,
        edges: &Edges<'_>,
        platforms: &[Platform],
    ) -> Result<Self, SubjectError> {
        if let ImageSource::Disk(path) = source {
            let (path, platforms) = (path.clone(), platforms.to_vec());
            return super::blocking::blocking(move || Self::open(&path, &platforms)).await;
        }
        let name = source.to_string();
        let at = |what: &str| wrong(&name, what);
        let resolved = source.resolve(edges.registry).await;
        let (top, bytes) = resolved.map_err(at("the image"))?;
        let walk = Walk::new(&name, platforms, |kind, descriptor: &Descriptor| {
            let descriptor = descriptor.clone();
            Box::pin(async move {
                let Edges {
                    registry, store, ..
                } = edges;
                match kind {
                    Wanted::Manifest => source.manifest(registry, store, &descriptor).await,
                    Wanted::Config => config(source, edges, &descriptor).await,
                }
            }) as Pending<'_>
        });
        let documents = walk.documents(top, bytes).await?;
        let wanted: BTreeMap<Digest, (String, Descriptor)> = named_blobs(&documents)
            .map(|(what, descriptor)| (descriptor.digest, (what, descriptor.clone())))
            .collect();
        let blobs = stream::iter(wanted.values())
            .map(|(what, descriptor)| async move {
                let blob = source.blob(edges.registry, edges.store, descriptor, edges.progress);
                let blob = blob.await.map_err(at(what))?;
                Ok::<_, SubjectError>((descriptor.digest, blob))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Self {
            name,
            documents,
            blobs,
        })
    }

    /// Returns it as it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its documents: index, manifests, configs.
    #[must_use]
    pub fn documents(&self) -> &ImageDocuments {
        &self.documents
    }

    /// Returns a blob below its documents; its bytes are not checked.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> Option<&FileBlob> {
        self.blobs.get(digest)
    }

    /// Reads every blob once, on all cores, and returns those whose bytes are not those of their descriptor.
    ///
    /// # Errors
    /// [`SubjectError::Read`] if a blob cannot be read.
    pub fn faults(&self) -> Result<Vec<Fault>, SubjectError> {
        let named: BTreeMap<Digest, String> = named_blobs(&self.documents)
            .map(|(what, descriptor)| (descriptor.digest, what))
            .collect();
        let blobs: Vec<_> = self.blobs.iter().collect();
        let checked: Result<Vec<Option<Fault>>, SubjectError> = blobs
            .into_par_iter()
            .map(|(wanted, blob)| {
                let what = named.get(wanted).cloned().unwrap_or_default();
                let found = blob.hash().map_err(|source| SubjectError::Read {
                    name: self.name.clone(),
                    what: what.clone(),
                    source,
                })?;
                Ok((found.0 != *wanted).then_some(Fault {
                    what,
                    wanted: *wanted,
                    found: found.0,
                }))
            })
            .collect();
        let mut faults: Vec<Fault> = checked?.into_iter().flatten().collect();
        faults.sort();
        Ok(faults)
    }
}

impl LayerSource for Subject {
    fn open(&self, layer: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let blob = self.blobs.get(&layer.digest).ok_or_else(|| {
            let missing = format!("{} is missing", layer.digest);
            io::Error::new(io::ErrorKind::NotFound, missing)
        })?;
        Ok(Box::new(Checked {
            reader: blob.reader(),
            hasher: Some(Hasher::default()),
            wanted: layer.digest,
        }))
    }
}

/// A blob whose end is an error if its bytes were not those of its digest.
struct Checked {
    reader: BlobReader,
    /// Gone once the end was seen.
    hasher: Option<Hasher>,
    wanted: Digest,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..count]);
            }
        } else if !buffer.is_empty()
            && let Some(hasher) = self.hasher.take()
        {
            let (found, _) = hasher.finish();
            if found != self.wanted {
                let why = format!("expected {}, got {found}", self.wanted);
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
        Ok(count)
    }
}

/// Returns every blob below the documents with what it is, configs excepted: those are documents.
fn named_blobs(documents: &ImageDocuments) -> impl Iterator<Item = (String, &Descriptor)> {
    let layers = documents.images.iter().flat_map(|image| {
        let layers = image.layers.iter().enumerate();
        layers.map(|(at, layer)| {
            let what = format!("layer {} of {}", at + 1, image.platform);
            (what, &layer.descriptor)
        })
    });
    let others = documents.others.iter().flat_map(|other| {
        let blobs = other.blobs.iter();
        blobs.map(|blob| (format!("a blob of {}", other.descriptor.digest), blob))
    });
    layers.chain(others)
}

/// Gets a config, which registries keep among the blobs.
async fn config(
    source: &ImageSource,
    edges: &Edges<'_>,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, SourceError> {
    let blob = source.blob(edges.registry, edges.store, descriptor, edges.progress);
    let blob = blob.await?;
    let path = edges.store.path(&descriptor.digest);
    let bytes = blob.read_all(MANIFEST_LIMIT);
    Ok(bytes
        .map_err(|error| LayoutError::from(super::disk::DiskError::at("read", &path)(error)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_looked_at_is_found_by_mark_by_path_and_by_reference() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let there = dir.path().display().to_string();
        let disk = |text: &str| matches!(find(text), Ok(ImageSource::Disk(_)));
        assert!(disk(&there));
        assert!(disk("oci:absent:1"));
        for text in ["r.io/app:1", "r.io:5000/a/b", "localhost/app"] {
            assert!(
                matches!(find(text), Ok(ImageSource::Registry(_))),
                "{text} is a reference"
            );
        }
        for text in ["./absent", "/absent", "absent", "absent.tar"] {
            assert!(
                matches!(find(text), Err(SubjectError::Absent(_))),
                "{text} is a path"
            );
        }
        assert!(matches!(find("a/b/c"), Err(SubjectError::Name(_))));
    }
}
