//! The RPM database: read, rebuilt and written as rpm itself does it.

mod common;

use imgbuild::rpm::header::Header;
use imgbuild::rpm::tag;
use sha2::{Digest as _, Sha256};

fn blobs(database: &std::path::Path) -> Vec<Vec<u8>> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", database.display());
    let database = rusqlite::Connection::open_with_flags(uri, flags).expect("opens");
    let mut rows = database
        .prepare("SELECT blob FROM Packages ORDER BY hnum")
        .expect("has packages");
    rows.query_map([], |row| row.get(0))
        .expect("rows")
        .map(|row| row.expect("a blob"))
        .collect()
}

#[test]
fn the_region_of_every_installed_header_has_the_digest_rpm_stored() {
    for (name, wanted) in [("centos-stream-9", 137), ("cbl-mariner-2.0", 129)] {
        let Some(path) = common::data(&format!("rpmdb/{name}/rpmdb.sqlite")) else {
            return;
        };
        let mut verified = 0;
        for blob in blobs(&path) {
            let header = Header::parse(&blob).expect("a header rpm wrote");
            let region = header.immutable_region().expect("a region");
            let digest = imgbuild::oci::digest::hex(&Sha256::digest(&region));
            assert_eq!(header.string(tag::SHA256HEADER), Some(digest.as_str()));
            Header::parse_with_magic(&region).expect("the region is a header");
            verified += 1;
        }
        assert_eq!(verified, wanted);
    }
}
