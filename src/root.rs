//! The merged root of a base image: every entry, and the contents of the few files that decide how to build on it.

use std::collections::BTreeMap;

use crate::diagnose::{Class, Diagnose};
use crate::layer::index::{self, IndexError};
use crate::layer::{Kind, LayerPath, Tree};
use crate::oci::Digest;
use crate::rpm::database::{self, Database, DatabaseError};
use crate::rpm::effects;

/// The merged root of a base image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// Every entry.
    pub tree: Tree,
    /// The contents that were kept, by digest; see [`keep`].
    pub files: BTreeMap<Digest, Vec<u8>>,
}

/// Below these, contents are kept: accounts, repositories, keys, the loader's configuration, the rpm database.
const KEPT_BELOW: [&str; 6] = [
    "etc",
    "usr/lib/sysimage/rpm",
    "usr/lib/sysusers.d",
    "usr/share/dnf5/repos.d",
    "usr/share/distribution-gpg-keys",
    "var/lib/rpm",
];

/// And these, wherever they are.
const KEPT_FILES: [&str; 1] = ["usr/lib/os-release"];

/// Larger files are not kept, whatever they are: 512 MiB, far above any rpm database.
const LARGEST_KEPT: u64 = 512 << 20;

/// Tells whether the contents of `path` are kept while a base is read.
#[must_use]
pub fn keep(path: &LayerPath, size: u64) -> bool {
    let below = |folder: &&str| {
        let folder = folder.as_bytes();
        path.as_bytes()
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with(b"/"))
    };
    size <= LARGEST_KEPT
        && (effects::reads(path)
            || KEPT_BELOW.iter().any(below) || KEPT_FILES.iter().any(|file| file.as_bytes() == path.as_bytes())
            // The database of distributions that keep it elsewhere is found by its name.
            || path.file_name() == b"rpmdb.sqlite")
}

impl Root {
    /// Returns the contents of the file at `path`, following links; none if it is absent or was not kept.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<&[u8]> {
        let path = LayerPath::parse(path).ok()?;
        let path = self.tree.resolve(&path).ok()?;
        self.read_node(&path)
    }

    /// Returns the contents of the file at exactly `path`.
    #[must_use]
    pub fn read_node(&self, path: &LayerPath) -> Option<&[u8]> {
        match &self.tree.get(path)?.kind {
            Kind::File(content) => self.files.get(&content.digest).map(Vec::as_slice),
            // The tree's links lead to files, never to other links.
            Kind::Hardlink(first) => match &self.tree.get(first)?.kind {
                Kind::File(content) => self.files.get(&content.digest).map(Vec::as_slice),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the files in the folder at `folder`, following links, by name and contents, sorted by name.
    #[must_use]
    pub fn read_folder(&self, folder: &str) -> Vec<(LayerPath, &[u8])> {
        let Some(folder) = LayerPath::parse(folder)
            .ok()
            .and_then(|path| self.tree.resolve(&path).ok())
        else {
            return Vec::new();
        };
        let inside = self
            .tree
            .within(&folder)
            .filter(|(path, _)| path.parent().as_ref() == Some(&folder));
        inside
            .filter_map(|(path, _)| {
                let target = self.tree.resolve(path).ok()?;
                Some((path.clone(), self.read_node(&target)?))
            })
            .collect()
    }

    /// Returns the folder that holds the rpm database, links followed; none if there is no database.
    #[must_use]
    pub fn rpm_folder(&self) -> Option<LayerPath> {
        database::FOLDERS.into_iter().find_map(|folder| {
            let folder = self.tree.resolve(&LayerPath::parse(folder).ok()?).ok()?;
            let names = database::OLD_MAINS.into_iter().chain([database::MAIN]);
            let mut files = names.filter_map(|name| folder.join(name).ok());
            files
                .any(|file| self.tree.get(&file).is_some())
                .then_some(folder)
        })
    }

    /// Reads the rpm database, its log included; none if there is no database.
    ///
    /// # Errors
    /// [`DatabaseError`] if it is malformed, or of a kind that is recognised and not read.
    pub fn rpm_database(&self) -> Result<Option<Database>, DatabaseError> {
        let Some(folder) = self.rpm_folder() else {
            return Ok(None);
        };
        let file = |name: &str| {
            folder
                .join(name)
                .ok()
                .and_then(|path| self.read_node(&path))
        };
        let main = file(database::MAIN).or_else(|| database::OLD_MAINS.into_iter().find_map(file));
        database::read(main.unwrap_or_default(), file(database::LOG)).map(Some)
    }

    /// Returns the root as bytes, to be kept and read again by [`Root::decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let tree = index::encode(&self.tree);
        let mut out = (tree.len() as u64).to_le_bytes().to_vec();
        out.extend(tree);
        for (digest, bytes) in &self.files {
            out.extend(digest.raw());
            out.extend((bytes.len() as u64).to_le_bytes());
            out.extend(bytes);
        }
        out
    }

    /// Reads what [`Root::encode`] wrote; every content is checked against its digest.
    ///
    /// # Errors
    /// [`RootError`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, RootError> {
        let mut rest = bytes;
        let length = take_length(&mut rest)?;
        let tree = index::decode(take(&mut rest, length)?)?;
        let mut files = BTreeMap::new();
        while !rest.is_empty() {
            let raw: [u8; 32] = take(&mut rest, 32)?
                .try_into()
                .expect("32 bytes were taken");
            let length = take_length(&mut rest)?;
            let content = take(&mut rest, length)?;
            let digest = Digest::from_raw(raw);
            if Digest::of(content) != digest {
                return Err(RootError::Malformed);
            }
            files.insert(digest, content.to_vec());
        }
        Ok(Self { tree, files })
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], RootError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(RootError::Malformed)?;
    *rest = left;
    Ok(taken)
}

fn take_length(rest: &mut &[u8]) -> Result<usize, RootError> {
    let raw = take(rest, 8)?.try_into().expect("8 bytes were taken");
    usize::try_from(u64::from_le_bytes(raw)).map_err(|_| RootError::Malformed)
}

/// Why bytes are not a stored root.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The tree within is not one.
    #[error("the stored index of the base is malformed: {0}")]
    Index(#[from] IndexError),
    /// Lengths or digests do not fit.
    #[error("the stored index of the base is malformed")]
    Malformed,
}

impl Diagnose for RootError {
    fn class(&self) -> Class {
        Class::Integrity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Content, Node};

    fn sample() -> Root {
        let mut root = Root::default();
        let path = |text: &str| LayerPath::parse(text).expect(text);
        root.tree.insert(
            path("usr/lib/os-release"),
            Node::made_file(Content::of(b"ID=x"), 0o644),
        );
        root.tree.insert(
            path("etc/os-release"),
            Node::made_symlink("../usr/lib/os-release"),
        );
        root.tree.insert(
            path("etc/dnf/vars/a"),
            Node::made_file(Content::of(b"1"), 0o644),
        );
        root.files.insert(Digest::of(b"ID=x"), b"ID=x".to_vec());
        root.files.insert(Digest::of(b"1"), b"1".to_vec());
        root
    }

    #[test]
    fn files_are_read_through_links() {
        let root = sample();
        assert_eq!(root.read("/etc/os-release"), Some(&b"ID=x"[..]));
        assert_eq!(root.read("/etc/none"), None);
        assert_eq!(root.read_folder("/etc/dnf/vars").len(), 1);
    }

    #[test]
    fn a_stored_root_is_read_back_or_refused() {
        let root = sample();
        let bytes = root.encode();
        assert_eq!(Root::decode(&bytes).expect("as written"), root);
        for cut in 0..bytes.len() {
            assert!(
                Root::decode(&bytes[..cut]).map_or(true, |part| part != root),
                "cut at {cut}"
            );
        }
    }
}
