//! The files of a package as its header lists them.

mod error;

use std::collections::BTreeMap;

pub use self::error::{EntriesError, PathProblem};

use super::header::Header;
use super::tag;
use crate::layer::LayerPath;
use crate::layer::path::show;

/// What a package says about a file besides its metadata (`%config`, `%doc`, `%ghost`...).
///
/// Source: `rpmfileAttrs_e` in rpm's `include/rpm/rpmfiles.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFlags(pub u32);

impl FileFlags {
    /// `%config`.
    pub const CONFIG: u32 = 1;
    /// `%doc`.
    pub const DOC: u32 = 1 << 1;
    /// `%config(missingok)`.
    pub const MISSINGOK: u32 = 1 << 3;
    /// `%config(noreplace)`.
    pub const NOREPLACE: u32 = 1 << 4;
    /// `%ghost`.
    pub const GHOST: u32 = 1 << 6;
    /// `%license`.
    pub const LICENSE: u32 = 1 << 7;
    /// `%artifact`.
    pub const ARTIFACT: u32 = 1 << 12;

    /// Tells whether all of `flags` are set.
    #[must_use]
    pub fn has(self, flags: u32) -> bool {
        self.0 & flags == flags
    }
}

/// How the digests of a package's files were made.
///
/// Numbers: <https://www.rfc-editor.org/rfc/rfc9580#section-9.5>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the algorithms")]
pub enum DigestAlgorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl DigestAlgorithm {
    /// Returns the algorithm with this OpenPGP number, if it is one that is read.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Md5,
            2 => Self::Sha1,
            8 => Self::Sha256,
            9 => Self::Sha384,
            10 => Self::Sha512,
            11 => Self::Sha224,
            _ => return None,
        })
    }
}

/// What kind of file the mode says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kinds of files of POSIX")]
pub enum FileType {
    Dir,
    Regular,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
}

/// One file of a package, as its header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The path as the header has it, absolute.
    pub raw_path: Vec<u8>,
    /// The same inside an image; not yet resolved through symbolic links.
    pub path: LayerPath,
    /// What kind of file it is.
    pub kind: FileType,
    /// All 16 bits of its mode.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// Seconds since 1970 UTC.
    pub mtime: u32,
    /// Hexadecimal digest of its contents; empty for what is not a regular file.
    pub digest: String,
    /// `%config`, `%doc`, `%ghost` and the like.
    pub flags: FileFlags,
    /// Where a symbolic link points; empty for others.
    pub target: Vec<u8>,
    /// Name of the owner.
    pub user: String,
    /// Name of the group.
    pub group: String,
    /// File capabilities as text, such as `cap_net_raw=ep`; mostly empty.
    pub capabilities: String,
    /// Languages it is for, separated by `|`; mostly empty.
    pub languages: String,
    /// Files with the same number are names of one file; only where there are several.
    pub hardlinks: Option<u32>,
    /// Device number, for devices.
    pub rdev: u32,
    /// 1 for 32-bit ELF files, 2 for 64-bit ones, 0 for others.
    pub color: u32,
    /// Index of its directory in the header's list; files in one directory share it.
    pub dir_index: u32,
}

/// The files of a package and how their digests were made.
#[derive(Clone, Debug)]
pub struct FileList {
    /// In the order of the header, which is that of the database's file states.
    pub entries: Vec<FileEntry>,
    /// The directories that [`FileEntry::dir_index`] counts, as the header has them: with a slash at the end.
    pub directories: Vec<Vec<u8>>,
    /// How the digests were made.
    pub algorithm: DigestAlgorithm,
}

/// A list of one item a file, or none at all.
struct Column<T>(Vec<T>);

impl<T: Clone + Default> Column<T> {
    fn get(&self, index: usize) -> T {
        self.0.get(index).cloned().unwrap_or_default()
    }
}

struct Columns<'a> {
    header: &'a Header,
    count: usize,
}

impl<'a> Columns<'a> {
    fn check<T>(&self, tag: u32, values: Vec<T>, needed: bool) -> Result<Column<T>, EntriesError> {
        if values.len() == self.count || (values.is_empty() && !needed) {
            return Ok(Column(values));
        }
        Err(EntriesError::Count {
            package: self.header.nevra(),
            tag,
            wanted: self.count,
            found: values.len(),
        })
    }

    fn numbers(&self, tag: u32) -> Result<Column<u32>, EntriesError> {
        self.check(tag, self.header.u32s(tag), false)
    }

    fn needed(&self, tag: u32) -> Result<Column<u32>, EntriesError> {
        self.check(tag, self.header.u32s(tag), true)
    }

    fn strings(&self, tag: u32) -> Result<Column<&'a [u8]>, EntriesError> {
        self.check(tag, self.header.strings(tag), false)
    }
}

/// Lists the files of a package as its header describes them.
///
/// # Errors
/// [`EntriesError`] if the header's lists do not fit together or hold impossible paths.
pub fn entries(header: &Header) -> Result<FileList, EntriesError> {
    let package = || header.nevra();
    let names = header.strings(tag::BASENAMES);
    if names.is_empty() && header.contains(tag::OLDFILENAMES) {
        return Err(EntriesError::OldFileNames(package()));
    }
    let number = header
        .u32(tag::FILEDIGESTALGO)
        .filter(|&n| n != 0)
        .unwrap_or(1);
    let algorithm =
        DigestAlgorithm::from_number(number).ok_or_else(|| EntriesError::Algorithm {
            package: package(),
            number,
        })?;
    let columns = Columns {
        header,
        count: names.len(),
    };
    let directories = header.strings(tag::DIRNAMES);
    let dir_indexes = columns.needed(tag::DIRINDEXES)?;
    let modes = columns.needed(tag::FILEMODES)?;
    let sizes = match header.u64s(tag::LONGFILESIZES) {
        long if long.is_empty() => header.u64s(tag::FILESIZES),
        long => long,
    };
    let sizes = columns.check(tag::FILESIZES, sizes, true)?;
    let mtimes = columns.needed(tag::FILEMTIMES)?;
    let flags = columns.numbers(tag::FILEFLAGS)?;
    let rdevs = columns.numbers(tag::FILERDEVS)?;
    let colors = columns.numbers(tag::FILECOLORS)?;
    let inodes = columns.numbers(tag::FILEINODES)?;
    let devices = columns.numbers(tag::FILEDEVICES)?;
    let digests = columns.strings(tag::FILEDIGESTS)?;
    let targets = columns.strings(tag::FILELINKTOS)?;
    let users = columns.strings(tag::FILEUSERNAME)?;
    let groups = columns.strings(tag::FILEGROUPNAME)?;
    let capabilities = columns.strings(tag::FILECAPS)?;
    let languages = columns.strings(tag::FILELANGS)?;

    let mut out: Vec<FileEntry> = Vec::with_capacity(names.len());
    let mut groups_of_links: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let dir_index = dir_indexes.get(index);
        let directory =
            directories
                .get(dir_index as usize)
                .ok_or_else(|| EntriesError::Directory {
                    package: package(),
                    file: show(name),
                    index: dir_index,
                    count: directories.len(),
                })?;
        let raw_path = [*directory, *name].concat();
        let path =
            parse_path(directory, name, &raw_path).map_err(|problem| EntriesError::Path {
                package: package(),
                path: show(&raw_path),
                problem,
            })?;
        let mode = modes.get(index) & 0xffff;
        let kind = file_type(mode).ok_or_else(|| EntriesError::Mode {
            package: package(),
            path: path.clone(),
            mode,
        })?;
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| EntriesError::Text {
                package: package(),
                path: path.clone(),
                found: show(bytes),
            })
        };
        let flags = FileFlags(flags.get(index));
        // As rpmfilesBuildNLink: only regular files that are there can be names of one file.
        if kind == FileType::Regular && !flags.has(FileFlags::GHOST) && inodes.get(index) != 0 {
            groups_of_links
                .entry((devices.get(index), inodes.get(index)))
                .or_default()
                .push(index);
        }
        out.push(FileEntry {
            kind,
            mode,
            size: sizes.get(index),
            mtime: mtimes.get(index),
            digest: text(digests.get(index))?,
            flags,
            target: targets.get(index).to_vec(),
            user: text(users.get(index))?,
            group: text(groups.get(index))?,
            capabilities: text(capabilities.get(index))?,
            languages: text(languages.get(index))?,
            hardlinks: None,
            rdev: rdevs.get(index),
            color: colors.get(index),
            dir_index,
            raw_path,
            path,
        });
    }
    for (number, group) in groups_of_links.values().filter(|g| g.len() > 1).enumerate() {
        for &index in group {
            out[index].hardlinks = u32::try_from(number).ok();
        }
    }
    let mut paths: Vec<&LayerPath> = out.iter().map(|entry| &entry.path).collect();
    paths.sort();
    if let Some(pair) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(EntriesError::Twice {
            package: package(),
            path: pair[0].clone(),
        });
    }
    Ok(FileList {
        entries: out,
        directories: directories.iter().map(|name| name.to_vec()).collect(),
        algorithm,
    })
}

fn parse_path(directory: &[u8], name: &[u8], whole: &[u8]) -> Result<LayerPath, PathProblem> {
    if directory.first() != Some(&b'/') {
        return Err(PathProblem::Relative);
    }
    if name.contains(&b'/') {
        return Err(PathProblem::Slash);
    }
    Ok(LayerPath::parse(whole)?)
}

fn file_type(mode: u32) -> Option<FileType> {
    Some(match mode & 0o170_000 {
        0o040_000 => FileType::Dir,
        0o100_000 => FileType::Regular,
        0o120_000 => FileType::Symlink,
        0o020_000 => FileType::CharDevice,
        0o060_000 => FileType::BlockDevice,
        0o010_000 => FileType::Fifo,
        _ => return None,
    })
}
