//! What is on disk after umoci unpacks the image is what RPM headers, wheels and copy rules say, and nothing else.

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use harness::{
    Bench, Entry, Layout, Listed, Made, Root, installed, parse_mtree, run, sha256, text,
};

/// One line for each file of a package, as its header has it; texts have no `|` in them.
const FILES: &str = "[%{FILENAMES}|%{FILEMODES:octal}|%{FILEUSERNAME}|%{FILEGROUPNAME}|%{FILEMTIMES}|%{FILEDIGESTS}|%{FILEFLAGS}|%{FILELINKTOS}\n]";
const CAPABILITIES: &str = "%|FILECAPS?{[%{FILENAMES}|%{FILECAPS}\n]}:{}|";

/// Bits of FILEFLAGS: <https://rpm-software-management.github.io/rpm/manual/tags.html>.
const DOC: u32 = 1 << 1;
const GHOST: u32 = 1 << 6;

/// A file as a package's header has it.
struct Wanted {
    path: String,
    mode: u32,
    user: String,
    group: String,
    mtime: u64,
    digest: String,
    flags: u32,
    link: String,
}

type Tree = BTreeMap<String, Listed>;

fn bench() -> Option<&'static Bench> {
    let bench = Bench::open()?;
    installed(&["rpm", "umoci"])?;
    harness::needs_root("owners and capabilities of unpacked files")?;
    Some(bench)
}

fn query(package: &Path, format: &str) -> String {
    run(Command::new("rpm")
        .args(["-qp", "--nosignature", "--qf", format])
        .arg(package))
    .ok()
    .out
}

fn files_of(package: &Path) -> Vec<Wanted> {
    let out = query(package, FILES);
    let lines = out.lines().filter(|line| line.contains('|'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            let [path, mode, user, group, mtime, digest, flags, link] = fields[..] else {
                panic!("{line}")
            };
            Wanted {
                path: path.to_owned(),
                mode: u32::from_str_radix(mode, 8).expect("octal"),
                user: user.to_owned(),
                group: group.to_owned(),
                mtime: mtime.parse().expect("seconds"),
                digest: digest.to_owned(),
                flags: flags.parse().expect("bits"),
                link: link.to_owned(),
            }
        })
        .collect()
}

/// Returns where a path leads through the links of the image's folders.
fn resolve(tree: &Tree, path: &str) -> String {
    let mut todo: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .rev()
        .map(str::to_owned)
        .collect();
    let mut at: Vec<String> = Vec::new();
    while let Some(part) = todo.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        at.push(part);
        let link = tree
            .get(&at.join("/"))
            .filter(|node| node.kind == "link" && !todo.is_empty());
        if let Some(link) = link.map(|node| node.link.clone()) {
            at.pop();
            if link.starts_with('/') {
                at.clear();
            }
            todo.extend(
                link.split('/')
                    .filter(|part| !part.is_empty() && *part != ".")
                    .rev()
                    .map(str::to_owned),
            );
        }
    }
    at.join("/")
}

/// Returns ids by name from `etc/passwd` or `etc/group` of an unpacked root.
fn ids(root: &Path, file: &str) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(root.join("etc").join(file)).expect("an account file");
    let entry = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

/// Returns the paths of the stand-in's base and their metadata.
fn base_tree(bench: &Bench) -> BTreeMap<String, Entry> {
    let base = Layout::open(&bench.standin.folder.join("base-x86_64"));
    let image = base.images().remove(0);
    image
        .layers
        .iter()
        .flat_map(|layer| base.entries(layer))
        .map(|entry| (entry.path.clone(), entry))
        .collect()
}

/// Compares every file of the packages with what is on disk; returns their paths, and what differs.
fn compare(
    packages: &[PathBuf],
    tree: &Tree,
    root: &Path,
    base: &BTreeMap<String, Entry>,
) -> (BTreeSet<String>, Vec<String>) {
    let (users, groups) = (ids(root, "passwd"), ids(root, "group"));
    let mut owned = BTreeSet::new();
    let mut wrong = Vec::new();
    for package in packages {
        for file in files_of(package) {
            let path = resolve(tree, &file.path);
            owned.insert(path.clone());
            let Some(found) = tree.get(&path) else {
                if file.flags & (DOC | GHOST) == 0 {
                    wrong.push(format!("{path} is not there"));
                }
                continue;
            };
            // What the base has already is the base's: a shared folder, or a file that the package only claims.
            if file.flags & GHOST != 0 || base.contains_key(&path) {
                continue;
            }
            let kind = match file.mode & 0o170_000 {
                0o040_000 => "dir",
                0o120_000 => "link",
                _ => "file",
            };
            let mut check = |what: &str, same: bool| {
                if !same {
                    wrong.push(format!("{path}: {what} differs; on disk: {found:?}"));
                }
            };
            check("kind", found.kind == kind);
            check("mode", kind == "link" || found.mode == file.mode & 0o7777);
            check(
                "owner",
                found.owner == (users[&file.user], groups[&file.group]),
            );
            check("time", found.mtime == file.mtime);
            check("link", kind != "link" || found.link == file.link);
            check(
                "content",
                kind != "file" || found.content == format!("sha256:{}", file.digest),
            );
        }
        for line in query(package, CAPABILITIES).lines() {
            let Some((path, wanted)) = line
                .split_once('|')
                .filter(|(_, wanted)| !wanted.is_empty())
            else {
                continue;
            };
            let found = run(Command::new("getcap").arg(root.join(resolve(tree, path)))).ok();
            if !found.text().ends_with(wanted) {
                wrong.push(format!("{path}: wanted {wanted}, found {}", found.text()));
            }
        }
    }
    (owned, wrong)
}

/// The same, where nothing may differ.
fn check_packages(
    packages: &[PathBuf],
    tree: &Tree,
    root: &Path,
    base: &BTreeMap<String, Entry>,
) -> BTreeSet<String> {
    let (owned, wrong) = compare(packages, tree, root, base);
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    owned
}

#[test]
fn a_planted_difference_from_a_header_is_found() {
    let Some(bench) = bench() else { return };
    let root = Root::unpack(bench, Made::Amd64);
    let (tree, base) = (parse_mtree(&root.mtree()), base_tree(bench));
    let rpm = bench
        .locked("rpm")
        .into_iter()
        .find(|rpm| text(rpm, "name") == "python3.11" && text(rpm, "arch") == "x86_64");
    let package = [bench.cached(&rpm.expect("it is requested"))];
    let victim = "usr/bin/python3.11";
    assert_eq!(compare(&package, &tree, &root.path(), &base).1, [""; 0]);
    type Plant = (&'static str, fn(&mut Listed));
    let plants: [Plant; 5] = [
        ("mode", |file| file.mode ^= 0o020),
        ("owner", |file| file.owner.1 = 1000),
        ("time", |file| file.mtime += 1),
        ("content", |file| file.content.push('0')),
        ("kind", |file| "dir".clone_into(&mut file.kind)),
    ];
    for (what, plant) in plants {
        let mut other = tree.clone();
        plant(other.get_mut(victim).expect("the interpreter"));
        let wrong = compare(&package, &other, &root.path(), &base).1;
        assert!(
            wrong
                .iter()
                .any(|line| line.starts_with(&format!("{victim}: {what} differs"))),
            "{what}: {wrong:?}"
        );
    }
    let mut other = tree.clone();
    other.remove(victim);
    assert_eq!(
        compare(&package, &other, &root.path(), &base).1,
        [format!("{victim} is not there")]
    );
}

/// Paths that no input holds and that are made on purpose; folders above them are theirs.
const MADE: [&str; 12] = [
    "app",
    "app/.venv",
    "app/pyproject.toml",
    "app/src",
    "etc/group",
    "etc/gshadow",
    "etc/ld.so.cache",
    "etc/passwd",
    "etc/shadow",
    "home/appuser",
    "var/lib/rpm/rpmdb.sqlite",
    "var/cache/ldconfig",
];

#[test]
fn files_of_packages_are_as_their_headers_say_and_nothing_else_is_there() {
    let Some(bench) = bench() else { return };
    let root = Root::unpack(bench, Made::Amd64);
    let (tree, base) = (parse_mtree(&root.mtree()), base_tree(bench));
    let installed: Vec<_> = bench
        .locked("rpm")
        .into_iter()
        .filter(|rpm| harness::is_on(rpm, "runtime", "linux/amd64"))
        .collect();
    let packages: Vec<_> = installed.iter().map(|rpm| bench.cached(rpm)).collect();
    let owned = check_packages(&packages, &tree, &root.path(), &base);
    let explained = |path: &str| {
        path.is_empty()
            || base.contains_key(path)
            || owned.contains(path)
            || owned.iter().any(|it| it.starts_with(&format!("{path}/")))
            || MADE
                .iter()
                .any(|made| path == *made || path.starts_with(&format!("{made}/")))
    };
    let strange: Vec<&String> = tree.keys().filter(|path| !explained(path)).collect();
    assert!(strange.is_empty(), "nobody asked for {strange:?}");
    let gone: Vec<&String> = base
        .keys()
        .filter(|path| !tree.contains_key(*path))
        .collect();
    assert!(gone.is_empty(), "of the base, {gone:?} is gone");
}

#[test]
fn capabilities_setuid_bits_and_hard_links_survive() {
    let Some(bench) = bench() else { return };
    if installed(&["getcap"]).is_none() {
        return;
    }
    let folder = harness::scratch();
    let recipe = folder.path().join("recipe.toml");
    let special = "[image]\nname = \"special\"\n[base]\nimage = \"public.ecr.aws/amazonlinux/amazonlinux:2023\"\n\
                [runtime]\npackages = [\"iputils\", \"shadow-utils\", \"tzdata\", \"perl-interpreter\"]\n";
    fs::write(&recipe, special).expect("written");
    run(bench.imgbuild(&["lock"]).arg(&recipe)).ok();
    let image = folder.path().join("image");
    run(bench
        .imgbuild(&["build", "--tag", "e2e"])
        .arg(&recipe)
        .arg("-o")
        .arg(&image))
    .ok();
    let root = Root::unpack_layout(&image);
    let tree = parse_mtree(&root.mtree());
    let lock: toml::Table = fs::read_to_string(folder.path().join("recipe.lock"))
        .expect("a lock")
        .parse()
        .expect("TOML");
    let rpms = lock["rpm"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|rpm| rpm.as_table().expect("a table"));
    let packages: Vec<_> = rpms.map(|rpm| bench.cached(rpm)).collect();
    let base = base_tree(bench);
    check_packages(&packages, &tree, &root.path(), &base);

    let new = || tree.iter().filter(|(path, _)| !base.contains_key(*path));
    let capable: Vec<_> = new()
        .filter(|(_, node)| node.xattrs.keys().any(|name| name.contains("capability")))
        .collect();
    assert!(
        capable.iter().any(|(path, _)| path.ends_with("/ping")),
        "{capable:?}"
    );
    assert!(
        new().any(|(_, node)| node.mode & 0o4000 != 0),
        "no setuid program"
    );
    assert!(
        new().any(|(_, node)| node.kind == "file" && node.names > 1),
        "no hard link"
    );
}

#[test]
fn the_venv_holds_exactly_what_its_records_say() {
    let Some(bench) = bench() else { return };
    let root = Root::unpack(bench, Made::Amd64);
    let tree = parse_mtree(&root.mtree());
    let site = "app/.venv/lib/python3.11/site-packages";
    let mut recorded = BTreeSet::new();
    for name in harness::names(&root.path().join(site))
        .into_iter()
        .filter(|name| name.ends_with(".dist-info"))
    {
        let record = fs::read_to_string(root.path().join(site).join(&name).join("RECORD"))
            .expect("a RECORD");
        for line in record.lines() {
            // path,sha256=…,size; a path with a comma is in quotes, and none has one here.
            let fields: Vec<&str> = line.rsplitn(3, ',').collect();
            let [size, hash, path] = fields[..] else {
                panic!("{name}: {line}")
            };
            let path = resolve(&tree, &format!("{site}/{path}"));
            let found = tree
                .get(&path)
                .unwrap_or_else(|| panic!("{name} records {path}, which is not there"));
            if let Some(hash) = hash.strip_prefix("sha256=") {
                let raw = base64::engine::general_purpose::URL_SAFE_NO_PAD
                    .decode(hash)
                    .expect("base64");
                let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(found.content, format!("sha256:{hex}"), "{path}");
                assert_eq!(found.size, size.parse::<u64>().expect("bytes"), "{path}");
            }
            recorded.insert(path);
        }
    }
    let in_venv = || {
        tree.iter()
            .filter(|(path, _)| path.starts_with("app/.venv/"))
    };
    let unrecorded: Vec<&str> = in_venv()
        .filter(|(path, node)| node.kind != "dir" && !recorded.contains(*path))
        .map(|(path, _)| path.as_str())
        .collect();
    let own = [
        "bin/python",
        "bin/python3",
        "bin/python3.11",
        "lib64",
        "pyvenv.cfg",
    ]
    .map(|name| format!("app/.venv/{name}"));
    assert_eq!(unrecorded, own, "the venv's own files");
    let times: BTreeSet<u64> = in_venv().map(|(_, node)| node.mtime).collect();
    assert_eq!(times.len(), 1, "one time for all we make: {times:?}");
    assert!(
        times.first().is_some_and(|time| *time >= 315_532_800),
        "zipfile refuses times before 1980"
    );
    for (path, node) in in_venv() {
        assert_eq!(
            node.owner,
            (0, 0),
            "{path}: the service must not change its own code"
        );
        let modes: &[u32] = if node.kind == "dir" {
            &[0o755]
        } else {
            &[0o644, 0o755, 0o777]
        };
        assert!(
            modes.contains(&node.mode) && (node.mode != 0o777 || node.kind == "link"),
            "{path}: {:o}",
            node.mode
        );
    }
}

#[test]
fn sources_have_fixed_modes_and_root_owns_them_and_the_user_owns_its_home() {
    let Some(bench) = bench() else { return };
    let root = Root::unpack(bench, Made::Amd64);
    let tree = parse_mtree(&root.mtree());
    for file in harness::files_below(&bench.project.join("src")) {
        let found = &tree[&format!("app/src/{}", file.display())];
        let bytes = fs::read(bench.project.join("src").join(&file)).expect("readable");
        assert_eq!(
            (found.mode, found.owner, &found.content),
            (0o644, (0, 0), &sha256(&bytes)),
            "{}",
            file.display()
        );
    }
    let home = &tree["home/appuser"];
    assert_eq!(
        (home.kind.as_str(), home.mode, home.owner),
        ("dir", 0o700, (1000, 1000))
    );
    assert_eq!(ids(&root.path(), "passwd")["appuser"], 1000);
    for (file, mode) in [
        ("passwd", 0o644),
        ("group", 0o644),
        ("shadow", 0),
        ("gshadow", 0),
    ] {
        let found = &tree[&format!("etc/{file}")];
        assert_eq!((found.mode, found.owner), (mode, (0, 0)), "{file}");
        let text = fs::read_to_string(root.path().join("etc").join(file)).expect("root reads it");
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("appuser:"))
                .count(),
            1,
            "{file}:\n{text}"
        );
    }
}
