//! Programs and libraries: their build-id, and which sections differ.

use std::collections::{BTreeMap, BTreeSet};

use object::{Object as _, ObjectSection as _};

use super::Found;
use crate::oci::Digest;
use crate::oci::digest::hex;

pub(super) fn look(a: &[u8], b: &[u8]) -> Option<Found> {
    let parse = |bytes| object::File::parse(bytes).ok();
    let (x, y) = (parse(a)?, parse(b)?);
    let id = |file: &object::File<'_>| {
        let id = file.build_id().ok().flatten();
        id.map_or_else(|| "absent".to_owned(), hex)
    };
    let mut lines = vec![if id(&x) == id(&y) {
        format!("the same build-id {}: changed after it was linked", id(&x))
    } else {
        format!("build-id {} → {}", id(&x), id(&y))
    }];
    let (was, is) = (sections(&x), sections(&y));
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let differing: Vec<&str> = names
        .into_iter()
        .filter(|name| was.get(*name) != is.get(*name))
        .map(String::as_str)
        .collect();
    if !differing.is_empty() {
        lines.push(format!("sections that differ: {}", differing.join(", ")));
    }
    lines.extend(super::bytes::look(a, b).lines);
    Found::lines(lines)
}

/// Returns the digests of the sections by name.
fn sections(file: &object::File<'_>) -> BTreeMap<String, Digest> {
    let sections = file.sections();
    sections
        .filter_map(|section| {
            let name = crate::layer::path::show(section.name_bytes().ok()?);
            Some((name, Digest::of(section.data().ok()?)))
        })
        .collect()
}
