//! Follows the edges of a uv.lock that hold for a target, as uv does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pep508_rs::{ExtraName, PackageName};

use super::markers::{Active, Environment, GroupName};
use super::select::{Options, SelectError};
use super::uv_lock::{Conflict, Dependency, Package, Requirement, UvLock};

/// What one target needs of a lock.
pub(super) struct Needed<'l> {
    /// The projects that were asked for; their own code is not installed as a package.
    pub(super) roots: Vec<&'l Package>,
    /// Every package that is reached, the roots too, in the order of the lock.
    pub(super) packages: Vec<&'l Package>,
}

/// Returns what `options` need in `environment`.
pub(super) fn needed<'l>(
    lock: &'l UvLock,
    environment: &Environment,
    options: &Options,
) -> Result<Needed<'l>, SelectError> {
    let graph = Graph::new(lock, environment);
    let roots = graph.roots(options)?;
    let choice = Choice::of(lock, &roots, options)?;
    let mut active = choice.active(&roots);
    if !lock.conflicts.is_empty() {
        // Which of two conflicting versions an edge means depends on every extra that is chosen anywhere, so a first
        // walk collects these (`pkg[extra]` edges add to them) and the second one uses them.
        let mut extras = choice.extras.clone();
        graph.walk(&roots, &choice, &mut active, Some(&mut extras))?;
        refuse_conflicts(lock, &roots, &choice, &extras)?;
    }
    let reached = graph.walk(&roots, &choice, &mut active, None)?;
    let packages = lock.packages.iter().enumerate();
    Ok(Needed {
        roots,
        packages: packages
            .filter(|(at, _)| reached.contains(at))
            .map(|(_, package)| package)
            .collect(),
    })
}

type ChosenExtras = BTreeSet<(PackageName, ExtraName)>;

/// The extras and groups of the roots that are asked for.
struct Choice<'l> {
    extras: ChosenExtras,
    groups: BTreeSet<(PackageName, GroupName)>,
    /// The edges of the groups.
    edges: Vec<(String, &'l Dependency)>,
    /// The requirements of a workspace root that is no project.
    requirements: Vec<&'l Requirement>,
}

impl<'l> Choice<'l> {
    fn of(lock: &'l UvLock, roots: &[&'l Package], options: &Options) -> Result<Self, SelectError> {
        let mut choice = Self {
            extras: BTreeSet::new(),
            groups: BTreeSet::new(),
            edges: Vec::new(),
            requirements: lock.manifest.requirements.iter().collect(),
        };
        for extra in &options.extras {
            let mut known = false;
            for root in roots {
                // An extra without requirements has no table of its own.
                let declared = root.metadata.provides_extras.iter().flatten();
                if root.optional_dependencies.contains_key(extra)
                    || declared.into_iter().any(|name| name == extra)
                {
                    choice.extras.insert((root.name.clone(), extra.clone()));
                    known = true;
                }
            }
            if !known {
                return Err(SelectError::UnknownExtra(extra.clone()));
            }
        }
        for group in options.all_groups() {
            let mut known = !options.groups.contains(group);
            for root in roots {
                let edges = root.dev_dependencies.get(group);
                if edges.is_some() || root.metadata.requires_dev.contains_key(group) {
                    choice.groups.insert((root.name.clone(), group.clone()));
                    known = true;
                }
                let from = || format!("{} (group {group})", root.name);
                choice
                    .edges
                    .extend(edges.into_iter().flatten().map(|edge| (from(), edge)));
            }
            if let Some(more) = lock.manifest.dependency_groups.get(group) {
                choice.requirements.extend(more);
                known = true;
            }
            if !known {
                return Err(SelectError::UnknownGroup(group.clone()));
            }
        }
        Ok(choice)
    }

    fn active(&self, roots: &[&Package]) -> Active {
        let mut active = Active::default();
        for root in roots {
            active.add_project(&root.name);
        }
        for (package, extra) in &self.extras {
            active.add_extra(package, extra);
        }
        for (package, group) in &self.groups {
            active.add_group(package, group);
        }
        active
    }
}

/// Refuses two members of one set of conflicts.
fn refuse_conflicts(
    lock: &UvLock,
    roots: &[&Package],
    choice: &Choice<'_>,
    extras: &ChosenExtras,
) -> Result<(), SelectError> {
    let chosen = |side: &&Conflict| match (&side.extra, &side.group) {
        (Some(extra), _) => extras.contains(&(side.package.clone(), extra.clone())),
        (None, Some(group)) => choice
            .groups
            .contains(&(side.package.clone(), group.clone())),
        (None, None) => roots.iter().any(|root| root.name == side.package),
    };
    for set in &lock.conflicts {
        let mut sides = set.iter().filter(chosen);
        if let (Some(first), Some(second)) = (sides.next(), sides.next()) {
            return Err(SelectError::Conflict {
                first: show(first),
                second: show(second),
            });
        }
    }
    Ok(())
}

fn show(side: &Conflict) -> String {
    match (&side.extra, &side.group) {
        (Some(extra), _) => format!("extra `{extra}` of {}", side.package),
        (None, Some(group)) => format!("group `{group}` of {}", side.package),
        (None, None) => format!("project {}", side.package),
    }
}

struct Graph<'l, 'e> {
    lock: &'l UvLock,
    environment: &'e Environment,
    by_name: BTreeMap<&'l PackageName, Vec<usize>>,
}

impl<'l, 'e> Graph<'l, 'e> {
    fn new(lock: &'l UvLock, environment: &'e Environment) -> Self {
        let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, package) in lock.packages.iter().enumerate() {
            by_name.entry(&package.name).or_default().push(at);
        }
        Self {
            lock,
            environment,
            by_name,
        }
    }

    /// Finds the projects that are asked for: by name, or the one next to the lock, or the whole workspace.
    fn roots(&self, options: &Options) -> Result<Vec<&'l Package>, SelectError> {
        let packages = &self.lock.packages;
        if let Some(name) = &options.project {
            let is_it = |p: &&Package| p.name == *name && p.source.local_folder().is_some();
            let project = packages.iter().find(is_it);
            return project
                .map(|project| vec![project])
                .ok_or_else(|| SelectError::UnknownProject(name.clone()));
        }
        let here = |p: &&Package| p.source.local_folder() == Some(".");
        if let Some(project) = packages.iter().find(here) {
            return Ok(vec![project]);
        }
        let manifest = &self.lock.manifest;
        let members: Vec<_> = packages
            .iter()
            .filter(|p| p.source.local_folder().is_some() && manifest.members.contains(&p.name))
            .collect();
        let has_own = !manifest.requirements.is_empty() || !manifest.dependency_groups.is_empty();
        if members.is_empty() && !has_own {
            return Err(SelectError::NoProject);
        }
        Ok(members)
    }

    /// Walks breadth first over (package, extra) along the edges that hold, and returns what was reached.
    ///
    /// With `extras`, every extra on an edge counts as chosen from there on, and is added to them.
    fn walk(
        &self,
        roots: &[&'l Package],
        choice: &Choice<'l>,
        active: &mut Active,
        mut extras: Option<&mut ChosenExtras>,
    ) -> Result<BTreeSet<usize>, SelectError> {
        let mut walk = Walk::default();
        for root in roots {
            if let Some(at) = self.position(root) {
                walk.reach(at, &[]);
                for (_, extra) in choice.extras.iter().filter(|(name, _)| *name == root.name) {
                    walk.reach_extra(at, extra);
                }
            }
        }
        for requirement in &choice.requirements {
            let holds = requirement.marker.as_ref();
            if holds.is_none_or(|marker| self.environment.holds(marker, &Active::default())) {
                let found = self.by_name.get(&requirement.name);
                let from = "the workspace";
                let at =
                    self.one_of(from, &requirement.name, found.cloned().unwrap_or_default())?;
                walk.reach(at, &requirement.extras);
            }
        }
        for (from, edge) in &choice.edges {
            self.follow(from, edge, active, extras.as_deref_mut(), &mut walk)?;
        }
        while let Some((at, extra)) = walk.queue.pop_front() {
            let Some(package) = self.lock.packages.get(at) else {
                continue;
            };
            let edges = match &extra {
                None => Some(&package.dependencies),
                Some(extra) => package.optional_dependencies.get(extra),
            };
            for edge in edges.into_iter().flatten() {
                let from = package.name.to_string();
                self.follow(&from, edge, active, extras.as_deref_mut(), &mut walk)?;
            }
        }
        Ok(walk.reached)
    }

    fn follow(
        &self,
        from: &str,
        edge: &Dependency,
        active: &mut Active,
        extras: Option<&mut ChosenExtras>,
        walk: &mut Walk,
    ) -> Result<(), SelectError> {
        let mut with_edge = None;
        if let Some(marker) = &edge.marker {
            let judged_by = if extras.is_some() && !edge.extra.is_empty() {
                let with_edge = with_edge.insert(active.clone());
                for extra in &edge.extra {
                    with_edge.add_extra(&edge.name, extra);
                }
                with_edge
            } else {
                &*active
            };
            if !self.environment.holds(marker, judged_by) {
                return Ok(());
            }
        }
        if let Some(extras) = extras {
            for extra in &edge.extra {
                active.add_extra(&edge.name, extra);
                extras.insert((edge.name.clone(), extra.clone()));
            }
        }
        let at = self.target(from, edge)?;
        walk.reach(at, &edge.extra);
        Ok(())
    }

    /// Finds the package that an edge means: version and source are written where the name alone does not say.
    fn target(&self, from: &str, edge: &Dependency) -> Result<usize, SelectError> {
        let named = self.by_name.get(&edge.name).into_iter().flatten();
        let matching = named.copied().filter(|&at| {
            self.lock.packages.get(at).is_some_and(|package| {
                (edge.version.is_none() || edge.version == package.version)
                    && edge.source.as_ref().is_none_or(|it| *it == package.source)
            })
        });
        self.one_of(from, &edge.name, matching.collect())
    }

    /// Of several packages of one name, takes the one whose fork holds here.
    fn one_of(
        &self,
        from: &str,
        name: &PackageName,
        mut found: Vec<usize>,
    ) -> Result<usize, SelectError> {
        if found.len() > 1 {
            found.retain(|&at| {
                self.lock.packages.get(at).is_some_and(|package| {
                    let forks = &package.resolution_markers;
                    let holds = |m| self.environment.holds(m, &Active::default());
                    forks.is_empty() || forks.iter().any(holds)
                })
            });
        }
        match found[..] {
            [at] => Ok(at),
            [] => Err(SelectError::Dangling {
                from: from.to_owned(),
                name: name.clone(),
            }),
            _ => Err(SelectError::Ambiguous {
                from: from.to_owned(),
                name: name.clone(),
            }),
        }
    }

    fn position(&self, package: &Package) -> Option<usize> {
        let same = |&&at: &&usize| {
            self.lock
                .packages
                .get(at)
                .is_some_and(|p| std::ptr::eq(p, package))
        };
        self.by_name.get(&package.name)?.iter().find(same).copied()
    }
}

#[derive(Default)]
struct Walk {
    queue: VecDeque<(usize, Option<ExtraName>)>,
    seen: BTreeSet<(usize, Option<ExtraName>)>,
    reached: BTreeSet<usize>,
}

impl Walk {
    fn reach(&mut self, at: usize, extras: &[ExtraName]) {
        self.reached.insert(at);
        if self.seen.insert((at, None)) {
            self.queue.push_back((at, None));
        }
        for extra in extras {
            self.reach_extra(at, extra);
        }
    }

    fn reach_extra(&mut self, at: usize, extra: &ExtraName) {
        let step = (at, Some(extra.clone()));
        if self.seen.insert(step.clone()) {
            self.queue.push_back(step);
        }
    }
}
