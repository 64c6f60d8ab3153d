//! Packages are opened and unpacked as rpm does it, and damaged ones are refused.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use imgbuild::diagnose::{Class, Diagnose};
use imgbuild::layer::content::Location;
use imgbuild::oci::Digest;
use imgbuild::rpm::entries::{FileFlags, FileType};
use imgbuild::rpm::file::PackageFile;
use imgbuild::rpm::payload::{Limits, Unpacked, unpack};
use imgbuild::rpm::selection::Selection;
use imgbuild::rpm::tag;

fn everything() -> Selection {
    Selection {
        docs: true,
        languages: None,
        color: 0,
    }
}

fn open_and_unpack(bytes: &Vec<u8>) -> Result<Unpacked, (Class, String)> {
    let package = PackageFile::open(bytes).map_err(|e| (e.class(), e.to_string()))?;
    let spool = Box::new(Vec::new());
    unpack(&package, bytes, &everything(), Limits::default(), spool)
        .map_err(|e| (e.class(), e.to_string()))
}

fn bytes_of(unpacked: &Unpacked, index: usize) -> Vec<u8> {
    let content = unpacked.contents[index].expect("contents of a wanted file");
    let location = unpacked.locations.get(&content.digest).expect("a location");
    let Location::Extent {
        blob,
        offset,
        packed,
        ..
    } = location
    else {
        panic!("unpacked files are in the spool");
    };
    let mut bytes = vec![0; usize::try_from(*packed).expect("fits")];
    blob.read_exact_at(&mut bytes, *offset)
        .expect("in the spool");
    assert_eq!(Digest::of(&bytes), content.digest);
    bytes
}

/// What rpm itself finds in the payload: digests of regular files, hard links resolved, by path.
fn rpm_finds(package: &Path) -> Option<BTreeMap<Vec<u8>, Digest>> {
    let archive = Command::new("rpm2archive")
        .arg("-n")
        .arg("-")
        .stdin(std::fs::File::open(package).expect("opens"))
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !archive.status.success() || archive.stdout.is_empty() {
        return None;
    }
    let mut found = BTreeMap::new();
    let mut archive = tar::Archive::new(archive.stdout.as_slice());
    let mut links = Vec::new();
    let name_of = |name: &[u8]| name.strip_prefix(b".").unwrap_or(name).to_vec();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = name_of(&entry.path_bytes());
        match entry.header().entry_type() {
            tar::EntryType::Link => {
                let target = entry.link_name_bytes().expect("a target");
                links.push((name, name_of(&target)));
            }
            tar::EntryType::Regular => {
                let mut hasher = imgbuild::oci::Hasher::default();
                std::io::copy(&mut entry, &mut hasher).expect("reads");
                found.insert(name, hasher.finish().0);
            }
            _ => {}
        }
    }
    for (name, target) in links {
        let digest = found[&target];
        found.insert(name, digest);
    }
    Some(found)
}

fn regular_files(unpacked: &Unpacked) -> BTreeMap<Vec<u8>, Digest> {
    let files = unpacked.files.entries.iter().enumerate();
    files
        .filter(|(_, entry)| entry.kind == FileType::Regular)
        .filter(|(_, entry)| !entry.flags.has(FileFlags::GHOST))
        .map(|(index, entry)| {
            let digest = Digest::of(&bytes_of(unpacked, index));
            (entry.raw_path.clone(), digest)
        })
        .collect()
}

/// Packages that cannot be installed, and what is said about them.
const REFUSED: [(&str, &str); 3] = [
    (".src.rpm", "a source package"),
    ("hello-2.0-1.x86_64-corrupted.rpm", "payload: wanted gzip"),
    (
        "hello-1.0-1.x86_64.rpm-v3",
        "not covered by an immutable region",
    ),
];

#[test]
fn packages_of_every_compression_and_age_unpack_as_rpm_unpacks_them() {
    let Some(root) = common::data("rpms") else {
        return;
    };
    let mut compressions = BTreeMap::new();
    let mut compared = 0;
    for path in common::packages(&root) {
        let bytes = std::fs::read(&path).expect("reads");
        let name = path.display().to_string();
        let refused = REFUSED.iter().find(|(end, _)| name.ends_with(end));
        match (open_and_unpack(&bytes), refused) {
            (Err((_, error)), Some((_, wanted))) => {
                assert!(error.contains(wanted), "{name}: {error}")
            }
            (Ok(unpacked), None) => {
                let header = unpacked.package.header();
                let compressor = header.string(tag::PAYLOADCOMPRESSOR).unwrap_or("none");
                *compressions.entry(compressor.to_owned()).or_insert(0) += 1;
                if let Some(theirs) = rpm_finds(&path) {
                    assert_eq!(regular_files(&unpacked), theirs, "{name}");
                    compared += 1;
                }
            }
            (Ok(_), Some(_)) => panic!("{name} was accepted"),
            (Err((_, error)), None) => panic!("{name}: {error}"),
        }
    }
    let found: Vec<&str> = compressions.keys().map(String::as_str).collect();
    assert_eq!(found, ["bzip2", "gzip", "lzma", "none", "xz", "zstd"]);
    common::say(&format!(
        "{compared} packages compared with rpm2archive: {compressions:?}"
    ));
}

#[test]
fn all_packages_of_the_standin_unpack() {
    let packages = common::standin_packages("x86_64");
    let mut bytes_unpacked = 0;
    let mut time = std::time::Duration::ZERO;
    for path in &packages {
        let bytes = std::fs::read(path).expect("reads");
        let start = std::time::Instant::now();
        let unpacked = open_and_unpack(&bytes);
        time += start.elapsed();
        let unpacked = unpacked.unwrap_or_else(|(_, error)| panic!("{}: {error}", path.display()));
        bytes_unpacked += unpacked
            .contents
            .iter()
            .flatten()
            .map(|c| c.size)
            .sum::<u64>();
    }
    common::say(&format!(
        "{} packages, {bytes_unpacked} bytes in {time:?} on one thread",
        packages.len()
    ));
}

#[test]
fn a_package_cut_anywhere_is_refused() {
    let Some(root) = common::data("rpms") else {
        return;
    };
    for path in common::packages(&root) {
        let bytes = std::fs::read(&path).expect("reads");
        // Large ones take long and teach nothing more.
        if bytes.len() > 40_000 || bytes.len() < 200 {
            continue;
        }
        for length in (0..bytes.len()).step_by(64) {
            let cut = bytes[..length].to_vec();
            let (class, error) = open_and_unpack(&cut)
                .err()
                .unwrap_or_else(|| panic!("{} was accepted with {length} bytes", path.display()));
            let is_source = error.contains("source package");
            assert!(is_source || class == Class::Integrity, "{error}");
        }
    }
}

#[test]
fn a_byte_changed_anywhere_under_a_digest_is_noticed() {
    let Some(root) = common::data("rpms") else {
        return;
    };
    for path in common::packages(&root) {
        let mut bytes = std::fs::read(&path).expect("reads");
        let Ok(sound) = open_and_unpack(&bytes) else {
            continue;
        };
        if bytes.len() > 40_000 {
            continue;
        }
        let package = &sound.package;
        let is_covered = package.signature().contains(tag::SHA256HEADER)
            && package.header().contains(tag::PAYLOADDIGEST);
        let start = usize::try_from(package.header_range().start).expect("fits");
        let step = (bytes.len() / 300).max(1);
        for at in (0..bytes.len()).step_by(step) {
            for change in [1, 0x80, 0xff] {
                bytes[at] ^= change;
                let found = open_and_unpack(&bytes);
                bytes[at] ^= change;
                if is_covered && at >= start {
                    assert!(
                        found.is_err(),
                        "{}: byte {at} changed unnoticed",
                        path.display()
                    );
                }
            }
        }
    }
}

mod made {
    //! Packages made for the purpose, sound and hostile.

    use super::common::package::{File, Package};
    use super::*;

    fn refused(package: &Package) -> String {
        let (class, error) = open_and_unpack(&package.to_bytes()).err().expect("refused");
        assert_eq!(class, Class::Integrity, "{error}");
        error
    }

    #[test]
    fn a_made_package_is_sound() {
        let package = Package::new("sound")
            .dir("/opt/a")
            .file("/opt/a/x", b"hello")
            .file("/opt/a/empty", b"")
            .symlink("/opt/a/link", "x");
        let unpacked = open_and_unpack(&package.to_bytes())
            .map_err(|e| e.1)
            .expect("sound");
        assert_eq!(unpacked.nevra(), "sound-1-1.noarch");
        assert_eq!(bytes_of(&unpacked, 1), b"hello");
        assert_eq!(bytes_of(&unpacked, 2), b"");
    }

    #[test]
    fn names_that_leave_the_root_are_refused() {
        for (path, wanted) in [
            ("/opt/../../etc/x", "`..`"),
            ("/../x", "`..`"),
            ("opt/x", "not absolute"),
            ("../x", "not absolute"),
        ] {
            let error = refused(&Package::new("evil").file(path, b"x"));
            assert!(
                error.contains(wanted) && error.contains("evil-1-1"),
                "{error}"
            );
        }
    }

    #[test]
    fn names_only_the_archive_knows_are_refused() {
        for name in [
            "./etc/shadow",
            "../../etc/shadow",
            "/opt/a/../x",
            ".//opt/x",
        ] {
            let mut package = Package::new("evil").file("/opt/x", b"x");
            package.files[0].archive_name = Some(name.to_owned());
            let error = refused(&package);
            assert!(error.contains("header does not list"), "{name}: {error}");
        }
    }

    #[test]
    fn hard_links_may_carry_their_data_at_any_of_their_names() {
        for carrier in 0..3 {
            let mut package = Package::new("links");
            for (index, path) in ["/opt/c", "/opt/a", "/opt/b"].into_iter().enumerate() {
                let mut file = File::regular(path, b"shared");
                file.inode = 7;
                file.is_empty_in_archive = index != carrier;
                package.files.push(file);
            }
            let unpacked = open_and_unpack(&package.to_bytes())
                .map_err(|e| e.1)
                .expect("sound");
            for index in 0..3 {
                assert_eq!(bytes_of(&unpacked, index), b"shared");
            }
        }
        let mut package = Package::new("links");
        for path in ["/opt/a", "/opt/b"] {
            let mut file = File::regular(path, b"shared");
            file.inode = 7;
            file.is_empty_in_archive = true;
            package.files.push(file);
        }
        assert!(refused(&package).contains("does not hold"));
    }

    #[test]
    fn what_header_and_archive_disagree_about_is_refused() {
        let mut missing = Package::new("evil")
            .file("/opt/x", b"x")
            .file("/opt/y", b"y");
        missing.files[1].archive_name = Some("./opt/x".to_owned());
        assert!(refused(&missing).contains("twice"));

        let mut size = Package::new("evil").file("/opt/x", b"x");
        size.files[0].size = 2;
        assert!(refused(&size).contains("2 bytes in the header, 1 in the payload"));

        let mut digest = Package::new("evil").file("/opt/x", b"x");
        digest.files[0].digest = Digest::of(b"y").hex();
        assert!(refused(&digest).contains("expected"));

        let mut target = Package::new("evil").symlink("/opt/x", "y");
        target.files[0].data = b"z".to_vec();
        assert!(refused(&target).contains("points to"));

        let mut kind = Package::new("evil").file("/opt/x", b"");
        kind.files[0].archive_mode = Some(0o040_755);
        assert!(refused(&kind).contains("mode"));

        let mut big = Package::new("evil").file("/opt/x", b"");
        big.files[0].size = 1 << 32;
        big.files[0].is_long = true;
        assert!(refused(&big).contains("bytes in the header"));
        big.files[0].size = u64::MAX;
        assert!(refused(&big).contains("limit"));
    }

    #[test]
    fn bytes_after_the_archive_are_refused() {
        let mut package = Package::new("evil").file("/opt/x", b"x");
        package.trailing = b"more".to_vec();
        assert!(refused(&package).contains("bytes follow the end"));
    }
}
