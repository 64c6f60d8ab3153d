//! Where chunks end: at entries chosen by their paths, so that a change to one file changes few chunks.
//!
//! The rule is part of the format. A chunk ends
//! - before an entry, when it has 256 KiB and the CRC-32 of the entry's path is a multiple of 16;
//! - at 1 MiB;
//! - before and after the content, with its padding, of a file of 512 KiB or more.
//!
//! The header of such a file is in the chunk before, so the chunks of equal contents are equal wherever they are.

/// The most bytes in a chunk.
pub(crate) const CHUNK_MAX: usize = 1 << 20;
const CHUNK_MIN: usize = 256 << 10;
const OWN_CHUNKS: u64 = 512 << 10;

/// Tells whether a file of `size` bytes has chunks of its own.
pub(crate) fn has_own_chunks(size: u64) -> bool {
    size >= OWN_CHUNKS
}

/// Collects tar bytes into chunks.
#[derive(Default)]
pub(crate) struct Cutter {
    chunk: Vec<u8>,
}

impl Cutter {
    /// Returns the chunk that ends before the entry of `path`, if one does.
    pub(crate) fn before_entry(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let ends = self.chunk.len() >= CHUNK_MIN && crc32fast::hash(path).is_multiple_of(16);
        ends.then(|| self.take())
    }

    /// Returns the chunk that ends here, if it has any bytes.
    pub(crate) fn cut(&mut self) -> Option<Vec<u8>> {
        (!self.chunk.is_empty()).then(|| self.take())
    }

    /// Returns the chunk that ends here if it is full.
    pub(crate) fn cut_full(&mut self) -> Option<Vec<u8>> {
        (self.chunk.len() >= CHUNK_MAX).then(|| self.take())
    }

    /// Adds room for `wanted` bytes, or as many as the chunk still holds, and returns it to be filled.
    pub(crate) fn room(&mut self, wanted: u64) -> &mut [u8] {
        let start = self.chunk.len();
        let free = CHUNK_MAX - start;
        let len = usize::try_from(wanted).map_or(free, |wanted| wanted.min(free));
        self.chunk.resize(start + len, 0);
        &mut self.chunk[start..]
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_ends_only_at_chosen_entries_once_it_is_large_enough() {
        let paths: Vec<String> = (0..64).map(|n| format!("usr/share/{n}")).collect();
        let chosen = paths
            .iter()
            .find(|path| crc32fast::hash(path.as_bytes()).is_multiple_of(16))
            .expect("one of 64 paths");
        let other = paths
            .iter()
            .find(|path| !crc32fast::hash(path.as_bytes()).is_multiple_of(16))
            .expect("one of 64 paths");

        let mut cutter = Cutter::default();
        cutter.room(CHUNK_MIN as u64 - 1).fill(1);
        assert_eq!(cutter.before_entry(chosen.as_bytes()), None);
        cutter.room(1).fill(1);
        assert_eq!(cutter.before_entry(other.as_bytes()), None);
        let chunk = cutter.before_entry(chosen.as_bytes());
        assert_eq!(chunk.map(|chunk| chunk.len()), Some(CHUNK_MIN));
        assert_eq!(cutter.cut(), None);
    }

    #[test]
    fn room_ends_with_the_chunk() {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.room(u64::MAX).len(), CHUNK_MAX);
        assert_eq!(cutter.cut_full().map(|chunk| chunk.len()), Some(CHUNK_MAX));
    }
}
