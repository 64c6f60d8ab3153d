//! A comparison for people: the verdict first, then what differs and whose it is, then what to do.

use std::fmt::Write as _;

use super::verdict::{
    Attribute, Change, Difference, LayerChange, LayerDifference, Level, Owner, PlatformDifference,
    Row, RowKind,
};

/// How many rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// As many as a person reads: the first of each layer.
    Some,
    /// All.
    All,
}

/// Rows of one layer or document that are shown when not all are.
const SHOWN: usize = 15;

/// Lines about the inside of one content that are shown when not all are.
const LINES: usize = 8;

/// Returns the comparison of two images as text that ends with a newline.
#[must_use]
pub fn render(difference: &Difference, names: [&str; 2], rows: Rows) -> String {
    let mut out = Text {
        text: String::new(),
        rows,
        hidden: 0,
    };
    let width = names[0].len().max(names[1].len());
    for (mark, side) in [("A", 0), ("B", 1)] {
        let (name, digest) = (names[side], difference.digests[side]);
        out.line(0, &format!("{mark}  {name:width$}  {digest}"));
    }
    if !difference.index.is_empty() {
        out.line(0, "");
        out.line(0, "index: what the names lead to differs");
        out.rows(&difference.index);
    }
    for (platform, found) in &difference.platforms {
        out.line(0, "");
        out.platform(platform, found);
    }
    if difference.platforms.is_empty() {
        out.line(0, "");
        out.line(0, "no platform is in both: nothing else was compared");
    }
    out.closing(difference);
    out.text
}

/// Text that grows.
struct Text {
    text: String,
    rows: Rows,
    hidden: usize,
}

impl Text {
    fn line(&mut self, indent: usize, line: &str) {
        let line = format!("{:indent$}{line}", "");
        writeln!(self.text, "{}", line.trim_end()).expect("writing to a String cannot fail");
    }

    fn platform(&mut self, name: &str, found: &PlatformDifference) {
        let verdict = match found.level {
            Level::Digest => "the same: the manifests are equal, byte for byte",
            Level::Content => {
                "the same content (config and every layer's tar), in other blobs or another manifest"
            }
            Level::Tree => {
                "the same files, with all metadata; layers, their tars or the configuration differ"
            }
            Level::Differs => "DIFFERS: the files of the images are not the same",
        };
        self.line(0, &format!("{name}: {verdict}"));
        self.counts(found);
        for (title, rows) in [("manifest", &found.manifest), ("config", &found.config)] {
            if !rows.is_empty() {
                self.line(0, "");
                self.line(2, title);
                self.rows(rows);
            }
        }
        for layer in &found.layers {
            self.line(0, "");
            self.layer(layer, found.layer_counts);
        }
    }

    /// Says how much differs, and where.
    fn counts(&mut self, found: &PlatformDifference) {
        let entries = found.layers.iter().map(|layer| layer.rows.len()).sum();
        let parts = [
            many(
                found.manifest.len(),
                "field of the manifest",
                "fields of the manifest",
            ),
            many(
                found.config.len(),
                "field of the config",
                "fields of the config",
            ),
            many(found.layers.len(), "layer", "layers"),
            many(entries, "path", "paths"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            self.line(0, &format!("what differs: {}", parts.join(", ")));
        }
    }

    fn layer(&mut self, layer: &LayerDifference, counts: [usize; 2]) {
        let place = |side: usize| {
            let places: Vec<String> = layer.places[side].iter().map(usize::to_string).collect();
            format!("{} of {}", places.join("+"), counts[side])
        };
        let places = match layer.kind {
            LayerChange::Added => format!("layer {} of B, not in A", place(1)),
            LayerChange::Removed => format!("layer {} of A, not in B", place(0)),
            _ if layer.places[0] == layer.places[1] && counts[0] == counts[1] => {
                format!("layer {}", place(0))
            }
            _ => format!("layer {} of A, {} of B", place(0), place(1)),
        };
        let made = if layer.created_by.is_empty() {
            String::new()
        } else {
            format!("  \"{}\"", super::documents::short(&layer.created_by))
        };
        self.line(2, &format!("{places}{made}"));
        let what = match layer.kind {
            LayerChange::Compression => "the same tar; only its compression differs",
            LayerChange::Moved => "the same tar, in another place among the layers",
            LayerChange::Split => "compared together: the images are cut into layers differently",
            _ => "",
        };
        if !what.is_empty() {
            self.line(4, what);
        }
        if let Some(first) = &layer.first {
            let line = format!(
                "the tars differ from byte {} on: {}",
                first.offset, first.path
            );
            self.line(4, &line);
        }
        self.changes(4, &layer.compression);
        if let Some(cause) = layer.cause {
            self.line(4, &format!("likely: {}", cause.sentence()));
        }
        self.rows(&layer.rows);
    }

    fn rows(&mut self, rows: &[Row]) {
        let shown = match self.rows {
            Rows::All => rows.len(),
            Rows::Some => SHOWN,
        };
        for row in rows.iter().take(shown) {
            self.row(row);
        }
        if rows.len() > shown {
            let hidden = rows.len() - shown;
            self.hidden += hidden;
            self.line(4, &format!("… and {hidden} more"));
        }
    }

    fn row(&mut self, row: &Row) {
        let sign = match row.kind {
            RowKind::Added => '+',
            RowKind::Removed => '-',
            RowKind::Changed => '~',
        };
        let whose = match &row.owners {
            [Some(a), Some(b)] if a != b => format!("  (A: {a}; B: {b})"),
            [Some(owner), _] | [_, Some(owner)] => format!("  ({})", said(owner)),
            _ => String::new(),
        };
        let path = if row.path.is_empty() {
            "as a whole"
        } else {
            &row.path
        };
        self.line(4, &format!("{sign} {path}{whose}"));
        self.changes(8, &row.changes);
        if let Some(cause) = row.cause {
            self.line(8, &format!("likely: {}", cause.sentence()));
        }
    }

    fn changes(&mut self, indent: usize, changes: &[Change]) {
        for change in changes {
            self.line(indent, &told(change));
            let shown = match self.rows {
                Rows::All => change.inside.len(),
                Rows::Some => LINES,
            };
            for line in change.inside.iter().take(shown) {
                self.line(indent + 4, line);
            }
            if change.inside.len() > shown {
                let hidden = change.inside.len() - shown;
                self.line(indent + 4, &format!("… {hidden} more lines"));
            }
        }
    }

    /// Says what it comes to, and what to do about it.
    fn closing(&mut self, difference: &Difference) {
        self.line(0, "");
        if difference.is_same() {
            self.line(0, "Nothing differs.");
            return;
        }
        let causes: std::collections::BTreeSet<_> = difference
            .platforms
            .values()
            .flat_map(PlatformDifference::causes)
            .collect();
        if !causes.is_empty() {
            self.line(0, "What to do, by likely cause:");
        }
        for cause in causes {
            let (what, remedy) = (cause.sentence(), cause.advice());
            self.line(2, &format!("{what}:"));
            self.line(6, remedy);
        }
        if self.hidden > 0 {
            let line = format!("{} rows are not shown: --all shows them.", self.hidden);
            self.line(0, &line);
        }
        self.line(
            0,
            "--report-dir DIR writes both versions of every file that differs.",
        );
    }
}

/// Counts things; none if there are none.
fn many(count: usize, one: &str, more: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {more}")),
    }
}

fn said(owner: &Owner) -> String {
    match owner {
        Owner::Layer(created_by) => format!("made by \"{}\"", super::documents::short(created_by)),
        owner => owner.to_string(),
    }
}

/// Says one change in a line.
fn told(change: &Change) -> String {
    let name = match change.attribute {
        Attribute::Value | Attribute::Bytes => "",
        Attribute::Compression => "compression",
        Attribute::Type => "type",
        Attribute::Whiteout => "whiteout",
        Attribute::Content => "content",
        Attribute::Size => "size",
        Attribute::Mode => "mode",
        Attribute::Owner => "owner",
        Attribute::Mtime => "mtime",
        Attribute::Link => "leads to",
        Attribute::HardLink => "hard link",
        Attribute::Capability => "capability",
        Attribute::Xattr => "xattr",
        Attribute::Order => "order in the tar",
        Attribute::Duplicate => "times in the tar",
        Attribute::Header => "tar header",
    };
    let value = match (&change.a, &change.b) {
        // Forty-odd digits of a digest tell a person nothing.
        (Some(a), Some(b)) if change.attribute == Attribute::Content => {
            format!("{} → {}", brief(a), brief(b))
        }
        (Some(a), Some(b)) => format!("{a} → {b}"),
        (Some(a), None) if change.attribute == Attribute::Value => format!("{a} → absent"),
        (None, Some(b)) if change.attribute == Attribute::Value => format!("absent → {b}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    };
    format!("{name} {value}").trim().to_owned()
}

fn brief(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}
