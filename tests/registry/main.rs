//! Registries: how each kind wants to be asked, what must not leak, and real ones.

mod auth;
mod pull;
mod real;
#[path = "../server/mod.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use imgbuild::edge::fetch::{FetchOptions, Fetcher, Patience};
use imgbuild::edge::registry::{Credentials, Registry};
use imgbuild::edge::store::Store;
use imgbuild::oci::{Descriptor, Digest, Reference, media_type};
use server::{Reply, Seen, ok, status};
use tempfile::TempDir;

fn fetcher(mirrors: &[&str], ca_file: Option<PathBuf>) -> Fetcher {
    let mirrors = mirrors
        .iter()
        .map(|mirror| mirror.parse().expect("a mirror"))
        .collect();
    let patience = Patience {
        retries: 2,
        backoff: Duration::from_millis(4),
        stall: Duration::from_secs(10),
        ..Patience::default()
    };
    Fetcher::new(FetchOptions {
        mirrors,
        ca_file,
        patience,
        ..FetchOptions::default()
    })
    .expect("a fetcher")
}

fn registry(mirrors: &[&str], credentials: Credentials) -> Registry {
    Registry::new(fetcher(mirrors, None), credentials)
}

/// Credentials of `me` with the password `hunter2` for these hosts.
fn credentials(dir: &Path, hosts: &[&str]) -> Credentials {
    let auths: serde_json::Map<String, serde_json::Value> = hosts
        .iter()
        .map(|host| {
            (
                (*host).to_owned(),
                serde_json::json!({"auth": "bWU6aHVudGVyMg=="}),
            )
        })
        .collect();
    let path = dir.join("config.json");
    std::fs::write(&path, serde_json::json!({ "auths": auths }).to_string()).expect("written");
    Credentials::from_files(vec![path])
}

fn reference(text: &str) -> Reference {
    text.parse().expect(text)
}

fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path().join("cache")).expect("a store");
    (dir, store)
}

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}"#;

/// What `MANIFEST`'s kind of registry answers to whom it trusts.
fn image(seen: &Seen) -> Reply {
    if seen.path.contains("/manifests/") {
        let digest = Digest::of(MANIFEST.as_bytes()).to_string();
        status(200, &[("docker-content-digest", &digest)], MANIFEST)
    } else if seen.path.contains("/blobs/") {
        ok("{}")
    } else {
        status(
            404,
            &[],
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}"#,
        )
    }
}

fn config() -> Descriptor {
    Descriptor::of(media_type::DOCKER_CONFIG, b"{}")
}
