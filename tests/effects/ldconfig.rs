//! The cache of libraries against the real ldconfig's, byte for byte.

use imgbuild::layer::tree::Stacked;
use imgbuild::layer::{LayerPath, Node, Tree};
use imgbuild::rpm::effects::elf::Machine;
use imgbuild::rpm::effects::ldconfig::{NoCache, ldconfig};
use imgbuild::rpm::effects::overlay::Overlay;

use super::disk::{Bytes, load, store, tool};

/// Returns a shared library of 64 bits with nothing but what ldconfig reads.
fn library(machine: u16, soname: Option<&str>, isa: Option<u32>) -> Vec<u8> {
    let strings = format!("\0{}\0", soname.unwrap_or_default());
    let headers = 64 + 56 * 3;
    let dynamic_at = headers as u64;
    let mut dynamic: Vec<u64> = Vec::new();
    if soname.is_some() {
        dynamic.extend([14, 1]);
    }
    let dynamic_size = (dynamic.len() as u64 + 4) * 8;
    let strings_at = dynamic_at + dynamic_size;
    // Addresses lie 0x1000 above offsets, as after relinking.
    dynamic.extend([5, strings_at + 0x1000, 0, 0]);
    let note_at = (strings_at + strings.len() as u64).next_multiple_of(8);
    let mut note: Vec<u8> = Vec::new();
    if let Some(isa) = isa {
        for word in [4_u32, 16, 5, 0x0055_4e47, 0xc000_8002, 4, isa, 0] {
            note.extend(word.to_le_bytes());
        }
    }
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    for half in [3_u16, machine] {
        out.extend(half.to_le_bytes());
    }
    out.extend(1_u32.to_le_bytes());
    for word in [0_u64, 64, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, if isa.is_some() { 3 } else { 2 }, 64, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    let end = note_at + note.len() as u64;
    for (kind, offset, size) in [
        (1_u32, 0, end),
        (2, dynamic_at, dynamic_size),
        (0x6474_e553, note_at, note.len() as u64),
    ] {
        out.extend(kind.to_le_bytes());
        out.extend(4_u32.to_le_bytes());
        for word in [offset, offset + 0x1000, offset + 0x1000, size, size, 8] {
            out.extend(word.to_le_bytes());
        }
    }
    out.extend(dynamic.iter().flat_map(|word| word.to_le_bytes()));
    out.extend(strings.as_bytes());
    out.resize(usize::try_from(note_at).expect("small"), 0);
    out.extend(note);
    out
}

/// A root under construction.
struct Root<'a> {
    tree: Tree,
    bytes: &'a mut Bytes,
}

impl Root<'_> {
    fn put(&mut self, path: &str, node: Node) -> &mut Self {
        let at = LayerPath::parse(path).expect(path);
        let mut parent = at.parent();
        while let Some(directory) = parent.filter(|p| !p.is_root()) {
            parent = directory.parent();
            if self.tree.get(&directory).is_none() {
                self.tree.insert(directory, Node::made_dir());
            }
        }
        self.tree.insert(at, node);
        self
    }

    fn link(&mut self, path: &str, target: &str) -> &mut Self {
        self.put(path, Node::made_symlink(target))
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> &mut Self {
        let node = self.bytes.file(bytes, 0o755);
        self.put(path, node)
    }

    fn lib(&mut self, path: &str, soname: &str) -> &mut Self {
        self.file(path, &library(62, Some(soname), None))
    }
}

fn base(bytes: &mut Bytes) -> Tree {
    let mut root = Root {
        tree: Tree::default(),
        bytes,
    };
    root.put("usr/lib", Node::made_dir())
        .put("usr/lib64", Node::made_dir())
        .put("usr/local/lib", Node::made_dir())
        .link("lib", "usr/lib")
        .link("lib64", "usr/lib64")
        // Debian's ldconfig does not know /lib64 by itself.
        .file("etc/ld.so.conf", b"include ld.so.conf.d/*.conf\n/lib64\n")
        .file(
            "etc/ld.so.conf.d/local.conf",
            b"# ours\n  /usr/local/lib/ # end\n",
        );
    root.tree
}

/// Libraries as a distribution's base has them.
fn base_libraries(root: &mut Root<'_>) {
    root.lib("usr/lib64/libfoo.so.1.2.3", "libfoo.so.1")
        .link("usr/lib64/libfoo.so.1", "libfoo.so.1.2.3")
        .link("usr/lib64/libfoo.so", "libfoo.so.1")
        .lib("usr/lib64/libc.so.6", "libc.so.6")
        .file(
            "usr/lib64/libc.so",
            b"/* GNU ld script */ GROUP ( libc.so.6 )",
        )
        .lib("usr/lib64/libold.so.9.0", "libold.so.9")
        .lib("usr/local/lib/libfoo.so.1.9", "libfoo.so.1")
        .file(
            "usr/lib64/glibc-hwcaps/x86-64-v3/libfoo.so.1.2.3",
            &library(62, Some("libfoo.so.1"), Some(4)),
        );
}

/// What packages add: every case of ldconfig's `search_dir`.
fn new_libraries(root: &mut Root<'_>) {
    root.lib("usr/lib64/libbar.so.9.0", "libbar.so.9")
        .lib("usr/lib64/libbar.so.10.0", "libbar.so.10")
        .lib("usr/lib64/libbar.so.10.1", "libbar.so.10")
        .link("usr/lib64/libbar.so.10", "libbar.so.10.0")
        .link("usr/lib64/libbar.so", "libbar.so.10.1")
        .lib("usr/lib64/libold.so.9.1", "libold.so.9")
        .file("usr/lib64/libnone.so", &library(62, None, None))
        .file(
            "usr/lib64/libarm.so.1",
            &library(183, Some("libarm.so.1"), None),
        )
        .file("usr/lib64/libshort.so", b"x")
        .file("usr/lib64/libtext.so", &b"not a library ".repeat(100))
        .file("usr/lib64/other.so", b"x")
        .link("usr/lib64/libdangling.so.3", "/nowhere/libx.so.3")
        .link("usr/lib64/libelse.so.5", "../../opt/x/libopt.so")
        .lib("opt/x/libopt.so", "libopt.so")
        .lib("usr/lib/libin.so.1", "libin.so.1")
        .lib("usr/local/lib/libbar.so.9.5", "libbar.so.9")
        .file(
            "etc/ld.so.conf.d/b.conf",
            b"/opt/x\n/opt/nowhere\n/usr/lib64\n",
        )
        .file("etc/ld.so.conf.d/.hidden.conf", b"/opt\n")
        .file(
            "usr/lib64/glibc-hwcaps/x86-64-v3/libbar.so.9.0",
            &library(62, Some("libbar.so.9"), Some(4)),
        )
        .file(
            "usr/lib64/glibc-hwcaps/x86-64-v2/libbar.so.9.0",
            &library(62, Some("libbar.so.9"), Some(3)),
        )
        // A development package's link to a library of the base.
        .link("usr/lib64/libold.so", "libold.so.9.0");
}

#[test]
fn the_cache_equals_that_of_the_real_ldconfig() {
    let mut bytes = Bytes::default();
    let mut lower = base(&mut bytes);
    for split in [false, true] {
        let Some(mut real) = tool("ldconfig") else {
            return;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let mut upper = Root {
            tree: Tree::default(),
            bytes: &mut bytes,
        };
        if split {
            upper.tree = std::mem::take(&mut lower);
            base_libraries(&mut upper);
            lower = std::mem::take(&mut upper.tree);
        } else {
            base_libraries(&mut upper);
        }
        // The base's own cache, by the real tool.
        store(&lower, upper.bytes, folder.path());
        assert!(
            real.arg("-r")
                .arg(folder.path())
                .output()
                .expect("runs")
                .status
                .success()
        );
        lower = load(folder.path(), upper.bytes);

        new_libraries(&mut upper);
        let upper = upper.tree;
        store(&upper, &bytes, folder.path());
        let mut again = tool("ldconfig").expect("ran before");
        assert!(
            again
                .arg("-r")
                .arg(folder.path())
                .output()
                .expect("runs")
                .status
                .success()
        );
        let wanted = std::fs::read(folder.path().join("etc/ld.so.cache")).expect("a cache");

        // Libraries of the base cannot be read.
        let read = |content: &_| {
            let is_library = |bytes: &Vec<u8>| bytes.starts_with(b"\x7fELF");
            let of_base = lower.iter().any(|(_, node)| {
                matches!(&node.kind, imgbuild::layer::node::Kind::File(c) if c == content)
            });
            let found = bytes.get(content)?;
            if of_base && is_library(&found) && !upper.iter().any(|(_, node)| {
                matches!(&node.kind, imgbuild::layer::node::Kind::File(c) if c == content)
            }) {
                return Err(std::io::Error::other("a library of the base was read"));
            }
            Ok(found)
        };
        let root = Stacked {
            lower: &lower,
            upper: &upper,
        };
        let mut overlay = Overlay::new(root, &read);
        assert_eq!(
            ldconfig(&mut overlay, Machine::X86_64).expect("works"),
            None
        );
        let made = overlay
            .read("/etc/ld.so.cache")
            .expect("reads")
            .expect("is there");
        assert_eq!(
            made.escape_ascii().to_string(),
            wanted.escape_ascii().to_string()
        );

        let mut after_bytes = Bytes::default();
        // The links that ldconfig made are made too, and no others.
        let after = load(folder.path(), &mut after_bytes);
        let visible = overlay.root();
        for (at, node) in after.iter() {
            let ours = visible.get(at).map(|node| &node.kind);
            let is_aux = at.to_string().starts_with("/var");
            assert!(
                is_aux || ours == Some(&node.kind),
                "{at}: {ours:?}, wanted {:?}",
                node.kind
            );
        }
        for tree in [visible.lower, visible.upper] {
            for (at, _) in tree.iter() {
                assert!(after.get(at).is_some(), "{at} is not there after ldconfig");
            }
        }
        lower = base(&mut bytes);
    }
}

#[test]
fn a_base_without_cache_gets_none_and_says_why() {
    let mut bytes = Bytes::default();
    let lower = base(&mut bytes);
    let upper = Tree::default();
    let read = |content: &_| bytes.get(content);
    let root = Stacked {
        lower: &lower,
        upper: &upper,
    };
    let mut overlay = Overlay::new(root, &read);
    assert_eq!(
        ldconfig(&mut overlay, Machine::Aarch64).expect("works"),
        Some(NoCache::NoneInBase)
    );
}
