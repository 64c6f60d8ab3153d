//! The same bytes whoever builds, wherever and whenever: each thing that could differ is made to differ.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Bench, Layout, Made, Order, Server, run};

/// Someone who owns nothing here.
const NOBODY: &str = "65534";

/// One thing that differs from an ordinary build.
struct Condition {
    name: &'static str,
    /// Words in front of the program, which run it under the condition.
    before: &'static [&'static str],
    /// Environment variables.
    env: &'static [(&'static str, &'static str)],
    /// Flags of `imgbuild build`.
    flags: &'static [&'static str],
}

const PLAIN: Condition = Condition {
    name: "nothing",
    before: &[],
    env: &[],
    flags: &[],
};

/// Two worlds that differ from the ordinary build, and from one another, in everything.
fn worlds() -> [Vec<Condition>; 2] {
    let one = vec![
        Condition {
            name: "umask 077",
            before: &["sh", "-c", "umask 077; exec \"$@\"", "-"],
            ..PLAIN
        },
        Condition {
            name: "HOME",
            env: &[
                ("HOME", "/nonexistent"),
                ("XDG_CONFIG_HOME", "/nonexistent"),
            ],
            ..PLAIN
        },
        Condition {
            name: "TZ",
            env: &[("TZ", "Pacific/Auckland")],
            ..PLAIN
        },
        Condition {
            name: "LANG",
            env: &[
                ("LANG", "tr_TR.UTF-8"),
                ("LC_ALL", "tr_TR.UTF-8"),
                ("LANGUAGE", "tr"),
            ],
            ..PLAIN
        },
        Condition {
            name: "one core",
            before: &["taskset", "0x1"],
            flags: &["--threads", "1"],
            ..PLAIN
        },
        Condition {
            name: "empty SOURCE_DATE_EPOCH",
            env: &[("SOURCE_DATE_EPOCH", "")],
            ..PLAIN
        },
    ];
    let other = vec![
        Condition {
            name: "umask 000",
            before: &["sh", "-c", "umask 000; exec \"$@\"", "-"],
            ..PLAIN
        },
        Condition {
            name: "working directory",
            before: &["sh", "-c", "cd /proc/self && exec \"$@\"", "-"],
            ..PLAIN
        },
        Condition {
            name: "TZ and C locale",
            env: &[
                ("TZ", "UTC+11"),
                ("LC_ALL", "C"),
                ("USER", "x"),
                ("LOGNAME", "x"),
            ],
            ..PLAIN
        },
        Condition {
            name: "eight threads",
            flags: &["--threads", "8"],
            ..PLAIN
        },
        Condition {
            name: "host name",
            before: &[
                "unshare",
                "--uts",
                "sh",
                "-c",
                "hostname elsewhere.example; exec \"$@\"",
                "-",
            ],
            ..PLAIN
        },
        // Time still passes: only its start is another. A clock that is monotonic stays so.
        Condition {
            name: "clock",
            before: &["faketime", "2001-02-03 04:05:06"],
            env: &[("FAKETIME_DONT_FAKE_MONOTONIC", "1")],
            ..PLAIN
        },
    ];
    [one, other]
}

/// Tells whether a condition can be made here, and says if not.
fn possible(condition: &Condition) -> bool {
    if condition.before.first() == Some(&"unshare")
        && harness::needs_root("another host name").is_none()
    {
        return false;
    }
    // A static program does not load libfaketime.
    let is_static = || run(Command::new("ldd").arg(env!("CARGO_BIN_EXE_imgbuild"))).code != Some(0);
    if condition.name == "clock" && is_static() {
        return harness::skip::<()>("the program is static: faketime cannot change its clock")
            .is_some();
    }
    condition
        .before
        .first()
        .is_none_or(|program| harness::installed(&[program]).is_some())
}

/// Builds amd64 under all `conditions` at once and returns the digest that is printed.
fn build_under(bench: &Bench, conditions: &[&Condition]) -> String {
    // On the file system of the cache, whose copy is made of links.
    let folder = harness::scratch_in(bench.cache.parent().expect("target/e2e"));
    let cache = folder.path().join("cache");
    bench.copy_cache(&cache);
    let mut words: Vec<&str> = conditions
        .iter()
        .flat_map(|condition| condition.before)
        .copied()
        .collect();
    words.push(env!("CARGO_BIN_EXE_imgbuild"));
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_remove("SOURCE_DATE_EPOCH");
    for condition in conditions {
        command.envs(condition.env.iter().copied());
    }
    command
        .args(["build", "--platform", "linux/amd64", "--cache-dir"])
        .arg(&cache)
        .args(&bench.standin.mirrors);
    command.args(conditions.iter().flat_map(|condition| condition.flags));
    run(command
        .arg(&bench.project)
        .arg("-o")
        .arg(folder.path().join("image")))
    .ok()
    .text()
    .to_owned()
}

#[test]
fn where_and_when_and_how_a_build_runs_does_not_reach_its_bytes() {
    let Some(bench) = Bench::open() else { return };
    let wanted = bench.digest(Made::Amd64);
    for world in worlds() {
        let possible: Vec<&Condition> = world
            .iter()
            .filter(|condition| possible(condition))
            .collect();
        if build_under(bench, &possible) == wanted {
            continue;
        }
        let guilty: Vec<&str> = possible
            .iter()
            .filter(|condition| build_under(bench, &[condition]) != wanted)
            .map(|it| it.name)
            .collect();
        panic!("the digest depends on {guilty:?}");
    }
}

#[test]
fn conditions_do_change_what_a_program_sees() {
    // The check itself: were a condition not in force, the test above would show nothing.
    let sees = |conditions: &[&Condition], script: &str| {
        let words: Vec<&str> = conditions
            .iter()
            .flat_map(|condition| condition.before)
            .copied()
            .chain(["sh", "-c", script])
            .collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        for condition in conditions {
            command.envs(condition.env.iter().copied());
        }
        run(&mut command).ok().text().to_owned()
    };
    let script = "umask; date +%Y%Z; nproc; hostname; pwd -P; echo $HOME$LC_ALL";
    let [one, other] = worlds().map(|world| {
        let possible: Vec<&Condition> = world
            .iter()
            .filter(|condition| possible(condition))
            .collect();
        let seen = sees(&possible, script);
        seen.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let differ: Vec<bool> = one.iter().zip(&other).map(|(a, b)| a != b).collect();
    if harness::as_root() {
        assert_eq!(
            differ,
            [
                true,
                true,
                std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1),
                true,
                true,
                true
            ],
            "{one:?} {other:?}"
        );
    }
}

#[test]
fn another_user_with_an_empty_cache_over_another_network_path_gets_the_same_index() {
    let Some(bench) = Bench::open() else { return };
    let folder = harness::scratch();
    let project = bench.copy_of_project(folder.path());
    // The repository may be where others cannot go.
    let program = folder.path().join("imgbuild");
    fs::copy(env!("CARGO_BIN_EXE_imgbuild"), &program).expect("a copy");
    let server = Server::sound(bench);
    let mut command = Command::new(&program);
    if harness::needs_root("becoming another user").is_some() {
        harness::give(folder.path(), NOBODY.parse().expect("a number"));
        command = Command::new("setpriv");
        command
            .args([
                "--reuid",
                NOBODY,
                "--regid",
                NOBODY,
                "--clear-groups",
                "--no-new-privs",
            ])
            .arg(&program);
    }
    command
        .env_clear()
        .env("HOME", folder.path())
        .current_dir(folder.path());
    command
        .args([
            "build",
            "webhook",
            "-o",
            "image",
            "--tag",
            "e2e",
            "--threads",
            "3",
        ])
        .args(server.mirrors());
    assert!(project.starts_with(folder.path()));
    let done = run(&mut command).ok();
    assert_eq!(done.text(), bench.digest(Made::Both));
    assert!(!server.asked().is_empty(), "the cache was not cold");
    let ours = fs::read(folder.path().join("image/index.json")).expect("written");
    assert_eq!(
        ours,
        fs::read(bench.made(Made::Both).join("index.json")).expect("written"),
        "the layout as a whole"
    );
}

/// Returns a folder in memory, where files are listed in the order in which they were made, or its reverse.
fn in_memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

fn listing(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .expect("a folder")
        .map(|it| {
            it.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[test]
fn neither_the_order_nor_the_modes_of_the_source_tree_reach_the_bytes_but_the_executable_bit_does()
{
    let Some(bench) = Bench::open() else { return };
    let wanted = bench.digest(Made::Amd64);
    let folder = harness::scratch_in(&in_memory());
    let copies = [Order::Forward, Order::Reverse].map(|order| {
        let copy = folder.path().join(if order == Order::Forward {
            "forward"
        } else {
            "reverse"
        });
        harness::copy_folder(&bench.project, &copy, order);
        copy
    });
    let [forward, reverse] = copies.each_ref().map(|copy| listing(&copy.join("src")));
    if in_memory().starts_with("/dev") {
        assert_ne!(
            forward, reverse,
            "the file system lists both alike: this shows nothing"
        );
    }
    for (copy, mode) in copies.iter().zip([0o600, 0o664]) {
        for file in harness::files_below(&copy.join("src")) {
            harness::set_mode(&copy.join("src").join(file), mode);
        }
        let built = bench.build(copy, &folder.path().join("image")).ok();
        assert_eq!(built.text(), wanted, "{}, files {mode:o}", copy.display());
    }
    harness::set_mode(&copies[0].join("src/app.py"), 0o755);
    let image = folder.path().join("image");
    assert_ne!(bench.build(&copies[0], &image).ok().text(), wanted);
    let built = &Layout::open(&image).images()[0];
    let entries = Layout::open(&image).entries(built.layer("copy"));
    assert_eq!(
        entries
            .iter()
            .find(|entry| entry.path == "app/src/app.py")
            .expect("copied")
            .mode,
        0o755
    );
}

/// Returns the digests of the layers by their line of the history.
fn layers(layout: &Path) -> BTreeMap<String, String> {
    let image = Layout::open(layout).images().remove(0);
    image
        .layers
        .into_iter()
        .map(|layer| (layer.created_by, layer.digest))
        .collect()
}

#[test]
fn a_changed_source_file_changes_its_layer_alone_and_the_epoch_none() {
    let Some(bench) = Bench::open() else { return };
    let before = layers(&bench.made(Made::Amd64));
    let folder = harness::scratch();
    let (project, image) = (
        bench.copy_of_project(folder.path()),
        folder.path().join("image"),
    );
    let digest = run(bench
        .imgbuild(&["build", "--platform", "linux/amd64"])
        .arg(&project)
        .arg("-o")
        .arg(&image)
        .env("SOURCE_DATE_EPOCH", "1000000000"))
    .ok();
    assert_ne!(digest.text(), bench.digest(Made::Amd64));
    assert_eq!(layers(&image), before, "the epoch reaches the config only");
    assert_eq!(
        Layout::open(&image).images()[0].config["created"],
        "2001-09-09T01:46:40Z"
    );

    fs::write(project.join("src/added.py"), "x = 1\n").expect("written");
    bench.build(&project, &image).ok();
    let after = layers(&image);
    let changed: Vec<&String> = before
        .keys()
        .filter(|line| before[*line] != after[*line])
        .collect();
    assert!(
        matches!(changed.as_slice(), [line] if line.contains("copy")),
        "{changed:?}"
    );
}

#[test]
fn layers_that_depend_on_locked_wheels_and_sources_alone_have_the_committed_digests() {
    let Some(bench) = Bench::open() else { return };
    let file = harness::source().join("tests/golden/webhook.toml");
    let golden: toml::Table = fs::read_to_string(&file)
        .expect("committed")
        .parse()
        .expect("TOML");
    // A change of format changes the digests and not the diff_ids; both moving means other content.
    let mut found = toml::Table::new();
    for image in bench.layout(Made::Both).images() {
        let mut layers = toml::Table::new();
        for (name, words) in [
            ("pure", "pure wheels"),
            ("native", "native wheels"),
            ("copy", "copy"),
        ] {
            let layer = image.layer(words);
            let pair = [("diff_id", &layer.diff_id), ("digest", &layer.digest)];
            layers.insert(
                name.to_owned(),
                toml::Value::Table(
                    pair.map(|(key, value)| (key.to_owned(), value.clone().into()))
                        .into_iter()
                        .collect(),
                ),
            );
        }
        found.insert(image.platform.clone(), toml::Value::Table(layers));
    }
    let said = golden
        .get("layers")
        .and_then(toml::Value::as_table)
        .expect("[layers]");
    assert_eq!(
        *said,
        found,
        "if this is meant, write to {}:\n{}",
        file.display(),
        toml::to_string(&toml::Table::from_iter([(
            "layers".to_owned(),
            found.clone().into()
        )]))
        .expect("TOML")
    );
}
