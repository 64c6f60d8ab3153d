//! Which of the repositories' packages may be chosen at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rpm::package::Package;

/// Tells whether `pattern` means `package`: a name, `name.arch`, `name-version`, `name-version-release` or a full
/// name, with or without epoch; `*`, `?` and `[...]` as in a shell.
///
/// This is how dnf reads `excludepkgs`.
#[must_use]
pub fn matches_pattern(pattern: &str, package: &Package) -> bool {
    let is_glob = has_glob(pattern);
    if !is_glob && !pattern.starts_with(&*package.name) {
        return false;
    }
    spellings(package).iter().any(|spelling| {
        if is_glob {
            glob(pattern, spelling)
        } else {
            pattern == spelling
        }
    })
}

/// Returns the ways to write a package's name, in the order in which a request prefers them: full name,
/// `name.arch`, name, `name-version-release`, `name-version`; those with a version also with their epoch.
pub(super) fn spellings(package: &Package) -> Vec<String> {
    let Package {
        name, evr, arch, ..
    } = package;
    let (epoch, version, release) = (evr.epoch, &evr.version, &evr.release);
    vec![
        format!("{name}-{version}-{release}.{arch}"),
        format!("{name}-{epoch}:{version}-{release}.{arch}"),
        format!("{name}.{arch}"),
        name.to_string(),
        format!("{name}-{version}-{release}"),
        format!("{name}-{epoch}:{version}-{release}"),
        format!("{name}-{version}"),
        format!("{name}-{epoch}:{version}"),
    ]
}

/// Leaves out packages whose name a repository with a better priority has too; a smaller number is better.
///
/// `priorities` has one entry per repository, by its index; dnf's default is 99. As in dnf, the better
/// repository wins even with an older version.
pub fn apply_priorities(packages: &mut Vec<Package>, priorities: &[i32]) {
    let priority = |package: &Package| {
        priorities
            .get(package.repository as usize)
            .copied()
            .unwrap_or(99)
    };
    let mut best: BTreeMap<Arc<str>, i32> = BTreeMap::new();
    for package in packages.iter() {
        let own = priority(package);
        best.entry(package.name.clone())
            .and_modify(|best| *best = own.min(*best))
            .or_insert(own);
    }
    packages.retain(|package| {
        best.get(&package.name)
            .is_none_or(|&best| priority(package) <= best)
    });
}

/// Tells whether `text` holds a shell pattern.
pub(super) fn has_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Matches `text` against a shell pattern of `*`, `?` and `[...]`, in time proportional to their product.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when the text after the last `*` does not match.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(b'?') => Some(p + 1),
            Some(b'[') => match class(&pattern[p..], text[t]) {
                Some((matched, length)) => matched.then_some(p + length),
                None => (text[t] == b'[').then_some(p + 1),
            },
            Some(&c) => (c == text[t]).then_some(p + 1),
            None => None,
        };
        match (step, &mut retry) {
            (Some(next), _) => (p, t) = (next, t + 1),
            (None, Some((after, from))) => {
                *from += 1;
                (p, t) = (*after, *from);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// Matches a character against the `[...]` that `pattern` begins with; none if it does not end.
fn class(pattern: &[u8], c: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let start = if negated { 2 } else { 1 };
    // A bracket in the first place is itself a member.
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|&c| c == b']')?;
    let members = &pattern[start..end];
    let mut matched = false;
    let mut at = 0;
    while at < members.len() {
        if let Some(&last) = members.get(at + 2)
            && members[at + 1] == b'-'
        {
            matched |= (members[at]..=last).contains(&c);
            at += 3;
        } else {
            matched |= members[at] == c;
            at += 1;
        }
    }
    Some((matched != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpm::evr::Evr;

    #[test]
    fn shell_patterns_match_as_in_a_shell() {
        for (pattern, text, wanted) in [
            ("python3.*", "python3.11", true),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b", "abc", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[", "[", true),
            (
                "*aaaaaaaaaaaaaaaaaaaab",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                false,
            ),
            ("é*", "été", true),
            ("é*", "ea", false),
        ] {
            assert_eq!(glob(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_means_a_package_in_every_spelling() {
        let package = Package::new("shadow-utils", Evr::parse("2:4.9-12"), "x86_64");
        for pattern in [
            "shadow-utils",
            "shadow-utils.x86_64",
            "shadow-utils-4.9",
            "shadow-utils-4.9-12",
            "shadow-utils-2:4.9-12",
            "shadow-utils-2:4.9-12.x86_64",
            "shadow-utils-4.9-12.x86_64",
            "shadow*",
            "*-4.9-*",
        ] {
            assert!(matches_pattern(pattern, &package), "{pattern}");
        }
        for pattern in [
            "shadow",
            "shadow-utils-4",
            "shadow-utils.aarch64",
            "shadow-utils-1:4.9-12",
            "",
        ] {
            assert!(!matches_pattern(pattern, &package), "{pattern}");
        }
    }

    #[test]
    fn a_better_repository_hides_the_name_in_others() {
        let mut packages: Vec<Package> = [("a", "1-1", 0), ("a", "2-1", 1), ("b", "1-1", 1)]
            .map(|(name, evr, repository)| {
                let mut package = Package::new(name, Evr::parse(evr), "noarch");
                package.repository = repository;
                package
            })
            .into();
        apply_priorities(&mut packages, &[10, 99]);
        let left: Vec<String> = packages
            .iter()
            .map(|package| package.nevra().to_string())
            .collect();
        assert_eq!(left, ["a-1-1.noarch", "b-1-1.noarch"]);
    }
}
