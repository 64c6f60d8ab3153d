//! Takes header blocks and PAX records apart, whoever wrote them.

use std::collections::BTreeMap;

use super::BLOCK;
use super::number::{decimal, field};
use super::read::TarError;
use crate::layer::path::show;

/// A header block, and where it is.
pub(super) struct Header {
    pub(super) block: [u8; BLOCK],
    pub(super) offset: u64,
}

impl Header {
    /// The sum of all bytes, the checksum itself taken as spaces; some old writers added signed bytes.
    pub(super) fn check_sum(&self) -> Result<(), TarError> {
        let mut bytes = self.block;
        bytes[148..156].fill(b' ');
        let unsigned: i64 = bytes.iter().map(|&byte| i64::from(byte)).sum();
        let signed: i64 = bytes.iter().map(|&byte| i64::from(byte as i8)).sum();
        match field(&self.block[148..156]) {
            Some(found) if found == unsigned || found == signed => Ok(()),
            _ => Err(TarError::Checksum {
                offset: self.offset,
            }),
        }
    }

    pub(super) fn field(&self, range: std::ops::Range<usize>) -> &[u8] {
        until_nul(&self.block[range])
    }

    pub(super) fn number(
        &self,
        range: std::ops::Range<usize>,
        name: &'static str,
    ) -> Result<i64, TarError> {
        field(&self.block[range.clone()]).ok_or_else(|| self.bad(name, self.field(range)))
    }

    pub(super) fn bad(&self, field: &'static str, found: &[u8]) -> TarError {
        TarError::Number {
            offset: self.offset,
            field,
            found: show(found),
        }
    }

    /// Returns the path in the block. Only ustar has a prefix; GNU keeps times and sparse maps there.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = self.field(0..100);
        let prefix = match &self.block[257..265] {
            b"ustar\x0000" if &self.block[508..] == b"tar\0" => self.field(345..476),
            b"ustar  \0" => b"",
            magic if magic.starts_with(b"ustar\0") => self.field(345..500),
            _ => b"",
        };
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }
}

/// Returns what comes before the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&c| c == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// Reads `LENGTH KEY=VALUE\n` records. Of two with one key the later counts.
pub(super) fn parse_pax(mut data: &[u8]) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut records = BTreeMap::new();
    while !data.is_empty() {
        let space = data.iter().position(|&c| c == b' ')?;
        let length = usize::try_from(decimal(&data[..space])?).ok()?;
        let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&c| c == b'=')?;
        let key = &record[..equals];
        if key.is_empty() || key.contains(&0) {
            return None;
        }
        records.insert(key.to_vec(), record[equals + 1..].to_vec());
        data = &data[length..];
    }
    Some(records)
}
