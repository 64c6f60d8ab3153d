//! The other host that the bytes are on: it takes a signature in the URL, and nothing beside it.

use std::sync::{Arc, Mutex};

use super::{Kept, error};
use crate::server::{Reply, Server, ok, status};

/// Where the bytes of blobs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blobs {
    /// In the registry.
    Here,
    /// In an object store, to which the registry redirects with 307.
    Elsewhere,
}

/// Starts an object store with what the registry keeps.
pub(super) fn start(kept: &Arc<Mutex<Kept>>) -> Server {
    let kept = Arc::clone(kept);
    Server::start(move |seen, _| {
        let no = |code, name: &str, message: &str| {
            let xml = format!("<Error><Code>{name}</Code><Message>{message}</Message></Error>");
            let body = if seen.method == "HEAD" { "" } else { &xml };
            status(code, &[("content-type", "application/xml")], body)
        };
        // open-policy-agent/opa#6580, oras-project/oras-java#334
        if seen.authorization().is_some() {
            return no(400, "InvalidArgument", "Only one auth mechanism allowed");
        }
        // The method is part of what is signed:
        // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        if seen.method != "GET" || !seen.path.ends_with("?signature=a%2Bb%3D") {
            return no(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match",
            );
        }
        let digest = seen.path.trim_start_matches('/').split('?').next();
        let digest = digest.unwrap_or_default();
        let kept = kept.lock().expect("no panic inside");
        let found = kept.blobs.iter().find(|((_, one), _)| one == digest);
        found.map_or_else(
            || no(404, "NoSuchKey", "The specified key does not exist."),
            |(_, bytes)| ok(bytes.clone()),
        )
    })
}

impl Kept {
    pub(super) fn blob(&self, repository: &str, digest: &str, elsewhere: Option<&str>) -> Reply {
        let found = self.blobs.get(&(repository.to_owned(), digest.to_owned()));
        match (found, elsewhere) {
            (None, _) => error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            (Some(bytes), None) => ok(bytes.clone()),
            (Some(_), Some(host)) => {
                let location = format!("http://{host}/{digest}?signature=a%2Bb%3D");
                status(307, &[("location", &location)], "")
            }
        }
    }
}
