//! The RPM database: read, rebuilt and written as rpm itself does it.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use imgbuild::oci::digest::hex;
use imgbuild::rpm::database::{Database, read};
use imgbuild::rpm::header::Header;
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
