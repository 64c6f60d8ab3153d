//! Habits of registries that are no faults: order, immutable tags, tokens, mounts, other hosts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::layout::Format;
use imgbuild::edge::push::PushError;
use imgbuild::edge::registry::Credentials;
use imgbuild::oci::Digest;

use crate::server::{Reply, Seen, Server, ok, status};
use crate::strict::{Strict, Tags};
use crate::{Sample, credentials, push, sample};

#[tokio::test(flavor = "multi_thread")]
async fn everything_a_tag_leads_to_is_there_before_the_tag() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let two = Sample {
        platforms: 2,
        ..Sample::default()
    };
    let top = sample(&layout, Format::Oci, &two);
    let strict = Strict::calm();
    let pushed = push(
        Credentials::none(),
        &layout,
        &strict.at("a/b:1.0"),
        &["2", "1.0"],
    )
    .await
    .expect("pushed");
    assert_eq!((pushed.uploaded, pushed.skipped), (6, 0));
    assert_eq!(pushed.digest, top.digest);
    for tag in ["1.0", "2"] {
        assert_eq!(strict.manifest("a/b", tag), Some(top.digest));
    }
    // The registry refuses a manifest that comes before its blobs, and an index before its manifests.
    let changes = strict.changes();
    let (blobs, manifests): (Vec<_>, Vec<_>) = changes
        .iter()
        .partition(|change| change.contains("/blobs/"));
    assert_eq!((blobs.len(), manifests.len()), (12, 5), "{changes:#?}");
    assert!(
        changes[..12]
            .iter()
            .all(|change| change.contains("/blobs/"))
    );
    let last: Vec<_> = manifests.iter().rev().take(3).collect();
    assert!(last[2].ends_with(&top.digest.to_string()), "{changes:#?}");
    assert!(
        last[1].ends_with("/1.0") && last[0].ends_with("/2"),
        "{changes:#?}"
    );

    let again = push(Credentials::none(), &layout, &strict.at("a/b:1.0"), &["2"])
        .await
        .expect("pushed again");
    assert_eq!((again.uploaded, again.skipped, again.bytes), (0, 6, 0));
    assert_eq!(again.already, ["1.0", "2"]);
    assert_eq!(strict.changes().len(), changes.len());
    // A further tag costs one request, a digest alone none.
    push(Credentials::none(), &layout, &strict.at("a/b:1.0"), &["3"])
        .await
        .expect("tagged");
    assert_eq!(strict.manifest("a/b", "3"), Some(top.digest));
    push(Credentials::none(), &layout, &strict.at("a/b"), &[])
        .await
        .expect("there");
    assert_eq!(strict.changes().len(), changes.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_is_fine_with_the_same_image_and_refuses_another() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let one = sample(&first, Format::Oci, &Sample::default());
    let changed = Sample {
        layers: &["below", "changed"],
        ..Sample::default()
    };
    let two = sample(&second, Format::Oci, &changed);
    let strict = Strict::start(Tags::Immutable, |_| None);
    for _ in 0..2 {
        push(Credentials::none(), &first, &strict.at("a/b:1.0"), &[])
            .await
            .expect("the same image");
    }
    let error = push(Credentials::none(), &second, &strict.at("a/b:1.0"), &[])
        .await
        .expect_err("another image");
    assert_eq!(error.class(), Class::Immutable);
    assert_eq!(error.class().exit_code(), 6);
    let text = error.to_string();
    assert!(text.contains(&one.digest.to_string()), "{text}");
    assert!(text.contains(&two.digest.to_string()), "{text}");
    assert!(text.contains("a/b:1.0 is immutable"), "{text}");
    assert_eq!(strict.manifest("a/b", "1.0"), Some(one.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_that_expires_on_the_way_is_replaced() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let top = sample(&layout, Format::Oci, &Sample::default());
    let (minted, used) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let count = Arc::clone(&minted);
    // Its own token service at /token; a token lasts for four requests, whatever is said of it.
    let strict = Strict::start(Tags::Mutable, move |seen| {
        if seen.headers.is_empty() {
            return None;
        }
        if seen.path.starts_with("/token?") {
            assert!(
                seen.path.contains("scope=repository%3Aa%2Fb%3Apull%2Cpush"),
                "{}",
                seen.path
            );
            used.store(0, Ordering::SeqCst);
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            return Some(ok(format!(r#"{{"token":"t{number}","expires_in":3000}}"#)));
        }
        let good = format!("Bearer t{}", count.load(Ordering::SeqCst));
        if seen.authorization() == Some(&good) && used.fetch_add(1, Ordering::SeqCst) < 4 {
            return None;
        }
        let host = &seen.headers["host"];
        let challenge =
            format!(r#"Bearer realm="http://{host}/token",scope="repository:a/b:pull""#);
        Some(status(401, &[("www-authenticate", &challenge)], ""))
    });
    push(Credentials::none(), &layout, &strict.at("a/b:1.0"), &[])
        .await
        .expect("pushed");
    assert_eq!(strict.manifest("a/b", "1.0"), Some(top.digest));
    assert!(minted.load(Ordering::SeqCst) >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_expires_on_the_way_is_looked_up_again() {
    // As private ECR: Basic, and 403 with these words (aws/aws-toolkit-azure-devops#129).
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let top = sample(&layout, Format::Oci, &Sample::default());
    let folder = dir.path().to_owned();
    let strict = Strict::start(Tags::Mutable, move |seen: &Seen| {
        let host = seen.headers.get("host")?;
        match seen.authorization() {
            None => Some(status(
                401,
                &[("www-authenticate", r#"Basic realm="x",service="ecr""#)],
                "Not Authorized",
            )),
            // me:old, which lasts until something is written.
            Some("Basic bWU6b2xk") if seen.method == "PUT" => {
                credentials(&folder, host, "new");
                let words = "Your authorization token has expired. Reauthenticate and try again.";
                Some(status(403, &[], words))
            }
            Some(_) => None,
        }
    });
    let old = credentials(dir.path(), &strict.server.host, "old");
    push(old, &layout, &strict.at("a/b:1.0"), &[])
        .await
        .expect("pushed");
    assert_eq!(strict.manifest("a/b", "1.0"), Some(top.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_the_base_are_mounted_where_the_registry_does_that() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (base, layout) = (dir.path().join("base"), dir.path().join("layout"));
    let below = Sample {
        layers: &["below"],
        ..Sample::default()
    };
    sample(&base, Format::Oci, &below);
    // A mount that is refused is no reason not to upload.
    for (refusal, mounted) in [(None, 1), (Some(401), 0), (Some(404), 0), (Some(405), 0)] {
        let strict = Strict::start(Tags::Mutable, move |seen| {
            let code = refusal.filter(|_| seen.path.contains("mount="))?;
            Some(status(code, &[], r#"{"errors":[{"code":"UNSUPPORTED"}]}"#))
        });
        push(Credentials::none(), &base, &strict.at("team/base:1"), &[])
            .await
            .expect("pushed");
        let name = strict.at("team/base:1");
        let above = Sample {
            base: Some(&name),
            ..Sample::default()
        };
        let _ = std::fs::remove_dir_all(&layout);
        let top = sample(&layout, Format::Oci, &above);
        let pushed = push(Credentials::none(), &layout, &strict.at("team/app:1"), &[])
            .await
            .expect("pushed");
        // The other layer and the config are not the base's: 202, and the session is used.
        assert_eq!((pushed.mounted, pushed.uploaded), (mounted, 3 - mounted));
        assert_eq!(strict.manifest("team/app", "1"), Some(top.digest));
    }
}

/// Takes everything that is put, and gives back what was put last under a tag.
#[derive(Default)]
struct Gullible(Mutex<Option<Vec<u8>>>);

impl Gullible {
    fn answer(&self, seen: &Seen, done: u16) -> Option<Reply> {
        let mut tagged = self.0.lock().expect("no panic inside");
        match (seen.method.as_str(), seen.path.ends_with("/manifests/1.0")) {
            ("PUT", true) => *tagged = Some(seen.bytes.clone()),
            ("GET", true) => return tagged.clone().map(ok),
            ("PUT", false) => {}
            _ => return None,
        }
        Some(status(done, &[], ""))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_that_takes_the_bytes_never_sees_credentials() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    sample(&layout, Format::Oci, &Sample::default());
    let bucket = Arc::new(Server::start(|seen, _| match seen.authorization() {
        None => status(201, &[], ""),
        Some(_) => status(400, &[], "Only one auth mechanism allowed"),
    }));
    let (host, gullible) = (bucket.host.clone(), Gullible::default());
    let strict = Strict::start(Tags::Mutable, move |seen| {
        seen.headers.get("host")?;
        let location = format!(
            "http://me:secret@{host}/put/{}?signature=x",
            seen.path.len()
        );
        match (seen.method.as_str(), seen.authorization()) {
            (_, None) => Some(status(401, &[("www-authenticate", "Basic")], "")),
            ("POST", _) => Some(status(202, &[("location", &location)], "")),
            _ => gullible.answer(seen, 201),
        }
    });
    let known = credentials(dir.path(), &strict.server.host, "hunter2");
    push(known, &layout, &strict.at("a/b:1.0"), &[])
        .await
        .expect("pushed");
    assert_eq!(bucket.count(), 3);
    assert!(bucket.seen().iter().all(|seen| {
        seen.authorization().is_none() && seen.path.contains("?signature=x&digest=sha256%3A")
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_success_is_a_success() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    sample(&layout, Format::Oci, &Sample::default());
    // 201 for 202 (regclient/regclient#81), 200 and 204 as others do.
    for (begun, done) in [(201, 201), (200, 200), (202, 204), (204, 202)] {
        let gullible = Gullible::default();
        let strict = Strict::start(Tags::Mutable, move |seen| {
            seen.headers.get("host")?;
            match seen.method.as_str() {
                "POST" => Some(status(begun, &[("location", "session")], "")),
                _ => gullible.answer(seen, done),
            }
        });
        push(Credentials::none(), &layout, &strict.at("a/b:1.0"), &[])
            .await
            .expect("pushed");
        // Relative to where it was asked.
        let puts = strict.changes();
        assert!(
            puts.iter()
                .any(|put| put.starts_with("PUT /v2/a/b/blobs/uploads/session?digest=")),
            "{puts:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_in_the_reference_must_be_the_images() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let top = sample(&layout, Format::Oci, &Sample::default());
    let strict = Strict::calm();
    let other = Digest::of(b"another image");
    let error = push(
        Credentials::none(),
        &layout,
        &strict.at(&format!("a/b:1@{other}")),
        &[],
    )
    .await
    .expect_err("another image");
    assert!(matches!(error, PushError::OtherDigest { .. }), "{error}");
    assert_eq!(strict.server.count(), 0);
    let own = strict.at(&format!("a/b:1@{}", top.digest));
    push(Credentials::none(), &layout, &own, &[])
        .await
        .expect("pushed");
    for tag in ["", "-x", "a/b", "a@b", "a b"] {
        let error = push(Credentials::none(), &layout, &own, &[tag])
            .await
            .expect_err("no tag");
        assert!(matches!(error, PushError::Tag(_)), "{tag}: {error}");
    }
}
