//! Adds weak dependencies to an answer.

use std::collections::BTreeSet;

use super::pool::{Id, Universe};
use super::search::Goal;
use crate::rpm::package::Dependency;

/// Rounds of weak dependencies; each adds at least one package, real ones need 2 or 3.
const WEAK_ROUNDS: usize = 20;

impl<'a> Goal<'_, 'a> {
    /// Adds weak dependencies round after round, as hard requirements that are dropped if they do not fit.
    ///
    /// resolvo's soft requirements are of no use here: in 0.12.2 they do not switch on conditional requirements of
    /// packages decided before, and the answer can be wrong.
    pub(super) fn add_weak(
        &self,
        jobs: &[Option<&[Id]>],
        mut selected: BTreeSet<Id>,
    ) -> (BTreeSet<Id>, Vec<Id>) {
        let mut tried = BTreeSet::new();
        let mut extra = Vec::new();
        for _ in 0..WEAK_ROUNDS {
            let candidates = self.weak_candidates(&selected, &mut tried);
            if candidates.is_empty() {
                break;
            }
            let together: Vec<Id> = extra.iter().chain(&candidates).copied().collect();
            if let Ok(found) = self.run(jobs, &together) {
                (selected, extra) = (found, together);
                continue;
            }
            for candidate in candidates {
                extra.push(candidate);
                match self.run(jobs, &extra) {
                    Ok(found) => selected = found,
                    Err(_) => {
                        extra.pop();
                    }
                }
            }
        }
        (selected, extra)
    }

    fn weak_candidates(&self, selected: &BTreeSet<Id>, tried: &mut BTreeSet<Id>) -> Vec<Id> {
        let universe = self.adapter.universe;
        let mut out = Vec::new();
        let new = selected
            .iter()
            .copied()
            .filter(|&id| !universe.is_installed(id));
        for dependency in new.flat_map(|id| &universe.packages[id].recommends) {
            for clause in universe.fulfilled(dependency) {
                let present = |set: &Vec<Id>| set.iter().any(|id| selected.contains(id));
                if present(&clause.need) || !clause.when.iter().all(present) {
                    continue;
                }
                let mut choices = clause.need;
                choices.retain(|&id| !universe.is_installed(id) && self.adapter.allowed[id]);
                choices.sort_by(|&a, &b| universe.better(a, b));
                out.extend(choices.first().copied().filter(|&id| tried.insert(id)));
            }
        }
        let base: BTreeSet<Id> = selected
            .iter()
            .copied()
            .filter(|&id| universe.is_installed(id))
            .collect();
        for id in universe.installed..universe.packages.len() {
            let package = universe.packages[id];
            let named = &universe.by_name[universe.name_of[id]];
            if package.supplements.is_empty()
                || !self.adapter.allowed[id]
                || tried.contains(&id)
                || named.iter().any(|id| selected.contains(id))
            {
                continue;
            }
            let awakes = |dependency: &&'a Dependency| {
                universe.holds(dependency, selected) && !universe.holds(dependency, &base)
            };
            if package
                .supplements
                .iter()
                .any(|dependency| awakes(&dependency))
            {
                tried.insert(id);
                out.push(id);
            }
        }
        out
    }
}

impl<'a> Universe<'a> {
    /// Tells whether `selected` fulfils `dependency`.
    pub(super) fn holds(&self, dependency: &'a Dependency, selected: &BTreeSet<Id>) -> bool {
        let present = |set: &Vec<Id>| set.iter().any(|id| selected.contains(id));
        self.fulfilled(dependency)
            .iter()
            .all(|clause| !clause.when.iter().all(present) || present(&clause.need))
    }
}
