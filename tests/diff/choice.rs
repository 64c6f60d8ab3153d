//! Where a change is made: a number for each seed, and an entry that a change can be made to.

use std::collections::BTreeSet;

use crate::picture::Picture;
use crate::tarball::{LINK, Piece, Tarball};
use crate::told::Expected;

/// Numbers that look random, the same for a seed on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `limit`. <https://prng.di.unimi.it/splitmix64.c>
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    pub(crate) fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// Chooses a layer and the path of one of its entries of a kind.
pub(crate) fn choose(random: &mut Random, picture: &Picture, kinds: &[u8]) -> (usize, String) {
    choose_if(random, picture, |piece| kinds.contains(&piece.kind()))
}

/// Chooses a layer and the path of one of its entries that a change can be made to without others changing too.
pub(crate) fn choose_if(
    random: &mut Random,
    picture: &Picture,
    is_wanted: impl Fn(&Piece) -> bool,
) -> (usize, String) {
    loop {
        let layer = any_layer(random, picture);
        let tarball = picture.layers[layer].tarball();
        let linked = linked(&tarball);
        let above: BTreeSet<String> = picture.layers[layer + 1..]
            .iter()
            .flat_map(|layer| layer.tarball().entries)
            .map(|piece| piece.path())
            .collect();
        let paths: Vec<String> = tarball
            .entries
            .iter()
            .filter(|piece| is_wanted(piece))
            .map(Piece::path)
            // Names of one file share everything, and what a layer above has too is not seen: those have changes of
            // their own.
            .filter(|path| !is_special(path) && !linked.contains(path) && !above.contains(path))
            .collect();
        if !paths.is_empty() {
            return (layer, random.pick(&paths));
        }
    }
}

/// Chooses one of the layers that may be changed.
pub(crate) fn any_layer(random: &mut Random, picture: &Picture) -> usize {
    picture.untouched + random.below(picture.layers.len() - picture.untouched)
}

/// What is read to know owners and causes: changes to it have rows of their own.
pub(crate) fn is_special(path: &str) -> bool {
    path.ends_with(".pyc") || path.contains("dist-info") || path.contains("rpmdb.sqlite")
}

/// Returns every path that is a name of a file with several.
pub(crate) fn linked(tarball: &Tarball) -> BTreeSet<String> {
    let links = tarball.entries.iter().filter(|piece| piece.kind() == b'1');
    links
        .flat_map(|piece| [piece.path(), piece.read_text(LINK)])
        .collect()
}

/// Returns the layer and path of the first file with this end.
pub(crate) fn find(picture: &Picture, end: &str) -> (usize, String) {
    let layers = (picture.untouched..picture.layers.len()).rev();
    let mut found = layers.filter_map(|at| {
        let tarball = picture.layers[at].tarball();
        let linked = linked(&tarball);
        let files = tarball.entries.iter().filter(|piece| piece.kind() == b'0');
        let mut paths = files.map(Piece::path);
        let path = paths.find(|path| path.ends_with(end) && !linked.contains(path))?;
        Some((at, path))
    });
    found.next().unwrap_or_else(|| panic!("no {end}"))
}

pub(crate) fn changed(path: &str, attributes: &str) -> String {
    format!("changed /{path} {attributes}")
}

/// Expects one row, of what belongs to whom the picture says.
pub(crate) fn differs(picture: &Picture, layer: usize, path: &str, attributes: &str) -> Expected {
    Expected::at("differs")
        .row(changed(path, attributes))
        .owner(picture.owner(layer, path))
}

/// Returns the attributes in which an entry is more than nothing, besides those named.
pub(crate) fn attributes(piece: &Piece, named: &[&str]) -> String {
    use crate::tarball::{GID, UID};
    let mut all: BTreeSet<&str> = named.iter().copied().collect();
    if piece.get(UID) + piece.get(GID) > 0 {
        all.insert("owner");
    }
    if piece.records().contains_key(CAPABILITY_RECORD) {
        all.insert("capability");
    }
    all.into_iter().collect::<Vec<_>>().join(",")
}

/// The PAX record that holds capabilities.
pub(crate) const CAPABILITY_RECORD: &str = "SCHILY.xattr.security.capability";
