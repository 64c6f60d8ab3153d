//! Changes to an image, each with what a comparison has to say about it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::picture::{Layer, Picture, gzip};
use crate::sample::{BASE, CAPABILITY, COPY, VENV, bytecode, file, noise, owner, site};
use crate::tarball::{GID, LINK, MINOR, MODE, MTIME, Piece, Tarball, UID, UNAME};
use crate::told::Expected;

/// Numbers that look random, the same for a seed on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `limit`. <https://prng.di.unimi.it/splitmix64.c>
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

type Change = fn(&mut Random, &mut Picture) -> Expected;

/// Every kind of change to what is in an image, and with how many seeds it is tried.
pub(crate) const CHANGES: [(&str, usize, Change); 41] = [
    ("a bit of a file", 12, bit),
    ("a file that grows", 6, grown),
    ("a mode", 12, mode),
    ("a user", 8, user),
    ("a group", 4, group),
    ("an mtime", 8, mtime),
    ("several attributes at once", 8, several),
    ("a capability that is added", 4, capability_added),
    ("a capability that is lost", 2, capability_lost),
    ("another capability", 2, capability_changed),
    ("an extended attribute", 4, xattr),
    ("where a link leads", 2, link),
    ("a file that becomes a link", 4, becomes_link),
    ("a file that is gone", 8, removed),
    ("a file that is new", 8, added),
    ("two entries that change places", 8, swapped),
    ("a hard link that is gone", 2, hard_link_dropped),
    ("a hard link that becomes a copy", 2, hard_link_copied),
    ("an entry that is there twice", 4, duplicated),
    ("a whiteout", 6, whiteout),
    ("an opaque directory", 2, opaque),
    ("the name of an owner", 4, user_name),
    ("a record that nobody heeds", 4, pax_record),
    ("a fraction of a second", 2, fraction),
    ("a name that is written otherwise", 4, written_name),
    ("a field that nobody reads", 4, unread_field),
    ("more zeros at the end of a tar", 2, longer_end),
    ("bytecode of another time", 2, pyc_time),
    ("RECORD in another order", 1, record_order),
    ("another installer", 1, installer),
    ("modes of another umask", 2, umask),
    ("an order of letters", 1, locale),
    ("a variable of the environment", 6, environment),
    ("a label", 4, label),
    ("the command", 2, command),
    ("an unknown field of the config", 2, unknown_field),
    ("the time of creation", 2, created),
    ("white space in the config", 1, white_space),
    ("an annotation", 2, annotation),
    ("how a layer is compressed", 12, compression),
    ("how layers are cut", 6, cut),
];

/// Chooses a layer and the path of one of its entries of a kind.
fn choose(random: &mut Random, picture: &Picture, kinds: &[u8]) -> (usize, String) {
    let layer = random.below(picture.layers.len());
    let tarball = picture.layers[layer].tarball();
    let is_special = |path: &str| path.ends_with(".pyc") || path.contains("dist-info");
    // Names of one file share everything, and a directory holds others: those have changes of their own.
    let paths: Vec<String> = tarball
        .entries
        .iter()
        .filter(|piece| kinds.contains(&piece.kind()))
        .map(Piece::path)
        .filter(|path| !is_special(path) && !path.starts_with("usr/share/a"))
        // The layer above has it too.
        .filter(|path| layer != VENV || path != "app")
        .collect();
    (layer, random.pick(&paths))
}

fn changed(path: &str, attributes: &str) -> String {
    format!("changed /{path} {attributes}")
}

fn differs(layer: usize, path: &str, attributes: &str) -> Expected {
    Expected::at("differs")
        .row(changed(path, attributes))
        .owner(owner(layer, path))
}

fn bit(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = loop {
        let (layer, path) = choose(random, picture, b"0");
        if !picture.layers[layer]
            .tarball()
            .entry(&path)
            .content()
            .is_empty()
        {
            break (layer, path);
        }
    };
    picture.edit_entry(layer, &path, |piece| {
        let mut content = piece.content().to_vec();
        let at = random.below(content.len() * 8);
        content[at / 8] ^= 1 << (at % 8);
        piece.set_content(&content);
    });
    differs(layer, &path, "content")
}

fn grown(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    picture.edit_entry(layer, &path, |piece| {
        let more = noise(random.below(200) as u8, 1 + random.below(600));
        piece.set_content(&[piece.content(), &more].concat());
    });
    differs(layer, &path, "content,size")
}

fn mode(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"05");
    let bit = 1 << random.below(12);
    picture.edit_entry(layer, &path, |piece| piece.set(MODE, piece.get(MODE) ^ bit));
    differs(layer, &path, "mode")
}

fn user(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"052");
    picture.edit_entry(layer, &path, |piece| {
        piece.set(UID, 1 + random.below(60_000))
    });
    differs(layer, &path, "owner")
}

fn group(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"052");
    picture.edit_entry(layer, &path, |piece| {
        piece.set(GID, 1 + random.below(60_000))
    });
    differs(layer, &path, "owner")
}

fn mtime(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"052");
    picture.edit_entry(layer, &path, |piece| {
        piece.set(MTIME, 1 + random.below(1 << 30))
    });
    differs(layer, &path, "mtime").because("mtime-only")
}

fn several(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    picture.edit_entry(layer, &path, |piece| {
        piece.set(MODE, piece.get(MODE) ^ 0o100);
        piece.set(UID, 1000);
        piece.set(MTIME, 5 + random.below(1000));
        piece.set_content(&[piece.content(), b"!"].concat());
    });
    differs(layer, &path, "content,mode,mtime,owner,size")
}

fn set_record(piece: &mut Piece, key: &str, value: Option<&[u8]>) {
    let mut records = piece.records();
    match value {
        Some(value) => records.insert(key.to_owned(), value.to_vec()),
        None => records.remove(key),
    };
    piece.set_records(&records);
}

const CAPABILITY_RECORD: &str = "SCHILY.xattr.security.capability";

fn capability_added(random: &mut Random, picture: &mut Picture) -> Expected {
    let path = random
        .pick(&["usr/bin/su", "etc/motd", "etc/empty"])
        .to_owned();
    let set = |piece: &mut Piece| set_record(piece, CAPABILITY_RECORD, Some(&CAPABILITY));
    picture.edit_entry(BASE, &path, set);
    differs(BASE, &path, "capability")
}

fn capability_lost(_: &mut Random, picture: &mut Picture) -> Expected {
    let lose = |piece: &mut Piece| set_record(piece, CAPABILITY_RECORD, None);
    picture.edit_entry(BASE, "usr/bin/tool", lose);
    differs(BASE, "usr/bin/tool", "capability")
}

fn capability_changed(random: &mut Random, picture: &mut Picture) -> Expected {
    let mut other = CAPABILITY;
    other[4] |= 1 << random.below(8);
    let set = |piece: &mut Piece| set_record(piece, CAPABILITY_RECORD, Some(&other));
    picture.edit_entry(BASE, "usr/bin/tool", set);
    differs(BASE, "usr/bin/tool", "capability")
}

fn xattr(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"05");
    let value = noise(random.below(200) as u8, 8);
    let set = |piece: &mut Piece| set_record(piece, "SCHILY.xattr.user.note", Some(&value));
    picture.edit_entry(layer, &path, set);
    differs(layer, &path, "xattr")
}

fn link(random: &mut Random, picture: &mut Picture) -> Expected {
    let path = random.pick(&["usr/share/link", "var/run"]).to_owned();
    picture.edit_entry(BASE, &path, |piece| piece.text(LINK, "/etc/motd"));
    differs(BASE, &path, "link")
}

fn becomes_link(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    picture.edit_entry(layer, &path, |piece| {
        piece.set_content(b"");
        piece.set_kind(b'2');
        piece.text(LINK, "elsewhere");
    });
    differs(layer, &path, "type")
}

fn removed(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    let has_capability = path == "usr/bin/tool";
    picture.edit(layer, |tarball| {
        let at = tarball.position(&path);
        tarball.entries.remove(at);
    });
    let attributes = if has_capability {
        "capability,mode,size,type"
    } else {
        "mode,size,type"
    };
    Expected::at("differs")
        .row(format!("removed /{path} {attributes}"))
        .owner(owner(layer, &path))
}

fn added(random: &mut Random, picture: &mut Picture) -> Expected {
    let layer = random.pick(&[BASE, COPY]);
    let path = format!(
        "{}/new{}",
        random.pick(&["etc", "app/src"]),
        random.below(1000)
    );
    picture.edit(layer, |tarball| {
        let at = 1 + random.below(tarball.entries.len());
        tarball.entries.insert(at, file(&path, b"new"));
    });
    Expected::at("differs")
        .row(format!("added /{path} mode,size,type"))
        .owner(owner(layer, &path))
}

fn swapped(random: &mut Random, picture: &mut Picture) -> Expected {
    let layer = random.below(picture.layers.len());
    let mut paths = Vec::new();
    picture.edit(layer, |tarball| {
        // Of two files beside each other, so that nothing comes before its folder.
        let is_file =
            |piece: &Piece| piece.kind() == b'0' && !piece.path().starts_with("usr/share/a");
        let pairs: Vec<usize> = (1..tarball.entries.len())
            .filter(|&at| is_file(&tarball.entries[at - 1]) && is_file(&tarball.entries[at]))
            .collect();
        let at = random.pick(&pairs);
        paths = vec![tarball.entries[at - 1].path(), tarball.entries[at].path()];
        tarball.entries.swap(at - 1, at);
    });
    let rows: Vec<String> = paths.iter().map(|path| changed(path, "order")).collect();
    Expected::at("tree").row(rows.join("|"))
}

fn hard_link_dropped(random: &mut Random, picture: &mut Picture) -> Expected {
    let path = random.pick(&["usr/share/b", "usr/share/c"]).to_owned();
    picture.edit(BASE, |tarball| {
        let at = tarball.position(&path);
        tarball.entries.remove(at);
    });
    Expected::at("differs")
        .row(format!("removed /{path} hard-link,mode,type"))
        .owner("base")
}

fn hard_link_copied(random: &mut Random, picture: &mut Picture) -> Expected {
    let path = random.pick(&["usr/share/b", "usr/share/c"]).to_owned();
    picture.edit(BASE, |tarball| {
        let content = tarball.entry("usr/share/a").content().to_vec();
        *tarball.entry(&path) = file(&path, &content);
    });
    // Every name of the file has another set of names now.
    ["a", "b", "c"]
        .iter()
        .fold(Expected::at("differs"), |expected, name| {
            expected.row(changed(&format!("usr/share/{name}"), "hard-link"))
        })
}

fn duplicated(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    picture.edit(layer, |tarball| {
        let at = tarball.position(&path);
        let again = tarball.entries[at].clone();
        tarball.entries.insert(at, again);
    });
    Expected::at("tree")
        .row(changed(&path, "duplicate"))
        .owner(owner(layer, &path))
}

fn whiteout(random: &mut Random, picture: &mut Picture) -> Expected {
    let path = random
        .pick(&["etc/motd", "usr/bin/su", "usr/share/doc"])
        .to_owned();
    let (folder, name) = path.rsplit_once('/').expect("a folder");
    let marker = format!("{folder}/.wh.{name}");
    picture.edit(random.pick(&[VENV, COPY]), |tarball| {
        tarball.entries.push(file(&marker, b""));
    });
    Expected::at("differs").row(format!("added /{path} whiteout"))
}

fn opaque(random: &mut Random, picture: &mut Picture) -> Expected {
    let folder = random.pick(&["etc", "usr/share"]).to_owned();
    picture.edit(COPY, |tarball| {
        tarball
            .entries
            .push(file(&format!("{folder}/.wh..wh..opq"), b""));
    });
    Expected::at("differs").row(format!("added /{folder} whiteout"))
}

fn user_name(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"052");
    picture.edit_entry(layer, &path, |piece| piece.text(UNAME, "root"));
    Expected::at("tree")
        .row(changed(&path, "header"))
        .because("tar-writer")
}

fn pax_record(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"05");
    let key = random.pick(&["atime", "comment", "SCHILY.xattr.security.selinux"]);
    picture.edit_entry(layer, &path, |piece| {
        set_record(piece, key, Some(b"1700000000"))
    });
    Expected::at("tree").row(changed(&path, "header"))
}

fn fraction(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    picture.edit_entry(layer, &path, |piece| {
        let time = format!("{}.25", piece.get(MTIME));
        set_record(piece, "mtime", Some(time.as_bytes()));
    });
    Expected::at("tree").row(changed(&path, "header"))
}

fn written_name(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    let written = format!("{}{path}", random.pick(&["./", "/", ".//"]));
    picture.edit_entry(layer, &path, |piece| piece.rename(&written));
    Expected::at("tree").row(changed(&path, "header"))
}

fn unread_field(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    picture.edit_entry(layer, &path, |piece| piece.set(MINOR, 1 + random.below(7)));
    Expected::at("tree").row(changed(&path, "header"))
}

fn longer_end(random: &mut Random, picture: &mut Picture) -> Expected {
    let layer = random.below(picture.layers.len());
    picture.edit(layer, |tarball| tarball.end.extend([0; 8192]));
    Expected::at("tree").row("changed  header".to_owned())
}

fn pyc_time(random: &mut Random, picture: &mut Picture) -> Expected {
    let path = site("demo/__pycache__/core.cpython-311.pyc");
    let time = random.below(1 << 30) as u32;
    picture.edit_entry(VENV, &path, |piece| piece.set_content(&bytecode(time)));
    differs(VENV, &path, "content").because("pyc-mtime")
}

fn record_order(_: &mut Random, picture: &mut Picture) -> Expected {
    let path = site("demo-1.0.dist-info/RECORD");
    picture.edit_entry(VENV, &path, |piece| {
        let text = String::from_utf8(piece.content().to_vec()).expect("text");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.reverse();
        piece.set_content(format!("{}\n", lines.join("\n")).as_bytes());
    });
    differs(VENV, &path, "content").because("record-order")
}

fn installer(_: &mut Random, picture: &mut Picture) -> Expected {
    let path = site("demo-1.0.dist-info/INSTALLER");
    picture.edit_entry(VENV, &path, |piece| piece.set_content(b"pip\n"));
    differs(VENV, &path, "content,size").because("installer-metadata")
}

fn umask(random: &mut Random, picture: &mut Picture) -> Expected {
    let mask = random.pick(&[0o027, 0o077]);
    let mut expected = Expected::at("differs").because("umask").owner("copy src");
    picture.edit(COPY, |tarball| {
        for piece in &mut tarball.entries {
            piece.set(MODE, piece.get(MODE) & !mask);
            expected.rows.push(changed(&piece.path(), "mode"));
        }
    });
    // Each path of the copied tree, `/app` too.
    expected.owner = None;
    expected
}

fn locale(_: &mut Random, picture: &mut Picture) -> Expected {
    let mut paths = Vec::new();
    picture.edit(COPY, |tarball| {
        paths = tarball.entries.iter().map(Piece::path).collect();
        tarball.entries.sort_by_key(|piece| {
            let path = piece.path().to_lowercase();
            path.replace(['/', '.'], "")
        });
    });
    // Which ones are said to have moved is open; that some are is not.
    let any: Vec<String> = paths.iter().map(|path| changed(path, "order")).collect();
    let mut expected = Expected::at("tree").because("locale-sort");
    // Capitals come first by bytes: ten of either kind, of which ten have to move past the others.
    expected.rows = vec![any.join("|"); 10];
    expected
}

fn environment(random: &mut Random, picture: &mut Picture) -> Expected {
    let list = picture.config["config"]["Env"]
        .as_array_mut()
        .expect("a list");
    let row = match random.below(3) {
        0 => {
            list[1] = json!(format!("PORT={}", random.below(5000)));
            "changed config.Env.PORT value"
        }
        1 => {
            list.push(json!("DEBUG=1"));
            "added config.Env.DEBUG value"
        }
        _ => {
            list.remove(1);
            "removed config.Env.PORT value"
        }
    };
    Expected::at("tree").row(row)
}

fn label(random: &mut Random, picture: &mut Picture) -> Expected {
    let labels = &mut picture.config["config"]["Labels"];
    if random.below(2) == 0 {
        labels["org.opencontainers.image.version"] = json!("2");
        let path = "config.Labels[\"org.opencontainers.image.version\"]";
        return Expected::at("tree").row(format!("changed {path} value"));
    }
    labels["team"] = json!("a");
    Expected::at("tree").row("added config.Labels.team value")
}

fn command(_: &mut Random, picture: &mut Picture) -> Expected {
    picture.config["config"]["Cmd"] = json!(["python", "-c", "app"]);
    Expected::at("tree").row("changed config.Cmd[1] value")
}

fn unknown_field(random: &mut Random, picture: &mut Picture) -> Expected {
    picture.config["x-unknown"]["kept"] = json!(random.below(100));
    Expected::at("tree").row("changed x-unknown.kept value")
}

fn created(_: &mut Random, picture: &mut Picture) -> Expected {
    picture.config["created"] = json!("2026-02-02T00:00:00Z");
    picture.created = "2026-02-02T00:00:00Z".to_owned();
    Expected::at("tree")
        .row("changed created value")
        .because("source-date-epoch")
}

fn white_space(_: &mut Random, picture: &mut Picture) -> Expected {
    picture.is_spaced = true;
    Expected::at("tree").row("changed  bytes")
}

fn annotation(random: &mut Random, picture: &mut Picture) -> Expected {
    let value = random.below(100).to_string();
    picture.annotations.insert("note".to_owned(), value);
    Expected::at("content").row("added annotations.note value")
}

fn compression(random: &mut Random, picture: &mut Picture) -> Expected {
    let at = random.below(picture.layers.len());
    let layer = &picture.layers[at];
    let media_type = format!("changed layers[{at}].mediaType value");
    let (layer, cause, row) = match random.below(4) {
        0 => (
            layer.packed(gzip(&layer.tar, 9, 0), "+gzip"),
            "compressor",
            None,
        ),
        1 => (
            layer.packed(gzip(&layer.tar, 1, 77), "+gzip"),
            "gzip-header",
            None,
        ),
        2 => (
            layer.packed(layer.tar.to_vec(), ""),
            "codec",
            Some(media_type),
        ),
        _ => {
            let blob = zstd::encode_all(layer.tar.as_slice(), 3).expect("in memory");
            (layer.packed(blob, "+zstd"), "codec", Some(media_type))
        }
    };
    picture.layers[at] = layer;
    let mut expected = Expected::at("content")
        .because(cause)
        .layers(&["compression"]);
    expected.rows.extend(row);
    expected
}

fn cut(random: &mut Random, picture: &mut Picture) -> Expected {
    match random.below(3) {
        0 => {
            // One layer as two.
            let tarball = picture.layers[COPY].tarball();
            let at = 4 + random.below(tarball.entries.len() - 5);
            let half = |entries: &[Piece]| Tarball {
                entries: entries.to_vec(),
                end: tarball.end.clone(),
            };
            let (first, second) = tarball.entries.split_at(at);
            let second = Layer::new(&half(second), "second half");
            let first = Layer::new(&half(first), "first half");
            picture.layers.splice(COPY..=COPY, [first, second]);
            // The history has a line more.
            Expected::at("tree")
                .row("changed history[2].created_by value")
                .row("added history[3] value")
                .layers(&["split"])
        }
        1 => {
            picture.layers.swap(VENV, COPY);
            Expected::at("tree")
                .row("changed history[1].created_by value")
                .row("changed history[2].created_by value")
                .layers(&["moved"])
        }
        _ => {
            let tarball = Tarball {
                entries: vec![file("etc/late", b"late")],
                end: vec![0; 1024],
            };
            picture.layers.push(Layer::new(&tarball, "late"));
            Expected::at("differs")
                .row("added /etc/late mode,size,type")
                .row("added history[3] value")
                .layers(&["added"])
        }
    }
}

/// Reads a value that a test changes; here so that unused imports cannot hide a change that does nothing.
pub(crate) fn is_changed(before: &Picture, after: &Picture) -> bool {
    let parts = |picture: &Picture| -> (Vec<Vec<u8>>, Value, BTreeMap<String, String>, bool) {
        let blobs = picture.layers.iter().map(|layer| layer.blob.to_vec());
        let config = picture.config.clone();
        (
            blobs.collect(),
            config,
            picture.annotations.clone(),
            picture.is_spaced,
        )
    };
    parts(before) != parts(after)
}
