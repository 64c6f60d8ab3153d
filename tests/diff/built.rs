//! Two hundred seeded changes to images that were built: an RPM layer on a base, a user, a wheel, copied files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rayon::prelude::*;

use crate::choice::{Random, find};
use crate::harness::{Bench, installed, run, scratch, source};
use crate::mutations::{CHANGES, is_changed};
use crate::picture::Picture;
use crate::sample::noise;
use crate::told::{Expected, diff};

/// Changes to what only an image with Python has.
const OF_PYTHON: [&str; 3] = [
    "bytecode of another time",
    "RECORD in another order",
    "another installer",
];

/// One in so many of the other changes is made to the image with Python, which is larger.
const PYTHON_EVERY: usize = 12;

/// Which image is built: without Python, changes cost a third.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Python,
}

/// A built image, and the same taken apart.
struct Built {
    layout: PathBuf,
    picture: Picture,
}

fn recipe(kind: Kind) -> String {
    let (package, python) = match kind {
        Kind::Plain => ("", ""),
        Kind::Python => (
            ", \"python3.11\"",
            "[python]\nproject = \".\"\ninterpreter = \"python3.11\"\nvenv = \"/app/.venv\"\n",
        ),
    };
    format!(
        r#"[image]
name = "changed"

[base]
image = "public.ecr.aws/amazonlinux/amazonlinux:2023"

[runtime]
packages = ["edge-files", "jq"{package}]

{python}
[[copy]]
from = "src"
to = "/app/src"

[user]
name = "appuser"
uid = 1000

[config]
cmd = ["python", "-m", "app"]

[config.env]
PORT = "5000"

[config.labels]
"org.opencontainers.image.version" = "1"
"#
    )
}

/// Writes a project: the recipe, sources whose names letters sort otherwise than bytes, one wheel.
fn write_project(folder: &Path, kind: Kind) {
    fs::create_dir_all(folder.join("src/data")).expect("a folder");
    let put = |path: &str, bytes: &[u8]| fs::write(folder.join(path), bytes).expect("written");
    put("recipe.toml", recipe(kind).as_bytes());
    for at in 0..20 {
        let first = if at % 2 == 0 { 'B' } else { 'a' };
        let text = format!("print({at})\n# end\n");
        put(&format!("src/{first}{at:02}.py"), text.as_bytes());
    }
    put("src/data/blob", &noise(40, 5000));
    if kind == Kind::Python {
        put(
            "pyproject.toml",
            b"[project]\nname = \"changed\"\nversion = \"1\"\nrequires-python = \">=3.11\"\n\
              dependencies = [\"structlog\"]\n",
        );
        put("uv.lock", uv_lock("structlog").as_bytes());
    }
}

/// Locks one wheel, which needs no other, as recipes/webhook has it locked.
fn uv_lock(wheel: &str) -> String {
    let path = source().join("recipes/webhook/uv.lock");
    let locked = fs::read_to_string(path).expect("a lock");
    let mut blocks = locked.split("[[package]]\n");
    let head = blocks.next().expect("what comes first");
    let block = blocks.find(|block| block.starts_with(&format!("name = \"{wheel}\"")));
    let block = block.expect("it is locked");
    format!(
        "{head}[[package]]\nname = \"changed\"\nversion = \"1\"\nsource = {{ virtual = \".\" }}\n\
         dependencies = [{{ name = \"{wheel}\" }}]\n\n[package.metadata]\n\
         requires-dist = [{{ name = \"{wheel}\" }}]\n\n[[package]]\n{block}"
    )
}

impl Built {
    fn new(bench: &Bench, folder: &Path, kind: Kind) -> Self {
        let project = folder.join("project");
        write_project(&project, kind);
        run(bench.imgbuild(&["lock"]).arg(&project)).ok();
        let layout = folder.join("image");
        bench.build(&project, &layout).ok();
        let mut picture = Picture::read(&layout);
        // The base is by far the largest, and none of it is made here: its blob is linked and never written again.
        picture.untouched = 1;
        let owners = owners(&picture, folder);
        let made_by: Vec<String> = picture
            .layers
            .iter()
            .map(|layer| layer.created_by.clone())
            .collect();
        picture.owner = Arc::new(move |layer, path| {
            if let Some(names) = owners.get(path) {
                return names.iter().cloned().collect::<Vec<_>>().join("|");
            }
            match made_by[layer].strip_prefix("imgbuild: copy: ") {
                Some(from) => format!("copy {from}"),
                None => format!("layer {}", made_by[layer]),
            }
        });
        Self { layout, picture }
    }
}

/// Asks real rpm and reads RECORD: whom each path belongs to, to several if packages share a folder.
fn owners(picture: &Picture, folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let read = |end: &str| {
        let (layer, path) = find(picture, end);
        let content = picture.layers[layer]
            .tarball()
            .entry(&path)
            .content()
            .to_vec();
        (path, content)
    };
    let database = folder.join("rpmdb");
    fs::create_dir(&database).expect("a new folder");
    fs::write(database.join("rpmdb.sqlite"), read("/rpmdb.sqlite").1).expect("written");
    let query = ["-qa", "--qf", "[%{=NEVRA}\\t%{FILENAMES}\\n]", "--dbpath"];
    let listed = run(Command::new("rpm").args(query).arg(&database)).ok();
    for line in listed.out.lines() {
        let Some((name, path)) = line.split_once("\t/") else {
            continue;
        };
        // In the image these are links to folders of /usr.
        let is_moved = ["bin/", "sbin/", "lib/", "lib64/"]
            .iter()
            .any(|start| path.starts_with(start));
        let path = format!("{}{path}", if is_moved { "usr/" } else { "" });
        out.entry(path).or_default().insert(format!("rpm {name}"));
    }
    assert!(out.len() > 1000, "rpm lists {} paths", out.len());
    let has_wheel = |layer: &crate::picture::Layer| layer.created_by.contains("wheels");
    if picture.layers.iter().any(has_wheel) {
        let (path, record) = read(".dist-info/RECORD");
        let (site, rest) = path.rsplit_once("site-packages/").expect("a wheel");
        let (name, _) = rest.split_once(".dist-info").expect("a wheel");
        let owner = format!("wheel {}", name.replacen('-', " ", 1));
        for row in String::from_utf8(record).expect("text").lines() {
            let (file, _) = row.split_once(',').expect("a row");
            let path = format!("{site}site-packages/{file}");
            out.insert(path, BTreeSet::from([owner.clone()]));
        }
    }
    out
}

#[test]
fn two_hundred_changes_of_built_images_are_each_found_and_named() {
    let Some(bench) = Bench::open() else { return };
    if installed(&["rpm"]).is_none() {
        return;
    }
    // Changed images are written beside the built ones, so that blobs can be linked.
    let folder = scratch();
    let made = |name: &str, kind| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).expect("a new folder");
        Built::new(bench, &folder, kind)
    };
    let (plain, python) = (made("plain", Kind::Plain), made("python", Kind::Python));
    for built in [&plain, &python] {
        let same = built.picture.write(&folder.path().join("same"));
        let done = diff(&built.layout, &same.folder, &[]);
        Expected::at("same").check("nothing changed", &done);
        fs::remove_dir_all(&same.folder).expect("our own folder");
    }

    let mut cases = Vec::new();
    for (what, times, change) in CHANGES {
        for time in 0..=times {
            let count = cases.len();
            let is_python = OF_PYTHON.contains(&what) || count.is_multiple_of(PYTHON_EVERY);
            let built = if is_python { &python } else { &plain };
            cases.push((count, format!("{what} ({time})"), built, change));
        }
    }
    assert!(cases.len() >= 200, "only {} changes", cases.len());
    let failed: Vec<String> = cases
        .par_iter()
        .filter_map(|(count, what, built, change)| {
            let check = || {
                let mut random = Random::new(1000 + *count as u64);
                let mut picture = built.picture.clone();
                let expected = change(&mut random, &mut picture);
                assert!(is_changed(&built.picture, &picture), "it changes nothing");
                let b = picture.write(&folder.path().join(format!("b{count}")));
                expected.check(what, &diff(&built.layout, &b.folder, &[]));
                fs::remove_dir_all(&b.folder).expect("our own folder");
            };
            // All of them are tried, so that one failure does not hide another.
            let check = std::panic::AssertUnwindSafe(check);
            std::panic::catch_unwind(check)
                .is_err()
                .then(|| what.clone())
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
