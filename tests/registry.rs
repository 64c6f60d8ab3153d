//! Registries: how each kind wants to be asked, what must not leak, and real ones.

mod server;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::fetch::{FetchOptions, Fetcher, Patience};
use imgbuild::edge::image_source::ImageSource;
use imgbuild::edge::layout::{Format, Parts, write};
use imgbuild::edge::progress::Silent;
use imgbuild::edge::registry::{Credentials, Registry, RegistryError};
use imgbuild::edge::store::Store;
use imgbuild::oci::manifest::Document;
use imgbuild::oci::{Descriptor, Digest, Reference, media_type};
use server::{Reply, Seen, Server, have, ok, status};
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
            Some(format!("log in first, for example: docker login {}", server.host).as_str())
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
    let again = self::reference(&format!("{}/a/b", refusing.host));
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
    let reference = self::reference(&format!("{}/a/b", busy.host));
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
    let hub = self::registry(
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

// ------------------------------------------------------------------------------------------------------------
// A real registry, and a real client that puts an image there.

struct RealRegistry {
    process: Child,
    host: String,
    _dir: TempDir,
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts `docker-registry` on a free port, with more lines of configuration under `http:` and at the top.
fn real_registry(http: &str, top: &str) -> RealRegistry {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = dir.path().join("config.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n{top}\nhttp:\n  addr: 127.0.0.1:0\n{http}",
        dir.path().join("data").display()
    );
    std::fs::write(&config, text).expect("written");
    let mut process = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker-registry starts");
    let mut log = BufReader::new(process.stderr.take().expect("piped"));
    let mut line = String::new();
    let host = loop {
        line.clear();
        assert!(
            log.read_line(&mut line).expect("readable") > 0,
            "docker-registry ended"
        );
        if let Some((_, rest)) = line.split_once("listening on ") {
            break rest
                .split(['"', ',', ' '])
                .next()
                .expect("an address")
                .trim()
                .to_owned();
        }
    };
    // Read on, so that a full pipe does not stop it.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    RealRegistry {
        process,
        host,
        _dir: dir,
    }
}

/// Writes an image with one layer of some size to a layout and returns its manifest.
fn sample(path: &Path) -> Descriptor {
    let layer = Descriptor::of(media_type::LAYER, &vec![0; 1024 * 1024]);
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]}})
    .to_string()
    .into_bytes();
    let about_config = Descriptor::of(media_type::CONFIG, &config);
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": about_config, "layers": [layer]})
    .to_string()
    .into_bytes();
    let image = Descriptor::of(media_type::MANIFEST, &manifest);
    let mut parts = Parts::new();
    parts.add(&layer, vec![0; 1024 * 1024]);
    parts.add(&about_config, config);
    parts.add(&image, manifest);
    parts.name(image.clone(), Some("1.0"));
    write(path, Format::Oci, &parts).expect("a layout");
    image
}

fn skopeo_push(layout: &Path, to: &str, more: &[&str]) {
    let output = Command::new("skopeo")
        .args([
            "--insecure-policy",
            "copy",
            "--preserve-digests",
            "--dest-tls-verify=false",
        ])
        .args(more)
        .arg(format!("oci:{}:1.0", layout.display()))
        .arg(format!("docker://{to}"))
        .output()
        .expect("skopeo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn pull(registry: &Registry, image: &str, wanted: &Descriptor) {
    let (_dir, store) = store();
    let source: ImageSource = image.parse().expect("an image");
    let (descriptor, bytes) = source.resolve(registry).await.expect("resolved");
    assert_eq!(
        (descriptor.digest, &descriptor.media_type),
        (wanted.digest, &wanted.media_type)
    );
    assert_eq!(
        source
            .manifest(registry, &store, &descriptor)
            .await
            .expect("a manifest"),
        bytes
    );
    let Document::Manifest(manifest) = Document::parse(&bytes).expect("a manifest") else {
        panic!("not a manifest");
    };
    for descriptor in [&manifest.config, &manifest.layers[0]] {
        let blob = source
            .blob(registry, &store, descriptor, &Silent)
            .await
            .expect("a blob");
        assert_eq!(
            blob.hash().expect("readable"),
            (descriptor.digest, descriptor.size)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_from_a_real_registry_and_from_a_layout_alike() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let layout = dir.path().join("layout");
    let image = sample(&layout);
    pull(
        &registry(&[], Credentials::none()),
        &format!("oci:{}:1.0", layout.display()),
        &image,
    )
    .await;
    if !(have("docker-registry") && have("skopeo")) {
        return;
    }
    let real = real_registry("", "");
    skopeo_push(&layout, &format!("{}/team/app:1.0", real.host), &[]);
    pull(
        &registry(&[], Credentials::none()),
        &format!("{}/team/app:1.0", real.host),
        &image,
    )
    .await;
    let mirrored = registry(
        &[&format!("r.example.com={}", real.host)],
        Credentials::none(),
    );
    pull(
        &mirrored,
        &format!("r.example.com/team/app@{}", image.digest),
        &image,
    )
    .await;
    let error = mirrored
        .resolve(&reference("r.example.com/team/app:2"))
        .await
        .expect_err("no such tag");
    assert!(error.to_string().contains("MANIFEST_UNKNOWN"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_registry_with_passwords_takes_ours_and_skopeos() {
    if !(have("docker-registry") && have("skopeo")) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let image = sample(&dir.path().join("layout"));
    let passwords = dir.path().join("htpasswd");
    std::fs::write(
        &passwords,
        "me:$2b$04$d2ZkBv6TQwDTjOb8yvK.s.P9y5ErXZOh3Oeyc/lQdVQdkgS2sDjv2\n",
    )
    .expect("written");
    let auth = format!(
        "auth: {{htpasswd: {{realm: r, path: {}}}}}",
        passwords.display()
    );
    let real = real_registry("", &auth);
    skopeo_push(
        &dir.path().join("layout"),
        &format!("{}/team/app:1.0", real.host),
        &["--dest-creds=me:hunter2"],
    );
    let known = registry(&[], credentials(dir.path(), &[&real.host]));
    pull(&known, &format!("{}/team/app:1.0", real.host), &image).await;
    let error = registry(&[], Credentials::none())
        .resolve(&reference(&format!("{}/team/app:1.0", real.host)))
        .await;
    assert!(
        error
            .expect_err("no password")
            .to_string()
            .contains("refuses without credentials")
    );
}

/// Makes a key and a certificate of its own for 127.0.0.1.
fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let (key, certificate) = (dir.join("key.pem"), dir.join("cert.pem"));
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=CA:FALSE",
        ])
        .args([Path::new("-keyout"), &key, Path::new("-out"), &certificate])
        .output()
        .expect("openssl starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (key, certificate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_by_ca_file_or_ssl_cert_file_and_not_otherwise() {
    if !(have("docker-registry") && have("openssl")) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (key, trusted) = certificate(dir.path());
    let tls = format!(
        "  tls: {{certificate: {}, key: {}}}\n",
        trusted.display(),
        key.display()
    );
    let real = real_registry(&tls, "");
    let mirror = format!("r.example.com=https://{}", real.host);
    let wanted = reference("r.example.com/a/b");
    let ask = |ca_file| {
        let registry = Registry::new(fetcher(&[&mirror], ca_file), Credentials::none());
        let wanted = wanted.clone();
        async move {
            registry
                .resolve(&wanted)
                .await
                .expect_err("there is no image")
        }
    };
    let error = ask(None).await;
    assert!(error.to_string().contains("cannot trust"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--ca-file")));
    assert_eq!(error.class(), Class::Unavailable);
    let error = ask(Some(trusted.clone())).await;
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
    // The environment of this process cannot be changed while tests run beside each other.
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "--ignored", "child_trusts_by_environment"])
        .env("SSL_CERT_FILE", &trusted)
        .env_remove("SSL_CERT_DIR")
        .env("IMGBUILD_TEST_MIRROR", &mirror)
        .output()
        .expect("this test starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own, started by the test above"]
async fn child_trusts_by_environment() {
    let mirror = std::env::var("IMGBUILD_TEST_MIRROR").expect("set by the test above");
    let registry = Registry::new(fetcher(&[&mirror], None), Credentials::none());
    let error = registry
        .resolve(&reference("r.example.com/a/b"))
        .await
        .expect_err("there is no image");
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
}
