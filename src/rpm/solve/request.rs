//! Finds the packages that a request means.

use std::collections::BTreeMap;

use super::available::{glob, has_glob, spellings};
use super::pool::{Id, Universe};
use crate::rpm::evr::{Comparison, Evr, Range};
use crate::rpm::package::{Capability, Dependency};

/// What a line of a request means: one package of every group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Alternatives; a pattern over names has one group per name.
    pub(super) groups: Vec<Vec<Id>>,
}

impl Universe<'_> {
    /// Finds what `text` means: a capability after `@`, an expression, a capability with a version, else
    /// a package's name in the first spelling that any has, else what packages provide, else a path.
    pub(super) fn find(&self, text: &str) -> Found {
        let text = text.trim();
        let alternatives = if let Some(capability) = text.strip_prefix('@') {
            self.answering(&capability_of(capability))
        } else if text.starts_with('(') {
            match Dependency::new(Capability::any(text)) {
                Dependency::Rich(expression) => self.matching(&expression),
                Dependency::Plain(_) => Vec::new(),
            }
        } else if text.contains(char::is_whitespace) {
            self.answering(&capability_of(text))
        } else {
            return self.find_name(text);
        };
        one_group(alternatives)
    }

    fn find_name(&self, text: &str) -> Found {
        if let Some(&name) = self.name_index.get(text).filter(|_| !text.is_empty()) {
            return one_group(self.by_name[name].clone());
        }
        let is_glob = has_glob(text);
        // Per spelling, in order of preference, the packages written so.
        let mut spelled: BTreeMap<usize, Vec<Id>> = BTreeMap::new();
        for (id, package) in self.packages.iter().enumerate() {
            if !is_glob && !text.starts_with(&*package.name) {
                continue;
            }
            let matches = |spelling: &String| {
                if is_glob {
                    glob(text, spelling)
                } else {
                    text == spelling
                }
            };
            if let Some(at) = spellings(package).iter().position(matches) {
                // With and without epoch is the same spelling.
                let form = match at {
                    0 | 1 => 0,
                    2 => 1,
                    3 => 2,
                    4 | 5 => 3,
                    _ => 4,
                };
                spelled.entry(form).or_default().push(id);
            }
        }
        if let Some((_, ids)) = spelled.into_iter().next() {
            let mut groups: BTreeMap<usize, Vec<Id>> = BTreeMap::new();
            for id in ids {
                groups.entry(self.name_of[id]).or_default().push(id);
            }
            let mut groups: Vec<Vec<Id>> = groups.into_values().collect();
            groups.sort_by_key(|group| self.names[self.name_of[group[0]]]);
            return Found { groups };
        }
        if is_glob {
            return one_group(self.matching_glob(text));
        }
        one_group(self.answering(&Capability::any(text)))
    }

    fn matching_glob(&self, pattern: &str) -> Vec<Id> {
        let matches = |&id: &Id| {
            let package = self.packages[id];
            package
                .provides
                .iter()
                .any(|provide| glob(pattern, &provide.name))
                || pattern.starts_with(['/', '*'])
                    && package.files.iter().any(|file| glob(pattern, file))
        };
        (0..self.packages.len()).filter(matches).collect()
    }

    /// Returns the installed packages that provide what `text` names, whatever their own names.
    pub(super) fn installed_answers(&self, text: &str) -> Vec<Id> {
        let mut ids = self.answering(&capability_of(text.trim().trim_start_matches('@')));
        ids.retain(|&id| self.is_installed(id));
        ids
    }

    /// Returns up to three names that look like `text`, the likest first.
    pub(super) fn nearest(&self, text: &str) -> Vec<String> {
        let longest = text.len().max(3) / 3;
        let mut near: Vec<(usize, &str)> = self.names[1..]
            .iter()
            .filter(|name| name.len().abs_diff(text.len()) <= longest)
            .map(|name| (distance(text, name), *name))
            .filter(|(distance, _)| *distance <= longest)
            .collect();
        near.sort_unstable();
        near.into_iter()
            .take(3)
            .map(|(_, name)| name.to_owned())
            .collect()
    }
}

fn one_group(ids: Vec<Id>) -> Found {
    let groups = if ids.is_empty() {
        Vec::new()
    } else {
        vec![ids]
    };
    Found { groups }
}

/// Reads `name`, or `name >= version`.
pub(super) fn capability_of(text: &str) -> Capability {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    let range = match (
        words.next().and_then(Comparison::from_operator),
        words.next(),
        words.next(),
    ) {
        (Some(comparison), Some(evr), None) => Some(Range {
            comparison,
            evr: Evr::parse(evr),
        }),
        (None, None, None) => None,
        // Not a capability: nothing has a name with blanks, so nothing answers it.
        _ => return Capability::any(text),
    };
    Capability {
        name: name.into(),
        range,
    }
}

/// Returns how many characters to add, drop, change or swap to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut cost = (row[j] + usize::from(x != y))
                .min(row[j + 1] + 1)
                .min(next[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_edits() {
        for (a, b, wanted) in [
            ("curl", "curl", 0),
            ("crul", "curl", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), wanted, "{a} {b}");
        }
    }

    #[test]
    fn a_capability_may_have_a_version() {
        assert_eq!(capability_of("openssl >= 3").to_string(), "openssl >= 3");
        assert_eq!(
            capability_of("libc.so.6()(64bit)").to_string(),
            "libc.so.6()(64bit)"
        );
        assert_eq!(capability_of("a b c").range, None);
    }
}
