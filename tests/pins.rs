//! A lock keeps what it pins until it is asked to move, and only what it is asked to.

mod harness;

use std::fs;
use std::path::Path;

use harness::{Attempt, Bench, imgbuild, run, text};

/// A small recipe on the stand-in's base; `package` is all it asks for.
fn write_recipe(project: &Path, package: &str) {
    let recipe = format!(
        "[image]\nname = \"pins\"\n[base]\nimage = \"public.ecr.aws/amazonlinux/amazonlinux:2023\"\n\
         [runtime]\npackages = [\"{package}\"]\n"
    );
    fs::write(project.join("recipe.toml"), recipe).expect("written");
}

/// Runs `lock` with more arguments and returns the version of python3.11 that is pinned now.
fn lock(attempt: &Attempt, bench: &Bench, more: &[&str]) -> String {
    run(imgbuild(&["lock", "--cache-dir"])
        .arg(&attempt.cache)
        .args(&bench.standin.mirrors)
        .arg(&attempt.project)
        .args(more))
    .ok();
    let lock = fs::read_to_string(attempt.project.join("recipe.lock")).expect("a lock");
    let lock: toml::Table = lock.parse().expect("TOML");
    let rpms = lock["rpm"].as_array().expect("packages");
    let pinned = rpms
        .iter()
        .filter_map(toml::Value::as_table)
        .find(|rpm| text(rpm, "name") == "python3.11");
    text(pinned.expect("python3.11 is pinned"), "evr").to_owned()
}

#[test]
fn a_pin_that_holds_stays_until_its_package_is_named() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    let _ = fs::remove_file(attempt.project.join("recipe.lock"));
    write_recipe(&attempt.project, "python3.11-3.11.2-5.amzn2023.0.1");
    assert_eq!(lock(&attempt, bench, &[]), "3.11.2-5.amzn2023.0.1");
    // The request no longer names a version, and there is a newer one: the pin stays.
    write_recipe(&attempt.project, "python3.11");
    assert_eq!(lock(&attempt, bench, &[]), "3.11.2-5.amzn2023.0.1");
    // What belongs together moves together: python3.11 and its libraries are one build.
    let moved = lock(&attempt, bench, &["--update", "rpm"]);
    assert_ne!(moved, "3.11.2-5.amzn2023.0.1");
    // Nothing to do is done at once, and changes nothing.
    let before = fs::read(attempt.project.join("recipe.lock")).expect("a lock");
    assert_eq!(lock(&attempt, bench, &[]), moved);
    let after = fs::read(attempt.project.join("recipe.lock")).expect("a lock");
    assert_eq!(before, after);
}

#[test]
fn a_lock_is_the_same_bytes_whenever_it_is_made() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    let path = attempt.project.join("recipe.lock");
    let first = fs::read(&path).expect("a lock");
    fs::remove_file(&path).expect("removed");
    attempt.lock(&bench.standin.mirrors).ok();
    assert!(
        fs::read(&path).expect("a lock") == first,
        "two locks differ"
    );
}
