//! Inputs that cannot be had, or are not what was locked and signed: the exit code tells the two apart.

mod harness;

use std::fs;

use harness::{Attempt, Bench, Fault, Layout, Made, Server, imgbuild, run, text};

/// Where nothing listens.
const NOWHERE: &str = "127.0.0.1:1";

fn mirror(from: &str, to: &str) -> Vec<String> {
    vec!["--mirror".to_owned(), format!("{from}={to}")]
}

/// Returns a locked wheel that is installed on amd64 alone.
fn native_wheel(bench: &Bench) -> toml::Table {
    let wheels = bench.locked("wheel");
    wheels
        .into_iter()
        .find(|wheel| text(wheel, "filename").contains("x86_64"))
        .expect("native wheels")
}

/// Returns an RPM of the runtime stage.
fn an_rpm(bench: &Bench) -> toml::Table {
    let rpms = bench.locked("rpm");
    rpms.into_iter()
        .find(|rpm| text(rpm, "name") == "python3.11" && text(rpm, "arch") == "x86_64")
        .expect("it is requested")
}

#[test]
fn hosts_that_cannot_be_reached_are_named_and_nothing_was_proven() {
    let Some(bench) = Bench::open() else { return };
    let wheel = native_wheel(bench);
    let attempt = Attempt::without(bench, &[&wheel]);
    let done = attempt.build(&mirror(
        "https://files.pythonhosted.org/",
        &format!("http://{NOWHERE}/"),
    ));
    attempt.refused(&done, 3, &[&text(&wheel, "filename"), NOWHERE]);

    let attempt = Attempt::cold(bench);
    let nowhere: Vec<String> = [
        mirror("public.ecr.aws", &format!("http://{NOWHERE}")),
        mirror(
            "https://cdn.amazonlinux.com/",
            &format!("http://{NOWHERE}/"),
        ),
        mirror(
            "https://files.pythonhosted.org/",
            &format!("http://{NOWHERE}/"),
        ),
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
    let done = run(imgbuild(&[
        "build",
        "--offline",
        "--platform",
        "linux/amd64",
        "--cache-dir",
    ])
    .arg(&attempt.cache)
    .arg(&attempt.project)
    .arg("-o")
    .arg(attempt.image()));
    attempt.refused(&done, 3, &[&text(&wheel, "filename"), "--offline"]);
}

#[test]
fn a_wheel_that_is_not_what_was_locked_is_an_integrity_error_and_one_that_is_cut_is_not() {
    let Some(bench) = Bench::open() else { return };
    let wheel = native_wheel(bench);
    let name = text(&wheel, "filename");
    for (fault, code) in [(Fault::Flipped, 4), (Fault::Cut, 3)] {
        let is_it = name.clone();
        let server = Server::faulty(bench, move |path| path.ends_with(&is_it).then_some(fault));
        let attempt = Attempt::without(bench, &[&wheel]);
        attempt.refused(&attempt.build(&server.mirrors()), code, &[&name]);
    }
}

#[test]
fn a_package_that_was_tampered_with_is_an_integrity_error_and_a_server_that_fails_is_not() {
    let Some(bench) = Bench::open() else { return };
    let rpm = an_rpm(bench);
    let file = format!("/{}-{}.x86_64.rpm", text(&rpm, "name"), text(&rpm, "evr"));
    for (fault, code) in [(Fault::Flipped, 4), (Fault::Broken, 3), (Fault::Missing, 3)] {
        let is_it = file.clone();
        let server = Server::faulty(bench, move |path| path.ends_with(&is_it).then_some(fault));
        let attempt = Attempt::without(bench, &[&rpm]);
        attempt.refused(
            &attempt.build(&server.mirrors()),
            code,
            &["python3.11-3.11"],
        );
        assert!(
            server.asked().iter().any(|path| path.ends_with(&file)),
            "{:?}",
            server.asked()
        );
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
    let wanted = bench.digest(Made::Amd64);
    for input in [native_wheel(bench), an_rpm(bench)] {
        let sound = fs::read(bench.cached(&input)).expect("cached");
        let mut flipped = sound.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for (what, damaged) in [("cut", &sound[..sound.len() / 2]), ("flipped", &flipped)] {
            let attempt = Attempt::without(bench, &[&input]);
            let blob = attempt
                .cache
                .join("blobs/sha256")
                .join(&text(&input, "digest")["sha256:".len()..]);
            fs::write(&blob, damaged).expect("written");
            let done = attempt.build(&server.mirrors());
            if done.code == Some(0) {
                assert_eq!(
                    done.text(),
                    wanted,
                    "{what} {} was believed",
                    text(&input, "name")
                );
            } else {
                attempt.refused(&done, 4, &[&text(&input, "name")]);
            }
        }
    }
}

#[test]
fn locking_refuses_packages_and_metadata_that_are_not_what_was_signed() {
    let Some(bench) = Bench::open() else { return };
    for (what, part) in [
        ("a package", "/python3.11-libs-"),
        ("the metadata", "primary.xml"),
        ("the signed list", "repomd.xml"),
    ] {
        let server = Server::faulty(bench, move |path| {
            (path.contains(part) && !path.ends_with(".asc")).then_some(Fault::Flipped)
        });
        let attempt = Attempt::cold(bench);
        let done = attempt.lock(&server.mirrors());
        assert_eq!(done.code, Some(4), "{what}: {done}");
        attempt.refused(&done, 4, &[part.trim_matches(['/', '-'])]);
        assert!(
            !attempt.project.join("recipe.lock").exists(),
            "{what}: a lock was written"
        );
    }
}

#[test]
fn a_finished_layer_that_was_damaged_in_the_cache_is_made_again() {
    let Some(bench) = Bench::open() else { return };
    let attempt = Attempt::without(bench, &[]);
    let first = attempt.build(&bench.standin.mirrors).ok();
    let layout = Layout::open(&attempt.image());
    for words in ["native wheels", "rpm"] {
        let digest = layout.images()[0].layer(words).digest.clone();
        let blob = attempt
            .cache
            .join("blobs/sha256")
            .join(&digest["sha256:".len()..]);
        let mut damaged = fs::read(&blob).expect("cached");
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        // The shared cache has the same file under the same name.
        fs::remove_file(&blob).expect("it is there");
        fs::write(&blob, damaged).expect("written");
        let again = attempt.build(&bench.standin.mirrors).ok();
        assert_eq!(again.text(), first.text());
        layout.assert_complete();
    }
}
