//! Where the bytes of two images went, by package, wheel and folder.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ImageReport, SCHEMA};
use crate::diff::Owner;

/// Two images side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The version of this form.
    pub schema: u32,
    /// As they were named.
    pub names: [String; 2],
    /// The platform of both.
    pub platforms: [String; 2],
    /// Bytes of their layers as they are stored and sent.
    pub size: [u64; 2],
    /// Bytes of their tars.
    pub unpacked: [u64; 2],
    /// Layers.
    pub layers: [usize; 2],
    /// What differs, the largest difference first.
    pub deltas: Vec<Delta>,
    /// How many packages, wheels and folders have the same bytes in both, and how many bytes those are.
    pub same: (usize, u64),
}

/// What one package, wheel or folder takes in each of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// `rpm`, `wheel` or `folder`.
    pub kind: &'static str,
    /// Its name, without version.
    pub name: String,
    /// Its version in each, if it is there and has one.
    pub versions: [Option<String>; 2],
    /// Bytes of its files in each.
    pub bytes: [u64; 2],
}

impl Delta {
    /// Returns by how much the first is larger, in bytes.
    #[must_use]
    pub fn difference(&self) -> i128 {
        i128::from(self.bytes[0]) - i128::from(self.bytes[1])
    }
}

/// Compares two images of one platform.
#[must_use]
pub fn compare(names: [&str; 2], images: [&ImageReport; 2]) -> Comparison {
    let mut all: BTreeMap<(&'static str, String), Delta> = BTreeMap::new();
    for (side, image) in images.iter().enumerate() {
        for (owner, holding) in &image.contents.holdings {
            let (kind, text) = match owner {
                Owner::Rpm(nevra) => ("rpm", nevra),
                Owner::Wheel(name) => ("wheel", name),
                // Counted by folder.
                _ => continue,
            };
            let (name, version) = parted(kind, text);
            let delta = entry(&mut all, kind, name);
            delta.bytes[side] += holding.bytes;
            // Two versions of one package, as kernels have them.
            let known = &mut delta.versions[side];
            *known = Some(match known.take() {
                Some(known) => format!("{known}, {version}"),
                None => version,
            });
        }
        for (folder, holding) in &image.contents.folders {
            entry(&mut all, "folder", folder.clone()).bytes[side] += holding.bytes;
        }
    }
    let (same, mut deltas): (Vec<Delta>, Vec<Delta>) = all
        .into_values()
        .partition(|delta| delta.bytes[0] == delta.bytes[1]);
    // Stable: of the same difference, by kind and name.
    deltas.sort_by_key(|delta| std::cmp::Reverse(delta.difference().abs()));
    let of = |what: fn(&ImageReport) -> u64| images.map(what);
    Comparison {
        schema: SCHEMA,
        names: names.map(str::to_owned),
        platforms: images.map(|image| image.platform.clone()),
        size: of(|image| image.size),
        unpacked: of(ImageReport::unpacked),
        layers: images.map(|image| image.layers.len()),
        deltas,
        same: (same.len(), same.iter().map(|delta| delta.bytes[0]).sum()),
    }
}

fn entry<'a>(
    all: &'a mut BTreeMap<(&'static str, String), Delta>,
    kind: &'static str,
    name: String,
) -> &'a mut Delta {
    all.entry((kind, name.clone())).or_insert_with(|| Delta {
        kind,
        name,
        versions: [None, None],
        bytes: [0, 0],
    })
}

/// Parts `name-[epoch:]version-release.arch`, or a wheel's `name version`.
fn parted(kind: &str, text: &str) -> (String, String) {
    if kind == "wheel" {
        let (name, version) = text.split_once(' ').unwrap_or((text, ""));
        return (name.to_owned(), version.to_owned());
    }
    // The last two hyphens are those of version and release.
    let mut parts = text.rsplitn(3, '-');
    let (release, version, name) = (parts.next(), parts.next(), parts.next());
    match (name, version, release) {
        (Some(name), Some(version), Some(release)) => {
            (name.to_owned(), format!("{version}-{release}"))
        }
        _ => (text.to_owned(), String::new()),
    }
}

impl ImageReport {
    /// Returns the bytes of its tars.
    #[must_use]
    pub fn unpacked(&self) -> u64 {
        self.contents
            .layers
            .iter()
            .map(|layer| layer.unpacked)
            .sum()
    }
}
