//! What scriptlets leave in files: alternatives, shells, certificates, caches.

use std::collections::BTreeMap;

use imgbuild::accounts::Accounts;
use imgbuild::layer::node::Kind;
use imgbuild::layer::tree::Stacked;
use imgbuild::layer::{Contents, LayerPath, Node, Tree};
use imgbuild::oci::Digest;
use imgbuild::oci::platform::Arch;
use imgbuild::rpm::effects::recognise::Arguments;
use imgbuild::rpm::effects::scriptlets::judge;
use imgbuild::rpm::effects::{
    Effects, EffectsError, Kind as ScriptKind, Scriptlet, Verdict, apply_after,
};

use super::disk::Bytes;

fn post(body: &str) -> Scriptlet {
    let arguments = Arguments {
        first: 1,
        second: None,
        must_succeed: false,
    };
    let verdict = judge("/bin/sh", body, arguments);
    assert!(
        !matches!(verdict, Verdict::Unknown { .. }),
        "{body}: {verdict:?}"
    );
    Scriptlet {
        package: "test-1-1.noarch".to_owned(),
        name: "test".to_owned(),
        kind: ScriptKind::Post,
        interpreter: "/bin/sh".to_owned(),
        body: body.to_owned(),
        digest: Digest::of(body.as_bytes()),
        woken_by: None,
        verdict,
    }
}

/// A tree of files with these bytes; `->` begins the target of a link, an empty path part makes a folder.
fn tree(bytes: &mut Bytes, files: &[(&str, &str)]) -> Tree {
    files
        .iter()
        .map(|(path, text)| {
            let node = match text.strip_prefix("->") {
                Some(target) => Node::made_symlink(target),
                None if path.ends_with('/') => Node::made_dir(),
                None => bytes.file(text.as_bytes(), 0o755),
            };
            (LayerPath::parse(path).expect(path), node)
        })
        .collect()
}

fn run(
    lower: &[(&str, &str)],
    upper: &[(&str, &str)],
    scripts: &[&str],
) -> Result<Effects, EffectsError> {
    let mut bytes = Bytes::default();
    let (lower, upper) = (tree(&mut bytes, lower), tree(&mut bytes, upper));
    let scripts: Vec<_> = scripts.iter().map(|body| post(body)).collect();
    let accounts = Accounts::parse(b"", b"", None, None);
    let root = Stacked {
        lower: &lower,
        upper: &upper,
    };
    apply_after(&scripts, root, &accounts, Arch::Amd64, &|content| {
        bytes.get(content)
    })
}

/// Shows the tree: links as `->target`, files as their bytes, whiteouts as `gone`, folders as `/`.
fn shown(effects: &Effects) -> BTreeMap<String, String> {
    effects
        .tree
        .iter()
        .map(|(path, node)| {
            let text = match &node.kind {
                Kind::Dir => "/".to_owned(),
                Kind::Symlink(target) => format!("->{}", String::from_utf8_lossy(target)),
                Kind::Whiteout => "gone".to_owned(),
                Kind::File(content) => match effects.contents.get(&content.digest) {
                    Some(imgbuild::layer::content::Location::Inline(bytes)) => {
                        String::from_utf8_lossy(bytes).into_owned()
                    }
                    _ => panic!("{path} has no bytes"),
                },
                other => panic!("{other:?}"),
            };
            (path.to_string(), text)
        })
        .collect()
}

fn wanted(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}

const LD: &str = "/usr/bin/rm -f /usr/bin/ld\n/usr/sbin/alternatives --install /usr/bin/ld ld \\\n  \
    /usr/bin/ld.bfd 50\n/usr/sbin/alternatives --install /usr/bin/ld ld \\\n  /usr/bin/ld.gold 30";

#[test]
fn alternatives_are_links_and_a_state() {
    let base = [("etc/alternatives/", ""), ("var/lib/alternatives/", "")];
    let effects = run(&base, &[], &[LD]).expect("works");
    assert_eq!(
        shown(&effects),
        wanted(&[
            ("/etc/alternatives/ld", "->/usr/bin/ld.bfd"),
            ("/usr", "/"),
            ("/usr/bin", "/"),
            ("/usr/bin/ld", "->/etc/alternatives/ld"),
            (
                "/var/lib/alternatives/ld",
                "auto\n/usr/bin/ld\n\n/usr/bin/ld.bfd\n50\n/usr/bin/ld.gold\n30\n"
            ),
        ])
    );
}

#[test]
fn followers_come_with_the_choice_and_go_with_it() {
    let low = "alternatives --install /usr/bin/node node /usr/bin/node-18 18 --slave /usr/bin/npm npm /usr/bin/npm-18";
    let high = "alternatives --install /usr/bin/node node /usr/bin/node-20 20 --family node20";
    let base = [
        ("usr/", ""),
        ("usr/bin/", ""),
        ("bin", "->usr/bin"),
        ("etc/", ""),
        ("etc/alternatives/", ""),
        ("var/lib/alternatives/", ""),
    ];
    let effects = run(&base, &[], &[low]).expect("works");
    assert_eq!(shown(&effects)["/usr/bin/npm"], "->/etc/alternatives/npm");
    assert_eq!(
        shown(&effects)["/etc/alternatives/npm"],
        "->/usr/bin/npm-18"
    );
    let effects = run(&base, &[], &[low, high]).expect("works");
    let found = shown(&effects);
    assert_eq!(found["/etc/alternatives/node"], "->/usr/bin/node-20");
    assert!(!found.contains_key("/usr/bin/npm"));
    assert_eq!(
        found["/var/lib/alternatives/node"],
        "auto\n/usr/bin/node\nnpm\n/usr/bin/npm\n\n/usr/bin/node-18\n18\n/usr/bin/npm-18\n/usr/bin/node-20\n\
         @node20@20\n\n"
    );
    // And back again.
    let remove = "alternatives --remove node /usr/bin/node-20";
    let effects = run(&base, &[], &[low, high, remove]).expect("works");
    assert_eq!(shown(&effects)["/usr/bin/npm"], "->/etc/alternatives/npm");
    let both = format!("{remove}\nalternatives --remove node /usr/bin/node-18");
    let effects = run(&base, &[], &[low, high, &both]).expect("works");
    assert_eq!(shown(&effects), BTreeMap::new());
}

#[test]
fn the_state_of_the_base_is_merged_and_a_manual_choice_stays() {
    let state = |mode| format!("{mode}\n/usr/bin/ld\n\n/usr/bin/ld.old\n10\n");
    for (mode, moved) in [("auto", true), ("manual", false)] {
        let state = state(mode);
        let base = [
            ("etc/alternatives/ld", "->/usr/bin/ld.old"),
            ("usr/bin/ld", "->/etc/alternatives/ld"),
            ("var/lib/alternatives/ld", &state),
        ];
        let script = "alternatives --install /usr/bin/ld ld /usr/bin/ld.bfd 50";
        let effects = run(&base, &[], &[script]).expect("works");
        let found = shown(&effects);
        assert_eq!(found.contains_key("/etc/alternatives/ld"), moved);
        assert!(
            found["/var/lib/alternatives/ld"]
                .ends_with("/usr/bin/ld.old\n10\n/usr/bin/ld.bfd\n50\n")
        );
    }
    let broken = [("var/lib/alternatives/ld", "automatic\n")];
    assert!(matches!(
        run(&broken, &[], &[LD]),
        Err(EffectsError::Alternatives(_))
    ));
}

#[test]
fn a_file_of_a_package_is_removed_and_one_of_the_base_is_hidden() {
    let effects = run(&[("a/x", "1")], &[("a/y", "2")], &["rm -f /a/x /a/y /a/z"]).expect("works");
    assert_eq!(shown(&effects), wanted(&[("/a/x", "gone")]));
    assert_eq!(effects.removed, [LayerPath::parse("a/y").expect("a path")]);
    let mut tree: Tree = [(LayerPath::parse("a/y").expect("a path"), Node::made_dir())]
        .into_iter()
        .collect();
    effects.merge_into(&mut tree, &mut Contents::default());
    assert_eq!(tree.len(), 1);
}

#[test]
fn shells_are_added_once() {
    let script = "echo /bin/zsh >> /etc/shells";
    let base = [("etc/", ""), ("etc/shells", "/bin/sh")];
    let effects = run(&base, &[], &[script, script]).expect("works");
    assert_eq!(
        shown(&effects),
        wanted(&[("/etc/shells", "/bin/sh\n/bin/zsh\n")])
    );
}

#[test]
fn conditions_are_asked_of_the_image() {
    let script =
        "[ -x /usr/bin/there ] || exit 0\nmkdir -p /made\n[ -f /bin/there ] && ln -sfn b /made/a";
    let base = [("usr/bin/there", ""), ("bin", "->usr/bin")];
    let effects = run(&base, &[], &[script]).expect("works");
    assert_eq!(
        shown(&effects),
        wanted(&[("/made", "/"), ("/made/a", "->b")])
    );
    assert!(shown(&run(&[], &[], &[script]).expect("works")).is_empty());
}

#[test]
fn certificates_that_would_have_to_be_extracted_are_an_error() {
    let extracted = ("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "x");
    let script = "/usr/bin/update-ca-trust";
    assert!(run(&[extracted], &[], &[script]).is_ok());
    let anchor = ("etc/pki/ca-trust/source/anchors/corp.pem", "y");
    for (lower, upper) in [(vec![], vec![]), (vec![extracted], vec![anchor])] {
        assert!(matches!(
            run(&lower, &upper, &[script]),
            Err(EffectsError::TrustStore { .. })
        ));
    }
}

#[test]
fn a_cache_of_gconv_modules_is_emptied_so_that_new_modules_count() {
    let cache = ("usr/lib64/gconv/gconv-modules.cache", "old");
    let base = [("usr/lib64/gconv/", ""), cache];
    let effects = run(&base, &[], &["/usr/sbin/iconvconfig || :"]).expect("works");
    assert_eq!(
        shown(&effects),
        wanted(&[("/usr/lib64/gconv/gconv-modules.cache", "")])
    );
}
