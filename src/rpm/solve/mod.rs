//! Chooses the packages that answer a request on top of what the base holds.
//!
//! The search is resolvo's, a CDCL solver; every dependency reaches it as the explicit set of packages that
//! answer it, which is libsolv's rule of providers. What is ours is the policy around it, in one place each:
//!
//! 1. **The base is kept.** An installed package stays exactly as it is unless the request says `upgrade` or
//!    `replace`. Its own dependencies still hold: a conditional one, such as
//!    `(glibc-gconv-extra if redhat-rpm-config)`, wakes when something new fulfils its condition.
//! 2. **A request that the base already answers is met**, by name or by provide: `curl` is met by
//!    `curl-minimal`. (dnf would try to install the package named `curl`, and fail on the conflict.)
//! 3. **A request names packages first**, then what packages provide, then paths; `@name` asks for the provide
//!    alone. A package that another obsoletes gives way to that one. The best version is tried first.
//! 4. **Among different packages that answer one dependency**: one that is installed; one the request prefers;
//!    one the requiring package recommends or suggests; the one with the higher version of a capability that
//!    both provide; the first by name. So `kernel-headers` is answered as dnf answers it, by the newest of its
//!    providers; `prefer = ["kernel-headers"]` chooses otherwise.
//! 5. **Weak dependencies**, when asked for: what new packages recommend and what is newly supplemented, one
//!    round after the other until nothing is added; those that do not fit are left out.
//! 6. **One package per name, one architecture** (and `noarch`): no multilib.
//!
//! Every answer is checked by code of its own that shares nothing with the search (`checker.rs`).

mod available;
mod checker;
mod clause;
mod explain;
mod order;
mod paths;
mod pool;
mod provider;
mod request;
mod search;
mod weak;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::diagnose::{Class, Diagnose};
use crate::rpm::package::{Nevra, Package};

pub use available::{apply_priorities, matches_pattern};
pub use explain::Explanation;
pub use pool::Universe;

/// What to do with weak dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weak {
    /// Leave them out.
    Skip,
    /// Install them where they fit.
    Install,
}

/// What may happen to the packages of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// They stay exactly as they are, and what they provide answers requests.
    Frozen,
    /// They may be upgraded and obsoleted, as dnf does: a request means the newest package of that name.
    Open,
}

/// What to install, and how to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The architecture of the image in rpm's words: `x86_64`, `aarch64`.
    pub arch: Arc<str>,
    /// Names, `name-version`, `name-version-release`, `name.arch`, full names, globs, paths, capabilities, and
    /// `@capability` for what is provided whatever its name.
    pub install: Vec<String>,
    /// Names, full names or globs of available packages that must not be chosen.
    pub exclude: Vec<String>,
    /// Names of packages to prefer where several answer a dependency.
    pub prefer: Vec<String>,
    /// Names or globs of installed packages that move to their newest version.
    pub upgrade: Vec<String>,
    /// Installed package to erase → what takes its place, requested like `install`.
    pub replace: BTreeMap<String, String>,
    /// What to do with weak dependencies.
    pub weak: Weak,
    /// What may happen to the base.
    pub base: Base,
}

impl Request {
    /// Returns a request for `install` on a base that is kept, without weak dependencies.
    #[must_use]
    pub fn new(arch: &str, install: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            arch: arch.into(),
            install: install.into_iter().map(Into::into).collect(),
            exclude: Vec::new(),
            prefer: Vec::new(),
            upgrade: Vec::new(),
            replace: BTreeMap::new(),
            weak: Weak::Skip,
            base: Base::Frozen,
        }
    }
}

/// Why a package was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The request itself.
    Request(String),
    /// It takes the place of an installed package.
    Replaces(String),
    /// It is the newer version of an installed package.
    Upgrades(Nevra),
    /// Another package, chosen or installed, needs it.
    Requires {
        /// Who needs it.
        by: Nevra,
        /// What it answers.
        dependency: String,
    },
    /// A chosen package recommends it.
    Recommends {
        /// Who recommends it.
        by: Nevra,
        /// What it answers.
        dependency: String,
    },
    /// It asks to come itself when this is fulfilled.
    Supplements {
        /// What is fulfilled.
        dependency: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => write!(f, "requested as {request}"),
            Self::Replaces(name) => write!(f, "replaces {name}"),
            Self::Upgrades(nevra) => write!(f, "upgrades {nevra}"),
            Self::Requires { by, dependency } => write!(f, "{by} requires {dependency}"),
            Self::Recommends { by, dependency } => write!(f, "{by} recommends {dependency}"),
            Self::Supplements { dependency } => write!(f, "supplements {dependency}"),
        }
    }
}

/// A package to install, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The package.
    pub package: &'a Package,
    /// The shortest reason, counted in steps from the request.
    pub why: Why,
}

/// A request that the base already answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met<'a> {
    /// The request as written.
    pub request: String,
    /// The installed package that answers it.
    pub by: &'a Package,
}

/// What to change in the base so that the request is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution<'a> {
    /// What to install: dependencies before what needs them, cycles and ties by full name.
    pub install: Vec<Chosen<'a>>,
    /// The installed packages that are replaced, upgraded or obsoleted, by full name.
    pub erase: Vec<&'a Package>,
    /// The requests that need nothing, in the order written.
    pub met: Vec<Met<'a>>,
}

impl Solution<'_> {
    /// Returns the reasons from `name` up to the request, nearest first; empty if `name` was not chosen.
    #[must_use]
    pub fn why(&self, name: &str) -> Vec<&Why> {
        let mut chain = Vec::new();
        let mut seen = BTreeSet::new();
        let mut name = name;
        while seen.insert(name.to_owned())
            && let Some(chosen) = self
                .install
                .iter()
                .find(|chosen| *chosen.package.name == *name)
        {
            chain.push(&chosen.why);
            match &chosen.why {
                Why::Requires { by, .. } | Why::Recommends { by, .. } => name = &by.name,
                _ => break,
            }
        }
        chain
    }
}

/// Why there is no solution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// No package has this name, provides it or holds it.
    #[error("`{request}`: no package is called so, provides it or holds it")]
    Unknown {
        /// The request as written.
        request: String,
        /// Names that look like it.
        nearest: Vec<String>,
    },
    /// Packages answer it, but all are excluded or of another architecture.
    #[error(
        "`{request}`: every package that answers it is excluded, or not for {arch} (such as {example})"
    )]
    Excluded {
        /// The request as written.
        request: String,
        /// The architecture wanted.
        arch: String,
        /// One that is left out.
        example: Nevra,
    },
    /// `replace` and `upgrade` name packages of the base.
    #[error("`{name}` is to be {action}, but the base does not hold it")]
    NotInstalled {
        /// The name as written.
        name: String,
        /// `replaced` or `upgraded`.
        action: &'static str,
    },
    /// The dependencies exclude every answer.
    #[error("{0}")]
    Unsolvable(Explanation),
    /// The answer does not hold: a fault in imgbuild, found before it could do harm.
    #[error("the solver's answer does not hold: {}", .0.join("; "))]
    Unsound(Vec<String>),
}

impl Diagnose for SolveError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest, .. } if nearest.is_empty() => None,
            Self::Unknown { nearest, .. } => Some(format!("did you mean {}?", nearest.join(", "))),
            Self::Excluded { .. } => {
                Some("change `exclude`, or the repository's `excludepkgs`".to_owned())
            }
            Self::NotInstalled { .. } => None,
            Self::Unsolvable(explanation) => explanation.hint(),
            Self::Unsound(_) => Some("please report this with the recipe and the lock".to_owned()),
        }
    }
}

/// Returns the packages to install so that `request` is answered on top of `installed`.
///
/// # Errors
/// [`SolveError`] where a request is unknown or the dependencies exclude every answer.
pub fn solve<'a>(
    installed: &'a [Package],
    available: &'a [Package],
    request: &Request,
) -> Result<Solution<'a>, SolveError> {
    Universe::new(installed, available, &request.arch).solve(request)
}

/// Returns the paths that only filelists.xml can tell about and that solving `request` may come to need.
///
/// primary.xml lists every path in `/etc`, in a `bin` folder, and `/usr/lib/sendmail`; other paths are in
/// filelists.xml, a large file seldom needed. Add what `repodata::scan_filelists` finds with
/// `repodata::add_files` before solving.
#[must_use]
pub fn wanted_paths(
    installed: &[Package],
    available: &[Package],
    request: &Request,
) -> BTreeSet<Arc<str>> {
    Universe::new(installed, available, &request.arch).wanted_paths(request)
}
