//! Sends one request: trust, proxies, redirects, and whether the answer is a refusal.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Method, Response};
use url::Url;

use super::error::FetchError;
use super::mirror::{authority, is_loopback, shown};
use super::retry::{Patience, retry_after};

const REDIRECTS: usize = 10;
/// How much of an error page is read.
const WORDS_READ: usize = 16 * 1024;
/// How much of it is shown, in characters.
const WORDS_SHOWN: usize = 240;

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Transport {
    /// Through the proxies of the environment.
    outward: Client,
    /// To this machine: never through a proxy.
    inward: Client,
    insecure_hosts: BTreeSet<String>,
    patience: Patience,
}

/// A request.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// A form that may hold secrets, to be posted.
    pub(crate) form: Option<String>,
}

impl Request {
    pub(crate) fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            form: None,
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
        let base = || {
            Client::builder()
                .user_agent(user_agent)
                // Followed here: what may be sent along depends on where it leads.
                .redirect(Policy::none())
                .referer(false)
                .connect_timeout(patience.connect)
                .read_timeout(patience.stall)
                .http2_adaptive_window(true)
        };
        let outward = build(base, &authorities)?;
        let inward = if proxied() {
            build(|| base().no_proxy(), &authorities)?
        } else {
            outward.clone()
        };
        Ok(Self {
            outward,
            inward,
            insecure_hosts,
            patience,
        })
    }

    /// Tells whether `url`'s host is one to speak plain http with.
    pub(crate) fn is_insecure(&self, url: &Url) -> bool {
        is_loopback(url)
            || authority(url).is_some_and(|host| self.insecure_hosts.contains(&host))
            || url
                .host_str()
                .is_some_and(|host| self.insecure_hosts.contains(host))
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
        for _ in 0..REDIRECTS {
            let client = if is_loopback(&url) {
                &self.inward
            } else {
                &self.outward
            };
            let mut sending = client
                .request(request.method.clone(), url.clone())
                .headers(headers.clone());
            if let Some(form) = &request.form {
                sending = sending
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form.clone());
            }
            let response = sending.send().await.map_err(|error| {
                FetchError::transport(&shown(&url), &error, self.patience.stall)
            })?;
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

    fn forbids(&self, from: &Url, to: &Url) -> Option<&'static str> {
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
        // An error page that breaks off still says something.
        while let Ok(Some(chunk)) = response.chunk().await {
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

/// Returns what a server says in an error page: the messages of a registry's JSON, or the text without markup.
///
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>
pub(crate) fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(json) => from_json(&json).unwrap_or_else(|| text.into_owned()),
        Err(_) => without_markup(&text),
    };
    // What a server says must not steer the terminal.
    let clean: String = said
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(WORDS_SHOWN) {
        words.truncate(cut);
        words.push('…');
    }
    words
}

fn from_json(json: &serde_json::Value) -> Option<String> {
    let one = |error: &serde_json::Value| {
        let part = |name: &str| {
            error
                .get(name)
                .and_then(serde_json::Value::as_str)
                .filter(|text| !text.is_empty())
        };
        match (part("code"), part("message")) {
            (Some(code), Some(message)) => Some(format!("{code}: {message}")),
            (one, other) => one.or(other).map(str::to_owned),
        }
    };
    if let Some(errors) = json.get("errors").and_then(serde_json::Value::as_array) {
        let all: Vec<String> = errors.iter().filter_map(one).collect();
        return (!all.is_empty()).then(|| all.join("; "));
    }
    let part = |name: &str| {
        json.get(name)
            .and_then(serde_json::Value::as_str)
            .map(str::to_owned)
    };
    one(json)
        .or_else(|| part("details"))
        .or_else(|| part("error_description"))
        .or_else(|| part("error"))
}

fn without_markup(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            _ if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_server_is_quoted_in_its_own_words_whatever_form_it_uses() {
        for (body, said) in [
            (
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow  down"}]}"#,
                "TOOMANYREQUESTS: slow down",
            ),
            (
                r#"{"errors":[{"code":"DENIED"},{"message":"no"}]}"#,
                "DENIED; no",
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
            ),
            (
                "<html><head><title>404</title></head><body>Not Found</body></html>",
                "404 Not Found",
            ),
            ("Not Authorized\n", "Not Authorized"),
            ("\u{1b}[31mred", "[31mred"),
            ("", ""),
            ("[]", "[]"),
        ] {
            assert_eq!(words(body.as_bytes()), said);
        }
        assert!(words("é".repeat(10_000).as_bytes()).chars().count() < 300);
    }
}
