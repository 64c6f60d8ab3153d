//! Tests of .repo files, variables, mirror lists and URLs.

use super::*;

fn variables() -> BTreeMap<String, String> {
    [
        ("releasever", "2023.12.20260831"),
        ("basearch", "x86_64"),
        ("awsregion", "eu-west-1"),
        ("empty", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[test]
fn a_repo_file_is_read_as_dnf_reads_it() {
    let text = "\
# comment
[main]
keepcache=1

[amazonlinux]
name=Amazon Linux 2023 repository
mirrorlist=https://al2023-repos-$awsregion-de612dc2.s3$dualstack.$awsregion.x/core/mirrors/$releasever/$basearch/mirror.list
priority=10
enabled=1
repo_gpgcheck=0
type=rpm
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-amazon-linux-2023
excludepkgs = kernel*, bad
  worse
[source]
enabled = no
baseurl = https://a/$basearch/,https://b/
   https://c/
";
    let repositories =
        parse_repo_file("amazonlinux.repo", text, &variables()).expect("well-formed");
    let [amazon, source] = &repositories[..] else {
        panic!("{repositories:?}")
    };
    assert_eq!(amazon.id, "amazonlinux");
    let mirrorlist = "https://al2023-repos-eu-west-1-de612dc2.s3$dualstack.eu-west-1.x/core/mirrors/2023.12.20260831/x86_64/mirror.list";
    assert_eq!(amazon.mirrorlist.as_deref(), Some(mirrorlist));
    assert_eq!(
        (amazon.enabled, amazon.gpgcheck, amazon.repo_gpgcheck),
        (true, Some(true), Some(false))
    );
    assert_eq!((amazon.priority, amazon.kind.as_deref()), (10, Some("rpm")));
    assert_eq!(amazon.excludepkgs, ["kernel*", "bad", "worse"]);
    assert_eq!(
        amazon.gpgkey,
        ["file:///etc/pki/rpm-gpg/RPM-GPG-KEY-amazon-linux-2023"]
    );
    assert_eq!(
        (source.enabled, source.gpgcheck, source.priority),
        (false, None, 99)
    );
    assert_eq!(
        source.baseurl,
        ["https://a/x86_64/", "https://b/", "https://c/"]
    );
}

#[test]
fn a_malformed_repo_file_is_an_error_that_says_where() {
    for (text, wanted) in [
        ("key=value", "x.repo, line 1"),
        ("[a]\nnonsense", "x.repo, line 2"),
        ("[a]\nenabled=maybe", "[a]: enabled is `maybe`"),
        ("[a]\npriority=high", "[a]: priority is `high`"),
    ] {
        let error = parse_repo_file("x.repo", text, &variables())
            .expect_err(text)
            .to_string();
        assert!(error.contains(wanted), "{error}");
    }
    assert_eq!(parse_repo_file("x.repo", "", &variables()), Ok(Vec::new()));
}

#[test]
fn variables_are_substituted_as_dnf_does() {
    for (text, wanted) in [
        ("$basearch", "x86_64"),
        ("${basearch}y", "x86_64y"),
        ("$basearchy", "$basearchy"),
        ("$BASEARCH", "x86_64"),
        ("$", "$"),
        ("a$$b", "a$$b"),
        ("${unknown}", "${unknown}"),
        ("${unknown:-$basearch}", "x86_64"),
        ("${unknown:-${empty:-deep}}", "deep"),
        ("${basearch:+yes}", "yes"),
        ("${unknown:+yes}", ""),
        ("${open", "${open"),
        ("é$basearch-é", "éx86_64-é"),
    ] {
        assert_eq!(substitute(text, &variables()), wanted, "{text}");
    }
    let deep = format!("{}{}", "${a:-".repeat(10_000), "}".repeat(10_000));
    assert!(substitute(&deep, &variables()).len() <= deep.len());
}

#[test]
fn a_mirror_list_may_lack_its_last_newline() {
    let url = "https://cdn.amazonlinux.com/al2023/core/guids/0a/x86_64/";
    assert_eq!(
        parse_mirror_list(url, &variables()),
        Ok(vec![url.to_owned()])
    );
    let several = "# comment\r\nhttps://a/$basearch\r\n\r\nhttp://b/\r\n";
    assert_eq!(
        parse_mirror_list(several, &variables()),
        Ok(vec!["https://a/x86_64".to_owned(), "http://b/".to_owned()])
    );
    assert!(parse_mirror_list("<html>403 Forbidden</html>", &variables()).is_err());
}

#[test]
fn hrefs_may_climb_out_of_their_repository() {
    for (base, href, wanted) in [
        (
            "https://cdn.amazonlinux.com/al2023/core/guids/0a/x86_64/",
            "../../../../blobstore/0b/a-1-1.x86_64.rpm",
            "https://cdn.amazonlinux.com/al2023/blobstore/0b/a-1-1.x86_64.rpm",
        ),
        (
            "https://h/r",
            "repodata/primary.xml.gz",
            "https://h/r/repodata/primary.xml.gz",
        ),
        ("https://h/r/", "../../../x", "https://h/x"),
        (
            "https://h/r/",
            "Packages/libstdc++-1.rpm",
            "https://h/r/Packages/libstdc++-1.rpm",
        ),
        ("https://h/r/", "a:b.rpm", "https://h/r/a:b.rpm"),
        ("https://h/r/", "/a.rpm", "https://h/r/a.rpm"),
        ("https://h/r/", "https://other/a.rpm", "https://other/a.rpm"),
        ("https://h/r/?token=1", "a.rpm", "https://h/r/a.rpm"),
    ] {
        assert_eq!(resolve_href(base, href).expect(href).as_str(), wanted);
    }
    assert!(resolve_href("mailto:a", "x").is_err());
    assert!(resolve_href("no url", "x").is_err());
}
