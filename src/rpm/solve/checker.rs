//! Checks an answer against the dependencies themselves, without the search's indexes, sets and clauses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::pool::Id;
use super::search::Goal;
use crate::rpm::evr::Range;
use crate::rpm::package::{Capability, Dependency, Package};
use crate::rpm::rich::Rich;

/// Returns everything in which `selected` fails the request or a dependency; nothing, if it is right.
pub(super) fn problems(goal: &Goal, selected: &BTreeSet<Id>) -> Vec<String> {
    let universe = goal.adapter.universe;
    let mut out = Vec::new();
    for job in &goal.jobs {
        if !job.all.iter().any(|id| selected.contains(id)) {
            out.push(format!("nothing answers `{}`", job.text));
        }
    }
    for place in &goal.base {
        if !place.iter().any(|id| selected.contains(id)) {
            let names: Vec<String> = place
                .iter()
                .map(|&id| universe.packages[id].nevra().to_string())
                .collect();
            out.push(format!("lost from the base: {}", names.join(" or ")));
        }
    }
    let base: Vec<&Package> = universe.packages[..universe.installed].to_vec();
    let chosen: Vec<&Package> = selected.iter().map(|&id| universe.packages[id]).collect();
    let installed = selected
        .iter()
        .take_while(|&&id| universe.is_installed(id))
        .count();
    out.extend(between(&base, &chosen, installed));
    out
}

/// Checks the packages of an answer, of which the first `installed` were there before in `base`.
fn between(base: &[&Package], chosen: &[&Package], installed: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut names: BTreeMap<&str, &Package> = BTreeMap::new();
    let before = Present::new(base);
    let after = Present::new(chosen);
    for (index, package) in chosen.iter().enumerate() {
        if let Some(other) = names.insert(&package.name, package) {
            out.push(format!(
                "{} and {} have one name",
                other.nevra(),
                package.nevra()
            ));
        }
        let was_there = index < installed;
        for dependency in &package.requires {
            // What the base already lacked is not this request's fault.
            let lacked_before = was_there && !before.fulfils(dependency, None);
            if !lacked_before && !after.fulfils(dependency, None) {
                out.push(format!("{} requires {dependency}", package.nevra()));
            }
        }
        for dependency in &package.conflicts {
            let own = Some(*package);
            if after.fulfils(dependency, own) && !(was_there && before.fulfils(dependency, own)) {
                out.push(format!("{} conflicts with {dependency}", package.nevra()));
            }
        }
        for obsolete in &package.obsoletes {
            for (other_index, other) in chosen.iter().enumerate() {
                let both_there = was_there && other_index < installed;
                let range = Range::exactly(other.evr.clone());
                if other.name == obsolete.name
                    && other.name != package.name
                    && obsolete
                        .range
                        .as_ref()
                        .is_none_or(|obsolete| obsolete.overlaps(&range))
                    && !both_there
                {
                    out.push(format!("{} obsoletes {}", package.nevra(), other.nevra()));
                }
            }
        }
    }
    out
}

/// A set of packages and what they provide.
struct Present<'a> {
    packages: &'a [&'a Package],
    provides: HashMap<&'a str, Vec<(&'a Package, &'a Capability)>>,
}

impl<'a> Present<'a> {
    fn new(packages: &'a [&'a Package]) -> Self {
        let mut provides: HashMap<&str, Vec<_>> = HashMap::new();
        for package in packages {
            for provide in &package.provides {
                provides
                    .entry(&provide.name)
                    .or_default()
                    .push((*package, &**provide));
            }
        }
        Self { packages, provides }
    }

    /// Tells whether packages other than those named like `but` fulfil a dependency.
    fn fulfils(&self, dependency: &Dependency, but: Option<&Package>) -> bool {
        match dependency {
            Dependency::Plain(capability) => self.has(capability, but),
            Dependency::Rich(expression) => self.is_true(expression, but),
        }
    }

    fn has(&self, wanted: &Capability, but: Option<&Package>) -> bool {
        let counts = |package: &Package| but.is_none_or(|but| but.name != package.name);
        let provided = self.provides.get(&*wanted.name).is_some_and(|provides| {
            provides
                .iter()
                .any(|(package, provide)| counts(package) && provide.answers(wanted))
        });
        provided
            || wanted.is_path()
                && wanted.range.is_none()
                && self
                    .packages
                    .iter()
                    .any(|package| counts(package) && package.files.contains(&wanted.name))
    }

    fn is_true(&self, expression: &Rich, but: Option<&Package>) -> bool {
        let holds = |expression: &Rich| self.is_true(expression, but);
        match expression {
            Rich::Is(capability) => self.has(capability, but),
            Rich::And(a, b) => holds(a) && holds(b),
            Rich::Or(a, b) => holds(a) || holds(b),
            Rich::If(a, b, _) if holds(b) => holds(a),
            Rich::If(_, _, c) => c.as_ref().is_none_or(|c| holds(c)),
            Rich::Unless(a, b, _) if !holds(b) => holds(a),
            Rich::Unless(_, _, c) => c.as_ref().is_some_and(|c| holds(c)),
            Rich::With(..) | Rich::Without(..) => self.packages.iter().any(|package| {
                but.is_none_or(|but| but.name != package.name) && answers(package, expression)
            }),
        }
    }
}

/// Tells whether one package alone answers an expression.
fn answers(package: &Package, expression: &Rich) -> bool {
    match expression {
        Rich::Is(wanted) => {
            package
                .provides
                .iter()
                .any(|provide| provide.answers(wanted))
                || wanted.is_path()
                    && wanted.range.is_none()
                    && package.files.contains(&wanted.name)
        }
        Rich::Or(a, b) => answers(package, a) || answers(package, b),
        Rich::With(a, b) => answers(package, a) && answers(package, b),
        Rich::Without(a, b) => answers(package, a) && !answers(package, b),
        Rich::And(..) | Rich::If(..) | Rich::Unless(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rpm::evr::Evr;

    fn package(name: &str) -> Package {
        Package::new(name, Evr::parse("1-1"), "noarch")
    }

    fn dependency(text: &str) -> Dependency {
        Dependency::new(Capability::any(text))
    }

    #[test]
    fn a_wrong_answer_is_caught() {
        let mut needs = package("needs");
        needs.requires.push(dependency("absent"));
        let mut hates = package("hates");
        hates.conflicts.push(dependency("needs"));
        let mut heir = package("heir");
        heir.obsoletes.push(Arc::new(Capability::any("needs")));
        let mut rich = package("rich");
        rich.requires.push(dependency("(absent if needs)"));
        for (chosen, wanted) in [
            (vec![&needs], "needs-1-1.noarch requires absent"),
            (
                vec![&needs, &hates],
                "hates-1-1.noarch conflicts with needs",
            ),
            (
                vec![&needs, &heir],
                "heir-1-1.noarch obsoletes needs-1-1.noarch",
            ),
            (
                vec![&needs, &rich],
                "rich-1-1.noarch requires (absent if needs)",
            ),
            (
                vec![&heir, &heir],
                "heir-1-1.noarch and heir-1-1.noarch have one name",
            ),
        ] {
            let found = between(&[], &chosen, 0);
            assert!(
                found.iter().any(|problem| problem == wanted),
                "{wanted}: {found:?}"
            );
        }
        assert_eq!(between(&[], &[&rich, &heir], 0), Vec::<String>::new());
    }

    #[test]
    fn what_the_base_lacked_before_is_not_held_against_an_answer() {
        let mut broken = package("broken");
        broken.requires.push(dependency("absent"));
        let other = package("other");
        assert!(between(&[&broken], &[&broken, &other], 1).is_empty());
        assert_eq!(between(&[], &[&broken, &other], 0).len(), 1);
    }

    #[test]
    fn a_package_never_conflicts_with_itself() {
        let mut minimal = package("curl-minimal");
        minimal.provides.push(Arc::new(Capability::any("curl")));
        minimal.conflicts.push(dependency("curl"));
        assert!(between(&[], &[&minimal], 0).is_empty());
        assert_eq!(between(&[], &[&minimal, &package("curl")], 0).len(), 1);
    }
}
