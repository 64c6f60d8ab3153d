//! Debian's `docker-registry`, on a free port of loopback, for one test.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The user `me` with the password `hunter2`, for `auth.htpasswd`.
pub const HTPASSWD: &str = "me:$2b$04$d2ZkBv6TQwDTjOb8yvK.s.P9y5ErXZOh3Oeyc/lQdVQdkgS2sDjv2\n";

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
    RealRegistry { process, host, dir }
}

impl RealRegistry {
    /// Returns the folder where it keeps what was pushed.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}
