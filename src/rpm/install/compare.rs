//! Tells whether two packages may both own a file, and what happens to configuration files.

use super::known::Known;
use crate::layer::Node;
use crate::layer::node::Kind;
use crate::rpm::entries::{DigestAlgorithm, FileEntry, FileFlags, FileType};

/// One side of a comparison.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) entry: &'a FileEntry,
    pub(super) algorithm: DigestAlgorithm,
}

impl<'a> From<&'a Known> for Side<'a> {
    fn from(known: &'a Known) -> Self {
        Self {
            entry: &known.entry,
            algorithm: known.algorithm,
        }
    }
}

/// Tells whether both mean the same file: `rpmfilesCompare` in rpm's `lib/rpmfi.c`.
pub(super) fn is_same(a: Side<'_>, b: Side<'_>) -> bool {
    let (one, other) = (a.entry, b.entry);
    if one.flags.has(FileFlags::GHOST) || other.flags.has(FileFlags::GHOST) {
        return true;
    }
    if one.mode != other.mode || one.user != other.user || one.group != other.group {
        return false;
    }
    match one.kind {
        FileType::Symlink => one.target == other.target,
        FileType::Regular => {
            a.algorithm == b.algorithm && one.size == other.size && one.digest == other.digest
        }
        FileType::CharDevice | FileType::BlockDevice => one.rdev == other.rdev,
        FileType::Dir | FileType::Fifo => true,
    }
}

/// The colour that wins where a 32-bit and a 64-bit file share a path: `%_prefer_color` of rpm.
const PREFERRED_COLOR: u32 = 2;

/// Tells whether colours decide between two files; if so, whether the second wins.
pub(super) fn color_decides(first: &FileEntry, second: &FileEntry) -> Option<bool> {
    let (a, b) = (first.color, second.color);
    (a != 0 && b != 0 && a & b == 0 && (a | b) & PREFERRED_COLOR != 0)
        .then_some(b & PREFERRED_COLOR != 0)
}

/// What is done with a file that packages bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It is put in its place.
    Create,
    /// What is there stays.
    Skip,
    /// It is put beside what is there, as `.rpmnew`.
    PutBeside,
    /// It is put in its place, and what was there beside it, with this suffix.
    MoveAside(&'static str),
}

/// Decides about a file that is or was a configuration file: `rpmfilesDecideFate` in rpm's `lib/rpmfi.c`.
///
/// `old` is the file as an installed package has it, `disk` what is really there.
pub(super) fn fate_of_owned(old: Side<'_>, new: Side<'_>, disk: Option<&Node>) -> Action {
    let wanted = new.entry;
    let backup = if wanted.flags.has(FileFlags::NOREPLACE) {
        Action::PutBeside
    } else {
        Action::MoveAside(".rpmsave")
    };
    let Some(disk) = disk else {
        // Removed by whoever made the base.
        return if wanted.flags.has(FileFlags::MISSINGOK) {
            Action::Skip
        } else {
            Action::Create
        };
    };
    let can_be_saved = |kind| matches!(kind, FileType::Regular | FileType::Symlink);
    let was = old.entry.kind;
    let is = kind_of(disk);
    if !can_be_saved(wanted.kind) {
        return Action::Create;
    }
    if is != Some(wanted.kind) && !can_be_saved(was) {
        return backup;
    }
    if wanted.kind != was && is != Some(was) {
        return backup;
    }
    if was != wanted.kind || !can_be_saved(was) {
        return Action::Create;
    }
    let is_unchanged = holds(disk, old);
    let is_new_already = holds(disk, new);
    if is_unchanged || is_new_already {
        return Action::Create;
    }
    let packages_agree = match was {
        FileType::Regular => old.algorithm == new.algorithm && old.entry.digest == wanted.digest,
        _ => old.entry.target == wanted.target,
    };
    if packages_agree { Action::Skip } else { backup }
}

/// Decides about a configuration file that no installed package owns: `rpmfilesConfigConflict`.
pub(super) fn fate_of_unowned(new: Side<'_>, disk: Option<&Node>) -> Action {
    let wanted = new.entry;
    let Some(disk) = disk else {
        return Action::Create;
    };
    let is_config = wanted.flags.has(FileFlags::CONFIG);
    let can_be_saved = matches!(wanted.kind, FileType::Regular | FileType::Symlink);
    if !is_config || !can_be_saved || disk.is_dir() || holds(disk, new) {
        return Action::Create;
    }
    if wanted.flags.has(FileFlags::NOREPLACE) {
        Action::PutBeside
    } else {
        Action::MoveAside(".rpmorig")
    }
}

fn kind_of(node: &Node) -> Option<FileType> {
    Some(match node.kind {
        Kind::Dir => FileType::Dir,
        // A hard link is another name of a regular file.
        Kind::File(_) | Kind::Hardlink(_) => FileType::Regular,
        Kind::Symlink(_) => FileType::Symlink,
        Kind::CharDevice { .. } => FileType::CharDevice,
        Kind::BlockDevice { .. } => FileType::BlockDevice,
        Kind::Fifo => FileType::Fifo,
        Kind::Whiteout => return None,
    })
}

/// Tells whether `disk` is what a package says it is. Digests other than SHA-256 cannot be compared: then it is not.
pub(super) fn holds(disk: &Node, side: Side<'_>) -> bool {
    match &disk.kind {
        Kind::File(content) => {
            side.entry.kind == FileType::Regular
                && side.algorithm == DigestAlgorithm::Sha256
                && side
                    .entry
                    .digest
                    .eq_ignore_ascii_case(&content.digest.hex())
        }
        Kind::Symlink(target) => {
            side.entry.kind == FileType::Symlink && *target == side.entry.target
        }
        _ => false,
    }
}
