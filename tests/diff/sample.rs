//! A small image with something of everything: a base, a Python environment with bytecode, copied files.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::picture::{Layer, Picture};
use crate::tarball::{MODE, Piece, Tarball};

/// Capabilities as the kernel stores them: `cap_net_bind_service=ep`. The byte 10 in it is the number of a capability.
pub(crate) const CAPABILITY: [u8; 20] =
    [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const SITE: &str = "app/.venv/lib/python3.11/site-packages";

/// The positions of the layers.
pub(crate) const BASE: usize = 0;
pub(crate) const COPY: usize = 2;

pub(crate) fn file(path: &str, content: &[u8]) -> Piece {
    Piece::new(path, b'0', content, "")
}

fn folders(paths: &[&str]) -> Vec<Piece> {
    let folder = |path: &&str| Piece::new(&format!("{path}/"), b'5', b"", "");
    paths.iter().map(folder).collect()
}

fn tarball(mut entries: Vec<Piece>) -> Tarball {
    entries.sort_by_key(Piece::path);
    Tarball {
        entries,
        end: vec![0; 1024],
    }
}

/// Bytes of no format that depend on `seed`.
pub(crate) fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| byte()).collect()
}

/// Returns the path of a file of the Python environment.
pub(crate) fn site(path: &str) -> String {
    format!("{SITE}/{path}")
}

/// Python bytecode whose source has this time.
pub(crate) fn bytecode(time: u32) -> Vec<u8> {
    let words = [0, time, 12].map(u32::to_le_bytes).concat();
    [&b"\xa7\x0d\r\n"[..], &words, b"code"].concat()
}

/// Returns the image.
pub(crate) fn sample() -> Picture {
    let mut base = folders(&["etc", "usr", "usr/bin", "usr/share", "usr/share/doc", "var"]);
    let mut tool = file("usr/bin/tool", &noise(1, 900));
    tool.set(MODE, 0o755);
    let records = BTreeMap::from([(
        "SCHILY.xattr.security.capability".to_owned(),
        CAPABILITY.to_vec(),
    )]);
    tool.set_records(&records);
    let mut su = file("usr/bin/su", &noise(2, 700));
    su.set(MODE, 0o4755);
    base.extend([
        tool,
        su,
        file("etc/motd", b"welcome\nto the\nmachine\n"),
        file("etc/app.json", br#"{"port": 80, "name": "x"}"#),
        file("etc/empty", b""),
        file("usr/share/a", &noise(3, 2000)),
        Piece::new("usr/share/b", b'1', b"", "usr/share/a"),
        Piece::new("usr/share/c", b'1', b"", "usr/share/a"),
        Piece::new("usr/share/link", b'2', b"", "a"),
        Piece::new("var/run", b'2', b"", "../run"),
    ]);
    base.extend((0..12).map(|at| file(&format!("usr/share/doc/page{at}"), &noise(10 + at, 300))));

    let python = format!("{SITE}/demo");
    let info = format!("{SITE}/demo-1.0.dist-info");
    let cache = format!("{python}/__pycache__");
    let mut venv = folders(&[
        "app",
        "app/.venv",
        "app/.venv/lib",
        "app/.venv/lib/python3.11",
        SITE,
        &python,
        &info,
        &cache,
    ]);
    let record = "demo/__init__.py,,\ndemo/core.py,,\ndemo-1.0.dist-info/INSTALLER,,\ndemo-1.0.dist-info/RECORD,,\n";
    venv.extend([
        file(&site("demo/__init__.py"), b"import sys\n"),
        file(&site("demo/core.py"), b"def run():\n    return 1\n"),
        file(
            &site("demo/__pycache__/core.cpython-311.pyc"),
            &bytecode(1_000_000),
        ),
        file(&site("demo-1.0.dist-info/INSTALLER"), b"uv\n"),
        file(&site("demo-1.0.dist-info/RECORD"), record.as_bytes()),
    ]);

    let mut copy = folders(&["app", "app/src", "app/src/data"]);
    copy.extend((0..20).map(|at| {
        // In order of letters they would be sorted otherwise.
        let name = if at % 2 == 0 {
            format!("B{at:02}.py")
        } else {
            format!("a{at:02}.py")
        };
        file(
            &format!("app/src/{name}"),
            format!("print({at})\n# end\n").as_bytes(),
        )
    }));
    copy.push(file("app/src/data/blob", &noise(40, 5000)));
    Picture {
        layers: vec![
            Layer::new(&tarball(base), "base"),
            Layer::new(&tarball(venv), "imgbuild: python: /app/.venv (pure wheels)"),
            Layer::new(&tarball(copy), "imgbuild: copy: src"),
        ],
        config: json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {
                "Env": ["PATH=/usr/bin", "PORT=5000"], "Cmd": ["python", "-m", "app"],
                "Labels": {"org.opencontainers.image.version": "1"}, "User": "1000",
            },
            "x-unknown": {"kept": true},
        }),
        annotations: BTreeMap::from([(
            "org.opencontainers.image.title".to_owned(),
            "demo".to_owned(),
        )]),
        created: "2026-01-01T00:00:00Z".to_owned(),
        is_spaced: false,
        claimed: BTreeMap::new(),
        index: None,
        untouched: 0,
        owner: Arc::new(owner),
    }
}

/// Returns whom a path of the sample belongs to.
fn owner(layer: usize, path: &str) -> String {
    match layer {
        BASE => "base".to_owned(),
        COPY => "copy src".to_owned(),
        // The bytecode is in no RECORD, but its source is; folders are in none.
        _ if path.contains("dist-info/")
            || (path.contains("demo/") && !path.ends_with("__pycache__")) =>
        {
            "wheel demo 1.0".to_owned()
        }
        _ => "layer imgbuild: python: /app/.venv (pure wheels)".to_owned(),
    }
}
