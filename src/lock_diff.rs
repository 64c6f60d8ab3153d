//! What moved between two locks, in the words of a review.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::lock::Lock;

/// One line of a review.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// An input that was not there.
    Adding {
        /// `base`, `erasure` (of a package of the base), `rpm` or `wheel`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is pinned now.
        to: String,
    },
    /// Another version or other bytes.
    Updating {
        /// `base`, `erasure` (of a package of the base), `rpm` or `wheel`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What was pinned.
        from: String,
        /// What is pinned now.
        to: String,
    },
    /// An input that is no longer there.
    Removing {
        /// `base`, `erasure` (of a package of the base), `rpm` or `wheel`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What was pinned.
        from: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adding { kind, name, to } => write!(f, "  Adding {kind} {name} {to}"),
            Self::Updating {
                kind,
                name,
                from,
                to,
            } => write!(f, "Updating {kind} {name} {from} -> {to}"),
            Self::Removing { kind, name, from } => write!(f, "Removing {kind} {name} {from}"),
        }
    }
}

/// Returns what moved from `old` to `new`, sorted by kind and name; everything is added if there is no `old`.
#[must_use]
pub fn changes(old: Option<&Lock>, new: &Lock) -> Vec<Change> {
    let before = old.map(pins).unwrap_or_default();
    let after = pins(new);
    let mut out = Vec::new();
    for ((kind, name), to) in &after {
        let (kind, name, to) = (*kind, name.clone(), to.shown.clone());
        match before.get(&(kind, name.clone())) {
            None => out.push(Change::Adding { kind, name, to }),
            Some(from) if from.exact != after[&(kind, name.clone())].exact => {
                out.push(Change::Updating {
                    kind,
                    name,
                    from: from.shown.clone(),
                    to,
                });
            }
            Some(_) => {}
        }
    }
    for ((kind, name), from) in before {
        if !after.contains_key(&(kind, name.clone())) {
            out.push(Change::Removing {
                kind,
                name,
                from: from.shown,
            });
        }
    }
    out
}

/// What a name is pinned to: for people, and exactly.
#[derive(Default)]
struct Pin {
    shown: String,
    exact: BTreeSet<String>,
}

impl Pin {
    /// Adds an input of this name; what platforms have in common is said once.
    fn add(&mut self, shown: &str, exact: String) {
        if !self.shown.split(", ").any(|present| present == shown) {
            if !self.shown.is_empty() {
                self.shown.push_str(", ");
            }
            self.shown.push_str(shown);
        }
        self.exact.insert(exact);
    }
}

fn pins(lock: &Lock) -> BTreeMap<(&'static str, String), Pin> {
    let mut out: BTreeMap<(&'static str, String), Pin> = BTreeMap::new();
    let base = lock.base.digest.to_string();
    out.entry(("base", lock.base.image.clone()))
        .or_default()
        .add(&base, base.clone());
    for rpm in &lock.rpms {
        // The source package is what an advisory names.
        let shown = match &rpm.source {
            Some(source) => format!("{} (from {source})", rpm.evr),
            None => rpm.evr.clone(),
        };
        out.entry(("rpm", rpm.name.clone()))
            .or_default()
            .add(&shown, rpm.digest.to_string());
    }
    for erased in &lock.erased {
        out.entry(("erasure", erased.name.clone()))
            .or_default()
            .add(&erased.evr, erased.nevra());
    }
    for wheel in &lock.wheels {
        out.entry(("wheel", wheel.name.clone()))
            .or_default()
            .add(&wheel.version, wheel.digest.to_string());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    fn lock(rpms: &[(&str, &str, &str)]) -> Lock {
        let rpms: String = rpms
            .iter()
            .map(|(name, evr, arch)| {
                let digest = Digest::of(format!("{name}{evr}{arch}").as_bytes());
                format!(
                    "[[rpm]]\nname = \"{name}\"\nevr = \"{evr}\"\narch = \"{arch}\"\nrepository = \"r\"\n\
                     url = \"https://r.io/x\"\nsize = 1\ndigest = \"{digest}\"\nwanted-by = []\n"
                )
            })
            .collect();
        let digest = Digest::of(b"base");
        let text = format!(
            "format = 1\nrecipe = \"{digest}\"\nepoch = 0\n[base]\nimage = \"r.io/b\"\ndigest = \"{digest}\"\n\
             size = 1\nplatform = []\n{rpms}"
        );
        Lock::parse("recipe.lock", &text).expect("a valid lock")
    }

    #[test]
    fn what_moved_is_said_once_for_all_platforms() {
        let old = lock(&[
            ("a", "1-1", "x86_64"),
            ("a", "1-1", "aarch64"),
            ("gone", "1-1", "noarch"),
        ]);
        let new = lock(&[
            ("a", "2-1", "x86_64"),
            ("a", "2-1", "aarch64"),
            ("new", "1-1", "noarch"),
        ]);
        let lines: Vec<String> = changes(Some(&old), &new)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "Updating rpm a 1-1 -> 2-1",
                "  Adding rpm new 1-1",
                "Removing rpm gone 1-1"
            ]
        );
        assert_eq!(changes(Some(&new), &new), []);
        assert_eq!(changes(None, &new).len(), 3);
    }
}
