//! What moved between two locks, in the words of a review.

use std::collections::BTreeMap;
use std::fmt;

use crate::lock::Lock;

/// One line of a review.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// An input that was not there.
    Adding {
        /// `rpm`, `wheel` or `base`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is pinned now.
        to: String,
    },
    /// Another version or other bytes.
    Updating {
        /// `rpm`, `wheel` or `base`.
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
        /// `rpm`, `wheel` or `base`.
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
struct Pin {
    shown: String,
    exact: String,
}

fn pins(lock: &Lock) -> BTreeMap<(&'static str, String), Pin> {
    let mut out = BTreeMap::new();
    let base = lock.base.digest.to_string();
    out.insert(
        ("base", lock.base.image.clone()),
        Pin {
            shown: base.clone(),
            exact: base,
        },
    );
    for rpm in &lock.rpms {
        let pin: &mut Pin = out
            .entry(("rpm", format!("{}.{}", rpm.name, rpm.arch)))
            .or_insert_with(|| Pin {
                shown: String::new(),
                exact: String::new(),
            });
        append(&mut pin.shown, &rpm.evr);
        // The source package is what an advisory names.
        if let Some(source) = &rpm.source {
            append(&mut pin.shown, &format!("({source})"));
        }
        append(&mut pin.exact, &rpm.digest.to_string());
    }
    for wheel in &lock.wheels {
        let pin: &mut Pin = out
            .entry(("wheel", wheel.name.clone()))
            .or_insert_with(|| Pin {
                shown: String::new(),
                exact: String::new(),
            });
        if pin.shown.is_empty() || !pin.shown.split(' ').any(|version| version == wheel.version) {
            append(&mut pin.shown, &wheel.version);
        }
        append(&mut pin.exact, &wheel.digest.to_string());
    }
    out
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}
