//! Fetching: faults of servers and networks, and what is left of them.

mod server;

use std::time::{Duration, Instant};

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::fetch::{FetchError, FetchOptions, Fetcher, Input, Patience};
use imgbuild::edge::progress::Silent;
use imgbuild::edge::store::Store;
use imgbuild::layer::RandomRead as _;
use imgbuild::oci::Digest;
use server::{Reply, Server, ok, status};
use tempfile::TempDir;

fn patience() -> Patience {
    Patience {
        retries: 3,
        backoff: Duration::from_millis(4),
        longest_wait: Duration::from_secs(2),
        connect: Duration::from_secs(2),
        // Long: a busy machine must not look like a stalled server.
        stall: Duration::from_secs(20),
    }
}

fn fetcher(mirrors: &[&str]) -> Fetcher {
    fetcher_with(mirrors, patience())
}

fn fetcher_with(mirrors: &[&str], patience: Patience) -> Fetcher {
    let mirrors = mirrors
        .iter()
        .map(|mirror| mirror.parse().expect("a mirror"))
        .collect();
    Fetcher::new(FetchOptions {
        mirrors,
        patience,
        ..FetchOptions::default()
    })
    .expect("a fetcher")
}

fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path().join("cache")).expect("a store");
    (dir, store)
}

fn body() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn input(url: String, body: &[u8]) -> Input {
    Input {
        what: "thing-1.rpm".to_owned(),
        urls: vec![url],
        digest: Digest::of(body),
        size: Some(body.len() as u64),
    }
}

/// Tells whether nothing is being written and nothing was.
fn is_clean(store: &Store) -> bool {
    ["tmp", "blobs/sha256"].iter().all(|dir| {
        std::fs::read_dir(store.dir().join(dir))
            .expect("a folder")
            .next()
            .is_none()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_is_fetched_once_and_then_comes_from_the_store() {
    let server = Server::start(|_, _| ok(body()));
    let (_dir, store) = store();
    let (fetcher, input) = (fetcher(&[]), input(server.url("/x"), &body()));
    for _ in 0..3 {
        let blob = fetcher.fetch(&store, &input).await.expect("fetched");
        assert_eq!(blob.size(), body().len() as u64);
        assert_eq!(blob.read_all(u64::MAX).expect("readable"), body());
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_that_pass_are_tried_again_from_the_start() {
    type Fault = fn() -> Reply;
    let faults: [(&str, Fault); 7] = [
        ("500", || status(500, &[], "oops")),
        ("503", || status(503, &[("retry-after", "0")], "SlowDown")),
        ("408", || status(408, &[], "")),
        ("429", || status(429, &[], "toomanyrequests")),
        ("reset", || Reply::Reset),
        ("cut", || Reply::Cut(body(), 1000)),
        ("cut without length", || Reply::CutUnannounced(body(), 1000)),
    ];
    for (name, fault) in faults {
        let server = Server::start(move |_, before| if before < 2 { fault() } else { ok(body()) });
        let (_dir, store) = store();
        let blob = fetcher(&[])
            .fetch(&store, &input(server.url("/x"), &body()))
            .await;
        let blob = blob.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            blob.hash().expect("readable").0,
            Digest::of(&body()),
            "{name}"
        );
        assert_eq!(server.count(), 3, "{name}");
        let metadata = fetcher(&[])
            .get(&server.url("/x"), 10_000_000)
            .await
            .expect("fetched");
        assert_eq!(metadata, body(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_sending_is_left_and_asked_again() {
    let server = Server::start(|_, before| {
        if before < 1 {
            Reply::Stall(body(), 1000)
        } else {
            ok(body())
        }
    });
    let (_dir, store) = store();
    let impatient = Patience {
        stall: Duration::from_millis(500),
        retries: 9,
        ..patience()
    };
    let begin = Instant::now();
    fetcher_with(&[], impatient)
        .fetch(&store, &input(server.url("/x"), &body()))
        .await
        .expect("fetched");
    assert!(server.count() >= 2 && begin.elapsed() >= Duration::from_millis(500));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_time_gets_it() {
    let server = Server::start(|_, before| {
        if before == 0 {
            status(429, &[("Retry-After", "1")], "")
        } else {
            ok("x")
        }
    });
    let begin = Instant::now();
    fetcher(&[])
        .get(&server.url("/"), 10)
        .await
        .expect("fetched");
    assert!(
        begin.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    // A server must not stop a build for a day.
    let server = Server::start(|_, before| {
        if before == 0 {
            status(503, &[("Retry-After", "86400")], "")
        } else {
            ok("x")
        }
    });
    let begin = Instant::now();
    fetcher(&[])
        .get(&server.url("/"), 10)
        .await
        .expect("fetched");
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_that_stay_are_errors_that_say_what_happened() {
    type Fault = fn() -> Reply;
    let wrong = || {
        let mut wrong = body();
        wrong[7] ^= 1;
        ok(wrong)
    };
    let faults: [(Fault, usize, Class, &str); 7] = [
        (wrong, 1, Class::Integrity, "expected sha256:"),
        (
            || ok("short"),
            1,
            Class::Integrity,
            "expected 1200000 bytes, got 5",
        ),
        (
            || Reply::CutUnannounced([body(), body()].concat(), 2_000_000),
            1,
            Class::Integrity,
            "or more",
        ),
        (
            || status(404, &[], "<h1>no such key</h1>"),
            1,
            Class::Unavailable,
            "HTTP status 404: no such key",
        ),
        (
            || status(403, &[], ""),
            1,
            Class::Unavailable,
            "HTTP status 403",
        ),
        (
            || status(500, &[], "oops"),
            4,
            Class::Unavailable,
            "HTTP status 500: oops (tried 4 times)",
        ),
        (
            || Reply::Cut(body(), 10),
            4,
            Class::Unavailable,
            "of 1200000 bytes (tried 4 times)",
        ),
    ];
    for (fault, tries, class, says) in faults {
        let server = Server::start(move |_, _| fault());
        let (_dir, store) = store();
        let error = fetcher(&[])
            .fetch(&store, &input(server.url("/x?secret"), &body()))
            .await
            .expect_err(says);
        let text = error.to_string();
        assert!(
            text.contains(says) && text.starts_with("thing-1.rpm: "),
            "{text}"
        );
        assert!(
            text.contains(&server.host) && !text.contains("secret"),
            "{text}"
        );
        assert_eq!(error.class(), class, "{text}");
        assert_eq!(server.count(), tries, "{text}");
        assert!(is_clean(&store), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_is_unavailable_and_there_is_a_hint() {
    for url in ["http://127.0.0.1:1/x", "https://no-such-host.invalid/x"] {
        let error = fetcher(&[])
            .get(url, 10)
            .await
            .expect_err("nobody is there");
        assert!(error.to_string().contains("cannot reach"), "{error}");
        assert_eq!(error.class(), Class::Unavailable, "{error}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains("--mirror")),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_asks_nobody_and_says_what_is_missing() {
    let server = Server::start(|_, _| ok(body()));
    let (dir, store) = store();
    let offline = Fetcher::new(FetchOptions {
        offline: true,
        ..FetchOptions::default()
    })
    .expect("a fetcher");
    let wanted = input(server.url("/x"), &body());
    let error = offline.fetch(&store, &wanted).await.expect_err("offline");
    assert!(matches!(error.root(), FetchError::Offline { .. }));
    assert!(error.to_string().starts_with("thing-1.rpm: "), "{error}");
    assert_eq!(error.class(), Class::Unavailable);
    // What is in the cache or in a file needs no network.
    let file = dir.path().join("thing 1.rpm");
    std::fs::write(&file, body()).expect("written");
    let local = url::Url::from_file_path(&file)
        .expect("absolute")
        .to_string();
    offline
        .fetch(&store, &input(local, &body()))
        .await
        .expect("from a file");
    offline
        .fetch(&store, &wanted)
        .await
        .expect("from the cache");
    assert_eq!(server.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_changes_where_bytes_come_from_and_nothing_else() {
    let server = Server::start(|seen, _| {
        if seen.path == "/m/core/a.rpm" {
            ok(body())
        } else {
            status(404, &[], "")
        }
    });
    let (dir, store) = store();
    let to = format!("https://cdn.example.com/=http://{}/m", server.host);
    let wanted = input("https://cdn.example.com/core/a.rpm".to_owned(), &body());
    fetcher(&[&to])
        .fetch(&store, &wanted)
        .await
        .expect("from the mirror");
    std::fs::create_dir(dir.path().join("core")).expect("made");
    std::fs::write(dir.path().join("core/a.rpm"), "other").expect("written");
    let to = format!("cdn.example.com=file://{}", dir.path().display());
    store.remove(&wanted.digest).expect("removed");
    let error = fetcher(&[&to])
        .fetch(&store, &wanted)
        .await
        .expect_err("other bytes");
    assert_eq!(error.class(), Class::Integrity, "{error}");
    std::fs::write(dir.path().join("core/a.rpm"), body()).expect("written");
    fetcher(&[&to])
        .fetch(&store, &wanted)
        .await
        .expect("from the folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_url_is_asked_and_wrong_bytes_count_more_than_none() {
    let good = Server::start(|_, _| ok(body()));
    let wrong = Server::start(|_, _| Reply::CutUnannounced(vec![1; 1_200_000], 1_200_000));
    let missing = Server::start(|_, _| status(404, &[], ""));
    let (_dir, store) = store();
    let mut wanted = input(wrong.url("/"), &body());
    wanted.urls = vec![wrong.url("/"), missing.url("/")];
    let error = fetcher(&[])
        .fetch(&store, &wanted)
        .await
        .expect_err("nowhere");
    assert_eq!(error.class(), Class::Integrity, "{error}");
    wanted.urls.push(good.url("/"));
    fetcher(&[])
        .fetch(&store, &wanted)
        .await
        .expect("from the third");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_stay_with_their_host() {
    let second = Server::start(|seen, _| match seen.authorization() {
        None => ok("there"),
        Some(_) => status(400, &[], "Only one auth mechanism allowed"),
    });
    let location = format!("http://someone:else@{}/there?signature=1", second.host);
    let first = Server::start(move |seen, _| match seen.authorization() {
        Some(_) => status(302, &[("location", &location)], ""),
        None => status(500, &[], "no credentials came"),
    });
    let url = format!("http://me:hidden@{}/x", first.host);
    assert_eq!(
        fetcher(&[]).get(&url, 10).await.expect("followed"),
        b"there"
    );
    let error = fetcher(&[])
        .get(&format!("http://me:hidden@{}/x", second.host), 10)
        .await
        .expect_err("refused");
    assert!(
        !format!("{error} {error:?}").contains("hidden"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_end_and_go_nowhere_strange() {
    let round = Server::start(|_, _| status(307, &[("location", "/again")], ""));
    let error = fetcher(&[])
        .get(&round.url("/"), 10)
        .await
        .expect_err("endless");
    assert!(matches!(error, FetchError::Redirect { .. }), "{error}");
    assert!(round.count() < 20);
    let file = Server::start(|_, _| status(302, &[("location", "file:///etc/passwd")], ""));
    let error = fetcher(&[])
        .get(&file.url("/"), 10_000)
        .await
        .expect_err("a file");
    assert!(
        error.to_string().contains("neither http nor https"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_has_a_limit() {
    for reply in [
        || ok(vec![0; 1001]),
        || Reply::CutUnannounced(vec![0; 5000], 5000),
    ] {
        let server = Server::start(move |_, _| reply());
        let error = fetcher(&[])
            .get(&server.url("/"), 1000)
            .await
            .expect_err("too large");
        assert!(
            matches!(error, FetchError::TooLarge { limit: 1000, .. }),
            "{error}"
        );
    }
    let server = Server::start(|_, _| ok(vec![0; 1000]));
    assert_eq!(
        fetcher(&[])
            .get(&server.url("/"), 1000)
            .await
            .expect("fits")
            .len(),
        1000
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_inputs_come_at_once_in_their_order_and_each_once() {
    let server = Server::start(|seen, _| {
        std::thread::sleep(Duration::from_millis(20));
        ok(seen.path.clone())
    });
    let (_dir, store) = store();
    let inputs: Vec<Input> = (0..40)
        .map(|number| {
            let path = format!("/{}", number % 30);
            Input {
                what: path.clone(),
                urls: vec![server.url(&path)],
                digest: Digest::of(path.as_bytes()),
                size: (number % 2 == 0).then_some(path.len() as u64),
            }
        })
        .collect();
    let fetcher = fetcher(&[]);
    // Spawned, so that this does not compile if the work could not move between threads.
    let (to, wanted) = (store.clone(), inputs.clone());
    let work = tokio::spawn(async move { fetcher.fetch_all(&to, wanted, &Silent).await });
    let blobs = work.await.expect("no panic").expect("fetched");
    assert_eq!(blobs.len(), 40);
    for (input, blob) in inputs.iter().zip(&blobs) {
        assert_eq!(blob.read_all(100).expect("readable"), input.what.as_bytes());
    }
    assert_eq!(server.count(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_blob_in_the_cache_is_fetched_again_but_a_wrong_pin_is_an_error() {
    let server = Server::start(|_, _| ok(body()));
    let (_dir, store) = store();
    let mut wanted = input(server.url("/"), &body());
    fetcher(&[]).fetch(&store, &wanted).await.expect("fetched");
    let path = store.path(&wanted.digest);
    std::fs::File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(99))
        .expect("cut");
    fetcher(&[])
        .fetch(&store, &wanted)
        .await
        .expect("fetched again");
    assert_eq!(server.count(), 2);
    wanted.size = Some(5);
    let error = fetcher(&[])
        .fetch(&store, &wanted)
        .await
        .expect_err("the pin is wrong");
    assert_eq!(error.class(), Class::Integrity, "{error}");
    assert!(store.has(&wanted.digest));
}
