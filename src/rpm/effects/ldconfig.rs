//! An `/etc/ld.so.cache` equal to the one ldconfig would write, and the links it would make.
//!
//! As `search_dir` of glibc's `elf/ldconfig.c`. The bytes of the base's libraries are not at hand, so what ldconfig
//! would read in them is taken from the base's own cache.

use std::collections::BTreeMap;

use super::elf::{self, Machine};
use super::ldcache::{Cache, CacheEntry, CacheError, compare};
use super::ldconf::{self, Directory};
use super::overlay::{Overlay, OverlayError};
use crate::layer::node::Kind;
use crate::layer::tree::Stacked;
use crate::layer::{LayerPath, Tree};

const CACHE: &str = "/etc/ld.so.cache";

/// Why no cache is written. Libraries in `/lib64` and `/usr/lib64` are found without one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCache {
    /// The base has libraries but no cache that would say which.
    #[error("the base has no /etc/ld.so.cache")]
    NoneInBase,
    /// The base's cache is of another format.
    #[error("the base's {0}")]
    Base(#[from] CacheError),
    /// A directory of the base counts now that did not when its cache was written.
    #[error("{0} is in the base, but not in its /etc/ld.so.cache")]
    NotCached(LayerPath),
}

/// A library found in a directory.
struct Found {
    name: Vec<u8>,
    is_link: bool,
    library: Known,
}

/// What ldconfig would read in a library.
#[derive(Clone)]
struct Known {
    soname: Option<Vec<u8>>,
    flags: i32,
    os_version: u32,
    isa_level: u32,
}

/// Writes the cache and makes the links; tells why not, if the base does not allow it.
///
/// # Errors
/// [`OverlayError`] if a library of a package cannot be read.
pub fn ldconfig(
    overlay: &mut Overlay<'_>,
    machine: Machine,
) -> Result<Option<NoCache>, OverlayError> {
    let nothing = Tree::default();
    let base = Stacked {
        lower: overlay.root().lower,
        upper: &nothing,
    };
    let base_cache = match overlay.read(CACHE)? {
        None => return Ok(Some(NoCache::NoneInBase)),
        Some(bytes) => match Cache::parse(&bytes) {
            Ok(cache) => cache,
            Err(error) => return Ok(Some(error.into())),
        },
    };
    let cached = cached_directories(&base_cache);
    let configured = ldconf::configured(overlay)?;
    let directories = ldconf::directories(overlay.root(), &configured, &cached);
    let scan = Scan {
        machine,
        // glibc 2.36 stopped writing it.
        has_os_version: version(&base_cache).is_some_and(|version| version < (2, 36)),
        known: known(base, &base_cache),
        covered: ldconf::directories(base, &ldconf::configured(&overlay.base())?, &cached),
    };
    let mut cache = Cache {
        entries: Vec::new(),
        generator: base_cache.generator,
    };
    for directory in &directories {
        let found = match scan.directory(overlay, directory)? {
            Ok(found) => found,
            Err(reason) => return Ok(Some(reason)),
        };
        remove_stale_links(overlay, directory)?;
        for (soname, found) in found {
            if !found.is_link && directory.hwcaps.is_none() {
                link(overlay, directory, &found.name, &soname)?;
            }
            let file = match directory.hwcaps {
                None => &soname,
                Some(_) => &found.name,
            };
            let path = [directory.path.as_bytes(), file].join(&b"/"[..]);
            cache.entries.push(CacheEntry {
                path,
                name: soname,
                flags: found.library.flags,
                os_version: found.library.os_version,
                hwcaps: directory
                    .hwcaps
                    .clone()
                    .map(|name| (name, found.library.isa_level)),
                legacy_hwcap: 0,
            });
        }
    }
    cache.sort();
    if let Some(bytes) = cache.bytes() {
        overlay.write(CACHE, bytes, 0o644)?;
    }
    Ok(None)
}

struct Scan {
    machine: Machine,
    has_os_version: bool,
    /// By the file a library really is.
    known: BTreeMap<LayerPath, Known>,
    /// Directories that the base's cache was made from: what it does not name there is no library.
    covered: Vec<Directory>,
}

impl Scan {
    /// Finds the libraries of one directory, by the name they are looked for.
    fn directory(
        &self,
        overlay: &Overlay<'_>,
        directory: &Directory,
    ) -> Result<Result<BTreeMap<Vec<u8>, Found>, NoCache>, OverlayError> {
        let root = overlay.root();
        let mut all: BTreeMap<Vec<u8>, Found> = BTreeMap::new();
        for (name, node) in ldconf::children(root, &directory.real) {
            if !is_library_name(&name) {
                continue;
            }
            let Some(file) = file_of(root, &directory.real, &name) else {
                continue;
            };
            let Some(Kind::File(content)) = root.get(&file).map(|node| &node.kind) else {
                continue;
            };
            let library = if root.upper.get(&file).is_some() {
                elf::read(&overlay.content(&file, content)?)
                    .filter(|library| library.machine == self.machine)
                    .map(|library| Known {
                        soname: library.soname,
                        flags: library.machine.flags(),
                        os_version: if self.has_os_version {
                            library.os_version
                        } else {
                            0
                        },
                        isa_level: library.isa_level,
                    })
            } else if let Some(known) = self.known.get(&file) {
                Some(known.clone())
            } else if self.covered.iter().any(|base| base.real == directory.real) {
                None
            } else {
                return Ok(Err(NoCache::NotCached(file)));
            };
            let Some(library) = library else {
                continue;
            };
            let mut soname = library.soname.clone().unwrap_or_else(|| name.clone());
            let mut is_link = matches!(node.kind, Kind::Symlink(_));
            // A link counts as one if it is the soname itself, or `libx.so` for ld; others count as files.
            if is_link && name != soname {
                is_link = name.ends_with(b".so") && soname.starts_with(&name);
            }
            if is_link {
                soname.clone_from(&name);
            }
            let found = Found {
                name,
                is_link,
                library,
            };
            match all.get_mut(&soname) {
                None => {
                    all.insert(soname, found);
                }
                Some(old)
                    if (!found.is_link && old.is_link)
                        || (found.is_link == old.is_link
                            && compare(&old.name, &found.name).is_lt()) =>
                {
                    *old = found;
                }
                Some(_) => {}
            }
        }
        Ok(Ok(all))
    }
}

/// Tells whether ldconfig looks at a file of this name.
fn is_library_name(name: &[u8]) -> bool {
    let has_so = name.windows(3).any(|part| part == b".so");
    let by_prelink = name.windows(10).any(|part| part == b".#prelink#");
    (name.starts_with(b"lib") || name.starts_with(b"ld-")) && has_so && !by_prelink
}

/// Returns the file that a name in a directory leads to, links and hard links followed.
fn file_of(root: Stacked<'_>, directory: &LayerPath, name: &[u8]) -> Option<LayerPath> {
    let at = root.resolve(&directory.join(name).ok()?).ok()?;
    match &root.get(&at)?.kind {
        Kind::Hardlink(first) => Some(first.clone()),
        _ => Some(at),
    }
}

/// Returns what the base's cache says of its libraries, by file.
fn known(base: Stacked<'_>, cache: &Cache) -> BTreeMap<LayerPath, Known> {
    let mut known: BTreeMap<LayerPath, Known> = BTreeMap::new();
    for entry in &cache.entries {
        let Some(file) = LayerPath::parse(&entry.path)
            .ok()
            .and_then(|path| file_of(base, &LayerPath::root(), path.as_bytes()))
        else {
            continue;
        };
        let new = Known {
            soname: Some(entry.name.clone()),
            flags: entry.flags,
            os_version: entry.os_version,
            isa_level: entry.hwcaps.as_ref().map_or(0, |(_, level)| *level),
        };
        // A file is also cached under its link for ld, `libx.so`, which is the shorter name.
        let length = |known: &Known| known.soname.as_ref().map_or(0, Vec::len);
        match known.get_mut(&file) {
            Some(old) if length(old) >= length(&new) => {}
            Some(old) => *old = new,
            None => {
                known.insert(file, new);
            }
        }
    }
    known
}

/// Returns the directories of a cache's entries, in the order they first appear, without those of `glibc-hwcaps`.
fn cached_directories(cache: &Cache) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for entry in cache.entries.iter().filter(|entry| entry.hwcaps.is_none()) {
        let path = String::from_utf8_lossy(&entry.path);
        if let Some((directory, _)) = path.rsplit_once('/')
            && !directory.is_empty()
            && !found.iter().any(|other| other == directory)
        {
            found.push(directory.to_owned());
        }
    }
    found
}

/// Returns the version of glibc that wrote a cache.
fn version(cache: &Cache) -> Option<(u32, u32)> {
    let text = String::from_utf8_lossy(cache.generator.as_deref()?).into_owned();
    let (_, version) = text.rsplit_once("version ")?;
    let (major, minor) = version.split_once('.')?;
    let minor: String = minor.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Removes links to libraries that are not there, as `search_dir` does.
fn remove_stale_links(
    overlay: &mut Overlay<'_>,
    directory: &Directory,
) -> Result<(), OverlayError> {
    let root = overlay.root();
    let mut stale = Vec::new();
    for (name, node) in ldconf::children(root, &directory.real) {
        let is_link = matches!(node.kind, Kind::Symlink(_));
        let is_versioned = name.windows(4).any(|part| part == b".so.");
        if is_link && is_versioned && is_library_name(&name) {
            let there = file_of(root, &directory.real, &name).is_some();
            stale.extend(directory.real.join(&name).ok().filter(|_| !there));
        }
    }
    stale
        .into_iter()
        .try_for_each(|path| overlay.remove_at(path))
}

/// Makes the link from the soname to the library, as `create_links`.
fn link(
    overlay: &mut Overlay<'_>,
    directory: &Directory,
    name: &[u8],
    soname: &[u8],
) -> Result<(), OverlayError> {
    let root = overlay.root();
    let Ok(at) = directory.real.join(soname) else {
        return Ok(());
    };
    // A soname with slashes would lead elsewhere.
    if soname.contains(&b'/') || at.parent().as_ref() != Some(&directory.real) {
        return Ok(());
    }
    let is_same = file_of(root, &directory.real, soname) == file_of(root, &directory.real, name)
        && file_of(root, &directory.real, name).is_some();
    let in_the_way = root
        .get(&at)
        .is_some_and(|node| !matches!(node.kind, Kind::Symlink(_)));
    if is_same || in_the_way {
        return Ok(());
    }
    overlay.symlink_at(at, name)
}
