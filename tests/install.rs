//! Installing packages gives the tree, the file states and the refusals that real rpm gives.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::package::{File, Package};
use imgbuild::layer::{Kind, LayerPath, Node, Tree};
use imgbuild::oci::Digest;
use imgbuild::rpm::database::read;
use imgbuild::rpm::file::PackageFile;
use imgbuild::rpm::header::Header;
use imgbuild::rpm::install::{Base, InstallError, Installation, Owners, install};
use imgbuild::rpm::payload::{Limits, Unpacked, unpack};
use imgbuild::rpm::selection::{FileState, Selection};
use imgbuild::rpm::tag;

struct Accounts(BTreeMap<String, u32>);

impl Accounts {
    fn of(names: &[(&str, u32)]) -> Self {
        Self(
            names
                .iter()
                .map(|(name, id)| ((*name).to_owned(), *id))
                .collect(),
        )
    }
}

impl Owners for Accounts {
    fn uid(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }

    fn gid(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }
}

fn unpacked(bytes: &Vec<u8>, selection: &Selection) -> Unpacked {
    let package = PackageFile::open(bytes).expect("opens");
    unpack(
        &package,
        bytes,
        selection,
        Limits::default(),
        Box::new(Vec::new()),
    )
    .expect("unpacks")
}

fn made(package: &Package) -> Unpacked {
    unpacked(&package.to_bytes(), &Selection::default())
}

fn path(text: &str) -> LayerPath {
    LayerPath::parse(text).expect(text)
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

fn file(data: &[u8]) -> Node {
    Node::made_file(imgbuild::layer::Content::of(data), 0o644)
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

// ---- Side by side with real rpm ----------------------------------------------------------------------------------

const EPOCH: &str = "1714521600";

/// What a tree holds at a path, as far as rpm decides it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    what: String,
    mode: u32,
    owner: (u32, u32),
    mtime: i64,
    capability: Option<Vec<u8>>,
}

fn on_disk(root: &Path) -> BTreeMap<String, Seen> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let mut found = BTreeMap::new();
    let mut first_names: BTreeMap<u64, String> = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    let mut all = Vec::new();
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.symlink_metadata().expect("is there").is_dir() {
                todo.push(path.clone());
            }
            all.push(path);
        }
    }
    all.sort_by_key(|path| path.as_os_str().as_encoded_bytes().to_vec());
    for path in all {
        use std::os::unix::ffi::OsStrExt;
        let inside = LayerPath::parse(
            path.strip_prefix(root)
                .expect("inside")
                .as_os_str()
                .as_bytes(),
        );
        let name = inside.expect("a path").to_string();
        if name.starts_with("/var/lib/rpm") {
            continue;
        }
        let meta = path.symlink_metadata().expect("is there");
        let kind = meta.file_type();
        let what = if kind.is_dir() {
            "directory".to_owned()
        } else if kind.is_symlink() {
            let target = std::fs::read_link(&path).expect("reads");
            format!("link to {}", target.display())
        } else if kind.is_file() {
            match first_names.get(&meta.ino()).filter(|_| meta.nlink() > 1) {
                Some(first) => format!("same as {first}"),
                None => {
                    first_names.insert(meta.ino(), name.clone());
                    Digest::of(&std::fs::read(&path).expect("reads")).to_string()
                }
            }
        } else {
            format!("special {} {}", kind.is_char_device(), meta.rdev())
        };
        let mut value = [0; 64];
        let capability = rustix::fs::lgetxattr(&path, "security.capability", &mut value[..])
            .ok()
            .map(|length| value[..length].to_vec());
        let is_dir = kind.is_dir();
        let seen = Seen {
            what,
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            // A directory's time changes with what is put into it.
            mtime: if is_dir { 0 } else { meta.mtime() },
            capability,
        };
        found.insert(name, seen);
    }
    found
}

fn in_tree(tree: &Tree) -> BTreeMap<String, Seen> {
    let seen = |node: &Node| Seen {
        what: match &node.kind {
            Kind::Dir => "directory".to_owned(),
            Kind::File(content) => content.digest.to_string(),
            Kind::Symlink(target) => format!("link to {}", String::from_utf8_lossy(target)),
            Kind::Hardlink(first) => format!("same as {first}"),
            Kind::CharDevice { major, minor } => format!("special true {}", major << 8 | minor),
            Kind::BlockDevice { major, minor } => format!("special false {}", major << 8 | minor),
            Kind::Fifo => "special false 0".to_owned(),
            Kind::Whiteout => "whiteout".to_owned(),
        },
        mode: node.meta.mode,
        owner: (node.meta.uid, node.meta.gid),
        mtime: if node.is_dir() { 0 } else { node.meta.mtime },
        capability: node.meta.xattrs.get(&b"security.capability"[..]).cloned(),
    };
    tree.iter()
        .map(|(path, node)| (path.to_string(), seen(node)))
        .collect()
}

fn candidates() -> Vec<PathBuf> {
    let mut found = common::data("rpms").map_or_else(Vec::new, |root| common::packages(&root));
    found.retain(|path| {
        let name = path.to_string_lossy();
        // rpm 4.18 waits for ever for a writer of the fifo that the last of these brings.
        name.ends_with(".rpm")
            && !name.ends_with(".src.rpm")
            && !name.contains("corrupted")
            && !name.contains("rpm-special-files")
    });
    let mut standin = common::standin_packages("x86_64");
    // What the root is made of comes first, as in a real installation.
    standin.sort_by_key(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let rank = ["filesystem-", "setup-", "basesystem-", "glibc-"]
            .iter()
            .position(|start| name.starts_with(start));
        (rank.unwrap_or(9), name)
    });
    standin.retain(|path| std::fs::metadata(path).expect("is there").len() < 4 << 20);
    standin.extend(found);
    standin
}

fn accounts_in(root: &Path) -> Accounts {
    let passwd = std::fs::read_to_string(root.join("etc/passwd")).expect("reads");
    let lines = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((name, fields.nth(1)?.parse().ok()?))
    });
    Accounts(lines.collect())
}

#[test]
fn packages_installed_one_after_the_other_leave_what_rpm_leaves() {
    if !rustix::process::geteuid().is_root() {
        common::skip::<()>("rpm --root needs root");
        return;
    }
    let place = tempfile::tempdir().expect("a directory");
    let root = place.path().join("root");
    std::fs::create_dir_all(root.join("etc")).expect("creates");
    let users = "root:x:0:0::/root:/bin/sh\nmail:x:8:8::/:/bin/sh\nadm:x:4:4::/:/bin/sh\nedge:x:997:997::/:/bin/sh\n";
    std::fs::write(root.join("etc/passwd"), users).expect("writes");
    std::fs::write(root.join("etc/group"), users).expect("writes");
    let accounts = accounts_in(&root);
    let mut tree: Tree = [
        (path("etc"), Node::made_dir()),
        (path("etc/passwd"), file(users.as_bytes())),
        (path("etc/group"), file(users.as_bytes())),
    ]
    .into_iter()
    .collect();
    let mut kept: Vec<Header> = Vec::new();
    let mut states = Vec::new();
    let mut refusals = 0;
    for package in candidates() {
        let name = package.display().to_string();
        let bytes = std::fs::read(&package).expect("reads");
        let file = PackageFile::open(&bytes).expect("opens");
        let has_all_owners = [tag::FILEUSERNAME, tag::FILEGROUPNAME].iter().all(|&tag| {
            let names = file.header().texts(tag);
            names.iter().all(|name| accounts.uid(name).is_some())
        });
        let is_there = kept
            .iter()
            .any(|header| header.name() == file.header().name());
        if !has_all_owners || is_there {
            continue;
        }
        let Some(mut command) = common::rpm("rpm", Path::new("/var/lib/rpm")) else {
            return;
        };
        let output = command
            .env("HOME", place.path())
            .env("SOURCE_DATE_EPOCH", EPOCH)
            .arg("--root")
            .arg(&root)
            .args([
                "-i",
                "--noscripts",
                "--notriggers",
                "--nodeps",
                "--excludedocs",
            ])
            .args(["--ignorearch", "--ignoreos", "--nosignature", "--noplugins"])
            .arg(&package)
            .stdin(Stdio::null())
            .output()
            .expect("runs");
        let theirs = String::from_utf8_lossy(&output.stderr).into_owned();
        let selection = Selection {
            color: 3,
            ..Selection::default()
        };
        let ours = install(
            Base {
                tree: &tree,
                kept: &kept,
                erased: &[],
            },
            &accounts,
            &[unpacked(&bytes, &selection)],
        );
        match (output.status.success(), ours) {
            (true, Ok(installed)) => {
                tree.apply(installed.tree);
                kept.push(file.header().clone());
                states.extend(installed.file_states);
            }
            (false, Err(error)) => {
                assert!(
                    matches!(error, InstallError::Conflict { .. }),
                    "{name}: {error}"
                );
                assert!(theirs.contains("conflicts with file"), "{name}: {theirs}");
                refusals += 1;
            }
            (true, Err(error)) => panic!("{name}: rpm installs it, we say: {error}"),
            (false, Ok(_)) => panic!("{name}: we install it, rpm says: {theirs}"),
        }
    }
    let (theirs, ours) = (on_disk(&root), in_tree(&tree));
    let mut compared = 0;
    for (path, seen) in &theirs {
        match ours.get(path) {
            Some(found) => {
                let is_given = ["/etc", "/etc/passwd", "/etc/group"].contains(&path.as_str());
                assert!(
                    is_given || found == seen,
                    "{path}: rpm {seen:?}, ours {found:?}"
                );
                compared += 1;
            }
            // Parents that no package owns are added when the layer is made.
            None => assert_eq!(seen.what, "directory", "{path} is missing"),
        }
    }
    for path in ours.keys() {
        assert!(theirs.contains_key(path), "{path} is not there with rpm");
    }
    let main = std::fs::read(root.join("var/lib/rpm/rpmdb.sqlite")).expect("rpm wrote it");
    let log = std::fs::read(root.join("var/lib/rpm/rpmdb.sqlite-wal")).ok();
    let database = read(&main, log.as_deref()).expect("reads");
    assert_eq!(database.packages.len(), kept.len());
    for (package, states) in database.packages.iter().zip(&states) {
        let recorded = package
            .header
            .entry(tag::FILESTATES)
            .map_or(&[][..], |entry| package.header.data(entry));
        let states: Vec<u8> = states.iter().map(|&state| state as u8).collect();
        assert_eq!(recorded, states, "{}", package.header.nevra());
    }
    println!(
        "{} packages installed, {refusals} refused by both, {compared} paths equal",
        kept.len()
    );
}
