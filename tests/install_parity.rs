//! Installing packages leaves the tree and the file states that real rpm leaves, and refuses what rpm refuses.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::install::{Accounts, file, path, unpacked};
use common::on_disk::{Seen, on_disk};
use imgbuild::layer::{Kind, Node, Tree};
use imgbuild::rpm::database::read;
use imgbuild::rpm::file::PackageFile;
use imgbuild::rpm::header::Header;
use imgbuild::rpm::install::{Base, InstallError, Owners, install};
use imgbuild::rpm::selection::Selection;
use imgbuild::rpm::tag;

const EPOCH: &str = "1714521600";

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
    let mut differences = Vec::new();
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
            None if seen.what == "directory" => {}
            None => differences.push(format!("{path} is missing")),
        }
    }
    for path in ours.keys() {
        // The database's own folder is not compared.
        if !theirs.contains_key(path) && path != "/var/lib/rpm" {
            differences.push(format!("{path} is not there with rpm"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
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
    common::say(&format!(
        "{} packages installed, {refusals} refused by both, {compared} paths equal",
        kept.len()
    ));
}
