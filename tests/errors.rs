//! Wrong input is refused: the error names the thing, a hint says what to do, the exit code is the documented one.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Bench, Done, Fault, Server, imgbuild, run, text};

/// Where nothing listens.
const NOWHERE: &str = "127.0.0.1:1";

/// A place to fail in: a copy of the project, a cache that may lack something, an output that must not appear.
struct Attempt {
    folder: tempfile::TempDir,
    project: PathBuf,
    cache: PathBuf,
}

impl Attempt {
    /// Starts with everything in order, and a cache that has everything but `missing`.
    fn without(bench: &Bench, missing: &[&toml::Table]) -> Self {
        let folder = harness::scratch_in(bench.cache.parent().expect("target/e2e"));
        let project = bench.copy_of_project(folder.path());
        let cache = folder.path().join("cache");
        // Linked and not copied: the product replaces files of its cache and never changes one.
        run(Command::new("cp").arg("-al").arg(&bench.cache).arg(&cache)).ok();
        // What killed builds of other tests left is swept only after a day.
        let _ = fs::remove_dir_all(cache.join("tmp"));
        for input in missing {
            fs::remove_file(cache.join("blobs/sha256").join(&text(input, "digest")["sha256:".len()..])).expect("it was cached");
        }
        fs::create_dir(folder.path().join("out")).expect("a folder");
        Self { folder, project, cache }
    }

    /// Starts with an empty cache.
    fn cold(bench: &Bench) -> Self {
        let folder = harness::scratch_in(bench.cache.parent().expect("target/e2e"));
        let project = bench.copy_of_project(folder.path());
        fs::create_dir(folder.path().join("out")).expect("a folder");
        Self { project, cache: folder.path().join("cache"), folder }
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("out/image")
    }

    /// Runs `build` for amd64 with the mirrors given.
    fn build(&self, mirrors: &[String]) -> Done {
        let mut command = imgbuild(&["build", "--platform", "linux/amd64", "--cache-dir"]);
        run(command.arg(&self.cache).args(mirrors).arg(&self.project).arg("-o").arg(self.image()))
    }

    /// Runs `lock` with the mirrors given; the old lock is gone.
    fn lock(&self, mirrors: &[String]) -> Done {
        let _ = fs::remove_file(self.project.join("recipe.lock"));
        run(imgbuild(&["lock", "--cache-dir"]).arg(&self.cache).args(mirrors).arg(&self.project))
    }

    /// Checks the refusal, and that nothing is half written.
    #[track_caller]
    fn refused(&self, done: &Done, code: i32, names: &[&str]) {
        assert_eq!(done.code, Some(code), "{done}");
        let line = |start: &str| done.err.lines().find(|line| line.starts_with(start));
        let error = line("error: ").unwrap_or_else(|| panic!("no line begins with `error: `: {done}"));
        for name in names {
            assert!(error.contains(name), "the error does not name `{name}`: {done}");
        }
        assert!(line("hint: ").is_some(), "no line begins with `hint: `: {done}");
        assert!(done.out.is_empty(), "a script would take this for a result: {done}");
        assert!(!done.err.contains("panicked"), "{done}");
        let left = harness::names(&self.folder.path().join("out"));
        assert!(left.is_empty(), "half written: {left:?}");
        let temporary = self.cache.join("tmp");
        if temporary.exists() {
            let left = harness::names(&temporary);
            assert!(left.is_empty(), "left in the cache: {left:?}");
        }
        let project = harness::names(&self.project);
        assert!(project.iter().all(|name| !name.starts_with('.')), "left in the project: {project:?}");
    }
}

fn mirror(from: &str, to: &str) -> Vec<String> {
    vec!["--mirror".to_owned(), format!("{from}={to}")]
}

/// Returns a locked wheel that is installed on amd64 alone.
fn native_wheel(bench: &Bench) -> toml::Table {
    let wheels = bench.locked("wheel");
    wheels.into_iter().find(|wheel| text(wheel, "filename").contains("x86_64")).expect("native wheels")
}

/// Returns an RPM of the runtime stage.
fn an_rpm(bench: &Bench) -> toml::Table {
    let rpms = bench.locked("rpm");
    rpms.into_iter().find(|rpm| text(rpm, "name") == "python3.11" && text(rpm, "arch") == "x86_64").expect("it is requested")
}

#[test]
fn hosts_that_cannot_be_reached_are_named_and_nothing_was_proven() {
    let Some(bench) = Bench::open() else { return };
    let wheel = native_wheel(bench);
    let attempt = Attempt::without(bench, &[&wheel]);
    let done = attempt.build(&mirror("https://files.pythonhosted.org/", &format!("http://{NOWHERE}/")));
    attempt.refused(&done, 3, &[&text(&wheel, "filename"), NOWHERE]);

    let attempt = Attempt::cold(bench);
    let nowhere: Vec<String> = [
        mirror("public.ecr.aws", &format!("http://{NOWHERE}")),
        mirror("https://cdn.amazonlinux.com/", &format!("http://{NOWHERE}/")),
        mirror("https://files.pythonhosted.org/", &format!("http://{NOWHERE}/")),
    ]
    .concat();
    attempt.refused(&attempt.build(&nowhere), 3, &[NOWHERE]);
    attempt.refused(&attempt.lock(&nowhere), 3, &[NOWHERE]);
    assert!(!attempt.project.join("recipe.lock").exists());
}

#[test]
fn offline_names_the_first_thing_that_is_missing() {
    let Some(bench) = Bench::open() else { return };
    let wheel = native_wheel(bench);
    let attempt = Attempt::without(bench, &[&wheel]);
    let done = run(imgbuild(&["build", "--offline", "--platform", "linux/amd64", "--cache-dir"])
        .arg(&attempt.cache)
        .arg(&attempt.project)
        .arg("-o")
        .arg(attempt.image()));
    attempt.refused(&done, 3, &[&text(&wheel, "filename"), "--offline"]);
}

#[test]
fn a_server_that_has_other_bytes_is_an_integrity_error_and_one_that_fails_is_not() {
    let Some(bench) = Bench::open() else { return };
    let (wheel, rpm) = (native_wheel(bench), an_rpm(bench));
    let inputs = [("/wheels/", text(&wheel, "filename")), ("/al2023/blobstore/", format!("{}.rpm", text(&rpm, "name")))];
    for (fault, code) in [(Fault::Flipped, 4), (Fault::Cut, 3), (Fault::Broken, 3), (Fault::Missing, 3)] {
        for (folder, name) in inputs.clone() {
            let stem = name.trim_end_matches(".rpm").trim_end_matches(".whl").to_owned();
            let is_it = {
                let stem = stem.clone();
                // `python3.11-3…` and not `python3.11-libs-3…`.
                move |path: &str| path.starts_with(folder) && path.rsplit('/').next().is_some_and(|file| {
                    file.strip_prefix(&stem).is_some_and(|rest| rest.starts_with(".whl") || rest.starts_with("-3"))
                })
            };
            let server = Server::faulty(bench, move |path| is_it(path).then_some(fault));
            let attempt = Attempt::without(bench, &[if folder == "/wheels/" { &wheel } else { &rpm }]);
            let done = attempt.build(&server.mirrors());
            attempt.refused(&done, code, &[&stem]);
        }
    }
}

#[test]
fn a_base_layer_that_was_changed_on_its_way_is_refused() {
    let Some(bench) = Bench::open() else { return };
    for (fault, code) in [(Fault::Flipped, 4), (Fault::Cut, 3)] {
        let server = Server::faulty(bench, move |path| path.contains("/blobs/").then_some(fault));
        let attempt = Attempt::cold(bench);
        let done = attempt.build(&server.mirrors());
        attempt.refused(&done, code, &["sha256:"]);
    }
}

#[test]
fn a_digest_in_the_lock_that_is_not_the_files_is_refused() {
    let Some(bench) = Bench::open() else { return };
    let server = Server::sound(bench);
    for input in [native_wheel(bench), an_rpm(bench)] {
        let attempt = Attempt::without(bench, &[]);
        let digest = text(&input, "digest");
        let other = format!("sha256:{}", "0".repeat(64));
        harness::edit(&attempt.project.join("recipe.lock"), &digest, &other);
        let done = attempt.build(&server.mirrors());
        attempt.refused(&done, 4, &[&text(&input, "name"), &other, &digest]);
    }
}

#[test]
fn a_cache_that_was_damaged_is_mended_or_refused_but_never_believed() {
    let Some(bench) = Bench::open() else { return };
    let server = Server::sound(bench);
    let wanted = bench.digest(harness::Made::Amd64);
    for input in [native_wheel(bench), an_rpm(bench)] {
        let sound = fs::read(bench.cached(&input)).expect("cached");
        let mut flipped = sound.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for (what, damaged) in [("cut", &sound[..sound.len() / 2]), ("flipped", &flipped)] {
            let attempt = Attempt::without(bench, &[&input]);
            let blob = attempt.cache.join("blobs/sha256").join(&text(&input, "digest")["sha256:".len()..]);
            fs::write(&blob, damaged).expect("written");
            let done = attempt.build(&server.mirrors());
            if done.code == Some(0) {
                assert_eq!(done.text(), wanted, "{what} {} was believed", text(&input, "name"));
            } else {
                attempt.refused(&done, 4, &[&text(&input, "name")]);
            }
        }
    }
}

#[test]
fn locking_refuses_packages_and_metadata_that_are_not_what_was_signed() {
    let Some(bench) = Bench::open() else { return };
    for (what, part) in [("a package", "/python3.11-libs-"), ("the metadata", "primary.xml"), ("the signed list", "repomd.xml")] {
        let server = Server::faulty(bench, move |path| {
            (path.contains(part) && !path.ends_with(".asc")).then_some(Fault::Flipped)
        });
        let attempt = Attempt::cold(bench);
        let done = attempt.lock(&server.mirrors());
        assert_eq!(done.code, Some(4), "{what}: {done}");
        attempt.refused(&done, 4, &[part.trim_matches(['/', '-'])]);
        assert!(!attempt.project.join("recipe.lock").exists(), "{what}: a lock was written");
    }
}

#[test]
fn an_unknown_package_is_named_with_one_that_exists() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    harness::edit(&attempt.project.join("recipe.toml"), "\"python3.11\", \"curl\"", "\"python3.11\", \"curll\"");
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
    let kept: Vec<&str> = before.lines().filter(|line| !(line.contains("/lxml-") && line.contains("aarch64"))).collect();
    assert!(kept.len() < before.lines().count(), "lxml has wheels for arm64");
    fs::write(&uv_lock, kept.join("\n") + "\n").expect("written");
    let done = attempt.lock(&bench.standin.mirrors);
    attempt.refused(&done, 2, &["lxml", "linux/arm64"]);
}

#[test]
fn an_unknown_key_is_named_with_the_one_that_was_meant() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    harness::edit(&attempt.project.join("recipe.toml"), "stop-signal", "stop-singal");
    for done in [attempt.build(&bench.standin.mirrors), attempt.lock(&bench.standin.mirrors)] {
        attempt.refused(&done, 2, &["stop-singal", "line "]);
        assert!(done.err.contains("hint: did you mean `stop-signal`?"), "{done}");
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
        ("\"python3.11\", \"curl\"", "\"python3.11\", \"curl\", \"jq\"", "recipe.toml"),
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
    harness::edit(&attempt.project.join("recipe.lock"), "format = 1", "format = 2");
    attempt.refused(&attempt.build(&bench.standin.mirrors), 5, &["recipe.lock", "format 2"]);
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
    let done = run(imgbuild(&["build"]).arg(attempt.project.join("none")).arg("-o").arg(attempt.image()));
    attempt.refused(&done, 2, &["none"]);
    fs::remove_file(attempt.project.join("pyproject.toml")).expect("it is there");
    assert_eq!(attempt.build(&bench.standin.mirrors).code, Some(2));
    fs::remove_dir_all(attempt.project.join("src")).expect("it is there");
    fs::copy(bench.project.join("pyproject.toml"), attempt.project.join("pyproject.toml")).expect("copied");
    attempt.refused(&attempt.build(&bench.standin.mirrors), 2, &["src"]);
    let done = run(imgbuild(&["build", "--platform", "linux/riscv64"]).arg(&attempt.project).arg("-o").arg(attempt.image()));
    assert_eq!(done.code, Some(2), "{done}");
    assert!(Path::new(&attempt.project).exists());
}
