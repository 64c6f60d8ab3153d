//! Reads RPM headers: the index of tags that packages and databases share.
//!
//! Layout: <https://rpm-software-management.github.io/rpm/manual/format_header.html>; the checks are those of
//! `hdrblobVerifyInfo` in rpm's `lib/header.c`. Everything is checked once, in [`Header::parse`]; the getters after
//! that cannot fail.

mod check;
mod entry;
mod error;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use self::check::{ENTRY, Region};
pub use self::entry::{Entry, Kind};
pub use self::error::{DataProblem, HeaderError};
use super::tag;

/// What precedes a header in a package, and what digests and signatures of headers begin with.
pub const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];

/// A checked header: the tags of a package, of its signatures, or of an installed package.
///
/// Cheap to clone; the bytes are shared and are never changed.
#[derive(Clone)]
pub struct Header {
    /// As in a database: two counts, index, data; no magic.
    bytes: Arc<[u8]>,
    /// In the order of the index.
    entries: Arc<[Entry]>,
    /// Positions in `entries`, sorted by tag, each tag once: what getters see.
    by_tag: Arc<[u32]>,
    /// Entries and bytes of data of the region that comes first, if there is one.
    region: Option<Region>,
}

impl Header {
    /// Returns the bytes it was read from: counts, index, data; no magic.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the entries in the order of the index, the region's own entry included.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the entry of `tag`.
    ///
    /// Where an installed header has it twice, in its region and after it, the later one counts, as in rpm.
    #[must_use]
    pub fn entry(&self, tag: u32) -> Option<&Entry> {
        let found = self
            .by_tag
            .binary_search_by_key(&tag, |&at| self.entries[at as usize].tag)
            .ok()?;
        Some(&self.entries[self.by_tag[found] as usize])
    }

    /// Returns the data of an entry of this header as it is stored.
    #[must_use]
    pub fn data(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(entry.start..entry.end).unwrap_or_default()
    }

    /// Tells whether there is a value for `tag`.
    #[must_use]
    pub fn contains(&self, tag: u32) -> bool {
        self.entry(tag).is_some()
    }

    /// Returns how many items `tag` has; 0 without it.
    #[must_use]
    pub fn count(&self, tag: u32) -> usize {
        self.entry(tag).map_or(0, |entry| entry.count as usize)
    }

    /// Returns the first string of `tag` as bytes; of translated strings, the untranslated one.
    #[must_use]
    pub fn string_bytes(&self, tag: u32) -> Option<&[u8]> {
        let entry = self.entry(tag).filter(|entry| entry.kind.is_string())?;
        self.data(entry).split(|&c| c == 0).next()
    }

    /// Returns the first string of `tag` if it is UTF-8; of translated strings, the untranslated one.
    #[must_use]
    pub fn string(&self, tag: u32) -> Option<&str> {
        str::from_utf8(self.string_bytes(tag)?).ok()
    }

    /// Returns the strings of `tag` as bytes; none without it.
    #[must_use]
    pub fn strings(&self, tag: u32) -> Vec<&[u8]> {
        self.entry(tag)
            .filter(|entry| entry.kind.is_string())
            .map_or_else(Vec::new, |entry| {
                self.data(entry)
                    .split(|&c| c == 0)
                    .take(entry.count as usize)
                    .collect()
            })
    }

    /// Returns the strings of `tag` as text; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn texts(&self, tag: u32) -> Vec<Cow<'_, str>> {
        self.strings(tag)
            .into_iter()
            .map(String::from_utf8_lossy)
            .collect()
    }

    /// Returns the untranslated text of a translated `tag`, such as the summary.
    #[must_use]
    pub fn i18n(&self, tag: u32) -> Option<Cow<'_, str>> {
        self.string_bytes(tag).map(String::from_utf8_lossy)
    }

    /// Returns the numbers of `tag`, of at most 32 bits each; none without it.
    #[must_use]
    pub fn u32s(&self, tag: u32) -> Vec<u32> {
        self.numbers(tag, 4)
            .map(|number| u32::try_from(number).unwrap_or(u32::MAX))
            .collect()
    }

    /// Returns the first number of `tag`.
    #[must_use]
    pub fn u32(&self, tag: u32) -> Option<u32> {
        self.u32s(tag).first().copied()
    }

    /// Returns the numbers of `tag`, of at most 64 bits each; none without it.
    #[must_use]
    pub fn u64s(&self, tag: u32) -> Vec<u64> {
        self.numbers(tag, 8).collect()
    }

    fn numbers(&self, tag: u32, widest: usize) -> impl Iterator<Item = u64> {
        let (data, size) = self
            .entry(tag)
            .filter(|entry| entry.kind != Kind::Bin)
            .and_then(|entry| Some((self.data(entry), entry.kind.item_size()?)))
            .filter(|(_, size)| (1..=widest).contains(size))
            .unwrap_or((&[], 1));
        data.chunks_exact(size).map(|item| {
            item.iter()
                .fold(0, |number, &byte| number << 8 | u64::from(byte))
        })
    }

    /// Returns the bytes of a binary `tag`, such as a signature.
    #[must_use]
    pub fn binary(&self, tag: u32) -> Option<&[u8]> {
        let entry = self.entry(tag).filter(|entry| entry.kind == Kind::Bin)?;
        Some(self.data(entry))
    }

    /// Returns the package's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.string(tag::NAME)
    }

    /// Returns the package's version, without epoch and release.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.string(tag::VERSION)
    }

    /// Returns the package's release.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.string(tag::RELEASE)
    }

    /// Returns the package's epoch; most have none.
    #[must_use]
    pub fn epoch(&self) -> Option<u32> {
        self.u32(tag::EPOCH)
    }

    /// Returns the package's architecture.
    #[must_use]
    pub fn arch(&self) -> Option<&str> {
        self.string(tag::ARCH)
    }

    /// Returns `name-[epoch:]version-release.arch`; an epoch of 0 is left out, as dnf does.
    #[must_use]
    pub fn nevra(&self) -> String {
        let part = |tag| self.i18n(tag).unwrap_or(Cow::Borrowed("?"));
        let epoch = self
            .epoch()
            .filter(|&epoch| epoch > 0)
            .map_or_else(String::new, |epoch| format!("{epoch}:"));
        let arch = self
            .i18n(tag::ARCH)
            .map_or_else(String::new, |arch| format!(".{arch}"));
        format!(
            "{}-{epoch}{}-{}{arch}",
            part(tag::NAME),
            part(tag::VERSION),
            part(tag::RELEASE)
        )
    }

    /// Returns how many entries and bytes of data the immutable region has; none if it has no such region.
    #[must_use]
    pub fn immutable_extent(&self) -> Option<(usize, usize)> {
        let first = self.entries.first()?;
        let region = self.region.filter(|_| first.tag == tag::HEADERIMMUTABLE)?;
        Some((region.entries, region.data))
    }

    /// Returns the header as its package held it, with magic: what SHA256HEADER and signatures are of.
    ///
    /// An installed header begins with it and goes on with what the installation added. None if the header has no
    /// immutable region, as `gpg-pubkey` entries and packages of the time before RPM 4 have none.
    #[must_use]
    pub fn immutable_region(&self) -> Option<Vec<u8>> {
        let (entries, data) = self.immutable_extent()?;
        let index = self.bytes.get(8..8 + ENTRY * entries)?;
        let store = 8 + ENTRY * self.entries.len();
        let store = self.bytes.get(store..store + data)?;
        let mut out = Vec::with_capacity(MAGIC.len() + 8 + index.len() + store.len());
        out.extend(MAGIC);
        out.extend(u32::try_from(entries).ok()?.to_be_bytes());
        out.extend(u32::try_from(data).ok()?.to_be_bytes());
        out.extend(index);
        out.extend(store);
        Some(out)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({}, {} bytes)", self.nevra(), self.bytes.len())
    }
}

impl PartialEq for Header {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Header {}
