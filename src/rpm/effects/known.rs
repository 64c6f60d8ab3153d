//! Scripts known by their text: those that are not shell, or not simple shell.
//!
//! The table holds the SHA-256 of interpreter and text without indentation, comment lines and blank lines, so that
//! rebuilds of a package that only touch these are known too. Read from CentOS Stream 9, whose source packages
//! AL2023 shares.

use super::effect::Effect;
use super::scriptlets::Verdict;
use crate::oci::Digest;

/// What a known script does.
enum Known {
    Nothing(&'static str),
    Does(fn() -> Vec<Effect>),
}

const TABLE: &[(&str, &str, Known)] = &[];

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
