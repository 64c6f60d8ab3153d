//! Changes to an image, each with what a comparison has to say about it.

use std::sync::Arc;

use crate::choice::{
    CAPABILITY_RECORD, Random, any_layer, attributes, changed, choose, choose_if, differs, find,
    linked,
};
use crate::picture::Picture;
use crate::sample::{CAPABILITY, file, noise};
use crate::tarball::{GID, LINK, MINOR, MODE, MTIME, Piece, UID, UNAME};
use crate::told::Expected;
use crate::whole::{
    annotation, command, compression, created, cut, environment, label, unknown_field, white_space,
};

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
    differs(picture, layer, &path, "content")
}

fn grown(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    picture.edit_entry(layer, &path, |piece| {
        let more = noise(random.below(200) as u8, 1 + random.below(600));
        piece.set_content(&[piece.content(), &more].concat());
    });
    differs(picture, layer, &path, "content,size")
}

fn mode(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"05");
    let bit = 1 << random.below(12);
    picture.edit_entry(layer, &path, |piece| piece.set(MODE, piece.get(MODE) ^ bit));
    differs(picture, layer, &path, "mode")
}

fn user(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"052");
    picture.edit_entry(layer, &path, |piece| {
        piece.set(UID, 1 + random.below(60_000))
    });
    differs(picture, layer, &path, "owner")
}

fn group(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"052");
    picture.edit_entry(layer, &path, |piece| {
        piece.set(GID, 1 + random.below(60_000))
    });
    differs(picture, layer, &path, "owner")
}

fn mtime(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"052");
    picture.edit_entry(layer, &path, |piece| {
        piece.set(MTIME, 1 + random.below(1 << 30))
    });
    differs(picture, layer, &path, "mtime").because("mtime-only")
}

fn several(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    picture.edit_entry(layer, &path, |piece| {
        piece.set(MODE, piece.get(MODE) ^ 0o100);
        piece.set(UID, 1000);
        piece.set(MTIME, 5 + random.below(1000));
        piece.set_content(&[piece.content(), b"!"].concat());
    });
    differs(picture, layer, &path, "content,mode,mtime,owner,size")
}

fn set_record(piece: &mut Piece, key: &str, value: Option<&[u8]>) {
    let mut records = piece.records();
    match value {
        Some(value) => records.insert(key.to_owned(), value.to_vec()),
        None => records.remove(key),
    };
    piece.set_records(&records);
}

fn has_capability(piece: &Piece) -> bool {
    piece.records().contains_key(CAPABILITY_RECORD)
}

fn capability_added(random: &mut Random, picture: &mut Picture) -> Expected {
    let is_plain = |piece: &Piece| piece.kind() == b'0' && !has_capability(piece);
    let (layer, path) = choose_if(random, picture, is_plain);
    let set = |piece: &mut Piece| set_record(piece, CAPABILITY_RECORD, Some(&CAPABILITY));
    picture.edit_entry(layer, &path, set);
    differs(picture, layer, &path, "capability")
}

fn capability_lost(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose_if(random, picture, has_capability);
    let lose = |piece: &mut Piece| set_record(piece, CAPABILITY_RECORD, None);
    picture.edit_entry(layer, &path, lose);
    differs(picture, layer, &path, "capability")
}

fn capability_changed(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose_if(random, picture, has_capability);
    let bit = 1 << random.below(8);
    picture.edit_entry(layer, &path, |piece| {
        let mut other = piece.records()[CAPABILITY_RECORD].clone();
        other[4] ^= bit;
        set_record(piece, CAPABILITY_RECORD, Some(&other));
    });
    differs(picture, layer, &path, "capability")
}

fn xattr(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"05");
    let value = noise(random.below(200) as u8, 8);
    let set = |piece: &mut Piece| set_record(piece, "SCHILY.xattr.user.note", Some(&value));
    picture.edit_entry(layer, &path, set);
    differs(picture, layer, &path, "xattr")
}

fn link(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"2");
    picture.edit_entry(layer, &path, |piece| piece.text(LINK, "/etc/motd"));
    differs(picture, layer, &path, "link")
}

fn becomes_link(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    picture.edit_entry(layer, &path, |piece| {
        piece.set_content(b"");
        piece.set_kind(b'2');
        piece.text(LINK, "elsewhere");
    });
    differs(picture, layer, &path, "type")
}

fn removed(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = choose(random, picture, b"0");
    let piece = take(picture, layer, &path);
    Expected::at("differs")
        .row(format!(
            "removed /{path} {}",
            attributes(&piece, &["mode", "size", "type"])
        ))
        .owner(picture.owner(layer, &path))
}

fn take(picture: &mut Picture, layer: usize, path: &str) -> Piece {
    let mut taken = None;
    picture.edit(layer, |tarball| {
        taken = Some(tarball.entries.remove(tarball.position(path)));
    });
    taken.expect("it was there")
}

fn added(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, folder) = choose(random, picture, b"5");
    let path = format!("{folder}/new{}", random.below(1000));
    picture.edit(layer, |tarball| {
        let at = tarball.position(&folder) + 1;
        let at = at + random.below(tarball.entries.len() + 1 - at);
        tarball.entries.insert(at, file(&path, b"new"));
    });
    Expected::at("differs")
        .row(format!("added /{path} mode,size,type"))
        .owner(picture.owner(layer, &path))
}

fn swapped(random: &mut Random, picture: &mut Picture) -> Expected {
    let layer = any_layer(random, picture);
    let mut paths = Vec::new();
    picture.edit(layer, |tarball| {
        // Of two files beside each other, so that nothing comes before its folder.
        let linked = linked(tarball);
        let is_file = |piece: &Piece| piece.kind() == b'0' && !linked.contains(&piece.path());
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

/// Chooses a hard link: its layer and path, and the name of the entry that has the content.
fn choose_hard_link(random: &mut Random, picture: &Picture) -> (usize, String, String) {
    let mut all = Vec::new();
    for layer in picture.untouched..picture.layers.len() {
        let entries = picture.layers[layer].tarball().entries;
        let links = entries.iter().filter(|piece| piece.kind() == b'1');
        all.extend(links.map(|piece| (layer, piece.path(), piece.read_text(LINK))));
    }
    random.pick(&all)
}

fn hard_link_dropped(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path, _) = choose_hard_link(random, picture);
    let piece = take(picture, layer, &path);
    Expected::at("differs")
        .row(format!(
            "removed /{path} {}",
            attributes(&piece, &["hard-link", "mode", "type"])
        ))
        .owner(picture.owner(layer, &path))
}

fn hard_link_copied(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path, target) = choose_hard_link(random, picture);
    let mut names = vec![target.clone()];
    picture.edit(layer, |tarball| {
        let links = tarball.entries.iter().filter(|piece| piece.kind() == b'1');
        names.extend(
            links
                .filter(|piece| piece.read_text(LINK) == target)
                .map(Piece::path),
        );
        let content = tarball.entry(&target).content().to_vec();
        let piece = tarball.entry(&path);
        piece.set_kind(b'0');
        piece.text(LINK, "");
        piece.set_content(&content);
    });
    // Every name of the file has another set of names now.
    let rows = names.iter().map(|name| changed(name, "hard-link"));
    rows.fold(Expected::at("differs"), Expected::row)
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
        .owner(picture.owner(layer, &path))
}

fn whiteout(random: &mut Random, picture: &mut Picture) -> Expected {
    let top = picture.layers.len() - 1;
    let (_, path) = loop {
        let (layer, path) = choose(random, picture, b"0");
        if layer < top && path.contains('/') {
            break (layer, path);
        }
    };
    let (folder, name) = path.rsplit_once('/').expect("a folder");
    let marker = format!("{folder}/.wh.{name}");
    picture.edit(top, |tarball| tarball.entries.push(file(&marker, b"")));
    Expected::at("differs").row(format!("added /{path} whiteout"))
}

fn opaque(random: &mut Random, picture: &mut Picture) -> Expected {
    let folder = random.pick(&["etc", "usr/share"]).to_owned();
    let top = picture.layers.len() - 1;
    picture.edit(top, |tarball| {
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
    let layer = any_layer(random, picture);
    picture.edit(layer, |tarball| tarball.end.extend([0; 8192]));
    Expected::at("tree").row("changed  header".to_owned())
}

fn pyc_time(random: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = find(picture, ".pyc");
    let time = random.below(1 << 30) as u32;
    picture.edit_entry(layer, &path, |piece| {
        let mut content = piece.content().to_vec();
        content[8..12].copy_from_slice(&time.to_le_bytes());
        piece.set_content(&content);
    });
    differs(picture, layer, &path, "content").because("pyc-mtime")
}

fn record_order(_: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = find(picture, ".dist-info/RECORD");
    picture.edit_entry(layer, &path, |piece| {
        let text = String::from_utf8(piece.content().to_vec()).expect("text");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.reverse();
        piece.set_content(format!("{}\n", lines.join("\n")).as_bytes());
    });
    differs(picture, layer, &path, "content").because("record-order")
}

fn installer(_: &mut Random, picture: &mut Picture) -> Expected {
    let (layer, path) = find(picture, ".dist-info/INSTALLER");
    picture.edit_entry(layer, &path, |piece| piece.set_content(b"pip\n"));
    differs(picture, layer, &path, "content,size").because("installer-metadata")
}

fn umask(random: &mut Random, picture: &mut Picture) -> Expected {
    let mask = random.pick(&[0o027, 0o077]);
    let mut expected = Expected::at("differs").because("umask");
    let top = picture.layers.len() - 1;
    picture.edit(top, |tarball| {
        for piece in &mut tarball.entries {
            piece.set(MODE, piece.get(MODE) & !mask);
            expected.rows.push(changed(&piece.path(), "mode"));
        }
    });
    expected
}

fn locale(_: &mut Random, picture: &mut Picture) -> Expected {
    let mut paths = Vec::new();
    let top = picture.layers.len() - 1;
    picture.edit(top, |tarball| {
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

/// Tells whether a change changed anything: one that does not would be found by nobody.
pub(crate) fn is_changed(before: &Picture, after: &Picture) -> bool {
    let blobs = |picture: &Picture| -> Vec<Arc<Vec<u8>>> {
        let layers = picture.layers.iter();
        layers.map(|layer| Arc::clone(&layer.blob)).collect()
    };
    blobs(before) != blobs(after)
        || before.config != after.config
        || before.annotations != after.annotations
        || before.is_spaced != after.is_spaced
}
