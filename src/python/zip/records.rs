//! Reads the records of the members of an archive: the central directory, and the local header of each.

use super::end::find_end;
use super::{DEFLATE_RATIO, Limits, Member, NameFault, ZipError, names};
use crate::layer::RandomRead;
use crate::layer::content::Packing;

const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const CENTRAL_LENGTH: usize = 46;
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";

/// The value that sends a reader to the ZIP64 field.
pub(super) const MAX32: u64 = 0xffff_ffff;
pub(super) const MAX16: u64 = 0xffff;

/// Sizes and CRC follow the data.
const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// The name is UTF-8.
const FLAG_UTF8: u16 = 1 << 11;
/// Bits 1 and 2 say how hard the packer tried.
const FLAGS_KNOWN: u16 = 0b110 | FLAG_DESCRIPTOR | FLAG_UTF8;

/// What the central directory says of a member.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size: u64,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    executable: bool,
    /// Where its local header starts.
    header: u64,
    /// Where its packed bytes start.
    data: u64,
}

impl Entry {
    pub(super) fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }

    pub(super) fn into_folder(mut self) -> String {
        self.name.pop();
        self.name
    }

    pub(super) fn into_member(self) -> Member {
        Member {
            name: self.name,
            executable: self.executable,
            size: self.size,
            crc: self.crc,
            offset: self.data,
            packed: self.packed,
            packing: if self.method == 0 {
                Packing::Stored
            } else {
                Packing::Deflate
            },
        }
    }
}

/// Reads all entries and checks that they account for every byte.
pub(super) fn read(blob: &dyn RandomRead, limits: &Limits) -> Result<Vec<Entry>, ZipError> {
    let end = find_end(blob)?;
    if end.count > limits.members {
        return Err(ZipError::Count {
            found: end.count,
            most: limits.members,
        });
    }
    let malformed = || ZipError::Record {
        record: "central directory",
        at: end.offset,
    };
    // The entries of so many members cannot be longer than this, so memory is bounded before it is taken.
    let longest = end.count.saturating_mul(CENTRAL_LENGTH as u64 + 3 * MAX16);
    if end.length > longest || end.offset.checked_add(end.length) != Some(end.at) {
        return Err(malformed());
    }
    let bytes = take(blob, end.offset, end.length)?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    for _ in 0..end.count {
        entries.push(central(&mut rest).ok_or_else(malformed)??);
    }
    if !rest.is_empty() {
        return Err(malformed());
    }
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&at| entries.get(at).map(|entry| entry.header));
    let mut wanted = 0;
    for (place, &at) in order.iter().enumerate() {
        let next = order.get(place + 1).and_then(|&at| entries.get(at));
        let until = next.map_or(end.offset, |next| next.header);
        if let Some(entry) = entries.get_mut(at) {
            if entry.header != wanted {
                return Err(gap(&entry.name, entry.header, wanted));
            }
            wanted = local(blob, entry, until)?;
        }
    }
    if wanted != end.offset {
        return Err(gap("central directory", end.offset, wanted));
    }
    Ok(entries)
}

fn gap(member: &str, found: u64, wanted: u64) -> ZipError {
    ZipError::Gap {
        member: member.to_owned(),
        found,
        wanted,
    }
}

pub(super) fn take(blob: &dyn RandomRead, at: u64, length: u64) -> Result<Vec<u8>, ZipError> {
    // Never more memory than there are bytes.
    if at.checked_add(length).is_none_or(|end| end > blob.size()) {
        return Err(ZipError::Record {
            record: "record",
            at,
        });
    }
    let length = usize::try_from(length).map_err(|_| ZipError::End)?;
    let mut bytes = vec![0; length];
    blob.read_exact_at(&mut bytes, at).map_err(ZipError::Read)?;
    Ok(bytes)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads one entry of the central directory (APPNOTE 4.3.12); none if it is cut off.
fn central(rest: &mut &[u8]) -> Option<Result<Entry, ZipError>> {
    let head = rest.get(..CENTRAL_LENGTH)?;
    if !head.starts_with(&CENTRAL) {
        return None;
    }
    let lengths = [28, 30, 32].map(|at| u16_at(head, at).map_or(0, usize::from));
    let body = rest.get(CENTRAL_LENGTH..)?;
    let (name, body) = body.split_at_checked(lengths[0])?;
    let (extra, body) = body.split_at_checked(lengths[1])?;
    *rest = body.get(lengths[2]..)?;
    let flags = u16_at(head, 8)?;
    let name = match names::parse(name, flags & FLAG_UTF8 != 0) {
        Ok(name) => name,
        Err(error) => return Some(Err(error)),
    };
    let mut entry = Entry {
        flags,
        method: u16_at(head, 10)?,
        crc: u32_at(head, 16)?,
        packed: u32_at(head, 20)?.into(),
        size: u32_at(head, 24)?.into(),
        header: u32_at(head, 42)?.into(),
        executable: false,
        data: 0,
        name,
    };
    // 4.5.3: only the fields at their maximum are in the extra field, in this order.
    let fields = [&mut entry.size, &mut entry.packed, &mut entry.header];
    if !widen(extra, fields) {
        return Some(Err(differs(&entry, "ZIP64 field")));
    }
    let host = head.get(5).copied()?;
    let attributes = u32_at(head, 38)?;
    Some(examine(entry, extra, host, attributes, u16_at(head, 34)?))
}

fn differs(entry: &Entry, field: &'static str) -> ZipError {
    ZipError::Disagree {
        member: entry.name.clone(),
        field,
    }
}

/// Refuses entries that no wheel needs.
fn examine(
    mut entry: Entry,
    extra: &[u8],
    host: u8,
    attributes: u32,
    file: u16,
) -> Result<Entry, ZipError> {
    let member = || entry.name.clone();
    if entry.flags & !FLAGS_KNOWN != 0 {
        return Err(ZipError::Flags {
            member: member(),
            flags: entry.flags,
        });
    }
    if file != 0 {
        return Err(ZipError::Inconsistent("it is split over several files"));
    }
    // 4.4.2: 3 is Unix and 19 is macOS; others, such as 0 for FAT, have no modes.
    let mode = attributes >> 16;
    let format = mode & 0o170_000;
    let kind = match format {
        0o120_000 => "a symbolic link",
        0 | 0o100_000 if !entry.is_folder() => "",
        0 | 0o040_000 if entry.is_folder() => "",
        0o040_000 => "a directory whose name does not end in `/`",
        0o100_000 => "a file whose name ends in `/`",
        _ => "a special file",
    };
    if !kind.is_empty() {
        return Err(ZipError::Special {
            member: member(),
            kind,
        });
    }
    let most = match entry.method {
        0 => entry.packed,
        8 => entry.packed.saturating_mul(DEFLATE_RATIO),
        found => {
            return Err(ZipError::Method {
                member: member(),
                found,
            });
        }
    };
    if entry.size > most
        || (entry.method == 0 && entry.size != entry.packed)
        || (entry.is_folder() && entry.size != 0)
    {
        return Err(ZipError::Bomb {
            member: member(),
            packed: entry.packed,
            size: entry.size,
        });
    }
    refuse_other_name(&entry, extra)?;
    entry.executable = matches!(host, 3 | 19) && mode & 0o111 != 0;
    Ok(entry)
}

/// Finds the extra field `id` (APPNOTE 4.5.1).
fn extra_field(mut extra: &[u8], id: u16) -> Option<&[u8]> {
    while let (Some(found), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let body = extra.get(4..)?;
        let (field, rest) = body.split_at_checked(length.into())?;
        if found == id {
            return Some(field);
        }
        extra = rest;
    }
    None
}

/// Replaces the values at their 32-bit maximum by those of the ZIP64 field; false if these are missing.
fn widen<const N: usize>(extra: &[u8], values: [&mut u64; N]) -> bool {
    let mut field = extra_field(extra, 1).unwrap_or_default();
    for value in values {
        if *value == MAX32 {
            let Some((wide, rest)) = field.split_first_chunk() else {
                return false;
            };
            *value = u64::from_le_bytes(*wide);
            field = rest;
        }
    }
    true
}

/// Refuses a Unicode path field (4.6.9) of another name.
fn refuse_other_name(entry: &Entry, extra: &[u8]) -> Result<(), ZipError> {
    let other = extra_field(extra, 0x7075).and_then(|field| field.get(5..));
    match other {
        Some(other) if other != entry.name.as_bytes() => Err(ZipError::Name {
            name: entry.name.clone(),
            fault: NameFault::TwoNames,
        }),
        _ => Ok(()),
    }
}

/// Reads the local header (APPNOTE 4.3.7) of `entry`, compares it, and returns where the member ends.
fn local(blob: &dyn RandomRead, entry: &mut Entry, until: u64) -> Result<u64, ZipError> {
    let at = entry.header;
    let malformed = || ZipError::Record {
        record: "local header",
        at,
    };
    let room = until.checked_sub(at).ok_or_else(malformed)?;
    // One read for the header, the name and a usual extra field.
    let guess = (LOCAL_LENGTH + entry.name.len() + 64) as u64;
    let mut bytes = take(blob, at, guess.min(room))?;
    if !bytes.starts_with(&LOCAL) {
        return Err(malformed());
    }
    let field16 = |bytes: &[u8], at| u16_at(bytes, at).ok_or_else(malformed);
    let name_length = usize::from(field16(&bytes, 26)?);
    let length = LOCAL_LENGTH + name_length + usize::from(field16(&bytes, 28)?);
    if length > bytes.len() {
        bytes = take(blob, at, (length as u64).min(room))?;
    }
    let names = bytes.get(LOCAL_LENGTH..length).ok_or_else(malformed)?;
    let (name, extra) = names.split_at_checked(name_length).ok_or_else(malformed)?;
    if name != entry.name.as_bytes() {
        return Err(differs(entry, "name"));
    }
    if field16(&bytes, 6)? != entry.flags {
        return Err(differs(entry, "flags"));
    }
    if field16(&bytes, 8)? != entry.method {
        return Err(differs(entry, "method"));
    }
    refuse_other_name(entry, extra)?;
    let crc = u32_at(&bytes, 14).ok_or_else(malformed)?;
    let mut packed = u32_at(&bytes, 18).ok_or_else(malformed)?.into();
    let mut size = u32_at(&bytes, 22).ok_or_else(malformed)?.into();
    if !widen(extra, [&mut size, &mut packed]) {
        return Err(differs(entry, "ZIP64 field"));
    }
    let later = entry.flags & FLAG_DESCRIPTOR != 0;
    let same = |here: u64, there: u64| here == there || (later && here == 0);
    if !same(crc.into(), entry.crc.into()) {
        return Err(differs(entry, "CRC-32"));
    }
    if !same(packed, entry.packed) || !same(size, entry.size) {
        return Err(differs(entry, "size"));
    }
    entry.data = at + length as u64;
    let end = entry
        .data
        .checked_add(entry.packed)
        .filter(|&end| end <= until);
    let end =
        end.ok_or_else(|| gap(&entry.name, until, entry.data.saturating_add(entry.packed)))?;
    if later {
        descriptor(blob, entry, end, until)
    } else {
        Ok(end)
    }
}

/// Reads the data descriptor (APPNOTE 4.3.9), in any of its four forms, and returns where it ends.
fn descriptor(blob: &dyn RandomRead, entry: &Entry, at: u64, until: u64) -> Result<u64, ZipError> {
    let length = until.saturating_sub(at);
    if length > 24 {
        return Err(gap(&entry.name, until, at));
    }
    let found = take(blob, at, length)?;
    let plain = found.strip_prefix(&DESCRIPTOR);
    for body in plain.into_iter().chain([found.as_slice()]) {
        let sizes = match body.len() {
            12 => (
                u32_at(body, 4).map(u64::from),
                u32_at(body, 8).map(u64::from),
            ),
            20 => (u64_at(body, 4), u64_at(body, 12)),
            _ => continue,
        };
        if u32_at(body, 0) == Some(entry.crc) && sizes == (Some(entry.packed), Some(entry.size)) {
            return Ok(until);
        }
    }
    Err(differs(entry, "data descriptor"))
}
