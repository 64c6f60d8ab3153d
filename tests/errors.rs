//! Recipes, locks and sources that are wrong are refused: the error names the thing, a hint says what to do.

mod harness;

use std::fs;

use harness::{Attempt, Bench, imgbuild, run};

#[test]
fn an_unknown_package_is_named_with_one_that_exists() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    harness::edit(
        &attempt.project.join("recipe.toml"),
        "\"python3.11\", \"curl\"",
        "\"python3.11\", \"curll\"",
    );
    let done = attempt.lock(&bench.standin.mirrors);
    attempt.refused(&done, 2, &["curll"]);
    assert!(!attempt.project.join("recipe.lock").exists());
}

#[test]
fn a_wheel_that_no_platform_has_is_named_with_the_platform() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    let uv_lock = attempt.project.join("uv.lock");
    let before = fs::read_to_string(&uv_lock).expect("text");
    let kept: Vec<&str> = before
        .lines()
        .filter(|line| !(line.contains("/lxml-") && line.contains("aarch64")))
        .collect();
    assert!(
        kept.len() < before.lines().count(),
        "lxml has wheels for arm64"
    );
    fs::write(&uv_lock, kept.join("\n") + "\n").expect("written");
    let done = attempt.lock(&bench.standin.mirrors);
    attempt.refused(&done, 2, &["lxml", "linux/arm64"]);
}

#[test]
fn an_unknown_key_is_named_with_the_one_that_was_meant() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    harness::edit(
        &attempt.project.join("recipe.toml"),
        "stop-signal",
        "stop-singal",
    );
    for done in [
        attempt.build(&bench.standin.mirrors),
        attempt.lock(&bench.standin.mirrors),
    ] {
        attempt.refused(&done, 2, &["stop-singal", "line "]);
        assert!(
            done.err.contains("hint: did you mean `stop-signal`?"),
            "{done}"
        );
    }
}

#[test]
fn a_missing_lock_and_a_stale_one_say_which_command_to_run() {
    let Some(bench) = Bench::open() else { return };
    let check = |attempt: &Attempt| run(imgbuild(&["lock", "--check"]).arg(&attempt.project));
    let attempt = Attempt::without(bench, &[]);
    check(&attempt).ok();
    let lock = attempt.project.join("recipe.lock");
    let command = format!("imgbuild lock {}", attempt.project.display());

    // A comment is no change of the recipe.
    let recipe = attempt.project.join("recipe.toml");
    let text = fs::read_to_string(&recipe).expect("text");
    fs::write(&recipe, format!("# A remark.\n{text}")).expect("written");
    check(&attempt).ok();

    for (from, to, file) in [
        (
            "\"python3.11\", \"curl\"",
            "\"python3.11\", \"curl\", \"jq\"",
            "recipe.toml",
        ),
        ("[[package]]", "# changed\n[[package]]", "uv.lock"),
    ] {
        let attempt = Attempt::without(bench, &[]);
        harness::edit(&attempt.project.join(file), from, to);
        for done in [attempt.build(&bench.standin.mirrors), check(&attempt)] {
            attempt.refused(&done, 1, &["recipe.lock", "stale"]);
            assert!(done.err.contains("imgbuild lock "), "{done}");
        }
    }
    fs::remove_file(&lock).expect("it is there");
    for done in [attempt.build(&bench.standin.mirrors), check(&attempt)] {
        attempt.refused(&done, 1, &["recipe.lock"]);
        assert!(done.err.contains(&command), "{done}");
    }
}

#[test]
fn a_lock_of_another_format_is_neither_stale_nor_wrong() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    harness::edit(
        &attempt.project.join("recipe.lock"),
        "format = 1",
        "format = 2",
    );
    attempt.refused(
        &attempt.build(&bench.standin.mirrors),
        5,
        &["recipe.lock", "format 2"],
    );
}

#[test]
fn a_lock_that_is_not_one_is_refused_with_its_line() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    let lock = attempt.project.join("recipe.lock");
    let text = fs::read_to_string(&lock).expect("text");
    fs::write(&lock, &text[..text.len() / 2]).expect("written");
    let done = attempt.build(&bench.standin.mirrors);
    assert!([2, 4].contains(&done.code.unwrap_or(-1)), "{done}");
    attempt.refused(&done, done.code.unwrap_or(-1), &["recipe.lock", "line "]);
}

#[test]
fn a_platform_a_recipe_and_a_source_that_are_not_there_are_named() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    let done = run(imgbuild(&["build"])
        .arg(attempt.project.join("none"))
        .arg("-o")
        .arg(attempt.image()));
    attempt.refused(&done, 2, &["none"]);
    fs::remove_file(attempt.project.join("pyproject.toml")).expect("it is there");
    assert_eq!(attempt.build(&bench.standin.mirrors).code, Some(2));
    fs::remove_dir_all(attempt.project.join("src")).expect("it is there");
    fs::copy(
        bench.project.join("pyproject.toml"),
        attempt.project.join("pyproject.toml"),
    )
    .expect("copied");
    attempt.refused(&attempt.build(&bench.standin.mirrors), 2, &["src"]);
    let done = run(imgbuild(&["build", "--platform", "linux/riscv64"])
        .arg(&attempt.project)
        .arg("-o")
        .arg(attempt.image()));
    assert_eq!(done.code, Some(2), "{done}");
}
