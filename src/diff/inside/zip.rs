//! Zip archives, wheels and jars: their members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Found;
use crate::python::zip::{Archive, Limits};

pub(super) fn look(a: &[u8], b: &[u8]) -> Option<Found> {
    let (x, y) = (members(a)?, members(b)?);
    let names: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
    let line = |name: &String| match (x.get(name), y.get(name)) {
        (Some(_), None) => Some(format!("member removed: {name}")),
        (None, Some(_)) => Some(format!("member added: {name}")),
        (was, is) if was != is => Some(format!("member changed: {name}")),
        _ => None,
    };
    let mut lines: Vec<String> = names.into_iter().filter_map(line).collect();
    if lines.is_empty() {
        lines.push("the members are the same; their order, times or compression differ".to_owned());
    }
    Found::lines(lines)
}

/// Returns size and checksum of each member.
fn members(bytes: &[u8]) -> Option<BTreeMap<String, (u64, u32)>> {
    let archive = Archive::open(Arc::new(bytes.to_vec()), Limits::default()).ok()?;
    let members = archive.members().iter();
    Some(
        members
            .map(|member| (member.name.clone(), (member.size, member.crc)))
            .collect(),
    )
}
