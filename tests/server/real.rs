//! Debian's `docker-registry`, on a free port of loopback, for one test.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The user `me` with the password `hunter2`.
const HTPASSWD: &str = "me:$2b$04$d2ZkBv6TQwDTjOb8yvK.s.P9y5ErXZOh3Oeyc/lQdVQdkgS2sDjv2\n";

pub struct RealRegistry {
    process: Child,
    /// `127.0.0.1:PORT`.
    pub host: String,
    dir: TempDir,
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts `docker-registry` on a free port, with more lines of configuration under `http:` and at the top.
pub fn real_registry(http: &str, top: &str) -> RealRegistry {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let storage = format!("{{filesystem: {{rootdirectory: {}}}}}", data.display());
    start(dir, &storage, http, top)
}

/// Starts one that keeps everything in memory, for many small pushes, and that names no host in its answers: else a
/// corrupted one could send uploads to any other server on this machine.
pub fn registry_in_memory() -> RealRegistry {
    let dir = tempfile::tempdir().expect("a temporary folder");
    start(dir, "{inmemory: {}}", "  relativeurls: true\n", "")
}

fn start(dir: TempDir, storage: &str, http: &str, top: &str) -> RealRegistry {
    let config = dir.path().join("config.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage: {storage}\n{top}\nhttp:\n  addr: 127.0.0.1:0\n{http}"
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
    RealRegistry { process, host, dir }
}

impl RealRegistry {
    /// Returns the folder where it keeps what was pushed.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

/// Returns lines of configuration for a registry that knows the user `me` with the password `hunter2`, by Basic.
pub fn with_passwords(dir: &Path) -> String {
    let passwords = dir.join("htpasswd");
    std::fs::write(&passwords, HTPASSWD).expect("written");
    format!(
        "auth: {{htpasswd: {{realm: r, path: {}}}}}",
        passwords.display()
    )
}

/// A certificate for 127.0.0.1, and who signed it.
pub struct Tls {
    key: PathBuf,
    certificate: PathBuf,
    /// The certificate of the private authority.
    pub authority: PathBuf,
}

impl Tls {
    /// Returns lines of configuration under `http:`.
    pub fn configuration(&self) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("  tls: {{certificate: {certificate}, key: {key}}}\n")
    }
}

/// Makes an authority that nobody knows, and has it sign a certificate for 127.0.0.1.
pub fn private_authority(dir: &Path) -> Tls {
    let at = |name: &str| dir.join(name);
    let openssl = |arguments: &[&str], files: &[(&str, &Path)]| {
        let mut command = Command::new("openssl");
        command.args(arguments);
        for (flag, file) in files {
            command.arg(flag).arg(file);
        }
        let output = command.output().expect("openssl starts");
        assert!(output.status.success(), "{output:?}");
    };
    let curve = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let (authority, authority_key) = (at("authority.pem"), at("authority-key.pem"));
    let (certificate, key) = (at("certificate.pem"), at("key.pem"));
    let (request, names) = (at("request.pem"), at("names"));
    openssl(
        &[
            &[
                "req",
                "-x509",
                "-days",
                "2",
                "-subj",
                "/CN=a private authority",
            ],
            &curve[..],
        ]
        .concat(),
        &[("-keyout", &authority_key), ("-out", &authority)],
    );
    openssl(
        &[&["req", "-new", "-subj", "/CN=a registry"], &curve[..]].concat(),
        &[("-keyout", &key), ("-out", &request)],
    );
    std::fs::write(&names, "subjectAltName=IP:127.0.0.1\n").expect("written");
    openssl(
        &["x509", "-req", "-days", "2", "-set_serial", "2"],
        &[
            ("-in", &request),
            ("-CA", &authority),
            ("-CAkey", &authority_key),
            ("-extfile", &names),
            ("-out", &certificate),
        ],
    );
    Tls {
        key,
        certificate,
        authority,
    }
}
