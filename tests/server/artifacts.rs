//! A registry that knows what refers to what: the API of OCI 1.1, its pages and filters, and registries without it.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use imgbuild::oci::Digest;
use serde_json::{Value, json};

use super::{Reply, Seen, Server, status};

/// What the registry knows of artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// The API; it filters.
    Api,
    /// The API, without filtering.
    ApiWithoutFilter,
    /// Nothing: 404 to the API, and no word on subjects.
    Nothing,
    /// Nothing, and it refuses artifacts with this status.
    Refuses(u16),
    /// Nothing, and the first list written under a fallback tag is lost to another writer's.
    Races,
}

/// The registry. It stops when dropped.
pub struct Artifacts {
    pub server: Server,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    blobs: BTreeSet<String>,
    /// By repository and tag or digest.
    manifests: BTreeMap<(String, String), Vec<u8>>,
    raced: bool,
}

impl Artifacts {
    pub fn start(knows: Knows) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let inside = Arc::clone(&kept);
        let server = Server::start(move |seen, _| {
            if seen.headers.is_empty() {
                return status(500, &[], "");
            }
            let mut kept = inside.lock().expect("no panic inside");
            match kept.answer(seen, knows) {
                Reply::Full(code, headers, _) if seen.method == "HEAD" => {
                    Reply::Full(code, headers, Vec::new())
                }
                reply => reply,
            }
        });
        Self { server, kept }
    }

    /// Returns what a tag or digest leads to.
    pub fn manifest(&self, repository: &str, identifier: &str) -> Option<Value> {
        let kept = self.kept.lock().expect("no panic inside");
        let key = (repository.to_owned(), identifier.to_owned());
        let bytes = kept.manifests.get(&key)?;
        serde_json::from_slice(bytes).ok()
    }

    /// Puts a manifest there, as another client would.
    pub fn put(&self, repository: &str, identifier: &str, manifest: &Value) -> Digest {
        let bytes = manifest.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        let mut kept = self.kept.lock().expect("no panic inside");
        for name in [identifier, &digest.to_string()] {
            let key = (repository.to_owned(), name.to_owned());
            kept.manifests.insert(key, bytes.clone());
        }
        digest
    }
}

/// Returns an artifact as another client would make it.
pub fn artifact(kind: &str, subject: &str) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2},
        "layers": [],
        "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject, "size": 1},
    })
}

impl Kept {
    fn answer(&mut self, seen: &Seen, knows: Knows) -> Reply {
        let url = url::Url::parse(&format!("http://x{}", seen.path)).expect("a path");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let path = url.path().strip_prefix("/v2/").unwrap_or_default();
        let parted = ["/blobs/uploads/", "/blobs/", "/manifests/", "/referrers/"]
            .into_iter()
            .find_map(|mark| Some((mark, path.split_once(mark)?)));
        let Some((mark, (repository, rest))) = parted else {
            return status(404, &[], "404 page not found");
        };
        let rest = rest.replace("%3A", ":");
        match (mark, seen.method.as_str()) {
            ("/blobs/uploads/", "POST") => {
                let location = format!("/v2/{repository}/blobs/uploads/1");
                status(202, &[("location", &location)], "")
            }
            ("/blobs/uploads/", "PUT") => {
                let digest = Digest::of(&seen.bytes).to_string();
                if query.get("digest") != Some(&digest) {
                    return status(400, &[], "DIGEST_INVALID");
                }
                self.blobs.insert(digest);
                status(201, &[], "")
            }
            ("/blobs/", "GET" | "HEAD") => {
                status(if self.blobs.contains(&rest) { 200 } else { 404 }, &[], "")
            }
            ("/manifests/", "GET" | "HEAD") => {
                match self.manifests.get(&(repository.to_owned(), rest)) {
                    Some(bytes) => Reply::Full(200, Vec::new(), bytes.clone()),
                    None => status(404, &[], "MANIFEST_UNKNOWN"),
                }
            }
            ("/manifests/", "PUT") => self.put(repository, &rest, seen, knows),
            ("/referrers/", "GET") if matches!(knows, Knows::Api | Knows::ApiWithoutFilter) => {
                self.referrers(repository, &rest, &query, knows)
            }
            _ => status(404, &[], "404 page not found"),
        }
    }

    fn put(&mut self, repository: &str, identifier: &str, seen: &Seen, knows: Knows) -> Reply {
        let json: Value = serde_json::from_slice(&seen.bytes).unwrap_or_default();
        if let Knows::Refuses(code) = knows
            && !json["artifactType"].is_null()
        {
            return status(code, &[], "MANIFEST_INVALID: unknown media type");
        }
        if knows == Knows::Races && identifier.starts_with("sha256-") && !self.raced {
            self.raced = true;
            // Somebody who read the list at the same moment writes it a moment later.
            let other = json!({"schemaVersion": 2, "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "artifactType": "application/spdx+json",
                "digest": Digest::of(b"an SBOM"),
                "size": 7,
                "data": "kept as it is",
            }]});
            let key = (repository.to_owned(), identifier.to_owned());
            self.manifests.insert(key, other.to_string().into_bytes());
            return status(201, &[], "");
        }
        let digest = Digest::of(&seen.bytes).to_string();
        for name in [identifier, &digest] {
            let key = (repository.to_owned(), name.to_owned());
            self.manifests.insert(key, seen.bytes.clone());
        }
        match json["subject"]["digest"].as_str() {
            Some(subject) if matches!(knows, Knows::Api | Knows::ApiWithoutFilter) => {
                status(201, &[("oci-subject", subject)], "")
            }
            _ => status(201, &[], ""),
        }
    }

    /// Lists one referrer a page.
    fn referrers(
        &self,
        repository: &str,
        subject: &str,
        query: &BTreeMap<String, String>,
        knows: Knows,
    ) -> Reply {
        let mut found = BTreeMap::new();
        for ((name, _), bytes) in &self.manifests {
            let json: Value = serde_json::from_slice(bytes).unwrap_or_default();
            let kind = &json["artifactType"];
            let wanted = query.get("artifactType");
            let fits = knows == Knows::ApiWithoutFilter
                || wanted.is_none_or(|wanted| kind.as_str() == Some(wanted));
            if name == repository && json["subject"]["digest"] == subject && fits {
                let digest = Digest::of(bytes).to_string();
                let entry = json!({"mediaType": json["mediaType"], "artifactType": kind,
                    "annotations": json["annotations"].as_object().cloned().unwrap_or_default(),
                    "digest": digest, "size": bytes.len()});
                found.insert(digest, entry);
            }
        }
        let page: usize = query
            .get("page")
            .and_then(|page| page.parse().ok())
            .unwrap_or(0);
        let list = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": found.values().skip(page).take(1).collect::<Vec<_>>()});
        let mut headers = Vec::new();
        if knows == Knows::Api && query.contains_key("artifactType") {
            headers.push(("oci-filters-applied".to_owned(), "artifactType".to_owned()));
        }
        if page + 1 < found.len() {
            let filter = query.get("artifactType").map_or_else(String::new, |kind| {
                format!("&artifactType={}", kind.replace('+', "%2B"))
            });
            let next = format!(
                "</v2/{repository}/referrers/{subject}?page={}{filter}>; rel=\"next\"",
                page + 1
            );
            headers.push(("link".to_owned(), next));
        }
        Reply::Full(200, headers, list.to_string().into_bytes())
    }
}
