//! Repository metadata: real repositories, every compression, and what headers say of the same packages.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use imgbuild::rpm::header::Header;
use imgbuild::rpm::package::{Nevra, Package};
use imgbuild::rpm::repodata::{
    Compression, open_compressed, parse_primary, parse_repomd, scan_filelists,
};

const LIMIT: u64 = 64 << 20;

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            out.extend(files_below(&path))
        } else {
            out.push(path)
        }
    }
    out.sort();
    out
}

#[test]
fn every_compressed_form_of_a_text_is_the_same_text() {
    let Some(folder) = common::data("repos/createrepo_c/compressed_files") else {
        return;
    };
    for name in ["00_plain.txt", "01_plain.txt"] {
        let plain = fs::read(folder.join(name)).expect("readable");
        for extension in ["gz", "bz2", "xz", "zst"] {
            let bytes = fs::read(folder.join(format!("{name}.{extension}"))).expect("readable");
            let mut text = Vec::new();
            let reader = open_compressed(&bytes[..], LIMIT).expect("known compression");
            { reader }.read_to_end(&mut text).expect("decompresses");
            assert!(text == plain, "{name}.{extension}");
        }
        let zchunk = fs::read(folder.join(format!("{name}.zck"))).expect("readable");
        assert_eq!(Compression::of(&zchunk), Compression::Zchunk);
    }
}

#[test]
fn real_repositories_are_read_and_their_checksums_hold() {
    let Some(folder) = common::data("repos") else {
        return;
    };
    let (mut repositories, mut packages, mut refused) = (0, 0, 0);
    for path in files_below(&folder)
        .iter()
        .filter(|path| path.ends_with("repodata/repomd.xml"))
    {
        let Ok(repomd) = parse_repomd(&fs::read(path).expect("readable")) else {
            refused += 1;
            continue;
        };
        repositories += 1;
        let root = path.ancestors().nth(2).expect("a repository");
        let Some(record) = repomd.records.get("primary") else {
            continue;
        };
        let Ok(bytes) = fs::read(root.join(&record.href)) else {
            continue;
        };
        // Of repo_01 the file was compressed anew after its checksum was taken: the mismatch is really there.
        let is_stale = path.ends_with("repo_01/repodata/repomd.xml");
        assert_eq!(
            record.checksum.matches(&bytes),
            !is_stale,
            "{}",
            path.display()
        );
        let mut plain = Vec::new();
        let size = record.open_size.unwrap_or(LIMIT);
        { open_compressed(&bytes[..], size).expect("known") }
            .read_to_end(&mut plain)
            .expect("decompresses");
        if let Some(checksum) = &record.open_checksum {
            assert!(checksum.matches(&plain), "{}", path.display());
        }
        match parse_primary(&plain[..], 0) {
            Ok(found) => packages += found.len(),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    assert!(
        repositories >= 5 && packages >= 5,
        "{repositories} repositories, {packages} packages, {refused} refused"
    );
}

#[test]
fn no_metadata_file_makes_a_parser_panic() {
    let Some(folder) = common::data("repos") else {
        return;
    };
    for path in files_below(&folder) {
        let bytes = fs::read(&path).expect("readable");
        let _ = parse_repomd(&bytes);
        for length in [bytes.len(), bytes.len() / 2, bytes.len() / 3] {
            if let Ok(reader) = open_compressed(&bytes[..length], LIMIT) {
                let _ = parse_primary(reader, 0);
            }
            if let Ok(reader) = open_compressed(&bytes[..length], LIMIT) {
                let _ = scan_filelists(reader, &BTreeSet::from(["/usr/bin/bash".into()]));
            }
        }
    }
}

#[test]
fn a_header_and_its_entry_in_primary_say_the_same() {
    let Some(repository) = common::data("repos-derived/centos-stream-9/repodata/primary.xml.gz")
    else {
        return;
    };
    let Some(database) = common::data("rpmdb/centos-stream-9/rpmdb.sqlite") else {
        return;
    };
    let bytes = fs::read(repository).expect("readable");
    let listed =
        parse_primary(open_compressed(&bytes[..], LIMIT).expect("gzip"), 0).expect("primary.xml");
    let uri = format!("file:{}?immutable=1", database.display());
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let database = rusqlite::Connection::open_with_flags(uri, flags).expect("opens");
    let mut rows = database
        .prepare("SELECT blob FROM Packages")
        .expect("has packages");
    let mut compared = 0;
    for blob in rows
        .query_map([], |row| row.get::<_, Vec<u8>>(0))
        .expect("rows")
    {
        let header = Header::parse(&blob.expect("a blob")).expect("a header");
        let ours = Package::from_header(&header).expect("a package");
        let Some(theirs) = listed
            .iter()
            .find(|package| package.nevra() == ours.nevra())
        else {
            assert_eq!(&*ours.name, "gpg-pubkey");
            continue;
        };
        let texts = |list: &[imgbuild::rpm::package::Dependency]| -> BTreeSet<String> {
            list.iter().map(ToString::to_string).collect()
        };
        let provides = |package: &Package| -> BTreeSet<String> {
            package.provides.iter().map(ToString::to_string).collect()
        };
        assert_eq!(provides(&ours), provides(theirs), "{}", ours.nevra());
        assert_eq!(
            texts(&ours.requires),
            texts(&theirs.requires),
            "{}",
            ours.nevra()
        );
        assert_eq!(
            texts(&ours.conflicts),
            texts(&theirs.conflicts),
            "{}",
            ours.nevra()
        );
        assert_eq!(
            texts(&ours.recommends),
            texts(&theirs.recommends),
            "{}",
            ours.nevra()
        );
        assert_eq!(
            (ours.build_time, &ours.source_rpm),
            (theirs.build_time, &theirs.source_rpm)
        );
        let all: BTreeSet<_> = ours.files.iter().collect();
        assert!(
            theirs.files.iter().all(|file| all.contains(file)),
            "{}",
            ours.nevra()
        );
        assert_eq!(
            header.nevra().parse::<Nevra>().expect("a full name"),
            ours.nevra()
        );
        compared += 1;
    }
    assert_eq!(compared, 137);
}
