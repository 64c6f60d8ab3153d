//! `imgbuild diff`: every change is found, named, and laid at the right door; where there is none, nothing is said.

mod built;
mod choice;
#[path = "../harness/mod.rs"]
mod harness;
mod mutations;
mod picture;
mod real;
mod sample;
#[path = "../server/mod.rs"]
mod server;
mod tampering;
mod tarball;
mod told;
mod whole;

use choice::Random;
use harness::{imgbuild, run, scratch};
use mutations::{CHANGES, is_changed};
use sample::sample;
use told::{Expected, diff};

#[test]
fn two_hundred_changes_are_each_found_and_named() {
    let folder = scratch();
    let original = sample();
    let a = original.write(&folder.path().join("a"));
    let mut count = 0;
    for (what, times, change) in CHANGES {
        for time in 0..times {
            let mut random = Random::new(count);
            let mut picture = original.clone();
            let expected = change(&mut random, &mut picture);
            let what = format!("{what} ({time})");
            assert!(is_changed(&original, &picture), "{what} changes nothing");
            let b = picture.write(&folder.path().join(format!("b{count}")));
            expected.check(&what, &diff(&a.folder, &b.folder, &[]));
            std::fs::remove_dir_all(&b.folder).expect("our own folder");
            count += 1;
        }
    }
    assert!(count >= 180, "only {count} changes; tampering has the rest");
}

#[test]
fn an_expectation_that_is_wrong_in_any_part_is_noticed() {
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    let mut picture = sample();
    picture.edit_entry(sample::COPY, "app/src/B00.py", |piece| {
        piece.set(tarball::MODE, 0o600)
    });
    let b = picture.write(&folder.path().join("b"));
    let done = diff(&a.folder, &b.folder, &[]);
    let right = || {
        Expected::at("differs")
            .row("changed /app/src/B00.py mode")
            .owner("copy src")
    };
    right().check("right", &done);
    let level = Expected {
        level: "tree",
        ..right()
    };
    let wrong = [
        level,
        Expected::at("differs"),
        Expected::at("differs").row("changed /app/src/B00.py mode,mtime"),
        right().row("changed /app mode"),
        right().owner("base"),
        right().because("umask"),
        right().layers(&["compression"]),
    ];
    for expected in wrong {
        let check = || expected.check("wrong", &done);
        assert!(
            std::panic::catch_unwind(check).is_err(),
            "{expected:?} passed"
        );
    }
}

#[test]
fn an_image_is_the_same_as_itself_wherever_it_lies() {
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    let b = sample().write(&folder.path().join("b"));
    Expected::at("same").check("a copy", &diff(&a.folder, &b.folder, &[]));
    let marked = format!("oci:{}", a.folder.display());
    let done = run(&mut imgbuild(&[
        "diff",
        &marked,
        &b.folder.display().to_string(),
    ]));
    assert_eq!(done.code, Some(0), "{done}");
    assert!(done.out.contains("Nothing differs."), "{done}");
}

#[test]
fn what_is_said_is_the_same_on_each_run() {
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    let mut picture = sample();
    let mut random = Random::new(7);
    for (_, _, change) in &CHANGES[..6] {
        change(&mut random, &mut picture);
    }
    let b = picture.write(&folder.path().join("b"));
    let first = diff(&a.folder, &b.folder, &[]);
    assert_eq!(first.code, Some(1), "{first}");
    for _ in 0..3 {
        assert_eq!(diff(&a.folder, &b.folder, &[]).out, first.out);
    }
    let schema = run(&mut imgbuild(&["schema", "diff"])).ok();
    let schema: serde_json::Value = serde_json::from_str(&schema.out).expect("JSON");
    let report: serde_json::Value = serde_json::from_str(&first.out).expect("JSON");
    for key in report.as_object().expect("an object").keys() {
        assert!(
            schema["properties"].get(key).is_some(),
            "{key} is not in the schema"
        );
    }
}

#[test]
fn an_index_is_compared_unless_a_platform_is_chosen() {
    let folder = scratch();
    let mut picture = sample();
    let plain = picture.write(&folder.path().join("plain"));
    picture.index = Some([].into());
    let index = picture.write(&folder.path().join("index"));
    picture.index = Some([("note".to_owned(), "x".to_owned())].into());
    let noted = picture.write(&folder.path().join("noted"));

    let expected = Expected::at("digest").row("added annotations.note value");
    expected.check(
        "an annotation of the index",
        &diff(&index.folder, &noted.folder, &[]),
    );
    let expected = Expected::at("digest").row("changed  type");
    expected.check(
        "an index and a manifest",
        &diff(&plain.folder, &index.folder, &[]),
    );
    let chosen = ["--platform", "linux/amd64"];
    for (a, b) in [(&plain, &index), (&index, &noted)] {
        Expected::at("same").check("a chosen platform", &diff(&a.folder, &b.folder, &chosen));
    }
    let done = diff(&index.folder, &noted.folder, &["--platform", "linux/arm64"]);
    assert_eq!(done.code, Some(2), "{done}");
    assert!(done.err.contains("it has linux/amd64"), "{done}");
}

#[test]
fn both_versions_of_what_differs_are_written_and_nothing_else() {
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    let mut picture = sample();
    picture.edit_entry(sample::BASE, "etc/motd", |piece| {
        piece.set_content(b"other\n")
    });
    picture.edit_entry(sample::COPY, "app/src/B00.py", |piece| {
        piece.rename("app/src/..x/y")
    });
    let b = picture.write(&folder.path().join("b"));
    let report = folder.path().join("report");
    let flags = ["--report-dir", &report.display().to_string()];
    let done = diff(&a.folder, &b.folder, &flags);
    assert_eq!(done.code, Some(1), "{done}");
    let read = |path: &str| {
        let path = report.join(path);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    assert_eq!(
        read("a/linux-amd64/layer-1/etc/motd"),
        b"welcome\nto the\nmachine\n"
    );
    assert_eq!(read("b/linux-amd64/layer-1/etc/motd"), b"other\n");
    assert_eq!(
        read("a/linux-amd64/layer-3/app/src/B00.py"),
        b"print(0)\n# end\n"
    );
    assert_eq!(
        read("b/linux-amd64/layer-3/app/src/%2E.x/y"),
        b"print(0)\n# end\n"
    );
    let files: Vec<String> = harness::files_below(&report)
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    // Two files and two documents on each side.
    assert_eq!(files.len(), 8, "{files:?}");
    // What is there is not touched.
    let again = diff(&a.folder, &b.folder, &flags);
    assert_eq!(again.code, Some(2), "{again}");
    assert!(again.err.contains("is not empty"), "{again}");
}

#[test]
fn a_reader_is_told_what_differs_whose_it_is_and_what_to_do() {
    let folder = scratch();
    let a = sample().write(&folder.path().join("a"));
    let mut picture = sample();
    picture.edit(sample::COPY, |tarball| {
        for piece in &mut tarball.entries {
            piece.set(tarball::MTIME, 1_800_000_000);
        }
    });
    let b = picture.write(&folder.path().join("b"));
    let text = |flags: &[&str]| {
        run(imgbuild(&["diff"])
            .arg(&a.folder)
            .arg(&b.folder)
            .args(flags))
        .out
    };
    let short = text(&[]);
    for words in [
        "linux/amd64: DIFFERS",
        "layer 3 of 3  \"imgbuild: copy: src\"",
        "(copy of src)",
        "mtime 2000-01-01T00:00:00Z → 2027-01-15T08:00:00Z",
        "likely: the same file, made at another time",
        "SOURCE_DATE_EPOCH",
        "--all shows them",
    ] {
        assert!(short.contains(words), "no {words:?} in:\n{short}");
    }
    assert!(text(&["--all"]).lines().count() > short.lines().count() + 10);
}
