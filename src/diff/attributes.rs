//! What differs between two entries of one path.

use std::collections::{BTreeMap, BTreeSet};

use super::capability;
use super::image::EntryAt;
use super::scan::{Entry, EntryKind};
use super::verdict::{Attribute, Change};
use crate::image::rfc3339;
use crate::layer::LayerPath;
use crate::layer::path::show;
use crate::oci::digest::hex;

/// The extended attribute that holds capabilities.
const CAPABILITY: &[u8] = b"security.capability";

/// How much of an extended attribute is shown, in bytes.
const SHOWN: usize = 64;

/// Which names are one file, on each side.
pub(super) struct Links<'a> {
    /// The names of the group that a name is in, itself included.
    groups: [BTreeMap<&'a LayerPath, BTreeSet<&'a LayerPath>>; 2],
    /// The paths that each side has at all.
    paths: [BTreeSet<&'a LayerPath>; 2],
}

impl<'a> Links<'a> {
    pub(super) fn of(a: &[(EntryAt, &'a Entry)], b: &[(EntryAt, &'a Entry)]) -> Self {
        Self {
            groups: [groups(a), groups(b)],
            paths: [a, b].map(|side| side.iter().map(|(_, entry)| &entry.path).collect()),
        }
    }

    /// Returns the other names of a file on one side.
    fn others(&self, path: &LayerPath, side: usize) -> Vec<&'a LayerPath> {
        let names = self.groups[side].get(path).into_iter().flatten();
        names.filter(|name| **name != path).copied().collect()
    }

    /// The same without names that only this side has: what was added or removed has its own row.
    fn shared(&self, path: &LayerPath, side: usize) -> Vec<&'a LayerPath> {
        let mut names = self.others(path, side);
        let [own, other] = [&self.paths[side], &self.paths[1 - side]];
        // A name of a layer below is in neither.
        names.retain(|name| other.contains(name) || !own.contains(name));
        names
    }
}

fn groups<'a>(list: &[(EntryAt, &'a Entry)]) -> BTreeMap<&'a LayerPath, BTreeSet<&'a LayerPath>> {
    let mut target: BTreeMap<&LayerPath, &LayerPath> = BTreeMap::new();
    let mut names: BTreeMap<&LayerPath, BTreeSet<&LayerPath>> = BTreeMap::new();
    for (_, entry) in list {
        match &entry.kind {
            EntryKind::Hardlink(to) => {
                // A link to a link is a link to what that is.
                let to = target.get(to).copied().unwrap_or(to);
                target.insert(&entry.path, to);
                names.entry(to).or_default().extend([to, &entry.path]);
            }
            _ => {
                // What was there before is replaced.
                if let Some(old) = target.remove(&entry.path)
                    && let Some(names) = names.get_mut(old)
                {
                    names.remove(&entry.path);
                }
            }
        }
    }
    let mut out = BTreeMap::new();
    for names in names.into_values().filter(|names| names.len() > 1) {
        for name in &names {
            out.insert(*name, names.clone());
        }
    }
    out
}

/// Lists what differs between two entries.
pub(super) fn changes(x: &Entry, y: &Entry, links: &Links<'_>) -> Vec<Change> {
    let mut out = Vec::new();
    let mut differ = |attribute, a: String, b: String| {
        if a != b {
            out.push(Change::new(attribute, Some(a), Some(b)));
        }
    };
    let (a, b) = (kind(x), kind(y));
    if is_marker(x) != is_marker(y) {
        differ(Attribute::Whiteout, a, b);
    } else {
        differ(Attribute::Type, a, b);
    }
    let names = [
        joined(&links.shared(&x.path, 0)),
        joined(&links.shared(&y.path, 1)),
    ];
    let [was, is] = names;
    differ(Attribute::HardLink, was, is);
    match (&x.kind, &y.kind) {
        (EntryKind::File(a), EntryKind::File(b)) => {
            differ(
                Attribute::Content,
                a.digest.to_string(),
                b.digest.to_string(),
            );
            differ(Attribute::Size, a.size.to_string(), b.size.to_string());
        }
        (EntryKind::Symlink(a), EntryKind::Symlink(b)) => {
            differ(Attribute::Link, show(a), show(b));
        }
        _ => {}
    }
    differ(Attribute::Mode, mode(x), mode(y));
    differ(Attribute::Owner, owner(x), owner(y));
    differ(Attribute::Mtime, mtime(x), mtime(y));
    out.extend(xattrs(x, y));
    out.extend(header(x, y, &out));
    out
}

/// Says what an entry is that only one side has.
pub(super) fn only(entry: &Entry, links: &Links<'_>, side: usize) -> Vec<Change> {
    let one = |attribute, text: String| {
        let (a, b) = if side == 0 {
            (Some(text), None)
        } else {
            (None, Some(text))
        };
        Change::new(attribute, a, b)
    };
    if is_marker(entry) {
        return vec![one(Attribute::Whiteout, kind(entry))];
    }
    let mut out = vec![one(Attribute::Type, kind(entry))];
    match &entry.kind {
        EntryKind::File(content) => out.push(one(Attribute::Size, content.size.to_string())),
        EntryKind::Symlink(target) => out.push(one(Attribute::Link, show(target))),
        _ => {}
    }
    let others = links.others(&entry.path, side);
    if !others.is_empty() {
        out.push(one(Attribute::HardLink, joined(&others)));
    }
    if !matches!(entry.kind, EntryKind::Symlink(_)) {
        out.push(one(Attribute::Mode, mode(entry)));
    }
    if (entry.meta.uid, entry.meta.gid) != (0, 0) {
        out.push(one(Attribute::Owner, owner(entry)));
    }
    for (name, value) in &entry.meta.xattrs {
        let (attribute, text) = xattr(name, value);
        out.push(one(attribute, text));
    }
    out
}

fn is_marker(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque)
}

fn kind(entry: &Entry) -> String {
    match &entry.kind {
        // Which of several names carries the content is a matter of the tar; see `HardLink` and `Header`.
        EntryKind::File(_) | EntryKind::Hardlink(_) => "file".to_owned(),
        EntryKind::Dir => "directory".to_owned(),
        EntryKind::Symlink(_) => "symbolic link".to_owned(),
        EntryKind::CharDevice(major, minor) => format!("character device {major}:{minor}"),
        EntryKind::BlockDevice(major, minor) => format!("block device {major}:{minor}"),
        EntryKind::Fifo => "named pipe".to_owned(),
        EntryKind::Whiteout => "whiteout: removes what lies below".to_owned(),
        EntryKind::Opaque => "opaque: hides everything below in it".to_owned(),
    }
}

fn joined(names: &[&LayerPath]) -> String {
    if names.is_empty() {
        return "a file of its own".to_owned();
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    format!("one file with {}", names.join(", "))
}

fn mode(entry: &Entry) -> String {
    format!("{:04o}", entry.meta.mode)
}

fn owner(entry: &Entry) -> String {
    format!("{}:{}", entry.meta.uid, entry.meta.gid)
}

fn mtime(entry: &Entry) -> String {
    // Years that RFC 3339 cannot write come as numbers.
    match entry.meta.mtime {
        seconds @ -62_135_596_800..=253_402_300_799 => rfc3339(seconds),
        seconds => seconds.to_string(),
    }
}

fn xattrs(x: &Entry, y: &Entry) -> Vec<Change> {
    let (a, b) = (&x.meta.xattrs, &y.meta.xattrs);
    let names: BTreeSet<&Vec<u8>> = a.keys().chain(b.keys()).collect();
    names
        .into_iter()
        .filter(|name| a.get(*name) != b.get(*name))
        .map(|name| {
            let shown = |value: Option<&Vec<u8>>| value.map(|value| xattr(name, value));
            let (a, b) = (shown(a.get(name)), shown(b.get(name)));
            let attribute = a
                .as_ref()
                .or(b.as_ref())
                .map_or(Attribute::Xattr, |it| it.0);
            Change::new(attribute, a.map(|it| it.1), b.map(|it| it.1))
        })
        .collect()
}

fn xattr(name: &[u8], value: &[u8]) -> (Attribute, String) {
    if name == CAPABILITY {
        return (Attribute::Capability, capability::shown(value));
    }
    (Attribute::Xattr, format!("{}={}", show(name), short(value)))
}

fn short(value: &[u8]) -> String {
    let is_text = str::from_utf8(value).is_ok_and(|text| !text.chars().any(char::is_control));
    match (value.len() > SHOWN, is_text) {
        (false, true) => show(value),
        (false, false) => format!("0x{}", hex(value)),
        (true, _) => format!("{} bytes, {}", value.len(), crate::oci::Digest::of(value)),
    }
}

/// Lists what differs in how entries are written, and no unpacker makes a difference of.
fn header(x: &Entry, y: &Entry, said: &[Change]) -> Vec<Change> {
    let (a, b) = (&x.form, &y.form);
    if a.digest == b.digest {
        return Vec::new();
    }
    let mut was = Vec::new();
    let mut is = Vec::new();
    let mut differ = |name: &str, a: String, b: String| {
        if a != b {
            was.push(format!("{name} {a}"));
            is.push(format!("{name} {b}"));
        }
    };
    let quoted = |bytes: &[u8]| format!("\"{}\"", show(bytes));
    differ("user name", quoted(&a.uname), quoted(&b.uname));
    differ("group name", quoted(&a.gname), quoted(&b.gname));
    differ("format", a.dialect.to_owned(), b.dialect.to_owned());
    differ("name written", quoted(&x.written), quoted(&y.written));
    if said
        .iter()
        .all(|change| change.attribute != Attribute::HardLink)
    {
        differ("written", carrier(x), carrier(y));
    }
    // Records whose meaning is compared above only count if nothing else says what differs.
    let is_said = |key: &[u8]| {
        matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid")
            || (key == b"mtime" && x.meta.mtime != y.meta.mtime)
            || x.meta
                .xattrs
                .keys()
                .chain(y.meta.xattrs.keys())
                .any(|name| key.ends_with(name))
    };
    let keys: BTreeSet<&Vec<u8>> = a.records.keys().chain(b.records.keys()).collect();
    for key in keys.into_iter().filter(|key| !is_said(key)) {
        let shown = |records: &BTreeMap<Vec<u8>, Vec<u8>>| {
            records
                .get(key)
                .map_or("absent".to_owned(), |value| short(value))
        };
        let name = format!("record {}", show(key));
        differ(&name, shown(&a.records), shown(&b.records));
    }
    if was.is_empty() && said.is_empty() {
        // The same in meaning, in other bytes: how numbers are written, or fields that nobody reads.
        was.push(format!("header {}", a.digest));
        is.push(format!("header {}", b.digest));
    }
    if was.is_empty() {
        return Vec::new();
    }
    let [was, is] = [was, is].map(|list| Some(list.join(", ")));
    vec![Change::new(Attribute::Header, was, is)]
}

/// Says which of the names of a file this is in the tar.
fn carrier(entry: &Entry) -> String {
    match &entry.kind {
        EntryKind::Hardlink(to) => format!("as a hard link to {to}"),
        _ => "as itself".to_owned(),
    }
}
