//! How an entry is written in its tar, beyond what unpackers make of it.

use std::collections::BTreeMap;

use super::BLOCK;
use super::header::until_nul;
use crate::oci::{Digest, Hasher};

/// How an entry is written: two tars of equal trees can differ in nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Where its first header is, in bytes of tar.
    pub offset: u64,
    /// By the magic of its header.
    pub dialect: &'static str,
    /// The name of its owner.
    pub uname: Vec<u8>,
    /// The name of its group.
    pub gname: Vec<u8>,
    /// Its PAX records, also those that nobody heeds; those of global headers start with `global `.
    pub records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The SHA-256 of all its header blocks.
    pub digest: Digest,
}

impl Form {
    /// Returns how many bytes of names and values it keeps.
    pub(crate) fn metadata_size(&self) -> u64 {
        let records = self.records.iter();
        let records: usize = records.map(|(key, value)| key.len() + value.len()).sum();
        (records + self.uname.len() + self.gname.len()) as u64
    }
}

/// Takes down the header blocks of one entry.
#[derive(Clone, Default)]
pub(super) struct FormWriter {
    offset: u64,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    last: Option<[u8; BLOCK]>,
    hasher: Hasher,
}

impl FormWriter {
    /// Begins with the next entry, at `offset`.
    pub(super) fn begin(&mut self, offset: u64) {
        *self = Self {
            offset,
            ..Self::default()
        };
    }

    pub(super) fn header(&mut self, block: &[u8; BLOCK]) {
        self.hasher.update(block);
        self.last = Some(*block);
    }

    /// Takes the content of an extended header.
    pub(super) fn extended(&mut self, data: &[u8]) {
        self.hasher.update(data);
    }

    pub(super) fn records(&mut self, records: &BTreeMap<Vec<u8>, Vec<u8>>, prefix: &[u8]) {
        for (key, value) in records {
            self.records.insert([prefix, key].concat(), value.clone());
        }
    }

    /// Returns what was taken down since the beginning.
    pub(super) fn finish(&mut self) -> Form {
        let Self {
            offset,
            records,
            last,
            hasher,
        } = std::mem::take(self);
        let block = last.unwrap_or([0; BLOCK]);
        let dialect = match &block[257..265] {
            b"ustar\x0000" if &block[508..] == b"tar\0" => "star",
            b"ustar\x0000" => "ustar",
            b"ustar  \0" => "gnu",
            _ => "v7",
        };
        // Before ustar there were no names.
        let name = |range| match dialect {
            "v7" => Vec::new(),
            _ => until_nul(&block[range]).to_vec(),
        };
        Form {
            offset,
            dialect,
            uname: name(265..297),
            gname: name(297..329),
            records,
            digest: hasher.finish().0,
        }
    }
}
