//! Gets every input of a lock and puts the bundle together.

use std::path::Path;

use futures_util::future::{try_join, try_join_all};

use super::BundleError;
use crate::bundle::{self, Documents, LockedInput, Origin};
use crate::edge::Edges;
use crate::edge::fetch::Input;
use crate::edge::image_source::ImageSource;
use crate::edge::layout::{self, BlobSource, Format, LayoutError, Parts};
use crate::edge::locked_keys;
use crate::edge::project::Project;
use crate::lock::Lock;
use crate::oci::{Descriptor, Digest, media_type};

/// A bundle, ready to be written.
pub struct Collected {
    documents: Documents,
    inputs: Vec<(Descriptor, BlobSource)>,
}

/// Gets every input of `lock` into the store, of all platforms and both stages, and keys that are not in the base.
///
/// # Errors
/// [`BundleError`], naming the first input that cannot be had.
pub async fn collect(
    project: &Project,
    lock: &Lock,
    edges: &Edges<'_>,
) -> Result<Collected, BundleError> {
    let base = lock.base.image.parse::<ImageSource>()?;
    let base = base.seen_from(&project.folder);
    let (by_url, of_base): (Vec<LockedInput>, Vec<LockedInput>) = bundle::inputs(lock)
        .into_iter()
        .partition(|input| matches!(input.origin, Origin::Url(_)));
    let of_base = try_join_all(of_base.iter().map(|input| from_base(input, &base, edges)));
    let fetched = async {
        let wanted = by_url.iter().map(|input| Input {
            what: input.name.clone(),
            urls: match &input.origin {
                Origin::Url(url) => vec![url.clone()],
                Origin::BaseDocument | Origin::BaseBlob => Vec::new(),
            },
            digest: input.digest,
            size: input.size,
        });
        let fetched = edges
            .fetcher
            .fetch_all(edges.store, wanted.collect(), edges.progress);
        Ok(fetched.await?)
    };
    let (mut inputs, fetched) = try_join(of_base, fetched).await?;
    inputs.extend(
        by_url
            .iter()
            .zip(fetched)
            .map(|(input, blob)| (bundle::describe(input, blob.len()), blob.into())),
    );
    for key in &lock.keys {
        if !locked_keys::is_in_base(key) {
            let bytes = locked_keys::from_elsewhere(key, &project.folder, edges.fetcher).await?;
            locked_keys::read(key, &bytes)?;
            let descriptor = bundle::describe_key(&key.fingerprint, &key.source, &bytes);
            inputs.push((descriptor, bytes.into()));
        }
    }
    let descriptors = inputs.iter().map(|(descriptor, _)| descriptor.clone());
    Ok(Collected {
        documents: bundle::assemble(&lock.render(), descriptors.collect()),
        inputs,
    })
}

async fn from_base(
    input: &LockedInput,
    base: &ImageSource,
    edges: &Edges<'_>,
) -> Result<(Descriptor, BlobSource), BundleError> {
    // Only digest and size are asked for.
    let wanted = Descriptor {
        media_type: media_type::MANIFEST.to_owned(),
        digest: input.digest,
        size: input.size.unwrap_or_default(),
        annotations: std::collections::BTreeMap::new(),
        platform: None,
    };
    if input.origin == Origin::BaseDocument {
        let bytes = base.manifest(edges.registry, edges.store, &wanted).await?;
        let descriptor = bundle::describe(input, bytes.len() as u64);
        return Ok((descriptor, bytes.into()));
    }
    let blob = base
        .blob(edges.registry, edges.store, &wanted, edges.progress)
        .await?;
    Ok((bundle::describe(input, blob.len()), blob.into()))
}

impl Collected {
    /// Returns how many inputs there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inputs.len()
    }

    /// Returns how many bytes the inputs have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.inputs
            .iter()
            .map(|(descriptor, _)| descriptor.size)
            .sum()
    }

    /// Writes the bundle and returns the digest of its manifest or index. Every byte is checked on the way.
    ///
    /// # Errors
    /// [`LayoutError`]; what was at `output` is then still there.
    pub fn write(&self, output: &Path, format: Format) -> Result<Digest, LayoutError> {
        let mut parts = Parts::new();
        for (descriptor, source) in &self.inputs {
            parts.add(descriptor, source.clone());
        }
        let Documents {
            config,
            top,
            parts: manifests,
        } = &self.documents;
        for (descriptor, bytes) in manifests.iter().chain([config, top]) {
            parts.add(descriptor, bytes.clone());
        }
        parts.name(top.0.clone(), None);
        layout::write(output, format, &parts)?;
        Ok(top.0.digest)
    }
}
