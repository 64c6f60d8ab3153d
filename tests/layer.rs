//! Golden digests of a layer that holds one of everything, and other programs that read it.
//!
//! A change of a golden digest is a change of the format: it needs a new format number, and a reason in its commit.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use flate2::read::GzDecoder;
use imgbuild::layer::codec::Codec;
use imgbuild::layer::content::{Location, Packing};
use imgbuild::layer::read::{ReadOptions, apply_layer};
use imgbuild::layer::write::{Layer, Press, write_layer};
use imgbuild::layer::{Content, Contents, Kind, LayerPath, Meta, Node, Tree};
use imgbuild::oci::Digest;

/// The tree of the golden digests.
struct Everything {
    tree: Tree,
    contents: Contents,
}

impl Everything {
    fn put(&mut self, path: impl AsRef<[u8]>, kind: Kind, meta: Meta) {
        let path = LayerPath::parse(path).expect("a path");
        assert_eq!(self.tree.insert(path, Node { kind, meta }), None);
    }

    fn file(&mut self, path: impl AsRef<[u8]>, bytes: Vec<u8>, meta: Meta) {
        let kind = Kind::File(self.contents.add_inline(bytes));
        self.put(path, kind, meta);
    }
}

/// Noise that no compressor makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 42_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(size)
    .collect()
}

fn text(size: usize) -> Vec<u8> {
    (0_u64..)
        .flat_map(|n| format!("line {n}: {}\n", n * n % 1009).into_bytes())
        .take(size)
        .collect()
}

fn everything() -> Everything {
    let mut all = Everything {
        tree: Tree::default(),
        contents: Contents::default(),
    };
    let plain = || Meta::made(0o644);
    let directory =
        "usr/share/a-directory-whose-name-is-long-enough-to-need-the-prefix-of-ustar/and-then";
    for path in [
        "",
        "dev",
        "etc",
        "usr",
        "usr/bin",
        "usr/lib",
        "usr/share",
        directory,
        "opt",
        "opt/raw",
    ] {
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let path = LayerPath::parse(&path[..end]).expect("a path");
            all.tree.insert(path, Node::made_dir());
        }
    }
    all.put("tmp", Kind::Dir, Meta::made(0o1777));

    all.file("etc/empty", Vec::new(), plain());
    let mut old = plain().owned_by(1000, 3_000_000);
    old.mtime = -86_400;
    all.file("etc/old", b"before 1970\n".to_vec(), old);
    let mut late = plain();
    late.mtime = 1 << 33;
    all.file("etc/late", b"after 2242\n".to_vec(), late);

    all.file("usr/bin/sudo", noise(3000), Meta::made(0o4755));
    let mut capable = Meta::made(0o755);
    // CAP_NET_RAW, permitted and effective; and a newline, as CAP_DAC_OVERRIDE and CAP_FOWNER would have.
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0";
    capable
        .xattrs
        .insert(b"security.capability".to_vec(), capability.to_vec());
    capable
        .xattrs
        .insert(b"user.note".to_vec(), b"a=b".to_vec());
    all.file("usr/bin/ping", text(5000), capable);

    all.file("usr/bin/python3.11", noise(700_000), Meta::made(0o755));
    let target = LayerPath::parse("usr/bin/python3.11").expect("a path");
    for name in ["usr/bin/python3", "usr/lib/python"] {
        all.put(name, Kind::Hardlink(target.clone()), Meta::made(0o755));
    }
    all.put(
        "usr/bin/python",
        Kind::Symlink(b"python3".to_vec()),
        Meta::made(0o777),
    );
    let far = format!("../{}", "x".repeat(150));
    all.put(
        "usr/bin/far",
        Kind::Symlink(far.into_bytes()),
        Meta::made(0o777),
    );

    all.file("usr/lib/big.so", text(3 << 20), Meta::made(0o755));
    all.file("usr/lib/noise", noise(300_000), plain());
    for number in 0..400 {
        all.file(
            format!("usr/share/{number:03}"),
            text(4000 + number),
            plain(),
        );
    }
    all.file(format!("{directory}/file"), b"split\n".to_vec(), plain());
    all.file(
        format!("{directory}/{}", "n".repeat(200)),
        b"long\n".to_vec(),
        plain(),
    );
    let deep = format!("{directory}/{}", "d".repeat(200));
    all.put(&deep, Kind::Dir, Meta::made(0o755));
    all.file(
        format!("{deep}/{}", "n".repeat(250)),
        b"longer\n".to_vec(),
        plain(),
    );

    all.file("opt/grün-日本", b"UTF-8\n".to_vec(), plain());
    all.file(b"opt/raw/\xff\xfe", b"not UTF-8\n".to_vec(), plain());
    all.file(
        [&b"opt/raw/\xff"[..], &[b'x'; 120]].concat(),
        b"neither\n".to_vec(),
        plain(),
    );

    all.put(
        "dev/null",
        Kind::CharDevice { major: 1, minor: 3 },
        Meta::made(0o666),
    );
    all.put(
        "dev/sda",
        Kind::BlockDevice { major: 8, minor: 0 },
        Meta::made(0o660).owned_by(0, 6),
    );
    all.put("dev/initctl", Kind::Fifo, Meta::made(0o600));
    all.put("etc/removed", Kind::Whiteout, plain());
    all
}

fn written(all: &Everything, threads: usize) -> (Layer, Vec<u8>) {
    let press = Press::new(Codec::GzipV1, threads).expect("threads");
    let mut bytes = Vec::new();
    let layer = write_layer(&all.tree, &all.contents, &press, &mut bytes).expect("a layer");
    (layer, bytes)
}

fn unpacked(layer: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    // This type stops after the first member, so there is one only.
    GzDecoder::new(layer).read_to_end(&mut tar).expect("gzip");
    tar
}

#[test]
fn the_bytes_of_format_1_do_not_change() {
    let (layer, bytes) = written(&everything(), 2);
    assert_eq!(layer.digest, Digest::of(&bytes));
    assert_eq!(layer.diff_id.0, Digest::of(&unpacked(&bytes)));
    assert_eq!(
        layer.diff_id.to_string(),
        "sha256:0279915cd055f41a202e9c179f3a7ceca9cbdbaa1a82efde4dad7286719e1a3c"
    );
    assert_eq!(
        layer.digest.to_string(),
        "sha256:1583e83762c152b5dafc797b6aaae67716ff6e108a4771db8eb446ea938e4706"
    );
    assert_eq!(layer.size, 1_842_113);
}

#[test]
fn the_number_of_threads_does_not_reach_the_bytes() {
    let all = everything();
    let alone = written(&all, 1);
    for threads in [0, 2, 3, 8] {
        assert!(written(&all, threads) == alone, "{threads} threads");
    }
}

#[test]
fn where_contents_are_does_not_reach_the_bytes() {
    let all = everything();
    let mut packed = Contents::default();
    for (_, node) in all.tree.iter() {
        let Kind::File(Content { digest, size }) = node.kind else {
            continue;
        };
        let Some(Location::Inline(bytes)) = all.contents.get(&digest) else {
            panic!("contents are inline");
        };
        let location = if size % 2 == 0 {
            let mut blob = b"before".to_vec();
            blob.extend_from_slice(bytes);
            Location::Extent {
                blob: Arc::new(blob),
                offset: 6,
                packed: size,
                packing: Packing::Stored,
            }
        } else {
            let mut blob = Vec::new();
            flate2::read::DeflateEncoder::new(&bytes[..], flate2::Compression::fast())
                .read_to_end(&mut blob)
                .expect("deflate");
            Location::Extent {
                packed: blob.len() as u64,
                blob: Arc::new(blob),
                offset: 0,
                packing: Packing::Deflate,
            }
        };
        packed.add(digest, location);
    }
    let inline = written(&all, 2);
    let all = Everything {
        contents: packed,
        ..all
    };
    assert!(written(&all, 2) == inline);
}

#[test]
fn reading_gives_the_tree_that_was_written() {
    let mut all = everything();
    let (layer, bytes) = written(&all, 2);
    let mut read = Tree::default();
    let wanted = Digest::of(b"split\n");
    let applied = apply_layer(
        &mut read,
        &bytes[..],
        &ReadOptions::default(),
        &mut |_, size| size == 6,
    )
    .expect("a layer");
    assert_eq!(applied.diff_id, layer.diff_id);
    assert_eq!(applied.kept[&wanted], b"split\n");
    // A whiteout leaves nothing; a file with several names is carried by the first.
    let removed = LayerPath::parse("etc/removed").expect("a path");
    all.tree.remove(&removed);
    let mut empty = Tree::default();
    empty.apply(all.tree);
    assert_eq!(read, empty);
}

/// Returns what a program writes when it reads `input`; none if it is not installed.
///
/// A program that is missing is an error when `IMGBUILD_TEST_REQUIRE_ALL` is 1, so that a test run cannot pass by
/// having nothing to test with.
fn piped(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            assert!(
                std::env::var_os("IMGBUILD_TEST_REQUIRE_ALL").is_none_or(|value| value != "1"),
                "{program}: {error}"
            );
            let _ = writeln!(std::io::stderr(), "skipped: {program} is not installed");
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("it was asked for");
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success(), "{program} {arguments:?} failed");
    feeding.join().expect("no panic").expect("all is read");
    Some(output.stdout)
}

#[test]
fn gzip_unpacks_the_layer() {
    let (layer, bytes) = written(&everything(), 2);
    for program in ["gzip", "pigz", "zstd"] {
        if let Some(tar) = piped(program, &["-dc"], &bytes) {
            assert_eq!(Digest::of(&tar), layer.diff_id.0, "{program}");
        }
    }
}

/// What the readers of a tar should say: path without slashes at its ends, type as in `ls`, mode, owner, group,
/// time, size, link target.
fn expected(all: &Everything) -> BTreeMap<Vec<u8>, String> {
    let first = LayerPath::parse("usr/bin/python3").expect("a path");
    let file = all
        .tree
        .get(&LayerPath::parse("usr/bin/python3.11").expect("a path"));
    let mut expected = BTreeMap::new();
    for (path, node) in all.tree.iter() {
        let mut name = path.as_bytes().to_vec();
        let is_carried = path.as_bytes() == b"usr/bin/python3.11";
        let (kind, size, link) = match &node.kind {
            Kind::Hardlink(_) if *path == first => {
                let Some(Node {
                    kind: Kind::File(content),
                    ..
                }) = file
                else {
                    panic!("python3.11 is a file");
                };
                ('-', content.size, String::new())
            }
            Kind::Hardlink(_) => ('h', 0, first.to_string()[1..].to_owned()),
            Kind::File(_) if is_carried => ('h', 0, first.to_string()[1..].to_owned()),
            Kind::File(content) => ('-', content.size, String::new()),
            Kind::Dir => ('d', 0, String::new()),
            Kind::Symlink(target) => ('l', 0, String::from_utf8_lossy(target).into_owned()),
            Kind::CharDevice { major, minor } => ('c', 0, format!("{major},{minor}")),
            Kind::BlockDevice { major, minor } => ('b', 0, format!("{major},{minor}")),
            Kind::Fifo => ('p', 0, String::new()),
            Kind::Whiteout => {
                let start = name.len() - path.file_name().len();
                name.splice(start..start, *b".wh.");
                ('-', 0, String::new())
            }
        };
        let Meta {
            mode,
            uid,
            gid,
            mtime,
            ..
        } = node.meta;
        expected.insert(
            name,
            format!("{kind} {mode:o} {uid} {gid} {mtime} {size} {link}"),
        );
    }
    expected
}

#[test]
fn python_reads_the_layer_as_a_stream() {
    const SCRIPT: &str = r#"
import sys, tarfile
kinds = {tarfile.REGTYPE: '-', tarfile.LNKTYPE: 'h', tarfile.SYMTYPE: 'l', tarfile.CHRTYPE: 'c',
         tarfile.BLKTYPE: 'b', tarfile.DIRTYPE: 'd', tarfile.FIFOTYPE: 'p'}
out = sys.stdout.buffer
for m in tarfile.open(fileobj=sys.stdin.buffer, mode='r|gz'):
    link = '%d,%d' % (m.devmajor, m.devminor) if m.isdev() and not m.isfifo() else m.linkname
    line = '%s %o %d %d %d %d %s' % (kinds[m.type], m.mode, m.uid, m.gid, m.mtime, m.size, link)
    name = m.name.encode('utf-8', 'surrogateescape')
    name = b'' if name == b'.' else name
    out.write(name + b'\0' + line.encode('utf-8', 'surrogateescape') + b'\0')
    caps = m.pax_headers.get('SCHILY.xattr.security.capability')
    if caps is not None:
        out.write(b'xattr ' + name + b'\0' + caps.encode('utf-8', 'surrogateescape').hex().encode() + b'\0')
"#;
    let all = everything();
    let (_, bytes) = written(&all, 2);
    let Some(output) = piped("python3", &["-c", SCRIPT], &bytes) else {
        return;
    };
    let mut expected = expected(&all);
    expected.insert(
        b"xattr usr/bin/ping".to_vec(),
        "0100000200200000000000000a00000000000000".to_owned(),
    );
    let mut fields = output.split(|&byte| byte == 0);
    let mut found = BTreeMap::new();
    while let (Some(name), Some(line)) = (fields.next(), fields.next()) {
        found.insert(name.to_vec(), String::from_utf8_lossy(line).into_owned());
    }
    for (name, line) in &expected {
        assert_eq!(found.get(name), Some(line), "{}", name.escape_ascii());
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn other_tars_list_every_entry_in_order() {
    let all = everything();
    let (_, bytes) = written(&all, 2);
    let count = all.tree.len();
    let listings = [
        ("tar", &["-tzf", "-", "--quoting-style=literal"][..]),
        ("bsdtar", &["-tf", "-"]),
    ];
    for (program, arguments) in listings {
        let Some(output) = piped(program, arguments, &bytes) else {
            continue;
        };
        let lines: Vec<_> = output.split(|&byte| byte == b'\n').collect();
        assert_eq!(lines.len(), count + 1, "{program}");
        assert_eq!(lines[0], b"./", "{program}");
        assert!(lines.contains(&&b"etc/.wh.removed"[..]), "{program}");
        let sorted: Vec<_> = all.tree.iter().map(|(path, _)| path.as_bytes()).collect();
        let last = *sorted.last().expect("there are some");
        assert!(lines[count - 1].starts_with(last), "{program}");
    }
}
