//! A comparison as JSON: versioned, sorted, and the same bytes on each run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::cause::Cause;
use super::verdict::{
    Attribute, Change, Difference, FirstDifference, LayerChange, LayerDifference, Level, Owner,
    PlatformDifference, Row, RowKind,
};
use crate::oci::Digest;

/// Counts up when a field changes its meaning or goes; new fields may come at any time.
pub const REPORT_VERSION: u32 = 1;

/// What `imgbuild diff --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    /// The version of this form.
    version: u32,
    /// The first image.
    a: NamedImage<'a>,
    /// The second image.
    b: NamedImage<'a>,
    /// Whether nothing differs.
    same: bool,
    /// How far all compared platforms are the same.
    level: Level,
    /// What differs in the index over platforms.
    index: Vec<ReportRow<'a>>,
    /// By platform, what both images have.
    platforms: BTreeMap<&'a str, ReportPlatform<'a>>,
}

/// An image as it was named, and what that leads to.
#[derive(Debug, Serialize, JsonSchema)]
struct NamedImage<'a> {
    name: &'a str,
    #[schemars(with = "String")]
    digest: Digest,
}

/// The image of one platform.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ReportPlatform<'a> {
    /// How far the images are the same.
    level: Level,
    /// The digest of the first image's manifest.
    #[schemars(with = "String")]
    a: Digest,
    /// The digest of the second image's manifest.
    #[schemars(with = "String")]
    b: Digest,
    /// How many rows name each attribute.
    counts: BTreeMap<String, usize>,
    /// What differs in the manifest, by JSON path.
    manifest: Vec<ReportRow<'a>>,
    /// What differs in the config, by JSON path.
    config: Vec<ReportRow<'a>>,
    /// The layers that differ, lowest first.
    layers: Vec<ReportLayer<'a>>,
}

/// A layer that differs, or several that were compared together.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ReportLayer<'a> {
    /// Its layers in the first image.
    a: Vec<ReportBlob>,
    /// Its layers in the second image.
    b: Vec<ReportBlob>,
    /// What made it, by the history.
    created_by: &'a str,
    /// In what way it differs.
    kind: LayerChange,
    /// Where the tars begin to differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<&'a FirstDifference>,
    /// How the blobs differ, if it is in their compression.
    #[serde(skip_serializing_if = "<[Change]>::is_empty")]
    compression: &'a [Change],
    /// The entries that differ, by path.
    rows: Vec<ReportRow<'a>>,
    /// What probably made the difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
}

/// A layer of one image.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ReportBlob {
    /// Its place among the layers, from 1.
    place: usize,
    /// The digest of the blob.
    #[schemars(with = "String")]
    digest: Digest,
    /// The digest of the tar.
    #[schemars(with = "String")]
    diff_id: Digest,
}

/// One path that differs.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ReportRow<'a> {
    /// Whether it is added, removed or changed.
    kind: RowKind,
    /// The path of an entry, or where in a JSON document.
    path: &'a str,
    /// Everything that differs about it.
    changes: &'a [Change],
    /// Whom it belongs to in the first image.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_a: Option<&'a Owner>,
    /// Whom it belongs to in the second image.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_b: Option<&'a Owner>,
    /// What probably made the difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
}

impl<'a> Report<'a> {
    /// Puts a comparison of the images named `names` into its printed form.
    #[must_use]
    pub fn new(difference: &'a Difference, names: [&'a str; 2]) -> Self {
        let [a, b] = [0, 1].map(|side| NamedImage {
            name: names[side],
            digest: difference.digests[side],
        });
        let platforms = difference.platforms.iter();
        Self {
            version: REPORT_VERSION,
            a,
            b,
            same: difference.is_same(),
            level: difference.level(),
            index: rows(&difference.index),
            platforms: platforms
                .map(|(name, platform)| (name.as_str(), ReportPlatform::new(platform)))
                .collect(),
        }
    }

    /// Returns it as JSON, keys sorted.
    #[must_use]
    pub fn to_json(&self) -> String {
        String::from_utf8(crate::oci::json::canonical(self)).expect("JSON is UTF-8")
    }
}

impl<'a> ReportPlatform<'a> {
    fn new(platform: &'a PlatformDifference) -> Self {
        let mut counts: BTreeMap<Attribute, usize> = BTreeMap::new();
        let compression = platform.layers.iter().flat_map(|layer| &layer.compression);
        let changes = platform.rows().flat_map(|row| &row.changes);
        for change in changes.chain(compression) {
            *counts.entry(change.attribute).or_default() += 1;
        }
        let word = |attribute| match serde_json::to_value(attribute) {
            Ok(Value::String(word)) => word,
            _ => String::new(),
        };
        Self {
            level: platform.level,
            a: platform.digests[0],
            b: platform.digests[1],
            counts: counts
                .into_iter()
                .map(|(attribute, count)| (word(attribute), count))
                .collect(),
            manifest: rows(&platform.manifest),
            config: rows(&platform.config),
            layers: platform.layers.iter().map(ReportLayer::new).collect(),
        }
    }
}

impl<'a> ReportLayer<'a> {
    fn new(layer: &'a LayerDifference) -> Self {
        let [a, b] = [0, 1].map(|side: usize| {
            let blobs = layer.places[side].iter().zip(&layer.digests[side]);
            blobs
                .zip(&layer.diff_ids[side])
                .map(|((&place, &digest), diff_id)| ReportBlob {
                    place,
                    digest,
                    diff_id: diff_id.0,
                })
                .collect()
        });
        Self {
            a,
            b,
            created_by: &layer.created_by,
            kind: layer.kind,
            first: layer.first.as_ref(),
            compression: &layer.compression,
            rows: rows(&layer.rows),
            cause: layer.cause,
        }
    }
}

fn rows(rows: &[Row]) -> Vec<ReportRow<'_>> {
    let row = |row| {
        let &Row {
            kind,
            ref path,
            ref changes,
            owners: [ref a, ref b],
            cause,
            ..
        } = row;
        ReportRow {
            kind,
            path,
            changes,
            owner_a: a.as_ref(),
            owner_b: b.as_ref(),
            cause,
        }
    };
    rows.iter().map(row).collect()
}

/// Returns the JSON Schema of what [`Report::to_json`] returns.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Report<'static>).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "imgbuild diff --json".into());
    }
    schema
}
