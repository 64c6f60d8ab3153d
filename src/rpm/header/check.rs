//! Reads a header and checks all of it, so that nothing has to be checked later.

use std::ops::Range;
use std::sync::Arc;

use super::error::{DataProblem, HeaderError};
use super::{Entry, Header, Kind, MAGIC};
use crate::rpm::tag;

/// Entries a header may have, as rpm limits them.
const MAX_ENTRIES: u32 = 0xffff;
/// Bytes of data a header may have, as rpm limits them.
const MAX_DATA: u32 = 256 << 20;
/// Bytes of an index entry, and of the trailer of a region.
pub(super) const ENTRY: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) entries: usize,
    pub(super) data: usize,
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(raw.try_into().ok()?))
}

impl Header {
    /// Reads how many bytes a header takes from its first eight: the two counts, without magic.
    ///
    /// # Errors
    /// [`HeaderError::TooLarge`] beyond rpm's limits; [`HeaderError::Length`] if there are no eight bytes.
    pub fn length(start: &[u8]) -> Result<usize, HeaderError> {
        let short = HeaderError::Length {
            wanted: 8,
            found: start.len() as u64,
        };
        let (Some(count), Some(data)) = (be32(start, 0), be32(start, 4)) else {
            return Err(short);
        };
        for (what, count, limit) in [
            ("entries", count, MAX_ENTRIES),
            ("bytes of data", data, MAX_DATA),
        ] {
            if count > limit {
                return Err(HeaderError::TooLarge { what, count, limit });
            }
        }
        Ok(8 + ENTRY * count as usize + data as usize)
    }

    /// As [`Header::length`], for a header with its magic: from its first sixteen bytes.
    ///
    /// # Errors
    /// As for [`Header::length`]; [`HeaderError::Magic`].
    pub fn length_with_magic(start: &[u8]) -> Result<usize, HeaderError> {
        Ok(MAGIC.len() + Self::length(without_magic(start)?)?)
    }

    /// Reads a header as a database stores it: counts, index, data, and nothing after them.
    ///
    /// # Errors
    /// [`HeaderError`] for everything that rpm refuses, and for tags that occur twice.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let wanted = Self::length(bytes)?;
        if bytes.len() != wanted {
            return Err(HeaderError::Length {
                wanted: wanted as u64,
                found: bytes.len() as u64,
            });
        }
        let count = (be32(bytes, 0).unwrap_or(0)) as usize;
        let store = 8 + ENTRY * count;
        let mut entries = Vec::with_capacity(count);
        let mut region = None;
        let mut free_from = 0;
        for (position, raw) in bytes[8..store].chunks_exact(ENTRY).enumerate() {
            let [number, kind, offset, items] =
                [0, 4, 8, 12].map(|at| be32(raw, at).unwrap_or_default());
            let is_region = (tag::HEADERIMAGE..=tag::HEADERIMMUTABLE).contains(&number);
            if is_region {
                // Only the first entry can be one. Its data is its trailer, at the end of the region's data, so it
                // takes no part in the order of offsets.
                if position != 0 || kind != Kind::Bin.number() || items as usize != ENTRY {
                    return Err(HeaderError::Region(number));
                }
                region = read_region(&bytes[store..], number, offset, count)?;
                let start = (store + offset as usize).min(bytes.len());
                entries.push(Entry {
                    tag: number,
                    kind: Kind::Bin,
                    count: items,
                    start,
                    end: (start + ENTRY).min(bytes.len()),
                });
                continue;
            }
            let kind = Kind::from_number(kind)
                .filter(|_| number >= tag::HEADERI18NTABLE)
                .ok_or(HeaderError::Type { tag: number, kind })?;
            let data = Claimed {
                tag: number,
                kind,
                offset,
                count: items,
            };
            // The data after a region begins behind its trailer.
            if region.is_some_and(|region: Region| region.entries == position) {
                free_from = free_from.max(region.map_or(0, |region| region.data));
            }
            let range = data.locate(&bytes[store..], free_from)?;
            if let Some(region) = region
                && position < region.entries
                && range.end > region.data - ENTRY
            {
                return Err(data.wrong(DataProblem::Outside));
            }
            free_from = range.end;
            entries.push(Entry {
                tag: number,
                kind,
                count: items,
                start: store + range.start,
                end: store + range.end,
            });
        }
        let in_region = region.map_or(count, |region| region.entries);
        Ok(Self {
            by_tag: order(&entries, in_region)?,
            bytes: bytes.into(),
            entries: entries.into(),
            region,
        })
    }

    /// Reads a header as a package holds it: magic, counts, index, data.
    ///
    /// # Errors
    /// As for [`Header::parse`]; [`HeaderError::Magic`].
    pub fn parse_with_magic(bytes: &[u8]) -> Result<Self, HeaderError> {
        Self::parse(without_magic(bytes)?)
    }
}

fn without_magic(bytes: &[u8]) -> Result<&[u8], HeaderError> {
    // The four bytes after the version are reserved; rpm compares them too.
    bytes.strip_prefix(&MAGIC).ok_or_else(|| {
        let start = &bytes[..bytes.len().min(MAGIC.len())];
        HeaderError::Magic(crate::oci::digest::hex(start))
    })
}

/// Reads the trailer of the region that the first entry of an index opens.
fn read_region(
    store: &[u8],
    number: u32,
    offset: u32,
    count: usize,
) -> Result<Option<Region>, HeaderError> {
    if offset == 0 {
        // Before RPM 4: no trailer, all entries belong to it. Nothing can be told apart, so there is no region.
        return Ok(None);
    }
    let wrong = || HeaderError::Region(number);
    let start = offset as usize;
    let trailer = store.get(start..start + ENTRY).ok_or_else(wrong)?;
    let [trailer_tag, kind, back, items] =
        [0, 4, 8, 12].map(|at| be32(trailer, at).unwrap_or_default());
    // Old rpm wrote the wrong one of its two tags into the trailers of signature headers.
    let is_same = trailer_tag == number
        || (number == tag::HEADERSIGNATURES && trailer_tag == tag::HEADERIMAGE);
    let length = 0u32.wrapping_sub(back) as usize;
    let entries = length / ENTRY;
    let fits = (1..=count).contains(&entries) && length.is_multiple_of(ENTRY);
    if !is_same || kind != Kind::Bin.number() || items as usize != ENTRY || !fits {
        return Err(wrong());
    }
    Ok(Some(Region {
        entries,
        data: start + ENTRY,
    }))
}

/// What an index entry says about its data, before it is believed.
struct Claimed {
    tag: u32,
    kind: Kind,
    offset: u32,
    count: u32,
}

impl Claimed {
    fn wrong(&self, problem: DataProblem) -> HeaderError {
        HeaderError::Data {
            tag: self.tag,
            count: self.count,
            offset: self.offset,
            problem,
        }
    }

    /// Returns the range of its data in `store`, which must not begin before `free_from`.
    fn locate(&self, store: &[u8], free_from: usize) -> Result<Range<usize>, HeaderError> {
        let start = self.offset as usize;
        if self.count == 0 || (self.kind == Kind::String && self.count != 1) {
            return Err(self.wrong(DataProblem::Count));
        }
        let rest = store
            .get(start..)
            .ok_or_else(|| self.wrong(DataProblem::Outside))?;
        if start < free_from {
            return Err(self.wrong(DataProblem::Overlaps));
        }
        if !start.is_multiple_of(self.kind.alignment()) {
            return Err(self.wrong(DataProblem::Unaligned));
        }
        let length = if let Some(size) = self.kind.item_size() {
            size.checked_mul(self.count as usize)
                .filter(|&length| length <= rest.len())
                .ok_or_else(|| self.wrong(DataProblem::Outside))?
        } else {
            // Each string takes at least its NUL, so the loop ends with the data however large the count.
            rest.iter()
                .enumerate()
                .filter(|(_, byte)| **byte == 0)
                .nth(self.count as usize - 1)
                .map(|(at, _)| at + 1)
                .ok_or_else(|| self.wrong(DataProblem::Unterminated))?
        };
        Ok(start..start + length)
    }
}

/// Returns the positions of entries sorted by tag, each once; entries after the region win over those in it.
fn order(entries: &[Entry], in_region: usize) -> Result<Arc<[u32]>, HeaderError> {
    let mut positions: Vec<u32> = (0..entries.len() as u32).collect();
    positions.sort_by_key(|&at| entries[at as usize].tag);
    let mut out: Vec<u32> = Vec::with_capacity(positions.len());
    for at in positions {
        let number = entries[at as usize].tag;
        match out.last_mut() {
            Some(last) if entries[*last as usize].tag == number => {
                let was_in_region = (*last as usize) < in_region;
                let is_in_region = (at as usize) < in_region;
                if was_in_region == is_in_region {
                    return Err(HeaderError::Duplicate(number));
                }
                *last = at;
            }
            _ => out.push(at),
        }
    }
    Ok(out.into())
}
