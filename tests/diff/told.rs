//! What `imgbuild diff --json` says, and what a test expects it to say, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Done, imgbuild, run};

/// Runs `imgbuild diff A B --json FLAGS`.
pub(crate) fn diff(a: &Path, b: &Path, flags: &[&str]) -> Done {
    run(imgbuild(&["diff", "--json"]).arg(a).arg(b).args(flags))
}

/// A row: `kind path attribute,attribute`, such as `changed /etc/motd content,size`.
pub(crate) type Told = BTreeSet<String>;

/// What a comparison is expected to say.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) level: &'static str,
    /// Every row there is; of several in one string, separated by `|`, any one.
    pub(crate) rows: Vec<String>,
    /// Whom the rows belong to, as `rpm NAME`, if it is known; of several, separated by `|`, to any one.
    pub(crate) owner: Option<String>,
    pub(crate) cause: Option<&'static str>,
    /// What is said of layers as a whole: `kind` and places.
    pub(crate) layers: Option<Vec<&'static str>>,
}

impl Expected {
    pub(crate) fn at(level: &'static str) -> Self {
        Self {
            level,
            ..Self::default()
        }
    }

    pub(crate) fn row(mut self, row: impl Into<String>) -> Self {
        self.rows.push(row.into());
        self
    }

    pub(crate) fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    pub(crate) fn because(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }

    pub(crate) fn layers(mut self, layers: &[&'static str]) -> Self {
        self.layers = Some(layers.to_vec());
        self
    }

    /// Compares it with what was printed.
    pub(crate) fn check(&self, what: &str, done: &Done) {
        let wanted = if self.level == "same" { 0 } else { 1 };
        assert_eq!(done.code, Some(wanted), "{what}: {done}");
        let report: Value = serde_json::from_str(&done.out).expect("JSON");
        let level = if self.level == "same" {
            "digest"
        } else {
            self.level
        };
        assert_eq!(report["level"], level, "{what}: {done}");
        let mut told = rows(&report);
        for row in &self.rows {
            let found = row.split('|').find(|row| told.contains(*row));
            let found = found.unwrap_or_else(|| panic!("{what}: no row {row}: {told:?}"));
            told.remove(found);
        }
        assert!(told.is_empty(), "{what}: said besides: {told:?}");
        if let Some(owner) = &self.owner {
            for row in entries(&report) {
                let owners = ["ownerA", "ownerB"].map(|key| shown(&row[key]));
                let is_right = owner
                    .split('|')
                    .any(|it| owners.iter().any(|own| own == it));
                assert!(is_right, "{what}: {owner} is not of {row}");
            }
        }
        if let Some(cause) = self.cause {
            assert!(
                causes(&report).contains(cause),
                "{what}: no {cause}: {done}"
            );
        }
        if let Some(layers) = &self.layers {
            assert_eq!(layer_kinds(&report), *layers, "{what}: {done}");
        }
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn platforms(report: &Value) -> Vec<Value> {
    let platforms = report["platforms"].as_object().expect("an object");
    platforms.values().cloned().collect()
}

fn layers(report: &Value) -> Vec<Value> {
    let platforms = platforms(report);
    platforms
        .iter()
        .flat_map(|it| list(&it["layers"]))
        .collect()
}

/// Returns the rows about entries.
pub(crate) fn entries(report: &Value) -> Vec<Value> {
    layers(report)
        .iter()
        .flat_map(|it| list(&it["rows"]))
        .collect()
}

/// Returns every row, those of documents too.
pub(crate) fn rows(report: &Value) -> Told {
    let mut all = list(&report["index"]);
    for platform in platforms(report) {
        all.extend(list(&platform["manifest"]));
        all.extend(list(&platform["config"]));
    }
    all.extend(entries(report));
    let row = |row: &Value| {
        let changes = list(&row["changes"]);
        let attributes: BTreeSet<&str> = changes
            .iter()
            .map(|change| change["attribute"].as_str().expect("text"))
            .collect();
        let attributes: Vec<&str> = attributes.into_iter().collect();
        let text = |key: &str| row[key].as_str().expect("text");
        format!("{} {} {}", text("kind"), text("path"), attributes.join(","))
    };
    all.iter().map(row).collect()
}

fn shown(owner: &Value) -> String {
    let text = |key: &str| owner[key].as_str().unwrap_or_default();
    format!("{} {}", text("kind"), text("name"))
        .trim()
        .to_owned()
}

/// Returns every cause that is named.
pub(crate) fn causes(report: &Value) -> BTreeSet<String> {
    let mut all = layers(report);
    for platform in platforms(report) {
        all.extend(list(&platform["manifest"]));
        all.extend(list(&platform["config"]));
    }
    all.extend(entries(report));
    let causes = all.iter().filter_map(|it| it["cause"].as_str());
    causes.map(str::to_owned).collect()
}

/// Returns the kind of each layer that differs.
pub(crate) fn layer_kinds(report: &Value) -> Vec<String> {
    let kind = |layer: &Value| layer["kind"].as_str().expect("text").to_owned();
    layers(report).iter().map(kind).collect()
}
