//! The order of entries within a layer: which ones moved, and whether it is an order of letters instead of bytes.

use std::collections::BTreeMap;

use super::image::EntryAt;
use super::scan::{Entry, EntryKind};
use super::verdict::{Attribute, Change};
use crate::layer::LayerPath;

type Listed<'a> = (EntryAt, &'a Entry);
type Key<'a> = (&'a LayerPath, bool);

/// Returns the entries whose place among those that both layers have is another one, with what they follow.
pub(super) fn moved<'a>(a: &[Listed<'a>], b: &[Listed<'a>]) -> BTreeMap<Key<'a>, Change> {
    let (left, right) = (places(a), places(b));
    let in_both = |list: &[Listed<'a>],
                   own: &BTreeMap<Key<'a>, usize>,
                   other: &BTreeMap<Key<'a>, usize>|
     -> Vec<Key<'a>> {
        let keys = list.iter().map(|(_, entry)| key(entry)).enumerate();
        // The last of several entries counts.
        keys.filter(|(at, key)| other.contains_key(key) && own.get(key) == Some(at))
            .map(|(_, key)| key)
            .collect()
    };
    let (a, b) = (in_both(a, &left, &right), in_both(b, &right, &left));
    if a == b {
        return BTreeMap::new();
    }
    let place_in_a: BTreeMap<Key<'a>, usize> =
        a.iter().enumerate().map(|(at, key)| (*key, at)).collect();
    let sequence: Vec<usize> = b.iter().map(|key| place_in_a[key]).collect();
    let mut stays = vec![false; b.len()];
    for at in increasing(&sequence) {
        stays[at] = true;
    }
    let after = |list: &[Key<'a>], at: usize| match at.checked_sub(1) {
        Some(before) => format!("after {}", list[before].0),
        None => "first".to_owned(),
    };
    (0..b.len())
        .filter(|&at| !stays[at])
        .map(|at| {
            let key = b[at];
            let (was, is) = (after(&a, place_in_a[&key]), after(&b, at));
            (key, Change::new(Attribute::Order, Some(was), Some(is)))
        })
        .collect()
}

fn key(entry: &Entry) -> Key<'_> {
    (&entry.path, entry.kind == EntryKind::Opaque)
}

fn places<'a>(list: &[Listed<'a>]) -> BTreeMap<Key<'a>, usize> {
    let keys = list.iter().map(|(_, entry)| key(entry));
    keys.enumerate().map(|(at, key)| (key, at)).collect()
}

/// Returns the positions of a longest increasing subsequence of distinct numbers.
fn increasing(sequence: &[usize]) -> Vec<usize> {
    // The position of the smallest end of a subsequence of each length, and for each position the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; sequence.len()];
    for (at, value) in sequence.iter().enumerate() {
        let length = ends.partition_point(|&end| sequence[end] < *value);
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut out = Vec::new();
    let mut at = ends.last().copied();
    while let Some(position) = at {
        out.push(position);
        at = before[position];
    }
    out.reverse();
    out
}

/// Tells whether one side is sorted as a language sorts words, and not by bytes.
pub(super) fn is_sorted_by_locale(entries: &[Entry]) -> bool {
    // Upper and lower case alike, and signs do not count: what the locales of glibc have in common.
    let letters = |path: &LayerPath| -> Vec<u8> {
        let bytes = path.as_bytes().iter();
        bytes
            .filter(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
            .map(u8::to_ascii_lowercase)
            .collect()
    };
    let is_sorted = |by: &dyn Fn(&LayerPath) -> Vec<u8>| {
        entries
            .windows(2)
            .all(|pair| by(&pair[0].path) <= by(&pair[1].path))
    };
    !is_sorted(&|path| path.as_bytes().to_vec()) && is_sorted(&letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_is_found_by_what_stays() {
        for (sequence, wanted) in [
            (vec![], vec![]),
            (vec![0, 1, 2], vec![0, 1, 2]),
            (vec![0, 2, 1, 3], vec![0, 2, 3]),
            (vec![3, 0, 1, 2], vec![1, 2, 3]),
            (vec![2, 1, 0], vec![2]),
        ] {
            assert_eq!(increasing(&sequence), wanted, "{sequence:?}");
        }
    }
}
