//! Huffman codes of deflate, decoded only as far as needed to step over them.
//!
//! <https://www.rfc-editor.org/rfc/rfc1951#section-3.2.2>

use super::walk::WalkError;

/// The longest code.
pub(super) const MAX_BITS: usize = 15;
/// Codes up to this long are found with one look. Longer ones are, by their nature, rare.
const QUICK_BITS: usize = 11;
/// Literals and lengths, the larger of the two alphabets.
const MAX_SYMBOLS: usize = 288;

/// How far to go for a code: its bits and those of the extra bits after it, and what it stands for.
///
/// What the extra bits say does not matter here, so they are part of the step. Zero stands for "no such code".
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Step(u32);

impl Step {
    pub(super) const NONE: Self = Self(0);
    const LITERAL: u32 = 1 << 16;
    const END: u32 = 1 << 17;
    /// A length or a distance.
    const COPY: u32 = 1 << 18;

    pub(super) fn literal() -> Self {
        Self(Self::LITERAL)
    }

    pub(super) fn end() -> Self {
        Self(Self::END)
    }

    /// A length or a distance, followed by `extra` bits.
    pub(super) fn copy(extra: u32) -> Self {
        Self(Self::COPY | extra)
    }

    /// A symbol of the code of code lengths, whose codes take at most 7 bits and whose meaning is needed.
    pub(super) fn packed(symbol: usize) -> Self {
        Self(Self::COPY | (symbol as u32) << 3)
    }

    /// Returns the bits of the code, and the symbol of [`Step::packed`].
    pub(super) fn unpack(self) -> (usize, usize) {
        ((self.0 & 7) as usize, (self.0 >> 3 & 31) as usize)
    }

    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(super) fn is_literal(self) -> bool {
        self.0 & Self::LITERAL != 0
    }

    pub(super) fn is_end(self) -> bool {
        self.0 & Self::END != 0
    }

    /// Tells whether a distance follows.
    pub(super) fn is_copy(self) -> bool {
        self.0 & Self::COPY != 0
    }

    /// Returns how many bits it takes, of codes and extra bits together.
    pub(super) fn bits(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// Returns how many of those decide what it is.
    fn code_bits(self) -> usize {
        (self.0 >> 8 & 0xff) as usize
    }

    /// Adds the bits of the code itself.
    fn with_code(self, bits: usize) -> Self {
        if self.is_none() {
            self
        } else {
            Self(self.0 + (bits as u32 * 0x101))
        }
    }
}

/// A canonical code, ready to step.
pub(super) struct Code {
    /// Steps by the bits that come next. After [`Code::join_literals`] one may take several codes.
    quick: Box<[Step; 1 << QUICK_BITS]>,
    /// How many codes there are of each length.
    counts: [u16; MAX_BITS + 1],
    /// Steps in order of their codes, without the bits of the code.
    sorted: [Step; MAX_SYMBOLS],
}

impl Code {
    pub(super) fn new() -> Self {
        Self {
            quick: Box::new([Step::NONE; 1 << QUICK_BITS]),
            counts: [0; MAX_BITS + 1],
            sorted: [Step::NONE; MAX_SYMBOLS],
        }
    }

    /// Takes the length of each symbol's code, and what each symbol means.
    ///
    /// Codes that leave room are fine, as a block with one distance has one; the room is an error when met.
    pub(super) fn set(
        &mut self,
        lengths: &[u8],
        step_of: impl Fn(usize) -> Step,
    ) -> Result<(), WalkError> {
        self.counts = [0; MAX_BITS + 1];
        for &length in lengths {
            self.counts[usize::from(length)] += 1;
        }
        self.counts[0] = 0;
        let mut next_code = [0_u32; MAX_BITS + 1];
        let mut next_index = [0_usize; MAX_BITS + 1];
        let mut left: i32 = 1;
        for bits in 1..=MAX_BITS {
            left = (left << 1) - i32::from(self.counts[bits]);
            if left < 0 {
                return Err(WalkError::Oversubscribed);
            }
            next_code[bits] = (next_code[bits - 1] + u32::from(self.counts[bits - 1])) << 1;
            next_index[bits] = next_index[bits - 1] + usize::from(self.counts[bits - 1]);
        }
        self.quick.fill(Step::NONE);
        for (symbol, &length) in lengths.iter().enumerate() {
            let bits = usize::from(length);
            if bits == 0 {
                continue;
            }
            let step = step_of(symbol);
            self.sorted[next_index[bits]] = step;
            next_index[bits] += 1;
            let code = next_code[bits];
            next_code[bits] += 1;
            if bits <= QUICK_BITS {
                // Codes come most significant bit first, everything else in deflate least significant first.
                let first = (code.reverse_bits() >> (32 - bits)) as usize;
                for slot in self.quick[first..].iter_mut().step_by(1 << bits) {
                    *slot = step.with_code(bits);
                }
            }
        }
        Ok(())
    }

    /// Lets one step take as many literals, and then perhaps a length, as there are bits to decide them.
    pub(super) fn join_literals(&mut self) {
        let single = *self.quick;
        for at in 0..single.len() {
            let first = single[at];
            if !first.is_literal() {
                continue;
            }
            let known = QUICK_BITS - first.bits();
            let rest = at >> first.bits();
            // What comes next was joined before, as it is the smaller number.
            let next = [self.quick[rest], single[rest]]
                .into_iter()
                .find(|next| next.code_bits() <= known && !next.is_none() && !next.is_end());
            if let Some(next) = next {
                self.quick[at] = next.with_code(first.bits());
            }
        }
    }

    /// Returns the step for the code at the low end of `bits`, or none if it takes a longer look.
    #[inline]
    pub(super) fn quick(&self, bits: u64) -> Step {
        self.quick[bits as usize & ((1 << QUICK_BITS) - 1)]
    }

    /// Returns the step for the code at the low end of `bits`, of any length.
    #[cold]
    pub(super) fn slow(&self, mut bits: u64) -> Step {
        let (mut code, mut first, mut index) = (0_usize, 0, 0);
        for length in 1..=MAX_BITS {
            code |= (bits & 1) as usize;
            bits >>= 1;
            let count = usize::from(self.counts[length]);
            if code < first + count {
                return self.sorted[index + code - first].with_code(length);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Step::NONE
    }

    /// Returns the step for the code at the low end of `bits`.
    #[inline]
    pub(super) fn step(&self, bits: u64) -> Result<Step, WalkError> {
        let mut step = self.quick(bits);
        if step.is_none() {
            step = self.slow(bits);
            if step.is_none() {
                return Err(WalkError::NoSuchCode);
            }
        }
        Ok(step)
    }
}
