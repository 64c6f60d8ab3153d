//! Every scriptlet of real distributions, and which of them nobody knows.

use std::path::{Path, PathBuf};

use imgbuild::rpm::effects::{Scriptlet, Transaction, Verdict};
use imgbuild::rpm::header::Header;

use crate::common;

fn headers(database: &Path) -> Vec<Header> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", database.display());
    let database = rusqlite::Connection::open_with_flags(uri, flags).expect("opens");
    let mut rows = database
        .prepare("SELECT blob FROM Packages ORDER BY hnum")
        .expect("has packages");
    rows.query_map([], |row| row.get::<_, Vec<u8>>(0))
        .expect("rows")
        .map(|row| Header::parse(&row.expect("a blob")).expect("a header"))
        .collect()
}

fn all_of(headers: &[Header]) -> Vec<Scriptlet> {
    Transaction {
        arriving: headers.iter().collect(),
        ..Transaction::default()
    }
    .scriptlets()
}

fn shown(scriptlet: &Scriptlet) -> String {
    let verdict = match &scriptlet.verdict {
        Verdict::Effect(_) => "effect",
        Verdict::NoEffect { .. } => "none",
        Verdict::Unknown { .. } => "UNKNOWN",
    };
    format!("{} {verdict}", scriptlet.key())
}

#[test]
fn of_the_scriptlets_of_centos_stream_9_these_are_unknown() {
    let Some(path) = common::data("rpmdb/centos-stream-9/rpmdb.sqlite") else {
        return;
    };
    let found: Vec<String> = all_of(&headers(&path)).iter().map(shown).collect();
    assert_eq!(
        found,
        [
            "filesystem:pretrans none",
            "setup:post effect",
            "bash:post effect",
            "libgcc:post effect",
            "glibc:pre none",
            "glibc:post effect",
            "crypto-policies:post UNKNOWN",
            "p11-kit-trust:post effect",
            "libblkid:post none",
            "ca-certificates:pre none",
            "ca-certificates:post effect",
            "systemd-libs:post UNKNOWN",
            "tpm2-tss:pre effect",
            "elfutils-default-yama-scope:post none",
            "dnf:post none",
            "filesystem:posttrans none",
            "ca-certificates:posttrans effect",
            "rpm:posttrans none",
            "crypto-policies-scripts:posttrans none",
            "rootfiles:posttrans none",
            "glibc-common:transfiletriggerin effect",
            "glib2:transfiletriggerin none",
            "glib2:transfiletriggerin UNKNOWN",
        ]
    );
}

#[test]
fn of_the_scriptlets_of_mariner_2_these_are_unknown() {
    let Some(path) = common::data("rpmdb/cbl-mariner-2.0/rpmdb.sqlite") else {
        return;
    };
    let unknown: Vec<String> = all_of(&headers(&path))
        .iter()
        .filter(|scriptlet| matches!(scriptlet.verdict, Verdict::Unknown { .. }))
        .map(Scriptlet::key)
        .collect();
    assert_eq!(
        unknown,
        [
            "filesystem:post",
            "bash:post",
            "libsepol:post",
            "cracklib:post",
            "vim:post",
            "systemd:post",
            "shadow-utils:post",
            "mariner-repos-shared:posttrans",
        ]
    );
}

#[test]
fn file_triggers_of_the_base_are_woken_by_new_files_only() {
    let Some(path) = common::data("rpmdb/centos-stream-9/rpmdb.sqlite") else {
        return;
    };
    let all = headers(&path);
    let of = |wanted: &str| {
        let found = all.iter().find(|header| header.name() == Some(wanted));
        found.expect("in the database")
    };
    let base: Vec<&Header> = all.iter().collect();
    let arriving = |name| {
        Transaction {
            arriving: vec![of(name)],
            staying: base.clone(),
            ..Transaction::default()
        }
        .scriptlets()
    };
    let woken = arriving("zlib");
    assert_eq!(woken.len(), 1, "{woken:?}");
    assert_eq!(woken[0].key(), "glibc-common:transfiletriggerin");
    assert_eq!(woken[0].woken_by.as_deref(), Some("/usr/lib"));
    // Time zones are not libraries.
    assert_eq!(arriving("tzdata"), []);
}

/// Finds the stand-in distribution's packages, if it was built.
pub(super) fn standin() -> Option<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![common::standin()?];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rpm") {
                found.push(path);
            }
        }
    }
    found.sort();
    Some(found)
}

/// Reads the main header of a package: lead, signature header padded to 8, header.
fn package_header(path: &Path) -> Header {
    let bytes = std::fs::read(path).expect("a package");
    let size = |at: usize| {
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        16 + 16 * word(at + 8) as usize + word(at + 12) as usize
    };
    let at = 96 + size(96).next_multiple_of(8);
    Header::parse_with_magic(&bytes[at..at + size(at)]).expect("a header")
}

#[test]
fn of_the_scriptlets_of_the_stand_in_only_the_made_up_ones_are_unknown() {
    let Some(packages) = standin() else {
        return;
    };
    let headers: Vec<Header> = packages.iter().map(|path| package_header(path)).collect();
    let found = all_of(&headers);
    assert!(!found.is_empty());
    // Two Lua scripts of packages that every base has, and one that writes to /tmp.
    let expected = ["bash:post", "filesystem:pretrans", "edge-trigger:triggerin"];
    for scriptlet in found {
        let is_unknown = matches!(scriptlet.verdict, Verdict::Unknown { .. });
        assert!(
            !is_unknown || expected.contains(&scriptlet.key().as_str()),
            "{}: {:?}",
            scriptlet.key(),
            scriptlet.verdict
        );
    }
}
