//! The root that was built: real rpm agrees with its database, links are the base's, Python and the compiler work.

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use harness::{Bench, Layout, Made, Root, installed, rpm, text};

/// `name-[epoch:]version-release.arch`, as the lock writes it.
const NEVRA: &str = "%{NAME}-%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}.%{ARCH}\n";

/// Returns the bench, if real rpm and umoci can work here.
fn bench() -> Option<&'static Bench> {
    let bench = Bench::open()?;
    installed(&["rpm", "umoci", "unshare"])?;
    harness::needs_root("owners of unpacked files, and changing into the root")?;
    Some(bench)
}

/// Returns what the lock installs in a stage on amd64.
fn locked(bench: &Bench, stage: &str) -> Vec<toml::Table> {
    let mut rpms = bench.locked("rpm");
    rpms.retain(|rpm| harness::is_on(rpm, stage, "linux/amd64"));
    rpms
}

fn nevra(rpm: &toml::Table) -> String {
    format!(
        "{}-{}.{}",
        text(rpm, "name"),
        text(rpm, "evr"),
        text(rpm, "arch")
    )
}

/// Returns the packages that real rpm finds in a root, but for the keys it keeps as packages.
fn packages(root: &Path) -> BTreeSet<String> {
    let done = rpm(root, &["-qa", "--qf", NEVRA]).ok();
    done.out
        .lines()
        .filter(|line| !line.starts_with("gpg-pubkey"))
        .map(str::to_owned)
        .collect()
}

/// Writes the base's database where rpm finds it, and returns that root.
fn base_root(bench: &Bench) -> tempfile::TempDir {
    let base = Layout::open(&bench.standin.folder.join("base-x86_64"));
    let folder = harness::scratch();
    for layer in &base.images()[0].layers {
        let tar = base.tar(layer);
        for entry in tar::Archive::new(tar.as_slice()).entries().expect("a tar") {
            let mut entry = entry.expect("an entry");
            if entry
                .path()
                .expect("a path")
                .ends_with("var/lib/rpm/rpmdb.sqlite")
            {
                fs::create_dir_all(folder.path().join("var/lib/rpm")).expect("a folder");
                entry
                    .unpack(folder.path().join("var/lib/rpm/rpmdb.sqlite"))
                    .expect("written");
            }
        }
    }
    folder
}

fn check_database(what: Made, stage: &str) {
    let Some(bench) = bench() else { return };
    let root = Root::unpack(bench, what);
    let base = base_root(bench);
    let installed = locked(bench, stage);
    assert!(!installed.is_empty());
    let mut wanted = packages(base.path());
    assert!(wanted.len() > 50, "the base's own list: {wanted:?}");
    wanted.extend(installed.iter().map(nevra));
    assert_eq!(packages(&root.path()), wanted);

    let names: Vec<String> = installed.iter().map(|rpm| text(rpm, "name")).collect();
    let mut arguments = vec!["-V", "--noscripts"];
    arguments.extend(names.iter().map(String::as_str));
    let verified = root.rpm(&arguments);
    assert!(
        verified.code == Some(0) && verified.text().is_empty(),
        "rpm -V is not clean: {verified}"
    );
    // rpm would notice: one byte of one of our files.
    let first = root.rpm(&["-ql", "python3.11-libs"]).ok();
    let victim = first
        .out
        .lines()
        .find(|path| path.ends_with("/os.py"))
        .expect("python has an os.py")
        .to_owned();
    fs::write(root.path().join(&victim[1..]), "# broken").expect("written");
    assert!(
        root.rpm(&["-V", "--noscripts", "python3.11-libs"])
            .out
            .contains(&victim)
    );
}

#[test]
fn rpm_lists_the_base_and_what_was_installed_and_verifies_it() {
    check_database(Made::Amd64, "runtime");
}

#[test]
fn rpm_lists_and_verifies_the_builder_too() {
    check_database(Made::Builder, "builder");
}

#[test]
fn links_of_the_base_are_still_its_links() {
    let Some(bench) = bench() else { return };
    let base = Layout::open(&bench.standin.folder.join("base-x86_64"));
    let root = Root::unpack(bench, Made::Amd64);
    let mut links = 0;
    for layer in &base.images()[0].layers {
        for entry in base
            .entries(layer)
            .into_iter()
            .filter(|entry| entry.kind == '2')
        {
            let now = fs::read_link(root.path().join(&entry.path))
                .unwrap_or_else(|error| panic!("{}: {error}", entry.path));
            assert_eq!(now, Path::new(&entry.link), "{}", entry.path);
            links += 1;
        }
    }
    assert!(links > 20);
    for (link, target) in [
        ("bin", "usr/bin"),
        ("lib64", "usr/lib64"),
        ("sbin", "usr/sbin"),
        ("lib", "usr/lib"),
    ] {
        assert_eq!(
            fs::read_link(root.path().join(link)).expect("a link"),
            Path::new(target)
        );
    }
}

/// Imports everything it is given and says what cannot be.
const IMPORT: &str = "
import importlib, sys
bad = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        bad.append(f'{name}: {error!r}')
print('imported', len(sys.argv) - 1 - len(bad))
sys.exit('\\n'.join(bad) or 0)
";

/// Returns the names that can be imported from a `site-packages`.
fn top_level(site: &Path) -> Vec<String> {
    let importable = |name: &String| {
        let path = site.join(name);
        if path.is_dir() {
            path.join("__init__.py").exists()
        } else {
            name.ends_with(".py") || name.ends_with(".so")
        }
    };
    let mut names: Vec<String> = harness::names(site)
        .into_iter()
        .filter(importable)
        .filter_map(|name| Some(name.split('.').next()?.to_owned()))
        .collect();
    names.dedup();
    names
}

#[test]
fn every_package_of_the_venv_can_be_imported_by_the_user_on_a_read_only_root() {
    let Some(bench) = bench() else { return };
    let root = Root::unpack(bench, Made::Amd64);
    let names = top_level(&root.path().join("app/.venv/lib/python3.11/site-packages"));
    for expected in [
        "boto3",
        "cryptography",
        "fastapi",
        "lxml",
        "pydantic_core",
        "requests",
    ] {
        assert!(
            names.iter().any(|name| name == expected),
            "{expected} is not among {names:?}"
        );
    }
    let config = &bench.layout(Made::Amd64).images()[0].config;
    let env: Vec<&str> = config["config"]["Env"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it.as_str())
        .collect();
    let user = config["config"]["User"].as_str().expect("a user");
    let mut program = vec!["python", "-c", IMPORT];
    program.extend(names.iter().map(String::as_str));
    // `python` is found by the image's PATH: the venv's.
    let done = root.run(user, &env, &program).ok();
    assert_eq!(done.text(), format!("imported {}", names.len()));
    let own = root
        .run(
            user,
            &env,
            &["python", "-c", "import src.app, sys; print(sys.prefix)"],
        )
        .ok();
    assert_eq!(own.text(), "/app/.venv");
    let write = root.run(user, &env, &["sh", "-c", "echo > /app/x"]);
    assert!(
        write.err.contains("Read-only file system"),
        "the root can be written: {write}"
    );
}

#[test]
fn every_wheel_of_the_lock_is_there_in_its_version() {
    let Some(bench) = bench() else { return };
    let root = Root::unpack(bench, Made::Amd64);
    let metadata =
        "import importlib.metadata as m\nfor d in m.distributions(): print(d.name, d.version)";
    let user = "1000:1000";
    let done = root
        .run(user, &[], &["/app/.venv/bin/python", "-c", metadata])
        .ok();
    let normal = |name: &str| name.to_lowercase().replace(['_', '.'], "-");
    let found: BTreeMap<String, String> = done
        .out
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| (normal(name), version.to_owned()))
        .collect();
    let wheels = bench
        .locked("wheel")
        .into_iter()
        .filter(|wheel| harness::is_on(wheel, "platforms", "linux/amd64"));
    let wanted: BTreeMap<String, String> = wheels
        .map(|wheel| (normal(&text(&wheel, "name")), text(&wheel, "version")))
        .collect();
    assert_eq!(found, wanted);
}

/// A small extension module: it needs the compiler, the linker, the C library's headers and Python's.
const EXTENSION: &str = r#"
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "built", "", -1, methods};
PyMODINIT_FUNC PyInit_built(void) { return PyModule_Create(&module); }
"#;

#[test]
fn the_builder_compiles_what_python_then_imports() {
    let Some(bench) = bench() else { return };
    let root = Root::unpack(bench, Made::Builder);
    let work = root.path().join("work");
    fs::create_dir(&work).expect("a folder");
    fs::write(work.join("built.c"), EXTENSION).expect("written");
    fs::write(
        work.join("hello.c"),
        "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n",
    )
    .expect("written");
    let script = "cd /work && gcc -o hello hello.c && ./hello \
                  && gcc -shared -fPIC $(python3.11-config --includes) -o built.so built.c \
                  && python3.11 -c 'import built; print(built.answer())'";
    let env = ["PATH=/usr/bin:/usr/sbin", "TMPDIR=/work"];
    let done = root.run_writable("0:0", &env, &["sh", "-c", script]).ok();
    assert_eq!(
        done.out.lines().collect::<Vec<_>>(),
        ["hello", "42"],
        "{done}"
    );
}
