//! Explains why there is no solution, in the fewest steps that are true.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::pool::{Id, Universe};
use super::provider::Adapter;
use super::search::Goal;

/// Why there is no solution, one statement per line, and what would change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    lines: Vec<String>,
    hint: Option<String>,
}

impl Explanation {
    /// Returns the statements, from the request to the cause.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Returns what to change, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n  "))
    }
}

/// Why a package cannot be in any answer.
#[derive(Clone, Debug)]
enum Cause {
    /// The base keeps another version of it.
    Kept(Id),
    /// The request excludes or replaces it.
    Excluded,
    /// It conflicts with what the base keeps.
    Conflicts { dependency: String, with: Id },
    /// What the base keeps conflicts with it.
    Disliked { dependency: String, by: Id },
    /// It obsoletes what the base keeps, or the reverse.
    Obsoletes { old: Id },
    /// Nothing answers one of its requirements.
    Missing { dependency: String },
    /// What answers one of its requirements cannot be in any answer either.
    Needs { dependency: String, through: Id },
}

/// Explains why `goal` has no solution; `report` is what the search says, used when nothing shorter is true.
pub(super) fn explain(goal: &Goal, report: &str) -> Explanation {
    let adapter = &goal.adapter;
    let causes = impossible(
        adapter,
        goal.jobs.iter().flat_map(|job| job.all.iter().copied()),
    );
    for job in &goal.jobs {
        if job.all.iter().all(|id| causes.contains_key(id)) {
            let first = job.best.iter().chain(&job.all).next();
            if let Some(&first) = first {
                return chain(adapter.universe, &job.text, first, &causes);
            }
        }
    }
    together(goal, report)
}

/// Returns the installed package that keeps `id`, another version of it, from being chosen.
pub(super) fn kept_instead(adapter: &Adapter, id: Id) -> Option<Id> {
    let universe = adapter.universe;
    let named = &universe.by_name[universe.name_of[id]];
    named
        .iter()
        .copied()
        .find(|&other| other != id && adapter.kept[other])
}

/// Explains that the base keeps another version than the one requested.
pub(super) fn kept_version(universe: &Universe, text: &str, id: Id, by: Id) -> Explanation {
    let mut causes = BTreeMap::new();
    causes.insert(id, (0, Cause::Kept(by)));
    chain(universe, text, id, &causes)
}

/// Returns the packages that cannot be in any answer, with the round in which that was found and the cause.
///
/// A round finds what follows from the rounds before, so a smaller round means a shorter explanation.
fn impossible(adapter: &Adapter, start: impl Iterator<Item = Id>) -> BTreeMap<Id, (usize, Cause)> {
    let universe = adapter.universe;
    let disliked = disliked(adapter);
    let mut causes = BTreeMap::new();
    let mut open: BTreeSet<Id> = BTreeSet::new();
    let mut queue: Vec<Id> = start.collect();
    while let Some(id) = queue.pop() {
        if causes.contains_key(&id) || open.contains(&id) {
            continue;
        }
        if let Some(cause) = own_cause(adapter, id, &disliked) {
            causes.insert(id, (0, cause));
            continue;
        }
        open.insert(id);
        for dependency in &universe.packages[id].requires {
            queue.extend(
                adapter
                    .required(id, dependency)
                    .into_iter()
                    .flat_map(|clause| clause.need),
            );
        }
    }
    for round in 1.. {
        let found: Vec<(Id, Cause)> = open
            .iter()
            .filter_map(|&id| Some((id, need_cause(adapter, id, &causes)?)))
            .collect();
        if found.is_empty() {
            break;
        }
        for (id, cause) in found {
            open.remove(&id);
            causes.insert(id, (round, cause));
        }
    }
    causes
}

/// Returns what packages of the base that are kept conflict with or obsolete.
fn disliked(adapter: &Adapter) -> BTreeMap<Id, Cause> {
    let universe = adapter.universe;
    let mut out = BTreeMap::new();
    for by in (0..universe.installed).filter(|&by| adapter.kept[by]) {
        for dependency in &universe.packages[by].conflicts {
            for clause in adapter.forbidden(by, dependency) {
                if let ([set], []) = (&clause.when[..], &clause.need[..]) {
                    for &id in set.iter().filter(|&&id| !universe.is_installed(id)) {
                        out.entry(id).or_insert_with(|| Cause::Disliked {
                            dependency: dependency.to_string(),
                            by,
                        });
                    }
                }
            }
        }
        for id in adapter.obsoleted_by(by) {
            out.entry(id).or_insert(Cause::Obsoletes { old: by });
        }
    }
    out
}

/// Returns a cause that lies in the package itself or in the base.
fn own_cause(adapter: &Adapter, id: Id, disliked: &BTreeMap<Id, Cause>) -> Option<Cause> {
    let universe = adapter.universe;
    if adapter.kept[id] {
        return None;
    }
    if !adapter.allowed[id] {
        return Some(kept_instead(adapter, id).map_or(Cause::Excluded, Cause::Kept));
    }
    let package = universe.packages[id];
    for dependency in &package.conflicts {
        for clause in adapter.forbidden(id, dependency) {
            let keeper = |set: &Vec<Id>| set.iter().copied().find(|&other| adapter.kept[other]);
            let keepers: Option<Vec<Id>> = clause.when.iter().map(keeper).collect();
            if clause.need.is_empty()
                && let Some(&with) = keepers.as_deref().and_then(<[Id]>::first)
            {
                return Some(Cause::Conflicts {
                    dependency: dependency.to_string(),
                    with,
                });
            }
        }
    }
    if let Some(old) = adapter
        .obsoleted_by(id)
        .into_iter()
        .find(|&other| adapter.kept[other])
    {
        return Some(Cause::Obsoletes { old });
    }
    disliked.get(&id).cloned()
}

/// Returns a requirement of the package that nothing possible answers.
fn need_cause(adapter: &Adapter, id: Id, causes: &BTreeMap<Id, (usize, Cause)>) -> Option<Cause> {
    let mut best: Option<(usize, Cause)> = None;
    for dependency in &adapter.universe.packages[id].requires {
        for clause in adapter.required(id, dependency) {
            if !clause.when.is_empty() || !clause.need.iter().all(|id| causes.contains_key(id)) {
                continue;
            }
            let rounds = clause
                .need
                .iter()
                .filter_map(|id| Some((causes.get(id)?.0, *id)));
            // Of equals the newest: packages of one name are indexed in the order of the repository.
            let nearest = rounds
                .min_by(|(a, x), (b, y)| a.cmp(b).then_with(|| adapter.universe.better(*x, *y)));
            let dependency = dependency.to_string();
            let (round, cause) = match nearest {
                None => (0, Cause::Missing { dependency }),
                Some((round, through)) => (
                    round + 1,
                    Cause::Needs {
                        dependency,
                        through,
                    },
                ),
            };
            if best.as_ref().is_none_or(|(other, _)| round < *other) {
                best = Some((round, cause));
            }
        }
    }
    best.map(|(_, cause)| cause)
}

/// Writes down the causes from a request to the last one.
fn chain(
    universe: &Universe,
    text: &str,
    first: Id,
    causes: &BTreeMap<Id, (usize, Cause)>,
) -> Explanation {
    let nevra = |id: Id| universe.packages[id].nevra().to_string();
    let name = |id: Id| &universe.packages[id].name;
    let mut lines = vec![format!("`{text}` cannot be installed:")];
    let mut hint = None;
    let mut at = first;
    while let Some((_, cause)) = causes.get(&at) {
        let this = nevra(at);
        match cause {
            Cause::Needs {
                dependency,
                through,
            } => {
                lines.push(format!("{this} requires {dependency}"));
                at = *through;
                continue;
            }
            Cause::Missing { dependency } => {
                lines.push(format!(
                    "{this} requires {dependency}, which nothing provides"
                ));
                hint = Some(format!("add the repository that provides {dependency}"));
            }
            Cause::Kept(by) => {
                lines.push(format!(
                    "{this} is wanted, and the base keeps {}",
                    nevra(*by)
                ));
                hint = Some(format!(
                    "add `upgrade = [\"{}\"]`, or use the repository of the release the base was built from",
                    name(*by)
                ));
            }
            Cause::Excluded => lines.push(format!("{this} is excluded or replaced by the request")),
            Cause::Conflicts { dependency, with } => {
                let other = nevra(*with);
                lines.push(format!(
                    "{this} conflicts with {dependency}, and the base keeps {other}"
                ));
                hint = Some(replace_hint(name(*with), name(at)));
            }
            Cause::Disliked { dependency, by } => {
                let other = nevra(*by);
                lines.push(format!(
                    "{other} of the base conflicts with {dependency}, which is {this}"
                ));
                hint = Some(replace_hint(name(*by), name(at)));
            }
            Cause::Obsoletes { old } => {
                let other = nevra(*old);
                lines.push(format!(
                    "{this} and {other} of the base exclude each other: one obsoletes the other"
                ));
                hint = Some(replace_hint(name(*old), name(at)));
            }
        }
        break;
    }
    Explanation { lines, hint }
}

fn replace_hint(old: &str, new: &str) -> String {
    format!(
        "to swap them add `replace = {{ \"{old}\" = \"{new}\" }}`; to keep the base's, request {old}"
    )
}

/// Explains requests of which each alone is possible: the smallest part of them that is not, and the report on it.
fn together(goal: &Goal, report: &str) -> Explanation {
    let mut sets: Vec<Option<&[Id]>> = goal.jobs.iter().map(|job| Some(&job.all[..])).collect();
    let mut report = report.to_owned();
    for at in 0..sets.len() {
        let own = sets[at].take();
        match goal.run(&sets, &[]) {
            Err(shorter) => report = shorter,
            Ok(_) => sets[at] = own,
        }
    }
    let names: Vec<String> = goal
        .jobs
        .iter()
        .zip(&sets)
        .filter(|(_, set)| set.is_some())
        .map(|(job, _)| format!("`{}`", job.text))
        .collect();
    let subject = match &names[..] {
        [] => "the base cannot be kept:".to_owned(),
        [one] => format!("{one} cannot be installed:"),
        several => format!("{} cannot be installed together:", several.join(" and ")),
    };
    let lines = std::iter::once(subject)
        .chain(report.lines().map(str::to_owned))
        .collect();
    Explanation { lines, hint: None }
}
