//! Packages of the base are replaced as the recipe says, and what is left is what real rpm leaves.

mod harness;

use std::fs;
use std::process::Command;

use harness::{Bench, Root, installed, needs_root, on_disk, rpm, run, scratch, text};

const RECIPE: &str = r#"
[image]
name = "replaced"

[base]
image = "public.ecr.aws/amazonlinux/amazonlinux:2023"

[runtime]
packages = ["make"]
replace = { curl-minimal = "curl", libcurl-minimal = "libcurl" }
"#;

#[test]
fn a_package_of_the_base_gives_way_as_real_rpm_has_it() {
    let Some(bench) = Bench::open() else {
        return;
    };
    if installed(&["umoci", "rpm", "skopeo"]).is_none()
        || needs_root("umoci gives files their owners").is_none()
    {
        return;
    }
    let scratch = scratch();
    let folder = scratch.path();
    let project = folder.join("project");
    fs::create_dir(&project).expect("a new folder");
    fs::write(project.join("recipe.toml"), RECIPE).expect("written");
    run(bench.imgbuild(&["lock"]).arg(&project)).ok();
    let image = folder.join("image");
    let mut build = bench.imgbuild(&["build", "--tag", "e2e"]);
    run(build.arg(&project).arg("-o").arg(&image)).ok();
    let ours = Root::unpack_layout(&image);

    // The lock says what goes, for a review.
    let lock: toml::Table = fs::read_to_string(project.join("recipe.lock"))
        .expect("a lock")
        .parse()
        .expect("TOML");
    let blocks = |kind: &str| {
        let blocks = lock.get(kind).and_then(toml::Value::as_array);
        let blocks = blocks.unwrap_or_else(|| panic!("no [[{kind}]]"));
        let tables = blocks
            .iter()
            .map(|block| block.as_table().expect("a table").clone());
        tables.collect::<Vec<_>>()
    };
    let erased: Vec<String> = blocks("erased")
        .iter()
        .map(|block| text(block, "name"))
        .collect();
    assert_eq!(erased, ["curl-minimal", "libcurl-minimal"]);

    // The same by rpm, on the base.
    let base = folder.join("base");
    let source = format!("oci:{}", bench.standin.folder.join("base-x86_64").display());
    let target = format!("oci:{}:e2e", base.display());
    run(Command::new("skopeo").args(["copy", "--quiet", &source, &target])).ok();
    let theirs = Root::unpack_layout(&base);
    let mut erase = vec!["-e", "--noscripts", "--nodeps"];
    erase.extend(erased.iter().map(String::as_str));
    theirs.rpm(&erase).ok();
    let files: Vec<String> = blocks("rpm")
        .iter()
        .map(|block| bench.cached(block).display().to_string())
        .collect();
    let mut install = vec![
        "-i",
        "--noscripts",
        "--nodeps",
        "--nosignature",
        "--excludedocs",
    ];
    install.extend(files.iter().map(String::as_str));
    theirs.rpm(&install).ok();

    let names = |root: &Root| {
        let out = root.rpm(&["-qa", "--qf", "%{NEVRA}\\n"]).ok();
        let mut names: Vec<String> = out.text().lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(&ours), names(&theirs));
    for query in [["-ql", "curl"], ["-V", "curl"], ["-V", "libcurl"]] {
        let [ours, theirs] = [&ours, &theirs].map(|root| rpm(&root.path(), &query));
        assert_eq!(ours.text(), theirs.text(), "rpm {query:?}");
    }
    ours.rpm(&["--verifydb"]).ok();

    let [mut found, mut wanted] = [&ours, &theirs].map(|root| on_disk(&root.path()));
    assert!(wanted.contains_key("/usr/bin/curl"), "the root is there");
    // What scriptlets make: here rpm ran none.
    for all in [&mut found, &mut wanted] {
        all.remove("/etc/ld.so.cache");
    }
    for (path, wanted) in &wanted {
        assert_eq!(found.get(path), Some(wanted), "{path}");
    }
    let extra: Vec<&String> = found
        .keys()
        .filter(|path| !wanted.contains_key(*path))
        .collect();
    assert!(extra.is_empty(), "rpm leaves no {extra:?}");
}
