//! Takes inputs out of a bundle into the store, by digest, every byte checked.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::BundleError;
use crate::bundle::{self, Part};
use crate::edge::Edges;
use crate::edge::image_source::{ImageSource, SourceError};
use crate::edge::layout::LayoutError;
use crate::edge::registry::RegistryError;
use crate::oci::{Descriptor, Digest};

/// Inputs taken out at once.
const AT_ONCE: usize = 4;

/// Keys are small: 16 MiB, as where they come from.
const LARGEST_KEY: u64 = 16 << 20;

/// A bundle, open for taking inputs out.
#[derive(Debug)]
pub struct Inputs {
    source: ImageSource,
    inputs: BTreeMap<Digest, Descriptor>,
}

impl Inputs {
    /// Reads what a bundle holds; its inputs are not read yet.
    ///
    /// # Errors
    /// [`BundleError`] if it cannot be had or is no bundle.
    pub async fn open(source: ImageSource, edges: &Edges<'_>) -> Result<Self, BundleError> {
        let parse = |bytes: &[u8]| {
            bundle::parse(bytes).map_err(|error| BundleError::Document {
                bundle: source.to_string(),
                error,
            })
        };
        let (_, top) = source.resolve(edges.registry).await?;
        let mut inputs = BTreeMap::new();
        let mut add = |listed: Vec<Descriptor>| {
            inputs.extend(listed.into_iter().map(|input| (input.digest, input)));
        };
        match parse(&top)? {
            Part::Inputs(listed) => add(listed),
            Part::Parts(parts) => {
                for part in parts {
                    let bytes = source.manifest(edges.registry, edges.store, &part).await?;
                    if let Part::Inputs(listed) = parse(&bytes)? {
                        add(listed);
                    }
                }
            }
        }
        Ok(Self { source, inputs })
    }

    /// Takes what it has of `wanted` into the store, unless that has it already, and returns how many those are.
    ///
    /// What it does not have is left to be got elsewhere.
    ///
    /// # Errors
    /// [`BundleError::Input`] if an input is other bytes than its digest says, or cannot be read.
    pub async fn supply(
        &self,
        wanted: impl IntoIterator<Item = Digest>,
        edges: &Edges<'_>,
    ) -> Result<usize, BundleError> {
        let known = wanted
            .into_iter()
            .filter_map(|digest| self.inputs.get(&digest));
        let taken: Vec<bool> = stream::iter(known)
            .map(|input| self.take(input, edges))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(taken.into_iter().filter(|&taken| taken).count())
    }

    /// Takes one input; tells whether it is there.
    async fn take(&self, input: &Descriptor, edges: &Edges<'_>) -> Result<bool, BundleError> {
        let blob = self
            .source
            .blob(edges.registry, edges.store, input, edges.progress)
            .await;
        match blob {
            Ok(_) => Ok(true),
            // Taken out of it since it was made: it may be elsewhere.
            Err(
                SourceError::Layout(LayoutError::Missing { .. })
                | SourceError::Registry(RegistryError::NotFound { .. }),
            ) => Ok(false),
            Err(error) => Err(BundleError::Input {
                input: bundle::name(input),
                error,
            }),
        }
    }

    /// Returns the file of a key, if the bundle has it.
    ///
    /// # Errors
    /// [`BundleError::Input`], as for other inputs.
    pub async fn key(
        &self,
        fingerprint: &str,
        edges: &Edges<'_>,
    ) -> Result<Option<Vec<u8>>, BundleError> {
        let key = self
            .inputs
            .values()
            .find(|input| bundle::key_of(input) == Some(fingerprint));
        let Some(key) = key else { return Ok(None) };
        if !self.take(key, edges).await? {
            return Ok(None);
        }
        let blob = edges.store.get(&key.digest);
        Ok(blob.and_then(|blob| blob.read_all(LARGEST_KEY).ok()))
    }
}
