//! Uploads blobs: one request with the whole blob, and a new session for every attempt.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#post-then-put>
//!
//! Not in pieces: of ECR's, the last but one must have 5 MiB, `Range` answers are stale, and a session that failed
//! cannot be begun again (<https://github.com/aws/containers-roadmap/issues/2831>,
//! <https://github.com/apple/containerization/issues/790>).

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, Response};
use url::Url;

use super::client::Place;
use super::error::RegistryError;
use super::repository::{Mount, Repository};
use crate::edge::fetch::{
    Fault, FetchError, Outgoing, Payload, Request, Retry, Retryable as _, Transport, retrying,
};
use crate::edge::progress::Progress;
use crate::layer::RandomRead;
use crate::oci::Digest;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// How a blob came into the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sent {
    /// Its bytes were sent.
    Uploaded,
    /// The registry took it from another repository.
    Mounted,
}

/// What the registry answers to the beginning of an upload.
enum Begun {
    Mounted,
    At(Url),
}

impl Repository {
    /// Brings a blob into the repository that does not have it.
    ///
    /// Its bytes are hashed while they are sent, and the last of them stay here if they are not the right ones.
    ///
    /// # Errors
    /// [`RegistryError`], by cause, after as many attempts as make sense.
    pub async fn upload(
        &self,
        digest: Digest,
        bytes: Arc<dyn RandomRead>,
        mount: Option<&Mount>,
        progress: &dyn Progress,
    ) -> Result<Sent, RegistryError> {
        let place = &self.place(&digest.to_string());
        let start = place.url(&["blobs", "uploads", ""]);
        let transport = self.registry.transport(place, &start)?;
        let _slot = self.registry.fetcher.slot().await;
        let (blob, task) = (&Outgoing::new(bytes, digest), &OnceLock::new());
        let start = &start;
        let sent = retrying(transport.patience(), |failures| async move {
            // Perhaps only the answer was lost.
            if failures > 0 && self.has_now(digest).await.unwrap_or(false) {
                return Ok(Sent::Uploaded);
            }
            let session = match self.begin(transport, place, start, digest, mount).await? {
                Begun::Mounted => return Ok(Sent::Mounted),
                Begun::At(session) => session,
            };
            let what = format!("{} {}", place.repository, &digest.hex()[..12]);
            let task = *task.get_or_init(|| progress.begin_sending(&what, Some(blob.size())));
            progress.restart(task);
            let mut request = Request::new(Method::PUT, session);
            request
                .url
                .query_pairs_mut()
                .append_pair("digest", &digest.to_string());
            request.payload = Some(Payload::Blob(blob.clone()));
            let sending = self.registry.ask(transport, place, &request);
            let advance = |from: u64, to: u64| {
                if to < from {
                    progress.restart(task);
                    progress.advance(task, to);
                } else {
                    progress.advance(task, to - from);
                }
            };
            match told(sending, blob, advance).await {
                Ok(_) => Ok(Sent::Uploaded),
                Err(error) => Err(match blob.fault() {
                    Some(Fault::Read(source)) => RegistryError::Read {
                        what: place.what.clone(),
                        source,
                    },
                    Some(Fault::Digest(found)) => RegistryError::Changed {
                        what: place.what.clone(),
                        wanted: digest,
                        found,
                    },
                    None => of_session(error),
                }),
            }
        })
        .await?;
        if let Some(task) = task.get() {
            progress.finish(*task);
        }
        Ok(sent)
    }

    /// Opens a session, or has the blob mounted.
    async fn begin(
        &self,
        transport: &Transport,
        place: &Place,
        start: &Url,
        digest: Digest,
        mount: Option<&Mount>,
    ) -> Result<Begun, RegistryError> {
        if let Some((mount, from)) = mount.and_then(|mount| Some((mount, mount.from()?))) {
            let mut url = start.clone();
            url.query_pairs_mut()
                .append_pair("mount", &digest.to_string())
                .append_pair("from", from);
            match self.post(transport, place, url).await {
                Ok(response) if response.status().as_u16() == 201 => return Ok(Begun::Mounted),
                // Not mounted, but a session all the same.
                Ok(response) => return location(transport, place, &response).map(Begun::At),
                Err(error) if error.retry() != Retry::No => return Err(error),
                // Registries that know no mounts, or do not let this user read there.
                Err(_) => mount.refuse(),
            }
        }
        let response = self.post(transport, place, start.clone()).await?;
        location(transport, place, &response).map(Begun::At)
    }

    async fn post(
        &self,
        transport: &Transport,
        place: &Place,
        url: Url,
    ) -> Result<Response, RegistryError> {
        let mut request = Request::new(Method::POST, url);
        request.payload = Some(Payload::Empty);
        self.registry.ask(transport, place, &request).await
    }
}

/// Returns where an upload goes on: relative to the registry or absolute, with a query that must stay as it is.
fn location(
    transport: &Transport,
    place: &Place,
    response: &Response,
) -> Result<Url, RegistryError> {
    let bad = |why: String| RegistryError::Location {
        what: place.what.clone(),
        host: place.host.clone(),
        why,
    };
    let named = response
        .headers()
        .get(LOCATION)
        .ok_or_else(|| bad("its answer has no Location".to_owned()))?;
    let from = response.url();
    let mut to = named
        .to_str()
        .ok()
        .and_then(|named| from.join(named).ok())
        .ok_or_else(|| bad("its Location is not a URL".to_owned()))?;
    if let Some(why) = transport.forbids(from, &to) {
        return Err(bad(format!("{}: {why}", crate::edge::fetch::shown(&to))));
    }
    // A server must not choose the credentials that another one sees. Both fail only where there are none.
    let _ = to.set_username("");
    let _ = to.set_password(None);
    Ok(to)
}

/// Tells a session that is gone, or bytes that changed on the way, from other refusals.
fn of_session(error: RegistryError) -> RegistryError {
    let words = error.words();
    let session = ["BLOB_UPLOAD_", "DIGEST_INVALID", "SIZE_INVALID"]
        .iter()
        .any(|code| words.contains(code));
    let (what, gone) = match &error {
        RegistryError::NotFound { what, words, .. } => (what, !words.contains("NAME_UNKNOWN")),
        RegistryError::Fetch {
            what,
            error: FetchError::Refused { status: 416, .. },
        } => (what, true),
        RegistryError::Fetch {
            what,
            error: FetchError::Refused {
                status: 400..=499, ..
            },
        } => (what, session),
        _ => return error,
    };
    if !gone {
        return error;
    }
    RegistryError::Session {
        what: what.clone(),
        words: words.to_owned(),
    }
}

/// Waits for `sending` and tells on the way how much of the blob was taken: before, and now.
async fn told<T>(
    sending: impl Future<Output = T>,
    blob: &Outgoing,
    advance: impl Fn(u64, u64),
) -> T {
    let mut sending = std::pin::pin!(sending);
    let mut last = 0;
    loop {
        let answer = tokio::time::timeout(TICK, &mut sending).await;
        let taken = blob.taken();
        if taken != last {
            advance(last, taken);
            last = taken;
        }
        if let Ok(answer) = answer {
            return answer;
        }
    }
}
