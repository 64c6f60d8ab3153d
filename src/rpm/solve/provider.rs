//! Presents the universe to resolvo: every dependency as the explicit set of packages that answer it.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Display;

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, DenseIndex, Dependencies,
    DependencyProvider, Interner, KnownDependencies, LogicalOperator, NameId, Requirement,
    SolvableId, SolverCache, StringId, VersionSetId, VersionSetUnionId,
};

use super::clause::Clause;
use super::pool::{Id, Universe};
use crate::rpm::evr::Comparison;
use crate::rpm::package::Dependency;

/// The name that has no packages: requiring it makes something impossible.
const NOTHING: usize = 0;
/// Names beyond which their order is by name alone: comparing all with all would take too long.
const MANY_NAMES: usize = 200;

/// Packages of one name that answer something.
struct Set {
    name: usize,
    members: Vec<SolvableId>,
    label: String,
}

/// The universe under the rules of one request.
pub(super) struct Adapter<'u, 'a> {
    pub(super) universe: &'u Universe<'a>,
    /// Per package, whether it may be chosen.
    pub(super) allowed: Vec<bool>,
    /// Per package, whether it is certain to be in the answer: an installed one that is kept.
    pub(super) kept: Vec<bool>,
    /// Positions of names the request prefers.
    pub(super) preferred: BTreeSet<usize>,
    sets: RefCell<Vec<Set>>,
    known: RefCell<HashMap<(usize, Vec<SolvableId>), VersionSetId>>,
    unions: RefCell<Vec<Vec<VersionSetId>>>,
    conditions: RefCell<Vec<Condition>>,
}

fn solvable(id: Id) -> SolvableId {
    SolvableId::from_index(id)
}

impl<'u, 'a> Adapter<'u, 'a> {
    pub(super) fn new(universe: &'u Universe<'a>) -> Self {
        let count = universe.packages.len();
        Self {
            universe,
            allowed: vec![true; count],
            kept: vec![false; count],
            preferred: BTreeSet::new(),
            sets: RefCell::default(),
            known: RefCell::default(),
            unions: RefCell::default(),
            conditions: RefCell::default(),
        }
    }

    /// Returns the packages of a name that may be chosen.
    fn candidates(&self, name: usize) -> Vec<Id> {
        self.universe.by_name[name]
            .iter()
            .copied()
            .filter(|&id| self.allowed[id])
            .collect()
    }

    fn set(&self, name: usize, members: &[Id], label: &str) -> VersionSetId {
        let mut members: Vec<SolvableId> = members.iter().copied().map(solvable).collect();
        members.sort_unstable();
        *self
            .known
            .borrow_mut()
            .entry((name, members))
            .or_insert_with_key(|(_, members)| {
                let mut sets = self.sets.borrow_mut();
                sets.push(Set {
                    name,
                    members: members.clone(),
                    label: label.to_owned(),
                });
                VersionSetId::from_index(sets.len() - 1)
            })
    }

    /// Groups packages by name, the names in the order in which they are to be tried.
    pub(super) fn ranked(&self, members: &[Id], hinted: &BTreeSet<Id>) -> Vec<(usize, Vec<Id>)> {
        let universe = self.universe;
        let mut groups: BTreeMap<usize, Vec<Id>> = BTreeMap::new();
        for &id in members.iter().filter(|&&id| self.allowed[id]) {
            groups.entry(universe.name_of[id]).or_default().push(id);
        }
        let mut groups: Vec<(usize, Vec<Id>)> = groups.into_iter().collect();
        groups.sort_by_key(|(name, _)| universe.names[*name]);
        for (_, group) in &mut groups {
            group.sort_by(|&a, &b| universe.better(a, b));
        }
        let rank = |(name, group): &(usize, Vec<Id>)| {
            let is_installed = universe.by_name[*name]
                .iter()
                .any(|&id| universe.is_installed(id) && self.allowed[id]);
            let is_preferred = self.preferred.contains(name);
            let is_hinted = group.iter().any(|id| hinted.contains(id));
            (!is_installed, !is_preferred, !is_hinted)
        };
        let before = |a: &(usize, Vec<Id>), b: &(usize, Vec<Id>)| {
            rank(a)
                .cmp(&rank(b))
                .then_with(|| self.compare_common(b.1[0], a.1[0]))
                .then_with(|| universe.names[a.0].cmp(universe.names[b.0]))
        };
        if groups.len() > MANY_NAMES {
            groups.sort_by_key(rank);
            return groups;
        }
        // By hand: "has the higher version of something common" is no total order, and `sort_by` may refuse that.
        for end in 1..groups.len() {
            let mut at = end;
            while at > 0 && before(&groups[at], &groups[at - 1]) == Ordering::Less {
                groups.swap(at, at - 1);
                at -= 1;
            }
        }
        groups
    }

    /// Compares the first capability that both provide in different versions, as libsolv does.
    fn compare_common(&self, a: Id, b: Id) -> Ordering {
        let [a, b] = [a, b].map(|id| &self.universe.packages[id].provides);
        for x in a {
            let Some(x_range) = x
                .range
                .as_ref()
                .filter(|range| range.comparison == Comparison::Equal)
            else {
                continue;
            };
            for y in b.iter().filter(|y| y.name == x.name) {
                if let Some(y_range) = &y.range
                    && y_range.comparison == Comparison::Equal
                {
                    let order = x_range.evr.compare(&y_range.evr);
                    if order.is_ne() {
                        return order;
                    }
                }
            }
        }
        Ordering::Equal
    }

    /// Returns the requirement of one of `members`.
    pub(super) fn requirement(
        &self,
        members: &[Id],
        label: &str,
        hinted: &BTreeSet<Id>,
    ) -> Requirement {
        let ranked = self.ranked(members, hinted);
        let mut sets = ranked
            .iter()
            .map(|(name, group)| self.set(*name, group, label));
        match (sets.next(), ranked.len()) {
            (None, _) => Requirement::Single(self.set(NOTHING, &[], label)),
            (Some(first), 1) => Requirement::Single(first),
            (Some(first), _) => {
                let union: Vec<_> = std::iter::once(first).chain(sets).collect();
                let mut unions = self.unions.borrow_mut();
                unions.push(union);
                Requirement::Union(VersionSetUnionId::from_index(unions.len() - 1))
            }
        }
    }

    fn condition(&self, condition: Condition) -> ConditionId {
        let mut conditions = self.conditions.borrow_mut();
        conditions.push(condition);
        // Positions of a vector in memory are far below 2^32: each takes more than one byte.
        ConditionId::new(conditions.len() as u32 - 1)
    }

    fn join(&self, operator: LogicalOperator, parts: Vec<ConditionId>) -> Option<ConditionId> {
        parts
            .into_iter()
            .reduce(|a, b| self.condition(Condition::Binary(operator, a, b)))
    }

    /// Returns the condition that every one of `sets` has a package selected.
    fn when(&self, sets: &[Vec<Id>], label: &str) -> Option<ConditionId> {
        let parts = sets
            .iter()
            .filter_map(|members| {
                let ranked = self.ranked(members, &BTreeSet::new());
                let parts = ranked.iter().map(|(name, group)| {
                    self.condition(Condition::Requirement(self.set(*name, group, label)))
                });
                self.join(LogicalOperator::Or, parts.collect())
            })
            .collect();
        self.join(LogicalOperator::And, parts)
    }

    /// Tells whether the base as it is satisfies a clause.
    fn holds_in_base(&self, clause: &Clause) -> bool {
        let present = |set: &Vec<Id>| set.iter().any(|&id| self.universe.is_installed(id));
        !clause.when.iter().all(present) || present(&clause.need)
    }

    /// Returns the clauses of what package `id` requires, as far as they are not certain to hold.
    ///
    /// What the base itself leaves unfulfilled is not asked of the request: dnf does not repair either.
    pub(super) fn required(&self, id: Id, dependency: &'a Dependency) -> Vec<Clause> {
        let mut clauses = self.universe.fulfilled(dependency);
        clauses.retain_mut(|clause| {
            let holds = self.universe.is_installed(id) && !self.holds_in_base(clause);
            clause
                .when
                .retain(|set| !set.iter().any(|&member| member == id || self.kept[member]));
            !holds && !clause.need.contains(&id) && self.is_possible(clause)
        });
        clauses
    }

    /// Returns the clauses of what package `id` conflicts with: neither itself, nor other versions of its name.
    pub(super) fn forbidden(&self, id: Id, dependency: &'a Dependency) -> Vec<Clause> {
        let universe = self.universe;
        let was_there = universe.is_installed(id);
        let mut clauses = universe.broken(dependency);
        clauses.retain_mut(|clause| {
            let is_plain = clause.need.is_empty() && clause.when.len() == 1;
            for set in &mut clause.when {
                set.retain(|&other| {
                    // What the base holds side by side may stay so.
                    let both_there = is_plain && was_there && universe.is_installed(other);
                    universe.name_of[other] != universe.name_of[id] && !both_there
                });
            }
            let ignored = was_there && !self.holds_in_base(clause);
            !ignored && !clause.need.contains(&id) && self.is_possible(clause)
        });
        clauses
    }

    /// Tells whether the conditions of a clause can come true at all.
    fn is_possible(&self, clause: &Clause) -> bool {
        clause
            .when
            .iter()
            .all(|set| set.iter().any(|&id| self.allowed[id]))
    }

    fn dependencies(&self, id: Id) -> KnownDependencies {
        let universe = self.universe;
        let package = universe.packages[id];
        let mut known = KnownDependencies::default();
        let mut excluded: BTreeMap<usize, BTreeSet<Id>> = BTreeMap::new();
        let hinted = if package.requires.is_empty() {
            BTreeSet::new()
        } else {
            let hints = package.recommends.iter().chain(&package.suggests);
            hints
                .flat_map(|dependency| universe.any_matching(dependency))
                .collect()
        };
        // A library's many symbol versions are one requirement to the search.
        let mut seen: HashSet<Clause> = HashSet::new();
        let mut add = |clause: &Clause, dependency: &Dependency| {
            if !seen.insert(clause.clone()) {
                return;
            }
            let label = dependency.to_string();
            if clause.need.is_empty()
                && let [set] = &clause.when[..]
            {
                for &other in set {
                    excluded
                        .entry(universe.name_of[other])
                        .or_default()
                        .insert(other);
                }
                return;
            }
            known.requirements.push(ConditionalRequirement {
                condition: self.when(&clause.when, &label),
                requirement: self.requirement(&clause.need, &label, &hinted),
            });
        };
        for dependency in &package.requires {
            for clause in self.required(id, dependency) {
                add(&clause, dependency);
            }
        }
        for dependency in &package.conflicts {
            for clause in self.forbidden(id, dependency) {
                add(&clause, dependency);
            }
        }
        for other in self.obsoleted_by(id) {
            excluded
                .entry(universe.name_of[other])
                .or_default()
                .insert(other);
        }
        for (name, excluded) in excluded {
            let mut rest = self.candidates(name);
            rest.retain(|other| !excluded.contains(other));
            let label = format!("none that {} conflicts with or obsoletes", package.nevra());
            known.constrains.push(self.set(name, &rest, &label));
        }
        known
    }

    /// Returns the packages of other names that `id` obsoletes; of an installed one, only those not installed.
    pub(super) fn obsoleted_by(&self, id: Id) -> Vec<Id> {
        let universe = self.universe;
        let mut out = Vec::new();
        for obsolete in &universe.packages[id].obsoletes {
            let Some(&name) = universe.name_index.get(&*obsolete.name) else {
                continue;
            };
            if name == universe.name_of[id] {
                continue;
            }
            out.extend(universe.by_name[name].iter().copied().filter(|&other| {
                universe.is_obsoleted(other, obsolete)
                    && !(universe.is_installed(id) && universe.is_installed(other))
            }));
        }
        out
    }
}

impl Interner for &Adapter<'_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, id: SolvableId) -> impl Display + '_ {
        self.universe.packages[id.to_index()].evr.to_string()
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.universe.names[name.to_index()]
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        self.sets.borrow()[set.to_index()].label.clone()
    }

    fn display_string(&self, _: StringId) -> impl Display + '_ {
        // Strings are for reasons that a provider gives; this one gives none.
        ""
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        NameId::from_index(self.sets.borrow()[set.to_index()].name)
    }

    fn solvable_name(&self, id: SolvableId) -> NameId {
        NameId::from_index(self.universe.name_of[id.to_index()])
    }

    fn version_sets_in_union(
        &self,
        union: VersionSetUnionId,
    ) -> impl Iterator<Item = VersionSetId> {
        self.unions.borrow()[union.to_index()].clone().into_iter()
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        self.conditions.borrow()[condition.as_u32() as usize].clone()
    }
}

impl DependencyProvider for &Adapter<'_, '_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let sets = self.sets.borrow();
        let members = &sets[set.to_index()].members;
        let is_member = |id: &SolvableId| members.binary_search(id).is_ok();
        candidates
            .iter()
            .copied()
            .filter(|id| is_member(id) != inverse)
            .collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let candidates = self.candidates(name.to_index());
        let favored = candidates
            .iter()
            .copied()
            .find(|&id| self.universe.is_installed(id))
            .map(solvable);
        let candidates = candidates.into_iter().map(solvable).collect();
        Some(Candidates {
            candidates,
            favored,
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, ids: &mut [SolvableId]) {
        ids.sort_by(|a, b| self.universe.better(a.to_index(), b.to_index()));
    }

    async fn get_dependencies(&self, id: SolvableId) -> Dependencies {
        Dependencies::Known(self.dependencies(id.to_index()))
    }
}
