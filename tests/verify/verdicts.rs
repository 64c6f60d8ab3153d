//! The answers: verified, differs and where, could not verify; each with its exit code, and no two mixed up.

use std::fs;

use serde_json::Value;

use crate::harness::{self, Attempt, Bench, Made, imgbuild, run, text};
use crate::{answers, copy, nowhere, place, tampered, verdict, verify};

#[test]
fn an_image_is_verified_from_what_is_attached_to_it_or_from_a_checkout() {
    let Some(bench) = Bench::open() else { return };
    let image = bench.made(Made::Both);
    let done = verify(bench, &image, &[]);
    answers(&done, 0, "verified");
    for line in [
        "blobs",
        "recipe",
        "source",
        "inputs",
        "base",
        "signatures",
        "linux/arm64",
        "index",
    ] {
        assert!(
            done.out.lines().any(|it| it.starts_with(line)),
            "{line}: {done}"
        );
    }
    assert!(done.out.contains("taken from the image itself"), "{done}");
    assert!(!done.out.contains("NO:"), "{done}");

    let project = bench.project.display().to_string();
    let done = verify(
        bench,
        &image,
        &["--platform", "linux/amd64", "--source", &project, "--json"],
    );
    let said: Value = serde_json::from_str(done.text()).expect("JSON");
    assert_eq!(
        (&said["verdict"], &said["version"]),
        (&"verified".into(), &1.into()),
        "{done}"
    );
    assert_eq!(said["platforms"].as_array().map(Vec::len), Some(1));
    assert_eq!(said["index"], Value::Null);

    let archive = bench.made(Made::OciArchive);
    let done = verify(bench, &archive, &["--recipe", &project]);
    answers(&done, 0, "verified");
    assert!(done.out.contains("the same as attached"), "{done}");
}

#[test]
fn a_builder_image_is_verified_too() {
    let Some(bench) = Bench::open() else { return };
    answers(
        &verify(bench, &bench.made(Made::Builder), &[]),
        0,
        "verified",
    );
}

#[test]
fn a_checkout_with_one_other_file_differs_by_that_file() {
    let Some(bench) = Bench::open() else { return };
    let folder = place(bench);
    let project = bench.copy_of_project(folder.path());
    fs::write(project.join("src/app.py"), "import this\n").expect("written");
    let project = project.display().to_string();
    let done = verify(bench, &bench.made(Made::Amd64), &["--source", &project]);
    answers(&done, 1, "differs");
    assert!(
        done.out.contains("`src/app.py` is not as it was recorded"),
        "{done}"
    );
    assert!(done.out.contains("/app/src/app.py"), "{done}");
}

#[test]
fn a_changed_file_of_a_package_is_named_though_every_digest_fits_again() {
    let Some(bench) = Bench::open() else { return };
    let folder = place(bench);
    let layout = copy(&bench.made(Made::Amd64), &folder.path().join("image"));
    let image = harness::Layout::open(&layout);
    let entries = image.entries(image.images()[0].layer("rpm"));
    let module = entries
        .iter()
        .find(|entry| entry.path.ends_with("/python3.11/os.py"));
    let path = module.expect("a module of Python").path.as_str();
    tampered::layer(&layout, "rpm", |tar| {
        tampered::content_of(tar, path)[100] ^= 1;
    });
    // Its digest is another, so nothing is attached to it.
    answers(&verify(bench, &layout, &[]), 3, "could not verify");
    let project = bench.project.display().to_string();
    let done = verify(bench, &layout, &["--recipe", &project]);
    answers(&done, 1, "differs");
    assert!(done.out.contains(path), "{done}");
}

#[test]
fn what_is_only_compressed_otherwise_is_the_same_content_and_never_called_verified() {
    let Some(bench) = Bench::open() else { return };
    let folder = place(bench);
    let layout = copy(&bench.made(Made::Amd64), &folder.path().join("image"));
    tampered::layer(&layout, "copy", |_| {});
    let project = bench.project.display().to_string();
    for (level, code, begins) in [
        ("digest", 1, "differs: the same content"),
        ("content", 0, "same content"),
    ] {
        let done = verify(bench, &layout, &["--recipe", &project, "--level", level]);
        assert_eq!(done.code, Some(code), "{done}");
        assert!(verdict(&done).starts_with(begins), "{done}");
        assert!(!done.out.contains("verified"), "{done}");
    }
}

#[test]
fn what_cannot_be_had_is_named_and_is_not_a_difference() {
    let Some(bench) = Bench::open() else { return };
    let image = bench.made(Made::Amd64);
    let wheels = bench.locked("wheel");
    let wheel = wheels
        .iter()
        .find(|wheel| text(wheel, "filename").contains("x86_64"))
        .expect("native wheels");
    let attempt = Attempt::without(bench, &[wheel]);
    let mut gone = imgbuild(&["verify", "--cache-dir"]);
    let done = run(gone.arg(&attempt.cache).arg(&image).args(nowhere()));
    answers(&done, 3, "could not verify");
    assert!(verdict(&done).contains(&text(wheel, "filename")), "{done}");
    assert!(
        harness::names(&attempt.cache.join("tmp")).is_empty(),
        "left behind"
    );

    // A cache that was tampered with is no reason either: what is wrong in it is fetched again.
    let damaged = Attempt::without(bench, &[]);
    let kept = damaged
        .cache
        .join("blobs/sha256")
        .join(&text(wheel, "digest")["sha256:".len()..]);
    fs::remove_file(&kept).expect("a link of the bench's");
    fs::write(&kept, "not a wheel").expect("written");
    let mut command = imgbuild(&["verify", "--cache-dir"]);
    let done = run(command.arg(&damaged.cache).arg(&image).args(nowhere()));
    answers(&done, 3, "could not verify");

    // No record, no recipe; and a recipe whose lock is of another.
    let folder = place(bench);
    let layout = copy(&image, &folder.path().join("image"));
    let mut index = harness::Layout::open(&layout).index();
    index
        .as_object_mut()
        .expect("an object")
        .remove("annotations");
    fs::write(layout.join("index.json"), index.to_string()).expect("written");
    let done = verify(bench, &layout, &[]);
    answers(&done, 3, "could not verify");
    assert!(done.err.contains("--recipe"), "{done}");
    let project = bench.copy_of_project(folder.path());
    harness::edit(&project.join("recipe.toml"), "name = ", "name = \"x\"\n#");
    let done = verify(
        bench,
        &layout,
        &["--recipe", &project.display().to_string()],
    );
    answers(&done, 3, "could not verify");
    assert!(done.err.contains("stale"), "{done}");
}

#[test]
fn what_is_not_there_is_a_mistake_of_the_caller() {
    let Some(bench) = Bench::open() else { return };
    let absent = bench.cache.join("absent");
    let done = verify(bench, &absent, &[]);
    assert_eq!(done.code, Some(2), "{done}");
}
