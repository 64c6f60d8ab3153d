//! A real registry, and a real client that puts an image there.

use std::path::Path;
use std::process::Command;

use crate::server::have;
use crate::server::real::{private_authority, real_registry, with_passwords};
use crate::{credentials, fetcher, reference, registry, store};
use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::image_source::ImageSource;
use imgbuild::edge::layout::{Format, Parts, write};
use imgbuild::edge::progress::Silent;
use imgbuild::edge::registry::{Credentials, Registry, RegistryError};
use imgbuild::oci::manifest::Document;
use imgbuild::oci::{Descriptor, media_type};

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
    let real = real_registry("", &with_passwords(dir.path()));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_by_ca_file_or_ssl_cert_file_and_not_otherwise() {
    if !(have("docker-registry") && have("openssl")) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tls = private_authority(dir.path());
    let trusted = tls.authority.clone();
    let real = real_registry(&tls.configuration(), "");
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
        .args(["--exact", "--ignored", "real::child_trusts_by_environment"])
        .env("SSL_CERT_FILE", &trusted)
        .env_remove("SSL_CERT_DIR")
        .env("IMGBUILD_TEST_MIRROR", &mirror)
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
async fn child_trusts_by_environment() {
    let mirror = std::env::var("IMGBUILD_TEST_MIRROR").expect("set by the test above");
    let registry = Registry::new(fetcher(&[&mirror], None), Credentials::none());
    let error = registry
        .resolve(&reference("r.example.com/a/b"))
        .await
        .expect_err("there is no image");
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
}
