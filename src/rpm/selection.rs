//! Chooses which files of a package are installed: documentation, languages, colours.
//!
//! The rules are those of `skipInstallFiles` in rpm's `lib/transaction.c`.

use super::entries::{FileEntry, FileFlags, FileList, FileType};

/// What became of a file of an installed package: rpm's FILESTATES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FileState {
    /// Installed; also `%ghost` files, which are not there.
    Normal = 0,
    /// Replaced by a file of another package.
    Replaced = 1,
    /// Left out: documentation, another language.
    NotInstalled = 2,
    /// On a path that is shared over a network; never written here.
    NetShared = 3,
    /// For another architecture of a multilib system.
    WrongColor = 4,
}

/// Which files are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Whether `%doc` files are.
    pub docs: bool,
    /// Files of these languages are, and those of none; all if there is no list. `%_install_langs` of rpm.
    pub languages: Option<Vec<String>>,
    /// Files of these colours are, and those of none; all if 0. `%_transaction_color` of rpm.
    pub color: u32,
}

impl Default for Selection {
    /// Everything but documentation.
    fn default() -> Self {
        Self {
            docs: false,
            languages: None,
            color: 0,
        }
    }
}

impl Selection {
    fn state_of(&self, entry: &FileEntry) -> FileState {
        let is_other_color = self.color != 0 && entry.color != 0 && self.color & entry.color == 0;
        let is_other_language = self.languages.as_ref().is_some_and(|wanted| {
            !entry.languages.is_empty()
                && !entry
                    .languages
                    .split('|')
                    .any(|language| wanted.iter().any(|one| one == language))
        });
        if is_other_color {
            FileState::WrongColor
        } else if is_other_language || (!self.docs && entry.flags.has(FileFlags::DOC)) {
            FileState::NotInstalled
        } else {
            FileState::Normal
        }
    }

    /// Returns the state that each file will have, in the order of the list.
    ///
    /// A directory whose files were all left out is left out with them, as rpm does.
    #[must_use]
    pub fn states(&self, files: &FileList) -> Vec<FileState> {
        let mut states: Vec<_> = files.entries.iter().map(|e| self.state_of(e)).collect();
        // Files kept and files left out, for each directory.
        let mut kept = vec![0_usize; files.directories.len()];
        let mut dropped = vec![false; files.directories.len()];
        for (entry, state) in files.entries.iter().zip(&states) {
            let at = entry.dir_index as usize;
            match state {
                FileState::Normal => kept[at] += 1,
                _ => dropped[at] = true,
            }
        }
        // From the last directory to the first: a directory that is left out may leave its parent empty in turn.
        for (at, directory) in files.directories.iter().enumerate().rev() {
            if kept[at] > 0 || !dropped[at] {
                continue;
            }
            let own = directory.strip_suffix(b"/").unwrap_or(directory);
            let found = files
                .entries
                .iter()
                .position(|entry| entry.kind == FileType::Dir && entry.raw_path.as_slice() == own);
            if let Some(index) = found.filter(|&index| states[index] == FileState::Normal) {
                states[index] = FileState::NotInstalled;
                let parent = files.entries[index].dir_index as usize;
                kept[parent] -= 1;
                dropped[parent] = true;
            }
        }
        states
    }
}
