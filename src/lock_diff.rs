//! What moved between two locks, in the words of a review.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::lock::Lock;
use crate::oci::Digest;

/// One line of a review.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// An input that was not there.
    Adding {
        /// `base`, `erasure` (of a package of the base), `key`, `repository`, `rpm`, `scriptlet` or `wheel`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is pinned now.
        to: String,
    },
    /// Another version or other bytes.
    Updating {
        /// `base`, `erasure` (of a package of the base), `key`, `repository`, `rpm`, `scriptlet` or `wheel`.
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
        /// `base`, `erasure` (of a package of the base), `key`, `repository`, `rpm`, `scriptlet` or `wheel`.
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
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let change = |at: &(&'static str, String)| {
        let (kind, name) = (at.0, at.1.clone());
        match (before.get(at), after.get(at)) {
            (None, Some(to)) => Some(Change::Adding {
                kind,
                name,
                to: to.shown(),
            }),
            (Some(from), Some(to)) if from != to => {
                let (from, to) = from.beside(to);
                Some(Change::Updating {
                    kind,
                    name,
                    from,
                    to,
                })
            }
            (Some(from), None) => Some(Change::Removing {
                kind,
                name,
                from: from.shown(),
            }),
            _ => None,
        }
    };
    names.into_iter().filter_map(change).collect()
}

/// What a name is pinned to.
#[derive(Default, PartialEq, Eq)]
struct Pin {
    /// For people; what platforms have in common is said once.
    versions: BTreeSet<String>,
    /// Exactly.
    digests: BTreeSet<Digest>,
    /// Which stages and platforms it is for.
    places: BTreeSet<String>,
}

impl Pin {
    fn shown(&self) -> String {
        joined(self.versions.iter().cloned())
    }

    /// Returns what is to be said of `self` and of `to`, which are not the same: the version, and where that tells
    /// nothing, what does.
    fn beside(&self, to: &Self) -> (String, String) {
        let [from, to] = [(self, to), (to, self)].map(|(pin, other)| {
            let mut shown = pin.shown();
            if pin.versions == other.versions {
                let more = if pin.digests == other.digests {
                    joined(pin.places.iter().cloned())
                } else {
                    joined(pin.digests.difference(&other.digests).map(short))
                };
                if !more.is_empty() {
                    shown = format!("{shown} ({more})");
                }
            }
            shown
        });
        (from, to)
    }
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

fn short(digest: &Digest) -> String {
    format!("sha256:{}", &digest.hex()[..12])
}

type Pins = BTreeMap<(&'static str, String), Pin>;

fn pins(lock: &Lock) -> Pins {
    let mut out = Pins::new();
    let mut pin = |kind, name: &str, version: String, digest: Option<Digest>| {
        let pin = out.entry((kind, name.to_owned())).or_default();
        pin.versions.insert(version);
        pin.digests.extend(digest);
    };
    pin("base", &lock.base.image, lock.base.digest.to_string(), None);
    for key in &lock.keys {
        pin("key", &key.fingerprint, key.source.clone(), None);
    }
    for repository in &lock.repositories {
        let mut shown = match &repository.releasever {
            Some(release) => format!("release {release}"),
            None => repository.url.clone(),
        };
        if !repository.gpgcheck {
            shown += ", without signatures";
        }
        let name = format!("{} ({})", repository.id, repository.platform);
        pin("repository", &name, shown, Some(repository.repomd));
    }
    for rpm in &lock.rpms {
        // The source package is what an advisory names.
        let shown = match &rpm.source {
            Some(source) => format!("{} (from {source})", rpm.evr),
            None => rpm.evr.clone(),
        };
        pin("rpm", &rpm.name, shown, Some(rpm.digest));
    }
    for scriptlet in &lock.scriptlets {
        let digest = Some(scriptlet.digest);
        pin(
            "scriptlet",
            &scriptlet.name,
            scriptlet.effect.clone(),
            digest,
        );
    }
    for erased in &lock.erased {
        pin("erasure", &erased.name, erased.evr.clone(), None);
    }
    for wheel in &lock.wheels {
        pin(
            "wheel",
            &wheel.name,
            wheel.version.clone(),
            Some(wheel.digest),
        );
    }
    places(lock, &mut out);
    out
}

/// Says what each package and wheel is for: one that moves from the builder into the image is worth a look.
fn places(lock: &Lock, pins: &mut Pins) {
    let mut place = |kind, name: &str, place: String| {
        if let Some(pin) = pins.get_mut(&(kind, name.to_owned())) {
            pin.places.insert(place);
        }
    };
    for rpm in &lock.rpms {
        for (stage, platforms) in [("builder", &rpm.builder), ("runtime", &rpm.runtime)] {
            for platform in platforms {
                place("rpm", &rpm.name, format!("{stage} {platform}"));
            }
        }
    }
    for wheel in &lock.wheels {
        for platform in &wheel.platforms {
            place("wheel", &wheel.name, platform.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                "Removing rpm gone 1-1",
                "  Adding rpm new 1-1"
            ]
        );
        assert_eq!(changes(Some(&new), &new), []);
        assert_eq!(changes(None, &new).len(), 3);
    }

    #[test]
    fn what_a_version_does_not_tell_is_told() {
        let old = lock(&[("a", "1-1", "x86_64")]);
        let said = |change: &dyn Fn(&mut Lock)| {
            let mut new = old.clone();
            change(&mut new);
            let changes = changes(Some(&old), &new);
            changes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let digest = |bytes: &[u8]| short(&Digest::of(bytes));
        assert_eq!(
            said(&|lock| lock.rpms[0].digest = Digest::of(b"rebuilt")),
            [format!(
                "Updating rpm a 1-1 ({}) -> 1-1 ({})",
                digest(b"a1-1x86_64"),
                digest(b"rebuilt")
            )]
        );
        let platform = "linux/amd64".parse().expect("supported");
        assert_eq!(
            said(&|lock| lock.rpms[0].runtime = [platform].into()),
            ["Updating rpm a 1-1 -> 1-1 (runtime linux/amd64)"]
        );
        assert_eq!(
            said(&|lock| lock.rpms[0].source = Some("a-1.src.rpm".to_owned())),
            ["Updating rpm a 1-1 -> 1-1 (from a-1.src.rpm)"]
        );
        let key = crate::lock::Key {
            fingerprint: "F00D".to_owned(),
            source: "keys/x.asc".to_owned(),
        };
        assert_eq!(
            said(&|lock| lock.keys = vec![key.clone()]),
            ["  Adding key F00D keys/x.asc"]
        );
        let scriptlet = crate::lock::Scriptlet {
            name: "a:post".to_owned(),
            digest: Digest::of(b"s"),
            effect: "skipped".to_owned(),
        };
        assert_eq!(
            said(&|lock| lock.scriptlets = vec![scriptlet.clone()]),
            ["  Adding scriptlet a:post skipped"]
        );
    }
}
