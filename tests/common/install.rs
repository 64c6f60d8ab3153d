//! Accounts, nodes and unpacked packages for tests of installations.

use std::collections::BTreeMap;

use imgbuild::layer::{LayerPath, Node};
use imgbuild::rpm::file::PackageFile;
use imgbuild::rpm::install::Owners;
use imgbuild::rpm::payload::{Limits, Unpacked, unpack};
use imgbuild::rpm::selection::Selection;

pub(crate) struct Accounts(pub(crate) BTreeMap<String, u32>);

impl Accounts {
    pub(crate) fn of(names: &[(&str, u32)]) -> Self {
        Self(
            names
                .iter()
                .map(|(name, id)| ((*name).to_owned(), *id))
                .collect(),
        )
    }
}

impl Owners for Accounts {
    fn uid(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }

    fn gid(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }
}

pub(crate) fn unpacked(bytes: &Vec<u8>, selection: &Selection) -> Unpacked {
    let package = PackageFile::open(bytes).expect("opens");
    unpack(
        &package,
        bytes,
        selection,
        Limits::default(),
        Box::new(Vec::new()),
    )
    .expect("unpacks")
}

pub(crate) fn path(text: &str) -> LayerPath {
    LayerPath::parse(text).expect(text)
}

pub(crate) fn file(data: &[u8]) -> Node {
    Node::made_file(imgbuild::layer::Content::of(data), 0o644)
}
