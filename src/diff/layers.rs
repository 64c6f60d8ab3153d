//! Compares the layers of two images that belong together.

use std::collections::{BTreeMap, BTreeSet};

use super::cause::Cause;
use super::entries::{self, Entries, EntryRow};
use super::error::DiffError;
use super::image::{EntryAt, Image};
use super::pair::Pairing;
use super::scan::{Entry, scan};
use super::verdict::{Attribute, Change, LayerChange, LayerDifference, Row, RowKind};
use super::{compression, inside, order};

/// What is read at most of one content to look inside, in bytes; 512 MiB for the rpm database.
const LARGEST: u64 = 16 << 20;
const LARGEST_DATABASE: u64 = 512 << 20;

/// What is held of all contents of one side and layer together, databases apart, in bytes.
const BUDGET: u64 = 48 << 20;

/// Compares what a pairing names; nothing if both are the same blob.
pub(super) fn compare(
    a: &Image<'_>,
    b: &Image<'_>,
    pairing: &Pairing,
) -> Result<Option<(LayerDifference, Vec<EntryRow>)>, DiffError> {
    match pairing {
        &Pairing::Same(i, j) => {
            if a.layer(i).descriptor.digest == b.layer(j).descriptor.digest {
                return Ok(None);
            }
            let mut difference = begin(a, b, &[i], &[j], LayerChange::Compression);
            verify(a, b, i, j)?;
            let (changes, cause) = compression::compare((a, i), (b, j))?;
            difference.compression = changes;
            difference.cause = Some(cause);
            Ok(Some((difference, Vec::new())))
        }
        &Pairing::Moved(i, j) => {
            let difference = begin(a, b, &[i], &[j], LayerChange::Moved);
            if a.layer(i).descriptor.digest != b.layer(j).descriptor.digest {
                verify(a, b, i, j)?;
            }
            Ok(Some((difference, Vec::new())))
        }
        Pairing::Changed(left, right) => {
            let kind = match (left.len(), right.len()) {
                (0, _) => LayerChange::Added,
                (_, 0) => LayerChange::Removed,
                (1, 1) => LayerChange::Entries,
                _ => LayerChange::Split,
            };
            let mut difference = begin(a, b, left, right, kind);
            let scans = rayon::join(|| scans(a, left), || scans(b, right));
            let (x, y) = (scans.0?, scans.1?);
            let rows = changed(a, b, (left, &x), (right, &y), &mut difference)?;
            Ok(Some((difference, rows)))
        }
    }
}

fn verify(a: &Image<'_>, b: &Image<'_>, i: usize, j: usize) -> Result<(), DiffError> {
    let (x, y) = rayon::join(|| a.verify(i), || b.verify(j));
    x.and(y)
}

fn scans(image: &Image<'_>, layers: &[usize]) -> Result<Vec<Vec<Entry>>, DiffError> {
    layers.iter().map(|&at| scan(image, at)).collect()
}

fn begin(
    a: &Image<'_>,
    b: &Image<'_>,
    left: &[usize],
    right: &[usize],
    kind: LayerChange,
) -> LayerDifference {
    let of = |image: &Image<'_>, layers: &[usize]| {
        let layers = layers.iter().map(|&at| image.layer(at));
        layers
            .map(|layer| (layer.descriptor.digest, layer.diff_id))
            .unzip()
    };
    let ((first_digests, first_ids), (second_digests, second_ids)) = (of(a, left), of(b, right));
    let made_by = |image: &Image<'_>, layers: &[usize]| {
        let layers = layers.iter().map(|&at| image.layer(at).created_by.as_str());
        layers
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("; ")
    };
    let created_by = match made_by(b, right) {
        empty if empty.is_empty() => made_by(a, left),
        text => text,
    };
    LayerDifference {
        places: [left, right].map(|layers| layers.iter().map(|at| at + 1).collect()),
        created_by,
        kind,
        digests: [first_digests, second_digests],
        diff_ids: [first_ids, second_ids],
        first: None,
        compression: Vec::new(),
        rows: Vec::new(),
        cause: None,
    }
}

/// Compares entries, looks into contents that differ, and says what made a layer as a whole differ.
fn changed(
    a: &Image<'_>,
    b: &Image<'_>,
    (left, x): (&[usize], &[Vec<Entry>]),
    (right, y): (&[usize], &[Vec<Entry>]),
    difference: &mut LayerDifference,
) -> Result<Vec<EntryRow>, DiffError> {
    let is_one = difference.kind == LayerChange::Entries;
    let mut rows = entries::compare(&together(left, x), &together(right, y), is_one);
    look_inside(a, b, &mut rows)?;
    if let ([x], [y]) = (x, y) {
        difference.first = entries::first_difference(x, y);
        let is_moved = |row: &EntryRow| has(&row.row, Attribute::Order);
        let sorted = [x, y].map(|side| order::is_sorted_by_locale(side));
        if rows.iter().any(is_moved) && sorted[0] != sorted[1] {
            difference.cause = Some(Cause::LocaleSort);
        }
        if rows.is_empty() {
            let what =
                "the entries are the same; zeros or other bytes between or after them differ";
            let change = Change::new(Attribute::Header, None, Some(what.to_owned()));
            difference
                .rows
                .push(Row::new(RowKind::Changed, String::new(), vec![change]));
        }
    }
    for EntryRow { row, .. } in &mut rows {
        let only = |wanted| row.changes.iter().all(|change| change.attribute == wanted);
        if row.kind == RowKind::Changed && row.cause.is_none() {
            row.cause = if only(Attribute::Mtime) {
                Some(Cause::MtimeOnly)
            } else if only(Attribute::Header) {
                Some(Cause::TarWriter)
            } else {
                None
            };
        }
    }
    mark_umask(&mut rows);
    Ok(rows)
}

fn together<'a>(layers: &[usize], scans: &'a [Vec<Entry>]) -> Entries<'a> {
    match (layers, scans) {
        ([layer], [scan]) => Entries::of_layer(*layer, scan),
        _ => {
            let scans = scans.iter().map(Vec::as_slice);
            Entries::of_layers(&layers.iter().copied().zip(scans).collect::<Vec<_>>())
        }
    }
}

fn has(row: &Row, attribute: Attribute) -> bool {
    row.changes
        .iter()
        .any(|change| change.attribute == attribute)
}

/// Files made under another umask: many modes, all with bits of one mask missing on the same side.
fn mark_umask(rows: &mut [EntryRow]) {
    const MANY: usize = 5;
    const MASK: u32 = 0o077;
    let modes = |row: &Row| {
        let change = row
            .changes
            .iter()
            .find(|it| it.attribute == Attribute::Mode)?;
        let mode = |text: &Option<String>| u32::from_str_radix(text.as_deref()?, 8).ok();
        let (a, b) = (mode(&change.a)?, mode(&change.b)?);
        (row.kind == RowKind::Changed).then_some((a, b))
    };
    let all: Vec<(u32, u32)> = rows.iter().filter_map(|row| modes(&row.row)).collect();
    let is_masked = |of: fn(&(u32, u32)) -> (u32, u32)| {
        all.iter()
            .map(of)
            .all(|(wide, narrow)| wide & !MASK == narrow & !MASK && narrow & !wide == 0)
    };
    if all.len() < MANY || !(is_masked(|it| *it) || is_masked(|(a, b)| (*b, *a))) {
        return;
    }
    for row in rows.iter_mut().filter(|row| modes(&row.row).is_some()) {
        row.row.cause = row.row.cause.or(Some(Cause::Umask));
    }
}

/// Says of contents that differ what differs in them, as far as they are small enough to be held.
fn look_inside(a: &Image<'_>, b: &Image<'_>, rows: &mut [EntryRow]) -> Result<(), DiffError> {
    let mut held = [0, 0];
    let mut wanted = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if !has(&row.row, Attribute::Content) {
            continue;
        }
        let is_database = inside::is_database(&row.path);
        let limit = if is_database {
            LARGEST_DATABASE
        } else {
            LARGEST
        };
        if row.sizes.iter().any(|size| *size > limit) {
            continue;
        }
        if !is_database {
            if (0..2).any(|side| held[side] + row.sizes[side] > BUDGET) {
                continue;
            }
            (0..2).for_each(|side| held[side] += row.sizes[side]);
        }
        wanted.push(at);
    }
    let of = |side: usize| -> Vec<EntryAt> {
        let rows = wanted.iter().map(|&at| rows[at].row.files[side]);
        rows.flatten().collect()
    };
    let (x, y) = rayon::join(|| contents(a, &of(0)), || contents(b, &of(1)));
    let (x, y) = (x?, y?);
    for at in wanted {
        let EntryRow { row, path, .. } = &mut rows[at];
        let [Some(first), Some(second)] = row.files else {
            continue;
        };
        let (Some(was), Some(is)) = (x.get(&first), y.get(&second)) else {
            continue;
        };
        let found = inside::look(path, was, is);
        row.cause = found.cause;
        let content = |change: &&mut Change| change.attribute == Attribute::Content;
        if let Some(change) = row.changes.iter_mut().find(content) {
            change.inside = found.lines;
        }
    }
    Ok(())
}

/// Reads contents; layers without any wanted entry are not opened.
fn contents(
    image: &Image<'_>,
    wanted: &[EntryAt],
) -> Result<BTreeMap<EntryAt, Vec<u8>>, DiffError> {
    let mut by_layer: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (layer, at) in wanted {
        by_layer.entry(*layer).or_default().insert(*at);
    }
    let mut out = BTreeMap::new();
    for (layer, entries) in by_layer {
        image.contents(
            layer,
            |at| entries.contains(&at),
            |at, content| {
                let mut bytes = Vec::new();
                content
                    .read_to_end(&mut bytes)
                    .map_err(|source| image.unreadable(layer, source))?;
                out.insert((layer, at), bytes);
                Ok::<_, DiffError>(())
            },
        )?;
    }
    Ok(out)
}
