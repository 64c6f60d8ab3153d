//! The solver beside dnf: the same random goals, the same answers.

mod common;
#[path = "common/standin.rs"]
mod standin;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use imgbuild::rpm::header::Header;
use imgbuild::rpm::package::Package;
use imgbuild::rpm::repodata::{
    add_files, open_compressed, parse_primary, parse_repomd, scan_filelists,
};
use imgbuild::rpm::solve::{Base, Request, Universe, Weak};

/// Goals per repository and setting.
const GOALS: usize = 150;

fn open(repository: &Path, kind: &str) -> Box<dyn std::io::BufRead + Send> {
    let repomd =
        parse_repomd(&fs::read(repository.join("repodata/repomd.xml")).expect("repomd.xml"));
    let record = repomd.expect("well-formed").records[kind].clone();
    let file = BufReader::new(File::open(repository.join(&record.href)).expect(kind));
    open_compressed(file, record.open_size.expect("a size")).expect("known compression")
}

/// Small and repeatable; which numbers does not matter.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

fn goals(packages: &[Package], seed: u64) -> Vec<Vec<String>> {
    let names: Vec<&str> = packages
        .iter()
        .map(|package| &*package.name)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut random = Random(seed);
    let one = |random: &mut Random| names[random.below(names.len())].to_owned();
    (0..GOALS)
        .map(|at| {
            let count = if at % 3 == 0 { 1 } else { 2 + random.below(5) };
            (0..count).map(|_| one(&mut random)).collect()
        })
        .collect()
}

/// Returns the files of the installed packages' database in the first layer of an OCI layout.
fn database(layout: &Path) -> Option<Vec<u8>> {
    let blob = |digest: &str| {
        layout
            .join("blobs/sha256")
            .join(digest.trim_start_matches("sha256:"))
    };
    let json = |path: PathBuf| -> serde_json::Value {
        serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON")
    };
    let index = json(layout.join("index.json"));
    let manifest = json(blob(index["manifests"][0]["digest"].as_str()?));
    let layer = File::open(blob(manifest["layers"][0]["digest"].as_str()?)).expect("a layer");
    let mut archive =
        tar::Archive::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(layer)));
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        if entry.path_bytes().ends_with(b"var/lib/rpm/rpmdb.sqlite") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("readable");
            return Some(bytes);
        }
    }
    None
}

fn installed(database: &Path) -> Vec<Package> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", database.display());
    let database = rusqlite::Connection::open_with_flags(uri, flags).expect("opens");
    let mut rows = database
        .prepare("SELECT blob FROM Packages ORDER BY hnum")
        .expect("has packages");
    let blobs = rows
        .query_map([], |row| row.get::<_, Vec<u8>>(0))
        .expect("rows");
    let read = |blob: Vec<u8>| {
        Package::from_header(&Header::parse(&blob).expect("a header")).expect("a package")
    };
    blobs.map(|blob| read(blob.expect("a blob"))).collect()
}

/// Compares both solvers on random goals; returns how many goals had a solution.
fn compare(name: &str, repository: &Path, base: Option<&Path>, weak: Weak) -> Option<usize> {
    let scratch = tempfile::tempdir().expect("a folder");
    let root = scratch.path().join("root");
    fs::create_dir_all(root.join("var/lib/rpm")).expect("a folder");
    let mut present = Vec::new();
    if let Some(layout) = base {
        let path = root.join("var/lib/rpm/rpmdb.sqlite");
        fs::write(&path, database(layout).expect("a database")).expect("writable");
        present = installed(&path);
    }
    let mut packages = parse_primary(open(repository, "primary"), 0).expect("primary.xml");
    let goals = goals(&packages, 2023);
    let request = |goal: &[String]| {
        let mut request = Request::new("x86_64", goal.iter().cloned());
        request.base = Base::Open;
        request.weak = weak;
        request
    };
    let mut paths = BTreeSet::new();
    {
        let universe = Universe::new(&present, &packages, "x86_64");
        goals
            .iter()
            .for_each(|goal| paths.extend(universe.wanted_paths(&request(goal))));
    }
    let found = scan_filelists(open(repository, "filelists"), &paths).expect("filelists.xml");
    add_files(&mut packages, &found);

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/dnf_goals.py");
    let mut dnf = Command::new("/usr/bin/python3")
        .arg(script)
        .args([repository, &root, scratch.path()])
        .args(["x86_64", if weak == Weak::Install { "1" } else { "0" }])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let lines: String = goals.iter().map(|goal| goal.join("\t") + "\n").collect();
    dnf.stdin
        .take()
        .expect("piped")
        .write_all(lines.as_bytes())
        .ok();
    let output = dnf.wait_with_output().expect("ends");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "dnf: {report}");
    let theirs = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(theirs.lines().count(), goals.len(), "{report}");

    let universe = Universe::new(&present, &packages, "x86_64");
    let started = std::time::Instant::now();
    let (mut solved, mut differences) = (0, Vec::new());
    for (goal, theirs) in goals.iter().zip(theirs.lines()) {
        let ours = universe.solve(&request(goal));
        let theirs = theirs.split_once(' ').unwrap_or((theirs, ""));
        match (&ours, theirs) {
            (Ok(ours), ("OK", answer)) => {
                solved += 1;
                let install = ours
                    .install
                    .iter()
                    .map(|chosen| format!("+{}", chosen.package.nevra()));
                let erase = ours
                    .erase
                    .iter()
                    .map(|package| format!("-{}", package.nevra()));
                let ours: BTreeSet<String> = install.chain(erase).collect();
                let theirs: BTreeSet<String> =
                    answer.split_whitespace().map(str::to_owned).collect();
                if ours != theirs {
                    let only_ours: Vec<_> = ours.difference(&theirs).collect();
                    let only_theirs: Vec<_> = theirs.difference(&ours).collect();
                    differences.push(format!(
                        "{goal:?}: ours {only_ours:?}, dnf's {only_theirs:?}"
                    ));
                }
            }
            (Err(_), ("ERR", _)) => {}
            (ours, theirs) => {
                differences.push(format!("{goal:?}: ours {ours:.300?}, dnf's {theirs:?}"))
            }
        }
    }
    #[expect(
        clippy::print_stdout,
        reason = "the figures are what one runs this for"
    )]
    {
        println!(
            "{name}, {weak:?}: {} goals, {solved} solved, ours {:?}; {report}",
            goals.len(),
            started.elapsed()
        );
    }
    assert!(
        differences.is_empty(),
        "{name}: {} differences\n{}",
        differences.len(),
        differences.join("\n")
    );
    Some(solved)
}

fn has_dnf() -> bool {
    let import = Command::new("/usr/bin/python3")
        .args(["-c", "import dnf"])
        .output();
    import.is_ok_and(|output| output.status.success())
        || common::skip::<()>("no dnf for Debian's python3: apt install dnf").is_some()
}

#[test]
fn random_goals_on_real_metadata_are_answered_as_dnf_answers_them() {
    if !has_dnf() {
        return;
    }
    for name in ["centos-stream-9", "cbl-mariner-2.0"] {
        let Some(repository) = common::data(&format!("repos-derived/{name}")) else {
            return;
        };
        for weak in [Weak::Skip, Weak::Install] {
            let solved = compare(name, &repository, None, weak).expect("dnf runs");
            assert!(
                solved > GOALS / 4,
                "{name}: only {solved} goals had a solution"
            );
        }
    }
}

#[test]
fn random_goals_on_the_standin_and_its_base_are_answered_as_dnf_answers_them() {
    if !has_dnf() {
        return;
    }
    let Some((repository, _)) = standin::repository("x86_64") else {
        return;
    };
    let base = standin::base("x86_64");
    for weak in [Weak::Skip, Weak::Install] {
        for base in [None, Some(base.as_path())] {
            let solved = compare("stand-in", &repository, base, weak).expect("dnf runs");
            assert!(solved > GOALS / 4, "only {solved} goals had a solution");
        }
    }
}

#[test]
fn the_packages_of_a_service_leave_the_base_of_the_standin_as_it_is() {
    let Some((repository, _)) = standin::repository("x86_64") else {
        return;
    };
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("rpmdb.sqlite");
    fs::write(
        &path,
        database(&standin::base("x86_64")).expect("a database"),
    )
    .expect("writable");
    let present = installed(&path);
    let packages = parse_primary(open(&repository, "primary"), 0).expect("primary.xml");
    let universe = Universe::new(&present, &packages, "x86_64");
    let names = |request: &Request| -> BTreeSet<String> {
        assert!(
            universe.wanted_paths(request).is_empty(),
            "no need of filelists"
        );
        let solution = universe.solve(request).expect("solvable");
        assert!(solution.erase.is_empty(), "the base is kept");
        solution
            .install
            .iter()
            .map(|chosen| chosen.package.name.to_string())
            .collect()
    };
    let runtime = names(&Request::new("x86_64", ["python3.11", "curl"]));
    assert!(
        runtime.contains("python3.11") && !runtime.contains("curl"),
        "{runtime:?}"
    );
    let builder = names(&Request::new(
        "x86_64",
        [
            "python3.11",
            "python3.11-devel",
            "python3.11-pip",
            "gcc",
            "make",
        ],
    ));
    for name in [
        "gcc",
        "make",
        "python3.11-devel",
        "annobin-plugin-gcc",
        "glibc-gconv-extra",
        "glibc-devel",
    ] {
        assert!(builder.contains(name), "{name}: {builder:?}");
    }
}
