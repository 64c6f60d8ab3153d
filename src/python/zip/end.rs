//! Finds the end of an archive, which says where its directory is.

use super::ZipError;
use super::records::{MAX16, MAX32, take, u16_at, u32_at, u64_at};
use crate::layer::RandomRead;

const END: [u8; 4] = *b"PK\x05\x06";
const END_LENGTH: u64 = 22;
const END64: [u8; 4] = *b"PK\x06\x06";
const END64_LENGTH: u64 = 56;
const LOCATOR: [u8; 4] = *b"PK\x06\x07";
const LOCATOR_LENGTH: u64 = 20;
/// The central directory, as the end of the archive describes it.
pub(super) struct End {
    /// How many entries it has.
    pub(super) count: u64,
    /// Its length in bytes.
    pub(super) length: u64,
    /// Where it starts.
    pub(super) offset: u64,
    /// Where the records of the end start, and so the directory must stop.
    pub(super) at: u64,
}

/// Finds the end record (APPNOTE 4.3.16), and its ZIP64 form (4.3.14, 4.3.15) if there is one.
pub(super) fn find_end(blob: &dyn RandomRead) -> Result<End, ZipError> {
    let size = blob.size();
    let tail_at = size.saturating_sub(END_LENGTH + MAX16);
    let tail = take(blob, tail_at, size - tail_at)?;
    let is_end = |at: &usize| {
        let record = tail.get(*at..).unwrap_or_default();
        let comment = u16_at(record, 20).map(usize::from);
        record.starts_with(&END) && comment.is_some_and(|comment| record.len() == 22 + comment)
    };
    let at = (0..tail.len()).rev().find(is_end).ok_or(ZipError::End)?;
    let record = tail.get(at..).unwrap_or_default();
    let comment = record.get(22..).unwrap_or_default();
    // A comment that could be taken for records of its own.
    if comment.iter().any(|&c| (1..=8).contains(&c)) {
        return Err(ZipError::Inconsistent(
            "the comment holds control characters",
        ));
    }
    let field16 = |at| u16_at(record, at).map(u64::from).ok_or(ZipError::End);
    let field32 = |at| u32_at(record, at).map(u64::from).ok_or(ZipError::End);
    if field16(4)? != 0 || field16(6)? != 0 || field16(8)? != field16(10)? {
        return Err(ZipError::Inconsistent("it is split over several files"));
    }
    let short = End {
        count: field16(10)?,
        length: field32(12)?,
        offset: field32(16)?,
        at: tail_at + at as u64,
    };
    end64(blob, short)
}

fn end64(blob: &dyn RandomRead, short: End) -> Result<End, ZipError> {
    let is_short = short.count != MAX16 && short.length != MAX32 && short.offset != MAX32;
    let Some(locator_at) = short.at.checked_sub(LOCATOR_LENGTH) else {
        return Ok(short);
    };
    let locator = take(blob, locator_at, LOCATOR_LENGTH)?;
    if !locator.starts_with(&LOCATOR) {
        // 65,535 members exactly need no ZIP64; the other two fields do.
        return if is_short || (short.length != MAX32 && short.offset != MAX32) {
            Ok(short)
        } else {
            Err(ZipError::Inconsistent("its ZIP64 locator is missing"))
        };
    }
    let malformed = || ZipError::Inconsistent("its ZIP64 end is malformed");
    let at = u64_at(&locator, 8).ok_or_else(malformed)?;
    if locator_at.checked_sub(END64_LENGTH) != Some(at)
        || u32_at(&locator, 4) != Some(0)
        || u32_at(&locator, 16).is_none_or(|files| files > 1)
    {
        return Err(malformed());
    }
    let record = take(blob, at, END64_LENGTH)?;
    // Its length does not count its first 12 bytes; a longer one has an extensible part, which is not read.
    let is_plain = record.starts_with(&END64) && u64_at(&record, 4) == Some(END64_LENGTH - 12);
    let field = |at| u64_at(&record, at).ok_or_else(malformed);
    if !is_plain
        || u32_at(&record, 16) != Some(0)
        || u32_at(&record, 20) != Some(0)
        || field(24)? != field(32)?
    {
        return Err(malformed());
    }
    let long = End {
        count: field(32)?,
        length: field(40)?,
        offset: field(48)?,
        at,
    };
    let agrees = |short: u64, long: u64, most: u64| short == most || short == long;
    if !agrees(short.count, long.count, MAX16)
        || !agrees(short.length, long.length, MAX32)
        || !agrees(short.offset, long.offset, MAX32)
    {
        return Err(ZipError::Inconsistent("its two ends differ"));
    }
    Ok(long)
}
