//! Which directories ldconfig looks into: `/etc/ld.so.conf`, its includes, and those it knows by itself.

use super::overlay::{Overlay, OverlayError};
use crate::layer::tree::Stacked;
use crate::layer::{LayerPath, Node};

/// A directory with libraries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    /// As configured; this is what the cache says.
    pub(super) path: String,
    /// Where it is.
    pub(super) real: LayerPath,
    /// Which subdirectory of `glibc-hwcaps` it is.
    pub(super) hwcaps: Option<Vec<u8>>,
}

/// What ldconfig of the Fedora family adds to what is configured: `add_system_dir` of glibc's x86 `dl-cache.h`,
/// without the directories of ABIs that images do not have.
const SYSTEM: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// Includes within one another, which could go in circles.
const MAX_INCLUDES: u32 = 16;

/// Returns the configured directories as written, in order.
pub(super) fn configured(overlay: &Overlay<'_>) -> Result<Vec<String>, OverlayError> {
    let mut found = Vec::new();
    include(overlay, "/etc/ld.so.conf", 0, &mut found)?;
    Ok(found)
}

fn include(
    overlay: &Overlay<'_>,
    file: &str,
    depth: u32,
    found: &mut Vec<String>,
) -> Result<(), OverlayError> {
    if depth > MAX_INCLUDES {
        return Ok(());
    }
    let Some(bytes) = overlay.read(file)? else {
        return Ok(());
    };
    for line in String::from_utf8_lossy(&bytes).lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let keyword = |word: &str| {
            line.strip_prefix(word)
                .filter(|rest| rest.starts_with([' ', '\t']))
        };
        if let Some(patterns) = keyword("include") {
            for pattern in patterns.split([' ', '\t']).filter(|p| !p.is_empty()) {
                let pattern = if pattern.starts_with('/') {
                    pattern.to_owned()
                } else {
                    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
                    format!("{folder}/{pattern}")
                };
                for file in glob(overlay.root(), &pattern) {
                    include(overlay, &file, depth + 1, found)?;
                }
            }
        } else if keyword("hwcap").is_none() && line.starts_with('/') {
            let path = line.split('=').next().unwrap_or_default().trim_end();
            let path = path.trim_end_matches('/');
            found.push(if path.is_empty() { "/" } else { path }.to_owned());
        }
    }
    Ok(())
}

/// Returns all directories that exist, each once, subdirectories of `glibc-hwcaps` after their parent.
///
/// `cached` are the directories that the base's cache names: a distribution's ldconfig may know others than ours.
pub(super) fn directories(
    root: Stacked<'_>,
    configured: &[String],
    cached: &[String],
) -> Vec<Directory> {
    let strange: Vec<&str> = cached
        .iter()
        .map(String::as_str)
        .filter(|path| !SYSTEM.contains(path) && !configured.iter().any(|c| c == path))
        .collect();
    let mut found: Vec<Directory> = Vec::new();
    let all = configured
        .iter()
        .map(String::as_str)
        .chain(strange)
        .chain(SYSTEM);
    for path in all {
        let Some(directory) = directory(root, path, None) else {
            continue;
        };
        if found.iter().any(|other| other.real == directory.real) {
            continue;
        }
        let parent = LayerPath::parse(format!("{path}/glibc-hwcaps"));
        found.push(directory);
        let Some(parent) = parent.ok().and_then(|parent| root.resolve(&parent).ok()) else {
            continue;
        };
        for (name, _) in children(root, &parent) {
            let text = String::from_utf8_lossy(&name);
            if !text.starts_with('.')
                && let Some(sub) =
                    self::directory(root, &format!("{path}/glibc-hwcaps/{text}"), Some(&name))
                && !found.iter().any(|other| other.real == sub.real)
            {
                found.push(sub);
            }
        }
    }
    found
}

fn directory(root: Stacked<'_>, path: &str, hwcaps: Option<&[u8]>) -> Option<Directory> {
    let real = root.resolve(&LayerPath::parse(path).ok()?).ok()?;
    root.get(&real).filter(|node| node.is_dir())?;
    Some(Directory {
        path: path.to_owned(),
        real,
        hwcaps: hwcaps.map(<[u8]>::to_vec),
    })
}

/// Returns the entries of a directory through both trees, by name.
pub(super) fn children<'a>(root: Stacked<'a>, directory: &LayerPath) -> Vec<(Vec<u8>, &'a Node)> {
    let mut names = std::collections::BTreeSet::new();
    for tree in [root.lower, root.upper] {
        for (path, _) in tree.within(directory) {
            if !path.is_root() && path.parent().as_ref() == Some(directory) {
                names.insert(path.clone());
            }
        }
    }
    names
        .into_iter()
        .filter_map(|path| Some((path.file_name().to_vec(), root.get(&path)?)))
        .collect()
}

/// Returns the paths that match a pattern, sorted, as glob(7).
fn glob(root: Stacked<'_>, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for folder in &found {
            if !part.contains(['*', '?', '[']) {
                next.push(format!("{folder}/{part}"));
                continue;
            }
            let at = LayerPath::parse(folder).ok();
            let Some(at) = at.and_then(|at| root.resolve(&at).ok()) else {
                continue;
            };
            for (name, _) in children(root, &at) {
                let hidden = name.starts_with(b".") && !part.starts_with('.');
                if let Ok(text) = str::from_utf8(&name)
                    && !hidden
                    && matches(part.as_bytes(), &name)
                {
                    next.push(format!("{folder}/{text}"));
                }
            }
        }
        found = next;
    }
    found
}

/// Matches a name against a pattern of `*`, `?` and `[...]`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on after the last `*`, if what follows it does not fit.
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => class(&pattern[p..], name[n]),
            Some(&c) if c == name[n] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(step), _) => {
                p += step;
                n += 1;
            }
            (None, Some((after, from))) => {
                p = after;
                n = from + 1;
                star = Some((after, n));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// Matches one byte against `[...]`; returns how long that is.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let inner = &pattern[1..];
    let negated = matches!(inner.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let end = inner.iter().skip(start + 1).position(|&c| c == b']')? + start + 1;
    let set = &inner[start..end];
    let mut hit = false;
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == b'-' {
            hit |= (set[at]..=set[at + 2]).contains(&byte);
            at += 3;
        } else {
            hit |= set[at] == byte;
            at += 1;
        }
    }
    (hit != negated).then_some(end + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_the_shell_does() {
        for (pattern, name, wanted) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("*", "", true),
            ("**a*b", "xxaxxb", true),
            ("[", "[", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                wanted,
                "{pattern} {name}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_pattern_makes_matching_panic(pattern in "[\\[\\]*?!a-c^-]{0,20}", name in "[a-c\\[\\]-]{0,20}") {
            let _ = matches(pattern.as_bytes(), name.as_bytes());
        }
    }
}
