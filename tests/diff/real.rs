//! A real image: recipes/webhook on the stand-in, changed in a few places; and what umoci sees of changed images.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rusqlite::{Connection, MAIN_DB};
use serde_json::Value;

use crate::choice::Random;
use crate::harness::{
    Bench, Listed, Made, imgbuild, installed, needs_root, parse_mtree, run, scratch,
};
use crate::mutations::CHANGES;
use crate::picture::{Picture, Written};
use crate::sample::{BASE, sample};
use crate::server;
use crate::told::{Expected, causes, diff, entries};

/// INSTALLTIME in a header's index: the tag, one 32-bit number, and where it is.
const INSTALL_TIME: [u8; 8] = [0, 0, 0x03, 0xf0, 0, 0, 0, 4];

/// Returns the position of the layer whose line of the history holds `words`.
fn layer(picture: &Picture, words: &str) -> usize {
    let found = picture
        .layers
        .iter()
        .position(|layer| layer.created_by.contains(words));
    found.unwrap_or_else(|| panic!("no layer is made by {words}"))
}

/// Returns the first regular file whose path has this beginning and end.
fn find(picture: &Picture, layer: usize, start: &str, end: &str) -> String {
    let tarball = picture.layers[layer].tarball();
    let mut paths = tarball
        .entries
        .iter()
        .filter(|piece| piece.kind() == b'0')
        .map(|it| it.path());
    let found = paths.find(|path| path.starts_with(start) && path.ends_with(end));
    found.unwrap_or_else(|| panic!("no {start}…{end} in layer {layer}"))
}

#[test]
fn paths_of_a_real_image_belong_to_their_package_wheel_or_rule() {
    let Some(bench) = Bench::open() else { return };
    let folder = scratch();
    let original = Picture::read(&bench.made(Made::Amd64));
    let a = original.write(&folder.path().join("a"));
    let (rpm, wheels) = (
        layer(&original, "imgbuild: rpm:"),
        layer(&original, "(pure wheels)"),
    );
    let copy = layer(&original, "imgbuild: copy:");
    let wheel = find(
        &original,
        wheels,
        "app/.venv/lib/python3.11/site-packages/fastapi/",
        ".py",
    );
    let copied = find(&original, copy, "app/src/", ".py");
    let python = find(&original, rpm, "usr/lib/python3.11/", ".py");
    for (at, path, owner) in [
        (rpm, python.as_str(), "rpm python3.11"),
        (0, "usr/bin/bash", "rpm bash-"),
        (wheels, wheel.as_str(), "wheel fastapi "),
        (copy, copied.as_str(), "copy src"),
    ] {
        let mut picture = original.clone();
        picture.edit_entry(at, path, |piece| {
            let mut content = piece.content().to_vec();
            let middle = content.len() / 2;
            content[middle] ^= 1;
            piece.set_content(&content);
        });
        let b = picture.write(&folder.path().join("b"));
        let done = diff(&a.folder, &b.folder, &[]);
        Expected::at("differs")
            .row(format!("changed /{path} content"))
            .check(path, &done);
        let report: Value = serde_json::from_str(&done.out).expect("JSON");
        let [row] = entries(&report).try_into().expect("one row");
        for key in ["ownerA", "ownerB"] {
            let text = |field: &str| row[key][field].as_str().unwrap_or_default();
            let found = format!("{} {}", text("kind"), text("name"));
            assert!(found.starts_with(owner), "{path}: {found}, not {owner}");
        }
        assert_eq!(causes(&report).contains("moved-base"), at == 0, "{path}");
        std::fs::remove_dir_all(&b.folder).expect("our own folder");
    }
}

/// Returns the database with every package installed a second later.
fn later(database: &[u8]) -> Vec<u8> {
    let mut database = database.to_vec();
    // Without a write-ahead log, which needs a file.
    database[18..20].fill(1);
    let length = database.len();
    let mut connection = Connection::open_in_memory().expect("in memory");
    connection
        .deserialize_read_exact(MAIN_DB, database.as_slice(), length, false)
        .expect("a database");
    let mut query = connection
        .prepare("SELECT hnum, blob FROM Packages")
        .expect("rpm's table");
    let rows: Vec<(i64, Vec<u8>)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("rows")
        .map(|row| row.expect("a row"))
        .collect();
    drop(query);
    for (number, mut blob) in rows {
        let word =
            |at: usize| u32::from_be_bytes(blob[at..at + 4].try_into().expect("4 bytes")) as usize;
        let data = 8 + 16 * word(0);
        let entry = (8..data)
            .step_by(16)
            .find(|&at| blob[at..at + 8] == INSTALL_TIME)
            .expect("it was installed");
        let last = data + word(entry + 8) + 3;
        blob[last] ^= 1;
        connection
            .execute("UPDATE Packages SET blob=?1 WHERE hnum=?2", (blob, number))
            .expect("updated");
    }
    connection.serialize(MAIN_DB).expect("bytes").to_vec()
}

#[test]
fn packages_that_were_installed_at_another_time_are_recognised() {
    let Some(bench) = Bench::open() else { return };
    let folder = scratch();
    let original = Picture::read(&bench.made(Made::Amd64));
    let a = original.write(&folder.path().join("a"));
    let at = layer(&original, "imgbuild: rpm:");
    let path = find(&original, at, "", "/rpmdb.sqlite");
    let mut picture = original.clone();
    picture.edit_entry(at, &path, |piece| {
        piece.set_content(&later(piece.content()))
    });
    let b = picture.write(&folder.path().join("b"));
    let done = diff(&a.folder, &b.folder, &[]);
    assert_eq!(done.code, Some(1), "{done}");
    let report: Value = serde_json::from_str(&done.out).expect("JSON");
    assert!(causes(&report).contains("rpm-install-time"), "{done}");
    assert!(
        done.out
            .contains("the same but for when they were installed"),
        "{done}"
    );
}

#[test]
fn every_form_of_a_built_image_is_the_same_and_its_stages_are_not() {
    let Some(bench) = Bench::open() else { return };
    let made = |what| bench.made(what);
    for archive in [Made::OciArchive, Made::DockerArchive] {
        let done = diff(&made(Made::Amd64), &made(archive), &[]);
        Expected::at("same").check("an archive", &done);
    }
    // The layout of both platforms holds the same image.
    let chosen = ["--platform", "linux/amd64"];
    let done = diff(&made(Made::Both), &made(Made::Amd64), &chosen);
    Expected::at("same").check("one platform of two", &done);
    let done = diff(&made(Made::Both), &made(Made::Amd64), &[]);
    assert_eq!(done.code, Some(1), "{done}");
    let done = run(&mut imgbuild(&[
        "diff",
        "--all",
        &made(Made::Amd64).display().to_string(),
        &made(Made::Builder).display().to_string(),
    ]));
    assert_eq!(done.code, Some(1), "{done}");
    assert!(done.out.contains("package added: "), "{done}");
}

#[test]
fn an_image_in_a_registry_is_compared_with_one_on_disk() {
    if !server::have("docker-registry") {
        return;
    }
    let real = server::real::real_registry("", "");
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    let mut picture = sample();
    picture.edit_entry(BASE, "etc/motd", |piece| piece.set_content(b"other\n"));
    let b = picture.write(&folder.path().join("b"));
    let cache = folder.path().join("cache").display().to_string();
    let there = format!("{}/team/sample:1", real.host);
    let flags = ["--cache-dir", &cache];
    let pushed = run(imgbuild(&["push"]).arg(&a.folder).arg(&there).args(flags)).ok();
    let digest = format!("{}/team/sample@{}", real.host, a.top);
    assert!(pushed.out.contains(&a.top), "{pushed}");
    for reference in [&there, &digest] {
        let done = diff(&a.folder, Path::new(reference), &flags);
        Expected::at("same").check(reference, &done);
    }
    let done = diff(Path::new(&there), &b.folder, &flags);
    Expected::at("differs")
        .row("changed /etc/motd content,size")
        .check("a changed file", &done);
    let absent = format!("{}/team/sample:2", real.host);
    let done = diff(Path::new(&absent), &b.folder, &flags);
    assert_eq!(done.code, Some(3), "{done}");
}

/// Returns the path of a row, and those that it says are names of the same file.
fn named(row: &Value) -> Vec<String> {
    let changes = row["changes"].as_array().expect("a list").iter();
    let links = changes.filter(|change| change["attribute"] == "hard-link");
    let mut out: Vec<String> = links
        .flat_map(|change| [&change["a"], &change["b"]])
        .filter_map(|value| value.as_str()?.strip_prefix("one file with "))
        .flat_map(|names| names.split(", "))
        .map(str::to_owned)
        .collect();
    out.push(row["path"].as_str().expect("text").to_owned());
    out
}

/// Unpacks a written image with umoci and returns what it found on disk.
fn unpacked(image: &Written, bundle: &Path) -> BTreeMap<String, Listed> {
    let image = format!("{}:t", image.folder.display());
    run(Command::new("umoci")
        .args(["unpack", "--image", &image])
        .arg(bundle))
    .ok();
    let listing = crate::harness::names(bundle)
        .into_iter()
        .find(|name| name.ends_with(".mtree"))
        .expect("umoci writes one");
    let text = std::fs::read_to_string(bundle.join(listing)).expect("text");
    let listed = parse_mtree(&text);
    let rootfs = bundle.join("rootfs");
    std::fs::remove_dir_all(rootfs).expect("our own folder");
    listed
}

#[test]
fn umoci_sees_no_difference_that_is_not_told() {
    if installed(&["umoci"]).is_none()
        || needs_root("umoci unpacks owners and attributes").is_none()
    {
        return;
    }
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    let before = unpacked(&a, &folder.path().join("bundle-a"));
    assert!(before.len() > 40, "umoci lists {} paths", before.len());
    let mut seen = 0;
    for (at, (what, _, change)) in CHANGES.into_iter().enumerate() {
        let mut picture = sample();
        change(&mut Random::new(at as u64), &mut picture);
        if picture
            .layers
            .iter()
            .any(|layer| layer.media_type.ends_with("zstd"))
        {
            // umoci of Debian 12 does not read it.
            continue;
        }
        let b = picture.write(&folder.path().join(format!("b{at}")));
        let after = unpacked(&b, &folder.path().join(format!("bundle-{at}")));
        let done = diff(&a.folder, &b.folder, &[]);
        let report: Value = serde_json::from_str(&done.out).expect("JSON");
        let told: Vec<String> = entries(&report).iter().flat_map(named).collect();
        let paths = before.keys().chain(after.keys());
        for path in paths.filter(|path| before.get(*path) != after.get(*path)) {
            // Of a folder that is hidden or whose list of names changed, what is in it tells.
            let is_told = |told: &String| {
                let path = format!("/{path}");
                told == &path
                    || path.starts_with(&format!("{told}/"))
                    || told.starts_with(&format!("{path}/"))
                    || path == "/"
            };
            assert!(
                told.iter().any(is_told),
                "{what}: umoci sees {path}: {done}"
            );
            seen += 1;
        }
    }
    assert!(seen > 40, "umoci saw only {seen} differences");
}
