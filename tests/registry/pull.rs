//! Manifests and blobs, right and wrong.

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::progress::Silent;
use imgbuild::edge::registry::{Credentials, RegistryError};
use imgbuild::oci::manifest::Document;
use imgbuild::oci::{Descriptor, Digest, media_type};

use crate::server::{Reply, Seen, Server, ok, status};
use crate::{MANIFEST, image, reference, registry, store};

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_than_asked_for_are_refused() {
    let other = Digest::of(b"other");
    let lying = move |_: &Seen, _| {
        status(
            200,
            &[("docker-content-digest", &other.to_string())],
            MANIFEST,
        )
    };
    let server = Server::start(lying);
    let registry = registry(&[], Credentials::none());
    let tagged = reference(&format!("{}/a/b:tag", server.host));
    let error = registry
        .resolve(&tagged)
        .await
        .expect_err("the header is another");
    assert!(matches!(error, RegistryError::Header { .. }), "{error}");
    let error = registry
        .resolve(&tagged.at(other))
        .await
        .expect_err("the bytes are others");
    assert!(
        matches!(error, RegistryError::Digest { wanted, .. } if wanted == other),
        "{error}"
    );
    assert_eq!(error.class(), Class::Integrity);
    for body in [
        "",
        "[]",
        r#"{"schemaVersion":1,"name":"x","fsLayers":[]}"#,
        r#"{"mediaType":"application/zip"}"#,
    ] {
        let server = Server::start(move |_, _| ok(body));
        let tagged = reference(&format!("{}/a/b:tag", server.host));
        let error = registry.resolve(&tagged).await.expect_err(body);
        assert!(matches!(error, RegistryError::Document { .. }), "{error}");
    }
    let endless = Server::start(|_, _| Reply::CutUnannounced(vec![b' '; 5_000_000], 5_000_000));
    let error = registry
        .resolve(&reference(&format!("{}/a/b", endless.host)))
        .await
        .expect_err("too large");
    assert_eq!(error.class(), Class::Integrity, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_in_the_registrys_words() {
    let server = Server::start(|seen, _| {
        image(&Seen {
            path: seen.path.replace("/manifests/", "/none/"),
            ..Seen::default()
        })
    });
    let reference = reference(&format!("{}/a/b:1", server.host));
    let error = registry(&[], Credentials::none())
        .resolve(&reference)
        .await
        .expect_err("missing");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{reference}: not found"))
            && text.ends_with("NAME_UNKNOWN: no such repository"),
        "{text}"
    );
    assert_eq!(error.class(), Class::Unavailable);
    let (_dir, store) = store();
    let gone = Descriptor::of("x", b"gone");
    let busy = Server::start(|_, _| {
        status(
            429,
            &[],
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}"#,
        )
    });
    let reference = crate::reference(&format!("{}/a/b", busy.host));
    let error = registry(&[], Credentials::none())
        .blob(&store, &reference, &gone, &Silent)
        .await
        .expect_err("busy");
    assert!(
        error
            .to_string()
            .contains("TOOMANYREQUESTS: Rate exceeded (tried 3 times)"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_may_be_mirrored_below_a_prefix() {
    let server = Server::start(|seen, _| match seen.path.as_str() {
        "/v2/proxy/ecr/amazonlinux/amazonlinux/manifests/2023" => ok(MANIFEST),
        _ => status(404, &[], ""),
    });
    let registry = registry(
        &[&format!("public.ecr.aws={}/proxy/ecr", server.host)],
        Credentials::none(),
    );
    registry
        .resolve(&reference("public.ecr.aws/amazonlinux/amazonlinux:2023"))
        .await
        .expect("resolved");
    let hub = crate::registry(
        &[&format!("docker.io={}", server.host)],
        Credentials::none(),
    );
    let error = hub
        .resolve(&reference("docker.io/alpine:3"))
        .await
        .expect_err("missing");
    assert!(
        error.to_string().contains("/v2/library/alpine/manifests/3"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attestations_and_mixed_media_types_do_not_hide_the_platform() {
    let manifest = Descriptor::of(media_type::DOCKER_MANIFEST, MANIFEST.as_bytes());
    let entry = |os: &str, architecture: &str| {
        serde_json::json!({"mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.size,
            "platform": {"os": os, "architecture": architecture}, "annotations": {"a": "b"}})
    };
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::INDEX,
        "manifests": [entry("unknown", "unknown"), entry("linux", "arm64"), entry("linux", "amd64")]})
    .to_string();
    let server = Server::start(move |_, _| ok(index.clone()));
    let reference = reference(&format!("{}/a/b", server.host));
    let (_, bytes) = registry(&[], Credentials::none())
        .resolve(&reference)
        .await
        .expect("resolved");
    let Document::Index(index) = Document::parse(&bytes).expect("an index") else {
        panic!("not an index");
    };
    assert_eq!(
        index.entry("linux/amd64".parse().expect("a platform")),
        index.manifests.get(2)
    );
}
