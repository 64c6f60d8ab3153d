//! The cache: what is kept, and what is not after a fault.

mod server;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::disk::DiskError;
use imgbuild::edge::store::{Store, StoreError, cache_dir};
use imgbuild::layer::RandomRead as _;
use imgbuild::oci::Digest;
use server::skip;

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").file_name().display().to_string())
        .collect()
}

fn put(store: &Store, bytes: &[u8]) -> Digest {
    let mut writer = store.writer().expect("a writer");
    writer.append(bytes).expect("written");
    writer.commit(None).expect("committed").0
}

#[test]
fn a_blob_is_there_when_it_is_complete_and_right_and_never_before() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path()).expect("a store");
    let digest = Digest::of(b"hello");
    let mut writer = store.writer().expect("a writer");
    writer.append(b"hel").expect("written");
    assert!(!store.has(&digest));
    drop(writer);
    for (bytes, expected) in [
        ("hellx", (digest, Some(5))),
        ("hellx", (digest, None)),
        ("hello!", (digest, Some(5))),
        ("hello", (digest, Some(6))),
    ] {
        let mut writer = store.writer().expect("a writer");
        writer.write_all(bytes.as_bytes()).expect("written");
        let error = writer.commit(Some(expected)).expect_err("other bytes");
        assert_eq!(error.class(), Class::Integrity, "{error}");
    }
    assert!(
        names(&store.dir().join("tmp")).is_empty()
            && names(&store.dir().join("blobs/sha256")).is_empty()
    );
    let mut writer = store.writer().expect("a writer");
    writer.append(b"hello").expect("written");
    assert_eq!(
        writer.commit(Some((digest, Some(5)))).expect("committed"),
        (digest, 5)
    );
    assert_eq!(
        store
            .get(&digest)
            .expect("there")
            .read_all(10)
            .expect("readable"),
        b"hello"
    );
    assert_eq!(
        std::fs::metadata(store.path(&digest))
            .expect("there")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
}

#[test]
fn many_writers_of_one_blob_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(dir.path()).expect("a store");
                let digest = put(&store, &bytes);
                assert_eq!(
                    store
                        .get(&digest)
                        .expect("there")
                        .hash()
                        .expect("readable")
                        .0,
                    digest
                );
            });
        }
    });
    let store = Store::open(dir.path()).expect("a store");
    assert_eq!(names(&store.dir().join("blobs/sha256")).len(), 1);
    assert!(names(&store.dir().join("tmp")).is_empty());
}

#[test]
fn a_damaged_blob_is_found_and_removed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path()).expect("a store");
    let digest = put(&store, b"hello");
    assert!(store.verify(&digest).expect("readable"));
    assert!(matches!(
        store.get_sized(&digest, Some(6)),
        Err(StoreError::Size { .. })
    ));
    std::fs::write(store.path(&digest), "hel").expect("cut");
    assert!(
        store
            .get_sized(&digest, Some(5))
            .expect("readable")
            .is_none()
    );
    assert!(!store.has(&digest));
    put(&store, b"hello");
    std::fs::write(store.path(&digest), "hallo").expect("changed");
    assert!(!store.verify(&digest).expect("readable"));
    assert!(store.get(&digest).is_none());
}

#[test]
fn derived_data_that_is_torn_or_misplaced_is_no_answer() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path()).expect("a store");
    let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
    assert_eq!(store.get_derived("chunk", key), None);
    for bytes in [&b"value"[..], b""] {
        store.put_derived("chunk", key, bytes).expect("kept");
        assert_eq!(store.get_derived("chunk", key).as_deref(), Some(bytes));
    }
    store.put_derived("chunk", key, b"value").expect("kept");
    let path = store.dir().join("derived/chunk").join(key.hex());
    let whole = std::fs::read(&path).expect("there");
    for (from, to) in [("chunk", "index"), ("chunk", "chunk")] {
        store.put_derived(to, other, b"x").expect("kept");
        std::fs::copy(
            &path,
            store.dir().join("derived").join(to).join(other.hex()),
        )
        .expect("copied");
        assert_eq!(
            store.get_derived(to, other),
            None,
            "{from} answered for {to}"
        );
    }
    std::fs::create_dir_all(store.dir().join("derived/index")).expect("made");
    std::fs::copy(&path, store.dir().join("derived/index").join(key.hex())).expect("copied");
    assert_eq!(store.get_derived("index", key), None);
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).expect("torn");
        assert_eq!(store.get_derived("chunk", key), None, "{length} bytes");
    }
    for at in 0..whole.len() {
        let mut edited = whole.clone();
        edited[at] ^= 1;
        std::fs::write(&path, edited).expect("edited");
        assert_eq!(store.get_derived("chunk", key), None, "byte {at}");
    }
    for kind in ["", "..", "a/b", "A"] {
        assert!(
            matches!(store.put_derived(kind, key, b""), Err(StoreError::Kind(_))),
            "{kind}"
        );
        assert_eq!(store.get_derived(kind, key), None);
    }
}

#[test]
fn a_blob_is_read_at_any_offset_but_not_beyond_its_part() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path()).expect("a store");
    let mut spool = Box::new(store.spool().expect("a spool"));
    spool.write_all(b"0123456789").expect("written");
    let spooled = spool.finish().expect("finished");
    let mut two = [0; 2];
    spooled.read_exact_at(&mut two, 8).expect("there");
    assert_eq!((&two, spooled.size()), (b"89", 10));
    assert!(spooled.read_exact_at(&mut two, 9).is_err());
    assert!(names(&store.dir().join("tmp")).is_empty());
    let digest = put(&store, b"0123456789");
    let part = store
        .get(&digest)
        .expect("there")
        .slice(2, 3)
        .expect("inside");
    assert_eq!(part.read_all(10).expect("readable"), b"234");
    assert!(part.read_exact_at(&mut two, 2).is_err());
    assert!(part.read_exact_at(&mut two, u64::MAX).is_err());
    assert!(part.slice(2, 2).is_none() && part.slice(u64::MAX, 2).is_none());
    assert_eq!(
        part.slice(1, 1)
            .expect("inside")
            .read_all(10)
            .expect("readable"),
        b"3"
    );
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let place = |set: &[(&str, &str)]| {
        cache_dir(|name| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).into())
        })
        .map(|dir| dir.display().to_string())
    };
    assert_eq!(
        place(&[("HOME", "/h")]).expect("a place"),
        "/h/.cache/imgbuild"
    );
    assert_eq!(
        place(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).expect("a place"),
        "/x/imgbuild"
    );
    assert_eq!(
        place(&[("HOME", "/h"), ("XDG_CACHE_HOME", "x")]).expect("a place"),
        "/h/.cache/imgbuild"
    );
    assert_eq!(
        place(&[("IMGBUILD_CACHE_DIR", "c"), ("HOME", "/h")]).expect("a place"),
        "c"
    );
    assert!(place(&[("HOME", "")]).is_err());
}

#[test]
fn a_full_disk_is_told_with_the_file_and_the_space() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(dir.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        return skip("a small file system cannot be mounted (needs root)");
    }
    let store = Store::open(dir.path()).expect("a store");
    let mut writer = store.writer().expect("a writer");
    let mut result = Ok(());
    for _ in 0..64 {
        result = result.and_then(|()| writer.append(&[1; 64 * 1024]));
    }
    let error = result.expect_err("the disk is full");
    drop(writer);
    // Through `Write` the message is the same.
    let mut spool = store.spool().expect("a spool");
    let spooled = std::io::copy(&mut std::io::repeat(1).take(4 << 20), &mut spool)
        .expect_err("the disk is full");
    drop(spool);
    let left = names(&dir.path().join("tmp")).len();
    let unmounted = Command::new("umount").arg(dir.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert!(
        matches!(error, StoreError::Disk(DiskError::Full { .. })),
        "{error:?}"
    );
    let said = spooled.to_string();
    assert!(
        said.contains("no space left") && said.contains("bytes free"),
        "{said}"
    );
    let text = error.to_string();
    assert!(
        text.contains("no space left")
            && text.contains("/tmp/blob-")
            && text.contains("bytes free"),
        "{text}"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("--cache-dir"))
    );
    assert_eq!((error.class(), left), (Class::Usage, 0));
}

#[test]
fn any_umask_will_do() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let program = std::env::current_exe().expect("this test");
    for umask in ["0777", "0000"] {
        let place = dir.path().join(umask);
        let output = Command::new("sh")
            .args([
                "-c",
                "umask $1; exec \"$2\" --exact --ignored child_writes_a_blob",
                "sh",
                umask,
            ])
            .arg(&program)
            .env("IMGBUILD_TEST_DIR", &place)
            .output()
            .expect("a shell");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        let mode =
            |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&place), 0o700);
        assert_eq!(mode(&place.join("blobs/sha256")), 0o700);
        assert_eq!(
            mode(&place.join("blobs/sha256").join(Digest::of(b"x").hex())),
            0o600
        );
    }
}

#[test]
#[ignore = "runs in a process of its own, started by the test above"]
fn child_writes_a_blob() {
    let dir = std::env::var_os("IMGBUILD_TEST_DIR").expect("set by the test above");
    let store = Store::open(dir).expect("a store");
    put(&store, b"x");
    store
        .put_derived("chunk", Digest::of(b"k"), b"v")
        .expect("kept");
    assert!(store.get_derived("chunk", Digest::of(b"k")).is_some());
}
