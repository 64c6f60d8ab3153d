//! Asks registries for manifests and blobs.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>
//!
//! To pull, only GET is used: `public.ecr.aws` answers HEAD on blobs with 401 even to a valid token
//! (<https://github.com/aws/containers-roadmap/issues/2671>).

use std::sync::Arc;

use reqwest::Response;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use url::Url;

use super::auth::Auth;
use super::credentials::Credentials;
use super::error::RegistryError;
use super::scheme::Schemes;
use crate::edge::fetch::{
    Expected, FetchError, Fetcher, Request, Transport, authority, document, from_store, into_store,
    registry_mirror, retrying, shown,
};
use crate::edge::progress::Progress;
use crate::edge::store::{FileBlob, Store};
use crate::oci::manifest::Document;
use crate::oci::{Descriptor, Digest, Reference, media_type};

/// The largest manifest or index: what registries must take, and more than any image needs.
pub(crate) const MANIFEST_LIMIT: u64 = 4 * 1024 * 1024;

/// A client of registries. Clones share connections and tokens.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(super) fetcher: Fetcher,
    pub(super) auth: Arc<Auth>,
    pub(super) schemes: Arc<Schemes>,
}

/// Where a repository is asked for.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// What is asked for, for messages.
    pub(super) what: String,
    /// The host that is asked, as credentials are kept for it.
    pub(super) host: String,
    /// `https://host/v2/`.
    pub(super) base: Url,
    /// The repository there.
    pub(super) repository: String,
    /// What is done there.
    pub(super) access: Access,
}

/// What a token must allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Registry {
    /// Makes a client with a fetcher's mirrors, limits and trust.
    #[must_use]
    pub fn new(fetcher: Fetcher, credentials: Credentials) -> Self {
        Self {
            fetcher,
            auth: Arc::new(Auth::new(credentials)),
            schemes: Arc::default(),
        }
    }

    /// Returns what a reference leads to: the descriptor, and the bytes of the index or manifest.
    ///
    /// The digest is that of the bytes; a digest in the reference must be the same.
    ///
    /// # Errors
    /// [`RegistryError`], by cause.
    pub async fn resolve(
        &self,
        reference: &Reference,
    ) -> Result<(Descriptor, Vec<u8>), RegistryError> {
        let place = self.place(reference, reference.to_string())?;
        let url = place.url(&["manifests", &reference.identifier()]);
        let transport = self.transport(&place, &url)?;
        let mut headers = HeaderMap::new();
        let accept = media_type::MANIFESTS.join(", ");
        headers.insert(
            ACCEPT,
            HeaderValue::from_str(&accept).expect("media types are ASCII"),
        );
        let (place, url, headers, where_) = (&place, &url, &headers, &shown(&url));
        let _slot = self.fetcher.slot().await;
        let (said, bytes) = retrying(transport.patience(), |_| async move {
            let response = self.get(transport, place, url, headers).await?;
            let said = response
                .headers()
                .get("docker-content-digest")
                .and_then(|value| value.to_str().ok());
            let said = said.map(str::to_owned);
            let bytes = document(response, where_, MANIFEST_LIMIT, transport.patience()).await;
            Ok::<_, RegistryError>((said, bytes.map_err(RegistryError::fetch(&place.what))?))
        })
        .await?;
        let descriptor = describe(&bytes).map_err(|error| RegistryError::Document {
            what: place.what.clone(),
            error,
        });
        let found = Digest::of(&bytes);
        if let Some(wanted) = reference.digest().filter(|wanted| *wanted != found) {
            return Err(RegistryError::Digest {
                what: place.what.clone(),
                wanted,
                found,
            });
        }
        // Other algorithms than SHA-256 are another name of the same bytes.
        if let Some(said) =
            said.filter(|said| said.starts_with("sha256:") && *said != found.to_string())
        {
            return Err(RegistryError::Header {
                what: place.what.clone(),
                said,
                found,
            });
        }
        Ok((descriptor?, bytes))
    }

    /// Returns the index or manifest with this digest.
    ///
    /// # Errors
    /// [`RegistryError`], by cause.
    pub async fn manifest(
        &self,
        reference: &Reference,
        digest: Digest,
    ) -> Result<Vec<u8>, RegistryError> {
        Ok(self.resolve(&reference.at(digest)).await?.1)
    }

    /// Returns a blob: from the store, else from the registry into the store.
    ///
    /// # Errors
    /// [`RegistryError`], by cause; wrong bytes are not kept.
    pub async fn blob(
        &self,
        store: &Store,
        reference: &Reference,
        descriptor: &Descriptor,
        progress: &dyn Progress,
    ) -> Result<FileBlob, RegistryError> {
        let (digest, size) = (descriptor.digest, Some(descriptor.size));
        if let Some(blob) = from_store(store, digest, size).await? {
            return Ok(blob);
        }
        let place = self.place(reference, format!("{}@{digest}", reference.name()))?;
        let url = place.url(&["blobs", &digest.to_string()]);
        let transport = self.transport(&place, &url)?;
        let _slot = self.fetcher.slot().await;
        let shown_as = format!("{} {}", reference.repository(), &digest.hex()[..12]);
        let task = progress.begin(&shown_as, size);
        let (place, url, headers, where_) = (&place, &url, &HeaderMap::new(), &shown(&url));
        let blob = retrying(transport.patience(), |failures| async move {
            if failures > 0 {
                progress.restart(task);
            }
            let response = self.get(transport, place, url, headers).await?;
            let came = |bytes| progress.advance(task, bytes);
            into_store(
                response,
                where_,
                store,
                Expected { digest, size },
                transport.patience(),
                &came,
            )
            .await
            .map_err(RegistryError::fetch(&place.what))
        })
        .await?;
        progress.finish(task);
        Ok(blob)
    }

    pub(super) fn transport(&self, place: &Place, url: &Url) -> Result<&Transport, RegistryError> {
        self.fetcher
            .transport(url)
            .map_err(RegistryError::fetch(&place.what))
    }

    async fn get(
        &self,
        transport: &Transport,
        place: &Place,
        url: &Url,
        headers: &HeaderMap,
    ) -> Result<Response, RegistryError> {
        let mut request = Request::get(url.clone());
        request.headers = headers.clone();
        self.ask(transport, place, &request).await
    }

    /// Finds out whom to ask for a repository, and by http or https.
    pub(super) fn place(
        &self,
        reference: &Reference,
        what: String,
    ) -> Result<Place, RegistryError> {
        let mirror = registry_mirror(self.fetcher.mirrors(), reference.registry());
        self.place_at(reference, what, mirror)
    }

    /// The same for a repository that is written to: mirrors are where bytes come from, not where they go.
    pub(super) fn own_place(
        &self,
        reference: &Reference,
        what: String,
    ) -> Result<Place, RegistryError> {
        let place = self.place_at(reference, what, None)?;
        Ok(Place {
            access: Access::Push,
            ..place
        })
    }

    fn place_at(
        &self,
        reference: &Reference,
        what: String,
        mirror: Option<&Url>,
    ) -> Result<Place, RegistryError> {
        let bad = |what: &str| RegistryError::Fetch {
            what: what.to_owned(),
            error: FetchError::Url {
                url: reference.registry().to_owned(),
                why: "wanted a host name, perhaps with a port".to_owned(),
            },
        };
        let hub = matches!(reference.registry(), "docker.io" | "index.docker.io");
        // Docker Hub keeps what has no owner under `library`.
        let own = match reference.repository() {
            name if hub && !name.contains('/') => format!("library/{name}"),
            name => name.to_owned(),
        };
        if let Some(mirror) = mirror {
            let mut base = mirror.clone();
            base.set_path("/v2/");
            let prefix = mirror.path().trim_matches('/');
            let repository = if prefix.is_empty() {
                own
            } else {
                format!("{prefix}/{own}")
            };
            let host = authority(&base).ok_or_else(|| bad(&what))?;
            return Ok(Place {
                what,
                host,
                base,
                repository,
                access: Access::Pull,
            });
        }
        let host = if hub {
            "registry-1.docker.io"
        } else {
            reference.registry()
        };
        let mut base: Url = format!("https://{host}/v2/")
            .parse()
            .map_err(|_| bad(&what))?;
        if self.fetcher.is_insecure(&base) {
            base = format!("http://{host}/v2/")
                .parse()
                .map_err(|_| bad(&what))?;
        }
        Ok(Place {
            what,
            host: host.to_owned(),
            base,
            repository: own,
            access: Access::Pull,
        })
    }
}

impl Place {
    /// Returns the URL of a document of the repository.
    pub(super) fn url(&self, rest: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Repositories, tags and digests need no escaping.
        url.set_path(&format!("/v2/{}/{}", self.repository, rest.join("/")));
        url
    }
}

/// Describes an index or manifest by what it says of itself, not by what a server says of it.
fn describe(bytes: &[u8]) -> Result<Descriptor, crate::oci::manifest::DocumentError> {
    let kind = match Document::parse(bytes)? {
        Document::Index(index) => index
            .media_type
            .unwrap_or_else(|| media_type::INDEX.to_owned()),
        Document::Manifest(manifest) => manifest
            .media_type
            .unwrap_or_else(|| media_type::MANIFEST.to_owned()),
    };
    Ok(Descriptor::of(&kind, bytes))
}
