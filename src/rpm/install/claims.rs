//! Who wants which path: finds conflicts, and of several packages that hold a file the one that provides it.

use std::collections::{BTreeMap, BTreeSet};

use super::InstallError;
use super::compare::{Action, Side, color_decides, fate_of_owned, fate_of_unowned, is_same};
use super::known::{Known, KnownFiles};
use super::paths::Resolver;
use crate::layer::{LayerPath, Node};
use crate::rpm::entries::{FileFlags, FileType};
use crate::rpm::payload::Unpacked;
use crate::rpm::selection::FileState;

/// A file of a package: which package, which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) package: usize,
    pub(super) file: usize,
}

/// What claims come to.
pub(super) struct Outcome {
    /// Whose file is put at each path; `%ghost` files are not among them.
    pub(super) winners: BTreeMap<LayerPath, Claim>,
    /// All paths that the packages own, `%ghost` files too.
    pub(super) owned: BTreeSet<LayerPath>,
    pub(super) file_states: Vec<Vec<FileState>>,
}

/// Collects claims.
pub(super) struct Claims<'a> {
    packages: &'a [Unpacked],
    outcome: Outcome,
}

impl<'a> Claims<'a> {
    pub(super) fn new(packages: &'a [Unpacked]) -> Self {
        Self {
            packages,
            outcome: Outcome {
                winners: BTreeMap::new(),
                owned: BTreeSet::new(),
                file_states: packages.iter().map(|p| p.states.clone()).collect(),
            },
        }
    }

    pub(super) fn finish(self) -> Outcome {
        self.outcome
    }

    /// Adds the files of one package.
    pub(super) fn add(
        &mut self,
        package: usize,
        resolver: &mut Resolver<'_>,
        known: &KnownFiles,
    ) -> Result<(), InstallError> {
        let unpacked = &self.packages[package];
        let nevra = unpacked.nevra();
        for (file, entry) in unpacked.files.entries.iter().enumerate() {
            let path = resolver.resolve(entry, &unpacked.files.directories, &nevra)?;
            let is_wanted = unpacked.states.get(file) == Some(&FileState::Normal);
            let claim = Claim { package, file };
            if is_wanted && !entry.flags.has(FileFlags::GHOST) {
                let old = known.get(&path).map_or(&[][..], Vec::as_slice);
                if self.beats_installed(claim, &path, old)? {
                    self.compete(claim, path.clone())?;
                }
            }
            self.outcome.owned.insert(path);
        }
        Ok(())
    }

    fn side(&self, claim: Claim) -> Side<'a> {
        side(self.packages, claim)
    }

    /// Tells whether a file is to be placed although packages that stay own its path.
    fn beats_installed(
        &mut self,
        claim: Claim,
        path: &LayerPath,
        old: &[Known],
    ) -> Result<bool, InstallError> {
        let new = self.side(claim);
        for known in old.iter().filter(|k| k.is_normal && !k.is_erased) {
            // A directory where a merged root has a link is the usual way of old packages; the link stays.
            let is_merged =
                new.entry.kind == FileType::Dir && known.entry.kind == FileType::Symlink;
            if is_merged || is_same(known.into(), new) {
                continue;
            }
            match color_decides(&known.entry, new.entry) {
                Some(true) => {}
                Some(false) => {
                    self.set_wrong_color(claim);
                    return Ok(false);
                }
                None => {
                    return Err(InstallError::Conflict {
                        path: path.clone(),
                        first: known.package.clone(),
                        second: self.packages[claim.package].nevra(),
                    });
                }
            }
        }
        Ok(true)
    }

    /// Sets a claim against the one that holds the path so far.
    fn compete(&mut self, claim: Claim, path: LayerPath) -> Result<(), InstallError> {
        let Some(&first) = self.outcome.winners.get(&path) else {
            self.outcome.winners.insert(path, claim);
            return Ok(());
        };
        let (one, other) = (self.side(first), self.side(claim));
        if !is_same(one, other) {
            match color_decides(one.entry, other.entry) {
                Some(true) => self.set_wrong_color(first),
                Some(false) => {
                    self.set_wrong_color(claim);
                    return Ok(());
                }
                None => {
                    return Err(InstallError::Conflict {
                        path,
                        first: self.packages[first.package].nevra(),
                        second: self.packages[claim.package].nevra(),
                    });
                }
            }
        }
        // rpm writes shared files once for each package, so the last one's time stays.
        self.outcome.winners.insert(path, claim);
        Ok(())
    }

    fn set_wrong_color(&mut self, claim: Claim) {
        self.outcome.file_states[claim.package][claim.file] = FileState::WrongColor;
    }
}

pub(super) fn side(packages: &[Unpacked], claim: Claim) -> Side<'_> {
    let files = &packages[claim.package].files;
    Side {
        entry: &files.entries[claim.file],
        algorithm: files.algorithm,
    }
}

/// Decides what is done with a file, given who owned its path and what is there.
pub(super) fn action(new: Side<'_>, old: &[Known], disk: Option<&Node>) -> Action {
    let mut owners = old.iter().filter(|known| known.is_normal).peekable();
    if owners.peek().is_none() {
        return fate_of_unowned(new, disk);
    }
    owners
        .rfind(|known| (known.entry.flags.0 | new.entry.flags.0) & FileFlags::CONFIG != 0)
        .map_or(Action::Create, |known| {
            fate_of_owned(known.into(), new, disk)
        })
}
