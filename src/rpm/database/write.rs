//! Writes a database from headers alone: the same headers give the same bytes, whatever the base's file was like.

use std::fmt::Write as _;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, MAIN_DB, params};

use super::index::{TABLES, rows};
use super::{DatabaseError, Installed};

/// Where a database's header has the change counter and the number it must equal to be trusted.
const COUNTERS: [usize; 2] = [24, 92];

/// Writes `rpmdb.sqlite` with these packages; `last_number` is the highest number ever given.
///
/// The file is in rollback-journal mode: one in write-ahead mode cannot be read on a read-only root without its
/// companion files (rpm issue 2219). rpm switches back by itself when it writes.
///
/// # Errors
/// [`DatabaseError::SameNumber`]; [`DatabaseError::Write`] if SQLite refuses, which it has no reason to.
pub fn write(packages: &[Installed], last_number: u32) -> Result<Vec<u8>, DatabaseError> {
    let mut sorted: Vec<&Installed> = packages.iter().collect();
    sorted.sort_by_key(|package| package.number);
    if let Some(pair) = sorted.windows(2).find(|w| w[0].number == w[1].number) {
        return Err(DatabaseError::SameNumber(pair[0].number));
    }
    let mut bytes = build(&sorted, last_number).map_err(DatabaseError::Write)?;
    // They count the writes that led here, which is nobody's business.
    for at in COUNTERS {
        bytes
            .get_mut(at..at + 4)
            .ok_or(DatabaseError::Serialized(0))?
            .copy_from_slice(&1_u32.to_be_bytes());
    }
    Ok(bytes)
}

fn build(packages: &[&Installed], last_number: u32) -> rusqlite::Result<Vec<u8>> {
    let mut connection = Connection::open_in_memory()?;
    connection.execute_batch(&schema())?;
    {
        let mut insert = connection.prepare("INSERT INTO Packages(hnum,blob) VALUES(?,?)")?;
        for package in packages {
            insert.execute(params![package.number, package.header.bytes()])?;
        }
        connection.execute("DELETE FROM sqlite_sequence", [])?;
        connection.execute(
            "INSERT INTO sqlite_sequence(name,seq) VALUES('Packages',?)",
            [last_number],
        )?;
        for table in TABLES {
            let mut insert =
                connection.prepare(&format!("INSERT INTO '{}' VALUES(?,?,?)", table.name))?;
            for package in packages {
                for (key, position) in rows(&package.header, table) {
                    let key = if table.has_binary_keys() {
                        ValueRef::Blob(&key)
                    } else {
                        ValueRef::Text(&key)
                    };
                    let key = ToSqlOutput::Borrowed(key);
                    insert.execute(params![key, package.number, position])?;
                }
            }
        }
    }
    connection.execute_batch("COMMIT; VACUUM;")?;
    Ok(connection.serialize(MAIN_DB)?.to_vec())
}

/// Returns rpm's schema: `sqlite_init` and `sqlite_createTable` in rpm's `lib/backend/sqlite.c`, quoted as there.
fn schema() -> String {
    let mut sql = String::from(
        "PRAGMA page_size=4096; PRAGMA encoding='UTF-8'; PRAGMA auto_vacuum=NONE; PRAGMA secure_delete=ON; BEGIN;\
         CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL);",
    );
    for table in TABLES {
        let name = table.name;
        let kind = if table.has_binary_keys() {
            "BLOB"
        } else {
            "TEXT"
        };
        write!(
            sql,
            "CREATE TABLE '{name}' (key '{kind}' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL, \
             FOREIGN KEY (hnum) REFERENCES 'Packages'(hnum));"
        )
        .expect("writing to a String cannot fail");
        if !table.has_binary_keys() {
            write!(sql, "CREATE INDEX '{name}_key_idx' ON '{name}'(key ASC);")
                .expect("writing to a String cannot fail");
        }
        if table.has_many_rows() {
            write!(sql, "CREATE INDEX '{name}_hnum_idx' ON '{name}'(hnum ASC);")
                .expect("writing to a String cannot fail");
        }
    }
    sql
}
