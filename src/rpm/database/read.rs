//! Reads a database from memory.

use std::io::Cursor;

use rusqlite::{Connection, MAIN_DB};

use super::wal::fold;
use super::{Database, DatabaseError, Installed};
use crate::oci::digest::hex;
use crate::rpm::header::Header;

/// What an sqlite database begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// Where Berkeley DB has its magic (hash and btree), in either byte order.
const BERKELEY_AT: usize = 12;
const BERKELEY: [u32; 2] = [0x0006_1561, 0x0005_3162];
/// What rpm's "ndb" begins with.
const NDB: &[u8] = b"RpmP";

/// Reads the packages of a database, its write-ahead log folded in.
///
/// `main` is `rpmdb.sqlite`, `log` is `rpmdb.sqlite-wal` if there is one: what only the log holds is installed too.
///
/// # Errors
/// [`DatabaseError`], also for databases of the formats that rpm used before sqlite.
pub fn read(main: &[u8], log: Option<&[u8]>) -> Result<Database, DatabaseError> {
    let mut bytes = main.to_vec();
    if !bytes.is_empty() {
        recognise(&bytes)?;
    }
    if let Some(log) = log {
        fold(&mut bytes, log)?;
    }
    if bytes.is_empty() {
        return Ok(Database::default());
    }
    recognise(&bytes)?;
    // Write-ahead logging cannot be used in memory; the log is folded in already.
    if let Some(versions) = bytes.get_mut(18..20) {
        versions.copy_from_slice(&[1, 1]);
    }
    let mut connection = Connection::open_in_memory().map_err(DatabaseError::Read)?;
    let length = bytes.len();
    connection
        .deserialize_read_exact(MAIN_DB, Cursor::new(bytes), length, true)
        .map_err(DatabaseError::Read)?;
    rows(&connection)
}

fn rows(connection: &Connection) -> Result<Database, DatabaseError> {
    let wrap = DatabaseError::Read;
    // The schema comes with the file: nothing in it may run, and damaged pages are found when read.
    connection
        .execute_batch("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;")
        .map_err(wrap)?;
    let is_table = connection
        .prepare("SELECT 1 FROM sqlite_master WHERE name='Packages' AND type='table'")
        .and_then(|mut query| query.exists([]))
        .map_err(wrap)?;
    if !is_table {
        return Err(DatabaseError::NoPackages);
    }
    let mut query = connection
        .prepare("SELECT hnum, blob FROM Packages ORDER BY hnum")
        .map_err(wrap)?;
    let mut found = query.query([]).map_err(wrap)?;
    let mut database = Database::default();
    while let Some(row) = found.next().map_err(wrap)? {
        let number: i64 = row.get(0).map_err(wrap)?;
        let number = u32::try_from(number)
            .ok()
            .filter(|&number| number > 0)
            .ok_or(DatabaseError::Number(number))?;
        let blob = row
            .get_ref(1)
            .map_err(wrap)?
            .as_blob()
            .map_err(|error| wrap(error.into()))?;
        let header =
            Header::parse(blob).map_err(|source| DatabaseError::Header { number, source })?;
        database.last_number = database.last_number.max(number);
        database.packages.push(Installed { number, header });
    }
    // Numbers of removed packages are not given again.
    let given: Option<i64> = connection
        .query_row(
            "SELECT max(seq) FROM sqlite_sequence WHERE name='Packages'",
            [],
            |row| row.get(0),
        )
        .unwrap_or_default();
    if let Some(given) = given.and_then(|given| u32::try_from(given).ok()) {
        database.last_number = database.last_number.max(given);
    }
    Ok(database)
}

fn recognise(bytes: &[u8]) -> Result<(), DatabaseError> {
    if bytes.starts_with(SQLITE) {
        return Ok(());
    }
    let raw = bytes.get(BERKELEY_AT..BERKELEY_AT + 4);
    if let Some(raw) = raw.and_then(|raw| <[u8; 4]>::try_from(raw).ok())
        && [u32::from_le_bytes(raw), u32::from_be_bytes(raw)]
            .iter()
            .any(|magic| BERKELEY.contains(magic))
    {
        return Err(DatabaseError::BerkeleyDb);
    }
    if bytes.starts_with(NDB) {
        return Err(DatabaseError::Ndb);
    }
    Err(DatabaseError::Unknown(hex(&bytes[..bytes.len().min(16)])))
}
