//! SQLite databases: their tables and how many rows each has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use rusqlite::{Connection, MAIN_DB};

use super::Found;
use crate::oci::Digest;

/// The most rows of a table that are read to be compared.
const ROWS: usize = 100_000;

/// A table: how it is declared, how many rows it has, and a digest of them.
#[derive(PartialEq, Eq)]
struct Table {
    declared: String,
    rows: i64,
    digest: Option<Digest>,
}

pub(super) fn look(a: &[u8], b: &[u8]) -> Option<Found> {
    let (x, y) = (tables(a)?, tables(b)?);
    let names: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
    let mut lines = Vec::new();
    for name in names {
        lines.push(match (x.get(name), y.get(name)) {
            (Some(was), Some(is)) if was == is => continue,
            (Some(was), None) => format!("table removed: {name}, {} rows", was.rows),
            (None, Some(is)) => format!("table added: {name}, {} rows", is.rows),
            (Some(was), Some(is)) if was.rows != is.rows => {
                format!("table {name}: number of rows {} → {}", was.rows, is.rows)
            }
            (Some(was), Some(is)) if was.declared != is.declared => {
                format!("table {name}: declared otherwise")
            }
            _ => format!("table {name}: other values in its rows"),
        });
    }
    if lines.is_empty() {
        lines.push("the tables are the same; their pages are laid out otherwise".to_owned());
    }
    Found::lines(lines)
}

fn tables(bytes: &[u8]) -> Option<BTreeMap<String, Table>> {
    let mut bytes = bytes.to_vec();
    // Write-ahead logging cannot be used in memory.
    if let Some(versions) = bytes.get_mut(18..20) {
        versions.copy_from_slice(&[1, 1]);
    }
    let mut connection = Connection::open_in_memory().ok()?;
    let length = bytes.len();
    connection
        .deserialize_read_exact(MAIN_DB, Cursor::new(bytes), length, true)
        .ok()?;
    // The schema comes with the file: nothing in it may run.
    connection
        .execute_batch("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;")
        .ok()?;
    let mut query = connection
        .prepare("SELECT name, sql FROM sqlite_master WHERE type='table' ORDER BY name")
        .ok()?;
    let listed = query
        .query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        })
        .ok()?;
    let mut out = BTreeMap::new();
    for listed in listed {
        let (name, declared) = listed.ok()?;
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let rows = connection
            .query_row(&format!("SELECT count(*) FROM {quoted}"), [], |row| {
                row.get(0)
            })
            .ok()?;
        let digest = digest(&connection, &quoted);
        let declared = declared.unwrap_or_default();
        out.insert(
            name,
            Table {
                declared,
                rows,
                digest,
            },
        );
    }
    Some(out)
}

fn digest(connection: &Connection, quoted: &str) -> Option<Digest> {
    let mut query = connection
        .prepare(&format!("SELECT * FROM {quoted} LIMIT {ROWS}"))
        .ok()?;
    let columns = query.column_count();
    let mut rows = query.query([]).ok()?;
    let mut hasher = crate::oci::Hasher::default();
    while let Some(row) = rows.next().ok()? {
        for column in 0..columns {
            hasher.update(format!("{:?}\0", row.get_ref(column).ok()?).as_bytes());
        }
    }
    Some(hasher.finish().0)
}
