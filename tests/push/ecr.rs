//! Pushing to ECR as it is: each habit of the strict registry, and all at once.

use std::process::Command;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::layout::Format;
use imgbuild::edge::registry::Credentials;
use imgbuild::oci::{Descriptor, media_type};

use crate::server::{have, status};
use crate::strict::{Blobs, Gate, Habits, Pace, Strict, Tags, Words, password};
use crate::wire::get;
use crate::{Sample, credentials, push, sample};

const TWO: Sample<'_> = Sample {
    layers: &["below", "above"],
    platforms: 2,
    base: None,
    typed: true,
};

/// A private registry, and a client whose first password is good for `lasts` requests.
fn private(
    folder: &std::path::Path,
    lasts: usize,
    expired: u16,
    others: Habits,
) -> (Strict, Credentials) {
    let second = folder.to_owned();
    let gate = Gate::Private {
        lasts,
        expired,
        renewed: Box::new(move |host| {
            credentials(&second, host, password(true));
        }),
    };
    let strict = Strict::with(Habits { gate, ..others }, |_| None);
    let first = credentials(folder, &strict.server.host, password(false));
    (strict, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_may_expire_at_any_request_of_a_push() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let top = sample(&layout, Format::Oci, &TWO);
    let mut lasts = 0;
    loop {
        let expired = if lasts % 2 == 0 { 403 } else { 401 };
        let (strict, first) = private(dir.path(), lasts, expired, Habits::default());
        push(first, &layout, &strict.at("a/b:1.0"), &["2"])
            .await
            .unwrap_or_else(|error| panic!("after {lasts} requests: {error}"));
        for tag in ["1.0", "2"] {
            assert_eq!(strict.manifest("a/b", tag), Some(top.digest));
        }
        let has_expired = strict.server.seen().iter().any(|seen| {
            let both = BASE64.encode(format!("me:{}", password(true)));
            seen.authorization() == Some(&format!("Basic {both}"))
        });
        if !has_expired {
            // It outlasted the push.
            break;
        }
        lasts += 1;
    }
    // Two tags looked at; six blobs with three requests each; five manifests.
    assert!(lasts > 20, "{lasts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn public_ecr_is_pushed_to_with_one_token_of_its_own_scope() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let top = sample(&layout, Format::Oci, &TWO);
    let habits = Habits {
        gate: Gate::Public,
        ..Habits::default()
    };
    let strict = Strict::with(habits, |_| None);
    for tag in ["1.0", "2"] {
        push(
            Credentials::none(),
            &layout,
            &strict.at(&format!("a/b:{tag}")),
            &[],
        )
        .await
        .expect("pushed");
        assert_eq!(strict.manifest("a/b", tag), Some(top.digest));
    }
    // Each push is a client of its own. A HEAD that is refused is no reason for another token.
    let seen = strict.server.seen();
    let minted = seen.iter().filter(|seen| seen.path.starts_with("/token/"));
    assert_eq!(minted.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_habit_at_once_is_no_hindrance_whatever_the_errors_look_like() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (layout, other) = (dir.path().join("layout"), dir.path().join("other"));
    let top = sample(&layout, Format::Oci, &TWO);
    let another = sample(&other, Format::Oci, &Sample::default());
    for words in [Words::Json, Words::Html, Words::Plain, Words::Nothing] {
        let habits = Habits {
            tags: Tags::Immutable,
            pace: Pace::Each(4),
            blobs: Blobs::Elsewhere,
            words,
            ..Habits::default()
        };
        let (strict, first) = private(dir.path(), 12, 403, habits);
        let image = strict.at("a/b:1.0");
        let pushed = push(first, &layout, &image, &["2"]).await;
        let pushed = pushed.unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert_eq!((pushed.uploaded, pushed.skipped), (6, 0));
        // Where its tags may not be overwritten, even by themselves, "already there" is a success.
        let again = || credentials(dir.path(), &strict.server.host, password(true));
        let pushed = push(again(), &layout, &image, &["3"]).await.expect("again");
        assert_eq!(
            (pushed.uploaded, pushed.already.as_slice()),
            (0, &["1.0".to_owned()][..])
        );
        for tag in ["1.0", "2", "3"] {
            assert_eq!(strict.manifest("a/b", tag), Some(top.digest), "{words:?}");
        }
        // Blobs are looked for behind a redirect; the other host got no secret, or it would have refused.
        let pushed = push(again(), &layout, &strict.at("a/b"), &[]).await;
        assert_eq!(pushed.expect("there").uploaded, 0);
        let bucket = strict.bucket.as_ref().expect("bytes are elsewhere");
        assert!(
            bucket
                .seen()
                .iter()
                .all(|seen| seen.authorization().is_none())
        );
        // Another image fails, and says what it can.
        let error = push(again(), &other, &image, &[])
            .await
            .expect_err("another");
        let text = error.to_string();
        if words == Words::Nothing {
            assert!(text.contains("HTTP status 400"), "{text}");
        } else {
            assert_eq!(error.class(), Class::Immutable, "{words:?}: {text}");
            assert!(
                text.contains(&top.digest.to_string())
                    && text.contains(&another.digest.to_string()),
                "{text}"
            );
        }
        assert!(!text.contains('<') && error.hint().is_some(), "{text}");
        assert_eq!(strict.manifest("a/b", "1.0"), Some(top.digest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_behind_a_redirect_are_found_without_uploading_them_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (layout, other) = (dir.path().join("layout"), dir.path().join("other"));
    sample(&layout, Format::Oci, &Sample::default());
    let more = Sample {
        layers: &["below", "above", "more"],
        ..Sample::default()
    };
    sample(&other, Format::Oci, &more);
    let habits = Habits {
        blobs: Blobs::Elsewhere,
        ..Habits::default()
    };
    let (strict, first) = private(dir.path(), usize::MAX, 403, habits);
    push(first.clone(), &layout, &strict.at("a/b:1"), &[])
        .await
        .expect("pushed");
    let pushed = push(first, &other, &strict.at("a/b:2"), &[])
        .await
        .expect("pushed");
    assert_eq!((pushed.uploaded, pushed.skipped), (2, 2));
    let bucket = strict.bucket.as_ref().expect("bytes are elsewhere").seen();
    assert!(!bucket.is_empty() && bucket.iter().all(|seen| seen.authorization().is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ecr_takes_of_no_one_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, kind, bytes, words, hint) in [
        // devcontainers/cli#814
        (
            "empty",
            media_type::LAYER,
            "",
            "EmptyUploadException",
            "is empty",
        ),
        // sigstore/sigstore-js#1058
        (
            "typed",
            "a/b;version=0.3",
            "x",
            "Invalid JSON syntax",
            "has a `;`",
        ),
    ] {
        let layout = dir.path().join(name);
        let layer = Descriptor::of(kind, bytes.as_bytes());
        crate::odd_image(&layout, &[(layer, bytes.into())]);
        let strict = Strict::calm();
        let error = push(Credentials::none(), &layout, &strict.at("a/b:1"), &[])
            .await
            .expect_err(name);
        let (text, helps) = (error.to_string(), error.hint().unwrap_or_default());
        assert!(
            text.contains(words) && helps.contains(hint),
            "{text}: {helps}"
        );
        assert_eq!(strict.manifest("a/b", "1"), None);
    }
    // aws/containers-roadmap#876
    let layout = dir.path().join("bare");
    crate::odd_image(&layout, &[]);
    let strict = Strict::calm();
    let error = push(Credentials::none(), &layout, &strict.at("a/b:1"), &[]).await;
    let hint = error.expect_err("no layers").hint().unwrap_or_default();
    assert!(hint.contains("no layers"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_for_looking_is_no_reason_not_to_push() {
    // Without ecr:BatchCheckLayerAvailability, HEAD is 403 without a word (moby/moby#19010).
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let top = sample(&layout, Format::Oci, &Sample::default());
    let blind = Arc::new(OnceLock::<()>::new());
    let is_blind = Arc::clone(&blind);
    let strict = Strict::start(Tags::Mutable, move |seen| {
        seen.headers.get("host")?;
        if seen.authorization().is_none() {
            return Some(status(401, &[("www-authenticate", "Basic")], ""));
        }
        let looks = matches!(seen.method.as_str(), "GET" | "HEAD");
        (looks && is_blind.get().is_none()).then(|| status(403, &[], ""))
    });
    let known = credentials(dir.path(), &strict.server.host, "hunter2");
    push(known, &layout, &strict.at("a/b:1.0"), &[])
        .await
        .expect("pushed");
    blind.set(()).expect("once");
    assert_eq!(strict.manifest("a/b", "1.0"), Some(top.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_of_one_image_at_once_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let top = sample(&layout, Format::Oci, &TWO);
    // All but one of them are refused the immutable tag, whatever the words.
    for words in [Words::Json, Words::Plain, Words::Nothing] {
        let habits = Habits {
            tags: Tags::Immutable,
            words,
            ..Habits::default()
        };
        let strict = Strict::with(habits, |_| None);
        let image = strict.at("a/b:1.0");
        let one = || push(Credentials::none(), &layout, &image, &[]);
        let ends = tokio::join!(one(), one(), one(), one());
        for end in [ends.0, ends.1, ends.2, ends.3] {
            end.unwrap_or_else(|error| panic!("{words:?}: {error}"));
        }
        assert_eq!(strict.manifest("a/b", "1.0"), Some(top.digest));
    }
}

/// What ECR takes from others the strict registry must take as well, or it would be made for us alone.
#[test]
fn skopeo_pushes_to_the_strict_registry_too() {
    if !have("skopeo") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let top = sample(&layout, Format::Oci, &TWO);
    let (strict, _) = private(dir.path(), usize::MAX, 403, Habits::default());
    let output = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--all", "--preserve-digests"])
        .args(["--dest-tls-verify=false", "--dest-creds"])
        .arg(format!("me:{}", password(false)))
        .arg(format!("oci:{}:1.0", layout.display()))
        .arg(format!("docker://{}", strict.at("a/b:1.0")))
        .env("HOME", dir.path())
        .output()
        .expect("skopeo starts");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(strict.manifest("a/b", "1.0"), Some(top.digest));
    assert!(
        strict
            .changes()
            .iter()
            .any(|change| change.starts_with("PATCH"))
    );
    // Passwords are wanted of everybody.
    assert_eq!(
        get(&strict.server.host, "/v2/a/b/manifests/1.0").status,
        401
    );
}
