//! Reads what umoci found on disk after unpacking: an mtree, <https://man.netbsd.org/mtree.5>.

use std::collections::BTreeMap;

/// A path as it is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// `file`, `dir`, `link`, …
    pub(crate) kind: String,
    /// Permission bits.
    pub(crate) mode: u32,
    /// User and group.
    pub(crate) owner: (u64, u64),
    /// Seconds since 1970 UTC.
    pub(crate) mtime: u64,
    /// Bytes.
    pub(crate) size: u64,
    /// How many names the file has.
    pub(crate) names: u64,
    /// `sha256:…` of a file.
    pub(crate) content: String,
    /// Where a symlink leads.
    pub(crate) link: String,
    /// Names and digests of extended attributes.
    pub(crate) xattrs: BTreeMap<String, String>,
}

/// Returns every path, without a leading slash; the root is the empty one.
pub(crate) fn parse(text: &str) -> BTreeMap<String, Listed> {
    let mut defaults = BTreeMap::new();
    let mut folder: Vec<String> = Vec::new();
    let mut out = BTreeMap::new();
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (name, words) = line.split_once(' ').unwrap_or((line, ""));
        let words = words
            .split_whitespace()
            .filter_map(|word| word.split_once('='));
        match name {
            "/set" => defaults.extend(words.map(|(key, value)| (key.to_owned(), value.to_owned()))),
            ".." => {
                folder.pop();
            }
            _ => {
                let mut fields: BTreeMap<String, String> = defaults.clone();
                fields.extend(words.map(|(key, value)| (key.to_owned(), value.to_owned())));
                let name = unescape(name);
                let path: Vec<&str> = folder
                    .iter()
                    .map(String::as_str)
                    .chain([name.as_str()])
                    .filter(|part| *part != ".")
                    .collect();
                let listed = listed(&fields);
                let is_dir = listed.kind == "dir";
                out.insert(path.join("/"), listed);
                if is_dir {
                    folder.push(name);
                }
            }
        }
    }
    out
}

fn listed(fields: &BTreeMap<String, String>) -> Listed {
    let text = |key: &str| fields.get(key).cloned().unwrap_or_default();
    let number = |key: &str| {
        text(key)
            .split('.')
            .next()
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0)
    };
    Listed {
        kind: text("type"),
        mode: u32::from_str_radix(&text("mode"), 8).unwrap_or(0),
        owner: (number("uid"), number("gid")),
        mtime: number("tar_time"),
        size: number("size"),
        names: number("nlink"),
        content: format!("sha256:{}", text("sha256digest")),
        link: unescape(&text("link")),
        xattrs: fields
            .iter()
            .filter_map(|(key, value)| {
                Some((key.strip_prefix("xattr.")?.to_owned(), value.clone()))
            })
            .collect(),
    }
}

/// Undoes `vis`: a backslash and three octal digits stand for one byte.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn an_mtree_as_umoci_writes_it_is_read() {
    let text = "#  machine: x\n\n# .\n/set type=file nlink=1 mode=0664 uid=0 gid=0\n\
                . size=4096 type=dir mode=0755 nlink=3 tar_time=0.000000000\n\
                \x20   bin size=7 type=link mode=0777 link=usr/bin tar_time=1714521600.000000000\n\
                # usr\nusr type=dir mode=0755 tar_time=5.0\n\
                \x20   \\133 size=3 mode=4755 gid=7 tar_time=6.0 sha256digest=ab xattr.security.capability=cd\n\
                # usr/lib\nlib type=dir mode=0555 tar_time=5.0\n..\n..\n..\n";
    let tree = parse(text);
    assert_eq!(
        tree.keys().collect::<Vec<_>>(),
        ["", "bin", "usr", "usr/[", "usr/lib"]
    );
    let test = &tree["usr/["];
    assert_eq!(
        (test.kind.as_str(), test.mode, test.owner, test.mtime),
        ("file", 0o4755, (0, 7), 6)
    );
    assert_eq!(
        (
            test.content.as_str(),
            test.xattrs["security.capability"].as_str()
        ),
        ("sha256:ab", "cd")
    );
    assert_eq!(
        (tree["bin"].link.as_str(), tree["bin"].mtime),
        ("usr/bin", 1_714_521_600)
    );
}
