//! The RPM database: read, rebuilt and written as rpm itself does it.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use imgbuild::oci::digest::hex;
use imgbuild::rpm::database::{Added, Database, InstallFacts, read};
use imgbuild::rpm::entries::entries;
use imgbuild::rpm::file::PackageFile;
use imgbuild::rpm::header::Header;
use imgbuild::rpm::selection::Selection;
use imgbuild::rpm::tag;
use rusqlite::types::Value;
use sha2::{Digest as _, Sha256};

const DATABASES: [(&str, usize); 4] = [
    ("centos-stream-9", 137),
    ("cbl-mariner-2.0", 129),
    ("rpm-upstream-tests", 3),
    ("fedora-identity-10pkgs", 10),
];

fn database(name: &str) -> Option<Vec<u8>> {
    let path = common::data(&format!("rpmdb/{name}/rpmdb.sqlite"))?;
    Some(std::fs::read(path).expect("reads"))
}

fn open(path: &Path) -> rusqlite::Connection {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", path.display());
    rusqlite::Connection::open_with_flags(uri, flags).expect("opens")
}

type Rows = Vec<(String, i64, i64)>;

/// All rows of all index tables, as SQLite returns them.
fn index_rows(path: &Path) -> BTreeMap<String, Rows> {
    let database = open(path);
    let mut tables = database
        .prepare(
            "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite%' AND name<>'Packages'",
        )
        .expect("tables");
    let names: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .expect("tables")
        .map(|row| row.expect("a name"))
        .collect();
    names
        .into_iter()
        .map(|name| {
            let mut query = database
                .prepare(&format!(
                    "SELECT key,hnum,idx FROM \"{name}\" ORDER BY rowid"
                ))
                .expect("columns");
            let rows = query
                .query_map([], |row| {
                    let key: Value = row.get(0)?;
                    Ok((format!("{key:?}"), row.get(1)?, row.get(2)?))
                })
                .expect("rows")
                .map(|row| row.expect("a row"))
                .collect();
            (name, rows)
        })
        .collect()
}

fn written(database: &Database, directory: &Path) -> std::path::PathBuf {
    let path = directory.join("rpmdb.sqlite");
    std::fs::write(&path, database.to_bytes().expect("writes")).expect("writes");
    path
}

#[test]
fn the_region_of_every_installed_header_has_the_digest_rpm_stored() {
    for (name, wanted) in &DATABASES[..2] {
        let Some(bytes) = database(name) else {
            return;
        };
        let packages = read(&bytes, None).expect("reads").packages;
        assert_eq!(packages.len(), *wanted);
        for package in packages {
            let header = package.header;
            let region = header.immutable_region().expect("a region");
            let digest = hex(&Sha256::digest(&region));
            assert_eq!(header.string(tag::SHA256HEADER), Some(digest.as_str()));
            Header::parse_with_magic(&region).expect("the region is a header");
        }
    }
}

#[test]
fn rows_computed_anew_are_those_that_rpm_wrote() {
    for (name, wanted) in DATABASES {
        let Some(source) = common::data(&format!("rpmdb/{name}/rpmdb.sqlite")) else {
            return;
        };
        let database = read(&std::fs::read(&source).expect("reads"), None).expect("reads");
        assert_eq!(database.packages.len(), wanted, "{name}");
        let directory = tempfile::tempdir().expect("a directory");
        let ours = written(&database, directory.path());
        let (mut theirs, mut ours) = (index_rows(&source), index_rows(&ours));
        assert_eq!(
            theirs.keys().collect::<Vec<_>>(),
            ours.keys().collect::<Vec<_>>()
        );
        for rows in theirs.values_mut().chain(ours.values_mut()) {
            rows.sort();
        }
        for (table, rows) in &theirs {
            let ours = &ours[table];
            let missing: Vec<_> = rows
                .iter()
                .filter(|row| ours.binary_search(row).is_err())
                .take(3)
                .collect();
            let extra: Vec<_> = ours
                .iter()
                .filter(|row| rows.binary_search(row).is_err())
                .take(3)
                .collect();
            assert_eq!(
                (&missing, &extra),
                (&Vec::new(), &Vec::new()),
                "{name} {table}"
            );
            assert_eq!(rows.len(), ours.len(), "{name} {table}");
        }
    }
}

#[test]
fn the_layout_of_the_base_does_not_reach_the_bytes() {
    let Some(bytes) = database("centos-stream-9") else {
        return;
    };
    let first = read(&bytes, None).expect("reads");
    let written = first.to_bytes().expect("writes");
    let second = read(&written, None).expect("reads what it wrote");
    assert_eq!(first.packages, second.packages);
    assert_eq!(first.last_number, second.last_number);
    assert!(second.to_bytes().expect("writes") == written);
    assert_eq!(&written[18..20], &[1, 1], "rollback journal");
}

const EPOCH: u32 = 1_714_521_600;

/// Packages that real rpm took into the database in `directory`, one transaction each.
fn installed_by_rpm(directory: &Path, candidates: &[PathBuf]) -> Option<Vec<PathBuf>> {
    common::rpm("rpm", directory)?;
    let mut installed = Vec::new();
    for package in candidates {
        let status = common::rpm("rpm", directory)?
            .env("SOURCE_DATE_EPOCH", EPOCH.to_string())
            .args(["-i", "--justdb", "--noscripts", "--notriggers", "--nodeps"])
            .args([
                "--ignorearch",
                "--ignoreos",
                "--nosignature",
                "--excludedocs",
            ])
            .arg(package)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("runs");
        if status.success() {
            installed.push(package.clone());
        }
    }
    Some(installed)
}

fn add(database: &mut Database, package: &Path, color: u32) {
    let bytes = std::fs::read(package).expect("reads");
    let file = PackageFile::open(&bytes).expect("what rpm installs opens");
    let files = entries(file.header()).expect("what rpm installs has files");
    let states = Selection {
        docs: true,
        languages: None,
        // Without files to install, rpm leaves none out.
        color: 0,
    }
    .states(&files);
    let added = Added {
        signature: file.signature(),
        header: file.header(),
        states: &states,
    };
    let facts = InstallFacts { time: EPOCH, color };
    database.add(&[added], facts).expect("merges");
}

fn candidates() -> Vec<PathBuf> {
    let mut found = common::data("rpms").map_or_else(Vec::new, |root| common::packages(&root));
    // Colours of files that packages share are the installation's matter, not the database's: no second architecture.
    found.retain(|path| {
        let name = path.to_string_lossy();
        name.ends_with(".rpm")
            && !name.ends_with(".i686.rpm")
            && !name.ends_with(".src.rpm")
            && !name.contains("corrupted")
    });
    found.extend(common::standin_packages("x86_64"));
    found
}

#[test]
fn real_rpm_writes_the_same_rows_and_headers() {
    let theirs = tempfile::tempdir().expect("a directory");
    let ours = tempfile::tempdir().expect("a directory");
    let Some(packages) = installed_by_rpm(theirs.path(), &candidates()) else {
        return;
    };
    if packages.is_empty() {
        return;
    }
    let main = std::fs::read(theirs.path().join("rpmdb.sqlite")).expect("rpm wrote it");
    let log = std::fs::read(theirs.path().join("rpmdb.sqlite-wal")).ok();
    let reference = read(&main, log.as_deref()).expect("reads");
    assert_eq!(reference.packages.len(), packages.len());
    let mut database = Database::default();
    for package in &packages {
        add(&mut database, package, reference.color());
    }
    let mut equal = 0;
    for (wanted, found) in reference.packages.iter().zip(&database.packages) {
        let name = found.header.nevra();
        assert_eq!(wanted.number, found.number, "{name}");
        // rpm 4.18 drops the tags that rpm 6 signs with; they are kept, so that signatures can still be verified.
        let is_newer =
            |header: &Header| header.contains(tag::OPENPGP) || header.contains(tag::SHA3_256HEADER);
        if is_newer(&found.header) {
            continue;
        }
        let tags = |header: &Header| {
            header
                .entries()
                .iter()
                .map(|entry| (entry.tag, header.data(entry).to_vec()))
                .collect::<Vec<_>>()
        };
        for (wanted, found) in tags(&wanted.header).iter().zip(&tags(&found.header)) {
            assert_eq!(wanted.0, found.0, "{name}");
            assert!(wanted.1 == found.1, "{name}: tag {}", wanted.0);
        }
        assert!(wanted.header == found.header, "{name}");
        equal += 1;
    }
    common::say(&format!("{equal} of {} headers compared", packages.len()));
    let path = written(&database, ours.path());
    let (wanted, found) = (
        index_rows(&theirs.path().join("rpmdb.sqlite")),
        index_rows(&path),
    );
    assert_eq!(wanted.len(), 18);
    for (table, rows) in &wanted {
        assert_eq!(rows, &found[table], "{table}");
    }
    // And rpm answers the same from both.
    for arguments in [
        &["-qa"][..],
        &["-qal"],
        &[
            "-qa",
            "--provides",
            "--requires",
            "--recommends",
            "--conflicts",
            "--obsoletes",
        ],
        &["-qa", "--scripts", "--triggers", "--filetriggers"],
        &["-qa", "--state"],
        &["-qai"],
        &["-q", "--whatrequires", "/bin/sh"],
        &["-q", "--whatprovides", "rpm-basic"],
        &["-qf", "/usr/bin/hello"],
        &["-ea", "--test", "--nodeps"],
    ] {
        let answer = |directory: &Path| {
            let output = common::rpm("rpm", directory)?
                .args(arguments)
                .output()
                .ok()?;
            Some((
                output.status.code(),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            ))
        };
        let (wanted, found) = (answer(theirs.path()), answer(ours.path()));
        assert!(
            wanted == found,
            "{arguments:?}: {wanted:.300?}\n{found:.300?}"
        );
    }
    let status = common::rpm("rpmdb", ours.path())
        .expect("comes with rpm")
        .arg("--verifydb")
        .status()
        .expect("runs");
    assert!(status.success());
}

#[test]
fn what_only_the_write_ahead_log_holds_is_installed_too() {
    let Some(bytes) = database("centos-stream-9") else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rpmdb.sqlite");
    std::fs::write(&path, bytes).expect("writes");
    let writer = rusqlite::Connection::open(&path).expect("opens");
    let mode: String = writer
        .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
        .expect("a mode");
    assert_eq!(mode, "wal");
    writer
        .execute_batch(
            "PRAGMA foreign_keys=OFF; PRAGMA wal_autocheckpoint=0; DELETE FROM Packages WHERE hnum<=100; \
             INSERT INTO Packages(blob) SELECT blob FROM Packages WHERE hnum=120;",
        )
        .expect("writes");
    let main = std::fs::read(&path).expect("reads");
    let log = std::fs::read(directory.path().join("rpmdb.sqlite-wal")).expect("there is a log");
    assert_eq!(read(&main, None).expect("reads").packages.len(), 137);
    let folded = read(&main, Some(&log)).expect("reads");
    let count: i64 = writer
        .query_row("SELECT count(*) FROM Packages", [], |row| row.get(0))
        .expect("counts");
    assert_eq!(folded.packages.len() as i64, count);
    assert_ne!(count, 137);
    // A log that was cut, or whose last frames were damaged, ends at the last commit before that.
    for length in (0..log.len()).step_by(997) {
        let cut = read(&main, Some(&log[..length]))
            .expect("reads")
            .packages
            .len() as i64;
        assert!(
            cut == 137 || cut == count || (37..=138).contains(&cut),
            "{length}: {cut}"
        );
    }
    let mut damaged = log.clone();
    damaged[40] ^= 1;
    assert_eq!(
        read(&main, Some(&damaged)).expect("reads").packages.len(),
        137
    );
}

#[test]
fn databases_of_other_formats_are_named_as_such() {
    let mut berkeley = vec![0; 4096];
    berkeley[12..16].copy_from_slice(&0x0006_1561_u32.to_le_bytes());
    let error = read(&berkeley, None).expect_err("refused");
    assert!(error.to_string().contains("Berkeley DB"), "{error}");
    let error = read(b"RpmP\0\0\0\0", None).expect_err("refused");
    assert!(error.to_string().contains("ndb"), "{error}");
    let error = read(b"<html>", None).expect_err("refused");
    assert!(error.to_string().contains("3c68746d6c3e"), "{error}");
    assert!(
        read(b"", None)
            .expect("an empty file is an empty database")
            .packages
            .is_empty()
    );
}

#[test]
fn damaged_databases_are_refused_without_panic() {
    let Some(bytes) = database("rpm-upstream-tests") else {
        return;
    };
    for length in (0..bytes.len()).step_by(511) {
        let _ = read(&bytes[..length], None);
    }
    let mut damaged = bytes.clone();
    for at in (0..bytes.len()).step_by(97) {
        damaged[at] ^= 0xff;
        if let Ok(database) = read(&damaged, None) {
            let _ = database.to_bytes();
        }
        damaged[at] ^= 0xff;
    }
}
