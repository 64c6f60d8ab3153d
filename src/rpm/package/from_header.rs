//! Reads a package from its header: from a package file, or from the database of a base.

use std::sync::Arc;

use super::{Capability, Dependency, Package};
use crate::diagnose::{Class, Diagnose};
use crate::rpm::evr::{Comparison, Evr, Range};
use crate::rpm::header::Header;
use crate::rpm::tag;

/// `RPMSENSE_MISSINGOK`: a weak dependency in the place where hard ones are, from before rpm 4.12.
const MISSING_OK: u32 = 1 << 19;

/// Why a header does not describe a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// Every package has these.
    #[error("header of `{name}` has no {tag}, or one that is not UTF-8")]
    Missing {
        /// The package's name, as far as it is known.
        name: String,
        /// What is missing.
        tag: &'static str,
    },
    /// The lists of file names do not fit together.
    #[error("header of `{name}`: file {index} names a directory that is not in its list")]
    Directory {
        /// The package's name.
        name: String,
        /// The position of the file.
        index: usize,
    },
}

impl Diagnose for PackageError {
    fn class(&self) -> Class {
        Class::Integrity
    }
}

/// The tags of one kind of dependency: names, versions, flags.
type Tags = [u32; 3];

const PROVIDES: Tags = [tag::PROVIDENAME, tag::PROVIDEVERSION, tag::PROVIDEFLAGS];
const REQUIRES: Tags = [tag::REQUIRENAME, tag::REQUIREVERSION, tag::REQUIREFLAGS];
const CONFLICTS: Tags = [tag::CONFLICTNAME, tag::CONFLICTVERSION, tag::CONFLICTFLAGS];
const OBSOLETES: Tags = [tag::OBSOLETENAME, tag::OBSOLETEVERSION, tag::OBSOLETEFLAGS];
const RECOMMENDS: Tags = [
    tag::RECOMMENDNAME,
    tag::RECOMMENDVERSION,
    tag::RECOMMENDFLAGS,
];
const SUGGESTS: Tags = [tag::SUGGESTNAME, tag::SUGGESTVERSION, tag::SUGGESTFLAGS];
const SUPPLEMENTS: Tags = [
    tag::SUPPLEMENTNAME,
    tag::SUPPLEMENTVERSION,
    tag::SUPPLEMENTFLAGS,
];
const ENHANCES: Tags = [tag::ENHANCENAME, tag::ENHANCEVERSION, tag::ENHANCEFLAGS];

impl Package {
    /// Reads a package from its header, with all its files.
    ///
    /// `rpmlib(...)` requirements are left out: they speak of the installer, and it is for the installer to say
    /// which features it has.
    ///
    /// # Errors
    /// [`PackageError`] if the header names no package or its file lists do not fit together.
    pub fn from_header(header: &Header) -> Result<Self, PackageError> {
        let name = header.name().unwrap_or_default().to_owned();
        let missing = |tag| PackageError::Missing {
            name: name.clone(),
            tag,
        };
        let evr = Evr::new(
            header.epoch().unwrap_or(0),
            header.version().ok_or_else(|| missing("Version"))?,
            header.release().ok_or_else(|| missing("Release"))?,
        );
        if name.is_empty() {
            return Err(missing("Name"));
        }
        // The entries of keys have no architecture.
        let mut package = Self::new(name.as_str(), evr, header.arch().unwrap_or("noarch"));
        package.provides = capabilities(header, PROVIDES)
            .map(|(capability, _)| Arc::new(capability))
            .collect();
        package.obsoletes = capabilities(header, OBSOLETES)
            .map(|(capability, _)| Arc::new(capability))
            .collect();
        package.requires = capabilities(header, REQUIRES)
            .filter(|(capability, flags)| {
                !capability.name.starts_with("rpmlib(") && flags & MISSING_OK == 0
            })
            .map(|(capability, _)| Dependency::new(capability))
            .collect();
        let list = |tags| {
            capabilities(header, tags)
                .map(|(capability, _)| Dependency::new(capability))
                .collect()
        };
        package.conflicts = list(CONFLICTS);
        package.recommends = list(RECOMMENDS);
        package.suggests = list(SUGGESTS);
        package.supplements = list(SUPPLEMENTS);
        package.enhances = list(ENHANCES);
        package.files = files(header, &name)?;
        package.source_rpm = header.string(tag::SOURCERPM).unwrap_or_default().into();
        package.build_time = u64::from(header.u32(tag::BUILDTIME).unwrap_or(0));
        Ok(package)
    }
}

fn capabilities(
    header: &Header,
    [names, versions, flags]: Tags,
) -> impl Iterator<Item = (Capability, u32)> {
    let versions = header.texts(versions);
    let flags = header.u32s(flags);
    header
        .texts(names)
        .into_iter()
        .enumerate()
        .map(move |(index, name)| {
            let flags = flags.get(index).copied().unwrap_or(0);
            let version = versions.get(index).map_or("", |version| version);
            let range = Comparison::from_sense(flags)
                .filter(|_| !version.is_empty())
                .map(|comparison| Range {
                    comparison,
                    evr: Evr::parse(version),
                });
            (
                Capability {
                    name: name.as_ref().into(),
                    range,
                },
                flags,
            )
        })
}

fn files(header: &Header, name: &str) -> Result<Vec<Arc<str>>, PackageError> {
    let old = header.texts(tag::OLDFILENAMES);
    if !old.is_empty() {
        return Ok(old.iter().map(|path| path.as_ref().into()).collect());
    }
    let directories = header.texts(tag::DIRNAMES);
    let indexes = header.u32s(tag::DIRINDEXES);
    header
        .texts(tag::BASENAMES)
        .iter()
        .enumerate()
        .map(|(index, base)| {
            let directory = indexes
                .get(index)
                .and_then(|&at| directories.get(at as usize));
            match directory {
                Some(directory) => Ok(format!("{directory}{base}").into()),
                None => Err(PackageError::Directory {
                    name: name.to_owned(),
                    index,
                }),
            }
        })
        .collect()
}
