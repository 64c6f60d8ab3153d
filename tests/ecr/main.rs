//! Passwords for ECR out of AWS's own chain, against an API of Amazon's made by others (moto) and a few of our own.
//!
//! The registry is reached by its real name: the environment names an http proxy, and the proxy is the registry.

mod chain;
mod moto;
mod public;
#[path = "../server/mod.rs"]
mod server;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use imgbuild::edge::layout::{Format, Parts, write};
use imgbuild::oci::{Descriptor, media_type};
use serde_json::json;
use server::{Reply, Seen, Server, ok, status};
use tempfile::TempDir;

/// A private registry.
const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// What the registry takes, and what it was shown.
#[derive(Default)]
struct Door {
    /// The password that opens it.
    good: String,
    /// Passwords that were good once.
    expired: Vec<String>,
    shown: Vec<String>,
    manifests: Manifests,
}

/// A registry behind a proxy.
struct Cloud {
    server: Server,
    door: Arc<Mutex<Door>>,
}

impl Cloud {
    /// Opens a private registry to `AWS:good`.
    fn private(good: &str) -> Self {
        let door = Arc::new(Mutex::new(Door {
            good: good.to_owned(),
            ..Door::default()
        }));
        let inside = Arc::clone(&door);
        let server = Server::start(move |seen, _| {
            if seen.headers.is_empty() {
                return status(500, &[], "");
            }
            // A proxy that does not tunnel: so nobody speaks https there.
            if seen.method == "CONNECT" {
                return status(502, &[], "");
            }
            let mut door = inside.lock().expect("no panic");
            let Some(password) = seen.authorization().and_then(basic) else {
                let challenge = ("www-authenticate", "Basic realm=\"x\"");
                return status(401, &[challenge], "Not Authorized");
            };
            door.shown.push(password.clone());
            if door.expired.contains(&password) {
                let text = "Your authorization token has expired. Reauthenticate and try again.";
                return status(403, &[], text);
            }
            if password != door.good {
                let challenge = ("www-authenticate", "Basic realm=\"x\"");
                return status(401, &[challenge], "Not Authorized");
            }
            takes_all(seen, &mut door.manifests)
        });
        Self { server, door }
    }

    fn shown(&self) -> Vec<String> {
        let mut shown = self.door.lock().expect("no panic").shown.clone();
        shown.dedup();
        shown
    }
}

/// What a registry was given, by path.
type Manifests = BTreeMap<String, Vec<u8>>;

/// Answers as a registry that takes everything, and gives only manifests back.
fn takes_all(seen: &Seen, manifests: &mut Manifests) -> Reply {
    match seen.method.as_str() {
        "POST" => status(202, &[("location", &format!("{}session", seen.path))], ""),
        "PUT" => {
            manifests.insert(seen.path.clone(), seen.bytes.clone());
            status(201, &[], "")
        }
        "GET" if manifests.contains_key(&seen.path) => ok(manifests[&seen.path].clone()),
        _ => status(404, &[], ""),
    }
}

/// Returns the password of `AWS` in an `Authorization` header.
fn basic(header: &str) -> Option<String> {
    let bytes = BASE64.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.strip_prefix("AWS:").map(str::to_owned)
}

/// A home without anything, with an image to push.
struct Home {
    dir: TempDir,
    variables: BTreeMap<&'static str, String>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        sample(&dir.path().join("image"));
        let path = |name: &str| dir.path().join(name).display().to_string();
        let variables = BTreeMap::from([
            ("HOME", path("")),
            ("IMGBUILD_CACHE_DIR", path("cache")),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
        ]);
        Self { dir, variables }
    }

    /// Names access keys in the environment.
    fn with_keys(self) -> Self {
        self.set("AWS_ACCESS_KEY_ID", "AKIDTEST")
            .set("AWS_SECRET_ACCESS_KEY", "s3cr3t-key")
    }

    fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.insert(name, value.into());
        self
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// Pushes the image to `to`, which the proxy is.
    fn push(&self, proxy: &Server, to: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_imgbuild"))
            .args(["push", "image", to, "--insecure"])
            .current_dir(self.dir.path())
            .env_clear()
            .envs(&self.variables)
            .env("HTTP_PROXY", proxy.url(""))
            .env("HTTPS_PROXY", proxy.url(""))
            .output()
            .expect("imgbuild runs")
    }
}

/// Returns what was printed, having checked the exit code and that no secret is in it.
fn printed(output: &Output, code: i32, secrets: &[&str]) -> String {
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    for secret in secrets.iter().chain(&["s3cr3t-key"]) {
        assert!(!text.contains(secret), "{secret} is in: {text}");
    }
    text
}

/// Answers `GetAuthorizationToken` as private ECR does.
fn token(password: &str) -> Reply {
    let token = BASE64.encode(format!("AWS:{password}"));
    let body = json!({"authorizationData": [
        {"authorizationToken": token, "expiresAt": 4_000_000_000_u64, "proxyEndpoint": "https://x"}]});
    status(200, &[], &body.to_string())
}

/// Writes an image.
fn sample(path: &Path) {
    let mut parts = Parts::new();
    let layer = Descriptor::of(media_type::LAYER, b"layer");
    parts.add(&layer, b"layer".to_vec());
    let config = json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]}});
    let config = config.to_string().into_bytes();
    let about_config = Descriptor::of(media_type::CONFIG, &config);
    parts.add(&about_config, config);
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": about_config, "layers": [layer]});
    let manifest = manifest.to_string().into_bytes();
    let image = Descriptor::of(media_type::MANIFEST, &manifest);
    parts.add(&image, manifest);
    parts.name(image, Some("1.0"));
    write(path, Format::Oci, &parts).expect("written");
}
