//! Stores the merged index of a base, so that a base is read once.
//!
//! ```text
//! "imgbuild tree\n" | version | number of nodes | nodes in order of their paths | SHA-256 of all before
//! ```
//! A path is written as how many bytes it shares with the one before, and the rest. Numbers are LEB128. This is a
//! cache of ours: another version of it is an error that is answered by reading the base again.

use std::collections::BTreeMap;

use super::content::Content;
use super::node::{Kind, Meta, Node};
use super::path::LayerPath;
use super::tree::Tree;
use crate::diagnose::{Class, Diagnose};
use crate::oci::Digest;

const MAGIC: &[u8] = b"imgbuild tree\n";
const VERSION: u64 = 1;

/// Why bytes are not an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Something else altogether.
    #[error("not an index of a tree")]
    Magic,
    /// Written by another imgbuild.
    #[error("index of a tree has version {found}, wanted {VERSION}")]
    Version {
        /// What it has.
        found: u64,
    },
    /// Damaged or cut short.
    #[error("index of a tree: expected {wanted}, got {found}")]
    Checksum {
        /// What it says it hashes to.
        wanted: Digest,
        /// What it hashes to.
        found: Digest,
    },
    /// It hashes to what it says, but nothing that [`encode`] writes looks like this.
    #[error("index of a tree is malformed {left} bytes before its end")]
    Malformed {
        /// How far from the end, in bytes.
        left: usize,
    },
}

impl Diagnose for IndexError {
    fn class(&self) -> Class {
        match self {
            Self::Version { .. } => Class::Format,
            _ => Class::Integrity,
        }
    }
}

/// Writes `tree`.
#[must_use]
pub fn encode(tree: &Tree) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put_number(&mut out, VERSION);
    put_number(&mut out, tree.len() as u64);
    let mut last: &[u8] = b"";
    for (path, node) in tree.iter() {
        let path = path.as_bytes();
        let shared = last.iter().zip(path).take_while(|(a, b)| a == b).count();
        put_number(&mut out, shared as u64);
        put_bytes(&mut out, &path[shared..]);
        put_node(&mut out, node);
        last = path;
    }
    let digest = Digest::of(&out);
    out.extend_from_slice(digest.raw());
    out
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`IndexError`] for anything else: a damaged index is never a wrong tree.
pub fn decode(bytes: &[u8]) -> Result<Tree, IndexError> {
    if !bytes.starts_with(MAGIC) {
        return Err(IndexError::Magic);
    }
    let Some((body, wanted)) = bytes.split_last_chunk::<32>() else {
        return Err(IndexError::Malformed { left: 0 });
    };
    let (wanted, found) = (Digest::from_raw(*wanted), Digest::of(body));
    if wanted != found {
        return Err(IndexError::Checksum { wanted, found });
    }
    let mut input = Input(body.get(MAGIC.len()..).unwrap_or_default());
    match input.number() {
        Some(VERSION) => {}
        Some(found) => return Err(IndexError::Version { found }),
        None => return Err(input.malformed()),
    }
    let tree = input.tree();
    tree.filter(|_| input.0.is_empty())
        .ok_or_else(|| input.malformed())
}

fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_node(out: &mut Vec<u8>, Node { kind, meta }: &Node) {
    match kind {
        Kind::Dir => out.push(0),
        Kind::File(content) => {
            out.push(1);
            out.extend_from_slice(content.digest.raw());
            put_number(out, content.size);
        }
        Kind::Symlink(target) => {
            out.push(2);
            put_bytes(out, target);
        }
        Kind::Hardlink(target) => {
            out.push(3);
            put_bytes(out, target.as_bytes());
        }
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            out.push(if matches!(kind, Kind::CharDevice { .. }) {
                4
            } else {
                5
            });
            put_number(out, u64::from(*major));
            put_number(out, u64::from(*minor));
        }
        Kind::Fifo => out.push(6),
        Kind::Whiteout => out.push(7),
    }
    put_number(out, u64::from(meta.mode));
    put_number(out, u64::from(meta.uid));
    put_number(out, u64::from(meta.gid));
    // Zigzag: small numbers of either sign are short.
    put_number(out, (meta.mtime << 1 ^ meta.mtime >> 63) as u64);
    put_number(out, meta.xattrs.len() as u64);
    for (name, value) in &meta.xattrs {
        put_bytes(out, name);
        put_bytes(out, value);
    }
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn malformed(&self) -> IndexError {
        IndexError::Malformed { left: self.0.len() }
    }

    fn tree(&mut self) -> Option<Tree> {
        let count = self.number()?;
        let mut tree = Tree::default();
        let mut last = Vec::new();
        for at in 0..count {
            let shared = usize::try_from(self.number()?).ok()?;
            let rest = self.bytes()?;
            let path = [last.get(..shared)?, rest].concat();
            // In order, so that no node takes the place of another.
            if at > 0 && path <= last {
                return None;
            }
            tree.insert(path_of(&path)?, self.node()?);
            last = path;
        }
        Some(tree)
    }

    fn node(&mut self) -> Option<Node> {
        let kind = match self.take(1)?[0] {
            0 => Kind::Dir,
            1 => {
                let (raw, _) = self.take(32)?.split_first_chunk::<32>()?;
                Kind::File(Content {
                    digest: Digest::from_raw(*raw),
                    size: self.number()?,
                })
            }
            2 => Kind::Symlink(self.bytes()?.to_vec()),
            3 => Kind::Hardlink(path_of(self.bytes()?)?),
            4 => Kind::CharDevice {
                major: self.small()?,
                minor: self.small()?,
            },
            5 => Kind::BlockDevice {
                major: self.small()?,
                minor: self.small()?,
            },
            6 => Kind::Fifo,
            7 => Kind::Whiteout,
            _ => return None,
        };
        let (mode, uid, gid) = (self.small()?, self.small()?, self.small()?);
        let mtime = self.number()?;
        let mtime = (mtime >> 1) as i64 ^ -((mtime & 1) as i64);
        let mut xattrs = BTreeMap::new();
        for _ in 0..self.number()? {
            xattrs.insert(self.bytes()?.to_vec(), self.bytes()?.to_vec());
        }
        let meta = Meta {
            mode,
            uid,
            gid,
            mtime,
            xattrs,
        };
        Some(Node { kind, meta })
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let part = u64::from(byte & 0x7f);
            value |= part.checked_shl(shift).filter(|v| v >> shift == part)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.take(len)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Reads a path, which must be normal already.
fn path_of(bytes: &[u8]) -> Option<LayerPath> {
    LayerPath::parse(bytes)
        .ok()
        .filter(|path| path.as_bytes() == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::generated;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_index_is_read_as_it_was_written(tree in generated::any_tree()) {
            prop_assert_eq!(decode(&encode(&tree)), Ok(tree));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut index = [MAGIC, &[1], &bytes].concat();
            let digest = Digest::of(&index);
            index.extend_from_slice(digest.raw());
            let _ = decode(&index);
        }
    }

    fn example() -> Vec<u8> {
        let path = |text: &str| LayerPath::parse(text).expect(text);
        let tree: Tree = [
            (path("usr"), Node::made_dir()),
            (path("usr/a"), Node::made_file(Content::of(b"x"), 0o644)),
            (path("usr/b"), Node::made_symlink("a")),
        ]
        .into_iter()
        .collect();
        encode(&tree)
    }

    #[test]
    fn any_flipped_bit_is_an_error() {
        let index = example();
        for bit in 0..index.len() * 8 {
            let mut damaged = index.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit} was flipped unnoticed");
        }
    }

    #[test]
    fn any_cut_is_an_error() {
        let index = example();
        for len in 0..index.len() {
            assert!(decode(&index[..len]).is_err(), "cut to {len} unnoticed");
        }
        assert!(decode(&[&index[..], b"\0"].concat()).is_err());
    }

    #[test]
    fn another_version_is_named() {
        let mut index = MAGIC.to_vec();
        index.push(2);
        let digest = Digest::of(&index);
        index.extend_from_slice(digest.raw());
        assert_eq!(decode(&index), Err(IndexError::Version { found: 2 }));
    }
}
