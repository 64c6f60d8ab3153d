//! Reads the documents of an image from the top down: indexes, manifests, configs, each checked on the way.

use std::future::Future;
use std::pin::Pin;

use super::error::{SubjectError, wrong};
use crate::edge::image_source::SourceError;
use crate::oci::image::{ImageDocumentError, OtherDocument};
use crate::oci::manifest::{Document, DocumentError, Manifest, PlatformFields};
use crate::oci::{Descriptor, ImageDocuments, Platform, PlatformImage, media_type};

/// How deep indexes may be nested; real ones are not.
const DEEPEST: usize = 8;

/// Tells images from attestations, which BuildKit writes with an image's config for a platform that is none.
fn is_image(descriptor: &Descriptor, manifest: &Manifest) -> bool {
    let is_for_none = |platform: &PlatformFields| platform.os == "unknown";
    let kind = manifest.config.media_type.as_str();
    matches!(kind, media_type::CONFIG | media_type::DOCKER_CONFIG)
        && !descriptor.platform.as_ref().is_some_and(is_for_none)
}

/// Bytes on their way.
pub(super) type Pending<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, SourceError>> + 'a>>;

/// What kind of document is wanted: registries keep them in different places.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// An index or manifest.
    Manifest,
    /// A config.
    Config,
}

/// Reads documents from the top down, wherever they come from.
pub(super) struct Walk<'a, G> {
    name: &'a str,
    platforms: &'a [Platform],
    get: G,
}

impl<'a, G: Fn(Wanted, &Descriptor) -> Pending<'a>> Walk<'a, G> {
    pub(super) fn new(name: &'a str, platforms: &'a [Platform], get: G) -> Self {
        Self {
            name,
            platforms,
            get,
        }
    }

    /// Reads everything below `top` that is asked for.
    pub(super) async fn documents(
        self,
        top: Descriptor,
        bytes: Vec<u8>,
    ) -> Result<ImageDocuments, SubjectError> {
        let mut documents = ImageDocuments {
            top: top.clone(),
            bytes: bytes.clone(),
            images: Vec::new(),
            others: Vec::new(),
        };
        // The last is looked at first: entries are pushed in reverse.
        let mut open = vec![(top, bytes, 0)];
        while let Some((descriptor, bytes, depth)) = open.pop() {
            let what = if depth == 0 {
                "the image".to_owned()
            } else {
                format!("the document {}", descriptor.digest)
            };
            let document = match Document::parse(&bytes) {
                Ok(document) => document,
                // An index may name anything; only what it leads to as an image has to be one.
                Err(DocumentError::MediaType(_)) if depth > 0 => {
                    documents.others.push(OtherDocument {
                        descriptor,
                        bytes,
                        blobs: Vec::new(),
                    });
                    continue;
                }
                Err(error) => return Err(self.malformed(&what, error.into())),
            };
            match document {
                Document::Index(_) if depth == DEEPEST => {
                    let why = "its indexes lead to indexes without end";
                    return Err(self.not_an_image(why));
                }
                Document::Index(index) => {
                    for entry in index.manifests.iter().rev() {
                        let what = format!("the manifest {}", entry.digest);
                        let bytes = self.bytes(Wanted::Manifest, entry, &what).await?;
                        open.push((entry.clone(), bytes, depth + 1));
                    }
                }
                Document::Manifest(manifest) if is_image(&descriptor, &manifest) => {
                    let what = format!("the config {}", manifest.config.digest);
                    let config = self.bytes(Wanted::Config, &manifest.config, &what).await?;
                    let image = PlatformImage::parse(descriptor, bytes, config)
                        .map_err(|error| self.malformed(&what, error))?;
                    documents.images.push(image);
                }
                Document::Manifest(manifest) => {
                    let blobs = [vec![manifest.config], manifest.layers].concat();
                    documents.others.push(OtherDocument {
                        descriptor,
                        bytes,
                        blobs,
                    });
                }
            }
        }
        if documents.images.is_empty() {
            return Err(self.not_an_image("it names no image"));
        }
        if !self.platforms.is_empty() {
            self.choose(&mut documents)?;
        }
        Ok(documents)
    }

    /// Leaves only the images that are asked for.
    fn choose(&self, documents: &mut ImageDocuments) -> Result<(), SubjectError> {
        let has = |platform: Platform| documents.images.iter().any(|image| image.is_for(platform));
        if let Some(&platform) = self.platforms.iter().find(|platform| !has(**platform)) {
            let images = documents.images.iter();
            return Err(SubjectError::Platform {
                name: self.name.to_owned(),
                platform,
                found: images.map(|image| image.platform.clone()).collect(),
            });
        }
        let is_asked_for =
            |image: &PlatformImage| self.platforms.iter().any(|asked| image.is_for(*asked));
        documents.images.retain(is_asked_for);
        documents.others.clear();
        Ok(())
    }

    async fn bytes(
        &self,
        kind: Wanted,
        descriptor: &Descriptor,
        what: &str,
    ) -> Result<Vec<u8>, SubjectError> {
        let bytes = (self.get)(kind, descriptor).await;
        let bytes = bytes.map_err(wrong(self.name, what))?;
        if bytes.len() as u64 != descriptor.size {
            return Err(SubjectError::Size {
                name: self.name.to_owned(),
                what: what.to_owned(),
                wanted: descriptor.size,
                found: bytes.len() as u64,
            });
        }
        Ok(bytes)
    }

    fn malformed(&self, what: &str, error: ImageDocumentError) -> SubjectError {
        SubjectError::Document {
            name: self.name.to_owned(),
            what: what.to_owned(),
            error,
        }
    }

    fn not_an_image(&self, why: &'static str) -> SubjectError {
        SubjectError::NotAnImage {
            name: self.name.to_owned(),
            why,
        }
    }
}
