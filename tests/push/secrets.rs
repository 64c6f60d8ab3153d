//! Passwords and tokens reach the registry they are for, and no other host, no log and no file.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use imgbuild::edge::layout::Format;

use crate::harness::{files_below, scratch};
use crate::real::{imgbuild, program};
use crate::server::{Seen, Server, ok, status};
use crate::strict::{Strict, Tags};
use crate::{Sample, sample};

const PASSWORD: &str = "hunter2-is-secret";
const TOKEN: &str = "token-is-secret";

/// Everything that would give something away.
fn secrets() -> [String; 4] {
    [
        PASSWORD.to_owned(),
        TOKEN.to_owned(),
        BASE64.encode(format!("me:{PASSWORD}")),
        BASE64.encode(PASSWORD),
    ]
}

#[track_caller]
fn holds_none(text: &str, of: &str) {
    for secret in secrets() {
        assert!(!text.contains(&secret), "{of} holds {secret}: {text}");
    }
}

/// Checks every file that was written.
fn nothing_written(dir: &Path) {
    for file in files_below(dir) {
        let bytes = std::fs::read(dir.join(&file)).unwrap_or_default();
        holds_none(
            &String::from_utf8_lossy(&bytes),
            &file.display().to_string(),
        );
    }
}

/// What a registry does that has a token service, once that has been asked.
type Turn = fn(&Seen, other: &str) -> Option<crate::server::Reply>;

/// Ways to have a client talk to another host in the middle of a push, or to have it complain.
const TURNS: [(&str, Turn); 9] = [
    ("nothing", |_, _| None),
    ("uploads to another host", |seen, other| {
        let to = format!("http://{other}/put?state=1");
        (seen.method == "POST").then(|| status(202, &[("location", &to)], ""))
    }),
    (
        "uploads to another host that is named with a password",
        |seen, other| {
            let to = format!("http://me:{PASSWORD}@{other}/put?state=1");
            (seen.method == "POST").then(|| status(202, &[("location", &to)], ""))
        },
    ),
    ("redirects of what is put", |seen, other| {
        let to = format!("http://{other}{}", seen.path);
        (seen.method == "PUT").then(|| status(307, &[("location", &to)], ""))
    }),
    ("redirects of what is begun", |seen, other| {
        let to = format!("http://{other}{}", seen.path);
        (seen.method == "POST").then(|| status(308, &[("location", &to)], ""))
    }),
    ("redirects of what is looked for", |seen, other| {
        let to = format!("http://{other}{}", seen.path);
        let looks = matches!(seen.method.as_str(), "GET" | "HEAD");
        looks.then(|| status(307, &[("location", &to)], ""))
    }),
    ("refusals that repeat what was said", |seen, _| {
        let said = seen.authorization().unwrap_or_default().to_owned();
        (seen.method == "PUT").then(|| status(403, &[], &said))
    }),
    ("errors that repeat what was said", |seen, _| {
        let said = seen.authorization().unwrap_or_default().to_owned();
        (seen.method == "POST").then(|| status(400, &[], &said))
    }),
    ("challenges by another host", |seen, other| {
        let to = format!(r#"Bearer realm="http://{other}/token",scope="other""#);
        (seen.method == "PUT").then(|| status(401, &[("www-authenticate", &to)], ""))
    }),
];

#[test]
fn no_other_host_no_log_and_no_file_gets_to_know_a_secret() {
    let folder = scratch();
    let dir = folder.path();
    sample(&dir.join("layout"), Format::Oci, &Sample::default());
    for (what, turn) in TURNS {
        // Takes everything, and answers as if it were a registry.
        let other = Server::start(|seen, _| match seen.method.as_str() {
            "POST" => status(202, &[("location", "/session")], ""),
            "GET" | "HEAD" => status(404, &[], ""),
            _ => status(201, &[], ""),
        });
        let elsewhere = other.host.clone();
        let strict = Strict::start(Tags::Mutable, move |seen| {
            let host = seen.headers.get("host")?;
            let basic = format!("Basic {}", BASE64.encode(format!("me:{PASSWORD}")));
            if seen.path.starts_with("/token") {
                return Some(if seen.authorization() == Some(&basic) {
                    ok(format!(r#"{{"token":"{TOKEN}"}}"#))
                } else {
                    status(401, &[], "")
                });
            }
            if seen.authorization() != Some(&format!("Bearer {TOKEN}")) {
                let bearer = format!(r#"Bearer realm="http://{host}/token",scope="registry""#);
                return Some(status(401, &[("www-authenticate", &bearer)], ""));
            }
            turn(seen, &elsewhere)
        });
        for flags in [["-v"].as_slice(), &["--json", "-v"]] {
            let image = strict.at("a/b:1.0");
            let login = ["layout", &image, "--username", "me", "--password-stdin"];
            let output = imgbuild(dir, &[&login, flags].concat(), PASSWORD);
            for stream in [&output.stdout, &output.stderr] {
                holds_none(&String::from_utf8_lossy(stream), what);
            }
            assert!(!strict.server.seen().is_empty(), "{what}");
        }
        for seen in other.seen() {
            // A token service that the registry itself names is who the password is for.
            if what != "challenges by another host" || !seen.path.starts_with("/token") {
                assert_eq!(seen.authorization(), None, "{what}: {}", seen.path);
                holds_none(&format!("{seen:?}"), what);
            }
        }
        let reached = other.count() > 0;
        assert_eq!(
            reached,
            what.contains("another host") || what.contains("redirects"),
            "{what}"
        );
    }
    // The environment's password as well, with everything that a log could be asked for.
    let strict = Strict::calm();
    let output = program(dir, &["layout", &strict.at("a/b:1.0"), "-v"])
        .env("IMGBUILD_USERNAME", "me")
        .env("IMGBUILD_PASSWORD", PASSWORD)
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .output()
        .expect("imgbuild starts");
    holds_none(&format!("{output:?}"), "the output");
    nothing_written(dir);
}
