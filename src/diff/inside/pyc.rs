//! Python bytecode: four words, then the code.
//!
//! <https://docs.python.org/3/reference/import.html#pyc-invalidation>, <https://peps.python.org/pep-0552/>

use super::Found;
use crate::diff::cause::Cause;
use crate::image::rfc3339;
use crate::oci::digest::hex;

struct Pyc<'a> {
    magic: &'a [u8],
    flags: u32,
    /// Time and size of the source, or its hash.
    source: &'a [u8],
    code: &'a [u8],
}

impl<'a> Pyc<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, code) = bytes.split_at_checked(16)?;
        // Every magic of Python 3 ends so.
        if &header[2..4] != b"\r\n" {
            return None;
        }
        Some(Self {
            magic: &header[..2],
            flags: word(&header[4..8]),
            source: &header[8..],
            code,
        })
    }

    fn mode(&self) -> &'static str {
        match self.flags {
            0 => "by time and size",
            1 => "by hash, unchecked",
            3 => "by hash, checked",
            _ => "unknown flags",
        }
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

pub(super) fn look(a: &[u8], b: &[u8]) -> Option<Found> {
    let (x, y) = (Pyc::parse(a)?, Pyc::parse(b)?);
    let mut lines = Vec::new();
    let mut cause = None;
    if x.magic != y.magic {
        lines.push(format!(
            "compiled by another Python: magic {} → {}",
            u16::from_le_bytes([x.magic[0], x.magic[1]]),
            u16::from_le_bytes([y.magic[0], y.magic[1]])
        ));
    }
    if x.flags != y.flags {
        lines.push(format!("validated {} → {}", x.mode(), y.mode()));
        cause = Some(Cause::PycFlags);
    } else if x.flags == 0 {
        let time = |pyc: &Pyc<'_>| rfc3339(i64::from(word(&pyc.source[..4])));
        let size = |pyc: &Pyc<'_>| word(&pyc.source[4..]);
        if time(&x) != time(&y) {
            lines.push(format!("time of the source {} → {}", time(&x), time(&y)));
            cause = Some(Cause::PycMtime);
        }
        if size(&x) != size(&y) {
            lines.push(format!("size of the source {} → {}", size(&x), size(&y)));
        }
    } else if x.source != y.source {
        let (x, y) = (hex(x.source), hex(y.source));
        lines.push(format!("hash of the source {x} → {y}"));
    }
    if x.code == y.code {
        lines.push("the code is the same".to_owned());
    } else {
        lines.push("the code differs".to_owned());
        // Then the header is not what made them differ.
        cause = None;
    }
    Some(Found { lines, cause })
}
