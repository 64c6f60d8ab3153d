//! Reads images from layouts and archives.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::REF_NAME;
use super::docker;
use super::error::LayoutError;
use super::files::Files;
use super::referrers::LIST;
use crate::edge::disk::DiskError;
use crate::edge::registry::MANIFEST_LIMIT;
use crate::edge::store::FileBlob;
use crate::oci::artifact::Referrer;
use crate::oci::manifest::{Document, DocumentError};
use crate::oci::{Descriptor, Digest};

/// An OCI layout, an OCI archive or a docker-archive, open for reading.
pub struct Layout {
    pub(super) files: Files,
    pub(super) images: Vec<Descriptor>,
    /// Entries of `index.json` that are no images.
    pub(super) artifacts: Vec<Referrer>,
    /// Which blob lists what refers to the images.
    pub(super) list: Option<Digest>,
    /// Of a docker-archive without OCI parts.
    manifests: BTreeMap<Digest, Vec<u8>>,
    blobs: BTreeMap<Digest, FileBlob>,
}

impl std::fmt::Debug for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layout")
            .field("path", &self.path())
            .field("images", &self.images)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct OciLayout {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

/// The file `index.json`.
#[derive(Deserialize)]
struct IndexFile {
    manifests: Vec<Referrer>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Layout {
    /// Opens what is at `path` and finds out what it is. Blobs are not read yet, but for old docker-archives.
    ///
    /// # Errors
    /// [`LayoutError::NotAnImage`] if it is neither a layout nor an archive of one; [`LayoutError::Tar`] or
    /// [`LayoutError::Document`] if it is damaged; [`LayoutError::Disk`].
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        let files = Files::open(path)?;
        let not_an_image = |why: &str| LayoutError::NotAnImage {
            path: path.to_owned(),
            why: why.to_owned(),
        };
        let json = |what: &str| malformed(path, what);
        let Some(mark) = files.document("oci-layout", MANIFEST_LIMIT)? else {
            let docker = docker::read(&files)?.ok_or_else(|| {
                not_an_image("it holds neither the file `oci-layout` nor `manifest.json`")
            })?;
            return Ok(Self {
                files,
                images: docker.images,
                artifacts: Vec::new(),
                list: None,
                manifests: docker.manifests,
                blobs: docker.blobs,
            });
        };
        let mark: OciLayout = serde_json::from_slice(&mark).map_err(json("oci-layout"))?;
        if !mark.version.starts_with("1.") {
            return Err(not_an_image(&format!(
                "its layout has version {}; only 1.0.0 is known",
                mark.version
            )));
        }
        let index = files
            .document("index.json", MANIFEST_LIMIT)?
            .ok_or_else(|| not_an_image("it has no `index.json`"))?;
        let index: IndexFile = serde_json::from_slice(&index).map_err(json("index.json"))?;
        // One that cannot be read is some other tool's.
        let list = index.annotations.get(LIST);
        let list = list.and_then(|digest| digest.parse().ok());
        let (artifacts, images): (Vec<_>, Vec<_>) = index
            .manifests
            .into_iter()
            .partition(|entry| entry.artifact_type.is_some());
        Ok(Self {
            files,
            images: images.into_iter().map(|entry| entry.descriptor).collect(),
            artifacts,
            list,
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
        })
    }

    /// Returns the folder or archive.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// Returns the images that `index.json` names, in its order.
    #[must_use]
    pub fn images(&self) -> &[Descriptor] {
        &self.images
    }

    /// Returns the image with this tag, or the only one: its descriptor, and the bytes of its index or manifest.
    ///
    /// # Errors
    /// [`LayoutError::NoTag`] or [`LayoutError::Several`] if there is not exactly one; those of
    /// [`Layout::document`].
    pub fn resolve(&self, tag: Option<&str>) -> Result<(Descriptor, Vec<u8>), LayoutError> {
        let tag_of = |image: &Descriptor| image.annotations.get(REF_NAME).cloned();
        let mut fitting: Vec<&Descriptor> = match tag {
            Some(tag) => self
                .images
                .iter()
                .filter(|image| tag_of(image).as_deref() == Some(tag))
                .collect(),
            // regclient keeps what refers to an image under such tags.
            None => self
                .images
                .iter()
                .filter(|image| !tag_of(image).is_some_and(|tag| tag.starts_with("sha256-")))
                .collect(),
        };
        // One image under several tags is one image.
        fitting.dedup_by_key(|image| image.digest);
        let path = || self.path().to_owned();
        let known = || self.images.iter().filter_map(tag_of).collect();
        match (fitting.as_slice(), tag) {
            ([image], _) => Ok(((*image).clone(), self.document(image)?)),
            ([], Some(tag)) => Err(LayoutError::NoTag {
                path: path(),
                tag: tag.to_owned(),
                known: known(),
            }),
            ([], None) => Err(LayoutError::NotAnImage {
                path: path(),
                why: "its index names no image".to_owned(),
            }),
            (several, _) => Err(LayoutError::Several {
                path: path(),
                count: several.len(),
                known: known(),
            }),
        }
    }

    /// Returns the bytes of an index, manifest or config, checked.
    ///
    /// # Errors
    /// [`LayoutError::Missing`], [`LayoutError::Size`], [`LayoutError::Digest`] or [`LayoutError::TooLarge`] if they
    /// are not what the descriptor says; [`LayoutError::Disk`].
    pub fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        if let Some(bytes) = self.manifests.get(&descriptor.digest) {
            return Ok(bytes.clone());
        }
        self.bytes(descriptor, MANIFEST_LIMIT)
    }

    /// Returns the index or manifest that a descriptor names, read and checked.
    ///
    /// # Errors
    /// Those of [`Layout::document`]; [`LayoutError::Document`] if it is neither.
    pub fn parsed(&self, descriptor: &Descriptor) -> Result<Document, LayoutError> {
        Document::parse(&self.document(descriptor)?).map_err(|error| LayoutError::Document {
            path: self.path().to_owned(),
            what: descriptor.digest.to_string(),
            error,
        })
    }

    /// Returns a blob whose size is right. Its bytes are not checked: see [`Layout::checked_blob`].
    ///
    /// # Errors
    /// [`LayoutError::Missing`] or [`LayoutError::Size`]; [`LayoutError::Disk`].
    pub fn blob(&self, descriptor: &Descriptor) -> Result<FileBlob, LayoutError> {
        let digest = descriptor.digest;
        let blob = match self.blobs.get(&digest) {
            Some(blob) => Some(blob.clone()),
            None => self.files.get(&format!("blobs/sha256/{}", digest.hex()))?,
        };
        let blob = blob.ok_or_else(|| LayoutError::Missing {
            path: self.path().to_owned(),
            what: "blob",
            digest,
        })?;
        if blob.len() == descriptor.size {
            return Ok(blob);
        }
        let (path, wanted, found) = (self.path().to_owned(), descriptor.size, blob.len());
        Err(LayoutError::Size {
            path,
            digest,
            wanted,
            found,
        })
    }

    /// Returns a blob that was read once and has the right digest.
    ///
    /// # Errors
    /// Those of [`Layout::blob`]; [`LayoutError::Digest`].
    pub fn checked_blob(&self, descriptor: &Descriptor) -> Result<FileBlob, LayoutError> {
        let blob = self.blob(descriptor)?;
        let (found, _) = blob.hash().map_err(DiskError::at("read", self.path()))?;
        self.check(descriptor.digest, found)?;
        Ok(blob)
    }

    pub(super) fn malformed(
        &self,
        what: &str,
    ) -> impl FnOnce(serde_json::Error) -> LayoutError + use<> {
        malformed(self.path(), what)
    }

    pub(super) fn check(&self, wanted: Digest, found: Digest) -> Result<(), LayoutError> {
        if wanted == found {
            return Ok(());
        }
        Err(LayoutError::Digest {
            path: self.path().to_owned(),
            wanted,
            found,
        })
    }
}

fn malformed(path: &Path, what: &str) -> impl FnOnce(serde_json::Error) -> LayoutError + use<> {
    let (path, what) = (path.to_owned(), what.to_owned());
    move |error| LayoutError::Document {
        path,
        what,
        error: DocumentError::Json(error),
    }
}
