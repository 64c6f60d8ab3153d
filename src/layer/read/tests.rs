//! Tests of reading layers: as unpackers would, and without harm whatever the bytes.

use std::io::{Read, Write};

use proptest::prelude::*;

use super::*;
use crate::layer::content::Content;
use crate::layer::node::{Kind, Node};

fn path(text: &str) -> LayerPath {
    LayerPath::parse(text).expect(text)
}

/// One header block as old and new writers make it, with its checksum.
fn block(magic: &[u8; 8], flag: u8, name: &[u8], link: &[u8], size: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, b"0000755\0");
    put(108, b"0000001\0");
    put(116, b"0000002\0");
    put(124, size);
    put(136, b"00000000144\0");
    put(148, b"        ");
    put(156, &[flag]);
    put(157, link);
    put(257, magic);
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

const USTAR: &[u8; 8] = b"ustar\x0000";
const GNU: &[u8; 8] = b"ustar  \0";

fn entry(flag: u8, name: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let size = format!("{:011o}\0", content.len());
    let mut out = block(
        USTAR,
        flag,
        name.as_bytes(),
        link.as_bytes(),
        size.as_bytes(),
    );
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn dir(name: &str) -> Vec<u8> {
    entry(b'5', name, "", b"")
}

fn file(name: &str) -> Vec<u8> {
    entry(b'0', name, "", name.as_bytes())
}

fn symlink(name: &str, target: &str) -> Vec<u8> {
    entry(b'2', name, target, b"")
}

fn hardlink(name: &str, target: &str) -> Vec<u8> {
    entry(b'1', name, target, b"")
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let mut length = key.len() + value.len() + 3;
        length += (length + 2).to_string().len();
        data.extend_from_slice(format!("{length} {key}=").as_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    let mut out = entry(b'x', "pax", "", &data);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn apply(base: &mut Tree, layer: &[u8]) -> Result<Applied, ReadError> {
    apply_layer(base, layer, &ReadOptions::default(), &mut |_, _| true)
}

/// The tree after these layers.
fn merged(layers: &[&[Vec<u8>]]) -> Tree {
    let mut base = Tree::default();
    for layer in layers {
        apply(&mut base, &tar(layer)).expect("a layer");
    }
    base
}

fn names(tree: &Tree) -> Vec<String> {
    tree.iter()
        .map(|(path, node)| match &node.kind {
            Kind::Hardlink(target) => format!("{path} = {target}"),
            Kind::Symlink(target) => format!("{path} -> {}", target.escape_ascii()),
            Kind::Dir => format!("{path}/"),
            _ => path.to_string(),
        })
        .collect()
}

fn refused(layers: &[&[Vec<u8>]]) -> String {
    let (last, below) = layers.split_last().expect("a layer");
    let mut base = merged(below);
    apply(&mut base, &tar(last))
        .expect_err("a refusal")
        .to_string()
}

#[test]
fn layers_are_told_apart_by_their_first_bytes() {
    let plain = tar(&[dir("a"), file("a/b")]);
    let gzip = |bytes: &[u8]| {
        let mut out = Vec::new();
        flate2::read::GzEncoder::new(bytes, flate2::Compression::fast())
            .read_to_end(&mut out)
            .expect("gzip");
        out
    };
    let zstd = |bytes: &[u8]| zstd::stream::encode_all(bytes, 1).expect("zstd");
    let (one, two) = plain.split_at(700);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
    for layer in [
        plain.clone(),
        gzip(&plain),
        [gzip(one), gzip(two)].concat(),
        zstd(&plain),
        [zstd(one), zstd(two)].concat(),
        [&skippable[..], &zstd(&plain)].concat(),
    ] {
        let mut tree = Tree::default();
        let applied = apply(&mut tree, &layer).expect("a layer");
        assert_eq!(applied.diff_id.0, Digest::of(&plain));
        assert_eq!(applied.tar_size, plain.len() as u64);
        assert_eq!(names(&tree), ["/a/", "/a/b"]);
        assert_eq!(applied.kept[&Digest::of(b"a/b")], b"a/b");
        for cut in [1, layer.len() / 2, layer.len() - 1] {
            let cut = apply(&mut Tree::default(), &layer[..cut]);
            if layer != plain {
                let class = cut.expect_err("a cut layer").class();
                assert_eq!(class, Class::Integrity);
            }
        }
    }
}

#[test]
fn what_follows_the_archive_is_hashed_too() {
    let mut layer = tar(&[file("a")]);
    layer.extend_from_slice(&[0; 9000]);
    layer.extend_from_slice(b"and not even zeros");
    let applied = apply(&mut Tree::default(), &layer).expect("a layer");
    assert_eq!(applied.diff_id.0, Digest::of(&layer));
}

#[test]
fn the_metadata_of_an_entry_is_read() {
    let tree = merged(&[&[
        pax(&[
            ("SCHILY.xattr.security.capability", b"\x01\n\0\n="),
            ("SCHILY.xattr.security.selinux", b"label"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.empty", b""),
            ("atime", b"1.5"),
            ("gid", b"4000000000"),
            ("mtime", b"-0.5"),
        ]),
        file("a"),
    ]]);
    let meta = &tree.get(&path("a")).expect("a").meta;
    assert_eq!((meta.mode, meta.uid, meta.gid), (0o755, 1, 4_000_000_000));
    assert_eq!(meta.mtime, -1);
    let xattrs: Vec<_> = meta.xattrs.iter().collect();
    assert_eq!(
        xattrs,
        [
            (&b"security.capability".to_vec(), &b"\x01\n\0\n=".to_vec()),
            (&b"user.empty".to_vec(), &Vec::new())
        ]
    );
}

#[test]
fn old_and_gnu_archives_are_read() {
    let long = "d/".to_owned() + &"n".repeat(200);
    let target = "t".repeat(300);
    let base_256 = b"\x80\0\0\0\0\0\0\0\0\0\0\x03";
    let gnu = |flag, text: &str| {
        let mut content = text.as_bytes().to_vec();
        content.push(0);
        let mut entry = entry(flag, "././@LongLink", "", &content);
        entry[257..265].copy_from_slice(GNU);
        let sum: u32 = entry[..148]
            .iter()
            .chain(&entry[156..512])
            .map(|&byte| u32::from(byte))
            .sum::<u32>()
            + 8 * 32;
        entry[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        entry
    };
    let mut sized = block(GNU, b'0', b"sized", b"", base_256);
    sized.extend_from_slice(b"abc");
    sized.resize(1024, 0);
    let tree = merged(&[&[
        block(&[0; 8], 0, b"old-dir/", b"", b"0\0"),
        block(&[0; 8], 0, b"old-file", b"", b"0\0"),
        gnu(b'L', &long),
        gnu(b'K', &target),
        block(GNU, b'2', b"cut", b"cut", b"00000000000\0"),
        sized,
        // The prefix of ustar, where GNU has times.
        {
            let mut split = dir("name");
            split[345..348].copy_from_slice(b"pre");
            let sum = format!("{:06o}\0 ", {
                split[148..156].fill(b' ');
                split.iter().map(|&byte| u32::from(byte)).sum::<u32>()
            });
            split[148..156].copy_from_slice(sum.as_bytes());
            split
        },
    ]]);
    assert_eq!(
        names(&tree),
        [
            "/d/".to_owned(),
            format!("/{long} -> {target}"),
            "/old-dir/".to_owned(),
            "/old-file".to_owned(),
            "/pre/".to_owned(),
            "/pre/name/".to_owned(),
            "/sized".to_owned(),
        ]
    );
    let sized = &tree.get(&path("sized")).expect("sized").kind;
    assert_eq!(*sized, Kind::File(Content::of(b"abc")));
}

#[test]
fn whiteouts_remove_only_what_is_below() {
    let below = [
        dir("a"),
        file("a/x"),
        file("a/y"),
        dir("b"),
        dir("b/c"),
        file("b/c/d"),
        file("b-c"),
    ];
    for (upper, wanted) in [
        (
            vec![file("a/.wh.x"), file(".wh.b")],
            vec!["/a/", "/a/y", "/b-c"],
        ),
        // Before or after what the layer itself puts there makes no difference.
        (
            vec![file("a/.wh..wh..opq"), file("a/z"), file(".wh.missing")],
            vec!["/a/", "/a/z", "/b/", "/b-c", "/b/c/", "/b/c/d"],
        ),
        (
            vec![file("a/z"), file("a/.wh..wh..opq"), file("a/.wh.z")],
            vec!["/a/", "/a/z", "/b/", "/b-c", "/b/c/", "/b/c/d"],
        ),
        (
            vec![file("b/c/new"), file(".wh.b"), file(".wh..wh.plnk")],
            vec!["/a/", "/a/x", "/a/y", "/b/", "/b-c", "/b/c/", "/b/c/new"],
        ),
        (vec![file(".wh..wh..opq")], vec![]),
    ] {
        assert_eq!(names(&merged(&[&below, &upper])), wanted);
    }
}

#[test]
fn entries_land_where_symbolic_links_lead_inside_the_root() {
    let base = [
        dir("usr"),
        dir("usr/lib64"),
        symlink("lib64", "usr/lib64"),
        symlink("up", "../../../usr"),
        symlink("dangling", "/not/there"),
        file("usr/lib64/old"),
    ];
    let tree = merged(&[
        &base,
        &[
            file("lib64/x"),
            file("up/y"),
            file("dangling/z"),
            file("lib64/.wh.old"),
            hardlink("lib64/x2", "up/lib64/x"),
            file("missing/parent"),
        ],
    ]);
    assert_eq!(
        names(&tree),
        [
            "/dangling -> /not/there",
            "/lib64 -> usr/lib64",
            "/missing/",
            "/missing/parent",
            "/not/",
            "/not/there/",
            "/not/there/z",
            "/up -> ../../../usr",
            "/usr/",
            "/usr/lib64/",
            "/usr/lib64/x",
            "/usr/lib64/x2 = /usr/lib64/x",
            "/usr/y",
        ]
    );
    // At its own path an entry replaces the link, as it does on a disk, and later entries see that.
    let tree = merged(&[
        &base[..3],
        &[file("lib64/a"), dir("lib64"), file("lib64/b"), file("usr")],
    ]);
    assert_eq!(names(&tree), ["/lib64/", "/lib64/b", "/usr"]);
}

#[test]
fn hard_links_outlive_the_name_they_were_made_from() {
    let tree = merged(&[
        &[file("a"), hardlink("b", "./a"), hardlink("c", "/b")],
        &[hardlink("d", "c"), file(".wh.a")],
        &[symlink("b", "x")],
    ]);
    assert_eq!(names(&tree), ["/b -> x", "/c", "/d = /c"]);
    let kind = &tree.get(&path("c")).expect("c").kind;
    assert_eq!(*kind, Kind::File(Content::of(b"a")));
}

#[test]
fn archives_that_mislead_are_refused() {
    let long = "n".repeat(256);
    for (layers, wanted) in [
        (vec![vec![file("../a")]], "`..`"),
        (vec![vec![file("a/../../b")]], "`..`"),
        (vec![vec![hardlink("a", "../b")]], "`..`"),
        (
            vec![vec![pax(&[("path", b"a\0b")]), file("a")]],
            "malformed PAX",
        ),
        (
            vec![vec![pax(&[("path", long.as_bytes())]), file("a")]],
            "longer than",
        ),
        (vec![vec![hardlink("a", "b")]], "/b, which is not there"),
        (vec![vec![hardlink("a", "a")]], "/a, which is not there"),
        (vec![vec![file("a")], vec![hardlink("a", "a")]], "not there"),
        (vec![vec![dir("d"), hardlink("a", "d")]], "the directory /d"),
        (vec![vec![file("a"), file("a/b")]], "/a is not a directory"),
        (
            vec![vec![symlink("a", "b"), symlink("b", "a"), file("a/x")]],
            "too many levels",
        ),
        (vec![vec![symlink("./", "x")]], "the root something else"),
        (vec![vec![symlink("x", "")]], "0 bytes"),
        (vec![vec![file("a/.wh.")]], "removes nothing"),
        (vec![vec![file(".wh...")]], "removes nothing"),
        (vec![vec![entry(b'S', "a", "", b"")]], "sparse"),
        (
            vec![vec![pax(&[("GNU.sparse.major", b"1")]), file("a")]],
            "sparse",
        ),
        (vec![vec![entry(b'M', "a", "", b"")]], "type `M`"),
        (vec![vec![pax(&[("size", b"-1")]), file("a")]], "bad size"),
        (
            vec![vec![pax(&[("uid", b"5000000000")]), file("a")]],
            "bad uid",
        ),
        (
            vec![vec![pax(&[("mtime", b"soon")]), file("a")]],
            "bad mtime",
        ),
        (
            vec![vec![pax(&[]), pax(&[]), file("a")]],
            "a second extended",
        ),
        (vec![vec![pax(&[])]], "without an entry"),
        (
            vec![vec![entry(b'x', "a", "", b"nonsense"), file("a")]],
            "malformed PAX",
        ),
        (
            vec![vec![entry(b'x', "a", "", b"999 a=b\n"), file("a")]],
            "malformed PAX",
        ),
        (vec![vec![vec![0; 512], file("a")]], "single zero block"),
        (vec![vec![vec![1; 512]]], "checksum"),
        (
            vec![vec![block(USTAR, b'x', b"a", b"", b"00077777777\0")]],
            "at most 1048576",
        ),
        (
            vec![vec![block(GNU, b'0', b"a", b"", &[0xff; 12])]],
            "bad size: `-1`",
        ),
        (
            vec![vec![block(USTAR, b'0', b"a", b"", b"77777777777\0")]],
            "cannot read its content",
        ),
    ] {
        let layers: Vec<&[Vec<u8>]> = layers.iter().map(Vec::as_slice).collect();
        let error = refused(&layers);
        assert!(error.contains(wanted), "wanted {wanted:?}, found {error:?}");
    }
}

#[test]
fn limits_hold() {
    let layer = tar(&[file("a"), file("b"), file("c")]);
    let with = |options: ReadOptions, layer: &[u8]| {
        apply_layer(&mut Tree::default(), layer, &options, &mut |_, _| false)
            .map(|_| String::new())
            .unwrap_or_else(|error| {
                assert_eq!(error.class(), Class::Integrity);
                error.to_string()
            })
    };
    let sane = ReadOptions::default();
    assert_eq!(with(sane, &layer), "");
    let few = ReadOptions { entries: 2, ..sane };
    assert_eq!(with(few, &layer), "layer has more than 2 entries");
    let little = ReadOptions {
        metadata: 2,
        ..sane
    };
    assert!(with(little, &layer).contains("more than 2 bytes of names"));
    let small = ReadOptions {
        tar_size: 2000,
        ..sane
    };
    assert!(with(small, &layer).contains("unpacks to more than 2000 bytes"));

    // A bomb: many bytes of nothing.
    let size = 300_u64 << 20;
    let header = block(
        USTAR,
        b'0',
        b"zeros",
        b"",
        format!("{size:011o}\0").as_bytes(),
    );
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(&header).expect("memory");
    std::io::copy(&mut std::io::repeat(0).take(size + 1024), &mut bomb).expect("memory");
    let bomb = bomb.finish().expect("memory");
    let tight = ReadOptions { ratio: 100, ..sane };
    assert!(with(tight, &bomb).contains("more than 100 times its size"));
}

#[test]
fn entries_are_shown_in_order_with_their_contents() {
    let layer = tar(&[
        dir("d"),
        file("d/f"),
        file("d/.wh.x"),
        hardlink("d/l", "d/f"),
    ]);
    let mut seen = Vec::new();
    let (diff_id, size) = entries(&layer[..], &ReadOptions::default(), |entry, content| {
        let mut bytes = String::new();
        if entry.path != b"d/f" {
            // Left unread on purpose.
            content.read_to_string(&mut bytes).expect("text");
        }
        seen.push((String::from_utf8_lossy(&entry.path).into_owned(), bytes));
        Ok::<_, ReadError>(())
    })
    .expect("entries");
    assert_eq!((diff_id.0, size), (Digest::of(&layer), layer.len() as u64));
    let seen: Vec<_> = seen.iter().map(|(a, b)| (&a[..], &b[..])).collect();
    assert_eq!(
        seen,
        [("d", ""), ("d/f", ""), ("d/.wh.x", "d/.wh.x"), ("d/l", "")]
    );
}

#[test]
fn the_root_may_be_an_entry() {
    let tree = merged(&[&[dir("./"), file("./a")], &[dir("/")]]);
    assert_eq!(names(&tree), ["//", "/a"]);
    assert!(tree.get(&LayerPath::root()).is_some_and(Node::is_dir));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = apply(&mut Tree::default(), &bytes);
    }

    #[test]
    fn no_damage_makes_reading_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        mend in any::<bool>(),
    ) {
        let mut layer = tar(&[
            dir("d"),
            pax(&[("path", b"d/long"), ("SCHILY.xattr.user.a", b"1"), ("mtime", b"5.5")]),
            file("cut"),
            symlink("s", "d"),
            hardlink("s/l", "d/long"),
            file("s/.wh.x"),
            file("d/.wh..wh..opq"),
        ]);
        for (at, byte) in damage {
            let at = at.index(layer.len());
            layer[at] = byte;
            if mend {
                // With the checksum mended the damage gets further.
                let start = at / 512 * 512;
                layer[start + 148..start + 156].fill(b' ');
                let sum: u32 = layer[start..start + 512].iter().map(|&byte| u32::from(byte)).sum();
                layer[start + 148..start + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        let _ = apply(&mut Tree::default(), &layer);
    }
}
