//! Challenges, tokens and passwords.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::progress::Silent;
use imgbuild::edge::registry::{Credentials, RegistryError};
use imgbuild::oci::{Descriptor, media_type};

use crate::server::{Seen, Server, ok, status};
use crate::{MANIFEST, config, credentials, image, reference, registry, store};

#[tokio::test(flavor = "multi_thread")]
async fn one_token_serves_all_repositories_where_the_scope_is_one_word() {
    // As public.ecr.aws: the scope is `aws`, HEAD is answered with 401 even with a token.
    let server = Server::start_knowing(|host| {
        let challenge =
            format!(r#"Bearer realm="http://{host}/token/",service="public.ecr.aws",scope="aws""#);
        move |seen: &Seen, _| match (seen.path.as_str(), seen.authorization()) {
            ("/token/?service=public.ecr.aws&scope=aws", None) => ok(r#"{"token":"s3cret"}"#),
            (path, Some("Bearer s3cret")) if path.starts_with("/v2/") && seen.method == "GET" => {
                image(seen)
            }
            _ => status(401, &[("www-authenticate", &challenge)], "Not Authorized"),
        }
    });
    let (_dir, store) = store();
    let registry = registry(
        &[&format!("public.ecr.aws={}", server.host)],
        Credentials::none(),
    );
    for repository in [
        "amazonlinux/amazonlinux",
        "docker/library/alpine",
        "amazonlinux/amazonlinux",
    ] {
        let reference = reference(&format!("public.ecr.aws/{repository}:2023"));
        let (descriptor, bytes) = registry.resolve(&reference).await.expect("resolved");
        assert_eq!(
            descriptor,
            Descriptor::of(media_type::DOCKER_MANIFEST, MANIFEST.as_bytes())
        );
        assert_eq!(bytes, MANIFEST.as_bytes());
        assert_eq!(
            registry
                .manifest(&reference, descriptor.digest)
                .await
                .expect("again"),
            bytes
        );
        registry
            .blob(&store, &reference, &config(), &Silent)
            .await
            .expect("a blob");
    }
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.method == "GET"));
    assert_eq!(
        seen.iter()
            .filter(|seen| seen.path.starts_with("/token"))
            .count(),
        1
    );
    assert_eq!(
        seen.iter()
            .filter(|seen| seen.path.contains("/blobs/"))
            .count(),
        1
    );
    // One 401 at the very beginning, and no more.
    assert_eq!(
        seen.iter()
            .filter(|seen| seen.authorization().is_none())
            .count(),
        2
    );
    let accept = &seen[0].headers["accept"];
    assert!(
        media_type::MANIFESTS
            .iter()
            .all(|kind| accept.contains(kind)),
        "{accept}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_transfers_that_begin_at_once_need_one_token() {
    let server = Server::start_knowing(|host| {
        let challenge =
            format!(r#"Bearer realm="http://{host}/token",scope="repository:a/b:pull""#);
        move |seen: &Seen, _| match (seen.path.as_str(), seen.authorization()) {
            ("/token?scope=repository%3Aa%2Fb%3Apull", None) => {
                ok(r#"{"access_token":"t","expires_in":300}"#)
            }
            (_, Some("Bearer t")) => ok(seen
                .path
                .rsplit("%3A")
                .next()
                .unwrap_or_default()
                .to_owned()),
            _ => status(401, &[("www-authenticate", &challenge)], ""),
        }
    });
    let registry = registry(&[], Credentials::none());
    let reference = reference(&format!("{}/a/b", server.host));
    let work = (0..20).map(|number| {
        let (registry, reference) = (registry.clone(), reference.clone());
        tokio::spawn(async move {
            let (_dir, store) = store();
            // Each another blob, none of which the server has: what counts is who is asked for tokens.
            let descriptor = Descriptor::of("x", format!("{number}").as_bytes());
            let error = registry
                .blob(&store, &reference, &descriptor, &Silent)
                .await
                .expect_err("other bytes");
            assert_eq!(error.class(), Class::Integrity, "{error}");
        })
    });
    for task in work.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    assert_eq!(
        server
            .seen()
            .iter()
            .filter(|seen| seen.path.starts_with("/token"))
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expired_is_replaced_once() {
    let minted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&minted);
    let server = Server::start_knowing(|host| {
        let challenge = format!(r#"Bearer realm="http://{host}/token""#);
        move |seen: &Seen, _| {
            let good = format!("Bearer t{}", count.load(Ordering::SeqCst));
            match seen.authorization() {
                // Counted when the request is whole; each is shown twice.
                None if seen.path == "/token" && !seen.headers.is_empty() => ok(format!(
                    r#"{{"token":"t{}","expires_in":3000}}"#,
                    count.fetch_add(1, Ordering::SeqCst) + 1
                )),
                Some(sent) if sent == good => image(seen),
                _ => status(401, &[("www-authenticate", &challenge)], ""),
            }
        }
    });
    let registry = registry(&[], Credentials::none());
    let reference = reference(&format!("{}/a/b", server.host));
    registry.resolve(&reference).await.expect("resolved");
    minted.fetch_add(1, Ordering::SeqCst);
    registry
        .resolve(&reference)
        .await
        .expect("resolved with a new token");
    assert_eq!(minted.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_refuses_is_quoted_and_asked_no_further() {
    let bodies = [
        r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#,
        "<p>requested access is denied</p>",
    ];
    for (code, body) in [
        (401, bodies[0]),
        (401, bodies[1]),
        (403, bodies[0]),
        (403, bodies[1]),
    ] {
        let server = Server::start_knowing(|host| {
            let challenge = format!(r#"Bearer realm="http://{host}/token""#);
            move |seen: &Seen, _| match (seen.path.as_str(), seen.authorization()) {
                ("/token", _) => ok(r#"{"token":"s3cret"}"#),
                (_, None) => status(401, &[("www-authenticate", &challenge)], ""),
                _ => status(code, &[("www-authenticate", &challenge)], body),
            }
        });
        let reference = reference(&format!("{}/a/b", server.host));
        let error = registry(&[], Credentials::none())
            .resolve(&reference)
            .await
            .expect_err("refused");
        let text = error.to_string();
        assert!(
            text.contains("refuses without credentials")
                && text.contains("requested access is denied"),
            "{text}"
        );
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        assert_eq!(error.class(), Class::Unavailable);
        assert_eq!(
            error.hint().as_deref(),
            Some(
                format!(
                    "log in first: imgbuild login {} --username NAME --password-stdin",
                    server.host
                )
                .as_str()
            )
        );
        assert_eq!(server.count(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_credentials_are_sent_when_asked_for_and_only_then() {
    // As private ECR: Basic, and no token service.
    let challenge = [(
        "www-authenticate",
        r#"Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr""#,
    )];
    let server = Server::start(move |seen, _| match seen.authorization() {
        Some("Basic bWU6aHVudGVyMg==") => image(seen),
        Some(_) => status(403, &[], "wrong"),
        None => status(401, &challenge, "Not Authorized"),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let reference = reference(&format!("{}/a/b", server.host));
    let known = registry(&[], credentials(dir.path(), &[&server.host]));
    known.resolve(&reference).await.expect("with credentials");
    known
        .resolve(&reference)
        .await
        .expect("with credentials at once");
    assert_eq!(
        server
            .seen()
            .iter()
            .map(|seen| seen.authorization().is_some())
            .collect::<Vec<_>>(),
        [false, true, true]
    );
    let error = registry(&[], credentials(dir.path(), &["other"]))
        .resolve(&reference)
        .await
        .expect_err("without");
    assert!(
        error.to_string().contains("refuses without credentials"),
        "{error}"
    );
    let refusing = Server::start(move |_, _| status(401, &challenge, ""));
    let again = crate::reference(&format!("{}/a/b", refusing.host));
    let error = registry(&[], credentials(dir.path(), &[&refusing.host]))
        .resolve(&again)
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("refuses these credentials"),
        "{error}"
    );
    assert!(
        !format!("{error} {error:?}").contains("hunter2") && !format!("{error:?}").contains("bWU6"),
        "{error:?}"
    );
    assert_eq!(refusing.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_behind_a_redirect_is_fetched_without_credentials() {
    let bucket = Server::start(|seen, _| match seen.authorization() {
        None => ok("{}"),
        Some(_) => status(400, &[], "Only one auth mechanism allowed"),
    });
    let location = format!("http://{}/blob?X-Amz-Signature=abc", bucket.host);
    let server = Server::start(move |seen, _| match seen.authorization() {
        Some(_) => status(307, &[("location", &location)], ""),
        None => status(401, &[("www-authenticate", "Basic")], ""),
    });
    let (dir, store) = store();
    let registry = registry(&[], credentials(dir.path(), &[&server.host, &bucket.host]));
    let reference = reference(&format!("{}/a/b", server.host));
    registry
        .blob(&store, &reference, &config(), &Silent)
        .await
        .expect("a blob");
    assert_eq!(bucket.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_service_sees_the_password_and_the_registry_only_the_token() {
    let service = Server::start(|seen, _| match (seen.path.as_str(), seen.authorization()) {
        ("/t?x=1&service=r&scope=a&scope=b", Some("Basic bWU6aHVudGVyMg==")) => {
            ok(r#"{"token":"t"}"#)
        }
        _ => status(401, &[], r#"{"details":"incorrect username or password"}"#),
    });
    let challenge = format!(
        r#"Bearer realm="http://{}/t?x=1",service="r",scope="a b""#,
        service.host
    );
    let server = Server::start(move |seen, _| match seen.authorization() {
        Some("Bearer t") => image(seen),
        _ => status(401, &[("www-authenticate", &challenge)], ""),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let reference = reference(&format!("{}/a/b", server.host));
    registry(&[], credentials(dir.path(), &[&server.host]))
        .resolve(&reference)
        .await
        .expect("resolved");
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.authorization().is_none_or(|sent| sent == "Bearer t"))
    );
    let error = registry(&[], Credentials::none())
        .resolve(&reference)
        .await
        .expect_err("no password");
    assert!(
        error.to_string().contains("incorrect username or password"),
        "{error}"
    );
    assert!(
        matches!(
            error,
            RegistryError::Denied {
                anonymous: true,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_token_is_exchanged_by_a_form() {
    let server = Server::start_knowing(|host| {
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="r",scope="s""#);
        move |seen: &Seen, _| match (seen.method.as_str(), seen.authorization()) {
            ("POST", None) => {
                let form = "grant_type=refresh_token&client_id=imgbuild&refresh_token=id%2Btoken&service=r&scope=s";
                if seen.body == form {
                    ok(r#"{"access_token":"t"}"#)
                } else {
                    status(400, &[], "bad form")
                }
            }
            (_, Some("Bearer t")) => image(seen),
            _ => status(401, &[("www-authenticate", &challenge)], ""),
        }
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("config.json");
    let json = serde_json::json!({"auths": {server.host.as_str(): {"auth": "eDo=", "identitytoken": "id+token"}}});
    std::fs::write(&path, json.to_string()).expect("written");
    let reference = reference(&format!("{}/a/b", server.host));
    registry(&[], Credentials::from_files(vec![path]))
        .resolve(&reference)
        .await
        .expect("resolved");
}

#[test]
fn a_credential_helper_is_asked_by_name_and_its_trouble_is_told() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, body) in [
        (
            "good",
            r#"read -r server; echo "{\"ServerURL\":\"$server\",\"Username\":\"me\",\"Secret\":\"hunter2\"}""#,
        ),
        (
            "empty",
            "echo 'credentials not found in native keychain'; exit 1",
        ),
        ("locked", "echo 'the vault is locked' >&2; exit 1"),
    ] {
        let path = dir.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("set");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(dir.path().to_owned()).chain(std::env::split_paths(&path));
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "--ignored", "auth::child_asks_helpers"])
        .env("PATH", std::env::join_paths(dirs).expect("a path"))
        .env("IMGBUILD_TEST_DIR", dir.path())
        .output()
        .expect("this test starts");
    let said = String::from_utf8_lossy(&output.stdout);
    // A name that no test has would pass as well.
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own, started by the test above"]
async fn child_asks_helpers() {
    let dir = PathBuf::from(std::env::var_os("IMGBUILD_TEST_DIR").expect("set by the test above"));
    for (helper, says) in [
        ("good", None),
        ("empty", Some("refuses without credentials")),
        (
            "locked",
            Some("(docker-credential-locked: the vault is locked)"),
        ),
        ("missing", Some("(docker-credential-missing: ")),
        ("../good", Some("is not the name of a credential helper")),
    ] {
        let server = Server::start(|seen, _| match seen.authorization() {
            Some("Basic bWU6aHVudGVyMg==") => image(seen),
            _ => status(401, &[("www-authenticate", "Basic")], ""),
        });
        let config = dir.join("config.json");
        let json = serde_json::json!({"credHelpers": {server.host.as_str(): helper}, "credsStore": "locked"});
        std::fs::write(&config, json.to_string()).expect("written");
        let registry = registry(&[], Credentials::from_files(vec![config]));
        let result = registry
            .resolve(&reference(&format!("{}/a/b", server.host)))
            .await;
        match (says, result) {
            (None, Ok(_)) => {}
            (Some(says), Err(error)) => assert!(error.to_string().contains(says), "{error}"),
            (_, result) => panic!("{helper}: {result:?}"),
        }
    }
}
