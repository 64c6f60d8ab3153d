//! Decompresses metadata by its first bytes, whatever its name says, up to a limit.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// Memory an xz stream may ask for; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;
/// The largest window of a zstd frame as a power of two; `zstd --ultra -22` uses 27.
const ZSTD_WINDOW: u32 = 27;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
    /// xz
    Xz,
    /// bzip2
    Bzip2,
    /// zchunk, which is not read: every repository that has it has another form too.
    Zchunk,
}

impl Compression {
    /// Recognises a file by its first bytes.
    #[must_use]
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0, b'Z', b'C', b'K', b'1', ..] => Self::Zchunk,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Zchunk => "zchunk",
        })
    }
}

/// A compression that is recognised and not read.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not read: wanted gzip, zstd, xz, bzip2 or none")]
pub struct Unsupported(pub Compression);

/// Returns a reader of what `input` holds, decompressed; it fails after `limit` bytes.
///
/// The limit is the size that repomd.xml states, so that a small file cannot fill memory or time.
///
/// # Errors
/// If the first bytes cannot be read, or are those of a compression that is not [`Unsupported`].
pub fn open_compressed<'a>(
    mut input: impl BufRead + Send + 'a,
    limit: u64,
) -> io::Result<Box<dyn BufRead + Send + 'a>> {
    let compression = Compression::of(input.fill_buf()?);
    let plain: Box<dyn Read + Send + 'a> = match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY,
                liblzma::stream::CONCATENATED,
            )?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        Compression::Zchunk => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                Unsupported(compression),
            ));
        }
    };
    Ok(Box::new(BufReader::with_capacity(
        1 << 16,
        Limited {
            inner: plain,
            left: limit,
            limit,
        },
    )))
}

/// A reader that fails, rather than ends, after its limit.
struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // One byte more than is left tells whether there is more.
        let room = usize::try_from(self.left.saturating_add(1))
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self.inner.read(&mut buffer[..room])?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                let message = format!("it holds more than {} bytes decompressed", self.limit);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        open_compressed(bytes, limit)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_compression_is_known_by_its_first_bytes() {
        let text = b"<metadata/>".repeat(100);
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        bzip2.write_all(&text).expect("in memory");
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
        xz.write_all(&text).expect("in memory");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&text).expect("in memory");
        let zstd = zstd::encode_all(&text[..], 3).expect("in memory");
        let forms = [
            text.clone(),
            gzip.finish().expect("in memory"),
            zstd,
            xz.finish().expect("in memory"),
            bzip2.finish().expect("in memory"),
        ];
        for form in forms {
            let compression = Compression::of(&form);
            assert_eq!(
                read(&form, text.len() as u64).expect("decompresses"),
                text,
                "{compression}"
            );
            let error = read(&form, text.len() as u64 - 1).expect_err("one byte too many");
            assert!(
                error.to_string().contains("more than 1099 bytes"),
                "{compression}: {error}"
            );
            if compression != Compression::None {
                assert!(
                    read(&form[..form.len() - 6], 1 << 20).is_err(),
                    "{compression} cut short"
                );
            }
        }
        assert!(read(b"\0ZCK1", 1).is_err());
        assert_eq!(read(b"", 1).expect("empty"), b"");
    }
}
