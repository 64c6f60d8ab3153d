//! Which wheels a lock means: what is refused and why, without network.

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::oci::Arch;
use imgbuild::python::pyproject::Pyproject;
use imgbuild::python::select::{Options, SelectError, Target, select};
use imgbuild::python::stale;
use imgbuild::python::uv_lock::UvLock;

const HASH: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn target(arch: Arch) -> Target {
    Target {
        python: "3.11.2".parse().unwrap(),
        glibc: (2, 34),
        arch,
    }
}

/// A package of the index with these wheels, by what follows the version in their names.
fn package(name: &str, version: &str, tags: &[&str], more: &str) -> String {
    let wheels: String = tags
        .iter()
        .map(|tag| {
            let file = format!("{name}-{version}-{tag}.whl");
            format!("{{ url = \"https://files/{file}\", hash = \"{HASH}\", size = 1 }}, ")
        })
        .collect();
    format!(
        "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\
         source = {{ registry = \"https://pypi.org/simple\" }}\nwheels = [{wheels}]\n{more}\n"
    )
}

fn lock(head: &str, project: &str, packages: &[String]) -> UvLock {
    let text = format!(
        "version = 1\n{head}\n[[package]]\nname = \"svc\"\nversion = \"1\"\nsource = {{ editable = \".\" }}\n{project}\n{}",
        packages.concat()
    );
    UvLock::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn names(lock: &UvLock, options: &Options) -> Result<Vec<String>, SelectError> {
    let selected = select(lock, &target(Arch::Amd64), options)?;
    Ok(selected.iter().map(|it| it.filename.to_string()).collect())
}

fn error(lock: &UvLock, options: &Options) -> String {
    let error = names(lock, options).unwrap_err();
    assert_eq!(error.class(), Class::Usage);
    assert!(error.hint().is_some());
    error.to_string()
}

const ANY: &[&str] = &["py3-none-any"];

#[test]
fn edges_are_followed_where_their_marker_holds() {
    let lock = lock(
        "",
        "dependencies = [{ name = \"a\" }, { name = \"b\", marker = \"sys_platform == 'win32'\" }, \
         { name = \"c\", extra = [\"x\"] }]",
        &[
            package("a", "1", ANY, ""),
            package("b", "1", &["cp311-cp311-win32"], ""),
            package(
                "c",
                "1",
                ANY,
                "[package.optional-dependencies]\nx = [{ name = \"d\" }]\ny = [{ name = \"b\" }]",
            ),
            package(
                "d",
                "1",
                ANY,
                "dependencies = [{ name = \"c\" }, { name = \"a\" }]",
            ),
            package("unreached", "1", &[], ""),
        ],
    );
    assert_eq!(
        names(&lock, &Options::default()).unwrap(),
        [
            "a-1-py3-none-any.whl",
            "c-1-py3-none-any.whl",
            "d-1-py3-none-any.whl"
        ]
    );
}

#[test]
fn the_best_wheel_is_taken_and_the_first_among_equals() {
    let tags = [
        "py3-none-any",
        "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux_2_35_x86_64",
        "cp311-cp311-musllinux_1_2_x86_64",
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux_2_28_aarch64",
    ];
    let lock = lock(
        "",
        "dependencies = [{ name = \"a\" }]",
        &[package("a", "1", &tags, "")],
    );
    let pick = |target: &Target| {
        let selected = select(&lock, target, &Options::default()).unwrap();
        selected[0].filename.to_string()
    };
    assert_eq!(
        pick(&target(Arch::Amd64)),
        "a-1-cp311-cp311-manylinux_2_28_x86_64.whl"
    );
    assert_eq!(
        pick(&target(Arch::Arm64)),
        "a-1-cp311-cp311-manylinux_2_28_aarch64.whl"
    );
    let old = Target {
        glibc: (2, 26),
        ..target(Arch::Amd64)
    };
    assert_eq!(
        pick(&old),
        "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    );
}

#[test]
fn a_missing_wheel_names_the_package_the_platform_and_what_there_is() {
    let tags = ["cp312-cp312-manylinux_2_28_x86_64", "cp311-cp311-win32"];
    let lock = lock(
        "",
        "dependencies = [{ name = \"a\" }]",
        &[package("a", "1", &tags, "")],
    );
    assert_eq!(
        error(&lock, &Options::default()),
        "a 1: no wheel for CPython 3.11 on linux/amd64 with glibc 2.34; there are \
         a-1-cp312-cp312-manylinux_2_28_x86_64.whl, a-1-cp311-cp311-win32.whl"
    );
}

#[test]
fn what_would_have_to_be_built_is_refused_with_a_way_out() {
    let sources = [
        (
            "{ git = \"https://x/b?tag=v1#0123\" }",
            "its source (`git`) has to be built",
        ),
        (
            "{ directory = \"b\" }",
            "its source (`directory`) has to be built",
        ),
        (
            "{ editable = \"b\" }",
            "its source (`editable`) has to be built",
        ),
        (
            "{ path = \"b.tar.gz\" }",
            "its source (`path`) has to be built",
        ),
        ("{ registry = \"https://x\" }", "only a source distribution"),
        (
            "{ url = \"https://x/b.tar.gz\" }",
            "only a source distribution",
        ),
    ];
    for (source, reason) in sources {
        let package = format!("[[package]]\nname = \"b\"\nversion = \"1\"\nsource = {source}\n");
        let lock = lock("", "dependencies = [{ name = \"b\" }]", &[package]);
        let error = error(&lock, &Options::default());
        assert!(
            error.starts_with("b 1: ") && error.contains(reason),
            "{error}"
        );
        let without = Options {
            without: ["b".parse().unwrap()].into(),
            ..Options::default()
        };
        assert_eq!(names(&lock, &without), Ok(vec![]));
    }
}

#[test]
fn wheels_without_a_strong_digest_or_of_another_package_are_refused() {
    for (from, to, reason) in [
        (HASH, "md5:00", "wanted sha256"),
        (HASH, "", "wanted sha256"),
        ("files/a-1", "files/b-1", "of another package"),
        ("files/a-1", "files/a-2", "of another package"),
        ("https://files/", "files/", "is a local file"),
    ] {
        let package = package("a", "1", ANY, "").replace(from, to);
        let lock = lock("", "dependencies = [{ name = \"a\" }]", &[package]);
        let error = error(&lock, &Options::default());
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_lock_for_other_pythons_or_platforms_is_refused() {
    let other = lock("requires-python = \">=3.12\"", "", &[]);
    assert_eq!(
        error(&other, &Options::default()),
        "uv.lock is for Python >=3.12: the image has 3.11.2"
    );
    let other = lock(
        "supported-markers = [\"sys_platform == 'darwin'\"]",
        "",
        &[],
    );
    assert!(error(&other, &Options::default()).contains("does not hold on linux/amd64"));
}

#[test]
fn forks_are_told_apart_by_edges_or_by_their_own_markers() {
    let packages = [
        package(
            "a",
            "1",
            ANY,
            "resolution-markers = [\"python_full_version < '3.11.3'\"]",
        ),
        package(
            "a",
            "2",
            ANY,
            "resolution-markers = [\"python_full_version >= '3.11.3'\"]",
        ),
    ];
    let by_marker = lock("", "dependencies = [{ name = \"a\" }]", &packages);
    assert_eq!(
        names(&by_marker, &Options::default()).unwrap(),
        ["a-1-py3-none-any.whl"]
    );
    let by_edge = lock(
        "",
        "dependencies = [{ name = \"a\", version = \"2\" }]",
        &packages,
    );
    assert_eq!(
        names(&by_edge, &Options::default()).unwrap(),
        ["a-2-py3-none-any.whl"]
    );
    let both = lock(
        "",
        "dependencies = [{ name = \"a\", version = \"1\" }, { name = \"a\", version = \"2\" }]",
        &packages,
    );
    assert_eq!(
        error(&both, &Options::default()),
        "a is needed as 1 and as 2 at once"
    );
    let dangling = lock(
        "",
        "dependencies = [{ name = \"a\", version = \"3\" }]",
        &packages,
    );
    assert!(error(&dangling, &Options::default()).contains("svc depends on `a`"));
}

#[test]
fn extras_groups_and_projects_must_exist() {
    let lock = lock("", "dependencies = []", &[package("a", "1", ANY, "")]);
    let wanted = |options: Options| error(&lock, &options);
    assert!(
        wanted(Options {
            extras: ["x".parse().unwrap()].into(),
            ..Options::default()
        })
        .contains("no extra `x`")
    );
    assert!(
        wanted(Options {
            groups: ["x".parse().unwrap()].into(),
            ..Options::default()
        })
        .contains("no dependency group `x`")
    );
    assert!(
        wanted(Options {
            project: Some("a".parse().unwrap()),
            ..Options::default()
        })
        .contains("no local project `a`")
    );
    let empty = UvLock::parse("version = 1").unwrap();
    assert_eq!(
        error(&empty, &Options::default()),
        "uv.lock holds no local project"
    );
}

#[test]
fn conflicting_extras_are_refused_together_and_taken_alone() {
    let lock = lock(
        "conflicts = [[{ package = \"svc\", extra = \"x\" }, { package = \"svc\", extra = \"y\" }]]",
        "dependencies = [{ name = \"a\", version = \"1\", marker = \"extra == 'extra-3-svc-x'\" }, \
         { name = \"a\", version = \"2\", marker = \"extra != 'extra-3-svc-x'\" }]\n\
         [package.optional-dependencies]\nx = [{ name = \"a\", version = \"1\" }]\ny = [{ name = \"a\", version = \"2\" }]",
        &[package("a", "1", ANY, ""), package("a", "2", ANY, "")],
    );
    let with = |extras: &[&str]| Options {
        extras: extras.iter().map(|it| it.parse().unwrap()).collect(),
        ..Options::default()
    };
    assert_eq!(
        names(&lock, &with(&["x"])).unwrap(),
        ["a-1-py3-none-any.whl"]
    );
    assert_eq!(
        names(&lock, &with(&["y"])).unwrap(),
        ["a-2-py3-none-any.whl"]
    );
    assert_eq!(names(&lock, &with(&[])).unwrap(), ["a-2-py3-none-any.whl"]);
    assert!(error(&lock, &with(&["x", "y"])).contains("conflicting"));
}

#[test]
fn members_of_a_workspace_are_chosen_by_name_or_all_at_once() {
    let lock = UvLock::parse(&format!(
        "version = 1\n[manifest]\nmembers = [\"one\", \"two\"]\n\
         [[package]]\nname = \"one\"\nversion = \"1\"\nsource = {{ editable = \"one\" }}\ndependencies = [{{ name = \"a\" }}]\n\
         [[package]]\nname = \"two\"\nversion = \"1\"\nsource = {{ virtual = \"two\" }}\ndependencies = [{{ name = \"b\" }}]\n{}{}",
        package("a", "1", ANY, ""),
        package("b", "1", ANY, "")
    ))
    .unwrap();
    let project = |name: &str| Options {
        project: Some(name.parse().unwrap()),
        ..Options::default()
    };
    assert_eq!(
        names(&lock, &project("one")).unwrap(),
        ["a-1-py3-none-any.whl"]
    );
    assert_eq!(
        names(&lock, &project("two")).unwrap(),
        ["b-1-py3-none-any.whl"]
    );
    assert_eq!(names(&lock, &Options::default()).unwrap().len(), 2);
}

#[test]
fn a_lock_out_of_step_is_told_from_one_in_step() {
    let text = "version = 1\nrequires-python = \">=3.11, <4\"\n\
         [[package]]\nname = \"svc\"\nversion = \"1\"\nsource = { virtual = \".\" }\n\
         [package.metadata]\nrequires-dist = [\n\
         { name = \"a\", extras = [\"x\", \"y\"], specifier = \">=1,<2\" },\n\
         { name = \"b\", marker = \"python_full_version < '3.12' and extra == 'more'\" },\n\
         { name = \"c\", editable = \"c\" },\n]\n\
         [package.metadata.requires-dev]\ndev = [{ name = \"d\" }, { name = \"e\", specifier = \"==1\" }]\n";
    let lock = UvLock::parse(text).unwrap();
    let good = "[project]\nname = 'SVC'\nrequires-python = '~=3.11'\n\
         dependencies = ['A[y,x]<2,>=1', 'c>=3']\n\
         [project.optional-dependencies]\nmore = [\"b; python_version<'3.12'\"]\n\
         [dependency-groups]\ndev = ['d', {include-group = 'other'}]\nother = ['e==1']\n\
         [tool.uv.sources]\nc = { path = 'c', editable = true }\n";
    // `other` is locked too, as uv does.
    let lock_text = format!("{text}other = [{{ name = \"e\", specifier = \"==1\" }}]\n");
    let full = UvLock::parse(&lock_text).unwrap();
    stale::check(&full, &Pyproject::parse(good).unwrap()).unwrap();
    assert!(stale::check(&lock, &Pyproject::parse(good).unwrap()).is_err());
    for (from, to, reason) in [
        ("'SVC'", "'other'", "does not hold the project `other`"),
        (
            "~=3.11",
            ">=3.12",
            "it is for Python >=3.11, <4, pyproject.toml says >=3.12",
        ),
        ("~=3.11", ">=3.9", "it is for Python"),
        ("'A[y,x]<2,>=1'", "'a[y]>=1,<2'", "have `a[y]<2,>=1`"),
        ("'A[y,x]<2,>=1'", "'a[x,y]>=1'", "have `a[x,y]>=1`"),
        ("'A[y,x]<2,>=1', ", "", "it has `a[x,y]<2,>=1`"),
        ("'3.12'\"", "'3.13'\"", "have `b ; "),
        ("more = ", "less = ", "have `b ; "),
        (
            "'e==1'",
            "'e==2'",
            "the dependencies of group `dev` of pyproject.toml have `e==2`",
        ),
        ("'c>=3'", "'c>=3', 'new'", "have `new`"),
    ] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good);
        let error = stale::check(&full, &Pyproject::parse(&changed).unwrap()).unwrap_err();
        assert!(
            error.to_string().contains(reason),
            "{from}: `{error}` does not say `{reason}`"
        );
        assert_eq!(error.class(), Class::No);
    }
}
