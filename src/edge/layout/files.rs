//! The files of an image on disk, by name: in a folder or in an archive.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::error::LayoutError;
use super::tar_index::{self, Member};
use crate::edge::disk::DiskError;
use crate::edge::store::FileBlob;

/// How many links lead to a file at most.
const LINKS: usize = 8;

/// The files of an image on disk.
pub(super) enum Files {
    /// In a folder.
    Folder(PathBuf),
    /// In a tar file.
    Archive {
        /// The tar file, for messages.
        path: PathBuf,
        /// Where in it they are.
        members: BTreeMap<String, Member>,
    },
}

impl Files {
    /// Looks into a folder or archive.
    pub(super) fn open(path: &Path) -> Result<Self, LayoutError> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let archive = FileBlob::open(path).map_err(DiskError::at("open the image", path))?;
        let members = tar_index::index(&archive, path).map_err(|error| match error {
            LayoutError::Tar {
                offset: 0,
                why,
                path,
            } => LayoutError::NotAnImage {
                path,
                why: format!("it is neither an OCI layout nor an archive: {why}"),
            },
            error => error,
        })?;
        Ok(Self::Archive {
            path: path.to_owned(),
            members,
        })
    }

    /// Returns the folder or archive.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive { path, .. } => path,
        }
    }

    /// Returns a file, if it is there.
    pub(super) fn get(&self, name: &str) -> Result<Option<FileBlob>, LayoutError> {
        match self {
            Self::Folder(path) => {
                let path = path.join(name);
                match FileBlob::open(&path) {
                    Ok(blob) => Ok(Some(blob)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(DiskError::at("read", &path)(error).into()),
                }
            }
            Self::Archive { members, .. } => {
                let mut name = name;
                for _ in 0..LINKS {
                    match members.get(name) {
                        Some(Member::File(blob)) => return Ok(Some(blob.clone())),
                        Some(Member::Link(to)) => name = to,
                        None => return Ok(None),
                    }
                }
                Ok(None)
            }
        }
    }

    /// Returns the bytes of a document, if it is there.
    pub(super) fn document(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, LayoutError> {
        let Some(blob) = self.get(name)? else {
            return Ok(None);
        };
        if blob.len() > limit {
            let (path, size) = (self.path().to_owned(), blob.len());
            return Err(LayoutError::TooLarge {
                path,
                what: name.to_owned(),
                size,
                limit,
            });
        }
        Ok(Some(
            blob.read_all(limit)
                .map_err(DiskError::at("read", self.path()))?,
        ))
    }
}
