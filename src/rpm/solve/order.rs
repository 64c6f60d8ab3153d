//! Orders packages so that what others need comes before them.

use std::collections::{BTreeMap, BTreeSet};

use super::pool::{Id, Universe};

/// Returns the packages of `selected` that are not installed, dependencies first.
///
/// Packages that need each other come together, by full name; so do packages that nothing orders.
pub(super) fn by_dependency(universe: &Universe, selected: &BTreeSet<Id>) -> Vec<Id> {
    let mut ids: Vec<Id> = selected
        .iter()
        .copied()
        .filter(|&id| !universe.is_installed(id))
        .collect();
    ids.sort_by_cached_key(|&id| universe.packages[id].nevra());
    let position: BTreeMap<Id, usize> = ids.iter().enumerate().map(|(at, &id)| (id, at)).collect();
    let needs: Vec<BTreeSet<usize>> = ids
        .iter()
        .map(|&id| {
            let needed = needed_by(universe, id, selected);
            needed
                .iter()
                .filter(|&&other| other != id)
                .filter_map(|id| position.get(id).copied())
                .collect()
        })
        .collect();
    sorted(&needs).into_iter().map(|at| ids[at]).collect()
}

/// Returns the packages of `selected` that answer what `id` requires.
fn needed_by(universe: &Universe, id: Id, selected: &BTreeSet<Id>) -> BTreeSet<Id> {
    let is_selected = |id: &Id| selected.contains(id);
    let requires = &universe.packages[id].requires;
    let clauses = requires
        .iter()
        .flat_map(|dependency| universe.fulfilled(dependency));
    let awake = clauses.filter(|clause| clause.when.iter().all(|set| set.iter().any(is_selected)));
    awake
        .flat_map(|clause| clause.need)
        .filter(is_selected)
        .collect()
}

/// Returns the positions so that what `needs` says comes first, cycles together, else smaller positions first.
fn sorted(needs: &[BTreeSet<usize>]) -> Vec<usize> {
    let component = components(needs);
    // A component is known by its smallest member.
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, &of) in component.iter().enumerate() {
        members.entry(of).or_default().push(at);
    }
    let mut waits: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut frees: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (at, needed) in needs.iter().enumerate() {
        for &other in needed {
            let (from, to) = (component[at], component[other]);
            if from != to {
                waits.entry(from).or_default().insert(to);
                frees.entry(to).or_default().insert(from);
            }
        }
    }
    let mut ready: BTreeSet<usize> = members
        .keys()
        .copied()
        .filter(|of| !waits.contains_key(of))
        .collect();
    let mut out = Vec::with_capacity(needs.len());
    while let Some(of) = ready.pop_first() {
        out.extend(&members[&of]);
        for waiting in frees.remove(&of).into_iter().flatten() {
            if let Some(left) = waits.get_mut(&waiting) {
                left.remove(&of);
                if left.is_empty() {
                    waits.remove(&waiting);
                    ready.insert(waiting);
                }
            }
        }
    }
    out
}

/// Returns for every node the smallest node that it reaches and that reaches it (Kosaraju's two passes).
///
/// Stacks of our own: a chain of a hundred thousand packages must not overflow the thread's.
fn components(edges: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut finished = Vec::with_capacity(edges.len());
    let mut seen = vec![false; edges.len()];
    for start in 0..edges.len() {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        let mut stack = vec![(start, edges[start].iter())];
        while let Some((node, rest)) = stack.last_mut() {
            match rest.next() {
                Some(&next) if !std::mem::replace(&mut seen[next], true) => {
                    stack.push((next, edges[next].iter()));
                }
                Some(_) => {}
                None => {
                    finished.push(*node);
                    stack.pop();
                }
            }
        }
    }
    let mut back = vec![Vec::new(); edges.len()];
    for (from, targets) in edges.iter().enumerate() {
        for &to in targets {
            back[to].push(from);
        }
    }
    let mut of = vec![usize::MAX; edges.len()];
    for &start in finished.iter().rev() {
        if of[start] != usize::MAX {
            continue;
        }
        of[start] = start;
        let mut found = vec![start];
        let mut at = 0;
        while let Some(&node) = found.get(at) {
            at += 1;
            for &next in &back[node] {
                if of[next] == usize::MAX {
                    of[next] = start;
                    found.push(next);
                }
            }
        }
        let smallest = found.iter().copied().min().unwrap_or(start);
        for node in found {
            of[node] = smallest;
        }
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(needs: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        needs
            .iter()
            .map(|needs| needs.iter().copied().collect())
            .collect()
    }

    #[test]
    fn what_is_needed_comes_first_and_ties_keep_their_order() {
        assert_eq!(sorted(&graph(&[&[2], &[], &[1], &[]])), [1, 2, 0, 3]);
        assert_eq!(sorted(&graph(&[&[], &[], &[]])), [0, 1, 2]);
    }

    #[test]
    fn a_cycle_stays_together() {
        // 1 and 3 need each other; 0 needs 3; 2 is needed by 1.
        assert_eq!(sorted(&graph(&[&[3], &[3, 2], &[], &[1]])), [2, 1, 3, 0]);
    }

    #[test]
    fn a_long_chain_does_not_overflow_the_stack() {
        let needs: Vec<BTreeSet<usize>> = (0..200_000)
            .map(|at| {
                if at == 0 {
                    BTreeSet::new()
                } else {
                    [at - 1].into()
                }
            })
            .collect();
        let order = sorted(&needs);
        assert!(order.iter().copied().eq(0..200_000));
    }
}
