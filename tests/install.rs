//! Installing packages: paths, owners, conflicts, configuration files and erasures, with packages made for it.

mod common;

use common::install::{Accounts, file, path, unpacked};
use common::package::{File, Package};
use imgbuild::layer::{Kind, Node, Tree};
use imgbuild::rpm::header::Header;
use imgbuild::rpm::install::{Base, InstallError, Installation, install};
use imgbuild::rpm::payload::Unpacked;
use imgbuild::rpm::selection::{FileState, Selection};

fn made(package: &Package) -> Unpacked {
    unpacked(&package.to_bytes(), &Selection::default())
}

fn put(tree: &Tree, packages: &[Package]) -> Result<Installation, InstallError> {
    let packages: Vec<_> = packages.iter().map(made).collect();
    let base = Base {
        tree,
        kept: &[],
        erased: &[],
    };
    install(base, &Accounts::of(&[("www", 33)]), &packages)
}

fn merged_root() -> Tree {
    let nodes = [
        ("usr", Node::made_dir()),
        ("usr/lib64", Node::made_dir()),
        ("lib64", Node::made_symlink("usr/lib64")),
        ("etc", Node::made_dir()),
    ];
    nodes
        .into_iter()
        .map(|(at, node)| (path(at), node))
        .collect()
}

fn listed(tree: &Tree) -> Vec<String> {
    tree.iter().map(|(path, _)| path.to_string()).collect()
}

fn header_of(package: &Package) -> Header {
    made(package).package.header().clone()
}

#[test]
fn no_path_goes_through_a_link_of_the_base_or_of_the_packages() {
    let package = Package::new("glibc")
        .dir("/lib64")
        .file("/lib64/libc.so.6", b"c")
        .symlink("/opt/current", "releases/1")
        .file("/opt/current/data", b"d")
        .dir("/opt/releases/1");
    let installed = put(&merged_root(), &[package]).expect("installs");
    assert_eq!(
        listed(&installed.tree),
        [
            "/opt/current",
            "/opt/releases/1",
            "/opt/releases/1/data",
            "/usr/lib64/libc.so.6"
        ]
    );
    assert_eq!(
        installed.owner_of[&path("usr/lib64/libc.so.6")],
        "glibc-1-1.noarch"
    );
}

#[test]
fn owners_are_looked_up_by_name_and_never_become_root() {
    let mut package = Package::new("web").file("/srv/x", b"x");
    package.files[0].user = "www".to_owned();
    let installed = put(&Tree::default(), &[package.clone()]).expect("installs");
    let meta = &installed.tree.get(&path("srv/x")).expect("there").meta;
    assert_eq!((meta.uid, meta.gid, meta.mtime), (33, 0, 1_600_000_000));
    package.files[0].group = "nobody".to_owned();
    let error = put(&Tree::default(), &[package]).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "web-1-1.noarch: /srv/x belongs to group `nobody`, which does not exist in the image"
    );
}

#[test]
fn equal_files_are_shared_and_different_ones_conflict() {
    let one = Package::new("one").file("/opt/x", b"same");
    let mut two = Package::new("two").file("/opt/x", b"same");
    two.files[0].mtime = 7;
    let installed = put(&Tree::default(), &[one.clone(), two]).expect("installs");
    assert_eq!(
        installed
            .tree
            .get(&path("opt/x"))
            .expect("there")
            .meta
            .mtime,
        7
    );
    let mut other_mode = Package::new("two").file("/opt/x", b"same");
    other_mode.files[0].mode = 0o100_755;
    for other in [Package::new("two").file("/opt/x", b"other"), other_mode] {
        let error = put(&Tree::default(), &[one.clone(), other]).expect_err("refused");
        let wanted =
            "/opt/x conflicts: one-1-1.noarch and two-1-1.noarch both hold it, and not the same";
        assert_eq!(error.to_string(), wanted);
    }
    let mut ghost = Package::new("two").file("/opt/x", b"");
    ghost.files[0].flags = 64;
    put(&Tree::default(), &[one, ghost]).expect("a ghost conflicts with nothing");
}

#[test]
fn what_is_left_out_is_recorded_as_such() {
    let mut package = Package::new("p")
        .dir("/usr/share/doc/p")
        .file("/usr/share/doc/p/README", b"r")
        .file("/var/ghost", b"")
        .file("/usr/share/locale/de/p.mo", b"de");
    package.files[1].flags = 2;
    package.files[2].flags = 64;
    package.files[3].languages = "de".to_owned();
    let selection = Selection {
        languages: Some(vec!["en".to_owned()]),
        ..Selection::default()
    };
    let packages = [unpacked(&package.to_bytes(), &selection)];
    let base = Base {
        tree: &Tree::default(),
        kept: &[],
        erased: &[],
    };
    let installed = install(base, &Accounts::of(&[]), &packages).expect("installs");
    let left_out = FileState::NotInstalled;
    // The directory goes with the last of its files; a ghost counts as installed though it is not there.
    assert_eq!(
        installed.file_states,
        [[left_out, left_out, FileState::Normal, left_out]]
    );
    assert!(installed.tree.is_empty());
}

#[test]
fn modes_links_devices_and_capabilities_are_kept() {
    let mut package = Package::new("p")
        .file("/usr/bin/su", b"su")
        .file("/usr/bin/ping", b"ping")
        .dir("/tmp")
        .with(File {
            path: "/dev/null".to_owned(),
            mode: 0o020_666,
            rdev: 0x103,
            user: "root".to_owned(),
            group: "root".to_owned(),
            ..File::default()
        });
    package.files[0].mode = 0o104_755;
    package.files[1].capabilities = "cap_net_raw=ep".to_owned();
    package.files[2].mode = 0o041_777;
    for (name, carries) in [("/opt/z", true), ("/opt/b", false), ("/opt/m", false)] {
        let mut link = File::regular(name, b"links");
        link.inode = 5;
        link.is_empty_in_archive = !carries;
        package.files.push(link);
    }
    let installed = put(&Tree::default(), &[package]).expect("installs");
    let get = |at: &str| installed.tree.get(&path(at)).expect(at);
    assert_eq!(get("usr/bin/su").meta.mode, 0o4755);
    assert_eq!(get("tmp").meta.mode, 0o1777);
    assert_eq!(
        get("usr/bin/ping").meta.xattrs[&b"security.capability"[..]].len(),
        20
    );
    assert_eq!(
        get("dev/null").kind,
        Kind::CharDevice { major: 1, minor: 3 }
    );
    assert!(
        matches!(get("opt/b").kind, Kind::File(_)),
        "the bytewise first name"
    );
    assert_eq!(get("opt/m").kind, Kind::Hardlink(path("opt/b")));
    assert_eq!(get("opt/z").kind, Kind::Hardlink(path("opt/b")));
}

#[test]
fn configuration_that_was_changed_is_kept() {
    const CONFIG: u32 = 1;
    const NOREPLACE: u32 = 16;
    let config = |data: &[u8], flags| {
        let mut package = Package::new("p").file("/etc/p.conf", data);
        package.files[0].flags = flags;
        package
    };
    let old = header_of(&config(b"old", CONFIG));
    let names = |disk: &[u8], erased: &[Header], new: &Package| {
        let mut tree = merged_root();
        tree.insert(path("etc/p.conf"), file(disk));
        let base = Base {
            tree: &tree,
            kept: &[],
            erased,
        };
        let installed = install(base, &Accounts::of(&[]), &[made(new)]).expect("installs");
        listed(&installed.tree).join(" ")
    };
    let upgrade = [old];
    let (new, new_kept) = (config(b"new", CONFIG), config(b"new", CONFIG | NOREPLACE));
    // Nobody owned it.
    assert_eq!(names(b"mine", &[], &new), "/etc/p.conf /etc/p.conf.rpmorig");
    assert_eq!(names(b"mine", &[], &new_kept), "/etc/p.conf.rpmnew");
    assert_eq!(names(b"new", &[], &new_kept), "/etc/p.conf");
    // An older version owned it.
    assert_eq!(names(b"old", &upgrade, &new), "/etc/p.conf");
    assert_eq!(names(b"old", &upgrade, &new_kept), "/etc/p.conf");
    assert_eq!(
        names(b"mine", &upgrade, &new),
        "/etc/p.conf /etc/p.conf.rpmsave"
    );
    assert_eq!(names(b"mine", &upgrade, &new_kept), "/etc/p.conf.rpmnew");
    assert_eq!(names(b"mine", &upgrade, &config(b"old", CONFIG)), "");
}

#[test]
fn files_that_only_erased_packages_owned_are_whited_out() {
    let old = Package::new("curl-minimal")
        .dir("/usr/lib64/curl")
        .file("/usr/lib64/curl/a", b"a")
        .file("/usr/bin/curl", b"old")
        .file("/usr/share/shared", b"s")
        .file("/usr/share/gone", b"g");
    let stays = Package::new("stays").file("/usr/share/shared", b"s");
    let new = Package::new("curl").file("/usr/bin/curl", b"new");
    let mut tree = merged_root();
    let base = put(&tree, &[old.clone(), stays.clone()]).expect("installs");
    tree.apply(base.tree);
    let (kept, erased) = ([header_of(&stays)], [header_of(&old)]);
    let base = Base {
        tree: &tree,
        kept: &kept,
        erased: &erased,
    };
    let installed = install(base, &Accounts::of(&[]), &[made(&new)]).expect("installs");
    let shown: Vec<String> = installed
        .tree
        .iter()
        .map(|(path, node)| {
            format!(
                "{path}{}",
                if node.kind == Kind::Whiteout {
                    " gone"
                } else {
                    ""
                }
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "/usr/bin/curl",
            "/usr/lib64/curl gone",
            "/usr/share/gone gone"
        ]
    );
    // And without its erasure it is a conflict that names both.
    let base = Base {
        tree: &tree,
        kept: &erased,
        erased: &[],
    };
    let error = install(base, &Accounts::of(&[]), &[made(&new)]).expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("curl-minimal-1-1.noarch and curl-1-1.noarch"),
        "{error}"
    );
}

#[test]
fn a_file_never_takes_the_place_of_a_directory_or_of_its_parents() {
    let error = put(&merged_root(), &[Package::new("p").file("/usr", b"x")]).expect_err("refused");
    assert!(
        matches!(error, InstallError::OverDirectory { .. }),
        "{error}"
    );
    let mut tree = merged_root();
    tree.insert(path("opt"), file(b"x"));
    let error = put(&tree, &[Package::new("p").file("/opt/x", b"x")]).expect_err("refused");
    assert!(matches!(error, InstallError::Parent { .. }), "{error}");
}
