//! The format of `/etc/ld.so.cache`: glibc's `glibc-ld.so.cache1.1`, read and written.
//!
//! As `sysdeps/generic/dl-cache.h`, `elf/cache.c` and `elf/stringtable.c` of glibc 2.33 and later.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::elf::{u32_at, u64_at};

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const LITTLE_ENDIAN: u8 = 2;
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
const TAG_GENERATOR: u32 = 0;
const TAG_HWCAPS: u32 = 1;
/// Bit of `hwcap` that says that its low half counts in the list of subdirectories.
const HWCAP_EXTENSION: u64 = 1 << 62;

/// One library of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// What is looked for: `libz.so.1`.
    pub name: Vec<u8>,
    /// Where it is: `/lib64/libz.so.1`.
    pub path: Vec<u8>,
    /// Kind of library.
    pub flags: i32,
    /// Oldest kernel; 0 since glibc 2.36.
    pub os_version: u32,
    /// The subdirectory of `glibc-hwcaps` it is in, and the instruction set level it needs.
    pub hwcaps: Option<(Vec<u8>, u32)>,
    /// The hardware capabilities of caches before 2.33, else 0.
    pub legacy_hwcap: u64,
}

/// A cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// In the order of the file.
    pub entries: Vec<CacheEntry>,
    /// Which ldconfig wrote it: `ldconfig (GNU libc) stable release version 2.34`.
    pub generator: Option<Vec<u8>>,
}

/// Why bytes are not a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// Written by glibc before 2.32, or for another byte order.
    #[error("ld.so.cache is not of the format `glibc-ld.so.cache1.1`, little-endian")]
    Format,
    /// An offset leads out of the file, or a string has no end.
    #[error("ld.so.cache is cut off or damaged")]
    Damaged,
}

impl Cache {
    /// Reads a cache.
    ///
    /// # Errors
    /// [`CacheError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, CacheError> {
        if bytes.get(..20) != Some(MAGIC) || !matches!(bytes.get(28), Some(&(0 | LITTLE_ENDIAN))) {
            return Err(CacheError::Format);
        }
        Self::read(bytes).ok_or(CacheError::Damaged)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let string = |offset: u32| -> Option<Vec<u8>> {
            let rest = bytes.get(offset as usize..)?;
            let end = rest.iter().take(8192).position(|&c| c == 0)?;
            Some(rest[..end].to_vec())
        };
        let mut generator = None;
        let mut hwcaps = Vec::new();
        let extension = u32_at(bytes, 32)? as usize;
        if extension != 0 {
            if u32_at(bytes, extension)? != EXTENSION_MAGIC {
                return None;
            }
            let count = u32_at(bytes, extension.checked_add(4)?)?;
            for section in 0..count as usize {
                let at = section
                    .checked_mul(16)?
                    .checked_add(extension)?
                    .checked_add(8)?;
                let section = bytes.get(at..at.checked_add(16)?)?;
                let start = u32_at(section, 8)? as usize;
                let end = start.checked_add(u32_at(section, 12)? as usize)?;
                let data = bytes.get(start..end)?;
                match u32_at(section, 0)? {
                    TAG_GENERATOR => generator = Some(data.to_vec()),
                    TAG_HWCAPS => {
                        for offset in data.chunks_exact(4) {
                            hwcaps.push(string(u32_at(offset, 0)?)?);
                        }
                    }
                    _ => {}
                }
            }
        }
        let count = u32_at(bytes, 20)? as usize;
        let end = count.checked_mul(ENTRY)?.checked_add(HEADER)?;
        let entries = bytes.get(HEADER..end)?.chunks_exact(ENTRY).map(|raw| {
            let bits = u64_at(raw, 16)?;
            let is_extension = bits & HWCAP_EXTENSION != 0;
            Some(CacheEntry {
                flags: u32_at(raw, 0)?.cast_signed(),
                name: string(u32_at(raw, 4)?)?,
                path: string(u32_at(raw, 8)?)?,
                os_version: u32_at(raw, 12)?,
                hwcaps: if is_extension {
                    let name = hwcaps.get((bits & 0xffff_ffff) as usize)?.clone();
                    Some((name, (bits >> 32 & 0x3ff) as u32))
                } else {
                    None
                },
                legacy_hwcap: if is_extension { 0 } else { bits },
            })
        });
        Some(Self {
            entries: entries.collect::<Option<_>>()?,
            generator,
        })
    }

    /// Puts the entries into the order of ldconfig; equal ones keep theirs.
    pub fn sort(&mut self) {
        self.entries.sort_by(order);
    }

    /// Returns the file.
    ///
    /// None if it would be larger than its offsets can say.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let subdirectories: BTreeSet<&[u8]> = self
            .entries
            .iter()
            .filter_map(|entry| Some(entry.hwcaps.as_ref()?.0.as_slice()))
            .collect();
        let start = self.entries.len().checked_mul(ENTRY)?.checked_add(HEADER)?;
        let texts = self
            .entries
            .iter()
            .flat_map(|entry| [entry.name.as_slice(), entry.path.as_slice()])
            .chain(subdirectories.iter().copied());
        let (offsets, strings) = intern(texts);
        let offset = |text: &[u8]| u32::try_from(start.checked_add(*offsets.get(text)?)?).ok();

        let end = start.checked_add(strings.len())?;
        let extension = end.checked_next_multiple_of(4)?;
        let mut out = Vec::with_capacity(extension + 256);
        out.extend_from_slice(MAGIC);
        out.extend(u32::try_from(self.entries.len()).ok()?.to_le_bytes());
        out.extend(u32::try_from(strings.len()).ok()?.to_le_bytes());
        out.extend([LITTLE_ENDIAN, 0, 0, 0]);
        out.extend(u32::try_from(extension).ok()?.to_le_bytes());
        out.extend([0; 12]);
        for entry in &self.entries {
            let bits = match &entry.hwcaps {
                None => entry.legacy_hwcap,
                Some((name, isa)) => {
                    let index = subdirectories.iter().position(|n| n == name)?;
                    HWCAP_EXTENSION | u64::from(*isa) << 32 | index as u64
                }
            };
            out.extend(entry.flags.to_le_bytes());
            out.extend(offset(&entry.name)?.to_le_bytes());
            out.extend(offset(&entry.path)?.to_le_bytes());
            out.extend(entry.os_version.to_le_bytes());
            out.extend(bits.to_le_bytes());
        }
        out.extend(strings);
        out.resize(extension, 0);
        self.write_extension(&mut out, &subdirectories, offset)?;
        Some(out)
    }

    /// Writes the sections after the strings: who made it, and the subdirectories if any are used.
    fn write_extension(
        &self,
        out: &mut Vec<u8>,
        subdirectories: &BTreeSet<&[u8]>,
        offset: impl Fn(&[u8]) -> Option<u32>,
    ) -> Option<()> {
        let generator = self.generator.as_deref().unwrap_or_default();
        let sections: u32 = if subdirectories.is_empty() { 1 } else { 2 };
        let list = u32::try_from(out.len())
            .ok()?
            .checked_add(8 + 16 * sections)?;
        let list_size = u32::try_from(subdirectories.len()).ok()? * 4;
        let mut word = |value: u32| out.extend(value.to_le_bytes());
        word(EXTENSION_MAGIC);
        word(sections);
        for value in [
            TAG_GENERATOR,
            0,
            list + list_size,
            u32::try_from(generator.len()).ok()?,
        ] {
            word(value);
        }
        if sections == 2 {
            for value in [TAG_HWCAPS, 0, list, list_size] {
                word(value);
            }
        }
        for name in subdirectories {
            word(offset(name)?);
        }
        out.extend_from_slice(generator);
        Some(())
    }
}

/// Lays out strings as glibc's string table: ordered by their ends, downwards; one that ends another shares it.
fn intern<'a>(texts: impl Iterator<Item = &'a [u8]>) -> (BTreeMap<&'a [u8], usize>, Vec<u8>) {
    let mut all: Vec<&[u8]> = texts.collect::<BTreeSet<_>>().into_iter().collect();
    all.sort_by(|a, b| {
        let ends = a.iter().rev().zip(b.iter().rev());
        ends.map(|(x, y)| y.cmp(x))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| b.len().cmp(&a.len()))
    });
    let mut offsets = BTreeMap::new();
    let mut out = Vec::new();
    let mut last: &[u8] = b"";
    let mut last_end = 0;
    for text in all {
        if !out.is_empty() && last.ends_with(text) {
            offsets.insert(text, last_end - text.len());
            continue;
        }
        offsets.insert(text, out.len());
        out.extend_from_slice(text);
        last = text;
        last_end = out.len();
        out.push(0);
    }
    (offsets, out)
}

/// Orders entries as `compare` of glibc's `elf/cache.c`: newest first.
fn order(a: &CacheEntry, b: &CacheEntry) -> Ordering {
    let by_hwcaps = match (&a.hwcaps, &b.hwcaps) {
        (Some((a, _)), Some((b, _))) => a.cmp(b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    compare(&b.name, &a.name)
        .then(b.flags.cmp(&a.flags))
        .then(by_hwcaps)
        .then(b.legacy_hwcap.cmp(&a.legacy_hwcap))
        .then(b.os_version.cmp(&a.os_version))
}

/// Compares names with the numbers in them as numbers: `_dl_cache_libcmp`.
#[must_use]
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => {
                // A digit on the right decides before the end on the left is seen, with the same outcome.
                return Ordering::Less;
            }
            (Some(x), y) if x.is_ascii_digit() => match y {
                Some(y) if y.is_ascii_digit() => {
                    let order = take_number(&mut a).cmp(&take_number(&mut b));
                    if order.is_ne() {
                        return order;
                    }
                }
                _ => return Ordering::Greater,
            },
            (Some(_), Some(y)) if y.is_ascii_digit() => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x != y => return x.cmp(y),
            (Some(_), Some(_)) => {
                a = &a[1..];
                b = &b[1..];
            }
        }
    }
}

/// Takes a number off the front; an `int` that wraps in glibc wraps here.
fn take_number(text: &mut &[u8]) -> i32 {
    let mut number = 0_i32;
    while let Some((digit, rest)) = text.split_first().filter(|(c, _)| c.is_ascii_digit()) {
        number = number
            .wrapping_mul(10)
            .wrapping_add(i32::from(digit - b'0'));
        *text = rest;
    }
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, path: &str) -> CacheEntry {
        CacheEntry {
            name: name.as_bytes().to_vec(),
            path: path.as_bytes().to_vec(),
            flags: 0x303,
            os_version: 0,
            hwcaps: None,
            legacy_hwcap: 0,
        }
    }

    #[test]
    fn numbers_in_names_are_compared_as_numbers() {
        for (a, b, wanted) in [
            ("libx.so.9", "libx.so.10", Ordering::Less),
            ("libx.so.1", "libx.so", Ordering::Greater),
            ("libx1.so", "libxa.so", Ordering::Greater),
            ("liba.so", "libb.so", Ordering::Less),
            ("libx.so.01", "libx.so.1", Ordering::Equal),
            ("", "", Ordering::Equal),
        ] {
            assert_eq!(compare(a.as_bytes(), b.as_bytes()), wanted, "{a} {b}");
        }
    }

    #[test]
    fn a_cache_is_read_back_as_it_was_written() {
        let mut fast = entry("libx.so.1", "/lib64/glibc-hwcaps/x86-64-v3/libx.so.1");
        fast.hwcaps = Some((b"x86-64-v3".to_vec(), 4));
        let mut cache = Cache {
            entries: vec![
                entry("liba.so.1", "/lib64/liba.so.1"),
                entry("libx.so.1", "/lib64/libx.so.1"),
                fast,
            ],
            generator: Some(b"ldconfig (GNU libc) stable release version 2.34".to_vec()),
        };
        cache.sort();
        assert_eq!(cache.entries[2].name, b"liba.so.1");
        assert!(cache.entries[0].hwcaps.is_some());
        let bytes = cache.bytes().expect("small");
        assert_eq!(Cache::parse(&bytes).as_ref(), Ok(&cache));
        for end in 0..bytes.len() {
            assert_ne!(Cache::parse(&bytes[..end]).as_ref(), Ok(&cache));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Cache::parse(&tail);
            let mut bytes = MAGIC.to_vec();
            bytes.extend(tail);
            if bytes.len() > 28 {
                bytes[28] = 2;
                bytes[21..24].fill(0);
            }
            let _ = Cache::parse(&bytes);
        }

        #[test]
        fn a_damaged_cache_does_not_make_the_reader_panic(at in 20_usize..200, value: u8) {
            let cache = Cache {
                entries: vec![entry("liba.so.1", "/lib64/liba.so.1"), entry("b", "/b")],
                generator: Some(b"x".to_vec()),
            };
            let mut bytes = cache.bytes().expect("small");
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = Cache::parse(&bytes);
        }
    }
}
