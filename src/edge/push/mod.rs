//! Pushes an image to a registry: blobs, configs, manifests, index, tags, in this order.
//!
//! Until everything is there no tag moves, so that who pulls gets the old image or the new one.

mod again;
mod attach;
mod bundle;
mod ecr;
mod error;
mod shipment;
mod source;
mod tags;
mod total;

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

pub use attach::Attachments;
pub use bundle::attach;
pub use error::PushError;
pub use shipment::Shipment;
pub(super) use shipment::entry;
pub use source::{PushSource, PushSourceError};
pub use tags::all_tags;

use total::Total;

use super::layout::BlobSource;
use super::progress::Progress;
use super::registry::{Mount, Registry, RegistryError, Repository, Sent};
use crate::oci::{Descriptor, Digest, Reference};

/// Where an image goes: a repository, and the tags that are to lead to it.
#[derive(Clone, Debug)]
pub struct Destination {
    reference: Reference,
    tags: Vec<String>,
}

/// What a push came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// Blobs whose bytes were sent.
    pub uploaded: usize,
    /// Blobs that the registry took from another repository.
    pub mounted: usize,
    /// Blobs that were there.
    pub skipped: usize,
    /// Bytes of the blobs that were sent.
    pub bytes: u64,
    /// The tags that led to it before.
    pub already: Vec<String>,
    /// What refers to it there, by its digest.
    pub attached: Vec<Digest>,
}

impl Destination {
    /// Goes to `reference` and to further tags in the same repository; without any tag, to the digest alone.
    ///
    /// # Errors
    /// [`PushError::Tag`] if a tag is malformed.
    pub fn new(reference: Reference, tags: &[String]) -> Result<Self, PushError> {
        let mut all: Vec<String> = reference.tag().map(str::to_owned).into_iter().collect();
        for tag in tags {
            // As a reference is read, so that there is one rule for tags.
            let tagged: Option<Reference> = format!("{}:{tag}", reference.name()).parse().ok();
            if tagged.is_none_or(|tagged| tagged.tag() != Some(tag)) {
                return Err(PushError::Tag(tag.clone()));
            }
            if !all.contains(tag) {
                all.push(tag.clone());
            }
        }
        Ok(Self {
            reference,
            tags: all,
        })
    }

    /// Returns the reference as it was given.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Returns all tags, each once.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}

/// Blobs looked at or sent at once; the transfers themselves wait for their turn at the network.
const AT_ONCE: usize = 16;

/// Pushes what is missing, then lets the tags lead to it.
///
/// `tell` gets remarks for people.
///
/// # Errors
/// [`PushError`], by cause. Tags that were to come after the failure lead where they led before.
pub async fn push(
    registry: &Registry,
    shipment: &Shipment,
    destination: &Destination,
    progress: &dyn Progress,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Pushed, PushError> {
    let reference = &destination.reference;
    let (top, _) = shipment.top();
    if let Some(wanted) = reference.digest().filter(|wanted| *wanted != top.digest) {
        return Err(PushError::OtherDigest {
            reference: reference.to_string(),
            wanted,
            found: top.digest,
        });
    }
    let repository = registry
        .repository(reference)
        .map_err(PushError::at(reference))?;
    let progress = Total::begin(progress, shipment);
    let push = Push {
        repository,
        shipment,
        reference,
        progress: &progress,
    };
    let (already, missing) = push.look(&destination.tags).await?;
    let mut pushed = Pushed {
        digest: top.digest,
        uploaded: 0,
        mounted: 0,
        skipped: 0,
        bytes: 0,
        already,
        attached: Vec::new(),
    };
    for tag in &pushed.already {
        tell(&format!("{}:{tag} is already there", reference.name()));
    }
    let there = if destination.tags.is_empty() {
        push.at(&top.digest.to_string()).await? == Some(top.digest)
    } else {
        !pushed.already.is_empty()
    };
    if there {
        // A registry takes a manifest only when it has what the manifest names.
        pushed.skipped = shipment.layers().len() + shipment.configs().len();
        if destination.tags.is_empty() {
            tell(&format!(
                "{}@{} is already there",
                reference.name(),
                top.digest
            ));
        }
    } else {
        for blobs in [shipment.layers(), shipment.configs()] {
            push.blobs(blobs, &mut pushed).await?;
        }
        for (descriptor, bytes) in shipment.manifests() {
            push.manifest(descriptor, bytes).await?;
        }
    }
    // Before the tags: who finds the image by one finds what refers to it too.
    pushed.attached = push.attach(tell).await?;
    progress.end();
    for (tag, before) in missing {
        push.tag(tag, before).await?;
        tell(&format!("tagged {}:{tag}", reference.name()));
    }
    Ok(pushed)
}

/// A push under way.
struct Push<'a> {
    repository: Repository,
    shipment: &'a Shipment,
    reference: &'a Reference,
    progress: &'a Total<'a>,
}

impl Push<'_> {
    /// Tells the tags that lead to the image from the others, which come with what they lead to.
    async fn look<'t>(
        &self,
        tags: &'t [String],
    ) -> Result<(Vec<String>, Vec<(&'t str, Option<Digest>)>), PushError> {
        let wanted = self.shipment.top().0.digest;
        let (mut already, mut missing) = (Vec::new(), Vec::new());
        for tag in tags {
            match self.at(tag).await? {
                Some(found) if found == wanted => already.push(tag.clone()),
                other => missing.push((tag.as_str(), other)),
            }
        }
        Ok((already, missing))
    }

    /// Returns what a tag or digest leads to, as far as these credentials may know it.
    async fn at(&self, identifier: &str) -> Result<Option<Digest>, PushError> {
        match self.repository.manifest_at(identifier).await {
            Ok(found) => Ok(found),
            // Some may push and not pull; whether they may push is said when they do.
            Err(RegistryError::Denied {
                anonymous: false, ..
            }) => Ok(None),
            Err(error) => Err(PushError::at(self.reference)(error)),
        }
    }

    async fn blobs(
        &self,
        blobs: &BTreeMap<Digest, (Descriptor, BlobSource)>,
        pushed: &mut Pushed,
    ) -> Result<(), PushError> {
        let mount = self
            .shipment
            .base()
            .filter(|base| base.registry() == self.reference.registry())
            .filter(|base| base.repository() != self.reference.repository())
            .map(|base| Mount::new(base.repository()));
        let mut blobs: Vec<_> = blobs.values().collect();
        // The largest first: the last transfer to run alone is then a short one.
        blobs
            .sort_by_key(|(descriptor, _)| (std::cmp::Reverse(descriptor.size), descriptor.digest));
        let mount = mount.as_ref();
        let sent: Vec<(Option<Sent>, u64)> = stream::iter(blobs)
            .map(|(descriptor, source)| async move {
                let sent = self.blob(descriptor, source, mount).await?;
                Ok::<_, PushError>((sent, descriptor.size))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        for (sent, size) in sent {
            match sent {
                None => pushed.skipped += 1,
                Some(Sent::Mounted) => pushed.mounted += 1,
                Some(Sent::Uploaded) => {
                    pushed.uploaded += 1;
                    pushed.bytes += size;
                }
            }
        }
        Ok(())
    }

    async fn blob(
        &self,
        descriptor: &Descriptor,
        source: &BlobSource,
        mount: Option<&Mount>,
    ) -> Result<Option<Sent>, PushError> {
        let digest = descriptor.digest;
        match self.repository.has(digest).await {
            Ok(true) => {
                self.progress.spare(descriptor.size);
                return Ok(None);
            }
            // As for manifests.
            Ok(false)
            | Err(RegistryError::Denied {
                anonymous: false, ..
            }) => {}
            Err(error) => return Err(PushError::at(self.reference)(error)),
        }
        let upload = self
            .repository
            .upload(digest, source.random_read(), mount, self.progress);
        let sent = upload.await.map_err(PushError::at(self.reference))?;
        if sent == Sent::Mounted {
            self.progress.spare(descriptor.size);
        }
        Ok(Some(sent))
    }

    /// Puts a manifest under its digest.
    async fn manifest(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), PushError> {
        let identifier = descriptor.digest.to_string();
        let put = self
            .repository
            .put_manifest(&identifier, &descriptor.media_type, bytes);
        let Err(error) = put.await else {
            return Ok(());
        };
        // Where nothing may be overwritten, not even by itself.
        if error.status().is_some()
            && self.at(&identifier).await.ok().flatten() == Some(descriptor.digest)
        {
            return Ok(());
        }
        Err(PushError::of_manifest(self.reference, bytes, error))
    }

    /// Lets a tag lead to the image, which led elsewhere or nowhere before.
    async fn tag(&self, tag: &str, before: Option<Digest>) -> Result<(), PushError> {
        let (top, bytes) = self.shipment.top();
        let put = self
            .repository
            .put_manifest(tag, &top.media_type, bytes)
            .await;
        let Err(error) = put else {
            return self.moved(tag, before).await;
        };
        let is_immutable = error::is_immutable(&error);
        if is_immutable || error.status().is_some() {
            let found = self.at(tag).await.ok().flatten();
            // Somebody else pushed the same meanwhile, or only the answer to an earlier attempt was lost.
            if found == Some(top.digest) {
                return Ok(());
            }
            if is_immutable {
                return Err(PushError::Immutable {
                    reference: format!("{}:{tag}", self.reference.name()),
                    wanted: top.digest,
                    found,
                    words: error.words().to_owned(),
                });
            }
        }
        Err(PushError::of_manifest(self.reference, bytes, error))
    }

    /// Checks that a tag leads elsewhere than before where the request may have been changed on the way: without TLS
    /// nothing tells that it was this tag that the registry was asked to move.
    async fn moved(&self, tag: &str, before: Option<Digest>) -> Result<(), PushError> {
        if self.repository.is_encrypted() {
            return Ok(());
        }
        let wanted = self.shipment.top().0.digest;
        match self.repository.manifest_at(tag).await {
            // If it leads to a third image, somebody else moved it since.
            Ok(found) if found != Some(wanted) && found == before => Err(PushError::Astray {
                reference: format!("{}:{tag}", self.reference.name()),
                wanted,
                found,
            }),
            // Some may push and not pull.
            Ok(_) | Err(RegistryError::Denied { .. }) => Ok(()),
            Err(error) => Err(PushError::at(self.reference)(error)),
        }
    }
}
