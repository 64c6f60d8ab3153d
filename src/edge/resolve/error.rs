//! Why a recipe cannot be locked.

use crate::diagnose::{Class, Diagnose};
use crate::edge::base::BaseError;
use crate::edge::fetch::FetchError;
use crate::edge::image_source::ImageSourceError;
use crate::edge::project::ProjectError;
use crate::edge::store::StoreError;
use crate::python::pyproject::PyprojectError;
use crate::python::select::SelectError;
use crate::python::stale::Stale;
use crate::python::uv_lock::UvLockError;
use crate::rpm::database::DatabaseError;
use crate::rpm::effects::UnknownScriptlets;
use crate::rpm::file::FileError;
use crate::rpm::keys::{KeyError, SignatureError};
use crate::rpm::package::PackageError;
use crate::rpm::repodata::RepodataError;
use crate::rpm::repofile::RepoFileError;
use crate::rpm::solve::SolveError;

/// Why a recipe cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The recipe's folder.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The base's reference.
    #[error(transparent)]
    Source(#[from] ImageSourceError),
    /// The base.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// An input cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The cache refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The base's rpm database.
    #[error("the base's rpm database: {0}")]
    Database(#[from] DatabaseError),
    /// The base has none.
    #[error("the base has no rpm database, so nothing can be installed on it")]
    NoDatabase,
    /// A package of the base.
    #[error("the base's rpm database: {0}")]
    Installed(#[from] PackageError),
    /// A `.repo` file or a list of mirrors.
    #[error(transparent)]
    RepoFile(#[from] RepoFileError),
    /// No repository is enabled.
    #[error("the base has no enabled repository under /etc/yum.repos.d")]
    NoRepository,
    /// A repository without an address that imgbuild follows.
    #[error("repository `{0}` has neither baseurl nor mirrorlist")]
    NoAddress(String),
    /// An address that is not one.
    #[error("repository `{repository}`: `{url}` is not an address: {why}")]
    Address {
        /// Which repository.
        repository: String,
        /// What was found.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// Its metadata is malformed.
    #[error("repository `{repository}`: {error}")]
    Metadata {
        /// Which repository.
        repository: String,
        /// What is wrong.
        error: RepodataError,
    },
    /// Its repomd.xml does not name a file that is needed.
    #[error("repository `{repository}`: its repomd.xml names no {kind}")]
    NoMetadata {
        /// Which repository.
        repository: String,
        /// Which type of file.
        kind: String,
    },
    /// A metadata file is not compressed as known.
    #[error("repository `{repository}`: {file}: {source}")]
    Unpack {
        /// Which repository.
        repository: String,
        /// Which file.
        file: String,
        /// What is wrong.
        source: std::io::Error,
    },
    /// Its metadata is not what repomd.xml says.
    #[error("repository `{repository}`: {file} does not match its checksum in repomd.xml")]
    MetadataChecksum {
        /// Which repository.
        repository: String,
        /// Which file.
        file: String,
    },
    /// A key that a repository names.
    #[error("repository `{repository}`: key {key}: {why}")]
    Key {
        /// Which repository.
        repository: String,
        /// Where the key should be.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// A key that cannot be read.
    #[error("key {key}: {error}")]
    KeyFormat {
        /// Where it is.
        key: String,
        /// What is wrong.
        error: KeyError,
    },
    /// A signature that is missing or bad.
    #[error("{what}: {error}")]
    Signature {
        /// A package, or `repomd.xml` of a repository.
        what: String,
        /// What is wrong.
        error: SignatureError,
    },
    /// A repository that promises a signed repomd.xml and has none.
    #[error("repository `{0}` says repo_gpgcheck=1 but publishes no repomd.xml.asc")]
    UnsignedRepository(String),
    /// There is no solution.
    #[error(transparent)]
    Solve(#[from] SolveError),
    /// A package whose metadata gives no SHA-256.
    #[error("{0}: its repository gives no SHA-256 for it, which a lock needs")]
    NoDigest(String),
    /// A package that cannot be opened.
    #[error("{package}: {error}")]
    Package {
        /// Which.
        package: String,
        /// What is wrong.
        error: FileError,
    },
    /// A file that is another package than its repository says.
    #[error("the repository says {wanted}, but the file is {found}")]
    OtherPackage {
        /// What the repository says.
        wanted: String,
        /// What the header says.
        found: String,
    },
    /// Scriptlets that nobody knows.
    #[error(transparent)]
    Scriptlets(#[from] UnknownScriptlets),
    /// The interpreter is in no package.
    #[error("no package of the base or of [runtime] holds {path}")]
    NoInterpreter {
        /// Where it should be.
        path: String,
    },
    /// Without glibc no wheel with machine code fits.
    #[error("the image holds no package called glibc, so it cannot be told which wheels fit")]
    NoGlibc,
    /// A version that is not one.
    #[error("{0}: its version is not one that wheels can be chosen by")]
    OddVersion(String),
    /// A name of the recipe that is not one.
    #[error("{key}: `{name}` is not a name")]
    Name {
        /// The key.
        key: String,
        /// What was found.
        name: String,
    },
    /// `pyproject.toml`.
    #[error(transparent)]
    Pyproject(#[from] PyprojectError),
    /// `uv.lock`.
    #[error(transparent)]
    UvLock(#[from] UvLockError),
    /// It is out of step with `pyproject.toml`.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// What it means for a platform.
    #[error(transparent)]
    Select(#[from] SelectError),
}

impl ResolveError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        Some(match self {
            Self::Project(error) => error,
            Self::Source(error) => error,
            Self::Base(error) => error,
            Self::Fetch(error) => error,
            Self::Store(error) => error,
            Self::Database(error) => error,
            Self::Solve(error) => error,
            Self::Scriptlets(error) => error,
            Self::RepoFile(error) => error,
            Self::Package { error, .. } => error,
            Self::Pyproject(error) => error,
            Self::UvLock(error) => error,
            Self::Stale(error) => error,
            Self::Select(error) => error,
            _ => return None,
        })
    }
}

impl Diagnose for ResolveError {
    fn class(&self) -> Class {
        match self {
            Self::MetadataChecksum { .. }
            | Self::NoMetadata { .. }
            | Self::Unpack { .. }
            | Self::Metadata { .. }
            | Self::Signature { .. }
            | Self::UnsignedRepository(_)
            | Self::KeyFormat { .. }
            | Self::OtherPackage { .. }
            | Self::Installed(_) => Class::Integrity,
            _ => self.inner().map_or(Class::Usage, Diagnose::class),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoInterpreter { path } => {
                let name = path.rsplit('/').next().unwrap_or(path);
                Some(format!("add \"{name}\" to runtime.packages"))
            }
            Self::NoRepository | Self::NoDatabase => {
                Some("choose another base, or spell repositories out under rpm.repositories".to_owned())
            }
            Self::Signature { .. } => Some(
                "do not use it; a repository that is unsigned on purpose is declared in the recipe with gpgcheck = false"
                    .to_owned(),
            ),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}
