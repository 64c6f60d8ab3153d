//! No input makes the readers panic, and what is written reads back.

use std::sync::Arc;

use imgbuild::layer::LayerPath;
use imgbuild::oci::Arch;
use imgbuild::python::markers::{Active, Environment, Marker};
use imgbuild::python::metadata::Headers;
use imgbuild::python::pyproject::{Declared, Pyproject};
use imgbuild::python::record::{self, Row};
use imgbuild::python::scripts;
use imgbuild::python::select::{Options, Target, select};
use imgbuild::python::tags::WheelName;
use imgbuild::python::uv_lock::UvLock;
use imgbuild::python::venv::{VenvSpec, lay_out};
use imgbuild::python::wheel::Wheel;
use imgbuild::python::zip::{Archive, Limits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select as one_of};

use super::wheels::{Entry, Maker};

/// Text made of the words of a language, which reaches deeper than any characters would.
fn words(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => one_of(words).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    vec(word, 0..40).prop_map(|words| words.concat())
}

const MARKERS: &[&str] = &[
    "python_version",
    "python_full_version",
    "os_name",
    "extra",
    "platform_machine",
    "sys_platform",
    "implementation_version",
    "platform_release",
    " ",
    " and ",
    " or ",
    " in ",
    " not in ",
    "not",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "~=",
    "===",
    "'3.11'",
    "'3.11.*'",
    "\"linux\"",
    "''",
    "'3.8 3.9'",
    "'a-b'",
    "(",
    ")",
    "'",
    "'1!2.dev3+x'",
];

const LOCK: &[&str] = &[
    "version = 1\n",
    "[[package]]\n",
    "name = \"a\"\n",
    "name = \"svc\"\n",
    "version = \"1\"\n",
    "version = \"2\"\n",
    "source = { editable = \".\" }\n",
    "source = { registry = \"https://x\" }\n",
    "source = { virtual = \"\" }\n",
    "dependencies = [{ name = \"a\", extra = [\"x\"] }]\n",
    "dependencies = [{ name = \"svc\" }]\n",
    "resolution-markers = [\"os_name == 'posix'\"]\n",
    "[package.optional-dependencies]\n",
    "x = [{ name = \"a\" }]\n",
    "wheels = [{ url = \"https://x/a-1-py3-none-any.whl\", hash = \"sha256:00\" }]\n",
    "[package.dev-dependencies]\n",
    "dev = [{ name = \"a\", version = \"1\" }]\n",
    "conflicts = [[{ package = \"svc\" }, { package = \"a\", extra = \"x\" }]]\n",
    "[manifest]\n",
    "members = [\"svc\", \"a\"]\n",
    "requirements = [{ name = \"a\" }]\n",
    "[package.metadata]\n",
    "=",
    "\"",
    "[",
    "]",
];

const INI: &[&str] = &[
    "[console_scripts]",
    "[gui_scripts]",
    "\n",
    "=",
    ":",
    "a",
    "b.c",
    "[x]",
    " ",
    "..",
    "/",
    "#",
    ";",
];

const CSV: &[&str] = &[
    "a",
    "/",
    ",",
    "\"",
    "\"\"",
    "\n",
    "\r\n",
    "\r",
    "sha256=",
    "AAAA",
    "1",
    "\u{1f600}",
];

proptest! {
    #[test]
    fn markers_never_panic(text in words(MARKERS)) {
        if let Ok(marker) = text.parse::<Marker>() {
            let here = Environment::of(&"3.11.2".parse().unwrap(), Arch::Amd64);
            let holds = here.holds(&marker, &Active::default());
            // The normal form means the same.
            if let Ok(again) = marker.to_string().parse::<Marker>() {
                prop_assert_eq!(here.holds(&again, &Active::default()), holds);
            }
        }
        let _ = format!("a[b] ; {text}").parse::<Declared>();
        let _ = text.parse::<Declared>();
    }

    #[test]
    fn locks_never_panic(text in words(LOCK)) {
        for text in [text.clone(), format!("version = 1\n{text}")] {
            if let Ok(lock) = UvLock::parse(&text) {
                let target = Target {
                    python: "3.11.2".parse().unwrap(),
                    glibc: (2, 34),
                    arch: Arch::Arm64,
                };
                let _ = select(&lock, &target, &Options::default());
            }
        }
        let _ = Pyproject::parse(&text);
    }

    #[test]
    fn metadata_never_panics(text in words(INI), name in any::<String>()) {
        let _ = Headers::parse(&text).first("Name");
        if let Ok(points) = scripts::parse(&text) {
            for point in scripts::with_versioned_pip(&points, 11) {
                let _ = point.script("#!/p");
            }
        }
        let _ = scripts::shebang(&name);
        let _ = name.parse::<WheelName>();
        let _ = format!("a-{name}-none-any.whl").parse::<WheelName>();
        let _ = format!("{name}-1-py3-none-any.whl").parse::<WheelName>();
    }

    #[test]
    fn records_never_panic(text in words(CSV)) {
        let _ = record::parse(&text);
    }

    #[test]
    fn a_written_record_reads_back(
        paths in vec("[a-z,\"/ é]{1,12}", 0..8),
        size in any::<Option<u64>>(),
    ) {
        let row = |path: String| Row {
            path: format!("x{path}"),
            hash: Some("sha256=AA".to_owned()),
            size,
        };
        let rows: std::collections::BTreeSet<_> = paths.into_iter().map(row).collect();
        let read = record::parse(&record::write(&rows)).unwrap();
        prop_assert_eq!(read, rows.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_an_archive_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Archive::open(Arc::new(bytes), Limits::default()).map(|it| it.members().len());
    }

    #[test]
    fn a_damaged_wheel_is_refused_or_gives_the_same_files(
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let whole = sample().bytes();
        let mut bytes = whole.clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let name: WheelName = "pkg-1.0-py3-none-any.whl".parse().unwrap();
        let Ok(wheel) = Wheel::read(name.clone(), Arc::new(bytes)) else { return Ok(()) };
        if wheel.verify().is_err() {
            return Ok(());
        }
        // Times, modes and the like may change; the bytes of a file may not.
        let sound = Wheel::read(name, Arc::new(whole)).unwrap();
        let contents = |wheel: &Wheel| {
            let files = wheel.files().iter();
            files.map(|it| (it.path.clone(), it.content)).collect::<Vec<_>>()
        };
        prop_assert_eq!(contents(&wheel), contents(&sound));
        let spec = VenvSpec {
            path: LayerPath::parse("app/.venv").unwrap(),
            interpreter: "/usr/bin/python3.11".to_owned(),
            version: "3.11.2".parse().unwrap(),
        };
        prop_assert!(lay_out(&spec, &[wheel]).is_ok());
    }
}

fn sample() -> Maker {
    let files: [(&str, &[u8]); 4] = [
        ("pkg/__init__.py", b"x = 1\n"),
        ("pkg/data.txt", &[b'a'; 200]),
        ("pkg-1.0.data/scripts/tool", b"#!python\nprint()\n"),
        ("pkg-1.0.data/data/share/x", b"y"),
    ];
    Maker::new("pkg", &files).with(|it| {
        it.entry_points = Some("[console_scripts]\nrun = pkg:main\n".to_owned());
        let later = Entry::new("pkg/later", b"zz").with(|entry| entry.descriptor = Some(true));
        it.entries.push(later);
    })
}
