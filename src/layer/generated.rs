//! Trees made up by proptest, for the tests of this module.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::content::Contents;
use super::node::{Kind, Meta, Node};
use super::path::LayerPath;
use super::tree::Tree;

/// A file name of any bytes that a file can have: short, long, not UTF-8.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::sample::select(vec!["a", "a-b", "b", "lib64", "ü", "x.y", ".wh", "b c\n"])
            .prop_map(|name| name.as_bytes().to_vec()),
        2 => prop::collection::vec(1..=255_u8, 1..12),
        1 => prop::collection::vec(b'a'..=b'z', 90..240),
    ]
    .prop_filter("names that mean something else", |name| {
        !name.contains(&b'/')
            && !name.contains(&0)
            && !matches!(&name[..], b"." | b"..")
            && !name.starts_with(b".wh.")
    })
}

fn path() -> impl Strategy<Value = LayerPath> {
    prop::collection::vec(name(), 1..5)
        .prop_map(|names| LayerPath::parse(names.join(&b'/')).expect("names of files make a path"))
}

fn id() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..2000_u32, 1 => any::<u32>(), 1 => Just(2_097_152)]
}

fn meta() -> impl Strategy<Value = Meta> {
    let mtime = prop_oneof![
        4 => 0..2_000_000_000_i64,
        1 => any::<i64>(),
        1 => -5..5_i64,
    ];
    let xattr = (
        prop::sample::select(vec!["security.capability", "user.a", "user.ü", "trusted.x"]),
        prop::collection::vec(any::<u8>(), 0..24),
    );
    let xattrs = prop_oneof![
        3 => Just(BTreeMap::new()),
        1 => prop::collection::btree_map(xattr.0.prop_map(|n| n.as_bytes().to_vec()), xattr.1, 0..3),
    ];
    (0..=0o7777_u32, id(), id(), mtime, xattrs).prop_map(|(mode, uid, gid, mtime, xattrs)| Meta {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40),
        2 => (any::<u8>(), 500..3000_usize).prop_map(|(byte, size)| vec![byte; size]),
        1 => (any::<u8>(), 500_000..1_200_000_usize).prop_map(|(byte, size)| vec![byte; size]),
    ]
}

/// What a node is; links pick their target by number once there are files.
#[derive(Clone, Debug)]
enum Made {
    Dir,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Hardlink(usize),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    Whiteout,
}

fn made() -> impl Strategy<Value = Made> {
    let number = || 0..0o777_7777_u32;
    prop_oneof![
        3 => Just(Made::Dir),
        6 => bytes().prop_map(Made::File),
        2 => prop::collection::vec(1..=255_u8, 1..300).prop_map(Made::Symlink),
        3 => any::<usize>().prop_map(Made::Hardlink),
        1 => (number(), number()).prop_map(|(major, minor)| Made::CharDevice(major, minor)),
        1 => (number(), number()).prop_map(|(major, minor)| Made::BlockDevice(major, minor)),
        1 => Just(Made::Fifo),
        1 => Just(Made::Whiteout),
    ]
}

/// A tree that a layer can hold, with its contents: parents are there, links go to the first name of a file.
pub(super) fn layer(whiteouts: bool) -> impl Strategy<Value = (Tree, Contents)> {
    prop::collection::vec((path(), made(), meta()), 0..24)
        .prop_map(move |nodes| build(nodes, whiteouts))
}

/// Any tree.
pub(super) fn any_tree() -> impl Strategy<Value = Tree> {
    layer(true).prop_map(|(tree, _)| tree)
}

fn build(nodes: Vec<(LayerPath, Made, Meta)>, whiteouts: bool) -> (Tree, Contents) {
    let mut tree = Tree::default();
    let mut contents = Contents::default();
    let mut links = Vec::new();
    for (path, made, meta) in nodes {
        let mut parent = path.parent().unwrap_or_default();
        while !parent.is_root() {
            if tree.get(&parent).is_none_or(|node| !node.is_dir()) {
                tree.insert(parent.clone(), Node::made_dir());
            }
            parent = parent.parent().unwrap_or_default();
        }
        let kind = match made {
            Made::Dir => Kind::Dir,
            Made::File(bytes) => Kind::File(contents.add_inline(bytes)),
            Made::Symlink(target) => Kind::Symlink(target),
            Made::Hardlink(number) => {
                links.push((path, number));
                continue;
            }
            Made::CharDevice(major, minor) => Kind::CharDevice { major, minor },
            Made::BlockDevice(major, minor) => Kind::BlockDevice { major, minor },
            Made::Fifo => Kind::Fifo,
            Made::Whiteout if whiteouts => Kind::Whiteout,
            Made::Whiteout => Kind::Dir,
        };
        if kind != Kind::Dir {
            tree.remove_within(&path);
        }
        tree.insert(path, Node { kind, meta });
    }
    let is_file = |node: &Node| matches!(node.kind, Kind::File(_));
    for (path, number) in links {
        let parent = path.parent().unwrap_or_default();
        let fits = tree.get(&path).is_none()
            && (parent.is_root() || tree.get(&parent).is_some_and(Node::is_dir));
        let files: Vec<_> = tree.iter().filter(|(_, node)| is_file(node)).collect();
        if !fits || files.is_empty() {
            continue;
        }
        // A link goes after its file, so the file is the first name.
        let (target, file) = files[number % files.len()];
        if *target < path {
            let meta = file.meta.clone();
            let kind = Kind::Hardlink(target.clone());
            tree.insert(path, Node { kind, meta });
        }
    }
    (tree, contents)
}
