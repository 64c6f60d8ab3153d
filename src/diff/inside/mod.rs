//! Looks into two contents of one path and says what differs in terms of their format.

mod bytes;
mod elf;
mod gzip;
mod pyc;
mod record;
mod rpmdb;
mod sqlite;
mod text;
mod zip;

use super::cause::Cause;
use super::documents;
use crate::layer::LayerPath;
use crate::rpm::database;

pub(super) use gzip::GzipHeader;

/// How many lines are said about one content.
const LINES: usize = 40;

/// The largest JSON document that is compared by value, in bytes.
const JSON: usize = 1 << 20;

/// What was found by looking inside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// For people.
    pub(super) lines: Vec<String>,
    /// If one was recognised.
    pub(super) cause: Option<Cause>,
}

impl Found {
    fn lines(lines: Vec<String>) -> Option<Self> {
        (!lines.is_empty()).then_some(Self { lines, cause: None })
    }

    fn because(self, cause: Cause) -> Self {
        Self {
            cause: Some(cause),
            ..self
        }
    }
}

/// Tells whether a content is worth more room than others: the database that says which packages there are.
pub(super) fn is_database(path: &LayerPath) -> bool {
    path.file_name() == database::MAIN.as_bytes()
}

/// Looks into both contents of a path.
pub(super) fn look(path: &LayerPath, a: &[u8], b: &[u8]) -> Found {
    let mut found = known(path, a, b)
        .or_else(|| json(a, b))
        .or_else(|| text::look(a, b))
        .unwrap_or_else(|| bytes::look(a, b));
    let count = found.lines.len();
    if count > LINES {
        found.lines.truncate(LINES);
        found.lines.push(format!("… {} more lines", count - LINES));
    }
    found
}

/// Looks into what is recognised by its name or first bytes.
fn known(path: &LayerPath, a: &[u8], b: &[u8]) -> Option<Found> {
    let name = path.file_name();
    let both = |magic: &[u8]| a.starts_with(magic) && b.starts_with(magic);
    let installer: [&[u8]; 4] = [
        b"uv_cache.json",
        b"INSTALLER",
        b"REQUESTED",
        b"direct_url.json",
    ];
    if is_database(path) {
        rpmdb::look(a, b).or_else(|| sqlite::look(a, b))
    } else if both(b"SQLite format 3\0") {
        sqlite::look(a, b)
    } else if name.ends_with(b".pyc") {
        pyc::look(a, b)
    } else if both(b"\x1f\x8b") {
        gzip::look(a, b)
    } else if both(b"\x7fELF") {
        elf::look(a, b)
    } else if both(b"PK\x03\x04") {
        zip::look(a, b)
    } else if name == b"RECORD" {
        record::look(a, b)
    } else if installer.contains(&name) {
        text::look(a, b).map(|found| found.because(Cause::InstallerMetadata))
    } else {
        None
    }
}

fn json(a: &[u8], b: &[u8]) -> Option<Found> {
    let parse = |bytes: &[u8]| {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
        let is_document = matches!(first, b'{' | b'[') && bytes.len() <= JSON;
        is_document.then(|| serde_json::from_slice(bytes).ok())?
    };
    let differing = documents::values(&parse(a)?, &parse(b)?);
    let lines = differing.into_iter().map(|it| {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "absent".to_owned());
        format!("{}: {} → {}", it.path, shown(it.a), shown(it.b))
    });
    // The same values in other bytes: the text tells.
    Found::lines(lines.collect())
}

#[cfg(test)]
mod tests;
