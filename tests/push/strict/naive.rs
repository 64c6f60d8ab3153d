//! What clients do that know nothing of ECR's habits, and how each is refused: a rule that refuses nothing tests nothing.

use imgbuild::oci::{Digest, media_type};
use serde_json::{Value, json};

use super::{Blobs, Gate, Habits, Pace, Strict, Tags, Words, password};
use crate::wire::{Answer, ask, get};

const MIB: usize = 1 << 20;

/// Sends a request without a body.
fn bare(strict: &Strict, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(&strict.server.host, method, path, headers, b"").expect("an answer")
}

/// Begins an upload and returns where it goes on.
fn begin(strict: &Strict) -> String {
    let answer = bare(strict, "POST", "/v2/a/b/blobs/uploads/", &[]);
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.headers["location"].clone()
}

fn send(strict: &Strict, method: &str, path: &str, from: usize, body: &[u8]) -> Option<Answer> {
    let range = format!("{from}-{}", (from + body.len()).saturating_sub(1));
    let headers = [("content-range", range.as_str())];
    ask(&strict.server.host, method, path, &headers, body)
}

fn is(answer: Option<Answer>, status: u16, words: &str) -> Answer {
    let answer = answer.expect("an answer");
    let text = answer.text();
    assert!(
        answer.status == status && text.contains(words),
        "{status} {words}: {answer:?} {text}"
    );
    answer
}

/// Uploads a blob as one should and returns its descriptor.
fn blob(strict: &Strict, repository: &str, bytes: &[u8]) -> Value {
    let begun = bare(
        strict,
        "POST",
        &format!("/v2/{repository}/blobs/uploads/"),
        &[],
    );
    let digest = Digest::of(bytes);
    let path = format!("{}&digest={digest}", begun.headers["location"]);
    is(send(strict, "PUT", &path, 0, bytes), 201, "");
    json!({"mediaType": media_type::LAYER, "digest": digest, "size": bytes.len()})
}

fn put(strict: &Strict, repository: &str, tag: &str, manifest: &Value) -> Option<Answer> {
    let path = format!("/v2/{repository}/manifests/{tag}");
    let kind = [("content-type", media_type::MANIFEST)];
    let body = manifest.to_string();
    ask(&strict.server.host, "PUT", &path, &kind, body.as_bytes())
}

fn manifest(layers: &[Value], config: &Value) -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST, "config": config, "layers": layers})
}

#[test]
fn a_part_is_answered_with_201_and_a_range_that_does_not_grow() {
    let strict = Strict::calm();
    let path = begin(&strict);
    let part = vec![1; 5 * MIB];
    let first = is(send(&strict, "PATCH", &path, 0, &part), 201, "");
    // Who waits for 202, or goes on where the answer says, is lost.
    assert_eq!(first.headers["range"], "0-5242879");
    let second = is(send(&strict, "PATCH", &path, 5 * MIB, &part), 201, "");
    assert_eq!(second.headers["range"], "0-5242879");
    is(
        send(&strict, "PATCH", &path, 5 * MIB, b"again"),
        416,
        "First byte of the layer part is 5242880 instead of 10485760",
    );
    let digest = Digest::of(&[part.as_slice(), &part].concat());
    let end = format!("{path}&digest={digest}");
    is(send(&strict, "PUT", &end, 0, b""), 201, "");
    assert!(strict.has("a/b", digest));
}

#[test]
fn a_part_below_5_mib_may_only_be_the_last() {
    let strict = Strict::calm();
    let path = begin(&strict);
    is(send(&strict, "PATCH", &path, 0, &vec![1; 4 * MIB]), 201, "");
    let next = send(&strict, "PATCH", &path, 4 * MIB, &vec![1; 4 * MIB]);
    assert!(next.is_none(), "the connection is cut: {next:?}");
    is(
        send(&strict, "PATCH", &path, 4 * MIB, b"x"),
        416,
        "BLOB_UPLOAD_INVALID",
    );
}

#[test]
fn a_session_takes_one_attempt() {
    let cut = |seen: &crate::server::Seen| {
        let cut = seen.method == "PUT" && seen.body == "broken";
        cut.then(|| crate::server::status(500, &[], ""))
    };
    let strict = Strict::start(Tags::Mutable, cut);
    let path = begin(&strict);
    let end = format!("{path}&digest={}", Digest::of(b"broken"));
    is(send(&strict, "PUT", &end, 0, b"broken"), 500, "");
    is(
        send(&strict, "PUT", &end, 0, b"whole"),
        416,
        "First byte of the layer part",
    );
    // What the registry made of the URL comes back as it is, or not at all.
    let path = begin(&strict);
    let bare = path.split('?').next().expect("a path");
    let end = format!("{bare}?digest={}", Digest::of(b"x"));
    is(
        send(&strict, "PUT", &end, 0, b"x"),
        404,
        "BLOB_UPLOAD_UNKNOWN",
    );
}

#[test]
fn an_empty_blob_and_one_with_another_digest_are_refused() {
    let strict = Strict::calm();
    let end = format!("{}&digest={}", begin(&strict), Digest::of(b""));
    is(
        send(&strict, "PUT", &end, 0, b""),
        400,
        "EmptyUploadException",
    );
    let end = format!("{}&digest={}", begin(&strict), Digest::of(b"a"));
    is(send(&strict, "PUT", &end, 0, b"b"), 400, "DIGEST_INVALID");
}

#[test]
fn a_manifest_without_type_or_layers_or_with_a_semicolon_is_answered_with_405() {
    let strict = Strict::calm();
    let layer = blob(&strict, "a/b", b"layer");
    let config = blob(&strict, "a/b", b"{}");
    let good = manifest(std::slice::from_ref(&layer), &config);
    let mut untyped = good.clone();
    untyped
        .as_object_mut()
        .expect("an object")
        .remove("mediaType");
    let mut parameter = layer.clone();
    parameter["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.3".into();
    for bad in [
        untyped,
        manifest(&[], &config),
        manifest(&[parameter.clone()], &config),
        manifest(&[layer.clone()], &parameter),
    ] {
        is(put(&strict, "a/b", "1", &bad), 405, "Invalid JSON syntax");
    }
    let absent = json!({"mediaType": "x", "digest": Digest::of(b"absent"), "size": 6});
    let early = manifest(&[absent], &config);
    is(
        put(&strict, "a/b", "1", &early),
        400,
        "MANIFEST_BLOB_UNKNOWN",
    );
    is(put(&strict, "a/b", "1", &good), 201, "");
    let other = format!("sha256:{}", "0".repeat(64));
    is(put(&strict, "a/b", &other, &good), 400, "DIGEST_INVALID");
}

#[test]
fn an_immutable_tag_refuses_even_what_it_leads_to() {
    let strict = Strict::start(Tags::Immutable, |_| None);
    let layer = blob(&strict, "a/b", b"layer");
    let good = manifest(std::slice::from_ref(&layer), &layer);
    is(put(&strict, "a/b", "1", &good), 201, "");
    is(put(&strict, "a/b", "1", &good), 400, "TAG_INVALID");
}

#[test]
fn only_what_a_manifest_refers_to_is_mounted() {
    let strict = Strict::calm();
    let layer = blob(&strict, "base", b"layer");
    let digest = layer["digest"].as_str().expect("a digest");
    let mount = format!("/v2/a/b/blobs/uploads/?mount={digest}&from=base");
    assert_eq!(bare(&strict, "POST", &mount, &[]).status, 202);
    let referring = manifest(std::slice::from_ref(&layer), &layer);
    is(put(&strict, "base", "1", &referring), 201, "");
    assert_eq!(bare(&strict, "POST", &mount, &[]).status, 201);
}

#[test]
fn a_password_is_good_for_some_time_and_then_no_more() {
    let private = Gate::Private {
        lasts: 1,
        expired: 403,
        renewed: Box::new(|_| ()),
    };
    let habits = Habits {
        gate: private,
        ..Habits::default()
    };
    let strict = Strict::with(habits, |_| None);
    let with = |password: &str| {
        use base64::Engine as _;
        let both = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{password}"));
        let header = format!("Basic {both}");
        bare(&strict, "GET", "/v2/", &[("authorization", &header)])
    };
    let stranger = bare(&strict, "GET", "/v2/", &[]);
    assert_eq!(
        (stranger.status, stranger.text().as_str()),
        (401, "Not Authorized\n")
    );
    assert!(stranger.headers["www-authenticate"].starts_with("Basic "));
    // Not before the first one has expired.
    assert_eq!(with(password(true)).status, 401);
    assert_eq!(with(password(false)).status, 200);
    let late = with(password(false));
    assert!(
        late.status == 403 && late.text().contains("token has expired"),
        "{late:?}"
    );
    assert_eq!(with(password(true)).status, 200);
}

#[test]
fn public_ecr_wants_its_own_scope_and_answers_no_head() {
    let habits = Habits {
        gate: Gate::Public,
        ..Habits::default()
    };
    let strict = Strict::with(habits, |_| None);
    let challenge = bare(&strict, "GET", "/v2/", &[]);
    assert_eq!(challenge.status, 401);
    assert!(challenge.headers["www-authenticate"].ends_with(r#"scope="aws""#));
    let host = &strict.server.host;
    let token = "/token/?service=public.ecr.aws&scope=";
    assert_eq!(
        get(host, &format!("{token}repository:a/b:pull")).status,
        400
    );
    let answer: Value =
        serde_json::from_slice(&get(host, &format!("{token}aws")).body).expect("JSON");
    let bearer = format!("Bearer {}", answer["token"].as_str().expect("a token"));
    let with = [("authorization", bearer.as_str())];
    assert_eq!(bare(&strict, "GET", "/v2/", &with).status, 200);
    let path = format!("/v2/a/b/blobs/{}", Digest::of(b"x"));
    assert_eq!(bare(&strict, "HEAD", &path, &with).status, 401);
    assert_eq!(bare(&strict, "GET", &path, &with).status, 404);
}

#[test]
fn the_host_with_the_bytes_wants_its_signature_and_nothing_else() {
    let habits = Habits {
        blobs: Blobs::Elsewhere,
        ..Habits::default()
    };
    let strict = Strict::with(habits, |_| None);
    let layer = blob(&strict, "a/b", b"layer");
    let path = format!("/v2/a/b/blobs/{}", layer["digest"].as_str().expect("text"));
    let sent = bare(&strict, "GET", &path, &[]);
    assert_eq!(sent.status, 307);
    let location = sent.headers["location"]
        .strip_prefix("http://")
        .expect("http");
    let (host, path) = location.split_once('/').expect("a path");
    let path = format!("/{path}");
    let with = [("authorization", "Basic x")];
    let answer = ask(host, "GET", &path, &with, b"");
    is(answer, 400, "Only one auth mechanism allowed");
    is(ask(host, "HEAD", &path, &[], b""), 403, "");
    let unsigned = path.split('?').next().expect("a path");
    is(
        ask(host, "GET", unsigned, &[], b""),
        403,
        "SignatureDoesNotMatch",
    );
    assert_eq!(get(host, &path).body, b"layer");
}

#[test]
fn who_hurries_is_told_to_wait() {
    let habits = Habits {
        pace: Pace::Each(1),
        ..Habits::default()
    };
    let strict = Strict::with(habits, |_| None);
    begin(&strict);
    let answer = bare(&strict, "POST", "/v2/a/b/blobs/uploads/", &[]);
    assert_eq!(
        (answer.status, answer.headers["retry-after"].as_str()),
        (429, "1")
    );
    std::thread::sleep(std::time::Duration::from_secs(1));
    begin(&strict);
}

#[test]
fn an_error_may_come_as_a_page_as_plain_text_or_without_a_word() {
    for (words, begins) in [
        (Words::Html, "<html>"),
        (Words::Plain, "Requested image"),
        (Words::Nothing, ""),
    ] {
        let habits = Habits {
            words,
            ..Habits::default()
        };
        let strict = Strict::with(habits, |_| None);
        let answer = get(&strict.server.host, "/v2/a/b/manifests/1");
        let text = answer.text();
        assert!(answer.status == 404 && text.starts_with(begins), "{text}");
        assert!(serde_json::from_str::<Value>(&text).is_err());
    }
}
