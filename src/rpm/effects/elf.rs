//! Reads of a shared library what ldconfig does: its machine, its SONAME, its ABI note, its instruction set.
//!
//! As `process_elf_file` of glibc's `elf/readelflib.c`; 64-bit little-endian only.
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>

/// The machines of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64
    X86_64,
    /// 64-bit Arm
    Aarch64,
}

impl Machine {
    /// Returns the flags of its entries in an `ld.so.cache`: `FLAG_X8664_LIB64` or `FLAG_AARCH64_LIB64`, with
    /// `FLAG_ELF_LIBC6`.
    #[must_use]
    pub fn flags(self) -> i32 {
        match self {
            Self::X86_64 => 0x0303,
            Self::Aarch64 => 0x0a03,
        }
    }
}

/// What ldconfig wants of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// What it is for.
    pub machine: Machine,
    /// `DT_SONAME`, if it has one.
    pub soname: Option<Vec<u8>>,
    /// `.note.ABI-tag`: the oldest kernel it runs on, as glibc before 2.36 wrote it to caches; 0 without.
    pub os_version: u32,
    /// The level of `GNU_PROPERTY_X86_ISA_1_NEEDED`: 2 for x86-64-v3; 0 for the baseline or without.
    pub isa_level: u32,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_NOTE: u32 = 4;
const PT_GNU_PROPERTY: u32 = 0x6474_e553;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
const ET_DYN: u16 = 3;

/// Reads a library; none for everything that is not a 64-bit shared object of a known machine.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Library> {
    // Class 64, little-endian.
    if bytes.get(..6)? != b"\x7fELF\x02\x01" || u16_at(bytes, 16)? != ET_DYN {
        return None;
    }
    let machine = match u16_at(bytes, 18)? {
        62 => Machine::X86_64,
        183 => Machine::Aarch64,
        _ => return None,
    };
    let headers = usize::try_from(u64_at(bytes, 32)?).ok()?;
    let size = usize::from(u16_at(bytes, 54)?);
    let count = usize::from(u16_at(bytes, 56)?);
    if size < 56 {
        return None;
    }
    let mut base = None;
    let mut dynamic = None;
    let (mut os_version, mut isa) = (0, 0);
    for at in 0..count {
        let header = bytes.get(headers.checked_add(at.checked_mul(size)?)?..)?;
        let (offset, address) = (u64_at(header, 8)?, u64_at(header, 16)?);
        let segment = || {
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(u64_at(header, 32)?).ok()?)?;
            bytes.get(start..end)
        };
        match u32_at(header, 0)? {
            PT_LOAD if base.is_none() => base = Some(address.wrapping_sub(offset)),
            PT_DYNAMIC if dynamic.is_some() => return None,
            PT_DYNAMIC => dynamic = Some(segment()?),
            PT_NOTE => os_version = abi_version(segment()?).unwrap_or(os_version),
            PT_GNU_PROPERTY => isa = isa_needed(segment()?).unwrap_or(isa),
            _ => {}
        }
    }
    let dynamic = dynamic?;
    let tag = |wanted: u64| {
        dynamic
            .chunks_exact(16)
            .map(|entry| (u64_at(entry, 0), u64_at(entry, 8)))
            .take_while(|(tag, _)| *tag != Some(0))
            .find(|(tag, _)| *tag == Some(wanted))
            .and_then(|(_, value)| value)
    };
    let strings = tag(DT_STRTAB)?.wrapping_sub(base.unwrap_or(0));
    let soname = match tag(DT_SONAME) {
        None => None,
        Some(at) => {
            let start = usize::try_from(strings.checked_add(at)?).ok()?;
            let rest = bytes.get(start..)?;
            // Longer than any file name: not a name.
            let end = rest.iter().take(256).position(|&c| c == 0)?;
            Some(rest[..end].to_vec())
        }
    };
    Some(Library {
        machine,
        soname,
        os_version,
        isa_level: isa.checked_ilog2().unwrap_or(0),
    })
}

/// Calls `visit` with name, type and descriptor of every note.
fn notes<'a>(
    mut rest: &'a [u8],
    align: usize,
    mut visit: impl FnMut(&[u8], u32, &'a [u8]),
) -> Option<()> {
    while rest.len() >= 12 {
        let name_size = u32_at(rest, 0)? as usize;
        let size = u32_at(rest, 4)? as usize;
        let kind = u32_at(rest, 8)?;
        let name = rest.get(12..12_usize.checked_add(name_size)?)?;
        let start = 12_usize
            .checked_add(name_size)?
            .checked_next_multiple_of(align)?;
        let end = start.checked_add(size)?;
        visit(name, kind, rest.get(start..end)?);
        rest = rest.get(end.checked_next_multiple_of(align)?..)?;
    }
    Some(())
}

fn abi_version(segment: &[u8]) -> Option<u32> {
    let mut found = None;
    notes(segment, 4, |name, kind, words| {
        // NT_GNU_ABI_TAG: system, then three parts of a version; 0 is Linux.
        if name == b"GNU\0" && kind == 1 && words.len() >= 16 {
            let part = |at| u32_at(words, at).unwrap_or(0);
            found = Some(
                (part(0) << 24)
                    | ((part(4) & 0xff) << 16)
                    | ((part(8) & 0xff) << 8)
                    | (part(12) & 0xff),
            );
        }
    });
    found
}

fn isa_needed(segment: &[u8]) -> Option<u32> {
    const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
    const X86_ISA_1_NEEDED: u32 = 0xc000_8002;
    let mut found = None;
    notes(segment, 8, |name, kind, mut rest| {
        if name != b"GNU\0" || kind != NT_GNU_PROPERTY_TYPE_0 {
            return;
        }
        while let (Some(kind), Some(size)) = (u32_at(rest, 0), u32_at(rest, 4)) {
            if kind == X86_ISA_1_NEEDED && size == 4 {
                found = u32_at(rest, 8);
            }
            let next = (size as usize)
                .checked_add(8)
                .and_then(|n| n.checked_next_multiple_of(8));
            let Some(next) = next.and_then(|next| rest.get(next..)) else {
                return;
            };
            rest = next;
        }
    });
    found
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_abi_note_becomes_the_version_that_old_caches_hold() {
        let mut note = Vec::new();
        for word in [4_u32, 16, 1, 0x0055_4e47, 0, 3, 2, 0] {
            note.extend(word.to_le_bytes());
        }
        assert_eq!(abi_version(&note), Some(0x03_02_00));
        assert_eq!(abi_version(&note[..20]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            // And past the first check.
            if bytes.len() > 64 {
                bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
                bytes[16..20].copy_from_slice(&[3, 0, 62, 0]);
                bytes[32..40].copy_from_slice(&[64, 0, 0, 0, 0, 0, 0, 0]);
                bytes[54..58].copy_from_slice(&[56, 0, 4, 0]);
                for kind in [1, 2, 4, 0x53] {
                    bytes[64] = kind;
                    let _ = read(&bytes);
                }
            }
            let _ = abi_version(&bytes);
            let _ = isa_needed(&bytes);
        }
    }
}
