//! What is remembered of earlier builds saves work, and is never believed against the bytes.

mod harness;

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use harness::{Attempt, Bench, Layout, Made};
use imgbuild::edge::store::Store;
use imgbuild::oci::Digest;

/// Longer than a file must have been left alone to be remembered.
const SETTLED: Duration = Duration::from_millis(2500);

/// Flips a bit in the middle of a file, in place, and gives it back its size and times.
fn damage(path: &Path) {
    let before = fs::metadata(path).expect("it is there");
    let mut bytes = fs::read(path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
    let times = FileTimes::new()
        .set_accessed(before.accessed().expect("a time"))
        .set_modified(before.modified().expect("a time"));
    let file = File::options().write(true).open(path).expect("ours");
    file.set_times(times).expect("ours");
    let after = fs::metadata(path).expect("it is there");
    assert_eq!(
        (before.ino(), before.len(), before.modified().ok()),
        (after.ino(), after.len(), after.modified().ok())
    );
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|it| it.expect("an entry").path()).collect()
}

#[test]
fn a_blob_that_was_changed_in_place_is_noticed_although_its_size_and_time_are_the_same() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path()).expect("a store");
    let mut writer = store.writer().expect("a writer");
    writer.append(b"some bytes").expect("written");
    let (digest, _) = writer.commit(None).expect("committed");
    let seen = dir.path().join("derived/seen");
    sleep(SETTLED);
    assert!(store.verify(&digest).expect("readable"));
    assert_eq!(files(&seen).len(), 1, "now it is remembered");
    damage(&store.path(&digest));
    assert!(!store.verify(&digest).expect("readable"));
    assert!(!store.has(&digest));
}

#[test]
fn what_another_remembers_of_a_file_is_not_believed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let open = |secret| {
        let store = Store::open(dir.path()).expect("a store");
        store.sealed_with(secret)
    };
    let ours = open([1; 32]);
    let mut writer = ours.writer().expect("a writer");
    writer.append(b"some bytes").expect("written");
    let (digest, _) = writer.commit(None).expect("committed");
    sleep(SETTLED);
    assert!(ours.verify(&digest).expect("readable"));
    let [record] = &files(&dir.path().join("derived/seen"))[..] else {
        panic!("there is one record")
    };
    let key = record.file_name().expect("a key").to_str().expect("hex");
    let key: Digest = format!("sha256:{key}").parse().expect("a digest");
    let forge = |secret| {
        let other = Digest::of(b"other bytes");
        let store = open(secret);
        store.put_derived("seen", key, other.raw()).expect("kept");
    };
    forge([2; 32]);
    assert!(ours.verify(&digest).expect("readable"));
    // The forgery is one: whoever has the secret is believed.
    forge([1; 32]);
    assert!(!ours.verify(&digest).expect("readable"));
}

#[test]
fn a_step_that_was_made_before_needs_none_of_its_inputs() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    let first = attempt.build(&bench.standin.mirrors).ok();
    for kind in ["rpm", "wheel"] {
        for input in bench.locked(kind) {
            let name = bench.cached(&input);
            let name = name.file_name().expect("a digest");
            let _ = fs::remove_file(attempt.cache.join("blobs/sha256").join(name));
        }
    }
    // To a place that never answers.
    let nowhere = [
        "--mirror",
        "https://cdn.amazonlinux.com/=http://127.0.0.1:1/",
    ];
    let nowhere = nowhere.map(str::to_owned);
    let again = attempt.build(&nowhere).ok();
    assert_eq!(again.text(), first.text());
    assert_eq!(
        again.err.matches("imgbuild: ").count(),
        first.err.matches("imgbuild: ").count(),
        "the same layers are told: {again}"
    );

    let source = attempt.project.join("src/app.py");
    let mut text = fs::read_to_string(&source).expect("the sample");
    text += "# changed\n";
    fs::write(&source, text).expect("written");
    let changed = attempt.build(&nowhere).ok();
    assert_ne!(changed.text(), first.text());
    let fresh = Attempt::without(bench, &[]);
    fs::copy(&source, fresh.project.join("src/app.py")).expect("copied");
    let fresh = fresh.build(&bench.standin.mirrors).ok();
    assert_eq!(changed.text(), fresh.text(), "as with an empty memory");
}

#[test]
fn whatever_of_a_recipe_changes_the_image_is_as_with_an_empty_memory() {
    let Some(bench) = Bench::open() else { return };
    let warm = Attempt::without(bench, &[]);
    let mut last = warm.build(&bench.standin.mirrors).ok().text().to_owned();
    for (from, to) in [
        ("uid = 1000", "uid = 1001"),
        ("venv = \"/app/.venv\"", "venv = \"/opt/venv\""),
        (
            "to = \"/app/src\"",
            "to = \"/app/src\"\nowner = \"appuser\"",
        ),
        ("workdir = \"/app\"", "workdir = \"/work\""),
        (
            "packages = [\"python3.11\", \"curl\"]",
            "packages = [\"python3.11\"]",
        ),
    ] {
        harness::edit(&warm.project.join("recipe.toml"), from, to);
        warm.lock(&bench.standin.mirrors).ok();
        let now = warm.build(&bench.standin.mirrors).ok().text().to_owned();
        assert_ne!(now, last, "{to}");
        let fresh = Attempt::without(bench, &[]);
        for file in ["recipe.toml", "recipe.lock"] {
            fs::copy(warm.project.join(file), fresh.project.join(file)).expect("copied");
        }
        let wanted = fresh.build(&bench.standin.mirrors).ok();
        assert_eq!(now, wanted.text(), "{to}");
        last = now;
    }
}

#[test]
fn steps_that_were_forged_or_torn_cost_time_and_no_more() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    let wanted = bench.digest(Made::Amd64);
    attempt.build(&bench.standin.mirrors).ok();
    let steps = files(&attempt.cache.join("derived/step"));
    assert_eq!(steps.len(), 3, "system, venv and copy");
    let sound: Vec<Vec<u8>> = steps
        .iter()
        .map(|step| fs::read(step).expect("readable"))
        .collect();
    // Each says what another does: sealed by us, but for another key.
    for (at, step) in steps.iter().enumerate() {
        fs::write(step, &sound[(at + 1) % sound.len()]).expect("written");
    }
    assert_eq!(attempt.build(&bench.standin.mirrors).ok().text(), wanted);
    for step in &steps {
        let mut torn = fs::read(step).expect("readable");
        let middle = torn.len() / 2;
        torn[middle] ^= 1;
        fs::write(step, torn).expect("written");
    }
    assert_eq!(attempt.build(&bench.standin.mirrors).ok().text(), wanted);
}

#[test]
fn a_layout_that_is_there_is_left_alone_and_one_that_was_damaged_is_written_again() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    let wanted = attempt.build(&bench.standin.mirrors).ok().text().to_owned();
    let inode = || fs::metadata(attempt.image()).expect("a layout").ino();
    let first = inode();
    sleep(SETTLED);
    // The first to find it hashes it, the second remembers that.
    for _ in 0..2 {
        assert_eq!(attempt.build(&bench.standin.mirrors).ok().text(), wanted);
        assert_eq!(inode(), first);
    }
    let blobs = files(&attempt.image().join("blobs/sha256"));
    let largest = blobs
        .iter()
        .max_by_key(|path| fs::metadata(path).map_or(0, |meta| meta.len()))
        .expect("blobs");
    damage(largest);
    attempt.build(&bench.standin.mirrors).ok();
    Layout::open(&attempt.image()).assert_complete();
    assert_ne!(inode(), first);
    let written = inode();
    // A blob of an image that was there before.
    let stray = attempt.image().join("blobs/sha256").join("0".repeat(64));
    fs::write(&stray, "").expect("written");
    attempt.build(&bench.standin.mirrors).ok();
    assert!(!stray.exists());
    assert_ne!(inode(), written);
}
