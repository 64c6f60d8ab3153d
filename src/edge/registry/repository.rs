//! A repository that is written to: what it has, and its manifests.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push>

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderValue, RANGE};

use super::client::{MANIFEST_LIMIT, Place, Registry};
use super::error::RegistryError;
use crate::edge::fetch::{Payload, Request, Retry, Retryable as _, document, retrying, shown};
use crate::oci::{Digest, Reference, media_type};

/// A repository to push to. Mirrors have no part in it: they are where bytes come from.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) registry: Registry,
    place: Place,
    name: String,
    /// Whether GET has told what HEAD did not: it is then not tried any more.
    is_deaf_to_head: Arc<AtomicBool>,
}

/// Another repository of the same registry that may have some of the blobs.
#[derive(Debug)]
pub struct Mount {
    from: String,
    refused: AtomicBool,
}

impl Mount {
    /// Takes blobs from the repository `from`.
    #[must_use]
    pub fn new(from: impl Into<String>) -> Self {
        Self {
            from: from.into(),
            refused: AtomicBool::new(false),
        }
    }

    /// Returns the repository, unless the registry has refused a mount before.
    pub(super) fn from(&self) -> Option<&str> {
        (!self.refused.load(Ordering::Relaxed)).then_some(&self.from)
    }

    /// Has no more mounts tried.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }
}

impl Registry {
    /// Returns the repository that `reference` names. Nothing is asked yet.
    ///
    /// # Errors
    /// [`RegistryError::Fetch`] if the host is none.
    pub fn repository(&self, reference: &Reference) -> Result<Repository, RegistryError> {
        Ok(Repository {
            registry: self.clone(),
            place: self.own_place(reference, reference.name())?,
            name: reference.name(),
            is_deaf_to_head: Arc::default(),
        })
    }
}

impl Repository {
    /// Returns the place with a name for what is asked for.
    pub(super) fn place(&self, what: &str) -> Place {
        let separator = if what.contains(':') { '@' } else { ':' };
        Place {
            what: format!("{}{separator}{what}", self.name),
            ..self.place.clone()
        }
    }

    /// Tells whether what is asked arrives as it was sent, or not at all.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.place.base.scheme() == "https"
    }

    /// Tells whether the repository has a blob.
    ///
    /// # Errors
    /// [`RegistryError`], by cause.
    pub async fn has(&self, digest: Digest) -> Result<bool, RegistryError> {
        let _slot = self.registry.fetcher.slot().await;
        self.has_now(digest).await
    }

    /// The same for who has a slot already.
    pub(super) async fn has_now(&self, digest: Digest) -> Result<bool, RegistryError> {
        let place = &self.place(&digest.to_string());
        let url = &place.url(&["blobs", &digest.to_string()]);
        let transport = self.registry.transport(place, url)?;
        retrying(transport.patience(), |_| async move {
            if !self.is_deaf_to_head.load(Ordering::Relaxed) {
                let head = Request::new(Method::HEAD, url.clone());
                match self.registry.ask(transport, place, &head).await {
                    Ok(_) => return Ok(true),
                    Err(RegistryError::NotFound { .. }) => return Ok(false),
                    Err(error) if error.retry() != Retry::No => return Err(error),
                    // public.ecr.aws answers HEAD with 401 even to a valid token
                    // (<https://github.com/aws/containers-roadmap/issues/2671>), and an object store behind a redirect
                    // may want the method that was signed. A refusal of GET also comes with words.
                    Err(_) => {}
                }
            }
            let mut get = Request::get(url.clone());
            get.headers
                .insert(RANGE, HeaderValue::from_static("bytes=0-0"));
            let has = match self.registry.ask(transport, place, &get).await {
                Ok(_) => true,
                Err(RegistryError::NotFound { .. }) => false,
                Err(error) => return Err(error),
            };
            self.is_deaf_to_head.store(true, Ordering::Relaxed);
            Ok(has)
        })
        .await
    }

    /// Returns the digest of what a tag or digest leads to, if there is something.
    ///
    /// By its bytes: some registries send no digest, and HEAD is not answered everywhere.
    ///
    /// # Errors
    /// [`RegistryError`], by cause.
    pub async fn manifest_at(&self, identifier: &str) -> Result<Option<Digest>, RegistryError> {
        let place = &self.place(identifier);
        let url = place.url(&["manifests", identifier]);
        let transport = self.registry.transport(place, &url)?;
        let mut request = Request::get(url);
        let accept = format!("{}, */*", media_type::MANIFESTS.join(", "));
        request.headers.insert(
            ACCEPT,
            HeaderValue::from_str(&accept).expect("media types are ASCII"),
        );
        let (request, where_) = (&request, &shown(&request.url));
        let _slot = self.registry.fetcher.slot().await;
        retrying(transport.patience(), |_| async move {
            let response = match self.registry.ask(transport, place, request).await {
                Ok(response) => response,
                Err(RegistryError::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let bytes = document(response, where_, MANIFEST_LIMIT, transport.patience())
                .await
                .map_err(RegistryError::fetch(&place.what))?;
            Ok(Some(Digest::of(&bytes)))
        })
        .await
    }

    /// Puts a manifest or index where a tag or its digest leads to.
    ///
    /// # Errors
    /// [`RegistryError`], by cause.
    pub async fn put_manifest(
        &self,
        identifier: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        self.put(identifier, media_type, bytes).await.map(|_| ())
    }

    /// The same; returns the `subject` of the manifest, if the registry says that it understood it.
    pub(super) async fn put(
        &self,
        identifier: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Option<String>, RegistryError> {
        let place = &self.place(identifier);
        let url = place.url(&["manifests", identifier]);
        let transport = self.registry.transport(place, &url)?;
        let mut request = Request::new(Method::PUT, url);
        request.payload = Some(Payload::Document(media_type.to_owned(), bytes.into()));
        let (request, wanted) = (&request, Digest::of(bytes));
        let _slot = self.registry.fetcher.slot().await;
        retrying(transport.patience(), |_| async move {
            let response = self.registry.ask(transport, place, request).await?;
            let header = |name| response.headers().get(name)?.to_str().ok();
            let said = header("docker-content-digest");
            // Other algorithms than SHA-256 are another name of the same bytes.
            match said.filter(|said| said.starts_with("sha256:") && **said != wanted.to_string()) {
                None => Ok(header("oci-subject").map(str::to_owned)),
                Some(said) => Err(RegistryError::Stored {
                    what: place.what.clone(),
                    wanted,
                    said: said.to_owned(),
                }),
            }
        })
        .await
    }
}
