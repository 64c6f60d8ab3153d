//! What a walk finds, refuses and leaves out.

use super::*;

fn rule(exclude: &[&str]) -> CopyRule {
    let exclude = exclude.iter().map(|&pattern| pattern.to_owned()).collect();
    CopyRule {
        from: "src".to_owned(),
        to: "/app".to_owned(),
        exclude,
        owner: None,
    }
}

fn names(root: &Path, rule: CopyRule) -> Vec<String> {
    let (list, _) = walk(root, &[rule]).expect("a readable tree");
    list.rules[0]
        .iter()
        .map(|entry| entry.path.to_string())
        .collect()
}

#[test]
fn ignored_files_never_reach_the_listing() {
    let folder = tempfile::tempdir().expect("a folder");
    let src = folder.path().join("src");
    for dir in ["pkg/__pycache__", ".git", "pkg/tests", "deep/.git"] {
        fs::create_dir_all(src.join(dir)).expect("a folder");
    }
    for file in [
        "app.py",
        "app.pyc",
        "pkg/a.py",
        "pkg/__pycache__/a.pyc",
        ".git/HEAD",
        "deep/.git/HEAD",
        "pkg/tests/t.py",
        "notes.txt",
    ] {
        fs::write(src.join(file), file).expect("a file");
    }
    let listed = names(folder.path(), rule(&["tests/", "*.txt", "!notes.txt"]));
    assert_eq!(
        listed,
        ["/", "/app.py", "/deep", "/notes.txt", "/pkg", "/pkg/a.py"]
    );
}

#[test]
fn links_that_lead_out_are_refused_and_others_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let src = folder.path().join("src");
    fs::create_dir_all(src.join("a/b")).expect("a folder");
    std::os::unix::fs::symlink("../b", src.join("a/ok")).expect("a link");
    assert_eq!(
        names(folder.path(), rule(&[])),
        ["/", "/a", "/a/b", "/a/ok"]
    );
    for target in ["/etc/passwd", "../../outside"] {
        let link = src.join("a/bad");
        std::os::unix::fs::symlink(target, &link).expect("a link");
        assert!(
            matches!(
                walk(folder.path(), &[rule(&[])]),
                Err(WalkError::Link { .. })
            ),
            "{target}"
        );
        fs::remove_file(link).expect("removed");
    }
}

#[test]
fn a_rule_that_leads_through_a_link_copies_nothing_of_this_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("/etc", folder.path().join("src")).expect("a link");
    for (from, link) in [("src/ssl", true), ("src", false)] {
        let rule = CopyRule {
            from: from.to_owned(),
            ..rule(&[])
        };
        let error = walk(folder.path(), &[rule]).expect_err(from);
        assert_eq!(
            matches!(error, WalkError::ThroughLink { .. }),
            link,
            "{error}"
        );
    }
}

#[test]
fn an_image_is_not_written_where_the_next_build_would_copy_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    fs::create_dir_all(root.join("src/dist")).expect("a folder");
    let check =
        |exclude: &[&str], output: &str| check_output(root, &[rule(exclude)], &root.join(output));
    assert!(matches!(
        check(&[], "src/out"),
        Err(WalkError::Output { .. })
    ));
    assert!(check(&["/out"], "src/out").is_ok());
    assert!(check(&["dist/"], "src/dist/out").is_ok());
    assert!(check(&[], "out").is_ok());
}

#[test]
fn what_is_missing_or_special_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(
        walk(folder.path(), &[rule(&[])]),
        Err(WalkError::Missing { .. })
    ));
    fs::create_dir(folder.path().join("src")).expect("a folder");
    let _socket =
        std::os::unix::net::UnixListener::bind(folder.path().join("src/socket")).expect("a socket");
    assert!(matches!(
        walk(folder.path(), &[rule(&[])]),
        Err(WalkError::Special(_))
    ));
}
