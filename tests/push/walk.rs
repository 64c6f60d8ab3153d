//! Walks what a tag leads to in a registry, without the product, and checks every byte of it by its digest.

use serde_json::Value;

use crate::harness::sha256;
use crate::wire::get;

/// Returns the digest of what a tag leads to, if there is such a tag.
///
/// # Panics
/// If anything that it leads to is not there, or is something else.
pub(crate) fn walk(host: &str, repository: &str, tag: &str) -> Option<String> {
    let answer = get(host, &format!("/v2/{repository}/manifests/{tag}"));
    if answer.status == 404 {
        return None;
    }
    assert_eq!(answer.status, 200, "{repository}:{tag}: {}", answer.text());
    let digest = sha256(&answer.body);
    check(host, repository, &answer.body);
    Some(digest)
}

/// Walks every tag of every repository and returns how many there were.
pub(crate) fn walk_all(host: &str) -> usize {
    let list = |path: &str, key: &str| -> Vec<String> {
        let answer = get(host, path);
        // A repository may have blobs and no tag.
        let is_untagged = answer.status == 404 && key == "tags";
        assert!(answer.status == 200 || is_untagged, "{}", answer.text());
        let json: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let names = json[key].as_array().into_iter().flatten();
        names
            .filter_map(|name| Some(name.as_str()?.to_owned()))
            .collect()
    };
    let mut walked = 0;
    for repository in list("/v2/_catalog?n=1000", "repositories") {
        for tag in list(&format!("/v2/{repository}/tags/list"), "tags") {
            assert!(
                walk(host, &repository, &tag).is_some(),
                "{repository}:{tag}"
            );
            walked += 1;
        }
    }
    walked
}

fn check(host: &str, repository: &str, manifest: &[u8]) {
    let json: Value = serde_json::from_slice(manifest).expect("a manifest");
    let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
    for child in list("manifests") {
        check(
            host,
            repository,
            &fetch(host, repository, "manifests", &child),
        );
    }
    for layer in list("layers") {
        fetch(host, repository, "blobs", &layer);
    }
    if json["config"].is_object() {
        fetch(host, repository, "blobs", &json["config"]);
    }
}

fn fetch(host: &str, repository: &str, kind: &str, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().expect("a digest");
    let answer = get(host, &format!("/v2/{repository}/{kind}/{digest}"));
    let found = (
        answer.status,
        sha256(&answer.body),
        answer.body.len() as u64,
    );
    let size = descriptor["size"].as_u64().expect("a size");
    assert_eq!(found, (200, digest.to_owned(), size), "{repository}");
    answer.body
}
