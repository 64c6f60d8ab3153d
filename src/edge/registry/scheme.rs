//! Finds out which of http and https a registry speaks, where plain http is allowed at all.
//!
//! That is on loopback, where registries usually speak plain http, and where `--insecure` says so, where they usually
//! speak https with a certificate that nobody vouches for.

use std::collections::BTreeMap;

use tokio::sync::Mutex;
use url::Url;

use super::client::{Place, Registry};
use crate::edge::fetch::{FetchError, Request, Transport, authority, is_loopback};

/// What is known of registries that may speak either.
#[derive(Debug, Default)]
pub(super) struct Schemes(Mutex<BTreeMap<String, Scheme>>);

/// What a registry speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// What its place says.
    AsWritten,
    /// https, although its place says http.
    Https,
}

impl Scheme {
    /// Returns the place as the registry wants it asked.
    pub(super) fn place(self, place: &Place) -> Place {
        let mut place = place.clone();
        self.change(&mut place.base);
        place
    }

    /// Returns a request to the registry at `place` as it wants it; others stay as they are.
    pub(super) fn request(self, request: &Request, place: &Place) -> Request {
        let mut request = request.clone();
        if request.url.origin() == place.base.origin() {
            self.change(&mut request.url);
        }
        request
    }

    fn change(self, url: &mut Url) {
        if self == Self::Https && url.scheme() == "http" {
            // Between these two it cannot fail.
            let _ = url.set_scheme("https");
        }
    }
}

impl Registry {
    /// Returns what the registry at `place` speaks, as far as that is known; asks those of `--insecure`.
    pub(super) async fn spoken(&self, transport: &Transport, place: &Place) -> Scheme {
        let Some(host) = authority(&place.base).filter(|_| place.base.scheme() == "http") else {
            return Scheme::AsWritten;
        };
        let mut known = self.schemes.0.lock().await;
        if let Some(scheme) = known.get(&host) {
            return *scheme;
        }
        if is_loopback(&place.base) || !transport.is_unverified(&place.base) {
            return Scheme::AsWritten;
        }
        let mut url = place.base.clone();
        Scheme::Https.change(&mut url);
        let scheme = match transport.send(&Request::get(url)).await {
            Err(FetchError::Unreachable { .. } | FetchError::Broken { .. }) => Scheme::AsWritten,
            // Whatever it answers, and if it takes long: that is for the request itself to say.
            _ => Scheme::Https,
        };
        known.insert(host, scheme);
        scheme
    }

    /// Tells whether a registry that was asked by http says that it speaks https, and remembers it.
    ///
    /// So do servers written in Go, such as most registries are, and nginx.
    pub(super) async fn speaks_https(&self, place: &Place, words: &str) -> bool {
        let says = place.base.scheme() == "http"
            && (words.contains("HTTP request to an HTTPS server")
                || words.contains("plain HTTP request was sent to HTTPS port"));
        match authority(&place.base).filter(|_| says) {
            Some(host) => {
                let mut known = self.schemes.0.lock().await;
                known.insert(host, Scheme::Https);
                true
            }
            None => false,
        }
    }
}
