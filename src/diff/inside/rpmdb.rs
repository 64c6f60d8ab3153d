//! The rpm database as packages: added, removed, changed, and in which tags.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::diff::cause::Cause;
use crate::rpm::database::{self, Database};
use crate::rpm::header::Header;
use crate::rpm::tag;

pub(super) fn look(a: &[u8], b: &[u8]) -> Option<Found> {
    let read = |bytes| database::read(bytes, None).ok();
    let (x, y) = (read(a)?, read(b)?);
    let (was, is) = (packages(&x), packages(&y));
    let mut lines = Vec::new();
    // Which tags differ, over all packages that both have, and in how many.
    let mut tags: BTreeMap<String, usize> = BTreeMap::new();
    let mut changed = Vec::new();
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in names {
        match (was.get(name), is.get(name)) {
            (Some(_), None) => lines.push(format!("package removed: {name}")),
            (None, Some(_)) => lines.push(format!("package added: {name}")),
            (Some(x), Some(y)) if x.bytes() != y.bytes() => {
                let differing = differing(x, y);
                changed.push((name, differing.clone()));
                for tag in differing {
                    *tags.entry(tag).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    let is_only_time = !tags.is_empty()
        && lines.is_empty()
        && tags
            .keys()
            .all(|tag| tag == "Installtime" || tag == "Installtid");
    if is_only_time {
        let count = changed.len();
        let line = format!("{count} packages, the same but for when they were installed");
        let first = changed.first().map(|(name, _)| *name);
        let time = |of: &BTreeMap<String, &Header>| {
            let time = first.and_then(|name| of.get(name)?.u32(tag::INSTALLTIME));
            time.map_or("?".to_owned(), |time| {
                crate::image::rfc3339(i64::from(time))
            })
        };
        let times = format!("Installtime {} → {}", time(&was), time(&is));
        return Found::lines(vec![line, times]).map(|found| found.because(Cause::RpmInstallTime));
    }
    for (name, tags) in changed {
        lines.push(format!("package changed: {name}: {}", tags.join(", ")));
    }
    if lines.is_empty() {
        let numbers = |database: &Database| -> Vec<(u32, String)> {
            let packages = database.packages.iter();
            packages
                .map(|package| (package.number, package.header.nevra()))
                .collect()
        };
        lines.push(if numbers(&x) == numbers(&y) {
            "the same packages; indexes or pages differ".to_owned()
        } else {
            "the same packages, entered in another order".to_owned()
        });
    }
    Found::lines(lines)
}

/// Returns packages by name; of those that may be there several times, such as keys, each.
fn packages(database: &Database) -> BTreeMap<String, &Header> {
    let mut out = BTreeMap::new();
    for package in &database.packages {
        let mut name = package.header.nevra();
        while out.contains_key(&name) {
            name.push_str(" (again)");
        }
        out.insert(name, &package.header);
    }
    out
}

/// Returns the tags in which two headers differ.
fn differing(x: &Header, y: &Header) -> Vec<String> {
    let numbers = |header: &Header| -> Vec<u32> {
        let entries = header.entries().iter();
        entries.map(|entry| entry.tag).collect()
    };
    let mut tags: Vec<u32> = [numbers(x), numbers(y)].concat();
    tags.sort_unstable();
    tags.dedup();
    let value = |header: &Header, tag| header.entry(tag).map(|entry| header.data(entry).to_vec());
    tags.into_iter()
        // The region's own entry says only how long it is.
        .filter(|tag| !matches!(*tag, tag::HEADERIMMUTABLE | tag::HEADERSIGNATURES))
        .filter(|tag| value(x, *tag) != value(y, *tag))
        .map(|tag| tag::name(tag).map_or_else(|| format!("tag {tag}"), str::to_owned))
        .collect()
}
