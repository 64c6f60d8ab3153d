//! Writes tar entries: ustar, with PAX records only where ustar cannot say it.
//!
//! Every byte follows from the entry alone and is fixed by the format. Names of any bytes go into ustar as they
//! are, which every reader tried takes as they are; those too long for it become PAX records, marked
//! `hdrcharset=BINARY` if they are not UTF-8, as POSIX has it.

use super::super::node::Meta;
use super::super::path::{LayerPath, show};
use super::{BLOCK, WHITEOUT_PREFIX, XATTR_PREFIX, is_of_the_host};

/// What comes after the last entry.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// An entry of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a LayerPath,
    pub(crate) meta: &'a Meta,
    pub(crate) body: Body<'a>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    Dir,
    /// With its size in bytes.
    File(u64),
    Link(&'a LayerPath),
    Symlink(&'a [u8]),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    Whiteout,
}

/// Why a node cannot be said in tar, or must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// More than permission bits.
    #[error("{path}: wanted a mode of at most 07777, found {mode:#o}")]
    Mode {
        /// The node.
        path: LayerPath,
        /// Its mode.
        mode: u32,
    },
    /// A device number that ustar has no room for; Linux has none so large.
    #[error("{path}: wanted device numbers of at most 2097151, found {major}:{minor}")]
    Device {
        /// The node.
        path: LayerPath,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// An empty target, or one with a NUL byte.
    #[error("{path}: symbolic link has a target that no file system stores: `{target}`")]
    LinkTarget {
        /// The node.
        path: LayerPath,
        /// Its target.
        target: String,
    },
    /// A name that PAX has no way to write.
    #[error("{path}: extended attribute has a name that tar cannot hold: `{name}`")]
    XattrName {
        /// The node.
        path: LayerPath,
        /// The attribute.
        name: String,
    },
    /// An attribute of the machine that the file came from.
    #[error("{path}: extended attribute `{name}` belongs to a machine, not into an image")]
    XattrOfHost {
        /// The node.
        path: LayerPath,
        /// The attribute.
        name: String,
    },
    /// A name that readers take for a whiteout.
    #[error("{0}: names that start with `.wh.` mean removal in a layer, so no file can have one")]
    ReservedName(LayerPath),
    /// The name of the whiteout would be too long.
    #[error("{0}: name is too long for its removal to be written as `.wh.NAME`")]
    LongWhiteout(LayerPath),
    /// The root is something else than a directory.
    #[error("the root of an image is a directory and cannot be anything else")]
    Root,
}

const NAME: std::ops::Range<usize> = 0..100;
const LINK_NAME: std::ops::Range<usize> = 157..257;
const PREFIX: std::ops::Range<usize> = 345..500;

/// The largest numbers that octal fields of 7 and 11 digits hold.
const MAX_7: u64 = 0o777_7777;
const MAX_11: u64 = 0o777_7777_7777;

/// Appends the header of `entry`, all that comes before its content, to `out`.
pub(crate) fn header(entry: &Entry<'_>, out: &mut Vec<u8>) -> Result<(), EntryError> {
    check(entry)?;
    let Entry { path, meta, body } = entry;
    let name = name(path, body);
    let link: &[u8] = match body {
        Body::Link(target) => target.as_bytes(),
        Body::Symlink(target) => target,
        _ => b"",
    };
    let size = match body {
        Body::File(size) => *size,
        _ => 0,
    };

    let mut block = Block::new(type_flag(body), meta.mode);
    let mut records = Records::default();
    if !block.set_name(&name) {
        records.add_text(b"path", &name);
    }
    if !block.set(LINK_NAME, link) {
        records.add_text(b"linkpath", link);
    }
    for (key, field, value, max) in [
        ("uid", 108, i128::from(meta.uid), MAX_7),
        ("gid", 116, i128::from(meta.gid), MAX_7),
        ("size", 124, i128::from(size), MAX_11),
        ("mtime", 136, i128::from(meta.mtime), MAX_11),
    ] {
        match u64::try_from(value) {
            Ok(value) if value <= max => {
                block.set_octal(field, if max == MAX_7 { 7 } else { 11 }, value)
            }
            _ => records.add(key.as_bytes(), value.to_string().as_bytes()),
        }
    }
    if let Body::CharDevice(major, minor) | Body::BlockDevice(major, minor) = *body {
        block.set_octal(329, 7, u64::from(major));
        block.set_octal(337, 7, u64::from(minor));
    }
    for (name, value) in &meta.xattrs {
        records.add(&[XATTR_PREFIX, name].concat(), value);
    }
    records.write(out);
    out.extend_from_slice(&block.finish());
    Ok(())
}

fn check(entry: &Entry<'_>) -> Result<(), EntryError> {
    let Entry { path, meta, body } = entry;
    let at = || (*path).clone();
    if path.is_root() && !matches!(body, Body::Dir) {
        return Err(EntryError::Root);
    }
    if path.file_name().starts_with(WHITEOUT_PREFIX) {
        return Err(EntryError::ReservedName(at()));
    }
    if meta.mode > 0o7777 {
        return Err(EntryError::Mode {
            path: at(),
            mode: meta.mode,
        });
    }
    match *body {
        Body::Whiteout if path.file_name().len() + WHITEOUT_PREFIX.len() > 255 => {
            return Err(EntryError::LongWhiteout(at()));
        }
        Body::Symlink(target) if target.is_empty() || target.contains(&0) => {
            return Err(EntryError::LinkTarget {
                path: at(),
                target: show(target),
            });
        }
        Body::CharDevice(major, minor) | Body::BlockDevice(major, minor)
            if u64::from(major.max(minor)) > MAX_7 =>
        {
            return Err(EntryError::Device {
                path: at(),
                major,
                minor,
            });
        }
        _ => {}
    }
    for name in meta.xattrs.keys() {
        if name.is_empty() || name.iter().any(|c| matches!(c, 0 | b'=')) {
            return Err(EntryError::XattrName {
                path: at(),
                name: show(name),
            });
        }
        if is_of_the_host(name) {
            return Err(EntryError::XattrOfHost {
                path: at(),
                name: show(name),
            });
        }
    }
    Ok(())
}

/// Returns the name in the archive: directories end in a slash, the root is `./`.
fn name(path: &LayerPath, body: &Body<'_>) -> Vec<u8> {
    let mut name = path.as_bytes().to_vec();
    match body {
        Body::Dir if path.is_root() => name.extend_from_slice(b"./"),
        Body::Dir => name.push(b'/'),
        Body::Whiteout => {
            let start = name.len() - path.file_name().len();
            name.splice(start..start, WHITEOUT_PREFIX.iter().copied());
        }
        _ => {}
    }
    name
}

fn type_flag(body: &Body<'_>) -> u8 {
    match body {
        Body::File(_) | Body::Whiteout => b'0',
        Body::Link(_) => b'1',
        Body::Symlink(_) => b'2',
        Body::CharDevice(..) => b'3',
        Body::BlockDevice(..) => b'4',
        Body::Dir => b'5',
        Body::Fifo => b'6',
    }
}

/// A header block. Numbers are octal digits with leading zeros and a NUL; what is not set is zero.
struct Block([u8; BLOCK]);

impl Block {
    fn new(type_flag: u8, mode: u32) -> Self {
        let mut block = Self([0; BLOCK]);
        block.set_octal(100, 7, u64::from(mode));
        for (field, digits) in [(108, 7), (116, 7), (124, 11), (136, 11), (329, 7), (337, 7)] {
            block.set_octal(field, digits, 0);
        }
        block.0[156] = type_flag;
        block.0[257..265].copy_from_slice(b"ustar\x0000");
        block
    }

    /// Puts `value` into a field, cut off if need be; false if it was.
    fn set(&mut self, field: std::ops::Range<usize>, value: &[u8]) -> bool {
        let field = &mut self.0[field];
        let fits = value.len() <= field.len();
        let value = &value[..value.len().min(field.len())];
        field[..value.len()].copy_from_slice(value);
        fits
    }

    /// Puts a path into name and prefix; false if it does not fit, and is cut off.
    fn set_name(&mut self, name: &[u8]) -> bool {
        if name.len() > NAME.len()
            && let Some(slash) = split(name)
        {
            self.set(PREFIX, &name[..slash]);
            return self.set(NAME, &name[slash + 1..]);
        }
        self.set(NAME, name)
    }

    fn set_octal(&mut self, field: usize, digits: usize, value: u64) {
        let text = format!("{value:0digits$o}");
        self.0[field..field + digits].copy_from_slice(text.as_bytes());
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum = self.0.iter().map(|&byte| u64::from(byte)).sum();
        self.set_octal(148, 6, sum);
        self.0[154] = 0;
        self.0
    }
}

/// Returns the slash at which a long name is split: the last that leaves a prefix that fits, as Go's writer has it.
fn split(name: &[u8]) -> Option<usize> {
    let body = name.strip_suffix(b"/").unwrap_or(name);
    let end = body.len().min(PREFIX.len() + 1);
    let slash = body[..end].iter().rposition(|&c| c == b'/')?;
    (slash > 0 && name.len() - slash - 1 <= NAME.len()).then_some(slash)
}

/// PAX records of one entry. They are written sorted by key, whatever order they are added in.
#[derive(Default)]
struct Records(std::collections::BTreeMap<Vec<u8>, Vec<u8>>);

impl Records {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.0.insert(key.to_vec(), value.to_vec());
    }

    /// Adds a record that is UTF-8 unless the archive says otherwise. `hdrcharset` sorts before all of these.
    fn add_text(&mut self, key: &[u8], value: &[u8]) {
        if str::from_utf8(value).is_err() {
            self.add(b"hdrcharset", b"BINARY");
        }
        self.add(key, value);
    }

    /// Writes the records as an entry of their own, whose name and fields are constant.
    fn write(&self, out: &mut Vec<u8>) {
        if self.0.is_empty() {
            return;
        }
        let mut data = Vec::new();
        for (key, value) in &self.0 {
            push_record(key, value, &mut data);
        }
        let mut block = Block::new(b'x', 0o644);
        block.set(NAME, b"././@PaxHeader");
        block.set_octal(124, 11, data.len() as u64);
        out.extend_from_slice(&block.finish());
        data.resize(data.len().next_multiple_of(BLOCK), 0);
        out.extend_from_slice(&data);
    }
}

/// Appends `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn push_record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        out.extend_from_slice(part);
    }
}
