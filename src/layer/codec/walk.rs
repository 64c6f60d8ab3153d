//! Walks a deflate stream to its last block without inflating it.
//!
//! libdeflate always marks the end of what it compresses as the end of the stream. To join chunks into one stream
//! that mark must go, and the only way to find it is to step over every symbol before it.
//! <https://www.rfc-editor.org/rfc/rfc1951>

use super::huffman::{Code, Step};

/// Why bytes are not one deflate stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// The stream ends inside a block.
    #[error("deflate stream ends inside a block")]
    Truncated,
    /// Block type 3.
    #[error("deflate block has the reserved type 3")]
    BlockType,
    /// LEN and NLEN of a stored block disagree.
    #[error("stored deflate block has length {len:#06x} and complement {complement:#06x}")]
    StoredLength {
        /// LEN.
        len: u16,
        /// NLEN.
        complement: u16,
    },
    /// More codes than fit.
    #[error("deflate block describes more Huffman codes than there can be")]
    Oversubscribed,
    /// A code that the block did not describe.
    #[error("deflate block uses a Huffman code that it does not describe")]
    NoSuchCode,
    /// The code lengths themselves make no sense.
    #[error("deflate block has bad code lengths")]
    CodeLengths,
    /// There is more after the final block.
    #[error("deflate stream ends after {used} of {size} bytes")]
    Trailing {
        /// Bytes up to the end of the final block.
        used: usize,
        /// Bytes there are.
        size: usize,
    },
}

/// Where the final block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    /// The bit that says it is final.
    pub(super) header: usize,
    /// The bit after its end.
    pub(super) end: usize,
}

/// Walks streams; kept to use its tables again.
pub(super) struct Walker {
    literals: Code,
    distances: Code,
    lengths: Code,
}

impl Walker {
    pub(super) fn new() -> Self {
        Self {
            literals: Code::new(),
            distances: Code::new(),
            lengths: Code::new(),
        }
    }

    /// Returns where the final block of the stream at the start of `data` is.
    pub(super) fn last_block(&mut self, data: &[u8]) -> Result<Last, WalkError> {
        let mut at = 0;
        loop {
            let header = at;
            let bits = peek(data, at)?;
            at += 3;
            at = match bits >> 1 & 3 {
                0 => stored(data, at)?,
                1 => {
                    self.set_fixed()?;
                    self.symbols(data, at)?
                }
                2 => {
                    at = self.set_dynamic(data, at)?;
                    self.symbols(data, at)?
                }
                _ => return Err(WalkError::BlockType),
            };
            if at > data.len() * 8 {
                return Err(WalkError::Truncated);
            }
            if bits & 1 == 1 {
                return Ok(Last { header, end: at });
            }
        }
    }

    /// RFC 1951, 3.2.6.
    fn set_fixed(&mut self) -> Result<(), WalkError> {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.literals.set(&lengths, literal_step)?;
        self.distances.set(&[5; 32], distance_step)
    }

    /// RFC 1951, 3.2.7. Returns the bit after the description.
    fn set_dynamic(&mut self, data: &[u8], mut at: usize) -> Result<usize, WalkError> {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let bits = peek(data, at)?;
        let literal_count = (bits & 31) as usize + 257;
        let distance_count = (bits >> 5 & 31) as usize + 1;
        let order_count = (bits >> 10 & 15) as usize + 4;
        at += 14;
        if literal_count > 286 {
            return Err(WalkError::CodeLengths);
        }

        let mut lengths = [0_u8; 19];
        for &symbol in &ORDER[..order_count] {
            lengths[symbol] = (peek(data, at)? & 7) as u8;
            at += 3;
        }
        self.lengths.set(&lengths, Step::packed)?;

        let wanted = literal_count + distance_count;
        let mut lengths = [0_u8; 286 + 32];
        let mut have = 0;
        while have < wanted {
            let bits = peek(data, at)?;
            let (length, symbol) = self.lengths.step(bits)?.unpack();
            let bits = bits >> length;
            at += length;
            let (value, times, extra) = match symbol {
                0..=15 => (symbol as u8, 1, 0),
                16 => {
                    let previous = have.checked_sub(1).ok_or(WalkError::CodeLengths)?;
                    (lengths[previous], 3 + (bits & 3) as usize, 2)
                }
                17 => (0, 3 + (bits & 7) as usize, 3),
                _ => (0, 11 + (bits & 127) as usize, 7),
            };
            at += extra;
            lengths
                .get_mut(have..have + times)
                .filter(|_| have + times <= wanted)
                .ok_or(WalkError::CodeLengths)?
                .fill(value);
            have += times;
        }
        self.literals.set(&lengths[..literal_count], literal_step)?;
        self.distances
            .set(&lengths[literal_count..wanted], distance_step)?;
        Ok(at)
    }

    /// Steps over the symbols of a block and returns the bit after its end.
    fn symbols(&mut self, data: &[u8], mut at: usize) -> Result<usize, WalkError> {
        self.literals.join_literals();
        loop {
            at = self.quick_symbols(data, at);
            let bits = peek(data, at)?;
            let step = self.literals.step(bits)?;
            at += step.bits();
            if step.is_end() {
                return Ok(at);
            }
            if step.is_copy() {
                at += self.distances.step(bits >> step.bits())?.bits();
            }
        }
    }

    /// Steps over symbols up to the end of the block, a long code or the end of the data, whichever is first.
    ///
    /// The bits to come are in `buffer`, so that looking up a code never waits for the data.
    fn quick_symbols(&self, data: &[u8], at: usize) -> usize {
        let word = |byte: usize| Some(u64::from_le_bytes(*data.get(byte..)?.first_chunk()?));
        let Some(first) = word(at / 8) else {
            return at;
        };
        let (mut byte, mut buffer, mut count) = (at / 8 + 7, first >> (at % 8), 56 - at % 8);
        while let Some(next) = word(byte) {
            // Bits above `count` may be there already; they are the same ones.
            buffer |= next << count;
            byte += (63 - count) / 8;
            count |= 56;

            // 56 bits at least. Two literals take at most 22; one, a length and a distance 11 + 16 + 24 at most.
            let mut step = self.literals.quick(buffer);
            if step.is_literal() {
                buffer >>= step.bits();
                count -= step.bits();
                step = self.literals.quick(buffer);
                if step.is_literal() {
                    buffer >>= step.bits();
                    count -= step.bits();
                    continue;
                }
            }
            if !step.is_copy() {
                break;
            }
            let distance = self.distances.quick(buffer >> step.bits());
            if distance.is_none() {
                break;
            }
            let bits = step.bits() + distance.bits();
            buffer >>= bits;
            count -= bits;
        }
        byte * 8 - count
    }
}

/// RFC 1951, 3.2.5: what a literal or length symbol means.
fn literal_step(symbol: usize) -> Step {
    match symbol {
        0..=255 => Step::literal(),
        256 => Step::end(),
        257..=264 | 285 => Step::copy(0),
        265..=284 => Step::copy((symbol as u32 - 261) / 4),
        _ => Step::NONE,
    }
}

/// RFC 1951, 3.2.5: what a distance symbol means.
fn distance_step(symbol: usize) -> Step {
    match symbol {
        0..=3 => Step::copy(0),
        4..=29 => Step::copy(symbol as u32 / 2 - 1),
        _ => Step::NONE,
    }
}

/// RFC 1951, 3.2.4. Returns the bit after the block.
fn stored(data: &[u8], at: usize) -> Result<usize, WalkError> {
    let start = at.div_ceil(8);
    let Some(&[a, b, c, d]) = data.get(start..).and_then(|rest| rest.first_chunk::<4>()) else {
        return Err(WalkError::Truncated);
    };
    let (len, complement) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    if len != !complement {
        return Err(WalkError::StoredLength { len, complement });
    }
    Ok((start + 4 + usize::from(len)) * 8)
}

/// Returns at least 57 bits from bit `at` on; zeros after the end of the data.
#[inline]
fn peek(data: &[u8], at: usize) -> Result<u64, WalkError> {
    match data.get(at / 8..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(bytes) => Ok(u64::from_le_bytes(*bytes) >> (at % 8)),
        None => peek_end(data, at),
    }
}

#[cold]
fn peek_end(data: &[u8], at: usize) -> Result<u64, WalkError> {
    // Every symbol takes a bit, so a walk that ran past the end stops here.
    let rest = data.get(at / 8..).ok_or(WalkError::Truncated)?;
    if rest.is_empty() {
        return Err(WalkError::Truncated);
    }
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    Ok(u64::from_le_bytes(bytes) >> (at % 8))
}
