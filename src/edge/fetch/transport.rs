//! Sends one request: trust, proxies, redirects, and whether the answer is a refusal.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Method, Response};
use tokio::time::timeout;
use url::{Host, Url};

use super::error::FetchError;
use super::mirror::{authority, is_loopback, shown};
use super::outgoing::{Outgoing, watched};
use super::retry::{Patience, retry_after};
use super::words::words;

const REDIRECTS: usize = 10;
/// How much of an error page is read.
const WORDS_READ: usize = 16 * 1024;

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Transport {
    clients: Clients,
    /// For what is sent out of files; as the next two, made only when needed.
    uploading: OnceLock<Clients>,
    /// For hosts whose certificates are not looked at.
    unverified: OnceLock<Clients>,
    unverified_uploading: OnceLock<Clients>,
    user_agent: String,
    authorities: Vec<Certificate>,
    insecure_hosts: BTreeSet<String>,
    patience: Patience,
}

/// Clients by where they lead. Clones share connections.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    /// Through the proxies of the environment.
    outward: Client,
    /// To this machine: never through a proxy.
    inward: Client,
}

impl Clients {
    /// Returns the client for `url`.
    pub(crate) fn to(&self, url: &Url) -> &Client {
        if is_loopback(url) || is_metadata(url) {
            &self.inward
        } else {
            &self.outward
        }
    }
}

/// Tells whether a URL leads to a cloud's metadata service, which knows this machine and not its proxy.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>
fn is_metadata(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => address.segments()[..2] == [0xfd00, 0xec2],
        _ => false,
    }
}

/// Who watches that a connection does not stand still.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// The client: nothing comes for too long.
    Client,
    /// Whoever sends: the client would count from when it begins to send, however long that takes.
    Sender,
}

/// Whose certificates are good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Those that an authority vouches for.
    Authorities,
    /// All: somebody asked for it.
    Anybody,
}

/// A request.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// A form that may hold secrets, to be posted.
    pub(crate) form: Option<String>,
    /// What is sent along otherwise.
    pub(crate) payload: Option<Payload>,
}

/// What a request sends along. It can be sent again.
#[derive(Clone)]
pub(crate) enum Payload {
    /// Nothing, and says so: registries want a length with every POST.
    Empty,
    /// A document and its media type.
    Document(String, Arc<[u8]>),
    /// A blob.
    Blob(Outgoing),
}

impl Request {
    pub(crate) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            form: None,
            payload: None,
        }
    }
}

impl Transport {
    pub(crate) fn new(
        user_agent: &str,
        ca_file: Option<&Path>,
        insecure_hosts: BTreeSet<String>,
        patience: Patience,
    ) -> Result<Self, FetchError> {
        // reqwest without a built-in provider asks for the process's. Someone else having installed one is as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = ca_file.map(authorities).transpose()?.unwrap_or_default();
        Ok(Self {
            clients: clients(
                user_agent,
                &authorities,
                &patience,
                Watch::Client,
                Trust::Authorities,
            )?,
            uploading: OnceLock::new(),
            unverified: OnceLock::new(),
            unverified_uploading: OnceLock::new(),
            user_agent: user_agent.to_owned(),
            authorities,
            insecure_hosts,
            patience,
        })
    }

    /// Returns the clients that trust whom one should, for requests that are not uploads.
    pub(crate) fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Returns what sends a request to `url`.
    fn client(&self, url: &Url, watch: Watch) -> Result<&Client, FetchError> {
        let (made, trust) = match (watch, self.is_unverified(url)) {
            (Watch::Client, false) => return Ok(self.clients.to(url)),
            (Watch::Sender, false) => (&self.uploading, Trust::Authorities),
            (Watch::Client, true) => (&self.unverified, Trust::Anybody),
            (Watch::Sender, true) => (&self.unverified_uploading, Trust::Anybody),
        };
        if let Some(clients) = made.get() {
            return Ok(clients.to(url));
        }
        let fresh = clients(
            &self.user_agent,
            &self.authorities,
            &self.patience,
            watch,
            trust,
        )?;
        // Another request may have been quicker; its connections are as good.
        Ok(made.get_or_init(|| fresh).to(url))
    }

    /// Tells whether the certificate of `url`'s host is not looked at.
    pub(crate) fn is_unverified(&self, url: &Url) -> bool {
        authority(url).is_some_and(|host| self.insecure_hosts.contains(&host))
    }

    /// Tells whether `url`'s host is one to speak plain http with.
    pub(crate) fn is_insecure(&self, url: &Url) -> bool {
        is_loopback(url) || self.is_unverified(url)
    }

    pub(crate) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Sends a request and follows where it leads; the answer may be a refusal.
    ///
    /// `Authorization` goes to the request's own origin and nowhere else: object stores refuse it, and nobody else
    /// should see it.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response, FetchError> {
        let first = shown(&request.url);
        let mut url = request.url.clone();
        let mut headers = request.headers.clone();
        let watch = match &request.payload {
            Some(Payload::Blob(_)) => Watch::Sender,
            _ => Watch::Client,
        };
        for _ in 0..REDIRECTS {
            let mut sending = self
                .client(&url, watch)?
                .request(request.method.clone(), url.clone())
                .headers(headers.clone());
            if let Some(form) = &request.form {
                sending = sending
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form.clone());
            }
            let failed = |error: &reqwest::Error| {
                FetchError::transport(&shown(&url), error, self.patience.stall)
            };
            let sent = match &request.payload {
                None => sending.send().await,
                Some(Payload::Empty) => sending.header(CONTENT_LENGTH, 0).send().await,
                Some(Payload::Document(kind, bytes)) => {
                    sending
                        .header(CONTENT_TYPE, kind)
                        .body(bytes.to_vec())
                        .send()
                        .await
                }
                Some(Payload::Blob(blob)) => {
                    let sending = sending
                        .header(CONTENT_TYPE, "application/octet-stream")
                        // Else it would be sent in chunks, which not every registry takes.
                        .header(CONTENT_LENGTH, blob.size())
                        .body(blob.open());
                    let stalled = |waited| FetchError::Stalled {
                        url: shown(&url),
                        waited,
                    };
                    watched(sending.send(), blob, self.patience.stall)
                        .await
                        .map_err(stalled)?
                }
            };
            let response = sent.map_err(|error| failed(&error))?;
            // 301 to 303 would have a GET follow a PUT.
            let turns = !matches!(response.status().as_u16(), 307 | 308);
            if request.payload.is_some() && turns {
                return Ok(response);
            }
            let Some(next) = target(&response, &url) else {
                return Ok(response);
            };
            let elsewhere = next.origin() != url.origin();
            let secret = (elsewhere && request.form.is_some())
                .then_some("that would take a secret elsewhere");
            if let Some(why) = self.forbids(&url, &next).or(secret) {
                return Err(FetchError::Redirect {
                    url: first,
                    to: shown(&next),
                    why,
                });
            }
            if elsewhere {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(FetchError::Redirect {
            url: first,
            to: shown(&url),
            why: "that is one redirect too many",
        })
    }

    /// Tells why nothing may be sent to `to` at the word of `from`, if so.
    pub(crate) fn forbids(&self, from: &Url, to: &Url) -> Option<&'static str> {
        match to.scheme() {
            "https" => None,
            "http" if from.scheme() == "http" || self.is_insecure(to) => None,
            "http" => Some("that leaves https"),
            _ => Some("that is neither http nor https"),
        }
    }

    /// Turns an answer that is not a success into an error.
    pub(crate) async fn accepted(
        &self,
        url: &Url,
        response: Response,
    ) -> Result<Response, FetchError> {
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(url, response).await)
    }

    /// Reads why a server refuses.
    pub(crate) async fn refusal(&self, url: &Url, mut response: Response) -> FetchError {
        let status = response.status().as_u16();
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after(value, SystemTime::now()));
        let mut body = Vec::new();
        // An error page that breaks off, or does not come to its end, still says something. What sends blobs does not
        // watch the time by itself.
        while let Ok(Ok(Some(chunk))) = timeout(self.patience.stall, response.chunk()).await {
            body.extend_from_slice(&chunk);
            if body.len() > WORDS_READ {
                body.truncate(WORDS_READ);
                break;
            }
        }
        let (url, words) = (shown(url), words(&body));
        match status {
            403 | 404 | 410 => FetchError::NotFound { url, status, words },
            _ => FetchError::Refused {
                url,
                status,
                words,
                retry_after: wait,
            },
        }
    }
}

/// Returns where an answer sends to, if it does.
fn target(response: &Response, from: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let mut next = from
        .join(response.headers().get(LOCATION)?.to_str().ok()?)
        .ok()?;
    // A server must not choose the credentials that the next one sees. Both fail only where there are none.
    if next.origin() != from.origin() {
        let _ = next.set_username("");
        let _ = next.set_password(None);
    }
    Some(next)
}

fn clients(
    user_agent: &str,
    authorities: &[Certificate],
    patience: &Patience,
    watch: Watch,
    trust: Trust,
) -> Result<Clients, FetchError> {
    let base = || {
        let builder = Client::builder()
            .user_agent(user_agent)
            // Followed here: what may be sent along depends on where it leads.
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(patience.connect)
            .http2_adaptive_window(true)
            .tls_danger_accept_invalid_certs(trust == Trust::Anybody);
        match watch {
            Watch::Client => builder.read_timeout(patience.stall),
            Watch::Sender => builder,
        }
    };
    let outward = build(base, authorities)?;
    let inward = if proxied() {
        build(|| base().no_proxy(), authorities)?
    } else {
        outward.clone()
    };
    Ok(Clients { outward, inward })
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, FetchError> {
    let bad = |why: String| FetchError::CaFile {
        path: path.to_owned(),
        why,
    };
    let pem = fs::read(path).map_err(|error| bad(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
    if found.is_empty() {
        return Err(bad("there is no PEM certificate in it".to_owned()));
    }
    Ok(found)
}

/// Builds a client that trusts the system's authorities and `extra` ones.
///
/// The system's come from rustls-native-certs, which reads `SSL_CERT_FILE` and `SSL_CERT_DIR`, else the places where
/// distributions keep them.
fn build(base: impl Fn() -> ClientBuilder, extra: &[Certificate]) -> Result<Client, FetchError> {
    base()
        .tls_certs_merge(extra.iter().cloned())
        .build()
        // A system without any authorities can still use plain http; https then says that it trusts nobody.
        .or_else(|_| base().tls_certs_only(extra.iter().cloned()).build())
        .map_err(|error| FetchError::Client(error.to_string()))
}

fn proxied() -> bool {
    [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ]
    .iter()
    .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
