//! All packages with their indexes: who is called so, who provides, obsoletes or holds what.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Request, Solution, SolveError};
use crate::rpm::evr::{Comparison, Range};
use crate::rpm::package::{Capability, Dependency, Package};
use crate::rpm::rich::Rich;

/// A package's position in [`Universe::packages`].
pub(super) type Id = usize;

/// The packages of a base and its repositories, indexed once to answer any number of requests.
pub struct Universe<'a> {
    /// The installed ones first, then those available.
    pub(super) packages: Vec<&'a Package>,
    /// How many are installed.
    pub(super) installed: usize,
    /// Distinct names; the first is empty and no package's.
    pub(super) names: Vec<&'a str>,
    /// Name → position in `names`.
    pub(super) name_index: HashMap<&'a str, usize>,
    /// Per name, its packages.
    pub(super) by_name: Vec<Vec<Id>>,
    /// Per package, the position of its name.
    pub(super) name_of: Vec<usize>,
    /// Per obsoleted name, by whom and which versions.
    pub(super) obsoleters: HashMap<&'a str, Vec<(Id, &'a Capability)>>,
    /// Available packages of another architecture, for messages.
    pub(super) foreign: Vec<&'a Package>,
    /// The architecture chosen from.
    pub(super) arch: Arc<str>,
    providers: HashMap<&'a str, Vec<(Id, &'a Capability)>>,
    /// Only of paths that some dependency names.
    holders: HashMap<&'a str, Vec<Id>>,
    /// Answers already found, by where the capability lies in memory: metadata keeps equal ones once.
    answers: Mutex<HashMap<Key<'a>, Arc<[Id]>>>,
}

/// A capability known by its place.
struct Key<'a>(&'a Capability);

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Key<'_> {}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(self.0, state);
    }
}

/// Tells whether a package is the database's entry of a key, which takes no part in solving.
fn is_key(package: &Package) -> bool {
    &*package.name == "gpg-pubkey"
}

impl<'a> Universe<'a> {
    /// Indexes the packages; those available of another architecture than `arch` and `noarch` are left out, and
    /// so is what is installed in the very same version.
    #[must_use]
    pub fn new(installed: &'a [Package], available: &'a [Package], arch: &str) -> Self {
        let mut universe = Self {
            packages: installed
                .iter()
                .filter(|package| !is_key(package))
                .collect(),
            installed: 0,
            names: vec![""],
            name_index: HashMap::new(),
            by_name: vec![Vec::new()],
            name_of: Vec::new(),
            obsoleters: HashMap::new(),
            foreign: Vec::new(),
            arch: arch.into(),
            providers: HashMap::with_capacity(available.len()),
            holders: HashMap::new(),
            answers: Mutex::default(),
        };
        universe.installed = universe.packages.len();
        let present: HashSet<_> = universe
            .packages
            .iter()
            .map(|package| (&package.name, &package.evr, &package.arch))
            .collect();
        // Of the same package in two repositories, the first repository's is taken.
        let mut seen = HashSet::new();
        for package in available {
            let key = (&package.name, &package.evr, &package.arch);
            if *package.arch != *arch && &*package.arch != "noarch" {
                universe.foreign.push(package);
            } else if !present.contains(&key) && seen.insert(key) {
                universe.packages.push(package);
            }
        }
        universe.index();
        universe
    }

    fn index(&mut self) {
        let paths = paths_named(&self.packages);
        for (id, package) in self.packages.iter().copied().enumerate() {
            let name = *self.name_index.entry(&package.name).or_insert_with(|| {
                self.names.push(&package.name);
                self.by_name.push(Vec::new());
                self.names.len() - 1
            });
            self.by_name[name].push(id);
            self.name_of.push(name);
            for provide in &package.provides {
                self.providers
                    .entry(&provide.name)
                    .or_default()
                    .push((id, provide));
            }
            for obsolete in &package.obsoletes {
                self.obsoleters
                    .entry(&obsolete.name)
                    .or_default()
                    .push((id, obsolete));
            }
            for file in package.files.iter().filter(|file| paths.contains(&***file)) {
                self.holders.entry(file).or_default().push(id);
            }
        }
    }

    /// Returns the solution of `request`; see [`super::solve`].
    ///
    /// # Errors
    /// As for [`super::solve`].
    pub fn solve(&self, request: &Request) -> Result<Solution<'a>, SolveError> {
        super::search::solve(self, request)
    }

    /// Tells whether a package is installed.
    pub(super) fn is_installed(&self, id: Id) -> bool {
        id < self.installed
    }

    /// Returns the packages that answer a capability, each once, in order.
    pub(super) fn answering(&self, wanted: &Capability) -> Vec<Id> {
        let mut out: Vec<Id> =
            self.providers
                .get(&*wanted.name)
                .map_or_else(Vec::new, |providers| {
                    let answers = |(_, provide): &&(Id, &Capability)| provide.answers(wanted);
                    providers
                        .iter()
                        .filter(answers)
                        .map(|(id, _)| *id)
                        .collect()
                });
        if wanted.is_path() && wanted.range.is_none() {
            match self.holders.get(&*wanted.name) {
                Some(holders) => out.extend(holders),
                // A path that only the request names is not in the index.
                None if out.is_empty() => out.extend(self.holding(&wanted.name)),
                None => {}
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    /// As [`Universe::answering`], for a capability of one of its packages, found once.
    pub(super) fn answering_known(&self, wanted: &'a Capability) -> Arc<[Id]> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers
            .entry(Key(wanted))
            .or_insert_with(|| self.answering(wanted).into())
            .clone()
    }

    /// Returns the packages that hold `path`, by looking through all their files.
    fn holding(&self, path: &str) -> Vec<Id> {
        let holds = |package: &Package| package.files.iter().any(|file| **file == *path);
        (0..self.packages.len())
            .filter(|&id| holds(self.packages[id]))
            .collect()
    }

    /// Returns the packages of which one alone answers an expression: all of `or`, the intersection of `with`.
    pub(super) fn matching(&self, expression: &Rich) -> Vec<Id> {
        match expression {
            Rich::Is(capability) => self.answering(capability),
            Rich::Or(a, b) => {
                let mut out = self.matching(a);
                out.extend(self.matching(b));
                out.sort_unstable();
                out.dedup();
                out
            }
            Rich::With(a, b) => {
                let other = self.matching(b);
                let mut out = self.matching(a);
                out.retain(|id| other.binary_search(id).is_ok());
                out
            }
            Rich::Without(a, b) => {
                let other = self.matching(b);
                let mut out = self.matching(a);
                out.retain(|id| other.binary_search(id).is_err());
                out
            }
            // Not for one package to answer: only `or`, `with` and `without` may stand inside `with`.
            Rich::And(..) | Rich::If(..) | Rich::Unless(..) => Vec::new(),
        }
    }

    /// Returns the packages that could answer some part of a dependency.
    pub(super) fn any_matching(&self, dependency: &'a Dependency) -> Vec<Id> {
        match dependency {
            Dependency::Plain(capability) => self.answering_known(capability).to_vec(),
            Dependency::Rich(expression) => {
                let mut out = Vec::new();
                expression.each(&mut |capability| out.extend(self.answering(capability)));
                out.sort_unstable();
                out.dedup();
                out
            }
        }
    }

    /// Tells whether `obsolete` means the package `id`: by its name, not by what it provides.
    pub(super) fn is_obsoleted(&self, id: Id, obsolete: &Capability) -> bool {
        let package = self.packages[id];
        *package.name == *obsolete.name
            && obsolete.range.as_ref().is_none_or(|range| {
                range.overlaps(&Range {
                    comparison: Comparison::Equal,
                    evr: package.evr.clone(),
                })
            })
    }

    /// Returns the packages of other names that obsolete `id`.
    pub(super) fn obsoleters_of(&self, id: Id) -> Vec<Id> {
        let found = self
            .obsoleters
            .get(self.names[self.name_of[id]])
            .map_or(&[][..], Vec::as_slice);
        let mut out: Vec<Id> = found
            .iter()
            .filter(|(by, obsolete)| {
                self.name_of[*by] != self.name_of[id] && self.is_obsoleted(id, obsolete)
            })
            .map(|(by, _)| *by)
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Orders packages of one name, the better first: installed, higher version, earlier repository.
    pub(super) fn better(&self, a: Id, b: Id) -> Ordering {
        let (x, y) = (self.packages[a], self.packages[b]);
        self.is_installed(b)
            .cmp(&self.is_installed(a))
            .then_with(|| y.evr.compare(&x.evr))
            .then_with(|| y.evr.cmp(&x.evr))
            .then_with(|| x.repository.cmp(&y.repository))
            .then_with(|| a.cmp(&b))
    }
}

/// Returns the paths that dependencies name, which are the only files worth an index.
fn paths_named<'a>(packages: &[&'a Package]) -> HashSet<&'a str> {
    let mut paths = HashSet::new();
    for package in packages {
        each_dependency(package, &mut |dependency| match dependency {
            Dependency::Plain(capability) if capability.is_path() => {
                paths.insert(&*capability.name);
            }
            Dependency::Plain(_) => {}
            Dependency::Rich(expression) => expression.each(&mut |capability| {
                if capability.is_path() {
                    paths.insert(&*capability.name);
                }
            }),
        });
    }
    paths
}

/// Calls `visit` for every dependency of a package, of all kinds.
fn each_dependency<'a>(package: &'a Package, visit: &mut impl FnMut(&'a Dependency)) {
    let Package {
        requires,
        conflicts,
        recommends,
        suggests,
        supplements,
        enhances,
        ..
    } = package;
    [
        requires,
        conflicts,
        recommends,
        suggests,
        supplements,
        enhances,
    ]
    .into_iter()
    .flatten()
    .for_each(visit);
}
