//! Compares JSON documents by path: index, manifest, config.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::cause::Cause;
use super::verdict::{Attribute, Change, Row, RowKind};
use crate::oci::{ImageDocuments, PlatformImage};

/// How much of a value is shown.
const SHOWN: usize = 200;

/// A value that two documents do not have alike.
pub(super) struct Differing {
    pub(super) path: String,
    pub(super) a: Option<String>,
    pub(super) b: Option<String>,
}

/// Lists the values in which two documents differ, by path.
pub(super) fn values(a: &Value, b: &Value) -> Vec<Differing> {
    let mut out = Vec::new();
    walk("", Some(a), Some(b), &mut out);
    out
}

fn walk(path: &str, a: Option<&Value>, b: Option<&Value>, out: &mut Vec<Differing>) {
    let below = |key: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        match (path, key.chars().all(is_plain) && !key.is_empty()) {
            ("", true) => key.to_owned(),
            (_, true) => format!("{path}.{key}"),
            (_, false) => format!("{path}[{}]", Value::from(key)),
        }
    };
    match (a, b) {
        (a, b) if a == b => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                walk(&below(key), a.get(key), b.get(key), out);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            if let (Some(a), Some(b)) = (variables(a), variables(b))
                // Their order means nothing, but it is a difference.
                && a != b
            {
                let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                for name in names {
                    walk(&below(name), a.get(name), b.get(name), out);
                }
                return;
            }
            for at in 0..a.len().max(b.len()) {
                walk(&format!("{path}[{at}]"), a.get(at), b.get(at), out);
            }
        }
        (a, b) => out.push(Differing {
            path: path.to_owned(),
            a: a.map(shown),
            b: b.map(shown),
        }),
    }
}

/// Takes `["NAME=VALUE", …]` apart; none if it is something else, or a name comes twice.
fn variables(list: &[Value]) -> Option<BTreeMap<String, Value>> {
    let mut out = BTreeMap::new();
    for item in list {
        let (name, value) = item.as_str()?.split_once('=')?;
        out.insert(name.to_owned(), Value::from(value));
    }
    (!list.is_empty() && out.len() == list.len()).then_some(out)
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    short(&text)
}

/// Cuts off what is too long to be read, and lets nothing steer a terminal.
pub(super) fn short(text: &str) -> String {
    let text = crate::layer::path::show(text.as_bytes());
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn row(differing: Differing) -> Row {
    let Differing { path, a, b } = differing;
    let kind = match (&a, &b) {
        (None, _) => RowKind::Added,
        (_, None) => RowKind::Removed,
        _ => RowKind::Changed,
    };
    Row::new(kind, path, vec![Change::new(Attribute::Value, a, b)])
}

/// Compares documents that are not the same bytes, without the fields that `strip` removes.
fn compare(a: &[u8], b: &[u8], strip: fn(&mut Map<String, Value>)) -> Vec<Row> {
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let (mut a, mut b) = (parse(a), parse(b));
    let is_equal = a == b;
    for value in [&mut a, &mut b] {
        if let Some(fields) = value.as_object_mut() {
            strip(fields);
        }
    }
    let mut rows: Vec<Row> = values(&a, &b).into_iter().map(row).collect();
    if is_equal {
        let change = Change::new(
            Attribute::Bytes,
            None,
            Some("the same JSON in other bytes: white space, escapes or the order of keys".into()),
        );
        rows.push(Row::new(RowKind::Changed, String::new(), vec![change]));
    }
    rows
}

/// Compares two manifests; which config and layers they name is compared by looking at those.
pub(super) fn manifest(a: &PlatformImage, b: &PlatformImage) -> Vec<Row> {
    if a.manifest_bytes == b.manifest_bytes {
        return Vec::new();
    }
    let mut rows = compare(&a.manifest_bytes, &b.manifest_bytes, |fields| {
        if let Some(config) = fields.get_mut("config") {
            without_identity(config);
        }
        // Where layers were added or removed, a place says nothing.
        if let Some(layers) = fields.get_mut("layers").and_then(Value::as_array_mut) {
            layers.iter_mut().for_each(without_identity);
        }
    });
    if a.layers.len() != b.layers.len() {
        rows.retain(|row| !row.path.starts_with("layers["));
    }
    for row in &mut rows {
        row.cause = match row.path.as_str() {
            path if path.contains("image.created") => Some(Cause::SourceDateEpoch),
            path if path.contains("image.base.digest") => Some(Cause::MovedBase),
            _ => None,
        };
    }
    rows
}

/// Compares two configs; the diff_ids are compared with the layers.
pub(super) fn config(a: &PlatformImage, b: &PlatformImage) -> Vec<Row> {
    if a.config_bytes == b.config_bytes {
        return Vec::new();
    }
    let mut rows = compare(&a.config_bytes, &b.config_bytes, |fields| {
        if let Some(rootfs) = fields.get_mut("rootfs").and_then(Value::as_object_mut) {
            rootfs.remove("diff_ids");
        }
    });
    let Some(created) = rows.iter().position(|row| row.path == "created") else {
        return rows;
    };
    // Every line of the history repeats the time: said once.
    rows[created].cause = Some(Cause::SourceDateEpoch);
    let changes = rows[created].changes.clone();
    let repeats = |row: &Row| {
        row.path.starts_with("history[")
            && row.path.ends_with("].created")
            && row.changes == changes
    };
    let count = rows.iter().filter(|row| repeats(row)).count();
    rows.retain(|row| !repeats(row));
    if count > 0
        && let Some(row) = rows.iter_mut().find(|row| row.path == "created")
    {
        let inside = format!("and the same in {count} lines of the history");
        row.changes[0].inside.push(inside);
    }
    rows
}

/// Takes out of a descriptor what stands for the bytes.
fn without_identity(descriptor: &mut Value) {
    if let Some(fields) = descriptor.as_object_mut() {
        fields.remove("digest");
        fields.remove("size");
    }
}

/// Compares what two names lead to, besides the images of platforms that both have.
pub(super) fn index(a: &ImageDocuments, b: &ImageDocuments) -> Vec<Row> {
    if a.bytes == b.bytes {
        return Vec::new();
    }
    let is_index =
        |side: &ImageDocuments| side.images.iter().all(|it| it.manifest_bytes != side.bytes);
    let mut rows = platforms(a, b);
    match (is_index(a), is_index(b)) {
        (false, false) => {}
        (true, true) => {
            let is_other_list = !rows.is_empty();
            rows.extend(compare(&a.bytes, &b.bytes, strip_manifests));
            if is_other_list {
                rows.retain(|row| !row.path.starts_with("manifests["));
            }
        }
        (is_index, _) => {
            let shown = |yes| Some(if yes { "an index" } else { "a manifest" }.to_owned());
            let change = Change::new(Attribute::Type, shown(is_index), shown(!is_index));
            rows.push(Row::new(RowKind::Changed, String::new(), vec![change]));
        }
    }
    rows.extend(others(a, b));
    rows
}

fn strip_manifests(fields: &mut Map<String, Value>) {
    let manifests = fields.get_mut("manifests").and_then(Value::as_array_mut);
    let Some(manifests) = manifests else {
        return;
    };
    manifests.iter_mut().for_each(without_identity);
}

/// Lists platforms that only one of them has.
fn platforms(a: &ImageDocuments, b: &ImageDocuments) -> Vec<Row> {
    let digests = |side: &ImageDocuments| -> BTreeMap<String, String> {
        let images = side.images.iter();
        images
            .map(|image| (image.platform.clone(), image.manifest.digest.to_string()))
            .collect()
    };
    one_sided(&digests(a), &digests(b))
}

/// Lists other documents that only one of them has.
fn others(a: &ImageDocuments, b: &ImageDocuments) -> Vec<Row> {
    let digests = |side: &ImageDocuments| -> BTreeMap<String, String> {
        let others = side.others.iter().map(|other| &other.descriptor);
        others
            .map(|other| (other.digest.to_string(), other.media_type.clone()))
            .collect()
    };
    one_sided(&digests(a), &digests(b))
}

fn one_sided(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<Row> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names
        .into_iter()
        .filter(|name| a.contains_key(*name) != b.contains_key(*name))
        .map(|name| {
            row(Differing {
                path: name.clone(),
                a: a.get(name).cloned(),
                b: b.get(name).cloned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_named_by_their_path() {
        let a = json!({"config": {"Env": ["A=1", "B=2"], "Cmd": ["x"]}, "x y": 1, "same": [1]});
        let b = json!({"config": {"Env": ["B=3", "A=1"], "Cmd": ["x", "y"]}, "same": [1]});
        let found: Vec<_> = values(&a, &b)
            .into_iter()
            .map(|it| (it.path, it.a, it.b))
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("config.Cmd[1]".to_owned(), None, text("y")),
                ("config.Env.B".to_owned(), text("2"), text("3")),
                ("[\"x y\"]".to_owned(), text("1"), None),
            ]
        );
        // Only the order of variables: it is said by place.
        let a = json!(["A=1", "B=2"]);
        let b = json!(["B=2", "A=1"]);
        assert_eq!(values(&a, &b).len(), 2);
    }
}
