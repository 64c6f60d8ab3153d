//! Tests of written layers: what is read back is what was written, whoever compressed it, or there is an error.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::layer::codec::Codec;
use crate::layer::content::{Location, Packing, RandomRead};
use crate::layer::generated;
use crate::layer::node::{Kind, Meta, Node};
use crate::layer::read::{ReadOptions, apply_layer, entries};

fn press(threads: usize) -> Press {
    Press::new(Codec::GzipV1, threads).expect("threads")
}

fn path(text: &str) -> LayerPath {
    LayerPath::parse(text).expect(text)
}

fn tree(nodes: &[(&str, Node)]) -> Tree {
    nodes
        .iter()
        .map(|(at, node)| (path(at), node.clone()))
        .collect()
}

fn link(target: &str) -> Node {
    Node {
        kind: Kind::Hardlink(path(target)),
        meta: Meta::made(0o644),
    }
}

fn written(tree: &Tree, contents: &Contents, threads: usize) -> (Layer, Vec<u8>) {
    let mut bytes = Vec::new();
    let layer = write_layer(tree, contents, &press(threads), &mut bytes).expect("a layer");
    assert_eq!(layer.digest, Digest::of(&bytes));
    assert_eq!(layer.size, bytes.len() as u64);
    (layer, bytes)
}

fn failure(tree: &Tree, contents: &Contents) -> WriteError {
    write_layer(tree, contents, &press(2), &mut io::sink()).expect_err("a failure")
}

/// Names and link targets of a layer, in order.
fn listing(bytes: &[u8]) -> Vec<String> {
    use crate::layer::read::{RawKind, ReadError};
    let mut names = Vec::new();
    entries(bytes, &ReadOptions::default(), |entry, _: &mut dyn Read| {
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        names.push(match &entry.kind {
            RawKind::Hardlink(target) => format!("{name} = {}", String::from_utf8_lossy(target)),
            _ => name,
        });
        Ok::<_, ReadError>(())
    })
    .expect("entries");
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn what_is_read_is_what_was_written((tree, contents) in generated::layer(false)) {
        let (layer, bytes) = written(&tree, &contents, 2);
        let mut read = Tree::default();
        let applied = apply_layer(&mut read, &bytes[..], &ReadOptions::default(), &mut |_, _| false)
            .expect("a layer of ours");
        prop_assert_eq!(applied.diff_id, layer.diff_id);
        prop_assert_eq!(read, tree);
    }

    #[test]
    fn the_number_of_threads_does_not_reach_the_bytes((tree, contents) in generated::layer(true)) {
        let alone = written(&tree, &contents, 1);
        for threads in [2, 3, 8] {
            prop_assert!(written(&tree, &contents, threads) == alone);
        }
    }
}

#[test]
fn parents_come_first_and_siblings_sort_by_bytes() {
    let file = Node::made_file(Content::of(b""), 0o644);
    let mut contents = Contents::default();
    contents.add_inline(&b""[..]);
    let tree = tree(&[
        ("a/b", file.clone()),
        ("a", Node::made_dir()),
        ("a-b", file.clone()),
        ("a0", Node::whiteout()),
        ("", Node::made_dir()),
    ]);
    let (_, bytes) = written(&tree, &contents, 1);
    assert_eq!(listing(&bytes), ["./", "a/", "a-b", "a/b", ".wh.a0"]);
}

#[test]
fn hard_links_go_to_the_first_name_whichever_is_the_file() {
    let mut contents = Contents::default();
    let mut file = Node::made_file(contents.add_inline(&b"same"[..]), 0o4755);
    file.meta.uid = 7;
    let mut layers = Vec::new();
    for carrier in ["a", "b", "c"] {
        let mut tree = tree(&[
            ("a", link(carrier)),
            ("b", link(carrier)),
            ("c", link(carrier)),
        ]);
        tree.insert(path(carrier), file.clone());
        let (layer, bytes) = written(&tree, &contents, 1);
        assert_eq!(listing(&bytes), ["a", "b = a", "c = a"]);
        layers.push(layer);
    }
    layers.dedup();
    assert_eq!(layers.len(), 1);
}

#[test]
fn trees_that_no_layer_can_hold_are_refused() {
    let mut contents = Contents::default();
    let content = contents.add_inline(&b"x"[..]);
    let file = Node::made_file(content, 0o644);
    let dir = Node::made_dir();
    let with = |change: &dyn Fn(&mut Node)| {
        let mut node = file.clone();
        change(&mut node);
        node
    };
    let xattr = |name: &str| {
        with(&|node| {
            node.meta.xattrs.insert(name.as_bytes().to_vec(), vec![1]);
        })
    };
    let long = "x".repeat(252);
    for (nodes, wanted) in [
        (vec![("a", link("b"))], "hard link to /b, which is not in"),
        (vec![("a", link("a"))], "which is not a regular file"),
        (
            vec![("a", link("b")), ("b", link("a"))],
            "not a regular file",
        ),
        (
            vec![("a", link("b")), ("b", link("c")), ("c", file.clone())],
            "/a: hard link to /b, which is not a regular file",
        ),
        (vec![("a", link("b")), ("b", dir)], "not a regular file"),
        (vec![("a/b", file.clone())], "parent directory is not in"),
        (
            vec![("a", file.clone()), ("a/b", file.clone())],
            "/a/b: /a is not a directory",
        ),
        (vec![("", file.clone())], "the root of an image"),
        (vec![(".wh.a", file.clone())], "`.wh.` mean removal"),
        (
            vec![(&long[..], Node::whiteout())],
            "too long for its removal",
        ),
        (
            vec![("a", with(&|n| n.meta.mode = 0o100_644))],
            "found 0o100644",
        ),
        (
            vec![("a", xattr("security.selinux"))],
            "belongs to a machine",
        ),
        (
            vec![("a", xattr("user.overlay.opaque"))],
            "belongs to a machine",
        ),
        (vec![("a", xattr("user.a=b"))], "name that tar cannot hold"),
        (vec![("a", Node::made_symlink(""))], "no file system stores"),
        (
            vec![("a", Node::made_symlink("a\0b"))],
            "no file system stores",
        ),
        (
            vec![(
                "a",
                with(&|n| {
                    n.kind = Kind::CharDevice {
                        major: 1 << 21,
                        minor: 0,
                    };
                }),
            )],
            "2097152:0",
        ),
        (
            vec![("a", Node::made_file(Content::of(b"unknown"), 0o644))],
            "no content known for sha256:",
        ),
    ] {
        let error = failure(&tree(&nodes), &contents).to_string();
        assert!(error.contains(wanted), "wanted {wanted:?}, found {error:?}");
    }
}

/// Packs `data` as a member of a zip would be.
fn deflated(data: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    flate2::read::DeflateEncoder::new(data, flate2::Compression::new(6))
        .read_to_end(&mut packed)
        .expect("deflate");
    packed
}

fn extent(blob: Vec<u8>, offset: u64, packed: u64, packing: Packing) -> Location {
    Location::Extent {
        blob: Arc::new(blob),
        offset,
        packed,
        packing,
    }
}

#[test]
fn a_content_gives_the_same_bytes_wherever_it_is() {
    let data: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    let content = Content::of(&data);
    let tree = tree(&[("big", Node::made_file(content, 0o644))]);
    let size = content.size;
    let packed = deflated(&data);
    let mut layers = Vec::new();
    for location in [
        Location::Inline(data.clone().into()),
        extent(
            [b"skipped", &data[..], b"rest"].concat(),
            7,
            size,
            Packing::Stored,
        ),
        extent(
            [&packed[..], b"rest"].concat(),
            0,
            packed.len() as u64,
            Packing::Deflate,
        ),
    ] {
        let mut contents = Contents::default();
        contents.add(content.digest, location);
        layers.push(written(&tree, &contents, 2));
    }
    layers.dedup();
    assert_eq!(layers.len(), 1);
}

#[test]
fn a_single_wrong_bit_anywhere_is_an_error() {
    let data: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).collect();
    let content = Content::of(&data);
    let tree = tree(&[
        ("usr", Node::made_dir()),
        ("usr/f", Node::made_file(content, 0o644)),
    ]);
    for bit in [0, 8 * 65_536, 8 * 1_048_576 + 3, data.len() * 8 - 1] {
        let mut damaged = data.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let mut contents = Contents::default();
        let blob = extent(damaged, 0, content.size, Packing::Stored);
        contents.add(content.digest, blob);
        let error = failure(&tree, &contents);
        assert_eq!(error.class(), Class::Integrity);
        assert!(
            matches!(&error, WriteError::ContentDiffers { path, wanted, .. }
                if path.as_bytes() == b"usr/f" && *wanted == content),
            "{error}"
        );
    }
}

#[test]
fn contents_of_another_size_are_errors() {
    let data = vec![b'x'; 100_000];
    let content = Content::of(&data);
    let tree = tree(&[("f", Node::made_file(content, 0o644))]);
    let longer = deflated(&[&data[..], b"y"].concat());
    let shorter = deflated(&data[1..]);
    let packed = |bytes: Vec<u8>| {
        let size = bytes.len() as u64;
        extent(bytes, 0, size, Packing::Deflate)
    };
    let cut = deflated(&data)[..40].to_vec();
    for (location, wanted) in [
        (
            extent(data.clone(), 0, 99_999, Packing::Stored),
            "got 99999",
        ),
        (
            extent(data.clone(), 1, 100_000, Packing::Stored),
            "cannot read",
        ),
        (Location::Inline(data[1..].into()), "got 99999"),
        (packed(longer), "got more"),
        (packed(shorter), "got 99999"),
        (packed(cut), "cannot read its content"),
        (packed(vec![0xff; 50]), "cannot read its content"),
        (packed(Vec::new()), ""),
    ] {
        let mut contents = Contents::default();
        contents.add(content.digest, location);
        let error = failure(&tree, &contents);
        assert_eq!(error.class(), Class::Integrity, "{error}");
        assert!(error.to_string().contains(wanted), "{wanted:?}: {error}");
    }
}

/// A sink with room for so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Endless noise of a given size, which counts how much of it was read.
struct Noise {
    size: u64,
    read: AtomicUsize,
}

impl RandomRead for Noise {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        for (byte, at) in buffer.iter_mut().zip(offset..) {
            // The mixer of SplitMix64: incompressible, so what is written is as much as what is read.
            let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed ^ mixed >> 27)
                .wrapping_mul(0x94d0_49bb_1331_11eb)
                .to_be_bytes()[0];
        }
        self.read.fetch_add(buffer.len(), Ordering::Relaxed);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }
}

/// A tree of one file of so much noise, its digest wrong, and the noise.
fn noise(size: u64) -> (Tree, Contents, Arc<Noise>) {
    let noise = Arc::new(Noise {
        size,
        read: AtomicUsize::new(0),
    });
    let digest = Digest::of(b"noise");
    let tree = tree(&[("noise", Node::made_file(Content { digest, size }, 0o644))]);
    let mut contents = Contents::default();
    contents.add(
        digest,
        Location::Extent {
            blob: noise.clone(),
            offset: 0,
            packed: size,
            packing: Packing::Stored,
        },
    );
    (tree, contents, noise)
}

#[test]
fn a_full_sink_stops_everything_at_once() {
    // Were it read to its end, this test would not end either.
    for room in [0, 9, 10, 4000, 3_000_000] {
        let (tree, contents, noise) = noise(1 << 50);
        for threads in [1, 3] {
            let before = noise.read.load(Ordering::Relaxed);
            let error = write_layer(&tree, &contents, &press(threads), &mut Full(room))
                .expect_err("a full sink");
            assert!(matches!(error, WriteError::Sink(_)), "{error}");
            let read = noise.read.load(Ordering::Relaxed) - before;
            assert!(read < 32 << 20, "{read} bytes were read for {room}");
        }
    }
}

#[test]
fn a_slow_sink_holds_back_reading() {
    struct Slow(Arc<Noise>, usize);
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += bytes.len();
            let ahead = self.0.read.load(Ordering::Relaxed).saturating_sub(self.1);
            assert!(ahead < 16 << 20, "{ahead} bytes are in memory");
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (tree, contents, noise) = noise(64 << 20);
    let error = write_layer(&tree, &contents, &press(2), &mut Slow(noise, 0))
        .expect_err("the digest is wrong");
    assert!(
        matches!(error, WriteError::ContentDiffers { .. }),
        "{error}"
    );
}

#[test]
fn layers_written_at_once_share_a_press_and_are_the_same() {
    let press = press(2);
    let layers: Vec<_> = (1..=5_usize)
        .map(|number| {
            let mut contents = Contents::default();
            // More of them, and more bytes of each, than there is room for.
            let bytes: Vec<u8> = (0..number << 20)
                .map(|at| ((at * number) >> 9) as u8)
                .collect();
            let nodes: Vec<_> = (0..4)
                .map(|at| (path(&format!("f{at}")), [&bytes[..], &[at]].concat()))
                .map(|(at, bytes)| (at, Node::made_file(contents.add_inline(bytes), 0o644)))
                .collect();
            (nodes.into_iter().collect::<Tree>(), contents)
        })
        .collect();
    std::thread::scope(|scope| {
        for (tree, contents) in &layers {
            let press = &press;
            scope.spawn(move || {
                let layer = write_layer(tree, contents, press, &mut io::sink()).expect("a layer");
                assert_eq!(layer, written(tree, contents, 1).0);
            });
        }
    });
}
