//! Reads a wheel: metadata, RECORD, entry points, and the files it installs.

mod files;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use pep440_rs::Version;

use super::metadata::Headers;
use files::Reader;

use super::record::{RecordError, Recorded, Row};
use super::scripts::{self, EntryPoint, EntryPointError, PLACEHOLDER};
use super::tags::WheelName;
use super::zip::{Archive, Limits, Member, ZipError};
use crate::diagnose::{Class, Diagnose};
use crate::layer::{Content, Contents, RandomRead};
use crate::oci::Digest;

/// A wheel whose metadata has been read and found consistent; its files are unpacked only when they are written.
///
/// <https://packaging.python.org/en/latest/specifications/binary-distribution-format/>
#[derive(Clone)]
pub struct Wheel {
    name: WheelName,
    dist_info: String,
    purity: Purity,
    files: Vec<WheelFile>,
    folders: Vec<(Category, String)>,
    entry_points: Vec<EntryPoint>,
    archive: Archive,
    digests: Vec<(Member, Recorded)>,
}

/// Whether the files of a wheel are the same on every processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purity {
    /// Python and data: one layer serves all processors.
    Pure,
    /// Machine code.
    Native,
}

/// Where a file of a wheel goes ("Installing a wheel", and the `.data` directory).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// site-packages: the root of the wheel, `purelib` and `platlib`, which are one folder in a venv.
    Library,
    /// C headers, for extensions that are built against the package.
    Headers,
    /// Commands.
    Scripts,
    /// The root of the venv.
    Data,
}

/// A file that a wheel installs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WheelFile {
    /// Where it goes.
    pub category: Category,
    /// Its path there.
    pub path: String,
    /// Whether it has an execute bit; no other bit of a wheel's modes counts.
    pub executable: bool,
    /// Its digest and size.
    pub content: Content,
    /// Its line in RECORD, with the path inside the wheel.
    pub row: Row,
    /// Its bytes, if it is a script that waits for the path of the interpreter.
    pub placeholder: Option<Vec<u8>>,
}

/// A wheel and why it is refused.
#[derive(Debug, thiserror::Error)]
#[error("{wheel}: {fault}")]
pub struct WheelError {
    /// The name of the file.
    pub wheel: String,
    /// What is wrong with it.
    #[source]
    pub fault: WheelFault,
}

/// Why a wheel is refused.
#[derive(Debug, thiserror::Error)]
pub enum WheelFault {
    /// Not an archive that is read.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// RECORD cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The entry points cannot be read.
    #[error(transparent)]
    EntryPoint(#[from] EntryPointError),
    /// There must be one folder of metadata.
    #[error("holds {} .dist-info folders ({}): wanted one", .0.len(), .0.join(", "))]
    DistInfo(Vec<String>),
    /// The folder of metadata is of another package.
    #[error("its metadata is in `{found}`: wanted that of {wanted}")]
    DistInfoName {
        /// The folder.
        found: String,
        /// The name and version that the file name says.
        wanted: String,
    },
    /// A file that every wheel has is missing.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A file of metadata is not text.
    #[error("`{0}` is not UTF-8")]
    NotText(String),
    /// A field of metadata is missing or differs from the file name.
    #[error("{file} says {field} `{found}`: wanted `{wanted}`")]
    Field {
        /// The file.
        file: &'static str,
        /// The field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What the file name says.
        wanted: String,
    },
    /// The format is newer than what is known.
    #[error("has Wheel-Version `{found}`: wanted 1.x")]
    WheelVersion {
        /// The version it has.
        found: String,
    },
    /// RECORD does not list a file.
    #[error("{0}: not listed in RECORD")]
    Unrecorded(String),
    /// RECORD lists a file that is not there.
    #[error("{0}: listed in RECORD, but not in the wheel")]
    Ghost(String),
    /// RECORD has two different lines for a file.
    #[error("{0}: listed in RECORD twice with different digests")]
    TwoRows(String),
    /// RECORD gives no digest.
    #[error("{0}: RECORD gives no digest of it")]
    Unhashed(String),
    /// The size is not the one in RECORD.
    #[error("{file}: expected {recorded} bytes by RECORD, got {found}")]
    Size {
        /// The file.
        file: String,
        /// What RECORD says.
        recorded: u64,
        /// What the archive says.
        found: u64,
    },
    /// The bytes do not have the digest in RECORD.
    #[error("{file}: expected {recorded} by RECORD, got {found}")]
    Digest {
        /// The file.
        file: String,
        /// What RECORD says.
        recorded: String,
        /// What the bytes have.
        found: Digest,
    },
    /// A folder in `.data` that is no category.
    #[error("{0}: wanted purelib, platlib, headers, scripts or data in the .data folder")]
    Category(String),
    /// A folder among the scripts.
    #[error("{0}: scripts cannot be in folders")]
    ScriptFolder(String),
}

impl Diagnose for WheelError {
    fn class(&self) -> Class {
        match &self.fault {
            WheelFault::Zip(error) => error.class(),
            WheelFault::WheelVersion { .. } => Class::Usage,
            _ => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match &self.fault {
            WheelFault::WheelVersion { .. } => Some("update imgbuild".to_owned()),
            WheelFault::Zip(ZipError::Read(_)) => None,
            _ => Some(
                "the wheel is broken as published: take another version, and tell its authors"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Debug for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("name", &self.name)
            .field("purity", &self.purity)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Wheel {
    /// Writes the name and version of the package.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name.name(), self.name.version())
    }
}

/// Files of `.dist-info` that installers write and no wheel should bring, and signatures of the RECORD as it was
/// shipped, which an installed RECORD cannot match.
const DROPPED: [&str; 5] = [
    "INSTALLER",
    "REQUESTED",
    "direct_url.json",
    "RECORD.jws",
    "RECORD.p7s",
];

impl Wheel {
    /// Reads the wheel in `blob`, whose file name is `name`.
    ///
    /// Every file must be in RECORD with its size and a strong digest. The digests themselves are checked when the
    /// files are written, or by [`Wheel::verify`]; only those of files whose bytes matter here are checked at once.
    ///
    /// # Errors
    /// [`WheelError`] if it is not a sound wheel of that name.
    pub fn read(name: WheelName, blob: Arc<dyn RandomRead>) -> Result<Self, WheelError> {
        Self::open(&name, blob).map_err(|fault| WheelError {
            wheel: name.to_string(),
            fault,
        })
    }

    fn open(name: &WheelName, blob: Arc<dyn RandomRead>) -> Result<Self, WheelFault> {
        let archive = Archive::open(blob, Limits::default())?;
        let dist_info = find_dist_info(&archive, name)?;
        let reader = Reader::new(&archive, &dist_info)?;
        // "Installing a wheel", 1.a to 1.c.
        let wheel = Headers::parse(&reader.text("WHEEL")?);
        let version = wheel.first("Wheel-Version").unwrap_or_default();
        if version.split('.').next() != Some("1") {
            return Err(WheelFault::WheelVersion {
                found: version.to_owned(),
            });
        }
        check_metadata(&Headers::parse(&reader.text("METADATA")?), name)?;
        let entry_points = match reader.text("entry_points.txt") {
            Ok(text) => scripts::parse(&text)?,
            Err(WheelFault::Missing(_)) => Vec::new(),
            Err(fault) => return Err(fault),
        };
        let is_purelib = wheel
            .first("Root-Is-Purelib")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let (files, digests) = reader.files(&entry_points)?;
        let is_native = |(member, _): &(Member, _)| is_library(&member.name);
        let is_pure = is_purelib && name.is_for_any_platform() && !digests.iter().any(is_native);
        Ok(Self {
            name: name.clone(),
            purity: if is_pure {
                Purity::Pure
            } else {
                Purity::Native
            },
            files,
            folders: files::folders(&archive, &dist_info),
            entry_points,
            archive,
            dist_info,
            digests,
        })
    }

    /// Returns its file name, which says what it is of.
    #[must_use]
    pub fn name(&self) -> &WheelName {
        &self.name
    }

    /// Returns the name of its folder of metadata, as it is spelled.
    #[must_use]
    pub fn dist_info(&self) -> &str {
        &self.dist_info
    }

    /// Tells whether its files are the same on every processor.
    #[must_use]
    pub fn purity(&self) -> Purity {
        self.purity
    }

    /// Returns the files it installs, without RECORD, sorted by their path in the wheel.
    #[must_use]
    pub fn files(&self) -> &[WheelFile] {
        &self.files
    }

    /// Returns the folders it lists, some of which may be empty, with where they go.
    #[must_use]
    pub fn folders(&self) -> &[(Category, String)] {
        &self.folders
    }

    /// Returns the commands it declares, sorted by name.
    #[must_use]
    pub fn entry_points(&self) -> &[EntryPoint] {
        &self.entry_points
    }

    /// Adds where the bytes of its files are.
    pub fn add_contents(&self, contents: &mut Contents) {
        let members = self.archive.members();
        for file in &self.files {
            // Both are sorted by the name in the wheel.
            let at = members.binary_search_by(|member| member.name.as_str().cmp(&file.row.path));
            if let Some(member) = at.ok().and_then(|at| members.get(at)) {
                contents.add(file.content.digest, self.archive.location(member));
            }
        }
    }

    /// Unpacks every file and checks its CRC and the digest in RECORD.
    ///
    /// # Errors
    /// [`WheelError`] naming the first file that is not as RECORD says.
    pub fn verify(&self) -> Result<(), WheelError> {
        self.digests
            .iter()
            .try_for_each(|(member, recorded)| check(&self.archive, member, recorded).map(drop))
            .map_err(|fault| WheelError {
                wheel: self.name.to_string(),
                fault,
            })
    }
}

/// Reads `member` and checks it against RECORD.
fn check(archive: &Archive, member: &Member, recorded: &Recorded) -> Result<Vec<u8>, WheelFault> {
    let bytes = archive.read(member)?;
    if !recorded.matches(&bytes) {
        return Err(WheelFault::Digest {
            file: member.name.clone(),
            recorded: recorded.to_string(),
            found: Digest::of(&bytes),
        });
    }
    Ok(bytes)
}

/// Tells whether a file is a shared library by its name: `x.so`, `x.cpython-311-x86_64-linux-gnu.so`, `x.so.1.2`.
fn is_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".so") || name.contains(".so.")
}

/// Finds the one folder of metadata and checks whose it is; spelling may differ from that of the file name.
fn find_dist_info(archive: &Archive, name: &WheelName) -> Result<String, WheelFault> {
    let folders = archive.members().iter().filter_map(|member| {
        let (folder, _) = member.name.split_once('/')?;
        folder.ends_with(".dist-info").then(|| folder.to_owned())
    });
    let folders: BTreeSet<_> = folders.collect();
    let folders: Vec<_> = folders.into_iter().collect();
    let [found] = &folders[..] else {
        return Err(WheelFault::DistInfo(folders));
    };
    let stem = found.strip_suffix(".dist-info").unwrap_or(found);
    let is_same = stem.split_once('-').is_some_and(|(of, version)| {
        of.parse()
            .is_ok_and(|of: pep508_rs::PackageName| of == *name.name())
            && version.parse().is_ok_and(|it| is_same_version(name, &it))
    });
    if !is_same {
        return Err(WheelFault::DistInfoName {
            found: found.clone(),
            wanted: format!("{} {}", name.name(), name.version()),
        });
    }
    Ok(found.clone())
}

/// Tells whether `inner` is the version of the file name, which may add a local part: `1.0+cpu` holds `1.0`.
fn is_same_version(name: &WheelName, inner: &Version) -> bool {
    let outer = name.version();
    outer == inner || (!inner.is_local() && outer.clone().without_local() == *inner)
}

fn check_metadata(metadata: &Headers, name: &WheelName) -> Result<(), WheelFault> {
    let field = |field| metadata.first(field).unwrap_or_default().to_owned();
    let differs = |field, found, wanted: &dyn fmt::Display| WheelFault::Field {
        file: "METADATA",
        field,
        found,
        wanted: wanted.to_string(),
    };
    let found = field("Name");
    if found.parse().ok().as_ref() != Some(name.name()) {
        return Err(differs("Name", found, name.name()));
    }
    let found = field("Version");
    if !found
        .parse()
        .is_ok_and(|version| is_same_version(name, &version))
    {
        return Err(differs("Version", found, name.version()));
    }
    Ok(())
}
