//! What refers to the images of a layout: SBOMs, signatures, the record of the build.
//!
//! The image specification does not say where a layout lists them. Written are they in a list of their own, an index
//! as a registry's fallback tag leads to, which an annotation of `index.json` names: with an entry of their own in
//! `index.json`, `skopeo copy oci:DIR` and `podman pull oci:DIR` would find "more than one image". Read are also such
//! entries, as oras writes them, and entries tagged `sha256-<digest>`, as regclient does.

use std::collections::BTreeSet;

use serde_json::json;

use super::error::LayoutError;
use super::{BlobSource, Layout, Parts, REF_NAME};
use crate::edge::disk::DiskError;
use crate::edge::registry::MANIFEST_LIMIT;
use crate::oci::artifact::{Referrer, Referrers, Referring, fallback_tag};
use crate::oci::{Descriptor, Digest, json as canonical, media_type};
use crate::provenance::Attachment;

/// The annotation of `index.json` that names the list.
pub(super) const LIST: &str = "vnd.imgbuild.referrers";
/// Most manifests that are looked into.
const MOST: usize = 1000;

/// Something that refers to an image, with all its blobs.
#[derive(Clone)]
pub struct Companion {
    /// Its manifest, as a list of referrers holds it.
    pub referrer: Referrer,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// What the manifest names. Bytes are checked when they are read or sent.
    pub blobs: Vec<(Descriptor, BlobSource)>,
}

impl From<Attachment> for Companion {
    fn from(attachment: Attachment) -> Self {
        let blobs = attachment.blobs.into_iter();
        Self {
            referrer: attachment.referrer,
            manifest: attachment.manifest,
            blobs: blobs
                .map(|(descriptor, bytes)| (descriptor, bytes.into()))
                .collect(),
        }
    }
}

impl Parts {
    /// Adds something that refers to an image that is added.
    pub fn attach(&mut self, companion: &Companion) {
        for (descriptor, source) in &companion.blobs {
            self.add(descriptor, source.clone());
        }
        self.add(&companion.referrer.descriptor, companion.manifest.clone());
        if let Some(old) = self.list.take() {
            self.blobs.remove(&old);
        }
        self.referrers.push(companion.referrer.clone());
        let list = canonical::canonical(&json!({
            "schemaVersion": 2,
            "mediaType": media_type::INDEX,
            "manifests": self.referrers,
        }));
        let descriptor = Descriptor::of(media_type::INDEX, &list);
        self.add(&descriptor, list);
        self.list = Some(descriptor.digest);
    }
}

impl Layout {
    /// Returns what refers to `subject`, sorted by digest.
    ///
    /// # Errors
    /// [`LayoutError`] for what is damaged. What another tool has taken away is not missed.
    pub fn referrers(&self, subject: Digest) -> Result<Vec<Companion>, LayoutError> {
        let mut listed: Vec<Referrer> = self.artifacts.clone();
        if let Some(list) = self.list {
            listed.extend(self.list_at(list)?);
        }
        let tag = fallback_tag(subject);
        for entry in &self.images {
            if entry.annotations.get(REF_NAME) == Some(&tag) {
                listed.extend(self.list_at(entry.digest)?);
            }
        }
        let mut seen = BTreeSet::new();
        listed.retain(|referrer| seen.insert(referrer.descriptor.digest));
        if listed.len() > MOST {
            return Err(LayoutError::NotAnImage {
                path: self.path().to_owned(),
                why: format!(
                    "it lists {} referrers; at most {MOST} are read",
                    listed.len()
                ),
            });
        }
        let mut found = Vec::new();
        for referrer in listed {
            if let Some(companion) = self.companion(referrer, subject)? {
                found.push(companion);
            }
        }
        found.sort_by_key(|companion| companion.referrer.descriptor.digest);
        Ok(found)
    }

    /// Returns the bytes of a blob, of `limit` at most, checked.
    ///
    /// # Errors
    /// Those of [`Layout::document`].
    pub fn bytes(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, LayoutError> {
        let blob = self.blob(descriptor)?;
        if blob.len() > limit {
            return Err(LayoutError::TooLarge {
                path: self.path().to_owned(),
                what: descriptor.digest.to_string(),
                size: blob.len(),
                limit,
            });
        }
        let bytes = blob
            .read_all(limit)
            .map_err(DiskError::at("read", self.path()))?;
        // The bytes that are returned are those that are hashed.
        self.check(descriptor.digest, Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// Reads a list; none if it was taken away.
    fn list_at(&self, digest: Digest) -> Result<Vec<Referrer>, LayoutError> {
        let name = format!("blobs/sha256/{}", digest.hex());
        let Some(bytes) = self.files.document(&name, MANIFEST_LIMIT)? else {
            return Ok(Vec::new());
        };
        self.check(digest, Digest::of(&bytes))?;
        let list: Referrers =
            serde_json::from_slice(&bytes).map_err(self.malformed(&digest.to_string()))?;
        Ok(list.manifests)
    }

    /// Reads what refers to `subject`; none if it refers to something else.
    fn companion(
        &self,
        referrer: Referrer,
        subject: Digest,
    ) -> Result<Option<Companion>, LayoutError> {
        let bytes = match self.document(&referrer.descriptor) {
            Ok(bytes) => bytes,
            Err(LayoutError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let what = referrer.descriptor.digest.to_string();
        let referring = Referring::parse(&bytes).map_err(self.malformed(&what))?;
        if referring.subject.as_ref().map(|of| of.digest) != Some(subject) {
            return Ok(None);
        }
        let mut blobs = Vec::new();
        for descriptor in referring.config.iter().chain(&referring.layers) {
            blobs.push((descriptor.clone(), self.blob(descriptor)?.into()));
        }
        // What it is, it says itself.
        let referrer = Referrer {
            artifact_type: referring.artifact_type().map(str::to_owned),
            ..referrer
        };
        Ok(Some(Companion {
            referrer,
            manifest: bytes,
            blobs,
        }))
    }
}
