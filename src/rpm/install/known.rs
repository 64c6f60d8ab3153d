//! The files that the installed packages of a base own, by where they really are.

use std::collections::BTreeMap;

use super::InstallError;
use super::paths::Resolver;
use crate::layer::LayerPath;
use crate::rpm::entries::{DigestAlgorithm, FileEntry, entries};
use crate::rpm::header::Header;
use crate::rpm::selection::FileState;
use crate::rpm::tag;

/// A file of an installed package.
pub(super) struct Known {
    pub(super) entry: FileEntry,
    pub(super) algorithm: DigestAlgorithm,
    pub(super) package: String,
    /// Whether its package goes away.
    pub(super) is_erased: bool,
    /// Whether it was installed: not documentation left out, not of another colour.
    pub(super) is_normal: bool,
}

/// Files by path; several packages may own one.
pub(super) type KnownFiles = BTreeMap<LayerPath, Vec<Known>>;

/// Lists the files of installed packages.
pub(super) fn known_files<'a>(
    kept: impl IntoIterator<Item = &'a Header>,
    erased: impl IntoIterator<Item = &'a Header>,
    resolver: &mut Resolver<'_>,
) -> Result<KnownFiles, InstallError> {
    let mut known = KnownFiles::new();
    let kept = kept.into_iter().map(|header| (header, false));
    let erased = erased.into_iter().map(|header| (header, true));
    for (header, is_erased) in kept.chain(erased) {
        let list = entries(header)?;
        let states = header
            .entry(tag::FILESTATES)
            .map_or(&[][..], |entry| header.data(entry));
        let package = header.nevra();
        for (index, entry) in list.entries.into_iter().enumerate() {
            let path = resolver.resolve(&entry, &list.directories, &package)?;
            let state = states.get(index).copied();
            known.entry(path).or_default().push(Known {
                entry,
                algorithm: list.algorithm,
                package: package.clone(),
                is_erased,
                is_normal: state.is_none_or(|state| state == FileState::Normal as u8),
            });
        }
    }
    Ok(known)
}
