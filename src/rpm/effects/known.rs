//! Scripts known by their text: those that are not shell, or not simple shell.
//!
//! The table holds the SHA-256 of interpreter and text without indentation, comment lines and blank lines, so that
//! rebuilds of a package that only touch these are known too. Read from CentOS Stream 9, whose source packages
//! AL2023 shares.

use super::effect::{Condition, Effect, PathTest};
use super::scriptlets::Verdict;
use crate::oci::Digest;

/// What a known script does.
enum Known {
    Nothing(&'static str),
    Does(fn() -> Vec<Effect>),
}

/// Fingerprint, whose it is, what it does.
const TABLE: &[(&str, &str, Known)] = &[
    (
        "3ece5cbc47ef82572b5474794d349ce610eab6ba8cb68d9345f062a7bc85ca77",
        "filesystem:pretrans",
        Known::Nothing("the directories and links it makes are the package's own"),
    ),
    (
        "3483fc9e4d061f5d5df9561beb2dbec6bd25d3d94b62ae005e03251b5f6861e2",
        "setup:post",
        Known::Does(|| {
            ["passwd", "shadow", "group", "gshadow"]
                .map(|name| Effect::Remove(format!("/etc/{name}.rpmnew")))
                .to_vec()
        }),
    ),
    (
        "f9a67e2df7d789dc316c5530c8625a414004ba95da8818d6f5d7d9aeeeacf22f",
        "bash:post",
        Known::Does(|| {
            ["/bin/sh", "/bin/bash"]
                .map(|shell| Effect::Shell(shell.to_owned()))
                .to_vec()
        }),
    ),
    (
        "23f19c7635a13202c1b9688d784d6dadf9a5ea7558fb3c481a46338a78e06197",
        "libgcc:post",
        Known::Does(|| {
            vec![Effect::When {
                condition: there(PathTest::Executable, "/sbin/ldconfig"),
                then: vec![Effect::Ldconfig],
                otherwise: Vec::new(),
            }]
        }),
    ),
    (
        "15ba254c39b5066782f691cf7d0d4fa18e0952e8b68495397c52f33f7c92019e",
        "glibc:pre",
        Known::Nothing("the libraries it removes are those of another installed glibc"),
    ),
    (
        "48f104bf1e390487f69ec1fd06719e757863dec62d385f61dc261b54a77bc9f8",
        "glibc:post",
        // It also puts the include of ld.so.conf.d into an /etc/ld.so.conf without it; its own has it.
        Known::Does(|| {
            let cache = there(PathTest::Exists, "/usr/lib64/gconv/gconv-modules.cache");
            vec![
                Effect::Ldconfig,
                Effect::When {
                    condition: cache,
                    then: vec![Effect::IconvCache],
                    otherwise: Vec::new(),
                },
            ]
        }),
    ),
    (
        "4e4dca19af7022e31895e14b3fba5fd63efbb7055bf9a6bae09bcee183875456",
        "libblkid:post",
        Known::Nothing("it moves a cache that releases before 2010 left in /etc"),
    ),
    (
        "16ad2fd7235ed87a2cb4925bd098da6c0361b4ea65f741dc48c3c967a5188589",
        "rpm:posttrans",
        Known::Nothing("it asks for the rebuild of a Berkeley DB database only"),
    ),
];

fn there(test: PathTest, path: &str) -> Condition {
    Condition::Path(test, path.to_owned())
}

/// Returns what is known of a script from its text alone.
pub(super) fn verdict(interpreter: &str, body: &str) -> Option<Verdict> {
    let digest = fingerprint(interpreter, body).hex();
    TABLE
        .iter()
        .find(|(known, ..)| *known == digest)
        .map(|(_, _, what)| match what {
            Known::Nothing(reason) => Verdict::NoEffect {
                reason: (*reason).to_owned(),
            },
            Known::Does(effects) => Verdict::Effect(effects()),
        })
}

/// Returns the digest under which the table knows a script.
#[must_use]
pub fn fingerprint(interpreter: &str, body: &str) -> Digest {
    let comment = if interpreter == "<lua>" { "--" } else { "#" };
    let mut text = format!("{interpreter}\n");
    for line in body.lines().map(str::trim) {
        if !line.is_empty() && !line.starts_with(comment) {
            text.push_str(line);
            text.push('\n');
        }
    }
    Digest::of(text.as_bytes())
}
