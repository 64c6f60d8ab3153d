//! Signatures and digests: real keys, packages, databases and repositories.

mod common;
#[path = "common/standin.rs"]
mod standin;

use std::fs;
use std::path::Path;

use imgbuild::rpm::header::Header;
use imgbuild::rpm::keys::{
    Key, KeyProblem, PayloadDigest, SignatureError, check_header_digest, key_of_database_entry,
    parse_keys, payload_digest, verify_detached, verify_header, verify_package, verify_parts,
};
use imgbuild::rpm::tag;

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn keys(names: &[&str]) -> Option<Vec<Key>> {
    let mut out = Vec::new();
    for name in names {
        out.extend(
            parse_keys(&read(&common::data(name)?))
                .unwrap_or_else(|error| panic!("{name}: {error}")),
        );
    }
    Some(out)
}

/// A package file in its parts.
struct File {
    signatures: Header,
    header: Header,
    header_with_magic: Vec<u8>,
    payload: Vec<u8>,
}

fn open(path: &Path) -> File {
    let bytes = read(path);
    let start = 96;
    let length = Header::length_with_magic(&bytes[start..]).expect("a signature header");
    let signatures =
        Header::parse_with_magic(&bytes[start..start + length]).expect("a signature header");
    let start = start + length.next_multiple_of(8);
    let length = Header::length_with_magic(&bytes[start..]).expect("a header");
    let header_with_magic = bytes[start..start + length].to_vec();
    let header = Header::parse_with_magic(&header_with_magic).expect("a header");
    File {
        signatures,
        header,
        header_with_magic,
        payload: bytes[start + length..].to_vec(),
    }
}

fn database(path: &Path) -> Vec<Vec<u8>> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", path.display());
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
fn the_keys_of_distributions_are_read() {
    for (name, wanted) in [
        (
            "RPM-GPG-KEY-amazon-linux-2023",
            "B21C50FA44A99720EAA72F7FE951904AD832C631",
        ),
        (
            "RPM-GPG-KEY-CentOS-Official-SHA256",
            "99DB70FAE1D7CE227FB6488205B555B38483C65D",
        ),
        (
            "RPM-GPG-KEY-CentOS-7",
            "6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5",
        ),
        ("RPM-GPG-KEY-fedora-44-primary", ""),
        ("RPM-GPG-KEY-openSUSE", ""),
        ("RPM-GPG-KEY-EPEL-7", ""),
        ("MICROSOFT-RPM-GPG-KEY-mariner.asc", ""),
    ] {
        let Some(keys) = keys(&[&format!("keys/{name}")]) else {
            return;
        };
        assert!(
            !keys.is_empty() && keys.iter().all(|key| !key.names().is_empty()),
            "{name}: {keys:?}"
        );
        if !wanted.is_empty() {
            assert_eq!(keys[0].fingerprint().to_string(), wanted, "{name}");
        }
    }
}

#[test]
fn every_installed_header_is_vouched_for_and_a_flipped_bit_is_not() {
    for (name, key, wanted) in [
        ("centos-stream-9", "RPM-GPG-KEY-CentOS-Official-SHA256", 137),
        ("cbl-mariner-2.0", "MICROSOFT-RPM-GPG-KEY-mariner.asc", 129),
    ] {
        let Some(path) = common::data(&format!("rpmdb/{name}/rpmdb.sqlite")) else {
            return;
        };
        let Some(keys) = keys(&[&format!("keys/{key}")]) else {
            return;
        };
        let (mut good, mut refused) = (0, 0);
        for blob in database(&path) {
            let header = Header::parse(&blob).expect("a header rpm wrote");
            let mut region = header.immutable_region().expect("a region");
            let fingerprint = verify_package(&keys, &header, &region);
            let fingerprint =
                fingerprint.unwrap_or_else(|error| panic!("{}: {error}", header.nevra()));
            assert!(keys.iter().any(|key| *key.fingerprint() == fingerprint));
            check_header_digest(&header, &region).expect("the header's digest");
            assert!(
                matches!(payload_digest(&header), Ok(PayloadDigest::Sha256(_))),
                "{}",
                header.nevra()
            );
            good += 1;
            let at = (good * 7919) % region.len();
            region[at] ^= 1;
            let flipped = verify_package(&keys, &header, &region);
            assert!(
                matches!(flipped, Err(SignatureError::Bad(_))),
                "{}: {flipped:?}",
                header.nevra()
            );
            assert!(check_header_digest(&header, &region).is_err());
            refused += 1;
        }
        assert_eq!((good, refused), (wanted, wanted), "{name}");
    }
}

#[test]
fn packages_of_many_kinds_are_verified() {
    let crate_keys = "rpms/rpm-crate-0.30.2/signing_keys";
    let upstream = "rpms/rpm-upstream-tests/keys";
    for (package, key) in [
        (
            "rpms/rpm-rs-0.8.1/389-ds-base-devel-1.3.8.4-15.el7.x86_64.rpm",
            "keys/RPM-GPG-KEY-CentOS-7".to_owned(),
        ),
        (
            "rpms/rpm-rs-0.8.1/monkeysphere-0.37-1.el7.noarch.rpm",
            "keys/RPM-GPG-KEY-EPEL-7".to_owned(),
        ),
        (
            "rpms/rpm-rs-0.8.1/rpm-sign-4.15.1-1.fc31.x86_64.rpm",
            "keys/RPM-GPG-KEY-fedora-31-primary".to_owned(),
        ),
        (
            "rpms/rpm-crate-0.30.2/RPMS/v4/signed/rpm-basic-with-rsa4096-2.3.4-5.el9.noarch.rpm",
            format!("{crate_keys}/v4/rpm-testkey-v4-rsa4096.asc"),
        ),
        (
            "rpms/rpm-crate-0.30.2/RPMS/v4/signed/rpm-basic-with-ed25519-2.3.4-5.el9.noarch.rpm",
            format!("{crate_keys}/v4/rpm-testkey-v4-ed25519.asc"),
        ),
        (
            "rpms/rpm-crate-0.30.2/RPMS/v4/signed/rpm-basic-with-ecdsa-2.3.4-5.el9.noarch.rpm",
            format!("{crate_keys}/v4/rpm-testkey-v4-ecdsa-nistp256.asc"),
        ),
        (
            "rpms/rpm-crate-0.30.2/RPMS/v6/signed/rpm-basic-with-rsa4k-2.3.4-5.el9.noarch.rpm",
            format!("{crate_keys}/v6/rpm-testkey-v6-rsa4k.asc"),
        ),
        (
            "rpms/rpm-crate-0.30.2/RPMS/v6/signed/rpm-basic-with-ed25519-2.3.4-5.el9.noarch.rpm",
            format!("{crate_keys}/v6/rpm-testkey-v6-ed25519.asc"),
        ),
        (
            "rpms/rpm-crate-0.30.2/RPMS/v6/signed/rpm-basic-multiple-signatures-2.3.4-5.el9.noarch.rpm",
            format!("{crate_keys}/v6/rpm-testkey-v6-ed25519.asc"),
        ),
        (
            "rpms/rpm-upstream-tests/hello-2.0-1.x86_64-signed-with-new-subkey.rpm",
            format!("{upstream}/rpm.org-rsa-2048-add-subkey.asc"),
        ),
        (
            "rpms/rpm-upstream-tests/hello-2.0-1.x86_64-signed.rpm",
            format!("{upstream}/rpm.org-rsa-2048-test.pub"),
        ),
        (
            "rpms/rpm-upstream-tests/hello-2.0-1.x86_64-v3-signed.rpm",
            format!("{upstream}/rpm.org-rsa-2048-test.pgp"),
        ),
    ] {
        let Some(path) = common::data(package) else {
            return;
        };
        let Some(keys) = keys(&[&key]) else { return };
        let file = open(&path);
        verify_package(&keys, &file.signatures, &file.header_with_magic)
            .unwrap_or_else(|error| panic!("{package}: {error}"));
        check_header_digest(&file.signatures, &file.header_with_magic).expect(package);
        assert_ne!(
            payload_digest(&file.header)
                .expect(package)
                .matches(&file.payload),
            Some(false),
            "{package}"
        );
        // The signature of header and payload together, where there is one.
        if let Some(signature) = file.signatures.binary(tag::signature::PGP) {
            verify_parts(&keys, &[&file.header_with_magic, &file.payload], signature)
                .unwrap_or_else(|error| panic!("{package}, with payload: {error}"));
            let mut payload = file.payload.clone();
            payload[100] ^= 1;
            let error = verify_parts(&keys, &[&file.header_with_magic, &payload], signature);
            assert!(
                matches!(error, Err(SignatureError::Bad(_))),
                "{package}: {error:?}"
            );
        }
    }
}

#[test]
fn what_is_not_signed_well_is_refused_and_the_error_says_why() {
    let Some(path) = common::data("rpms/rpm-upstream-tests/hello-2.0-1.x86_64.rpm") else {
        return;
    };
    let Some(amazon) = keys(&["keys/RPM-GPG-KEY-amazon-linux-2023"]) else {
        return;
    };
    let unsigned = open(&path);
    let answer = verify_package(&amazon, &unsigned.signatures, &unsigned.header_with_magic);
    assert_eq!(answer, Err(SignatureError::Unsigned));

    let Some(path) = common::data("rpms/rpm-upstream-tests/hello-2.0-1.x86_64-signed.rpm") else {
        return;
    };
    let signed = open(&path);
    let signature = signed.signatures.binary(tag::RSAHEADER).expect("signed");
    let answer = verify_header(&amazon, &signed.header_with_magic, signature);
    let error = answer.expect_err("another key").to_string();
    assert!(error.contains("4344591E1964C5FC"), "{error}");
    assert!(
        error.contains("B21C50FA44A99720EAA72F7FE951904AD832C631"),
        "{error}"
    );

    // Subkeys that the primary key never bound, or bound wrongly (CVE-2021-3521).
    let Some(path) =
        common::data("rpms/rpm-upstream-tests/hello-2.0-1.x86_64-signed-with-subkey.rpm")
    else {
        return;
    };
    let signed = open(&path);
    for name in [
        "CVE-2021-3521-badbind.asc",
        "CVE-2021-3521-nosubsig.asc",
        "CVE-2021-3521-nosubsig-last.asc",
    ] {
        let Some(path) = common::data(&format!("rpms/rpm-upstream-tests/keys/{name}")) else {
            return;
        };
        let keys = parse_keys(&read(&path)).unwrap_or_default();
        let answer = verify_package(&keys, &signed.signatures, &signed.header_with_magic);
        assert!(answer.is_err(), "{name}: {answer:?}");
    }

    for garbage in [
        &b""[..],
        b"garbage",
        b"\x89",
        b"\xc2\xff\xff\xff\xff\xff",
        &[0x88; 300],
    ] {
        assert!(verify_header(&amazon, b"x", garbage).is_err());
        assert!(parse_keys(garbage).is_err());
    }
}

#[test]
fn every_cut_of_a_signature_and_a_key_is_an_error_and_not_a_panic() {
    let Some(path) = common::data("rpms/rpm-upstream-tests/hello-2.0-1.x86_64-signed.rpm") else {
        return;
    };
    let Some(path_of_key) = common::data("rpms/rpm-upstream-tests/keys/rpm.org-rsa-2048-test.pgp")
    else {
        return;
    };
    let signed = open(&path);
    let key = read(&path_of_key);
    let keys = parse_keys(&key).expect("a key");
    let signature = signed.signatures.binary(tag::RSAHEADER).expect("signed");
    for length in 0..signature.len() {
        assert!(
            verify_header(&keys, &signed.header_with_magic, &signature[..length]).is_err(),
            "{length}"
        );
    }
    for at in 0..signature.len() * 8 {
        let mut flipped = signature.to_vec();
        flipped[at / 8] ^= 1 << (at % 8);
        let answer = verify_header(&keys, &signed.header_with_magic, &flipped);
        // Fields that are not hashed, such as a hint at the key's id, may change.
        if let Ok(fingerprint) = answer {
            assert_eq!(fingerprint, *keys[0].fingerprint());
        }
    }
    for length in 0..key.len() {
        let _ = parse_keys(&key[..length]);
    }
}

#[test]
fn a_key_of_1024_bits_is_refused() {
    let Some(folder) = common::data("repos/createrepo_agent") else {
        return;
    };
    let keys = parse_keys(&read(&folder.join("cra-public.asc"))).expect("a key");
    let repodata = folder.join("populated/x86_64/repodata");
    let answer = verify_detached(
        &keys,
        &read(&repodata.join("repomd.xml")),
        &read(&repodata.join("repomd.xml.asc")),
    );
    assert!(
        matches!(answer, Err(SignatureError::Algorithm(_))),
        "{answer:?}"
    );
}

#[test]
fn a_signed_repository_is_verified() {
    let Some((repository, key)) = standin::repository("x86_64") else {
        return;
    };
    let keys = parse_keys(&read(&key)).expect("a key");
    let mut document = read(&repository.join("repodata/repomd.xml"));
    let signature = read(&repository.join("repodata/repomd.xml.asc"));
    verify_detached(&keys, &document, &signature).expect("signed");
    document.push(b'\n');
    let answer = verify_detached(&keys, &document, &signature);
    assert!(matches!(answer, Err(SignatureError::Bad(_))), "{answer:?}");
}

#[test]
fn keys_in_a_database_are_found() {
    let Some(path) = common::data("rpmdb/fedora-identity-10pkgs/rpmdb.sqlite") else {
        return;
    };
    let mut found = Vec::new();
    for blob in database(&path) {
        let header = Header::parse(&blob).expect("a header");
        if let Some(keys) = key_of_database_entry(&header) {
            found.extend(keys.unwrap_or_else(|error| panic!("{}: {error}", header.nevra())));
        }
    }
    assert_eq!(found.len(), 2);
}

#[test]
fn a_subkey_signs_only_while_it_is_neither_revoked_nor_expired() {
    let Some(path) =
        common::data("rpms/rpm-upstream-tests/hello-2.0-1.x86_64-signed-with-subkey.rpm")
    else {
        return;
    };
    let signed = open(&path);
    for (name, wanted) in [
        ("alice.asc", None),
        ("alice-revoked-subkey.asc", Some(KeyProblem::Revoked)),
        ("alice-expired-subkey.asc", Some(KeyProblem::Expired)),
    ] {
        let Some(keys) = keys(&[&format!("rpms/rpm-upstream-tests/keys/{name}")]) else {
            return;
        };
        let answer = verify_package(&keys, &signed.signatures, &signed.header_with_magic);
        match (answer, wanted) {
            (Ok(fingerprint), None) => assert_eq!(fingerprint, *keys[0].fingerprint()),
            (Err(SignatureError::KeyUnfit { problem, .. }), Some(wanted)) => {
                assert_eq!(problem, wanted)
            }
            (answer, _) => panic!("{name}: {answer:?}"),
        }
    }
}
