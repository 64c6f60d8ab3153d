//! Turns dependencies into clauses, the only form the search knows.

use super::pool::{Id, Universe};
use crate::rpm::package::Dependency;
use crate::rpm::rich::Rich;

/// Clauses one expression may become; nested alternatives multiply.
const LIMIT: usize = 1024;

/// "If at least one package of every set in `when` is selected, then at least one of `need` is too."
///
/// A dependency is the conjunction of its clauses. Nothing in `need` makes the combination in `when` impossible.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Clause {
    pub(super) when: Vec<Vec<Id>>,
    pub(super) need: Vec<Id>,
}

/// Whether an expression is to hold or not to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Fulfilled,
    Broken,
}

impl<'a> Universe<'a> {
    /// Returns what must hold so that `dependency` is fulfilled.
    pub(super) fn fulfilled(&self, dependency: &'a Dependency) -> Vec<Clause> {
        match dependency {
            Dependency::Plain(capability) => {
                vec![Clause {
                    when: Vec::new(),
                    need: self.answering(capability),
                }]
            }
            Dependency::Rich(expression) => self.clauses(expression, Wanted::Fulfilled),
        }
    }

    /// Returns what must hold so that nothing fulfils `dependency`, which is a conflict.
    pub(super) fn broken(&self, dependency: &'a Dependency) -> Vec<Clause> {
        match dependency {
            Dependency::Plain(capability) => {
                vec![Clause {
                    when: vec![self.answering_known(capability).to_vec()],
                    need: Vec::new(),
                }]
            }
            Dependency::Rich(expression) => self.clauses(expression, Wanted::Broken),
        }
    }

    /// The operators by their definitions, each in both directions:
    /// `A if B else C` = (A or not B) and (C or B); `A unless B else C` = (A or B) and (C or not B), where `C` left
    /// out is true for `if` and false for `unless`.
    fn clauses(&self, expression: &Rich, wanted: Wanted) -> Vec<Clause> {
        use Wanted::{Broken, Fulfilled};
        let of = |expression: &Rich, wanted| self.clauses(expression, wanted);
        match (expression, wanted) {
            (Rich::Is(_) | Rich::With(..) | Rich::Without(..), Fulfilled) => {
                vec![Clause {
                    when: Vec::new(),
                    need: self.matching(expression),
                }]
            }
            (Rich::Is(_) | Rich::With(..) | Rich::Without(..), Broken) => {
                vec![Clause {
                    when: vec![self.matching(expression)],
                    need: Vec::new(),
                }]
            }
            (Rich::And(a, b), Fulfilled) | (Rich::Or(a, b), Broken) => {
                both(of(a, wanted), of(b, wanted))
            }
            (Rich::Or(a, b), Fulfilled) | (Rich::And(a, b), Broken) => {
                either(&of(a, wanted), &of(b, wanted))
            }
            (Rich::If(a, b, c), _) => {
                let first = either(&of(b, Broken), &of(a, wanted));
                match (c, wanted) {
                    (Some(c), _) => both(first, either(&of(b, Fulfilled), &of(c, wanted))),
                    (None, Fulfilled) => first,
                    (None, Broken) => both(first, of(b, Fulfilled)),
                }
            }
            (Rich::Unless(a, b, c), _) => {
                let first = either(&of(b, Fulfilled), &of(a, wanted));
                match (c, wanted) {
                    (Some(c), _) => both(first, either(&of(b, Broken), &of(c, wanted))),
                    (None, Fulfilled) => both(first, of(b, Broken)),
                    (None, Broken) => first,
                }
            }
        }
    }
}

fn both(mut a: Vec<Clause>, b: Vec<Clause>) -> Vec<Clause> {
    a.extend(b);
    bounded(a)
}

fn either(a: &[Clause], b: &[Clause]) -> Vec<Clause> {
    if a.len().saturating_mul(b.len()) > LIMIT {
        return impossible();
    }
    let mut out = Vec::with_capacity(a.len() * b.len());
    for x in a {
        for y in b {
            let mut clause = x.clone();
            clause.when.extend(y.when.iter().cloned());
            clause.when.sort();
            clause.when.dedup();
            clause.need.extend(&y.need);
            clause.need.sort_unstable();
            clause.need.dedup();
            out.push(clause);
        }
    }
    out
}

fn bounded(clauses: Vec<Clause>) -> Vec<Clause> {
    if clauses.len() > LIMIT {
        impossible()
    } else {
        clauses
    }
}

/// What an expression too large to be meant seriously becomes: its package cannot be installed.
fn impossible() -> Vec<Clause> {
    vec![Clause::default()]
}
