//! Folds SQLite's write-ahead log into the database it belongs to.
//!
//! A base may ship both files; what is committed is in either. Format: <https://www.sqlite.org/fileformat2.html#walformat>.

use super::error::WalError;

/// Bytes of the log's own header, and of the header of a frame.
const HEADER: usize = 32;
const FRAME: usize = 24;
/// Largest database that is read; rpm's are some megabytes.
const MAX_DATABASE: u64 = 2 << 30;

fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|raw| raw.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

/// The running checksum of a log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sum(u32, u32);

impl Sum {
    fn add(self, bytes: &[u8], is_big_endian: bool) -> Self {
        let word = |raw: &[u8]| {
            let raw = [raw[0], raw[1], raw[2], raw[3]];
            if is_big_endian {
                u32::from_be_bytes(raw)
            } else {
                u32::from_le_bytes(raw)
            }
        };
        bytes.chunks_exact(8).fold(self, |Self(a, b), pair| {
            let a = a.wrapping_add(word(&pair[..4])).wrapping_add(b);
            let b = b.wrapping_add(word(&pair[4..])).wrapping_add(a);
            Self(a, b)
        })
    }

    fn read(bytes: &[u8], at: usize) -> Self {
        Self(be32(bytes, at), be32(bytes, at + 4))
    }
}

/// Applies the committed frames of `log` to `database`.
///
/// Frames after the last commit, and frames left over from an earlier use of the file, are not committed: SQLite
/// ignores them too.
pub(super) fn fold(database: &mut Vec<u8>, log: &[u8]) -> Result<(), WalError> {
    if log.len() < HEADER {
        // SQLite takes a log that was cut before its header was complete for an empty one.
        return Ok(());
    }
    let magic = be32(log, 0);
    if magic & !1 != 0x377f_0682 {
        return Err(WalError::Magic(format!("{magic:08x}")));
    }
    let is_big_endian = magic & 1 == 1;
    if be32(log, 4) != 3_007_000 {
        return Err(WalError::Version(be32(log, 4)));
    }
    let page_size = be32(log, 8);
    let is_possible = page_size.is_power_of_two() && (512..=65_536).contains(&page_size);
    let of_database = page_size_of(database);
    if !is_possible || of_database.is_some_and(|wanted| wanted != page_size) {
        return Err(WalError::PageSize {
            wanted: of_database.unwrap_or(4096),
            found: page_size,
        });
    }
    let salts = Sum::read(log, 16);
    let mut sum = Sum(0, 0).add(&log[..24], is_big_endian);
    if sum != Sum::read(log, 24) {
        // As for SQLite: nothing in it counts.
        return Ok(());
    }
    let page = page_size as usize;
    let mut pending: Vec<(u32, &[u8])> = Vec::new();
    for frame in log[HEADER..].chunks_exact(FRAME + page) {
        let (head, data) = frame.split_at(FRAME);
        sum = sum.add(&head[..8], is_big_endian).add(data, is_big_endian);
        let number = be32(head, 0);
        if Sum::read(head, 8) != salts || sum != Sum::read(head, 16) || number == 0 {
            break;
        }
        pending.push((number, data));
        let pages = be32(head, 4);
        if pages == 0 {
            continue;
        }
        // A commit: it says how many pages the database has from now on.
        let size = u64::from(pages) * page as u64;
        if size > MAX_DATABASE {
            return Err(WalError::TooLarge(pages));
        }
        database.resize(size as usize, 0);
        for (number, data) in pending.drain(..) {
            let start = (number as usize - 1) * page;
            if let Some(place) = database.get_mut(start..start + page) {
                place.copy_from_slice(data);
            }
        }
    }
    Ok(())
}

/// Returns the page size that a database's header gives.
fn page_size_of(database: &[u8]) -> Option<u32> {
    let raw = database.get(16..18)?;
    Some(match u16::from_be_bytes([raw[0], raw[1]]) {
        1 => 65_536,
        size => u32::from(size),
    })
}
