//! Gets inputs by URL into the store: mirrors, retries, digests checked while streaming.

mod error;
mod mirror;
mod outgoing;
mod receive;
mod retry;
mod transport;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

pub use error::FetchError;
pub use mirror::{Mirror, MirrorError};
pub use retry::Patience;

pub(crate) use mirror::{authority, is_loopback, registry as registry_mirror, shown, shown_text};
pub(crate) use outgoing::{Fault, Outgoing};
pub(crate) use receive::{Expected, document, from_store, into_store};
pub(crate) use retry::{Retry, Retryable, retrying};
pub(crate) use transport::{Clients, Payload, Request, Transport};
pub(crate) use words::words;

use super::progress::{Progress, Silent, TaskId};
use super::store::{FileBlob, Store};
use crate::oci::Digest;

/// How to fetch.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Other places to get bytes from.
    pub mirrors: Vec<Mirror>,
    /// Use no network.
    pub offline: bool,
    /// PEM certificates of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Hosts (with port, if any) that may speak plain http, and whose certificates are not looked at. Loopback may
    /// always speak plain http.
    pub insecure_hosts: BTreeSet<String>,
    /// How to introduce oneself to servers.
    pub user_agent: String,
    /// How many transfers at once.
    pub concurrency: usize,
    /// How often to try and how long to wait.
    pub patience: Patience,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            offline: false,
            ca_file: None,
            insecure_hosts: BTreeSet::new(),
            user_agent: concat!("imgbuild/", env!("CARGO_PKG_VERSION")).to_owned(),
            concurrency: 8,
            patience: Patience::default(),
        }
    }
}

/// Something to fetch: where it may be and what it must be.
#[derive(Clone, Debug)]
pub struct Input {
    /// What people call it, for messages: `python3.11-3.11.2-1.x86_64.rpm`.
    pub what: String,
    /// Where it may be, best first, before mirrors.
    pub urls: Vec<String>,
    /// What it must hash to.
    pub digest: Digest,
    /// How many bytes it must have, if known.
    pub size: Option<u64>,
}

/// Returns inputs with the largest first: the last transfer to run alone is then a short one.
pub fn largest_first(inputs: &[Input]) -> Vec<&Input> {
    let mut order: Vec<&Input> = inputs.iter().collect();
    let size = |input: &Input| input.size.unwrap_or(u64::MAX);
    order.sort_by_key(|input| (std::cmp::Reverse(size(input)), input.digest));
    order
}

/// Gets bytes by URL. Clones share connections and limits.
#[derive(Clone, Debug)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mirrors: Vec<Mirror>,
    /// Missing when offline.
    transport: Option<Transport>,
    slots: Semaphore,
}

impl Fetcher {
    /// Prepares fetching; asks no server yet.
    ///
    /// # Errors
    /// [`FetchError::CaFile`] if the file has no certificates; [`FetchError::Client`].
    pub fn new(options: FetchOptions) -> Result<Self, FetchError> {
        let transport = if options.offline {
            None
        } else {
            Some(Transport::new(
                &options.user_agent,
                options.ca_file.as_deref(),
                options.insecure_hosts,
                options.patience,
            )?)
        };
        let shared = Shared {
            mirrors: options.mirrors,
            transport,
            slots: Semaphore::new(options.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Returns a small document, of at most `limit` bytes. Its bytes are not checked: the caller does that.
    ///
    /// # Errors
    /// [`FetchError`], by cause; [`FetchError::is_not_found`] tells what is not there.
    pub async fn get(&self, url: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let url = self.place(url)?;
        if let Some(path) = receive::file_path(&url)? {
            return receive::file(path, shown(&url), limit).await;
        }
        let transport = self.transport(&url)?;
        let _slot = self.slot().await;
        let (request, shown) = (&Request::get(url.clone()), &shown(&url));
        retrying(transport.patience(), |_| async move {
            let response = transport.send(request).await?;
            let response = transport.accepted(&request.url, response).await?;
            document(response, shown, limit, transport.patience()).await
        })
        .await
    }

    /// Returns an input: from the store, else from the first of its URLs that has the right bytes.
    ///
    /// # Errors
    /// [`FetchError::Input`], which names the input; wrong bytes at one URL count more than absence at another.
    pub async fn fetch(&self, store: &Store, input: &Input) -> Result<FileBlob, FetchError> {
        self.fetch_shown(store, input, &Silent).await
    }

    /// Returns all inputs, in their order, fetching several at once. The same digest is fetched once.
    ///
    /// # Errors
    /// [`FetchError`] for one that cannot be had; the other transfers are then given up.
    pub async fn fetch_all(
        &self,
        store: &Store,
        inputs: Vec<Input>,
        progress: &dyn Progress,
    ) -> Result<Vec<FileBlob>, FetchError> {
        let blobs = Mutex::new(BTreeMap::new());
        let came = |digest, blob| {
            let mut blobs = blobs.lock().unwrap_or_else(PoisonError::into_inner);
            blobs.insert(digest, blob);
        };
        self.fetch_each(store, largest_first(&inputs), progress, &came)
            .await?;
        let blobs = blobs.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(inputs
            .iter()
            .filter_map(|input| blobs.get(&input.digest).cloned())
            .collect())
    }

    /// Gets all inputs, several at once, begun in their order; tells of each when it is there. The same digest is
    /// fetched once.
    ///
    /// # Errors
    /// The [`FetchError`] of the first input, in their order, that cannot be had, whichever fails first; the transfers
    /// of those after it are given up.
    pub async fn fetch_each(
        &self,
        store: &Store,
        inputs: Vec<&Input>,
        progress: &dyn Progress,
        came: &(dyn Fn(Digest, FileBlob) + Sync),
    ) -> Result<(), FetchError> {
        let mut seen = BTreeSet::new();
        let mut running: FuturesOrdered<_> = inputs
            .into_iter()
            .filter(|input| seen.insert(input.digest))
            .map(|input| async move {
                let blob = self.fetch_shown(store, input, progress).await?;
                came(input.digest, blob);
                Ok::<_, FetchError>(())
            })
            .collect();
        while let Some(result) = running.next().await {
            result?;
        }
        Ok(())
    }

    async fn fetch_shown(
        &self,
        store: &Store,
        input: &Input,
        progress: &dyn Progress,
    ) -> Result<FileBlob, FetchError> {
        self.have(store, input, progress)
            .await
            .map_err(|error| error.about(&input.what))
    }

    async fn have(
        &self,
        store: &Store,
        input: &Input,
        progress: &dyn Progress,
    ) -> Result<FileBlob, FetchError> {
        if let Some(blob) = receive::from_store(store, input.digest, input.size).await? {
            return Ok(blob);
        }
        let _slot = self.slot().await;
        let task = progress.begin(&input.what, input.size);
        let mut worst: Option<FetchError> = None;
        for url in &input.urls {
            match self.attempt(store, input, url, progress, task).await {
                Ok(blob) => {
                    progress.finish(task);
                    return Ok(blob);
                }
                // The disk is as full for the next URL.
                Err(error @ FetchError::Store(_)) => return Err(error),
                Err(error) => {
                    use crate::diagnose::{Class, Diagnose as _};
                    if worst
                        .as_ref()
                        .is_none_or(|worst| worst.class() != Class::Integrity)
                    {
                        worst = Some(error);
                    }
                    progress.restart(task);
                }
            }
        }
        Err(worst.unwrap_or(FetchError::NoUrl))
    }

    async fn attempt(
        &self,
        store: &Store,
        input: &Input,
        url: &str,
        progress: &dyn Progress,
        task: TaskId,
    ) -> Result<FileBlob, FetchError> {
        let url = self.place(url)?;
        let shown = &shown(&url);
        let expected = Expected {
            digest: input.digest,
            size: input.size,
        };
        if let Some(path) = receive::file_path(&url)? {
            return receive::file_into_store(path, shown.clone(), store.clone(), expected).await;
        }
        let transport = self.transport(&url)?;
        let request = &Request::get(url);
        retrying(transport.patience(), |failures| async move {
            if failures > 0 {
                progress.restart(task);
            }
            let response = transport.send(request).await?;
            let response = transport.accepted(&request.url, response).await?;
            into_store(
                response,
                shown,
                store,
                expected,
                transport.patience(),
                &|bytes| progress.advance(task, bytes),
            )
            .await
        })
        .await
    }

    /// Returns where a URL's bytes come from, by the mirrors.
    fn place(&self, url: &str) -> Result<Url, FetchError> {
        let parsed: Url = url
            .parse()
            .map_err(|error: url::ParseError| FetchError::Url {
                url: mirror::shown_text(url),
                why: error.to_string(),
            })?;
        let url = mirror::rewrite(&self.shared.mirrors, &parsed);
        match url.scheme() {
            "http" | "https" | "file" => Ok(url),
            _ => Err(FetchError::Url {
                url: shown(&url),
                why: "wanted http, https or file".to_owned(),
            }),
        }
    }

    pub(crate) fn mirrors(&self) -> &[Mirror] {
        &self.shared.mirrors
    }

    /// Tells whether the host of `url` is one to speak plain http with.
    pub(crate) fn is_insecure(&self, url: &Url) -> bool {
        is_loopback(url)
            || self
                .shared
                .transport
                .as_ref()
                .is_some_and(|transport| transport.is_insecure(url))
    }

    /// Returns what sends requests.
    pub(crate) fn transport(&self, url: &Url) -> Result<&Transport, FetchError> {
        self.shared
            .transport
            .as_ref()
            .ok_or_else(|| FetchError::Offline { url: shown(url) })
    }

    /// Waits for the right to transfer.
    pub(crate) async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so always there; going on without a slot would be the right thing anyway.
        self.shared.slots.acquire().await.ok()
    }
}
