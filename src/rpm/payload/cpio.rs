//! Reads cpio archives as rpm writes them: newc, its variant with checksums, and stripped records.
//!
//! newc: <https://man.freebsd.org/cgi/man.cgi?query=cpio&sektion=5>. Stripped records, for files that newc's 32-bit
//! sizes cannot hold, carry only the file's index in the header: `lib/cpio.c` of rpm.

use std::io::Read;

use super::PayloadError;

/// Longest name that a record may have, with its NUL: Linux allows no longer path.
const MAX_NAME: u32 = 4096 + 2;
/// The name of the record after the last.
const TRAILER: &[u8] = b"TRAILER!!!";

/// One record's description; its data follows in the reader.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// newc: says everything itself.
    Named {
        /// As written, without its NUL.
        name: Vec<u8>,
        /// Type and permissions.
        mode: u32,
        /// Bytes of data that follow.
        size: u64,
        /// Sum of the data's bytes, in archives that have it.
        sum: Option<u32>,
    },
    /// Stripped: everything else is in the header.
    Stripped {
        /// Which file of the header.
        index: u32,
    },
}

/// Reads records and their data one after the other.
pub(super) struct Archive<R> {
    reader: R,
    position: u64,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            position: 0,
        }
    }

    pub(super) fn into_inner(self) -> R {
        self.reader
    }

    /// Returns the next record; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<Record>, PayloadError> {
        self.skip_padding()?;
        let at = self.position;
        let mut magic = [0; 6];
        self.fill(&mut magic)?;
        let has_sum = match &magic {
            b"070701" => false,
            b"070702" => true,
            b"07070X" => {
                let mut index = [0; 8];
                self.fill(&mut index)?;
                self.skip_padding()?;
                let index = number(&index, at)?;
                return Ok(Some(Record::Stripped { index }));
            }
            _ => {
                return Err(PayloadError::Record {
                    position: at,
                    found: magic.escape_ascii().to_string(),
                });
            }
        };
        let mut raw = [0; 104];
        self.fill(&mut raw)?;
        let mut fields = [0; 13];
        for (field, digits) in fields.iter_mut().zip(raw.chunks_exact(8)) {
            *field = number(digits, at)?;
        }
        let [_, mode, _, _, _, _, size, _, _, _, _, name_size, sum] = fields;
        if !(2..=MAX_NAME).contains(&name_size) {
            return Err(PayloadError::NameSize {
                position: at,
                size: name_size,
            });
        }
        let mut name = vec![0; name_size as usize];
        self.fill(&mut name)?;
        if name.pop() != Some(0) || name.contains(&0) {
            return Err(PayloadError::NameSize {
                position: at,
                size: name_size,
            });
        }
        self.skip_padding()?;
        if name == TRAILER {
            return Ok(None);
        }
        Ok(Some(Record::Named {
            name,
            mode,
            size: u64::from(size),
            sum: has_sum.then_some(sum),
        }))
    }

    /// Hands `size` bytes of data to `take`, piece by piece.
    pub(super) fn data(
        &mut self,
        size: u64,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<(), PayloadError>,
    ) -> Result<(), PayloadError> {
        let mut left = size;
        while left > 0 {
            let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            self.fill(&mut buffer[..count])?;
            take(&buffer[..count])?;
            left -= count as u64;
        }
        Ok(())
    }

    /// Reads what follows the last record, which must be zeros and not many.
    pub(super) fn expect_end(&mut self, buffer: &mut [u8]) -> Result<(), PayloadError> {
        const MAX_PADDING: usize = 1 << 20;
        let mut seen = 0;
        loop {
            let count = self.reader.read(buffer).map_err(PayloadError::Read)?;
            seen += count;
            if buffer[..count].iter().any(|&byte| byte != 0) || seen > MAX_PADDING {
                return Err(PayloadError::Trailing("archive"));
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), PayloadError> {
        self.reader.read_exact(buffer).map_err(PayloadError::Read)?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    fn skip_padding(&mut self) -> Result<(), PayloadError> {
        let padding = (4 - self.position % 4) % 4;
        // Padding is not checked to be zero; rpm does not either.
        self.fill(&mut [0; 4][..padding as usize])
    }
}

/// Reads eight hexadecimal digits; nothing else that `strtoul` would also take.
fn number(digits: &[u8], position: u64) -> Result<u32, PayloadError> {
    str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|text| u32::from_str_radix(text, 16).ok())
        .ok_or_else(|| PayloadError::Record {
            position,
            found: digits.escape_ascii().to_string(),
        })
}
