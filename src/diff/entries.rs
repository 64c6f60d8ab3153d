//! Compares the entries of two layers: one row for each path, with everything that differs about it.

use std::collections::{BTreeMap, BTreeSet};

use super::attributes::{self, Links};
use super::image::EntryAt;
use super::order;
use super::scan::{Entry, EntryKind};
use super::verdict::{Attribute, Change, FirstDifference, Row, RowKind};
use crate::layer::LayerPath;

/// A layer's entries, or those that several layers come to.
pub(super) struct Entries<'a> {
    /// In the order of their tar.
    pub(super) list: Vec<(EntryAt, &'a Entry)>,
}

/// A row, and what is needed to look further into it.
pub(super) struct EntryRow {
    pub(super) row: Row,
    /// The path in bytes, for those who ask to whom it belongs.
    pub(super) path: LayerPath,
    /// The position of its layer in each image.
    pub(super) layers: [Option<usize>; 2],
    /// The size of the file of each image, in bytes.
    pub(super) sizes: [u64; 2],
}

/// A file of an image.
#[derive(Clone, Copy)]
struct FileAt {
    at: EntryAt,
    /// In bytes.
    size: u64,
}

/// What a row is about: a path, or all that an opaque directory hides.
type Key<'a> = (&'a LayerPath, bool);

impl<'a> Entries<'a> {
    /// Takes the entries of one layer as they are.
    pub(super) fn of_layer(layer: usize, scanned: &'a [Entry]) -> Self {
        let list = scanned.iter().enumerate();
        Self {
            list: list.map(|(at, entry)| ((layer, at), entry)).collect(),
        }
    }

    /// Puts several layers together: of each path the last entry counts, and whiteouts take back what came before.
    pub(super) fn of_layers(layers: &[(usize, &'a [Entry])]) -> Self {
        let mut found: BTreeMap<Key<'a>, (EntryAt, &'a Entry)> = BTreeMap::new();
        for (layer, scanned) in layers {
            let hidden = Hidden::by(scanned);
            found.retain(|(path, _), _| !hidden.has(path));
            for (at, entry) in scanned.iter().enumerate() {
                found.insert(entry.key(), ((*layer, at), entry));
            }
        }
        Self {
            list: found.into_values().collect(),
        }
    }

    fn by_key(&self) -> BTreeMap<Key<'a>, Vec<(EntryAt, &'a Entry)>> {
        let mut out: BTreeMap<Key<'a>, Vec<_>> = BTreeMap::new();
        for (at, entry) in &self.list {
            out.entry(entry.key()).or_default().push((*at, *entry));
        }
        out
    }
}

impl Entry {
    fn key(&self) -> Key<'_> {
        (&self.path, self.kind == EntryKind::Opaque)
    }
}

/// What a layer hides of those below it.
struct Hidden<'a> {
    whiteouts: BTreeSet<&'a LayerPath>,
    opaque: BTreeSet<&'a LayerPath>,
}

impl<'a> Hidden<'a> {
    fn by(scanned: &'a [Entry]) -> Self {
        let paths = |kind: EntryKind| {
            let entries = scanned.iter().filter(|entry| entry.kind == kind);
            entries.map(|entry| &entry.path).collect()
        };
        Self {
            whiteouts: paths(EntryKind::Whiteout),
            opaque: paths(EntryKind::Opaque),
        }
    }

    /// Looks at the path and those above it, so that no number of markers makes this slow.
    fn has(&self, path: &LayerPath) -> bool {
        if self.whiteouts.is_empty() && self.opaque.is_empty() {
            return false;
        }
        if self.whiteouts.contains(path) {
            return true;
        }
        let mut above = path.parent();
        while let Some(at) = above {
            if self.whiteouts.contains(&at) || self.opaque.contains(&at) {
                return true;
            }
            above = at.parent();
        }
        false
    }
}

/// Compares entries; their order and number only if each side is one layer.
pub(super) fn compare(a: &Entries<'_>, b: &Entries<'_>, is_one_layer: bool) -> Vec<EntryRow> {
    let (left, right) = (a.by_key(), b.by_key());
    let links = Links::of(&a.list, &b.list);
    let keys: BTreeSet<Key<'_>> = left.keys().chain(right.keys()).copied().collect();
    let moved = if is_one_layer {
        order::moved(&a.list, &b.list)
    } else {
        BTreeMap::new()
    };
    let mut rows = Vec::new();
    for key in keys {
        let none = Vec::new();
        let (first, second) = (
            left.get(&key).unwrap_or(&none),
            right.get(&key).unwrap_or(&none),
        );
        let (kind, mut changes) = match (first.last(), second.last()) {
            (Some((_, x)), Some((_, y))) => {
                let mut changes = attributes::changes(x, y, &links);
                if first.len() == second.len() {
                    // Entries that others of the same name replace: nobody sees them, but they are there.
                    for ((_, x), (_, y)) in first.iter().zip(second).rev().skip(1) {
                        for change in attributes::changes(x, y, &links) {
                            let is_new = |had: &Change| had.attribute != change.attribute;
                            if changes.iter().all(is_new) {
                                changes.push(change);
                            }
                        }
                    }
                }
                (RowKind::Changed, changes)
            }
            (Some((_, x)), None) => (RowKind::Removed, attributes::only(x, &links, 0)),
            (None, Some((_, y))) => (RowKind::Added, attributes::only(y, &links, 1)),
            (None, None) => continue,
        };
        if kind == RowKind::Changed {
            if first.len() != second.len() && is_one_layer {
                let times = |list: &[_]| Some(times(list.len()));
                let change = Change::new(Attribute::Duplicate, times(first), times(second));
                changes.push(change);
            }
            if let Some(change) = moved.get(&key) {
                changes.push(change.clone());
            }
            if changes.is_empty() {
                continue;
            }
        } else if let count @ 2.. = first.len().max(second.len()) {
            let times = Some(times(count));
            let (a, b) = if kind == RowKind::Removed {
                (times, None)
            } else {
                (None, times)
            };
            changes.push(Change::new(Attribute::Duplicate, a, b));
        }
        changes.sort_by_key(|change| change.attribute);
        let files =
            [first, second].map(|side| side.last().and_then(|(at, entry)| file(*at, entry)));
        let mut row = Row::new(kind, key.0.to_string(), changes);
        row.files = files.map(|file| file.map(|file| file.at));
        rows.push(EntryRow {
            row,
            path: key.0.clone(),
            // Of what only one side has, the layer still tells whom it belongs to.
            layers: [first, second].map(|side| side.last().map(|((layer, _), _)| *layer)),
            sizes: files.map(|file| file.map_or(0, |file| file.size)),
        });
    }
    rows
}

fn file(at: EntryAt, entry: &Entry) -> Option<FileAt> {
    match entry.kind {
        EntryKind::File(content) => Some(FileAt {
            at,
            size: content.size,
        }),
        _ => None,
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// Returns where two layers begin to differ.
pub(super) fn first_difference(a: &[Entry], b: &[Entry]) -> Option<FirstDifference> {
    let is_same = |x: &Entry, y: &Entry| x.form.digest == y.form.digest && x.kind == y.kind;
    let same = a.iter().zip(b).take_while(|(x, y)| is_same(x, y)).count();
    let entry = b.get(same).or_else(|| a.get(same))?;
    Some(FirstDifference {
        path: entry.path.to_string(),
        offset: entry.form.offset,
    })
}
