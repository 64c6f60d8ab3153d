//! Reads the compressed payload of a package, hashing it as it goes.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use super::PayloadError;
use super::hash::AnyHasher;
use crate::layer::RandomRead;
use crate::oci::digest::hex;

/// Memory that an xz or lzma stream may ask for; `xz -9` needs 65 MiB.
const MAX_LZMA_MEMORY: u64 = 256 << 20;
/// Bytes read from a package at a time.
const BUFFER: usize = 128 << 10;

/// The payload as it is in the package.
pub(super) struct Packed<'a> {
    blob: &'a dyn RandomRead,
    range: Range<u64>,
    hasher: Option<AnyHasher>,
}

impl<'a> Packed<'a> {
    /// Reads `range` of `blob`; `hasher` sees every byte of it.
    pub(super) fn new(
        blob: &'a dyn RandomRead,
        range: Range<u64>,
        hasher: Option<AnyHasher>,
    ) -> Self {
        Self {
            blob,
            range,
            hasher,
        }
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let buffer = &mut buffer[..count];
        self.blob.read_exact_at(buffer, self.range.start)?;
        self.range.start += count as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(buffer);
        }
        Ok(count)
    }
}

type Source<'a> = BufReader<Packed<'a>>;

/// The payload as an archive: decompressed as the header says.
pub(super) enum Unpacking<'a> {
    Stored(Source<'a>),
    Gzip(Box<MultiGzDecoder<Source<'a>>>),
    Bzip2(Box<MultiBzDecoder<Source<'a>>>),
    Lzma(Box<XzDecoder<Source<'a>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Source<'a>>>),
}

/// What the compressed payload begins with, by the name that PAYLOADCOMPRESSOR gives it.
const FORMATS: [(&str, &[u8]); 6] = [
    ("gzip", &[0x1f, 0x8b]),
    ("bzip2", b"BZh"),
    ("xz", &[0xfd, b'7', b'z', b'X', b'Z', 0]),
    ("lzma", &[0x5d, 0, 0]),
    ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
    ("none", b"0707"),
];

impl<'a> Unpacking<'a> {
    /// Opens `packed` with the compressor that the header names; without a name, by its first bytes.
    ///
    /// rpm leaves the name out for payloads that are not compressed.
    pub(super) fn open(compressor: Option<&str>, packed: Packed<'a>) -> Result<Self, PayloadError> {
        let mut source = BufReader::with_capacity(BUFFER, packed);
        let start = source.fill_buf().map_err(PayloadError::Read)?;
        let start = &start[..start.len().min(8)];
        let found = FORMATS.iter().find(|(_, magic)| start.starts_with(magic));
        let format = match (compressor, found) {
            (None, Some((name, _))) => *name,
            (Some(wanted), _) if !FORMATS.iter().any(|(name, _)| *name == wanted) => {
                return Err(PayloadError::Compressor(wanted.to_owned()));
            }
            (Some(wanted), Some((name, _))) if *name == wanted => *name,
            _ => {
                return Err(PayloadError::Compression {
                    wanted: compressor.unwrap_or("a known compression").to_owned(),
                    found: hex(start),
                });
            }
        };
        let lzma = |stream: Result<Stream, liblzma::stream::Error>, source| {
            let stream = stream.map_err(|error| PayloadError::Read(error.into()))?;
            Ok(Self::Lzma(Box::new(XzDecoder::new_stream(source, stream))))
        };
        match format {
            "gzip" => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(source)))),
            "bzip2" => Ok(Self::Bzip2(Box::new(MultiBzDecoder::new(source)))),
            "xz" => lzma(
                Stream::new_stream_decoder(MAX_LZMA_MEMORY, CONCATENATED),
                source,
            ),
            "lzma" => lzma(Stream::new_lzma_decoder(MAX_LZMA_MEMORY), source),
            "zstd" => zstd::stream::read::Decoder::with_buffer(source)
                .map(|decoder| Self::Zstd(Box::new(decoder)))
                .map_err(PayloadError::Read),
            _ => Ok(Self::Stored(source)),
        }
    }

    /// Returns the digest of the compressed bytes, once the archive has been read to its end.
    ///
    /// # Errors
    /// [`PayloadError::Trailing`] if bytes follow the compressed archive.
    pub(super) fn finish(self) -> Result<Option<String>, PayloadError> {
        let mut source = match self {
            Self::Stored(source) => source,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Bzip2(decoder) => decoder.into_inner(),
            Self::Lzma(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
        };
        let rest = source.fill_buf().map_err(PayloadError::Read)?;
        if !rest.is_empty() {
            return Err(PayloadError::Trailing("compressed payload"));
        }
        Ok(source.into_inner().hasher.map(AnyHasher::finish))
    }
}

impl Read for Unpacking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(source) => source.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Bzip2(decoder) => decoder.read(buffer),
            Self::Lzma(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
