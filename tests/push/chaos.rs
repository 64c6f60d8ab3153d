//! Two hundred pushes to a real registry through faults at any byte: each ends right or says why, and no tag is wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use imgbuild::diagnose::Diagnose as _;
use imgbuild::edge::fetch::Patience;
use imgbuild::edge::registry::Credentials;

use crate::harness::{installed, scratch};
use crate::image::small_image;
use crate::proxy::{Fault, Proxy, Spoil, Way};
use crate::random::Random;
use crate::server::real::registry_in_memory;
use crate::walk::{walk, walk_all};
use crate::{push, push_with};

const PUSHES: u64 = 200;
/// Longer than all stalls and attempts of one push together.
const LONGEST: Duration = Duration::from_secs(40);
/// More at once would stall for want of a processor.
const AT_ONCE: usize = 8;

/// Chooses the faults of all connections of a push.
fn plan(seed: u64) -> impl Fn(usize) -> Option<Spoil> {
    // Most pushes meet some faults and get through; some never do.
    let how_many = Random::new(seed).below(10);
    move |connection| {
        let mut random = Random::new(seed * 1000 + connection as u64 + 1);
        let spoils = match how_many {
            0..=3 => connection < 2,
            4..=6 => connection < 5,
            7..=8 => random.below(2) == 0,
            _ => true,
        };
        let fault = match random.below(5) {
            0 => Fault::Cut,
            1 => Fault::Truncate,
            2 => Fault::Stall,
            3 => Fault::Slow,
            _ => Fault::Corrupt(random.below(255) as u8 + 1),
        };
        // Answers are short, and headers are as worth spoiling as the bytes of blobs.
        let (way, at) = match random.below(3) {
            0 => (Way::ToClient, random.of_any_size(11)),
            _ => (Way::ToRegistry, random.of_any_size(19)),
        };
        spoils.then_some(Spoil { fault, way, at })
    }
}

/// What there is to push.
struct Images {
    old: PathBuf,
    old_digest: String,
    new: PathBuf,
    new_digest: String,
}

fn images(folder: &Path) -> Images {
    let (old, new) = (folder.join("old"), folder.join("new"));
    Images {
        old_digest: small_image(&old, 1).digest.to_string(),
        new_digest: small_image(&new, 2).digest.to_string(),
        old,
        new,
    }
}

/// How a push ended: the faults it met, and the error if it failed.
type End = (usize, Option<String>);

async fn one(seed: u64, images: &Images, host: &str) -> End {
    let repository = format!("chaos/s{seed}");
    let has_old = seed.is_multiple_of(2);
    if has_old {
        let image = format!("{host}/{repository}:1.0");
        push(Credentials::none(), &images.old, &image, &[])
            .await
            .expect("nothing is in the way");
    }
    let patience = Patience {
        retries: 3,
        backoff: Duration::from_millis(4),
        longest_wait: Duration::from_secs(1),
        stall: Duration::from_millis(400),
        ..Patience::default()
    };
    let proxy = Proxy::spoiling(host, plan(seed));
    let image = format!("{}/{repository}:1.0", proxy.host);
    let pushing = push_with(patience, Credentials::none(), &images.new, &image, &[]);
    let result = tokio::time::timeout(LONGEST, pushing)
        .await
        .unwrap_or_else(|_| panic!("seed {seed}: still not at an end"));
    let spoilt = proxy.spoilt();
    drop(proxy);
    let at = (host.to_owned(), repository.clone());
    let found = tokio::task::spawn_blocking(move || walk(&at.0, &at.1, "1.0")).await;
    let found = found.unwrap_or_else(|error| panic!("seed {seed}: {result:?}: {error}"));
    let error = match result {
        Ok(pushed) => {
            assert_eq!(pushed.digest.to_string(), images.new_digest, "seed {seed}");
            assert_eq!(found.as_ref(), Some(&images.new_digest), "seed {seed}");
            None
        }
        Err(error) => {
            let old = has_old.then_some(&images.old_digest);
            assert!(
                found.as_ref() == old || found.as_ref() == Some(&images.new_digest),
                "seed {seed}: {error}: the tag leads to {found:?}"
            );
            let code = error.class().exit_code();
            assert!(matches!(code, 3 | 4), "seed {seed}: exit {code}: {error}");
            let Some(hint) = error.hint() else {
                panic!("seed {seed}: no hint: {error:?}");
            };
            // To push there is no other place.
            assert!(!hint.contains("--mirror"), "seed {seed}: {error}: {hint}");
            assert!(spoilt > 0, "seed {seed}: nothing was in the way: {error}");
            Some(format!("exit {code}: {error}; hint: {hint}"))
        }
    };
    (spoilt, error)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_pushes_through_faults_end_right_or_with_a_reason_and_never_with_a_wrong_tag() {
    if installed(&["docker-registry"]).is_none() {
        return;
    }
    let folder = scratch();
    let images = Arc::new(images(folder.path()));
    let real = registry_in_memory();
    let begun = Instant::now();
    // One seed alone: IMGBUILD_TEST_SEED=17.
    let alone = std::env::var("IMGBUILD_TEST_SEED").ok();
    let seeds = match alone.as_ref().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..PUSHES,
    };
    let ends: BTreeMap<u64, End> = stream::iter(seeds)
        .map(|seed| {
            let (images, host) = (Arc::clone(&images), real.host.clone());
            async move { (seed, one(seed, &images, &host).await) }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let failed: Vec<_> = ends
        .iter()
        .filter_map(|(seed, (_, error))| Some(format!("seed {seed}: {}", error.as_ref()?)))
        .collect();
    let faults: usize = ends.values().map(|(spoilt, _)| spoilt).sum();
    let host = real.host.clone();
    let tags = tokio::task::spawn_blocking(move || walk_all(&host)).await;
    let (pushes, tags) = (ends.len(), tags.expect("every tag is whole"));
    assert!(tags >= pushes - failed.len(), "{tags} tags");
    crate::harness::say(&format!(
        "seeds 0..{PUSHES}: {pushes} pushes met {faults} faults in {:.1} s; {} failed, {tags} tags are whole\n{}",
        begun.elapsed().as_secs_f32(),
        failed.len(),
        failed.join("\n")
    ));
    if alone.is_none() {
        assert!(faults > pushes, "{faults} faults in {pushes} pushes");
        let few = 10..pushes / 2;
        assert!(few.contains(&failed.len()), "{} failed", failed.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_was_changed_on_the_way_is_no_success() {
    if installed(&["docker-registry"]).is_none() {
        return;
    }
    let folder = scratch();
    let images = images(folder.path());
    let real = registry_in_memory();
    let put = ("PUT /v2/a/b/manifests/1.0 ", "PUT /v2/a/b/manifests/1.8 ");
    for old in [None, Some(images.old_digest.as_str())] {
        if old.is_some() {
            let image = format!("{}/a/b:1.0", real.host);
            push(Credentials::none(), &images.old, &image, &[])
                .await
                .expect("nothing is in the way");
        }
        let proxy = Proxy::rewriting(&real.host, put.0, put.1);
        let image = format!("{}/a/b:1.0", proxy.host);
        let error = push(Credentials::none(), &images.new, &image, &[])
            .await
            .expect_err("another tag was moved");
        let text = error.to_string();
        assert_eq!(error.class().exit_code(), 4, "{text}");
        assert!(text.contains("/a/b:1.0 was taken, but leads"), "{text}");
        assert!(text.contains(old.unwrap_or("got nothing")), "{text}");
        assert_eq!(walk(&real.host, "a/b", "1.0").as_deref(), old);
    }
}
