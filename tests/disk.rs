//! Disks that are full, folders that may not be read or written, builds that are killed: whole results or none.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Bench, Done, Layout, Made, Server, imgbuild, run};

const NOBODY: &str = "65534";

/// Makes a small disk at $1 that ends with its namespace, runs the rest, and lists what is left there.
const ON_SMALL_DISK: &str = r#"
disk=$1; shift
mount -t tmpfs -o size=6m none "$disk" || exit 99
"$@"; code=$?
echo "left: $(cd "$disk" && find . -type f | tr '\n' ' ')"
exit $code
"#;

fn on_small_disk(disk: &Path, program: &Command) -> Done {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", ON_SMALL_DISK, "small"])
        .arg(disk)
        .arg(program.get_program())
        .args(program.get_args());
    run(command.env_remove("SOURCE_DATE_EPOCH"))
}

#[track_caller]
fn assert_says(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, Some(code), "{done}");
    for word in words.iter().chain(&["error: ", "hint: "]) {
        assert!(done.err.contains(word), "`{word}` is not said: {done}");
    }
    assert!(!done.err.contains("panicked"), "{done}");
}

#[test]
fn a_full_disk_is_named_and_nothing_is_left_on_it() {
    let Some(bench) = Bench::open() else { return };
    if harness::needs_root("mounting a small disk").is_none() {
        return;
    }
    bench.made(Made::Amd64);
    let folder = harness::scratch();
    for format in ["oci", "oci-archive", "docker-archive"] {
        let mut build = bench.imgbuild(&["build", "--platform", "linux/amd64", "--format", format]);
        build
            .arg(&bench.project)
            .arg("-o")
            .arg(folder.path().join("image"));
        let done = on_small_disk(folder.path(), &build);
        assert_says(
            &done,
            2,
            &["no space", &folder.path().display().to_string()],
        );
        assert!(
            done.out.contains("left: \n"),
            "half an image is left: {done}"
        );
    }
    // The cache on a full disk.
    let server = Server::sound(bench);
    let out = harness::scratch();
    let mut build = imgbuild(&["build", "--platform", "linux/amd64", "--cache-dir"]);
    build
        .arg(folder.path().join("cache"))
        .args(server.mirrors())
        .arg(&bench.project)
        .arg("-o")
        .arg(out.path().join("image"));
    let done = on_small_disk(folder.path(), &build);
    assert_says(&done, 2, &["no space", "--cache-dir"]);
    assert!(harness::names(out.path()).is_empty());
    assert!(
        !done.out.contains("/tmp/"),
        "the cache's temporary files are left: {done}"
    );
}

/// What an ordinary user runs: a copy of the program and the project where they may read them.
struct Ordinary {
    folder: tempfile::TempDir,
    project: PathBuf,
}

impl Ordinary {
    fn new(bench: &Bench) -> Self {
        let folder = harness::scratch();
        let project = bench.copy_of_project(folder.path());
        fs::copy(
            env!("CARGO_BIN_EXE_imgbuild"),
            folder.path().join("imgbuild"),
        )
        .expect("a copy");
        if harness::as_root() {
            harness::give(folder.path(), NOBODY.parse().expect("a number"));
        }
        Self { folder, project }
    }

    /// Runs `imgbuild build` as a user for whom modes count; root reads and writes everything.
    fn build(&self, server: &Server, out: &Path) -> Done {
        let program = self.folder.path().join("imgbuild");
        let mut command = Command::new(&program);
        if harness::as_root() {
            command = Command::new("setpriv");
            command
                .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
                .arg(&program);
        }
        command
            .args(["build", "--platform", "linux/amd64"])
            .arg(&self.project)
            .arg("-o")
            .arg(out);
        command
            .args(server.mirrors())
            .env("HOME", self.folder.path())
            .env_remove("XDG_CACHE_HOME")
            .env_remove("IMGBUILD_CACHE_DIR");
        run(&mut command)
    }
}

#[test]
fn a_source_file_that_cannot_be_read_is_named_before_anything_is_fetched() {
    let Some(bench) = Bench::open() else { return };
    let ordinary = Ordinary::new(bench);
    let server = Server::sound(bench);
    harness::set_mode(&ordinary.project.join("src/events.py"), 0);
    let out = ordinary.folder.path().join("image");
    let done = ordinary.build(&server, &out);
    assert_says(&done, 2, &["src/events.py", "ermission denied"]);
    assert!(!out.exists());
    assert!(
        server.asked().is_empty(),
        "it asked for {:?}",
        server.asked()
    );
}

#[test]
fn an_output_folder_that_cannot_be_written_is_named() {
    let Some(bench) = Bench::open() else { return };
    let ordinary = Ordinary::new(bench);
    let server = Server::sound(bench);
    let shut = ordinary.folder.path().join("shut");
    fs::create_dir(&shut).expect("a folder");
    harness::set_mode(&shut, 0o555);
    let done = ordinary.build(&server, &shut.join("image"));
    assert_says(&done, 2, &["shut", "ermission denied"]);
    assert!(harness::names(&shut).is_empty());
    // A file where the layout would go is not ours to replace.
    let file = ordinary.folder.path().join("notes.txt");
    fs::write(&file, "important").expect("written");
    let done = ordinary.build(&server, &file);
    assert_says(&done, 2, &["notes.txt"]);
    assert_eq!(fs::read_to_string(&file).expect("still there"), "important");
}

#[test]
fn a_folder_that_is_no_layout_is_not_replaced() {
    let Some(bench) = Bench::open() else { return };
    let folder = harness::scratch();
    fs::write(folder.path().join("thesis.tex"), "years of work").expect("written");
    let done = bench.build(&bench.project, folder.path());
    assert_says(&done, 2, &[&folder.path().display().to_string()]);
    assert_eq!(harness::names(folder.path()), ["thesis.tex"]);
}

#[test]
fn a_build_that_is_killed_leaves_the_old_layout_and_the_next_one_succeeds() {
    let Some(bench) = Bench::open() else { return };
    let folder = harness::scratch();
    let project = bench.copy_of_project(folder.path());
    let (out, image) = (folder.path().join("out"), folder.path().join("out/image"));
    fs::create_dir(&out).expect("a folder");
    let old = bench.build(&project, &image).ok();
    // Layers that did not change are found in the cache, so a build with one new layer says how long the next takes.
    let added = project.join("src/added.py");
    fs::write(&added, "x = 1\n").expect("written");
    let took = bench
        .build(&project, &folder.path().join("timed"))
        .ok()
        .took;
    fs::write(&added, "x = 2\n").expect("written");

    // Killed at moments all over a build, and most of them near its end, where files are put into place.
    let mut killed = 0;
    for part in [20, 50, 80, 90, 95, 98, 100] {
        let mut command = bench.imgbuild(&["build", "--platform", "linux/amd64"]);
        command
            .arg(&project)
            .arg("-o")
            .arg(&image)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        std::thread::sleep(took * part / 100);
        let ended = child.try_wait().expect("our child").is_some();
        child.kill().expect("our child");
        child.wait().expect("our child");
        let layout = Layout::open(&image);
        layout.assert_complete();
        if !ended {
            killed += 1;
        }
    }
    assert!(
        killed > 0,
        "no build was killed in the middle: it took {took:?}"
    );

    let done = bench.build(&project, &image).ok();
    assert_ne!(done.text(), old.text());
    Layout::open(&image).assert_complete();
    let clean = bench.build(&project, &folder.path().join("clean")).ok();
    assert_eq!(clean.text(), done.text());
    assert_eq!(
        harness::names(&out),
        ["image"],
        "the next build clears away what killed ones left"
    );
}

#[test]
fn a_build_that_is_told_to_stop_ends_at_once_and_leaves_nothing() {
    let Some(bench) = Bench::open() else { return };
    bench.made(Made::Amd64);
    // A build that finds its layers is over in a moment: shorter and shorter pauses catch it in the middle.
    for pause in [200, 100, 50, 20, 5, 1] {
        let folder = harness::scratch();
        let mut command = bench.imgbuild(&["build", "--platform", "linux/amd64"]);
        command
            .arg(&bench.project)
            .arg("-o")
            .arg(folder.path().join("image"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        std::thread::sleep(Duration::from_millis(pause));
        let pid = rustix::process::Pid::from_child(&child);
        if child.try_wait().expect("our child").is_some() {
            continue;
        }
        // Not SIGINT: a shell's background jobs, such as a whole test run, are started deaf to it.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("our child");
        let start = Instant::now();
        let status = child.wait().expect("our child");
        if status.success() {
            continue;
        }
        let took = start.elapsed();
        assert!(took < Duration::from_secs(3), "it took {took:?} to stop");
        let left = harness::names(folder.path());
        assert!(!left.contains(&"image".to_owned()), "{left:?}");
        return;
    }
    panic!("no build was interrupted in the middle");
}
