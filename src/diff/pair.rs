//! Decides which layers of two images are to be compared with each other.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::oci::ImageLayer;

/// Layers that belong together, by their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pairing {
    /// They hold the same tar.
    Same(usize, usize),
    /// They stand for each other; one side may have none, or both another number of them.
    Changed(Vec<usize>, Vec<usize>),
    /// They hold the same tar, but in another order among the others.
    Moved(usize, usize),
}

/// Pairs the layers of two images, lowest first.
///
/// Equal tars are anchors. Between them, layers that were made in the same way stand for each other, and what is left
/// then does so by its place.
pub(super) fn pair(a: &[ImageLayer], b: &[ImageLayer]) -> Vec<Pairing> {
    let anchors = common(0..a.len(), 0..b.len(), |i, j| a[i].diff_id == b[j].diff_id);
    let moved = moved(a, b, &anchors);
    let made_alike = |i: usize, j: usize| {
        let (x, y) = (kind(&a[i].created_by), kind(&b[j].created_by));
        !x.0.is_empty() && x == y
    };
    let gone = [
        moved.iter().map(|(i, _)| *i).collect::<BTreeSet<_>>(),
        moved.iter().map(|(_, j)| *j).collect::<BTreeSet<_>>(),
    ];
    let mut out = Vec::new();
    between(&anchors, a.len(), b.len(), |left, right, anchor| {
        let left: Vec<usize> = left.filter(|i| !gone[0].contains(i)).collect();
        let right: Vec<usize> = right.filter(|j| !gone[1].contains(j)).collect();
        let alike = common(0..left.len(), 0..right.len(), |i, j| {
            made_alike(left[i], right[j])
        });
        between(&alike, left.len(), right.len(), |i, j, pair| {
            gap(&left[i], &right[j], &mut out);
            if let Some((i, j)) = pair {
                out.push(Pairing::Changed(vec![left[i]], vec![right[j]]));
            }
        });
        if let Some((i, j)) = anchor {
            out.push(Pairing::Same(i, j));
        }
    });
    out.extend(moved.into_iter().map(|(i, j)| Pairing::Moved(i, j)));
    out
}

/// Returns what layers that stand for each other have in common in their line of the history: of imgbuild's own lines
/// what kind of layer it is, as what went into it may differ; else all of it.
fn kind(created_by: &str) -> (&str, &str) {
    let Some(rest) = created_by.strip_prefix("imgbuild: ") else {
        return (created_by, "");
    };
    let kind = rest.split(": ").next().unwrap_or(rest);
    // The two layers of a Python environment are told apart by what they say last.
    let part = rest.rsplit_once(" (").map_or("", |(_, part)| part);
    (kind, if kind == "python" { part } else { "" })
}

/// Pairs what nothing is known of.
fn gap(left: &[usize], right: &[usize], out: &mut Vec<Pairing>) {
    if left.len() == right.len() {
        let pairs = left.iter().zip(right);
        out.extend(pairs.map(|(&i, &j)| Pairing::Changed(vec![i], vec![j])));
    } else if left.is_empty() {
        out.extend(right.iter().map(|&j| Pairing::Changed(vec![], vec![j])));
    } else if right.is_empty() {
        out.extend(left.iter().map(|&i| Pairing::Changed(vec![i], vec![])));
    } else {
        out.push(Pairing::Changed(left.to_vec(), right.to_vec()));
    }
}

/// Returns the equal tars that are no anchors, because their order differs.
fn moved(a: &[ImageLayer], b: &[ImageLayer], anchors: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut free: BTreeSet<usize> = (0..b.len()).collect();
    for (_, j) in anchors {
        free.remove(j);
    }
    let mut out = Vec::new();
    for i in (0..a.len()).filter(|i| !anchors.iter().any(|(anchored, _)| anchored == i)) {
        if let Some(&j) = free.iter().find(|&&j| a[i].diff_id == b[j].diff_id) {
            free.remove(&j);
            out.push((i, j));
        }
    }
    out
}

/// Returns a longest common subsequence as pairs of positions.
fn common(
    a: Range<usize>,
    b: Range<usize>,
    is_equal: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let width = b.len() + 1;
    // How long it is from (i, j) on.
    let mut length = vec![0_u32; (a.len() + 1) * width];
    for i in a.clone().rev() {
        for j in b.clone().rev() {
            length[i * width + j] = if is_equal(i, j) {
                length[(i + 1) * width + j + 1] + 1
            } else {
                length[(i + 1) * width + j].max(length[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if is_equal(i, j) {
            out.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length[(i + 1) * width + j] >= length[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    out
}

/// Shows the ranges before each anchor, and those after the last.
fn between(
    anchors: &[(usize, usize)],
    a: usize,
    b: usize,
    mut show: impl FnMut(Range<usize>, Range<usize>, Option<(usize, usize)>),
) {
    let (mut i, mut j) = (0, 0);
    for &(next_i, next_j) in anchors {
        show(i..next_i, j..next_j, Some((next_i, next_j)));
        (i, j) = (next_i + 1, next_j + 1);
    }
    show(i..a, j..b, None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, DiffId, Digest, media_type};

    /// Layers written as `tar` or `tar:created_by`, with ␣ for blanks.
    fn layers(text: &str) -> Vec<ImageLayer> {
        let layer = |word: &str| {
            let (tar, created_by) = word.split_once(':').unwrap_or((word, ""));
            ImageLayer {
                descriptor: Descriptor::of(media_type::LAYER, tar.as_bytes()),
                diff_id: DiffId(Digest::of(tar.as_bytes())),
                created_by: created_by.replace('␣', " "),
            }
        };
        text.split_whitespace().map(layer).collect()
    }

    #[test]
    fn layers_are_paired_by_tar_then_by_how_they_were_made_then_by_place() {
        use Pairing::{Changed, Moved, Same};
        let one = |i: usize, j: usize| Changed(vec![i], vec![j]);
        for (a, b, wanted) in [
            ("x y", "x y", vec![Same(0, 0), Same(1, 1)]),
            ("x y z", "x Y z", vec![Same(0, 0), one(1, 1), Same(2, 2)]),
            (
                "x z",
                "x y z",
                vec![Same(0, 0), Changed(vec![], vec![1]), Same(1, 2)],
            ),
            ("x y", "x", vec![Same(0, 0), Changed(vec![1], vec![])]),
            ("x y z", "x z y", vec![Same(0, 0), Same(2, 1), Moved(1, 2)]),
            ("x y", "p q r", vec![Changed(vec![0, 1], vec![0, 1, 2])]),
            (
                "x:rpm y:copy",
                "X:rpm n:new Y:copy",
                vec![one(0, 0), Changed(vec![], vec![1]), one(1, 2)],
            ),
            (
                "x:imgbuild:␣rpm:␣a y:imgbuild:␣copy:␣b",
                "X:imgbuild:␣rpm:␣c",
                vec![one(0, 0), Changed(vec![1], vec![])],
            ),
            ("", "", vec![]),
        ] {
            assert_eq!(pair(&layers(a), &layers(b)), wanted, "{a} | {b}");
        }
    }
}
