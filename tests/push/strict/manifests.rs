//! What a manifest must be, and which tags may move.

use imgbuild::oci::Digest;
use serde_json::Value;

use super::{Kept, error};
use crate::server::{Reply, Seen, status};

/// Whether tags may be moved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tags {
    Mutable,
    Immutable,
}

/// Returns the descriptors in a list of a manifest.
fn listed(json: &Value, list: &str) -> Vec<Value> {
    json[list].as_array().cloned().unwrap_or_default()
}

/// Tells whether ECR takes a manifest for one.
fn is_liked(json: &Value, typed: Option<&str>) -> bool {
    let layers = listed(json, "layers");
    let described = layers
        .iter()
        .chain([&json["config"]])
        .filter_map(|one| one["mediaType"].as_str());
    // containers/image#584
    json["mediaType"].as_str().is_some_and(|own| Some(own) == typed)
        // aws/containers-roadmap#876
        && (json["manifests"].is_array() || !layers.is_empty())
        // sigstore/sigstore-js#1058
        && !described.into_iter().any(|kind| kind.contains(';'))
}

impl Kept {
    pub(super) fn manifest(&self, repository: &str, identifier: &str) -> Reply {
        let key = (repository.to_owned(), identifier.to_owned());
        let Some(bytes) = self.manifests.get(&key) else {
            return error(404, "MANIFEST_UNKNOWN", "Requested image not found");
        };
        let json: Value = serde_json::from_slice(bytes).expect("checked when it came");
        let kind = json["mediaType"].as_str().unwrap_or_default().to_owned();
        // Without `Docker-Content-Digest` (oras-project/oras#436).
        Reply::Full(200, vec![("content-type".to_owned(), kind)], bytes.clone())
    }

    pub(super) fn put(
        &mut self,
        repository: &str,
        identifier: &str,
        seen: &Seen,
        tags: Tags,
    ) -> Reply {
        let Ok(json) = serde_json::from_slice::<Value>(&seen.bytes) else {
            return error(400, "MANIFEST_INVALID", "not JSON");
        };
        let typed = seen.headers.get("content-type").map(String::as_str);
        if !is_liked(&json, typed) {
            let message = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'";
            return error(405, "UNSUPPORTED", message);
        }
        let key = |digest: &Value| {
            let digest = digest.as_str().unwrap_or_default();
            (repository.to_owned(), digest.to_owned())
        };
        let children = listed(&json, "manifests");
        let mut blobs = listed(&json, "layers");
        if !json["manifests"].is_array() {
            blobs.push(json["config"].clone());
        }
        let has_blobs = blobs
            .iter()
            .all(|blob| self.blobs.contains_key(&key(&blob["digest"])));
        let has_children = children
            .iter()
            .all(|child| self.manifests.contains_key(&key(&child["digest"])));
        if !has_blobs || !has_children {
            return error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
        }
        let digest = Digest::of(&seen.bytes).to_string();
        let key = (repository.to_owned(), identifier.to_owned());
        if identifier.contains(':') && identifier != digest {
            return error(400, "DIGEST_INVALID", "provided digest did not match");
        }
        // Also for the same digest (aws/containers-roadmap#2179, moby/buildkit#3776).
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
