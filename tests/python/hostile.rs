//! Wheels that mean harm are refused with the reason; odd but sound ones are not.

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::layer::{Kind, LayerPath};
use imgbuild::python::venv::{Venv, VenvError, VenvSpec, lay_out};
use imgbuild::python::wheel::{Purity, Wheel};

use super::wheels::{Entry, Maker, read, row, zip};

fn spec() -> VenvSpec {
    VenvSpec {
        path: LayerPath::parse("app/.venv").unwrap(),
        interpreter: "/usr/bin/python3.11".to_owned(),
        version: "3.11.14".parse().unwrap(),
    }
}

/// Reads and lays out a wheel, and returns what is wrong with it and of which class that is.
fn refusal(maker: &Maker) -> Option<(String, Class)> {
    let wheel = match maker.read() {
        Ok(wheel) => wheel,
        Err(error) => return Some((error.to_string(), error.class())),
    };
    let error = lay_out(&spec(), &[wheel]).err()?;
    Some((error.to_string(), error.class()))
}

fn package(extra: &[(&str, &[u8])]) -> Maker {
    let files = [&[("pkg/__init__.py", b"x = 1\n".as_slice())], extra].concat();
    Maker::new("pkg", &files)
}

fn with_entry(entry: Entry) -> Maker {
    package(&[]).with(|maker| maker.entries.push(entry))
}

#[test]
fn wheels_that_mean_harm_are_refused_with_the_reason() {
    let long = "a".repeat(300);
    let record_of = |maker: &Maker| maker.members().iter().map(row).collect::<String>();
    let bad_hash = record_of(&package(&[])).replace("sha256=", "sha256=AAAA");
    let other_hash = {
        let twin = package(&[]).with(|it| it.entries[0].bytes = b"x = 2\n".to_vec());
        let rows: String = twin.members().iter().map(row).collect();
        rows.replace(
            "pkg-1.0.dist-info/RECORD,",
            "pkg-1.0.dist-info/RECORD,,\nignored",
        )
        .lines()
        .filter(|line| !line.starts_with("ignored"))
        .map(|line| format!("{line}\n"))
        .collect::<String>()
    };
    let without = |what: &str, maker: &Maker| {
        let rows = record_of(maker);
        let kept = rows.lines().filter(|line| !line.contains(what));
        kept.map(|line| format!("{line}\n")).collect::<String>()
    };
    let plain = package(&[]);
    let cases: Vec<(&str, Maker, &str)> = vec![
        ("parent", package(&[("../../evil.txt", b"e")]), "`..`"),
        (
            "inner parent",
            package(&[("pkg/../../evil.txt", b"e")]),
            "`..`",
        ),
        ("absolute", package(&[("/etc/evil", b"e")]), "absolute"),
        ("backslash", package(&[("a\\..\\b.txt", b"e")]), "backslash"),
        ("dot", package(&[("./a", b"e")]), "normal form"),
        ("double slash", package(&[("a//b", b"e")]), "normal form"),
        ("control", package(&[("a\nb", b"e")]), "printable"),
        ("nul", package(&[("a\0b", b"e")]), "printable"),
        ("long", package(&[(&long, b"e")]), "too long"),
        (
            "latin1",
            with_entry(Entry::new("x", b"").with(|it| {
                it.name = b"\xe9".to_vec();
                it.local_name = b"\xe9".to_vec();
            })),
            "printable UTF-8",
        ),
        (
            "unmarked utf-8",
            with_entry(Entry::new("é", b"")),
            "printable UTF-8",
        ),
        (
            "symlink",
            with_entry(Entry::new("pkg/link", b"/etc/passwd").with(|it| it.mode = 0o120_777)),
            "symbolic link",
        ),
        (
            "device",
            with_entry(Entry::new("pkg/dev", b"").with(|it| it.mode = 0o060_644)),
            "special file",
        ),
        (
            "duplicate",
            with_entry(Entry::new("pkg/__init__.py", b"evil = 1\n")),
            "two members have this name",
        ),
        (
            "file as folder",
            package(&[("pkg/__init__.py/x", b"")]),
            "name of its folder",
        ),
        (
            "encrypted",
            with_entry(Entry::new("pkg/x", b"").with(|it| it.flags = 1)),
            "encrypted",
        ),
        (
            "method",
            with_entry(Entry::new("pkg/x", b"").with(|it| it.method = 12)),
            "method 12",
        ),
        (
            "other local name",
            with_entry(Entry::new("pkg/x", b"").with(|it| it.local_name = b"pkg/y".to_vec())),
            "name differs",
        ),
        (
            "other local size",
            with_entry(Entry::new("pkg/x", b"abc").with(|it| it.local_size = Some(2))),
            "size differs",
        ),
        (
            "wrong CRC",
            with_entry(Entry::new("pkg/x", b"abc").with(|it| it.crc_off = 1)),
            "CRC-32 differs",
        ),
        (
            "gap",
            with_entry(Entry::new("pkg/x", b"abc").with(|it| it.gap = b"evil".to_vec())),
            "where the one before ends",
        ),
        (
            "bomb",
            with_entry(Entry::new("pkg/x", b"abc").with(|it| it.size = Some(u32::MAX - 1))),
            "cannot unpack to",
        ),
        (
            "second name",
            with_entry(Entry::new("pkg/x", b"").with(|it| {
                it.extra = [b"\x75\x70\x0a\0\x01\0\0\0\0".as_slice(), b"pkg/y"].concat();
            })),
            "another name",
        ),
        (
            "comment",
            package(&[]).with(|it| it.comment = b"PK\x05\x06".to_vec()),
            "comment",
        ),
        (
            "malformed RECORD digest",
            package(&[]).with(|it| it.record = Some(bad_hash.clone())),
            "is not a digest",
        ),
        (
            "wrong RECORD digest",
            package(&[]).with(|it| it.record = Some(other_hash.clone())),
            "pkg/__init__.py: expected sha256:",
        ),
        (
            "wrong RECORD size",
            package(&[]).with(|it| it.record = Some(record_of(&plain).replace(",6\n", ",7\n"))),
            "expected 7 bytes by RECORD, got 6",
        ),
        (
            "missing in RECORD",
            package(&[]).with(|it| it.record = Some(without("__init__", &plain))),
            "pkg/__init__.py: not listed in RECORD",
        ),
        (
            "ghost in RECORD",
            package(&[]).with(|it| {
                it.record = Some(record_of(&plain) + &row(&Entry::new("pkg/ghost.py", b"x")));
            }),
            "pkg/ghost.py: listed in RECORD, but not in the wheel",
        ),
        (
            "no digest in RECORD",
            package(&[]).with(|it| {
                it.record = Some(without("__init__", &plain) + "pkg/__init__.py,,6\n");
            }),
            "no digest",
        ),
        (
            "weak digest in RECORD",
            package(&[]).with(|it| {
                it.record = Some(without("__init__", &plain) + "pkg/__init__.py,md5=AAAA,6\n");
            }),
            "md5=AAAA",
        ),
        (
            "two digests in RECORD",
            package(&[]).with(|it| {
                let other = row(&Entry::new("pkg/__init__.py", b"y"));
                it.record = Some(record_of(&plain) + &other);
            }),
            "twice",
        ),
        (
            "data escapes",
            package(&[("pkg-1.0.data/data/../../../esc.txt", b"e")]),
            "`..`",
        ),
        (
            "data replaces pyvenv.cfg",
            package(&[("pkg-1.0.data/data/pyvenv.cfg", b"home = /evil\n")]),
            "would replace a part of the venv",
        ),
        (
            "data replaces lib64",
            package(&[("pkg-1.0.data/data/lib64/x", b"e")]),
            "would replace a part of the venv",
        ),
        (
            "data replaces the interpreter",
            package(&[("pkg-1.0.data/data/bin/python3.11", b"e")]),
            "would replace a part of the venv",
        ),
        (
            "script replaces the interpreter",
            package(&[("pkg-1.0.data/scripts/python", b"#!/bin/sh\n")]),
            "would replace a part of the venv",
        ),
        (
            "unknown data key",
            package(&[("pkg-1.0.data/foo/x", b"e")]),
            "wanted purelib, platlib",
        ),
        (
            "script folder",
            package(&[("pkg-1.0.data/scripts/sub/x", b"#!python\n")]),
            "scripts cannot be in folders",
        ),
        (
            "entry point escapes",
            package(&[]).with(|it| {
                it.entry_points = Some("[console_scripts]\n../../x = pkg:m\n".to_owned())
            }),
            "not a name for a file",
        ),
        (
            "entry point injects",
            package(&[])
                .with(|it| it.entry_points = Some("[console_scripts]\nx = pkg:m()\n".to_owned())),
            "not `module:function`",
        ),
        (
            "entry point replaces the interpreter",
            package(&[])
                .with(|it| it.entry_points = Some("[gui_scripts]\npython = pkg:m\n".to_owned())),
            "would replace a part of the venv",
        ),
        (
            "other version in METADATA",
            package(&[]).with(|it| it.metadata = it.metadata.replace("1.0", "2.0")),
            "METADATA says Version `2.0`: wanted `1.0`",
        ),
        (
            "other name in METADATA",
            package(&[]).with(|it| it.metadata = it.metadata.replace("pkg", "requests")),
            "METADATA says Name `requests`: wanted `pkg`",
        ),
        (
            "two dist-infos",
            package(&[("other-1.0.dist-info/METADATA", b"Name: other\n")]),
            "2 .dist-info folders",
        ),
        (
            "purelib over the root",
            package(&[("pkg-1.0.data/purelib/pkg/__init__.py", b"evil = 1\n")]),
            "install something different",
        ),
    ];
    for (case, maker, reason) in cases {
        match refusal(&maker) {
            Some((error, class)) => {
                assert!(
                    error.contains(reason),
                    "{case}: `{error}` does not say `{reason}`"
                );
                assert_eq!(class, Class::Integrity, "{case}: {error}");
            }
            None => panic!("{case}: was accepted"),
        }
    }
}

#[test]
fn a_wheel_of_a_newer_format_is_not_called_corrupt() {
    let newer = package(&[]).with(|it| it.wheel = it.wheel.replace("1.0", "2.0"));
    let (error, class) = refusal(&newer).unwrap();
    assert!(error.contains("Wheel-Version `2.0`"), "{error}");
    assert_eq!(class, Class::Usage);
}

#[test]
fn missing_metadata_and_cut_archives_are_refused() {
    let members = package(&[]).members();
    for missing in ["RECORD", "WHEEL", "METADATA"] {
        let kept: Vec<_> = members
            .iter()
            .filter(|entry| !entry.name.ends_with(missing.as_bytes()))
            .cloned()
            .collect();
        assert!(
            read("pkg-1.0-py3-none-any.whl", zip(&kept, b"")).is_err(),
            "{missing}"
        );
    }
    let whole = package(&[]).bytes();
    for length in 0..whole.len() {
        assert!(read("pkg-1.0-py3-none-any.whl", whole[..length].to_vec()).is_err());
        assert!(read("pkg-1.0-py3-none-any.whl", whole[length + 1..].to_vec()).is_err());
    }
    let trailing = [whole.as_slice(), b"x"].concat();
    assert!(read("pkg-1.0-py3-none-any.whl", trailing).is_err());
    let leading = [b"x", whole.as_slice()].concat();
    assert!(read("pkg-1.0-py3-none-any.whl", leading).is_err());
}

#[test]
fn odd_but_sound_wheels_are_read() {
    let odd = package(&[
        ("pkg/__pycache__/x.cpython-311.pyc", b"\xa7\r\r\n"),
        ("pkg.pth", b"import os\n"),
        ("pkg/A.py", b"1"),
        ("pkg/a.py", b"2"),
        ("pkg/quo\"te,.py", b"3"),
    ])
    .with(|it| {
        it.entries
            .push(Entry::new("pkg/é.py", b"4").with(|entry| entry.flags = 1 << 11));
        it.entries
            .push(Entry::new("pkg/stored", b"5").with(|entry| entry.method = 0));
        it.entries
            .push(Entry::new("pkg/later", b"67").with(|entry| entry.descriptor = Some(true)));
        it.entries
            .push(Entry::new("pkg/unsigned", b"89").with(|entry| entry.descriptor = Some(false)));
        it.entries.push(Entry::new("pkg/fat", b"").with(|entry| {
            entry.host = 0;
            entry.mode = 0;
        }));
        it.entries.push(Entry::new("pkg/folder/", b""));
        it.comment = b"made by hand".to_vec();
        it.metadata = it.metadata.replace("Name: pkg", "Name: PKG");
        // Quoted, as the name needs.
        let rows: String = it.members().iter().map(row).collect();
        let rows = rows
            .replace("pkg/quo\"te,.py", "\"pkg/quo\"\"te,.py\"")
            .lines()
            .filter(|line| !line.contains("/RECORD") && !line.starts_with("pkg/folder/"))
            .map(|line| format!("{line}\r\n"))
            .collect::<String>();
        it.record = Some(rows + "/pkg-1.0.dist-info/RECORD,,");
    });
    assert_eq!(refusal(&odd), None);
}

#[test]
fn only_the_execute_bit_of_a_mode_survives() {
    let maker = package(&[]).with(|it| {
        for (name, mode, host) in [
            ("m0600", 0o100_600, 3),
            ("m0666", 0o100_666, 3),
            ("m0700", 0o100_700, 3),
            ("m4711", 0o104_711, 3),
            ("m0001", 0o100_001, 3),
            ("m0000", 0, 3),
            ("mfat", 0o100_755, 0),
        ] {
            it.entries.push(Entry::new(name, b"").with(|entry| {
                entry.mode = mode;
                entry.host = host;
            }));
        }
    });
    let venv = lay_out(&spec(), &[maker.read().unwrap()]).unwrap();
    for (name, mode) in [
        ("m0600", 0o644),
        ("m0666", 0o644),
        ("m0700", 0o755),
        ("m4711", 0o755),
        ("m0001", 0o755),
        ("m0000", 0o644),
        ("mfat", 0o644),
    ] {
        let path =
            LayerPath::parse(format!("app/.venv/lib/python3.11/site-packages/{name}")).unwrap();
        assert_eq!(venv.pure.get(&path).unwrap().meta.mode, mode, "{name}");
    }
}

fn file(venv: &Venv, path: &str) -> Option<(Purity, String)> {
    let path = LayerPath::parse(format!("app/.venv/lib/python3.11/site-packages/{path}")).unwrap();
    let owner = venv.owners.get(&path).cloned()?;
    match (venv.pure.get(&path), venv.native.get(&path)) {
        (Some(_), None) => Some((Purity::Pure, owner)),
        (None, Some(_)) => Some((Purity::Native, owner)),
        both => panic!("{path}: {both:?}"),
    }
}

fn native(name: &str, files: &[(&str, &[u8])]) -> Wheel {
    let maker = Maker::new(name, files).with(|it| {
        it.tag = "cp311-cp311-manylinux_2_17_x86_64".to_owned();
        it.wheel = it.wheel.replace("true", "false");
    });
    maker.read().unwrap()
}

#[test]
fn equal_files_of_two_packages_are_one_file_of_both() {
    let first = Maker::new("a", &[("LICENSE", b"same"), ("ns/a.py", b"")])
        .read()
        .unwrap();
    let second = native("b", &[("LICENSE", b"same"), ("ns/b.so", b"\x7fELF")]);
    for order in [[first.clone(), second.clone()], [second, first]] {
        let venv = lay_out(&spec(), &order).unwrap();
        assert_eq!(
            file(&venv, "LICENSE"),
            Some((Purity::Pure, "a 1.0, b 1.0".to_owned()))
        );
        assert_eq!(
            file(&venv, "ns/a.py"),
            Some((Purity::Pure, "a 1.0".to_owned()))
        );
        assert_eq!(
            file(&venv, "ns/b.so"),
            Some((Purity::Native, "b 1.0".to_owned()))
        );
    }
}

#[test]
fn different_files_of_two_packages_at_one_path_are_an_error_naming_both() {
    let a = Maker::new("a", &[("x", b"1")]).read().unwrap();
    let at = |path: &str| {
        LayerPath::parse(format!("app/.venv/lib/python3.11/site-packages/{path}")).unwrap()
    };
    let conflict = |other: &Wheel| lay_out(&spec(), &[a.clone(), other.clone()]).err();
    let wanted = Some(VenvError::Conflict {
        path: at("x"),
        first: "a 1.0".to_owned(),
        second: "b 1.0".to_owned(),
    });
    assert_eq!(conflict(&native("b", &[("x", b"2")])), wanted);
    assert_eq!(conflict(&native("b", &[("x/y", b"1")])), wanted);
    let executable = Maker::new("b", &[("x", b"1")]).with(|it| it.entries[0].mode = 0o100_755);
    assert_eq!(conflict(&executable.read().unwrap()), wanted);
    assert!(matches!(conflict(&a), Some(VenvError::Twice { .. })));
}

#[test]
fn machine_code_makes_a_wheel_native_whatever_it_says() {
    for name in ["pkg/x.so", "pkg/x.cpython-311.so", "pkg.libs/libz.so.1.2"] {
        assert_eq!(
            package(&[(name, b"\x7fELF")]).read().unwrap().purity(),
            Purity::Native
        );
    }
    let says_so = package(&[]).with(|it| it.wheel = it.wheel.replace("true", "false"));
    assert_eq!(says_so.read().unwrap().purity(), Purity::Native);
    assert_eq!(
        package(&[("pkg/so.py", b"")]).read().unwrap().purity(),
        Purity::Pure
    );
}

#[test]
fn the_venv_itself_is_small_and_the_same_for_each_patch_release() {
    let venv = lay_out(&spec(), &[]).unwrap();
    let newer = VenvSpec {
        version: "3.11.15".parse().unwrap(),
        ..spec()
    };
    assert!(lay_out(&newer, &[]).unwrap().pure == venv.pure);
    assert!(venv.native.is_empty());
    let shown: Vec<_> = venv
        .pure
        .iter()
        .map(|(path, node)| match &node.kind {
            Kind::Symlink(target) => format!("{path} -> {}", String::from_utf8_lossy(target)),
            Kind::Dir => format!("{path}/"),
            _ => path.to_string(),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "/app/.venv/",
            "/app/.venv/bin/",
            "/app/.venv/bin/python -> /usr/bin/python3.11",
            "/app/.venv/bin/python3 -> python",
            "/app/.venv/bin/python3.11 -> python",
            "/app/.venv/lib/",
            "/app/.venv/lib/python3.11/",
            "/app/.venv/lib/python3.11/site-packages/",
            "/app/.venv/lib64 -> lib",
            "/app/.venv/pyvenv.cfg",
        ]
    );
}

#[test]
fn what_cannot_be_written_into_scripts_is_refused() {
    for path in ["", "a\nb", "a\u{7f}b"] {
        let path = LayerPath::parse(path).unwrap();
        assert!(lay_out(&VenvSpec { path, ..spec() }, &[]).is_err());
    }
    for interpreter in ["", "python", "/usr/bin/", "/usr/bin/py thon", "/a\nb"] {
        let interpreter = interpreter.to_owned();
        assert!(
            lay_out(
                &VenvSpec {
                    interpreter,
                    ..spec()
                },
                &[]
            )
            .is_err()
        );
    }
}
