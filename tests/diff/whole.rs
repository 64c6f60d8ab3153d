//! Changes to an image that are not to one entry: its configuration, how its layers are compressed and cut.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::choice::{Random, any_layer};
use crate::picture::{Layer, Picture, gzip};
use crate::sample::file;
use crate::tarball::{Piece, Tarball};
use crate::told::Expected;

pub(crate) fn environment(random: &mut Random, picture: &mut Picture) -> Expected {
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

pub(crate) fn label(random: &mut Random, picture: &mut Picture) -> Expected {
    let labels = &mut picture.config["config"]["Labels"];
    if random.below(2) == 0 {
        labels["org.opencontainers.image.version"] = json!("2");
        let path = "config.Labels[\"org.opencontainers.image.version\"]";
        return Expected::at("tree").row(format!("changed {path} value"));
    }
    labels["team"] = json!("a");
    Expected::at("tree").row("added config.Labels.team value")
}

pub(crate) fn command(_: &mut Random, picture: &mut Picture) -> Expected {
    picture.config["config"]["Cmd"] = json!(["python", "-c", "app"]);
    Expected::at("tree").row("changed config.Cmd[1] value")
}

pub(crate) fn unknown_field(random: &mut Random, picture: &mut Picture) -> Expected {
    let has_it = picture.config.get("x-unknown").is_some();
    picture.config["x-unknown"]["kept"] = json!(random.below(100));
    Expected::at("tree").row(if has_it {
        "changed x-unknown.kept value"
    } else {
        "added x-unknown value"
    })
}

pub(crate) fn created(_: &mut Random, picture: &mut Picture) -> Expected {
    picture.config["created"] = json!("2026-02-02T00:00:00Z");
    for line in picture.layers.iter_mut().flat_map(|it| &mut it.history) {
        line["created"] = json!("2026-02-02T00:00:00Z");
    }
    Expected::at("tree")
        .row("changed created value")
        .because("source-date-epoch")
}

pub(crate) fn white_space(_: &mut Random, picture: &mut Picture) -> Expected {
    picture.is_spaced = true;
    Expected::at("tree").row("changed  bytes")
}

pub(crate) fn annotation(random: &mut Random, picture: &mut Picture) -> Expected {
    let value = random.below(100).to_string();
    picture.annotations.insert("note".to_owned(), value);
    Expected::at("content").row("added annotations.note value")
}

pub(crate) fn compression(random: &mut Random, picture: &mut Picture) -> Expected {
    let at = any_layer(random, picture);
    let layer = &picture.layers[at];
    let media_type = format!("changed layers[{at}].mediaType value");
    let (layer, cause, row) = match random.below(4) {
        0 => (
            layer.packed(gzip(&layer.tar, 9, 0), "+gzip"),
            "compressor",
            None,
        ),
        1 => (
            {
                // The time in the header: <https://www.rfc-editor.org/rfc/rfc1952#page-5>
                let mut blob = layer.blob.to_vec();
                blob[4..8].copy_from_slice(&77_u32.to_le_bytes());
                layer.packed(blob, "+gzip")
            },
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

pub(crate) fn cut(random: &mut Random, picture: &mut Picture) -> Expected {
    let before = picture.history();
    let top = picture.layers.len() - 1;
    let (level, layers, row) = match random.below(3) {
        0 => {
            // One layer as two.
            let tarball = picture.layers[top].tarball();
            let at = 4 + random.below(tarball.entries.len() - 5);
            let half = |entries: &[Piece]| Tarball {
                entries: entries.to_vec(),
                end: tarball.end.clone(),
            };
            let (first, second) = tarball.entries.split_at(at);
            let second = Layer::new(&half(second), "second half");
            let first = Layer::new(&half(first), "first half");
            picture.layers.splice(top..=top, [first, second]);
            ("tree", "split", None)
        }
        1 => {
            picture.layers.swap(top - 1, top);
            ("tree", "moved", None)
        }
        _ => {
            let tarball = Tarball {
                entries: vec![file("etc/late", b"late")],
                end: vec![0; 1024],
            };
            picture.layers.push(Layer::new(&tarball, "late"));
            let row = "added /etc/late mode,size,type".to_owned();
            ("differs", "added", Some(row))
        }
    };
    let mut expected = Expected::at(level).layers(&[layers]);
    expected.rows = history_rows(&before, &picture.history());
    expected.rows.extend(row);
    expected
}

/// Returns the rows for lines of the history that are others now.
fn history_rows(before: &[Value], after: &[Value]) -> Vec<String> {
    let mut rows = Vec::new();
    for at in 0..before.len().max(after.len()) {
        let (Some(was), Some(is)) = (before.get(at), after.get(at)) else {
            let kind = if before.len() < after.len() {
                "added"
            } else {
                "removed"
            };
            rows.push(format!("{kind} history[{at}] value"));
            continue;
        };
        let fields = [was, is].map(|line| line.as_object().expect("an object"));
        let keys: BTreeSet<&String> = fields.iter().flat_map(|line| line.keys()).collect();
        for key in keys.into_iter().filter(|key| was.get(*key) != is.get(*key)) {
            let kind = match (was.get(key), is.get(key)) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            };
            rows.push(format!("{kind} history[{at}].{key} value"));
        }
    }
    rows
}
