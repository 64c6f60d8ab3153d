//! Gets a pinned base image into the store and reads it once: documents, layers, merged root.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::image_source::{ImageSource, SourceError};
use super::progress::Progress;
use super::registry::Registry;
use super::store::{Store, StoreError};
use crate::diagnose::{Class, Diagnose};
use crate::image::BaseImage;
use crate::layer::Tree;
use crate::layer::read::{ReadError, ReadOptions, apply_layer};
use crate::lock::{BaseLayer, BasePlatform, Blob};
use crate::oci::manifest::{Document, DocumentError, PlatformFields};
use crate::oci::{Descriptor, DiffId, Digest, Platform, json, media_type};
use crate::root::{self, Root};

/// Counts as part of the key of stored roots: raise it when what a root keeps changes.
const ROOT_VERSION: u32 = 1;

/// A base: what an image is assembled on, and what layers are made against.
pub struct Base {
    /// Its documents.
    pub image: BaseImage,
    /// Its merged root.
    pub root: Root,
}

/// Why a base cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// It cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The cache refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its manifest is not one.
    #[error("base `{image}`: {error}")]
    Document {
        /// The reference.
        image: String,
        /// What is wrong.
        error: DocumentError,
    },
    /// It has no image for a platform.
    #[error("base `{image}` has no image for {platform}; it has {found}")]
    Platform {
        /// The reference.
        image: String,
        /// The platform.
        platform: Platform,
        /// What it has.
        found: String,
    },
    /// Its config is not one, or does not fit its manifest.
    #[error("base `{image}`: its config is malformed: {why}")]
    Config {
        /// The reference.
        image: String,
        /// What is wrong.
        why: String,
    },
    /// A document does not match its digest or the lock.
    #[error("base `{image}`: {what}: expected {wanted}, got {found}")]
    Mismatch {
        /// The reference.
        image: String,
        /// Which document or layer.
        what: &'static str,
        /// What was wanted.
        wanted: String,
        /// What was found.
        found: String,
    },
    /// A layer cannot be read.
    #[error("base `{image}`: layer {layer}: {error}")]
    Layer {
        /// The reference.
        image: String,
        /// Its digest.
        layer: Digest,
        /// What is wrong.
        error: ReadError,
    },
    /// The disk refuses.
    #[error("base `{image}`: cannot read a cached blob: {source}")]
    Disk {
        /// The reference.
        image: String,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Diagnose for BaseError {
    fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Platform { .. } | Self::Disk { .. } => Class::Usage,
            Self::Layer { error, .. } => error.class(),
            Self::Document { .. } | Self::Config { .. } | Self::Mismatch { .. } => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Platform { .. } => {
                Some("take it out of image.platforms, or choose another base".to_owned())
            }
            Self::Mismatch { .. } => Some(
                "the registry or cache served other bytes than the lock pins; do not use them"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// Larger documents are refused: what the distribution specification asks registries to accept.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Where bases come from.
pub struct BaseShop<'a> {
    /// The reference as the recipe writes it, for messages.
    pub reference: &'a str,
    /// Where it leads.
    pub source: &'a ImageSource,
    /// Asks registries.
    pub registry: &'a Registry,
    /// Keeps them.
    pub store: &'a Store,
    /// Is told.
    pub progress: &'a dyn Progress,
}

impl BaseShop<'_> {
    /// Finds what the reference leads to, or `pinned` if it is given, for each of `platforms`.
    ///
    /// # Errors
    /// [`BaseError`] if it cannot be had or has no image for a platform.
    pub async fn resolve(
        &self,
        pinned: Option<Blob>,
        platforms: &[Platform],
    ) -> Result<(Blob, Vec<BasePlatform>), BaseError> {
        let (top, bytes) = match pinned {
            Some(top) => (
                top,
                self.document(&top.descriptor(media_type::INDEX)).await?,
            ),
            None => {
                let (descriptor, bytes) = self.source.resolve(self.registry).await?;
                let mut writer = self.store.writer()?;
                writer.append(&bytes)?;
                writer.commit(Some((descriptor.digest, None)))?;
                (
                    Blob {
                        digest: descriptor.digest,
                        size: bytes.len() as u64,
                    },
                    bytes,
                )
            }
        };
        let mut out = Vec::new();
        match self.parse(&bytes)? {
            Document::Index(index) => {
                for &platform in platforms {
                    let entry = index.entry(platform).ok_or_else(|| {
                        let shown =
                            |d: &Descriptor| d.platform.as_ref().and_then(PlatformFields::platform);
                        let found: Vec<_> = index
                            .manifests
                            .iter()
                            .filter_map(shown)
                            .map(|p| p.to_string())
                            .collect();
                        BaseError::Platform {
                            image: self.reference.to_owned(),
                            platform,
                            found: found.join(", "),
                        }
                    })?;
                    out.push(
                        self.platform(
                            platform,
                            Blob {
                                digest: entry.digest,
                                size: entry.size,
                            },
                        )
                        .await?,
                    );
                }
            }
            Document::Manifest(_) => {
                for &platform in platforms {
                    out.push(self.platform(platform, top).await?);
                }
            }
        }
        Ok((top, out))
    }

    /// Reads the manifest and config of one platform.
    async fn platform(
        &self,
        platform: Platform,
        manifest: Blob,
    ) -> Result<BasePlatform, BaseError> {
        let Document::Manifest(parsed) = self.parse(
            &self
                .document(&manifest.descriptor(media_type::MANIFEST))
                .await?,
        )?
        else {
            return Err(self.config_error("an index leads to another index"));
        };
        let config = self.config(&parsed.config).await?;
        let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
        let found = format!("{}/{}", text("os"), text("architecture"));
        if found.parse() != Ok(platform) {
            return Err(BaseError::Platform {
                image: self.reference.to_owned(),
                platform,
                found,
            });
        }
        let diff_ids =
            diff_ids(&config).ok_or_else(|| self.config_error("rootfs.diff_ids is missing"))?;
        if diff_ids.len() != parsed.layers.len() {
            return Err(self.config_error(&format!(
                "{} diff_ids for {} layers",
                diff_ids.len(),
                parsed.layers.len()
            )));
        }
        let layers = parsed
            .layers
            .iter()
            .zip(diff_ids)
            .map(|(layer, diff_id)| BaseLayer {
                digest: layer.digest,
                diff_id,
                size: layer.size,
                media_type: layer.media_type.clone(),
            });
        let config = Blob {
            digest: parsed.config.digest,
            size: parsed.config.size,
        };
        Ok(BasePlatform {
            platform,
            manifest,
            config,
            layers: layers.collect(),
        })
    }

    /// Gets everything of a pinned platform into the store, and returns its documents.
    ///
    /// # Errors
    /// [`BaseError`] if anything cannot be had or does not match the lock.
    pub async fn image(&self, pinned: &BasePlatform) -> Result<BaseImage, BaseError> {
        let descriptor = pinned.config.descriptor(media_type::CONFIG);
        let config = self.config(&descriptor).await?;
        let locked: Vec<DiffId> = pinned.layers.iter().map(|layer| layer.diff_id).collect();
        if diff_ids(&config).as_deref() != Some(&locked) {
            return Err(self.config_error("its diff_ids are not those of the lock"));
        }
        let layers: Vec<Descriptor> = pinned.layers.iter().map(BaseLayer::descriptor).collect();
        for layer in &layers {
            self.source
                .blob(self.registry, self.store, layer, self.progress)
                .await?;
        }
        Ok(BaseImage {
            reference: self.reference.to_owned(),
            manifest: pinned.manifest.digest,
            config,
            layers,
        })
    }

    /// Gets everything of a pinned platform and reads it; a root that was read before comes from the store.
    ///
    /// # Errors
    /// [`BaseError`] if anything cannot be had or does not match the lock.
    pub async fn load(&self, pinned: &BasePlatform) -> Result<Base, BaseError> {
        let image = self.image(pinned).await?;
        let locked: Vec<DiffId> = pinned.layers.iter().map(|layer| layer.diff_id).collect();
        let key = Digest::of(&json::canonical(&(ROOT_VERSION, &locked)));
        // Inflating and decoding are work for a core, not for the threads that move bytes.
        let root = tokio::task::block_in_place(|| {
            let stored = self.store.get_derived("root", key);
            if let Some(root) = stored.and_then(|bytes| Root::decode(&bytes).ok()) {
                return Ok(root);
            }
            let root = self.read(pinned)?;
            self.store.put_derived("root", key, &root.encode())?;
            Ok::<_, BaseError>(root)
        })?;
        Ok(Base { image, root })
    }

    /// Merges the layers.
    fn read(&self, pinned: &BasePlatform) -> Result<Root, BaseError> {
        let mut root = Root {
            tree: Tree::default(),
            files: BTreeMap::new(),
        };
        for layer in &pinned.layers {
            let blob = self
                .store
                .get(&layer.digest)
                .ok_or_else(|| BaseError::Disk {
                    image: self.reference.to_owned(),
                    source: std::io::ErrorKind::NotFound.into(),
                })?;
            let applied = apply_layer(
                &mut root.tree,
                blob.reader(),
                &ReadOptions::default(),
                &mut root::keep,
            )
            .map_err(|error| BaseError::Layer {
                image: self.reference.to_owned(),
                layer: layer.digest,
                error,
            })?;
            if applied.diff_id != layer.diff_id {
                return Err(BaseError::Mismatch {
                    image: self.reference.to_owned(),
                    what: "diff_id of a layer",
                    wanted: layer.diff_id.to_string(),
                    found: applied.diff_id.to_string(),
                });
            }
            root.files.extend(applied.kept);
        }
        // Files that upper layers replaced or removed are of no more use.
        let live: std::collections::BTreeSet<Digest> = root
            .tree
            .iter()
            .filter_map(|(_, node)| match &node.kind {
                crate::layer::Kind::File(content) => Some(content.digest),
                _ => None,
            })
            .collect();
        root.files.retain(|digest, _| live.contains(digest));
        Ok(root)
    }

    async fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, BaseError> {
        Ok(self
            .source
            .manifest(self.registry, self.store, descriptor)
            .await?)
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Map<String, Value>, BaseError> {
        let blob = self
            .source
            .blob(self.registry, self.store, descriptor, self.progress)
            .await?;
        let bytes = blob
            .read_all(LARGEST_DOCUMENT)
            .map_err(|source| BaseError::Disk {
                image: self.reference.to_owned(),
                source,
            })?;
        // Small and read whole: hashed again, so that a damaged cache is noticed.
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(BaseError::Mismatch {
                image: self.reference.to_owned(),
                what: "config",
                wanted: descriptor.digest.to_string(),
                found: found.to_string(),
            });
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(config)) => Ok(config),
            Ok(_) => Err(self.config_error("not a JSON object")),
            Err(error) => Err(self.config_error(&error.to_string())),
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<Document, BaseError> {
        Document::parse(bytes).map_err(|error| BaseError::Document {
            image: self.reference.to_owned(),
            error,
        })
    }

    fn config_error(&self, why: &str) -> BaseError {
        BaseError::Config {
            image: self.reference.to_owned(),
            why: why.to_owned(),
        }
    }
}

fn diff_ids(config: &Map<String, Value>) -> Option<Vec<DiffId>> {
    let ids = config.get("rootfs")?.get("diff_ids")?.as_array()?;
    ids.iter()
        .map(|id| id.as_str()?.parse().ok().map(DiffId))
        .collect()
}
