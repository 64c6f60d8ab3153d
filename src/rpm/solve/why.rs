//! Says for every chosen package what pulled it in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Why;
use super::clause::Clause;
use super::pool::Id;
use super::search::Goal;

/// Returns why each package of `selected` that is not installed was chosen, by the fewest steps from the request.
pub(super) fn reasons(goal: &Goal, selected: &BTreeSet<Id>, weak: &[Id]) -> BTreeMap<Id, Why> {
    let universe = goal.adapter.universe;
    let mut search = Reasons {
        goal,
        selected,
        found: BTreeMap::new(),
        queue: VecDeque::new(),
    };
    for job in &goal.jobs {
        for &id in &job.all {
            search.add(id, || job.why.clone());
        }
    }
    search.follow();
    // What new packages woke in the base.
    for &id in selected.iter().take_while(|&&id| universe.is_installed(id)) {
        search.needs_of(id);
    }
    search.follow();
    for id in weak {
        if !search.found.contains_key(id) {
            let why = search.weak_reason(*id);
            search.add(*id, || why);
        }
        search.follow();
    }
    // What may move with an open base.
    for (installed, place) in goal
        .base
        .iter()
        .filter_map(|place| Some((*place.first()?, place)))
    {
        for &id in place {
            search.add(id, || Why::Upgrades(universe.packages[installed].nevra()));
        }
    }
    search.follow();
    search.found
}

struct Reasons<'g, 'u, 'a> {
    goal: &'g Goal<'u, 'a>,
    selected: &'g BTreeSet<Id>,
    found: BTreeMap<Id, Why>,
    queue: VecDeque<Id>,
}

impl Reasons<'_, '_, '_> {
    fn add(&mut self, id: Id, why: impl FnOnce() -> Why) {
        let is_new = !self.goal.adapter.universe.is_installed(id) && self.selected.contains(&id);
        if is_new && !self.found.contains_key(&id) {
            self.found.insert(id, why());
            self.queue.push_back(id);
        }
    }

    fn follow(&mut self) {
        while let Some(id) = self.queue.pop_front() {
            self.needs_of(id);
        }
    }

    fn is_awake(&self, clause: &Clause) -> bool {
        clause
            .when
            .iter()
            .all(|set| set.iter().any(|id| self.selected.contains(id)))
    }

    fn needs_of(&mut self, id: Id) {
        let adapter = &self.goal.adapter;
        let package = adapter.universe.packages[id];
        let required = package
            .requires
            .iter()
            .map(|dependency| (dependency, adapter.required(id, dependency)));
        let avoided = package
            .conflicts
            .iter()
            .map(|dependency| (dependency, adapter.forbidden(id, dependency)));
        for (dependency, clauses) in required.chain(avoided) {
            for clause in clauses {
                if self.is_awake(&clause) {
                    for other in clause.need {
                        self.add(other, || Why::Requires {
                            by: package.nevra(),
                            dependency: dependency.to_string(),
                        });
                    }
                }
            }
        }
    }

    fn weak_reason(&self, id: Id) -> Why {
        let universe = self.goal.adapter.universe;
        for by in self
            .selected
            .iter()
            .filter(|&&by| !universe.is_installed(by))
        {
            let package = universe.packages[*by];
            for dependency in &package.recommends {
                let clauses = universe.fulfilled(dependency);
                if clauses
                    .iter()
                    .any(|clause| self.is_awake(clause) && clause.need.contains(&id))
                {
                    return Why::Recommends {
                        by: package.nevra(),
                        dependency: dependency.to_string(),
                    };
                }
            }
        }
        let supplements = &universe.packages[id].supplements;
        let holds = supplements
            .iter()
            .find(|dependency| universe.holds(dependency, self.selected));
        Why::Supplements {
            dependency: holds.map(ToString::to_string).unwrap_or_default(),
        }
    }
}
