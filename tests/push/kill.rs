//! Pushes that are killed at any byte: the tag is the old one or the new one, and the next push completes.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{installed, names, say, scratch};
use crate::image::small_image;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::real::{imgbuild, out, program};
use crate::server::real::registry_in_memory;
use crate::walk::walk;

const KILLS: u64 = 24;

fn start(mut command: Command) -> std::process::Child {
    command
        .args(["--progress", "none"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("imgbuild starts")
}

#[test]
fn a_push_that_is_killed_at_any_byte_is_completed_by_the_next() {
    if installed(&["docker-registry"]).is_none() {
        return;
    }
    let folder = scratch();
    let dir = folder.path();
    let old = small_image(&dir.join("old"), 1).digest.to_string();
    let new = small_image(&dir.join("new"), 2).digest.to_string();
    let real = registry_in_memory();
    let (proxy, _) = Proxy::holding(&real.host, u64::MAX);
    out(&imgbuild(
        dir,
        &["new", &format!("{}/whole:1.0", proxy.host)],
        "",
    ));
    let total = proxy.passed();
    drop(proxy);
    let mut found = [0; 3];
    for seed in 0..KILLS {
        let mut random = Random::new(seed);
        // Blobs are most of the bytes; the end, where tags are, is as worth a kill.
        let at = match seed % 2 {
            0 => random.below(total),
            _ => total - 1 - random.of_any_size(13).min(total - 1),
        };
        let repository = format!("kill/s{seed}");
        let image = format!("{}/{repository}:1.0", real.host);
        let before = (seed % 4 < 2).then(|| old.clone());
        if before.is_some() {
            out(&imgbuild(dir, &["old", &image], ""));
        }
        let (proxy, held) = Proxy::holding(&real.host, at);
        let through = format!("{}/{repository}:1.0", proxy.host);
        let mut child = start(program(dir, &["new", &through]));
        let told = held.recv_timeout(Duration::from_secs(20));
        assert!(
            told.is_ok(),
            "seed {seed}: {at} of {total} bytes never went"
        );
        // SIGKILL: nothing is left to clean up with.
        child.kill().expect("our child");
        child.wait().expect("our child");
        drop(proxy);
        let after = walk(&real.host, &repository, "1.0");
        assert!(
            after == before || after.as_ref() == Some(&new),
            "seed {seed}, killed after {at} of {total} bytes: {after:?}"
        );
        found[usize::from(after.is_some()) + usize::from(after.as_ref() == Some(&new))] += 1;
        let said = out(&imgbuild(dir, &["new", &image], ""));
        assert_eq!(said, format!("{image}@{new}"), "seed {seed}");
        assert_eq!(walk(&real.host, &repository, "1.0"), Some(new.clone()));
        let left = dir.join("cache/tmp");
        assert!(!left.exists() || names(&left).is_empty(), "seed {seed}");
    }
    say(&format!(
        "seeds 0..{KILLS}: after the kill {} tags were absent, {} the old, {} the new",
        found[0], found[1], found[2]
    ));
}
