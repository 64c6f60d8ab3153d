//! How two blobs with the same tar differ: format, header, level.

use std::io::{self, Read};

use super::cause::Cause;
use super::error::DiffError;
use super::image::Image;
use super::inside::GzipHeader;
use super::verdict::{Attribute, Change};

/// Enough for the header of any compressed stream, file name included.
const HEAD: u64 = 64 << 10;

/// How a blob is compressed.
enum Packing {
    Gzip(GzipHeader),
    Zstd,
    None,
}

impl Packing {
    fn name(&self) -> String {
        match self {
            Self::Gzip(header) => format!("gzip, {header}"),
            Self::Zstd => "zstd".to_owned(),
            Self::None => "not compressed".to_owned(),
        }
    }
}

/// Says how two blobs are compressed, and what probably made them differ.
pub(super) fn compare(
    a: (&Image<'_>, usize),
    b: (&Image<'_>, usize),
) -> Result<(Vec<Change>, Cause), DiffError> {
    let (x, y) = (packing(a)?, packing(b)?);
    let [was, is] = [a, b].map(|(image, at)| image.layer(at).descriptor.size);
    let shown = |packing: &Packing, size: u64| Some(format!("{}, {size} bytes", packing.name()));
    let mut change = Change::new(Attribute::Compression, shown(&x, was), shown(&y, is));
    let cause = match (&x, &y) {
        (Packing::Gzip(x), Packing::Gzip(y)) => {
            let skip = [x.length, y.length];
            match first_difference(a, b, skip)? {
                None => {
                    let said = "the compressed data after the header is the same";
                    change.inside.push(said.to_owned());
                    Cause::GzipHeader
                }
                Some(at) => {
                    let said = format!("the compressed data differs from byte {at} on");
                    change.inside.push(said);
                    Cause::Compressor
                }
            }
        }
        (Packing::Zstd, Packing::Zstd) => Cause::Compressor,
        _ => Cause::Codec,
    };
    Ok((vec![change], cause))
}

fn packing((image, at): (&Image<'_>, usize)) -> Result<Packing, DiffError> {
    let mut head = Vec::new();
    let read = image.open(at)?.take(HEAD).read_to_end(&mut head);
    read.map_err(|source| image.unreadable(at, source))?;
    Ok(match (GzipHeader::parse(&head), head.as_slice()) {
        (Some(header), _) => Packing::Gzip(header),
        (None, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) => Packing::Zstd,
        _ => Packing::None,
    })
}

/// Returns where two blobs begin to differ after `skip` bytes of each, counted from there.
fn first_difference(
    a: (&Image<'_>, usize),
    b: (&Image<'_>, usize),
    skip: [usize; 2],
) -> Result<Option<u64>, DiffError> {
    let (mut x, mut y) = (open(a, skip[0])?, open(b, skip[1])?);
    let mut at = 0;
    loop {
        let was = piece(&mut *x).map_err(|source| a.0.unreadable(a.1, source))?;
        let is = piece(&mut *y).map_err(|source| b.0.unreadable(b.1, source))?;
        if let Some(first) = was.iter().zip(&is).position(|(x, y)| x != y) {
            return Ok(Some(at + first as u64));
        }
        if was.len() != is.len() {
            return Ok(Some(at + was.len().min(is.len()) as u64));
        }
        if was.is_empty() {
            return Ok(None);
        }
        at += was.len() as u64;
    }
}

/// Opens a blob after its first `skip` bytes.
fn open<'a>(
    (image, at): (&Image<'a>, usize),
    skip: usize,
) -> Result<Box<dyn Read + 'a>, DiffError> {
    let mut reader = image.open(at)?;
    io::copy(&mut reader.by_ref().take(skip as u64), &mut io::sink())
        .map_err(|source| image.unreadable(at, source))?;
    Ok(reader)
}

/// Reads a piece that is short only at the end.
fn piece(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(HEAD).read_to_end(&mut bytes)?;
    Ok(bytes)
}
