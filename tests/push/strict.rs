//! A registry that insists on everything that ECR insists on; each rule names the report it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use imgbuild::oci::Digest;
use serde_json::Value;

use crate::server::{Reply, Seen, Server, status};

/// The registry. It stops when dropped.
pub(crate) struct Strict {
    pub server: Server,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// By repository and digest.
    blobs: BTreeSet<(String, String)>,
    /// By repository and tag or digest.
    manifests: BTreeMap<(String, String), Vec<u8>>,
    /// Sessions that nothing was sent to yet.
    fresh: BTreeSet<usize>,
    sessions: usize,
}

/// Whether tags may be moved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tags {
    Mutable,
    Immutable,
}

fn error(code: u16, name: &str, message: &str) -> Reply {
    let body = serde_json::json!({"errors": [{"code": name, "message": message}]});
    status(code, &[], &body.to_string())
}

impl Strict {
    /// Starts one; `interfere` is shown each request, and answers it instead where it wants to: first without headers
    /// and body, when only a reset is of use, and then whole.
    pub(crate) fn start(
        tags: Tags,
        interfere: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let inside = Arc::clone(&kept);
        let server = Server::start(move |seen, _| {
            let reply = interfere(seen);
            if seen.headers.is_empty() {
                return reply.unwrap_or_else(|| status(500, &[], ""));
            }
            let reply =
                reply.unwrap_or_else(|| inside.lock().expect("no panic inside").answer(seen, tags));
            match reply {
                Reply::Full(code, headers, _) if seen.method == "HEAD" => {
                    Reply::Full(code, headers, Vec::new())
                }
                reply => reply,
            }
        });
        Self { server, kept }
    }

    /// Starts one that works.
    pub(crate) fn calm() -> Self {
        Self::start(Tags::Mutable, |_| None)
    }

    /// Returns a reference on it.
    pub(crate) fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.server.host)
    }

    /// Returns what a tag or digest leads to.
    pub(crate) fn manifest(&self, repository: &str, identifier: &str) -> Option<Digest> {
        let kept = self.kept.lock().expect("no panic inside");
        let found = kept
            .manifests
            .get(&(repository.to_owned(), identifier.to_owned()));
        found.map(|bytes| Digest::of(bytes))
    }

    /// Tells whether a repository has a blob.
    pub(crate) fn has(&self, repository: &str, digest: Digest) -> bool {
        let kept = self.kept.lock().expect("no panic inside");
        kept.blobs
            .contains(&(repository.to_owned(), digest.to_string()))
    }

    /// Returns method and path of all requests that change something.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.server
            .seen()
            .iter()
            .filter(|seen| !matches!(seen.method.as_str(), "GET" | "HEAD"))
            .map(|seen| format!("{} {}", seen.method, seen.path))
            .collect()
    }
}

impl Kept {
    fn answer(&mut self, seen: &Seen, tags: Tags) -> Reply {
        let url = url::Url::parse(&format!("http://x{}", seen.path)).expect("a path");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let path = url.path().strip_prefix("/v2/").unwrap_or_default();
        for (mark, kind) in [
            ("/blobs/uploads/", "upload"),
            ("/blobs/", "blob"),
            ("/manifests/", "manifest"),
        ] {
            if let Some((repository, rest)) = path.split_once(mark) {
                let rest = rest.replace("%3A", ":");
                return match (kind, seen.method.as_str()) {
                    ("upload", "POST") => self.begin(repository, &query, seen),
                    ("upload", "PUT") => self.upload(repository, &rest, &query, seen),
                    ("blob", "GET" | "HEAD") => {
                        let has = self.blobs.contains(&(repository.to_owned(), rest));
                        status(if has { 200 } else { 404 }, &[], "")
                    }
                    ("manifest", "GET" | "HEAD") => {
                        match self.manifests.get(&(repository.to_owned(), rest)) {
                            // Without `Docker-Content-Digest` (oras-project/oras#436).
                            Some(bytes) => Reply::Full(200, Vec::new(), bytes.clone()),
                            None => error(404, "MANIFEST_UNKNOWN", "Requested image not found"),
                        }
                    }
                    ("manifest", "PUT") => self.put(repository, &rest, seen, tags),
                    _ => status(405, &[], ""),
                };
            }
        }
        status(404, &[], "404 page not found")
    }

    fn begin(&mut self, repository: &str, query: &BTreeMap<String, String>, seen: &Seen) -> Reply {
        if seen.headers.get("content-length").map(String::as_str) != Some("0") {
            return status(411, &[], "Length Required");
        }
        // Only what a manifest there refers to is mounted (aws/containers-roadmap#2860).
        if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from")) {
            let referred = self.manifests.iter().any(|((name, _), bytes)| {
                name == from && String::from_utf8_lossy(bytes).contains(digest)
            });
            if referred && self.blobs.contains(&(from.clone(), digest.clone())) {
                self.blobs.insert((repository.to_owned(), digest.clone()));
                return status(201, &[], "");
            }
        }
        self.sessions += 1;
        self.fresh.insert(self.sessions);
        let location = format!(
            "/v2/{repository}/blobs/uploads/{}?_state=a%2Bb%3D",
            self.sessions
        );
        status(202, &[("location", &location)], "")
    }

    fn upload(
        &mut self,
        repository: &str,
        session: &str,
        query: &BTreeMap<String, String>,
        seen: &Seen,
    ) -> Reply {
        if seen.headers.contains_key("transfer-encoding")
            || !seen.headers.contains_key("content-length")
        {
            return status(411, &[], "Length Required");
        }
        if !seen.path.contains("_state=a%2Bb%3D&") {
            return error(
                404,
                "BLOB_UPLOAD_UNKNOWN",
                "blob upload unknown to registry",
            );
        }
        // A session takes one attempt (apple/containerization#790).
        if !session
            .parse()
            .is_ok_and(|number| self.fresh.remove(&number))
        {
            let message = "First byte of the layer part is 0 instead of N";
            return error(416, "BLOB_UPLOAD_INVALID", message);
        }
        // devcontainers/cli#814
        if seen.bytes.is_empty() {
            return error(400, "EmptyUploadException", "nothing was uploaded");
        }
        let digest = Digest::of(&seen.bytes).to_string();
        if query.get("digest") != Some(&digest) {
            return error(400, "DIGEST_INVALID", "provided digest did not match");
        }
        self.blobs.insert((repository.to_owned(), digest));
        // Without a `Location`.
        status(201, &[], "")
    }

    fn put(&mut self, repository: &str, identifier: &str, seen: &Seen, tags: Tags) -> Reply {
        let Ok(json) = serde_json::from_slice::<Value>(&seen.bytes) else {
            return error(400, "MANIFEST_INVALID", "not JSON");
        };
        // containers/image#584
        let typed = seen.headers.get("content-type").map(String::as_str);
        if json["mediaType"].as_str() != typed || typed.is_none() {
            let message = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'";
            return error(405, "UNSUPPORTED", message);
        }
        let named = |list: &str| json[list].as_array().cloned().unwrap_or_default();
        let digests = |list: Vec<Value>| -> Vec<(String, String)> {
            list.iter()
                .map(|one| {
                    let digest = one["digest"].as_str().unwrap_or_default();
                    (repository.to_owned(), digest.to_owned())
                })
                .collect()
        };
        let children = digests(named("manifests"));
        let mut blobs = digests(named("layers"));
        if children.is_empty() {
            blobs.extend(digests(vec![json["config"].clone()]));
        }
        if !blobs.iter().all(|blob| self.blobs.contains(blob))
            || !children
                .iter()
                .all(|child| self.manifests.contains_key(child))
        {
            return error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
        }
        let digest = Digest::of(&seen.bytes).to_string();
        let key = (repository.to_owned(), identifier.to_owned());
        if identifier.contains(':') && identifier != digest {
            return error(400, "DIGEST_INVALID", "provided digest did not match");
        }
        // Also for the same digest (aws/containers-roadmap#2179).
        if tags == Tags::Immutable && self.manifests.contains_key(&key) {
            let message = format!(
                "The image tag '{identifier}' already exists in the '{repository}' repository and cannot be \
                 overwritten because the repository is immutable."
            );
            return error(400, "TAG_INVALID", &message);
        }
        self.manifests
            .insert((repository.to_owned(), digest.clone()), seen.bytes.clone());
        self.manifests.insert(key, seen.bytes.clone());
        status(201, &[("docker-content-digest", &digest)], "")
    }
}
