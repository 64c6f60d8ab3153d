//! Unpacks the payload of a package into a spool, checking every byte against the header.

mod compression;
mod cpio;
mod error;
mod hash;
mod place;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use self::compression::{Packed, Unpacking};
use self::cpio::{Archive, Record};
pub use self::error::{PayloadError, UnpackError};
use self::hash::AnyHasher;
use self::place::Placing;
use super::entries::{DigestAlgorithm, FileList, FileType, entries};
use super::file::PackageFile;
use super::selection::{FileState, Selection};
use super::tag;
use crate::layer::content::{Location, Packing};
use crate::layer::path::show;
use crate::layer::{Content, Contents, RandomRead};
use crate::oci::digest::hex;

/// Where unpacked files are written, one after the other, until all are there.
///
/// One for each package, so that packages unpack in parallel.
pub trait Spool: Write + Send {
    /// Ends writing and returns what was written, to be read at any offset.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn finish(self: Box<Self>) -> io::Result<Arc<dyn RandomRead>>;
}

impl Spool for Vec<u8> {
    fn finish(self: Box<Self>) -> io::Result<Arc<dyn RandomRead>> {
        Ok(Arc::new(*self))
    }
}

/// What a package may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all its files together.
    pub total: u64,
}

impl Default for Limits {
    /// 16 GiB: larger than any package known.
    fn default() -> Self {
        Self { total: 16 << 30 }
    }
}

/// A package whose files are checked and unpacked.
#[derive(Clone)]
pub struct Unpacked {
    /// The package.
    pub package: PackageFile,
    /// Its files.
    pub files: FileList,
    /// What becomes of each file, in the same order.
    pub states: Vec<FileState>,
    /// The contents of each regular file that is wanted, in the same order.
    pub contents: Vec<Option<Content>>,
    /// Where those contents are.
    pub locations: Contents,
}

impl Unpacked {
    /// Returns `name-[epoch:]version-release.arch`.
    #[must_use]
    pub fn nevra(&self) -> String {
        self.package.nevra()
    }
}

/// Unpacks the files of a package that are wanted, and checks all of them.
///
/// Checked are: the digest of the compressed payload, that archive and header list the same files with the same kinds,
/// sizes and link targets, and the digest of every file.
///
/// # Errors
/// [`UnpackError`] for everything that does not match, and if the spool cannot be written.
pub fn unpack(
    package: &PackageFile,
    blob: &dyn RandomRead,
    selection: &Selection,
    limits: Limits,
    spool: Box<dyn Spool>,
) -> Result<Unpacked, UnpackError> {
    unpack_payload(package, blob, selection, limits, spool).map_err(|problem| UnpackError {
        package: package.nevra(),
        problem,
    })
}

fn unpack_payload(
    package: &PackageFile,
    blob: &dyn RandomRead,
    selection: &Selection,
    limits: Limits,
    mut spool: Box<dyn Spool>,
) -> Result<Unpacked, PayloadError> {
    if package.is_source() {
        return Err(PayloadError::Source);
    }
    let header = package.header();
    match header.string(tag::PAYLOADFORMAT) {
        None | Some("cpio") => {}
        Some(other) => return Err(PayloadError::Format(other.to_owned())),
    }
    let files = entries(header)?;
    let states = selection.states(&files);
    let promised = PromisedDigest::of(package)?;
    let packed = Packed::new(
        blob,
        package.payload_range(),
        promised.as_ref().map(|promise| promise.start(package)),
    );
    let mut placing = Placing::new(&files, &states, limits)?;
    let compressor = header.string(tag::PAYLOADCOMPRESSOR);
    let mut archive = Archive::new(Unpacking::open(compressor, packed)?);
    let mut buffer = vec![0; 64 << 10];
    let by_path: BTreeMap<&[u8], usize> = files
        .entries
        .iter()
        .enumerate()
        .map(|(index, entry)| (entry.raw_path.as_slice(), index))
        .collect();
    while let Some(record) = archive.next()? {
        let (index, size, sum) = match record {
            Record::Named {
                name,
                mode,
                size,
                sum,
            } => {
                let index = find(&by_path, &name)?;
                let entry = &files.entries[index];
                if (mode ^ entry.mode) & 0o170_000 != 0 {
                    return Err(PayloadError::Mode {
                        path: entry.path.clone(),
                        wanted: entry.mode,
                        found: mode,
                    });
                }
                (index, size, sum)
            }
            Record::Stripped { index } => {
                let index = usize::try_from(index)
                    .ok()
                    .filter(|&index| index < files.entries.len())
                    .ok_or_else(|| PayloadError::Unlisted(format!("file number {index}")))?;
                (index, placing.stripped_size(index), None)
            }
        };
        placing.begin(index, size)?;
        match files.entries[index].kind {
            FileType::Symlink => {
                let mut target = Vec::new();
                archive.data(size, &mut buffer, |bytes| {
                    target.extend_from_slice(bytes);
                    Ok(())
                })?;
                placing.check_target(index, &target)?;
            }
            FileType::Regular => {
                let mut file = placing.open(index, size, sum);
                archive.data(size, &mut buffer, |bytes| file.take(bytes, &mut *spool))?;
                placing.close(file)?;
            }
            _ => {}
        }
    }
    archive.expect_end(&mut buffer)?;
    let found = archive.into_inner().finish()?;
    if let (Some(promised), Some(found)) = (promised, found)
        && !promised.digest.eq_ignore_ascii_case(&found)
    {
        return Err(PayloadError::PayloadDigest {
            wanted: promised.digest,
            found,
        });
    }
    let (contents, extents) = placing.finish()?;
    let blob = spool.finish().map_err(PayloadError::Spool)?;
    let mut locations = Contents::default();
    for (content, offset) in extents {
        let location = Location::Extent {
            blob: Arc::clone(&blob),
            offset,
            packed: content.size,
            packing: Packing::Stored,
        };
        locations.add(content.digest, location);
    }
    Ok(Unpacked {
        package: package.clone(),
        files,
        states,
        contents,
        locations,
    })
}

/// Returns which file of the header an archive name means: `./usr/bin/x`, `/usr/bin/x` or `usr/bin/x`.
fn find(by_path: &BTreeMap<&[u8], usize>, name: &[u8]) -> Result<usize, PayloadError> {
    let absolute = name
        .strip_prefix(b".")
        .filter(|rest| rest.starts_with(b"/"));
    let found = match absolute {
        Some(path) => by_path.get(path),
        None if name.starts_with(b"/") => by_path.get(name),
        None => by_path.get([b"/", name].concat().as_slice()),
    };
    found
        .copied()
        .ok_or_else(|| PayloadError::Unlisted(show(name)))
}

/// The digest that a package gives for its payload.
struct PromisedDigest {
    algorithm: DigestAlgorithm,
    digest: String,
    covers_header: bool,
}

impl PromisedDigest {
    /// The signed SHA-256 of the payload; in packages of the time before it, the MD5 of header and payload.
    fn of(package: &PackageFile) -> Result<Option<Self>, PayloadError> {
        let header = package.header();
        if let Some(digest) = header.string(tag::PAYLOADDIGEST) {
            let number = header.u32(tag::PAYLOADDIGESTALGO).unwrap_or(8);
            return Ok(Some(Self {
                algorithm: DigestAlgorithm::from_number(number)
                    .ok_or(PayloadError::Algorithm(number))?,
                digest: digest.to_owned(),
                covers_header: false,
            }));
        }
        let digest = package.signature().binary(tag::signature::MD5);
        Ok(digest.map(|digest| Self {
            algorithm: DigestAlgorithm::Md5,
            digest: hex(digest),
            covers_header: true,
        }))
    }

    fn start(&self, package: &PackageFile) -> AnyHasher {
        let mut hasher = AnyHasher::new(self.algorithm);
        if self.covers_header {
            hasher.update(&package.header_bytes());
        }
        hasher
    }
}
