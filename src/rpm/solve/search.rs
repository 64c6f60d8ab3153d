//! Turns a request into requirements, runs the search, and adds weak dependencies.

use std::collections::BTreeSet;

use resolvo::{ConditionalRequirement, DenseIndex, Problem, Solver, UnsolvableOrCancelled};

use super::available::{has_glob, matches_pattern};
use super::pool::{Id, Universe};
use super::provider::Adapter;
use super::{Base, Chosen, Met, Request, Solution, SolveError, Weak, Why};
use super::{checker, explain, order, why};

/// A set of packages of which the answer must hold one.
pub(super) struct Job {
    /// The request as written.
    pub(super) text: String,
    /// Why the package that answers it is chosen.
    pub(super) why: Why,
    /// All that would do.
    pub(super) all: Vec<Id>,
    /// Those tried first: the best version of every name, no obsoleted ones.
    pub(super) best: Vec<Id>,
}

/// A request against a universe, before the search.
pub(super) struct Goal<'u, 'a> {
    pub(super) adapter: Adapter<'u, 'a>,
    pub(super) jobs: Vec<Job>,
    met: Vec<(String, Id)>,
    /// For every installed package that is not replaced: itself and, if it may move, what may take its place.
    pub(super) base: Vec<Vec<Id>>,
}

/// What the search found: the packages of the answer, or its report on why there is none.
pub(super) type Outcome = Result<BTreeSet<Id>, String>;

pub(super) fn solve<'a>(
    universe: &Universe<'a>,
    request: &Request,
) -> Result<Solution<'a>, SolveError> {
    let goal = Goal::new(universe, request)?;
    let (selected, weak) = goal.search(request.weak)?;
    let problems = checker::problems(&goal, &selected);
    if !problems.is_empty() {
        return Err(SolveError::Unsound(problems));
    }
    let package = |id: Id| universe.packages[id];
    let reasons = why::reasons(&goal, &selected, &weak);
    let install = order::by_dependency(universe, &selected)
        .into_iter()
        .map(|id| Chosen {
            package: package(id),
            why: reasons
                .get(&id)
                .cloned()
                .unwrap_or_else(|| Why::Request(package(id).nevra().to_string())),
        })
        .collect();
    let mut erase: Vec<_> = (0..universe.installed)
        .filter(|id| !selected.contains(id))
        .map(package)
        .collect();
    erase.sort_by_cached_key(|package| package.nevra());
    let met = goal
        .met
        .iter()
        .map(|(request, by)| Met {
            request: request.clone(),
            by: package(*by),
        })
        .collect();
    Ok(Solution {
        install,
        erase,
        met,
    })
}

impl<'u, 'a> Goal<'u, 'a> {
    /// Applies the rules of the request: what may be chosen, what stays, and which jobs there are.
    pub(super) fn new(universe: &'u Universe<'a>, request: &Request) -> Result<Self, SolveError> {
        let mut goal = Self {
            adapter: Adapter::new(universe),
            jobs: Vec::new(),
            met: Vec::new(),
            base: Vec::new(),
        };
        for pattern in &request.exclude {
            for id in universe.installed..universe.packages.len() {
                if matches_pattern(pattern, universe.packages[id]) {
                    goal.adapter.allowed[id] = false;
                }
            }
        }
        for name in &request.prefer {
            goal.adapter
                .preferred
                .extend(universe.name_index.get(name.as_str()));
        }
        goal.settle_base(request)?;
        for text in &request.install {
            goal.add_request(text, Why::Request(text.clone()), request)?;
        }
        for (old, new) in &request.replace {
            goal.add_request(new, Why::Replaces(old.clone()), request)?;
        }
        Ok(goal)
    }

    /// Decides for every installed package whether it stays, may move, or goes.
    fn settle_base(&mut self, request: &Request) -> Result<(), SolveError> {
        let universe = self.adapter.universe;
        let mut replaced = BTreeSet::new();
        for name in request.replace.keys() {
            let index = universe.name_index.get(name.as_str()).copied();
            let members = index.map_or(&[][..], |index| &universe.by_name[index]);
            if !members.iter().any(|&id| universe.is_installed(id)) {
                return Err(SolveError::NotInstalled {
                    name: name.clone(),
                    action: "replaced",
                });
            }
            for &id in members {
                self.adapter.allowed[id] = false;
                replaced.insert(id);
            }
        }
        let mut moving = BTreeSet::new();
        for pattern in &request.upgrade {
            let before = moving.len();
            moving.extend(
                (0..universe.installed)
                    .filter(|&id| matches_pattern(pattern, universe.packages[id])),
            );
            if moving.len() == before {
                return Err(SolveError::NotInstalled {
                    name: pattern.clone(),
                    action: "upgraded",
                });
            }
        }
        for id in (0..universe.installed).filter(|id| !replaced.contains(id)) {
            let package = universe.packages[id];
            let same_name = &universe.by_name[universe.name_of[id]];
            if request.base == Base::Frozen && !moving.contains(&id) {
                self.adapter.kept[id] = true;
                for &other in same_name
                    .iter()
                    .filter(|&&other| !universe.is_installed(other))
                {
                    self.adapter.allowed[other] = false;
                }
                self.base.push(vec![id]);
                continue;
            }
            let newer = |&&other: &&Id| {
                other == id || universe.packages[other].evr.compare(&package.evr).is_gt()
            };
            let mut successors: Vec<Id> = same_name.iter().filter(newer).copied().collect();
            successors.extend(
                universe
                    .obsoleters_of(id)
                    .into_iter()
                    .filter(|&by| !universe.is_installed(by)),
            );
            if moving.contains(&id) {
                let mut best = self.best_versions(&successors);
                best.sort_unstable();
                self.jobs.push(Job {
                    text: package.name.to_string(),
                    why: Why::Upgrades(package.nevra()),
                    all: successors.clone(),
                    best,
                });
            }
            self.base.push(successors);
        }
        Ok(())
    }

    fn add_request(&mut self, text: &str, why: Why, request: &Request) -> Result<(), SolveError> {
        let universe = self.adapter.universe;
        let found = universe.find(text);
        if found.groups.is_empty() {
            return Err(self.unknown(text));
        }
        // Replacing means another package, so what the base provides does not answer it.
        let by_provide = matches!(why, Why::Request(_)) && !has_glob(text);
        for group in found.groups {
            if request.base == Base::Frozen {
                let kept = |id: &Id| universe.is_installed(*id) && self.adapter.allowed[*id];
                let by_name = group.iter().copied().find(kept);
                let answer = by_name.or_else(|| {
                    let answers = by_provide.then(|| universe.installed_answers(text));
                    answers.into_iter().flatten().find(kept)
                });
                if let Some(by) = answer {
                    self.met.push((text.to_owned(), by));
                    continue;
                }
            }
            let best = self.best(&group);
            let allowed = |id: &&Id| self.adapter.allowed[**id];
            let mut all: Vec<Id> = group.iter().filter(allowed).copied().collect();
            all.extend(best.iter().filter(|id| !group.contains(id)));
            if all.is_empty() {
                return Err(self.not_allowed(text, &group));
            }
            self.jobs.push(Job {
                text: text.to_owned(),
                why: why.clone(),
                all,
                best,
            });
        }
        Ok(())
    }

    /// Returns what to try first of `group`: no obsoleted packages, installed ones if any, the best versions.
    fn best(&self, group: &[Id]) -> Vec<Id> {
        let universe = self.adapter.universe;
        let allowed = |id: &Id| self.adapter.allowed[*id];
        let alive = |id: &Id| {
            allowed(id)
                && (universe.is_installed(*id) || !universe.obsoleters_of(*id).iter().any(allowed))
        };
        let mut chosen: Vec<Id> = group.iter().copied().filter(alive).collect();
        if chosen.is_empty() {
            chosen = group
                .iter()
                .flat_map(|&id| universe.obsoleters_of(id))
                .filter(allowed)
                .collect();
            chosen.sort_unstable();
            chosen.dedup();
        }
        if chosen.iter().any(|&id| universe.is_installed(id)) {
            chosen.retain(|&id| universe.is_installed(id));
        }
        self.best_versions(&chosen)
    }

    fn best_versions(&self, ids: &[Id]) -> Vec<Id> {
        let universe = self.adapter.universe;
        let beaten = |id: Id| {
            ids.iter().any(|&other| {
                self.adapter.allowed[other]
                    && universe.name_of[other] == universe.name_of[id]
                    && universe.packages[other]
                        .evr
                        .compare(&universe.packages[id].evr)
                        .is_gt()
            })
        };
        ids.iter()
            .copied()
            .filter(|&id| self.adapter.allowed[id] && !beaten(id))
            .collect()
    }

    fn unknown(&self, text: &str) -> SolveError {
        let universe = self.adapter.universe;
        match universe
            .foreign
            .iter()
            .find(|package| matches_pattern(text, package))
        {
            Some(package) => SolveError::Excluded {
                request: text.to_owned(),
                arch: universe.arch.to_string(),
                example: package.nevra(),
            },
            None => SolveError::Unknown {
                request: text.to_owned(),
                nearest: universe.nearest(text),
            },
        }
    }

    fn not_allowed(&self, text: &str, group: &[Id]) -> SolveError {
        let universe = self.adapter.universe;
        let kept = group
            .iter()
            .find_map(|&id| explain::kept_instead(&self.adapter, id).map(|by| (id, by)));
        if let Some((id, by)) = kept {
            return SolveError::Unsolvable(explain::kept_version(universe, text, id, by));
        }
        SolveError::Excluded {
            request: text.to_owned(),
            arch: universe.arch.to_string(),
            example: universe.packages[group[0]].nevra(),
        }
    }

    /// Returns the packages of the answer, and those of them that came as weak dependencies.
    fn search(&self, weak: Weak) -> Result<(BTreeSet<Id>, Vec<Id>), SolveError> {
        let best: Vec<_> = self.jobs.iter().map(|job| Some(&job.best[..])).collect();
        let all: Vec<_> = self.jobs.iter().map(|job| Some(&job.all[..])).collect();
        let (jobs, selected) = match self.run(&best, &[]) {
            Ok(selected) => (best, selected),
            Err(_) => match self.run(&all, &[]) {
                Ok(selected) => (all, selected),
                Err(report) => return Err(SolveError::Unsolvable(explain::explain(self, &report))),
            },
        };
        match weak {
            Weak::Skip => Ok((selected, Vec::new())),
            Weak::Install => Ok(self.add_weak(&jobs, selected)),
        }
    }

    /// Runs the search for one package of each of `jobs`, and every one of `extra`; jobs that are none are left out.
    pub(super) fn run(&self, jobs: &[Option<&[Id]>], extra: &[Id]) -> Outcome {
        let none = BTreeSet::new();
        let require = |ids: &[Id], label: &str| {
            ConditionalRequirement::from(self.adapter.requirement(ids, label, &none))
        };
        let universe = self.adapter.universe;
        let base = self.base.iter().map(|ids| {
            let name = ids.first().map_or("", |&id| &*universe.packages[id].name);
            require(ids, &format!("{name} of the base"))
        });
        let jobs = self
            .jobs
            .iter()
            .zip(jobs)
            .filter_map(|(job, ids)| Some(require((*ids)?, &job.text)));
        let extra = extra
            .iter()
            .map(|&id| require(&[id], &universe.packages[id].name));
        let requirements = base.chain(jobs).chain(extra).collect();
        let mut solver = Solver::new(&self.adapter);
        match solver.solve(Problem::new().requirements(requirements)) {
            Ok(ids) => Ok(ids.into_iter().map(|id| id.to_index()).collect()),
            Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
                Err(conflict.display_user_friendly(&solver).to_string())
            }
            Err(UnsolvableOrCancelled::Cancelled(_)) => Err("the search was cancelled".to_owned()),
        }
    }
}
