//! Reads tar entries of any origin: ustar, PAX, GNU, and what came before them.
//!
//! Where readers disagree this follows Go's `archive/tar`, because that is what unpacks images. The `tar` crate is
//! not used for reading: it splits PAX records at newlines, so loses an attribute whose value holds the byte 10, as
//! capabilities do; it does not see PAX sparse files; and it reads extension headers of any size into memory.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::form::{Form, FormWriter};
use super::header::{Header, parse_pax, until_nul};
use super::number::{decimal, time};
use super::{BLOCK, XATTR_PREFIX, is_of_the_host, padding};
use crate::layer::path::show;

/// An entry as an archive has it: its path and targets are any bytes, checked by nobody yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// The name.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: RawKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970 UTC; fractions are dropped.
    pub mtime: i64,
    /// Size of the content in bytes; 0 unless it is a file.
    pub size: u64,
    /// Extended attributes, without those that belong to the host they were read on.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an entry of an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawKind {
    /// A regular file, which may mean a whiteout.
    File,
    /// A directory.
    Dir,
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// Another name for an earlier entry.
    Hardlink(Vec<u8>),
    /// A character device: major and minor number.
    CharDevice(u32, u32),
    /// A block device: major and minor number.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Why bytes are not a tar archive, or not one that is read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The archive cannot be read or is cut short.
    #[error("tar offset {offset}: {source}")]
    Io {
        /// Where, in bytes of tar.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The header is damaged, or this is no tar.
    #[error("tar offset {offset}: header checksum does not match")]
    Checksum {
        /// Where the header is.
        offset: u64,
    },
    /// A field is no number, or a number out of range.
    #[error("tar offset {offset}: bad {field}: `{found}`")]
    Number {
        /// Where the header is.
        offset: u64,
        /// Which field.
        field: &'static str,
        /// What it holds.
        found: String,
    },
    /// A PAX header is malformed.
    #[error("tar offset {offset}: malformed PAX record")]
    Pax {
        /// Where the header is.
        offset: u64,
    },
    /// A PAX header or GNU long name is larger than any should be.
    #[error(
        "tar offset {offset}: extended header of {size} bytes, at most {EXTENDED_MAX} are read"
    )]
    ExtendedTooLarge {
        /// Where the header is.
        offset: u64,
        /// Its size.
        size: u64,
    },
    /// Two extended headers of a kind for one entry: readers disagree on which counts.
    #[error("tar offset {offset}: a second extended header of the same kind for one entry")]
    ExtendedTwice {
        /// Where the header is.
        offset: u64,
    },
    /// An extended header for nothing.
    #[error("tar offset {offset}: extended header without an entry")]
    ExtendedAlone {
        /// Where the archive ends.
        offset: u64,
    },
    /// Sparse files in any of their formats; no image builder writes them.
    #[error("tar offset {offset}: sparse files are not supported")]
    Sparse {
        /// Where the header is.
        offset: u64,
    },
    /// Continuation volumes and other rarities.
    #[error("tar offset {offset}: entry type `{flag}` is not supported")]
    Type {
        /// Where the header is.
        offset: u64,
        /// The type flag.
        flag: String,
    },
    /// One block of zeros among entries.
    #[error("tar offset {offset}: a single zero block, after which more follows")]
    LoneZeroBlock {
        /// Where the block is.
        offset: u64,
    },
}

/// The most that an extended header may take, as in Go.
const EXTENDED_MAX: u64 = 1 << 20;

/// Reads the entries of an archive one after the other.
pub(crate) struct Archive<R> {
    reader: R,
    offset: u64,
    /// Content and padding of the current entry that were not read yet.
    content: u64,
    padding: u64,
    /// Takes down how the current entry is written, if that is wanted.
    form: Option<FormWriter>,
}

/// What extended headers said about the entry that follows them.
#[derive(Default)]
struct Extended {
    pax: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            offset: 0,
            content: 0,
            padding: 0,
            form: None,
        }
    }

    /// The same, to be asked for the form of entries.
    pub(crate) fn with_forms(reader: R) -> Self {
        Self {
            form: Some(FormWriter::default()),
            ..Self::new(reader)
        }
    }

    /// Returns how the current entry is written, once; none if forms are not taken down.
    pub(crate) fn take_form(&mut self) -> Option<Form> {
        self.form.as_mut().map(FormWriter::finish)
    }

    /// Returns the next entry; none at the end of the archive, which may be before the end of the stream.
    pub(crate) fn next_entry(&mut self) -> Result<Option<RawEntry>, TarError> {
        let mut extended = Extended::default();
        self.skip_rest()?;
        if let Some(form) = &mut self.form {
            form.begin(self.offset);
        }
        loop {
            self.skip_rest()?;
            let offset = self.offset;
            let Some(block) = self.next_header()? else {
                let Extended { pax, path, link } = extended;
                if pax.is_some() || path.is_some() || link.is_some() {
                    return Err(TarError::ExtendedAlone { offset });
                }
                return Ok(None);
            };
            let header = Header { block, offset };
            header.check_sum()?;
            if let Some(form) = &mut self.form {
                form.header(&header.block);
            }
            let flag = header.block[156];
            let slot = match flag {
                b'x' => {
                    let data = self.extended(&header)?;
                    let records = parse_pax(&data).ok_or(TarError::Pax { offset })?;
                    if let Some(form) = &mut self.form {
                        form.records(&records, b"");
                    }
                    if extended.pax.replace(records).is_some() {
                        return Err(TarError::ExtendedTwice { offset });
                    }
                    continue;
                }
                // Unpackers of images ignore global headers, so what they say is not true of the image.
                b'g' => {
                    let data = self.extended(&header)?;
                    if let (Some(form), Some(records)) = (&mut self.form, parse_pax(&data)) {
                        form.records(&records, b"global ");
                    }
                    continue;
                }
                b'L' => &mut extended.path,
                b'K' => &mut extended.link,
                _ => return self.entry(&header, extended).map(Some),
            };
            let name = until_nul(&self.extended(&header)?).to_vec();
            if slot.replace(name).is_some() {
                return Err(TarError::ExtendedTwice { offset });
            }
        }
    }

    /// Reads to the very end of the stream, as what follows the archive is hashed too, and returns the reader.
    pub(crate) fn finish(mut self) -> Result<R, TarError> {
        let offset = self.offset;
        io::copy(&mut self.reader, &mut io::sink())
            .map_err(|source| TarError::Io { offset, source })?;
        Ok(self.reader)
    }

    fn entry(&mut self, header: &Header, extended: Extended) -> Result<RawEntry, TarError> {
        let offset = header.offset;
        let mut pax = extended.pax.unwrap_or_default();
        // An empty value takes the record back, so the header counts.
        pax.retain(|key, value| !value.is_empty() || key.starts_with(XATTR_PREFIX));
        if pax.keys().any(|key| key.starts_with(b"GNU.sparse.")) {
            return Err(TarError::Sparse { offset });
        }
        let number = |key: &str, field: &'static str, range| match pax.get(key.as_bytes()) {
            Some(text) => decimal(text)
                .and_then(|value| i64::try_from(value).ok())
                .ok_or_else(|| header.bad(field, text)),
            None => header.number(range, field),
        };
        let id = |key, field, range| {
            let value = number(key, field, range)?;
            u32::try_from(value).map_err(|_| header.bad(field, value.to_string().as_bytes()))
        };
        let size = number("size", "size", 124..136)?;
        let size =
            u64::try_from(size).map_err(|_| header.bad("size", size.to_string().as_bytes()))?;
        let (uid, gid) = (id("uid", "uid", 108..116)?, id("gid", "gid", 116..124)?);
        let mtime = match pax.get(&b"mtime"[..]) {
            Some(text) => time(text).ok_or_else(|| header.bad("mtime", text))?,
            None => header.number(136..148, "mtime")?,
        };
        let mode = (header.number(100..108, "mode")? & 0o7777) as u32;

        let mut text = |key: &[u8], gnu: Option<Vec<u8>>, ustar: Vec<u8>| {
            let value = gnu.or_else(|| pax.remove(key)).unwrap_or(ustar);
            (!value.contains(&0))
                .then_some(value)
                .ok_or(TarError::Pax { offset })
        };
        let path = text(b"path", extended.path, header.path())?;
        let link = text(b"linkpath", extended.link, header.field(157..257).to_vec())?;
        let xattrs = pax
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(XATTR_PREFIX)?.to_vec(), value)))
            .filter(|(name, _)| !is_of_the_host(name))
            .collect();

        let device = |range, field| {
            let value = header.number(range, field)?;
            u32::try_from(value).map_err(|_| header.bad(field, value.to_string().as_bytes()))
        };
        let devices = || {
            Ok((
                device(329..337, "major number")?,
                device(337..345, "minor number")?,
            ))
        };
        let kind = match header.block[156] {
            // Before there was a type for them, directories were files whose name ends in a slash.
            0 if path.ends_with(b"/") => RawKind::Dir,
            0 | b'0' | b'7' => RawKind::File,
            b'1' => RawKind::Hardlink(link),
            b'2' => RawKind::Symlink(link),
            b'3' => devices().map(|(major, minor)| RawKind::CharDevice(major, minor))?,
            b'4' => devices().map(|(major, minor)| RawKind::BlockDevice(major, minor))?,
            b'5' => RawKind::Dir,
            b'6' => RawKind::Fifo,
            b'S' => return Err(TarError::Sparse { offset }),
            flag => {
                let flag = show(&[flag]);
                return Err(TarError::Type { offset, flag });
            }
        };
        // Only files have content, whatever the size field of others says, as in Go.
        let size = if kind == RawKind::File { size } else { 0 };
        self.content = size;
        self.padding = padding(size);
        Ok(RawEntry {
            path,
            kind,
            mode,
            uid,
            gid,
            mtime,
            size,
            xattrs,
        })
    }

    /// Reads the content of an extended header.
    fn extended(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let offset = header.offset;
        let size = header.number(124..136, "size")?;
        let size = u64::try_from(size)
            .ok()
            .ok_or_else(|| header.bad("size", size.to_string().as_bytes()))?;
        if size > EXTENDED_MAX {
            return Err(TarError::ExtendedTooLarge { offset, size });
        }
        let mut data = vec![0; size as usize];
        self.exactly(&mut data)?;
        self.padding = padding(size);
        if let Some(form) = &mut self.form {
            form.extended(&data);
        }
        Ok(data)
    }

    /// Returns the next header; none at two zero blocks or where the stream ends between entries.
    fn next_header(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let offset = self.offset;
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block != [0; BLOCK] {
            return Ok(Some(block));
        }
        match self.block()? {
            Some(next) if next != [0; BLOCK] => Err(TarError::LoneZeroBlock { offset }),
            _ => Ok(None),
        }
    }

    /// Reads a block; none if the stream ends before it.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let read = self.some(&mut block[..1])?;
        if read == 0 {
            return Ok(None);
        }
        self.exactly(&mut block[1..])?;
        Ok(Some(block))
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        let mut left = self.content + self.padding;
        (self.content, self.padding) = (0, 0);
        let mut buffer = [0; 16 << 10];
        while left > 0 {
            let len = left.min(buffer.len() as u64) as usize;
            self.exactly(&mut buffer[..len])?;
            left -= len as u64;
        }
        Ok(())
    }

    fn exactly(&mut self, buffer: &mut [u8]) -> Result<(), TarError> {
        let offset = self.offset;
        self.reader
            .read_exact(buffer)
            .map_err(|source| TarError::Io { offset, source })?;
        self.offset += buffer.len() as u64;
        Ok(())
    }

    fn some(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.reader.read(buffer) {
                Ok(read) => {
                    self.offset += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let offset = self.offset;
                    return Err(TarError::Io { offset, source });
                }
            }
        }
    }
}

/// Reads the content of the current entry.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.content).map_or(buffer.len(), |left| left.min(buffer.len()));
        if len == 0 {
            return Ok(0);
        }
        let read = self.reader.read(&mut buffer[..len])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.content -= read as u64;
        Ok(read)
    }
}
