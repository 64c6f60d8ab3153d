//! Keeps account of the files of a payload: which came, what they hold, where they were written.

use std::io::Write;

use super::error::PayloadError;
use super::hash::AnyHasher;
use super::{FileState, Limits};
use crate::layer::Content;
use crate::layer::path::show;
use crate::oci::Hasher;
use crate::rpm::entries::{DigestAlgorithm, FileEntry, FileFlags, FileList, FileType};

/// A regular file with all its names.
struct Group {
    /// Its names, as indexes of the header.
    members: Vec<usize>,
    /// Its contents, once they came, and their digest as the header makes it.
    content: Option<(Content, String)>,
    is_wanted: bool,
}

/// The account.
pub(super) struct Placing<'a> {
    files: &'a FileList,
    seen: Vec<bool>,
    groups: Vec<Group>,
    /// For each file of the header, its group; only regular files have one.
    group_of: Vec<Option<usize>>,
    written: u64,
    extents: Vec<(Content, u64)>,
}

/// A file whose bytes are arriving.
pub(super) struct Arriving {
    index: usize,
    hasher: Hasher,
    /// The header's own digest, where it is not SHA-256.
    other: Option<AnyHasher>,
    wanted_sum: Option<u32>,
    sum: u32,
    is_kept: bool,
    is_data: bool,
}

impl Arriving {
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        spool: &mut (dyn Write + Send),
    ) -> Result<(), PayloadError> {
        self.hasher.update(bytes);
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
        if self.wanted_sum.is_some() {
            for &byte in bytes {
                self.sum = self.sum.wrapping_add(u32::from(byte));
            }
        }
        if self.is_kept {
            spool.write_all(bytes).map_err(PayloadError::Spool)?;
        }
        Ok(())
    }
}

/// Tells whether a payload must hold this file.
fn is_packed(entry: &FileEntry) -> bool {
    !entry.flags.has(FileFlags::GHOST)
}

impl<'a> Placing<'a> {
    pub(super) fn new(
        files: &'a FileList,
        states: &[FileState],
        limits: Limits,
    ) -> Result<Self, PayloadError> {
        let mut groups: Vec<Group> = Vec::new();
        let mut group_of = vec![None; files.entries.len()];
        let mut group_of_links: Vec<Option<usize>> = Vec::new();
        let mut total: u64 = 0;
        for (index, entry) in files.entries.iter().enumerate() {
            if entry.kind != FileType::Regular || !is_packed(entry) {
                continue;
            }
            let links = entry.hardlinks.map(|number| number as usize);
            let known = links.and_then(|number| group_of_links.get(number).copied().flatten());
            let at = known.unwrap_or(groups.len());
            if known.is_none() {
                groups.push(Group {
                    members: Vec::new(),
                    content: None,
                    is_wanted: false,
                });
                total = total.saturating_add(entry.size);
                if let Some(number) = links {
                    group_of_links.resize(group_of_links.len().max(number + 1), None);
                    group_of_links[number] = Some(at);
                }
            }
            groups[at].members.push(index);
            groups[at].is_wanted |= states[index] == FileState::Normal;
            group_of[index] = Some(at);
        }
        if total > limits.total {
            return Err(PayloadError::TooLarge {
                found: total,
                limit: limits.total,
            });
        }
        Ok(Self {
            files,
            seen: vec![false; files.entries.len()],
            groups,
            group_of,
            written: 0,
            extents: Vec::new(),
        })
    }

    fn entry(&self, index: usize) -> &'a FileEntry {
        &self.files.entries[index]
    }

    fn group(&self, index: usize) -> Option<&Group> {
        self.group_of[index].map(|at| &self.groups[at])
    }

    /// Returns how many bytes follow a stripped record: of several names of a file, the last has them.
    pub(super) fn stripped_size(&self, index: usize) -> u64 {
        let entry = self.entry(index);
        match entry.kind {
            FileType::Symlink => entry.target.len() as u64,
            FileType::Regular => match self.group(index) {
                Some(group) if group.members.last() != Some(&index) => 0,
                _ => entry.size,
            },
            _ => 0,
        }
    }

    /// Notes that file `index` is in the archive with `size` bytes.
    pub(super) fn begin(&mut self, index: usize, size: u64) -> Result<(), PayloadError> {
        let entry = self.entry(index);
        if std::mem::replace(&mut self.seen[index], true) {
            return Err(PayloadError::Twice(entry.path.clone()));
        }
        let wanted = match entry.kind {
            FileType::Regular => {
                let has_other_names = self.group(index).is_some_and(|g| g.members.len() > 1);
                if has_other_names && size == 0 {
                    0
                } else {
                    entry.size
                }
            }
            FileType::Symlink => entry.target.len() as u64,
            _ => 0,
        };
        if size != wanted {
            return Err(PayloadError::Size {
                path: entry.path.clone(),
                wanted,
                found: size,
            });
        }
        Ok(())
    }

    /// Checks the target of a symbolic link.
    pub(super) fn check_target(&self, index: usize, target: &[u8]) -> Result<(), PayloadError> {
        let entry = self.entry(index);
        if entry.target == target {
            return Ok(());
        }
        Err(PayloadError::Target {
            path: entry.path.clone(),
            wanted: show(&entry.target),
            found: show(target),
        })
    }

    /// Begins a regular file; one of several names without data has nothing to keep.
    pub(super) fn open(&self, index: usize, size: u64, sum: Option<u32>) -> Arriving {
        let algorithm = self.files.algorithm;
        let is_data = size == self.entry(index).size;
        let is_kept = is_data
            && self
                .group(index)
                .is_some_and(|group| group.is_wanted && group.content.is_none());
        Arriving {
            index,
            hasher: Hasher::default(),
            other: (algorithm != DigestAlgorithm::Sha256).then(|| AnyHasher::new(algorithm)),
            wanted_sum: sum,
            sum: 0,
            is_kept,
            is_data,
        }
    }

    /// Ends a regular file and checks what came.
    pub(super) fn close(&mut self, file: Arriving) -> Result<(), PayloadError> {
        let entry = self.entry(file.index);
        let (digest, size) = file.hasher.finish();
        if let Some(wanted) = file.wanted_sum.filter(|&wanted| wanted != file.sum) {
            return Err(PayloadError::Sum {
                path: entry.path.clone(),
                wanted,
                found: file.sum,
            });
        }
        if !file.is_data {
            return Ok(());
        }
        let content = Content { digest, size };
        let found = file.other.map_or_else(|| digest.hex(), AnyHasher::finish);
        check_digest(entry, &found)?;
        if file.is_kept {
            self.extents.push((content, self.written));
            self.written += size;
        }
        if let Some(at) = self.group_of[file.index] {
            self.groups[at].content.get_or_insert((content, found));
        }
        Ok(())
    }

    /// Checks that nothing is missing; returns the contents of each file, and where they were written.
    #[expect(clippy::type_complexity, reason = "both are taken apart at once")]
    pub(super) fn finish(
        self,
    ) -> Result<(Vec<Option<Content>>, Vec<(Content, u64)>), PayloadError> {
        let unseen = self
            .files
            .entries
            .iter()
            .zip(&self.seen)
            .find(|(entry, seen)| is_packed(entry) && !**seen);
        if let Some((entry, _)) = unseen {
            return Err(PayloadError::Missing(entry.path.clone()));
        }
        let mut contents = vec![None; self.files.entries.len()];
        for group in &self.groups {
            for &index in &group.members {
                let entry = self.entry(index);
                // All names came, but the data with none of them.
                let Some((content, found)) = &group.content else {
                    return Err(PayloadError::Missing(entry.path.clone()));
                };
                if content.size != entry.size {
                    return Err(PayloadError::Size {
                        path: entry.path.clone(),
                        wanted: entry.size,
                        found: content.size,
                    });
                }
                check_digest(entry, found)?;
                if group.is_wanted {
                    contents[index] = Some(*content);
                }
            }
        }
        Ok((contents, self.extents))
    }
}

fn check_digest(entry: &FileEntry, found: &str) -> Result<(), PayloadError> {
    // An empty file may have none.
    let is_missing = entry.digest.is_empty() && entry.size == 0;
    if is_missing || entry.digest.eq_ignore_ascii_case(found) {
        return Ok(());
    }
    Err(PayloadError::Digest {
        path: entry.path.clone(),
        wanted: entry.digest.clone(),
        found: found.to_owned(),
    })
}
