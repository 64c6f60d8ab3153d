//! Memory stays below a bound, and does not grow with the image: layers stream.

mod harness;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use harness::{Bench, Server, run, scratch};

/// The bound for the sample image, in KiB.
const BOUND: u64 = 300 << 10;

/// Runs its arguments and says on the last line how much memory they had at once, in KiB.
const MEASURE: &str = "
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
";

/// Builds with an empty cache from a local mirror and returns the largest resident set in KiB.
fn cold_build(bench: &Bench, server: &Server, project: &Path) -> u64 {
    let folder = scratch();
    let mut command = Command::new("python3");
    command
        .args([
            "-c",
            MEASURE,
            env!("CARGO_BIN_EXE_imgbuild"),
            "build",
            "--cache-dir",
        ])
        .arg(folder.path().join("cache"));
    command
        .args(server.mirrors())
        .args(["--platform", "linux/amd64"])
        .arg(project)
        .arg("-o")
        .arg(folder.path().join("image"));
    let done = run(command
        .env_remove("SOURCE_DATE_EPOCH")
        .current_dir(&bench.project))
    .ok();
    let used = done.out.lines().last().and_then(|line| line.parse().ok());
    used.unwrap_or_else(|| panic!("no measurement: {done}"))
}

#[test]
fn a_cold_build_of_the_sample_stays_below_300_mb_and_does_not_grow_with_the_image() {
    let Some(bench) = Bench::open() else { return };
    let server = Server::sound(bench);
    let used = cold_build(bench, &server, &bench.project);
    assert!(used < BOUND, "{} MiB", used >> 10);

    // 400 MiB more in one layer, of which half does not compress.
    let folder = scratch();
    let large = bench.copy_of_project(folder.path());
    for name in ["one", "two"] {
        noise(&large.join("src").join(name), 100);
        fs::File::create(large.join("src").join(format!("{name}.zeros")))
            .expect("a file")
            .set_len(100 << 20)
            .expect("sparse");
    }
    let with_large = cold_build(bench, &server, &large);
    assert!(
        with_large < BOUND,
        "{} MiB with 400 MiB of sources, {} without",
        with_large >> 10,
        used >> 10
    );
}

/// Writes `mib` MiB that look random: xorshift, so that they are the same every time.
fn noise(path: &Path, mib: usize) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut file = fs::File::create(path).expect("a file");
    let mut block = vec![0; 1 << 20];
    for _ in 0..mib {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).expect("space on the disk");
    }
}
