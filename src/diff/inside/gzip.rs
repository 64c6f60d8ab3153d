//! The header of a gzip stream, and whether two streams hold the same.
//!
//! <https://www.rfc-editor.org/rfc/rfc1952>

use std::fmt;
use std::io::Read;

use super::Found;
use crate::diff::cause::Cause;
use crate::image::rfc3339;
use crate::layer::path::show;

/// The most that is unpacked to see whether two streams hold the same, in bytes.
const UNPACKED: u64 = 64 << 20;

/// The header of a gzip member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::diff) struct GzipHeader {
    time: u32,
    extra_flags: u8,
    system: u8,
    name: Option<Vec<u8>>,
    has_extra: bool,
    /// Its length in bytes.
    pub(in crate::diff) length: usize,
}

impl GzipHeader {
    /// Reads the header that `bytes` begins with.
    pub(in crate::diff) fn parse(bytes: &[u8]) -> Option<Self> {
        let [
            0x1f,
            0x8b,
            8,
            flags,
            t0,
            t1,
            t2,
            t3,
            extra_flags,
            system,
            ..,
        ] = *bytes
        else {
            return None;
        };
        let mut length = 10;
        let has_extra = flags & 4 != 0;
        if has_extra {
            let size = bytes.get(length..length + 2)?;
            length += 2 + usize::from(u16::from_le_bytes([size[0], size[1]]));
        }
        let mut text = |is_there: bool| {
            if !is_there {
                return Some(None);
            }
            let rest = bytes.get(length..)?;
            let end = rest.iter().position(|&byte| byte == 0)?;
            length += end + 1;
            Some(Some(rest[..end].to_vec()))
        };
        let name = text(flags & 8 != 0)?;
        text(flags & 16 != 0)?;
        if flags & 2 != 0 {
            length += 2;
        }
        Some(Self {
            time: u32::from_le_bytes([t0, t1, t2, t3]),
            extra_flags,
            system,
            name,
            has_extra,
            length,
        })
    }
}

impl fmt::Display for GzipHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            0 => f.write_str("no time")?,
            time => write!(f, "time {}", rfc3339(i64::from(time)))?,
        }
        // What compressors write there: 2 for the slowest, 4 for the fastest.
        match self.extra_flags {
            2 => f.write_str(", best level")?,
            4 => f.write_str(", fastest level")?,
            _ => f.write_str(", usual level")?,
        }
        match self.system {
            0 => f.write_str(", system FAT")?,
            3 => f.write_str(", system Unix")?,
            255 => f.write_str(", system unknown")?,
            other => write!(f, ", system {other}")?,
        }
        if let Some(name) = &self.name {
            write!(f, ", name \"{}\"", show(name))?;
        }
        if self.has_extra {
            f.write_str(", an extra field")?;
        }
        Ok(())
    }
}

pub(super) fn look(a: &[u8], b: &[u8]) -> Option<Found> {
    let (x, y) = (GzipHeader::parse(a)?, GzipHeader::parse(b)?);
    let mut lines = Vec::new();
    if x != y {
        lines.push(format!("gzip header: {x} → {y}"));
    }
    if a.get(x.length..) == b.get(y.length..) {
        return Found::lines(lines).map(|found| found.because(Cause::GzipHeader));
    }
    let unpacked = |bytes: &[u8]| {
        let mut out = Vec::new();
        let decoder = flate2::bufread::MultiGzDecoder::new(bytes);
        decoder.take(UNPACKED + 1).read_to_end(&mut out).ok()?;
        (out.len() as u64 <= UNPACKED).then_some(out)
    };
    match (unpacked(a), unpacked(b)) {
        (Some(x), Some(y)) if x == y => {
            lines.push("the unpacked bytes are the same".to_owned());
            Found::lines(lines).map(|found| found.because(Cause::Compressor))
        }
        (Some(x), Some(y)) => {
            lines.push("the unpacked bytes differ".to_owned());
            let inner = super::text::look(&x, &y).unwrap_or_else(|| super::bytes::look(&x, &y));
            lines.extend(inner.lines);
            Found::lines(lines)
        }
        _ => {
            lines.push("not unpacked: damaged, or too large".to_owned());
            Found::lines(lines)
        }
    }
}
