//! The same files, contents and modes as `uv sync`, but for a short list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use imgbuild::layer::content::{Content, Location, Packing};
use imgbuild::layer::node::MADE_MTIME;
use imgbuild::layer::{Kind, LayerPath, Tree};
use imgbuild::oci::{Arch, Digest};
use imgbuild::python::pyproject::Pyproject;
use imgbuild::python::select::{Options, Target, select};
use imgbuild::python::stale;
use imgbuild::python::uv_lock::UvLock;
use imgbuild::python::venv::{Venv, VenvSpec, lay_out};

use super::uv::Uv;
use super::wheels::{Entry, Maker, row};

/// What uv puts into a venv besides packages, and imgbuild leaves out or writes its own way:
/// activation scripts, markers for other tools, the link to the interpreter and what describes it.
const SHELL: [&str; 16] = [
    ".gitignore",
    ".lock",
    "CACHEDIR.TAG",
    "pyvenv.cfg",
    "bin/python",
    "bin/activate",
    "bin/activate.bat",
    "bin/activate.csh",
    "bin/activate.fish",
    "bin/activate.nu",
    "bin/activate.ps1",
    "bin/activate.xsh",
    "bin/activate_this.py",
    "bin/deactivate.bat",
    "bin/pydoc.bat",
    "",
];

/// What uv writes into each `.dist-info` and imgbuild does not, or with its own name in it; the last two for local files.
const METADATA: [&str; 4] = ["INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"];

const WEB: &str = r#"
[project]
name = "web"
version = "0.1"
requires-python = ">=3.11"
dependencies = [
    "fastapi", "uvicorn[standard]", "httpx[http2]", "pydantic>=2", "structlog", "cryptography",
    "gunicorn", "jinja2", "requests", "jwcrypto", "jmespath", "tomli; python_full_version < '3.11.3'",
]
[tool.uv]
exclude-newer = "2026-10-01T00:00:00Z"
"#;

const GROUPS: &str = r#"
[project]
name = "grouped"
version = "0.1"
requires-python = ">=3.11,<3.14"
dependencies = ["click", "grouped[yaml]"]
[project.optional-dependencies]
yaml = ["pyyaml"]
fast = ["orjson", "msgpack"]
slow = ["simplejson"]
[dependency-groups]
dev = ["pytest", { include-group = "lint" }]
lint = ["ruff==0.8.0"]
docs = ["docutils==0.21.2"]
[tool.uv]
exclude-newer = "2026-10-01T00:00:00Z"
default-groups = ["dev", "docs"]
"#;

const FORKS: &str = r#"
[project]
name = "forks"
version = "0.1"
requires-python = ">=3.9"
dependencies = [
    "attrs", "importlib-metadata; python_version < '3.10'", "flask",
    "pywin32; sys_platform == 'win32'", "uvloop; platform_machine == 'x86_64'", "cffi",
    "zope.interface", "zope.event",
]
[project.optional-dependencies]
old = ["markupsafe==2.1.5"]
new = ["markupsafe==3.0.2"]
[tool.uv]
exclude-newer = "2026-10-01T00:00:00Z"
conflicts = [[{ extra = "old" }, { extra = "new" }]]
"#;

const NATIVE: &str = r#"
[project]
name = "native"
version = "0.1"
requires-python = ">=3.11,<3.12"
dependencies = ["numpy", "lxml", "greenlet", "pip", "ruff==0.8.0", "protobuf", "google-api-core", "googleapis-common-protos"]
[tool.uv]
exclude-newer = "2026-10-01T00:00:00Z"
"#;

#[test]
fn a_web_service_is_installed_as_uv_installs_it() {
    compare(WEB, &[], &Options::default());
}

#[test]
fn extras_and_groups_are_installed_as_uv_installs_them() {
    let options = Options {
        extras: BTreeSet::from(["fast".parse().unwrap()]),
        ..Options::default()
    };
    compare(GROUPS, &["--extra", "fast"], &options);
    let options = Options {
        groups: BTreeSet::from(["lint".parse().unwrap()]),
        no_dev: true,
        ..Options::default()
    };
    compare(GROUPS, &["--group", "lint", "--no-dev"], &options);
}

#[test]
fn forks_and_conflicts_are_resolved_as_uv_resolves_them() {
    compare(FORKS, &[], &Options::default());
    for extra in ["old", "new"] {
        let options = Options {
            extras: BTreeSet::from([extra.parse().unwrap()]),
            ..Options::default()
        };
        compare(FORKS, &["--extra", extra], &options);
    }
}

#[test]
fn native_wheels_headers_and_scripts_are_installed_as_uv_installs_them() {
    compare(NATIVE, &[], &Options::default());
}

#[test]
fn every_category_and_shebang_is_installed_as_uv_installs_it() {
    let Some(uv) = Uv::find() else { return };
    let files: [(&str, &[u8]); 16] = [
        ("pkg/__init__.py", b"x = 1\n"),
        ("pkg/private.py", b""),
        ("pkg/run.sh", b"#!/bin/sh\n"),
        ("ns.pth", b"/nowhere\n"),
        ("pkg-1.0.data/scripts/tool", b"#!python\nprint()\n"),
        ("pkg-1.0.data/scripts/gui-tool", b"#!pythonw\nprint()\n"),
        ("pkg-1.0.data/scripts/options", b"#!python -E\nprint()\n"),
        ("pkg-1.0.data/scripts/three", b"#!python3\nprint()\n"),
        ("pkg-1.0.data/scripts/shell", b"#!/bin/sh\n"),
        ("pkg-1.0.data/scripts/tiny", b"#!"),
        (
            "pkg-1.0.data/scripts/run",
            b"#!python\nreplaced by the entry point\n",
        ),
        ("pkg-1.0.data/headers/pkg.h", b"int x;\n"),
        ("pkg-1.0.data/purelib/more.py", b"y = 2\n"),
        ("pkg-1.0.data/platlib/plat/__init__.py", b"z = 3\n"),
        ("pkg-1.0.data/data/share/doc/pkg/a,b.txt", b"doc\n"),
        ("pkg-1.0.data/data/lib/other/file", b"deep\n"),
    ];
    let maker = Maker::new("pkg", &files).with(|it| {
        it.entries[1].mode = 0o100_600;
        it.entries[2].mode = 0o100_755;
        it.entries.push(Entry::new("empty/", b""));
        let points = "[console_scripts]\nrun = pkg.mod:Class.run [x]\npip3 = pkg:m\npip3.7 = pkg:m\n[gui_scripts]\ng = pkg:g\n";
        it.entry_points = Some(points.to_owned());
        let members = it.members();
        let files = members.iter().filter(|entry| entry.name != b"empty/");
        let rows: String = files.map(row).collect();
        let comma = "pkg-1.0.data/data/share/doc/pkg/a,b.txt";
        let rows = rows.replace(comma, &format!("\"{comma}\""));
        let rows: Vec<_> = rows.lines().filter(|line| !line.contains("/RECORD")).collect();
        it.record = Some(format!("{}\npkg-1.0.dist-info/RECORD,,\n", rows.join("\n")));
    });
    let wheel = maker.read().unwrap();
    for name in ["short", "with space", "it's a quote", &"long".repeat(30)] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(maker.file_name());
        fs::write(&file, maker.bytes()).unwrap();
        let root = folder.join(name);
        uv.install(&root, &file);
        let spec = VenvSpec {
            path: LayerPath::parse(root.as_os_str().as_bytes()).unwrap(),
            interpreter: "/usr/bin/python3.11".to_owned(),
            version: uv.version.parse().unwrap(),
        };
        let venv = lay_out(&spec, std::slice::from_ref(&wheel)).unwrap();
        check_trees(&spec, &venv);
        assert_alike(name, &ours(&spec, &venv), &theirs(&root));
    }
}

#[test]
fn what_was_laid_out_imports_starts_and_satisfies_uv() {
    let Some(uv) = Uv::find() else { return };
    if std::env::consts::ARCH != "x86_64" {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    fs::write(folder.join("pyproject.toml"), WEB).unwrap();
    uv.must(&folder, &["lock"]);
    let lock = UvLock::parse(&fs::read_to_string(folder.join("uv.lock")).unwrap()).unwrap();
    let target = Target {
        python: uv.version.parse().unwrap(),
        glibc: (2, 34),
        arch: Arch::Amd64,
    };
    let selected = select(&lock, &target, &Options::default()).unwrap();
    let start = std::time::Instant::now();
    let wheels: Vec<_> = selected.iter().map(|it| uv.wheel(it)).collect();
    let read = start.elapsed();
    let root = folder.join(".venv");
    let spec = VenvSpec {
        path: LayerPath::parse(root.as_os_str().as_bytes()).unwrap(),
        interpreter: uv.interpreter(),
        version: target.python.clone(),
    };
    let start = std::time::Instant::now();
    let venv = lay_out(&spec, &wheels).unwrap();
    eprintln!(
        "{} wheels: all bytes checked in {read:?}, laid out in {:?}",
        wheels.len(),
        start.elapsed()
    );
    write(&spec, &venv, &root);
    let modules = "fastapi, uvicorn, uvloop, httpx, pydantic_core, structlog, cryptography.x509, gunicorn, jinja2, requests";
    let program = format!(
        "import sys, {modules}, importlib.metadata as m\n\
         assert sys.prefix == {root:?}, sys.prefix\n\
         assert len(list(m.distributions())) == {}\n\
         assert m.files('gunicorn') and all(f.locate().exists() for d in m.distributions() for f in d.files)\n\
         assert m.metadata('gunicorn')['Name'] == 'gunicorn'",
        wheels.len()
    );
    let output = std::process::Command::new(root.join("bin/python"))
        .args(["-c", &program])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let output = std::process::Command::new(root.join("bin/uvicorn"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("uvicorn"),
        "{output:?}"
    );
    uv.must(
        &folder,
        &["sync", "--check", "--frozen", "--no-install-project"],
    );
    uv.check(&root);
}

/// Writes a venv to disk; the tests' own reader of extents.
fn write(spec: &VenvSpec, venv: &Venv, root: &Path) {
    for (path, node) in venv.pure.iter().chain(venv.native.iter()) {
        let at = Path::new("/").join(path.to_string().trim_start_matches('/'));
        assert!(at.starts_with(root) && path.is_within(&spec.path));
        match &node.kind {
            Kind::Dir => fs::create_dir_all(&at).unwrap(),
            Kind::Symlink(target) => {
                std::os::unix::fs::symlink(str::from_utf8(target).unwrap(), &at).unwrap();
            }
            Kind::File(content) => {
                let bytes = match venv.contents.get(&content.digest).unwrap() {
                    Location::Inline(bytes) => bytes.to_vec(),
                    Location::Extent {
                        blob,
                        offset,
                        packed,
                        packing,
                    } => {
                        let mut bytes = vec![0; usize::try_from(*packed).unwrap()];
                        blob.read_exact_at(&mut bytes, *offset).unwrap();
                        match packing {
                            Packing::Stored => bytes,
                            Packing::Deflate => {
                                let mut out = Vec::new();
                                flate2::read::DeflateDecoder::new(bytes.as_slice())
                                    .read_to_end(&mut out)
                                    .unwrap();
                                out
                            }
                        }
                    }
                };
                assert_eq!(Content::of(&bytes), *content, "{path}");
                fs::write(&at, bytes).unwrap();
                fs::set_permissions(&at, fs::Permissions::from_mode(node.meta.mode)).unwrap();
            }
            other => panic!("{path} is {other:?}"),
        }
    }
}

/// Locks `pyproject` with uv, installs it for both processors with uv and with imgbuild, and compares.
fn compare(pyproject: &str, arguments: &[&str], options: &Options) {
    let Some(uv) = Uv::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    fs::write(folder.join("pyproject.toml"), pyproject).unwrap();
    uv.must(&folder, &["lock"]);
    let lock = UvLock::parse(&fs::read_to_string(folder.join("uv.lock")).unwrap()).unwrap();
    let declared = Pyproject::parse(pyproject).unwrap();
    stale::check(&lock, &declared).unwrap();
    let options = Options {
        default_groups: declared.default_groups,
        ..options.clone()
    };
    let mut pure = Vec::new();
    for arch in [Arch::Amd64, Arch::Arm64] {
        let platform = format!("{}-manylinux_2_34", arch.rpm());
        let sync = [
            "sync",
            "--frozen",
            "--no-install-project",
            "--link-mode",
            "copy",
            "--python-platform",
            &platform,
        ];
        let _ = fs::remove_dir_all(folder.join(".venv"));
        uv.must(&folder, &[&sync[..], arguments].concat());
        let target = Target {
            python: uv.version.parse().unwrap(),
            glibc: (2, 34),
            arch,
        };
        let selected = select(&lock, &target, &options).unwrap();
        let wheels: Vec<_> = selected.iter().map(|it| uv.wheel(it)).collect();
        let spec = VenvSpec {
            path: LayerPath::parse(folder.join(".venv").as_os_str().as_bytes()).unwrap(),
            interpreter: "/usr/bin/python3.11".to_owned(),
            version: target.python.clone(),
        };
        let venv = lay_out(&spec, &wheels).unwrap();
        check_trees(&spec, &venv);
        let (ours, theirs) = (ours(&spec, &venv), theirs(&folder.join(".venv")));
        assert_alike(&platform, &ours, &theirs);
        eprintln!(
            "{platform}: {} wheels, {} entries alike",
            wheels.len(),
            ours.len()
        );
        let names: BTreeSet<_> = selected.iter().map(|it| it.filename.to_string()).collect();
        pure.push((names, venv.pure));
    }
    let pure_names = |names: &BTreeSet<String>| {
        let pure = names.iter().filter(|name| name.ends_with("-none-any.whl"));
        pure.cloned().collect::<Vec<_>>()
    };
    if pure_names(&pure[0].0) == pure_names(&pure[1].0) {
        assert!(
            pure[0].1 == pure[1].1,
            "the pure layer differs between processors"
        );
    }
}

/// Everything a layer needs holds: parents, owners, times, and a place for each content.
fn check_trees(spec: &VenvSpec, venv: &Venv) {
    for tree in [&venv.pure, &venv.native] {
        for (path, node) in tree.iter() {
            let parent = path.parent().unwrap();
            assert!(
                *path == spec.path || tree.get(&parent).is_some_and(|it| it.is_dir()),
                "{path}"
            );
            assert_eq!(
                (node.meta.uid, node.meta.gid, node.meta.mtime),
                (0, 0, MADE_MTIME)
            );
            if let Kind::File(content) = &node.kind {
                assert!(venv.contents.get(&content.digest).is_some(), "{path}");
            }
        }
    }
    for (path, node) in venv.native.iter().filter(|(_, node)| !node.is_dir()) {
        assert!(
            venv.pure.get(path).is_none(),
            "{path} is in both layers: {node:?}"
        );
    }
}

type Listing = BTreeMap<String, String>;

fn assert_alike(case: &str, ours: &Listing, theirs: &Listing) {
    let paths: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differing: Vec<_> = paths
        .into_iter()
        .filter(|path| ours.get(*path) != theirs.get(*path))
        .map(|path| {
            let lines = |listing: &Listing| -> BTreeSet<String> {
                let entry = listing.get(path).map_or("nothing", |entry| entry);
                entry.lines().map(str::to_owned).collect()
            };
            let (ours, theirs) = (lines(ours), lines(theirs));
            format!(
                "{path}: ours {:?}, uv's {:?}",
                &ours - &theirs,
                &theirs - &ours
            )
        })
        .collect();
    assert!(differing.is_empty(), "{case}:\n{}", differing.join("\n"));
}

fn ours(spec: &VenvSpec, venv: &Venv) -> Listing {
    let mut listing = Listing::new();
    let merged: [&Tree; 2] = [&venv.pure, &venv.native];
    for (path, node) in merged.into_iter().flat_map(Tree::iter) {
        let path = path.to_string();
        let path = path
            .strip_prefix(&spec.path.to_string())
            .unwrap()
            .trim_start_matches('/');
        let mode = node.meta.mode;
        let entry = match &node.kind {
            Kind::Dir => format!("folder {mode:o}"),
            Kind::Symlink(target) => format!("link {}", String::from_utf8_lossy(target)),
            Kind::File(content) => match venv.contents.get(&content.digest) {
                Some(Location::Inline(bytes)) => describe(path, mode, bytes),
                _ => format!("file {mode:o} {}", content.digest),
            },
            other => panic!("{path} is {other:?}"),
        };
        add(&mut listing, path, entry);
    }
    listing
}

fn theirs(root: &Path) -> Listing {
    let mut listing = Listing::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let shown = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let meta = fs::symlink_metadata(&path).unwrap();
            let mode = meta.permissions().mode() & 0o7777;
            let entry = if meta.is_symlink() {
                format!("link {}", fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                folders.push(path);
                format!("folder {mode:o}")
            } else {
                describe(&shown, mode, &fs::read(&path).unwrap())
            };
            add(&mut listing, &shown, entry);
        }
    }
    listing
}

/// Adds an entry, unless it is on the list of what differs on purpose.
fn add(listing: &mut Listing, path: &str, entry: String) {
    let name = path.rsplit('/').next().unwrap();
    let of_metadata = path.contains(".dist-info/") && METADATA.contains(&name);
    if !SHELL.contains(&path) && !of_metadata {
        listing.insert(path.to_owned(), entry);
    }
}

/// Describes a file; a RECORD without the lines of the files that differ on purpose, and without its mode: uv keeps an
/// execute bit of the RECORD that it replaces.
fn describe(path: &str, mode: u32, bytes: &[u8]) -> String {
    if !path.ends_with(".dist-info/RECORD") {
        return format!("file {mode:o} {}", Digest::of(bytes));
    }
    let text = str::from_utf8(bytes).unwrap();
    let kept = text.lines().filter(|line| {
        let path = line.split(',').next().unwrap();
        let of_metadata = |name| path.ends_with(&format!(".dist-info/{name}"));
        // uv keeps the line of a script that it leaves out because an entry point has its name.
        !METADATA.iter().any(of_metadata) && !path.contains(".data/scripts/")
    });
    let kept: Vec<_> = kept.collect();
    format!("file\n{}", kept.join("\n"))
}
