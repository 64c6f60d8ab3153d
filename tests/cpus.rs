//! The same bytes on every processor: a build under emulated ones, old and new, gives the digest of this one.

mod harness;

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::{Bench, Order, imgbuild, installed, run, scratch, source};

/// Without SSE3, with SSE4.2 and carry-less multiplication but no AVX, and with all that QEMU knows.
///
/// Encoders and hashes choose their code by these at run time; what they write may not differ.
const PROCESSORS: [&str; 3] = ["qemu64", "Nehalem", "max"];

/// Builds the minimal recipe with a command that ends in imgbuild, making every layer anew; returns the digest.
fn build(mut command: Command, bench: &Bench, folder: &Path) -> String {
    let _ = fs::remove_dir_all(folder.join("cache/derived"));
    command
        .args([
            "build",
            "--platform",
            "linux/amd64",
            "--offline",
            "--cache-dir",
        ])
        .arg(folder.join("cache"))
        .args(&bench.standin.mirrors)
        .arg(folder.join("minimal"))
        .arg("-o")
        .arg(folder.join("image"))
        .env_remove("SOURCE_DATE_EPOCH");
    run(&mut command).ok().text().to_owned()
}

#[test]
fn a_build_gives_the_same_digest_on_every_emulated_processor() {
    let Some(bench) = Bench::open() else { return };
    if installed(&["qemu-x86_64-static"]).is_none() {
        return;
    }
    let folder = scratch();
    let folder = folder.path();
    harness::copy_folder(
        &source().join("recipes/minimal"),
        &folder.join("minimal"),
        Order::Forward,
    );
    run(imgbuild(&["lock", "--cache-dir"])
        .arg(folder.join("cache"))
        .args(&bench.standin.mirrors)
        .arg(folder.join("minimal")))
    .ok();
    let native = build(Command::new(env!("CARGO_BIN_EXE_imgbuild")), bench, folder);
    for processor in PROCESSORS {
        let mut emulated = Command::new("qemu-x86_64-static");
        emulated.args(["-cpu", processor, env!("CARGO_BIN_EXE_imgbuild")]);
        assert_eq!(build(emulated, bench, folder), native, "on {processor}");
    }
}
