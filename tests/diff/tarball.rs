//! A tar as pieces of bytes, one for each entry: what is not changed on purpose stays as it is, to the last byte.

use std::collections::BTreeMap;

const BLOCK: usize = 512;

/// Fields of a header: where they are, and how long.
pub(crate) const MODE: (usize, usize) = (100, 8);
pub(crate) const UID: (usize, usize) = (108, 8);
pub(crate) const GID: (usize, usize) = (116, 8);
const SIZE: (usize, usize) = (124, 12);
pub(crate) const MTIME: (usize, usize) = (136, 12);
pub(crate) const LINK: (usize, usize) = (157, 100);
pub(crate) const UNAME: (usize, usize) = (265, 32);
/// Device numbers, which nobody reads of a file.
pub(crate) const MINOR: (usize, usize) = (337, 8);

/// A tar, entry by entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tarball {
    pub(crate) entries: Vec<Piece>,
    /// What follows the last entry.
    pub(crate) end: Vec<u8>,
}

/// The bytes of one entry: extended headers, header, content, padding.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    bytes: Vec<u8>,
    /// Where the header is that the extended ones are for.
    main: usize,
}

impl Tarball {
    /// Cuts a tar into its entries.
    pub(crate) fn parse(tar: &[u8]) -> Self {
        let (mut at, mut entries) = (0, Vec::new());
        while tar[at..at + BLOCK] != [0; BLOCK] {
            let (start, mut header) = (at, at);
            while matches!(tar[header + 156], b'x' | b'g' | b'L' | b'K') {
                header += BLOCK + padded(number(&tar[header..], SIZE));
            }
            let has_content = matches!(tar[header + 156], 0 | b'0');
            let size = if has_content {
                number(&tar[header..], SIZE)
            } else {
                0
            };
            at = header + BLOCK + padded(size);
            entries.push(Piece {
                bytes: tar[start..at].to_vec(),
                main: header - start,
            });
        }
        Self {
            entries,
            end: tar[at..].to_vec(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let entries = self.entries.iter().flat_map(|piece| &piece.bytes);
        entries.chain(&self.end).copied().collect()
    }

    /// Returns the position of a path.
    pub(crate) fn position(&self, path: &str) -> usize {
        let found = self.entries.iter().position(|piece| piece.path() == path);
        found.unwrap_or_else(|| panic!("no {path}"))
    }

    pub(crate) fn entry(&mut self, path: &str) -> &mut Piece {
        let at = self.position(path);
        &mut self.entries[at]
    }
}

impl Piece {
    /// Writes an entry as imgbuild does: ustar, empty names.
    pub(crate) fn new(path: &str, kind: u8, content: &[u8], link: &str) -> Self {
        let mut header = [0; BLOCK];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        let mut piece = Self {
            bytes: header.to_vec(),
            main: 0,
        };
        let mode = match kind {
            b'5' => 0o755,
            b'2' => 0o777,
            _ => 0o644,
        };
        piece.set(MODE, mode);
        piece.set(UID, 0);
        piece.set(GID, 0);
        piece.set(MTIME, 946_684_800);
        piece.text(LINK, link);
        piece.set_content(content);
        piece
    }

    /// Returns the path without slashes at its ends.
    pub(crate) fn path(&self) -> String {
        if let Some(path) = self.records().get("path") {
            return String::from_utf8_lossy(path).trim_matches('/').to_owned();
        }
        let path = match self.read_text((345, 155)) {
            prefix if prefix.is_empty() => self.read_text((0, 100)),
            prefix => format!("{prefix}/{}", self.read_text((0, 100))),
        };
        path.trim_matches('/').to_owned()
    }

    /// Reads a text field.
    pub(crate) fn read_text(&self, (start, length): (usize, usize)) -> String {
        let field = &self.bytes[self.main + start..self.main + start + length];
        let end = field.iter().position(|&byte| byte == 0);
        String::from_utf8_lossy(&field[..end.unwrap_or(length)]).into_owned()
    }

    pub(crate) fn kind(&self) -> u8 {
        self.bytes[self.main + 156]
    }

    pub(crate) fn get(&self, field: (usize, usize)) -> usize {
        number(&self.bytes[self.main..], field)
    }

    pub(crate) fn content(&self) -> &[u8] {
        let start = self.main + BLOCK;
        &self.bytes[start..start + self.get(SIZE)]
    }

    /// Writes an octal field.
    pub(crate) fn set(&mut self, field: (usize, usize), value: usize) {
        let text = format!("{value:0width$o}\0", width = field.1 - 1);
        self.raw(field, text.as_bytes());
    }

    /// Writes a text field.
    pub(crate) fn text(&mut self, field: (usize, usize), text: &str) {
        let mut bytes = vec![0; field.1];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        self.raw(field, &bytes);
    }

    /// Writes the name, however it may look.
    pub(crate) fn rename(&mut self, path: &str) {
        self.text((345, 155), "");
        self.text((0, 100), path);
    }

    pub(crate) fn set_kind(&mut self, kind: u8) {
        self.raw((156, 1), &[kind]);
    }

    pub(crate) fn raw(&mut self, (start, length): (usize, usize), value: &[u8]) {
        assert_eq!(value.len(), length);
        let header = &mut self.bytes[self.main..self.main + BLOCK];
        header[start..start + length].copy_from_slice(value);
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }

    pub(crate) fn set_content(&mut self, content: &[u8]) {
        self.bytes.truncate(self.main + BLOCK);
        self.bytes.extend(content);
        self.bytes
            .resize(self.main + BLOCK + padded(content.len()), 0);
        self.set(SIZE, content.len());
    }

    /// Returns the PAX records.
    pub(crate) fn records(&self) -> BTreeMap<String, Vec<u8>> {
        let mut out = BTreeMap::new();
        if self.main == 0 || self.bytes[156] != b'x' {
            return out;
        }
        let mut rest = &self.bytes[BLOCK..BLOCK + number(&self.bytes, SIZE)];
        while !rest.is_empty() {
            let blank = rest
                .iter()
                .position(|&byte| byte == b' ')
                .expect("a record");
            let length: usize = str::from_utf8(&rest[..blank])
                .expect("digits")
                .parse()
                .expect("a number");
            let record = &rest[blank + 1..length - 1];
            let equals = record
                .iter()
                .position(|&byte| byte == b'=')
                .expect("a record");
            let key = String::from_utf8_lossy(&record[..equals]).into_owned();
            out.insert(key, record[equals + 1..].to_vec());
            rest = &rest[length..];
        }
        out
    }

    /// Writes the PAX records anew.
    pub(crate) fn set_records(&mut self, records: &BTreeMap<String, Vec<u8>>) {
        let main = self.bytes.split_off(self.main);
        let mut data = Vec::new();
        for (key, value) in records {
            // The length counts its own digits.
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            data.extend(format!("{length} {key}=").as_bytes());
            data.extend(value);
            data.push(b'\n');
        }
        self.bytes = if data.is_empty() {
            Vec::new()
        } else {
            Self::extended(&data)
        };
        self.main = self.bytes.len();
        self.bytes.extend(main);
    }

    fn extended(data: &[u8]) -> Vec<u8> {
        let mut piece = Self {
            bytes: vec![0; BLOCK],
            main: 0,
        };
        piece.raw((257, 8), b"ustar\x0000");
        piece.set_kind(b'x');
        piece.text((0, 100), "PaxHeaders/entry");
        piece.set_content(data);
        piece.bytes
    }
}

fn padded(size: usize) -> usize {
    size.next_multiple_of(BLOCK)
}

fn number(header: &[u8], (start, length): (usize, usize)) -> usize {
    let text = str::from_utf8(&header[start..start + length]).expect("octal digits");
    let text = text.trim_matches(['\0', ' ']);
    usize::from_str_radix(text, 8).unwrap_or(0)
}
