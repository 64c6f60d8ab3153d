//! Why an image cannot be built from its inputs.

use std::io;

use crate::accounts::AccountsError;
use crate::diagnose::{Class, Diagnose};
use crate::image::ImageError;
use crate::layer::LayerPath;
use crate::layer::tree::TreeError;
use crate::layer::write::WriteError;
use crate::oci::{Digest, Platform};
use crate::python::tags::WheelNameError;
use crate::python::venv::VenvError;
use crate::python::wheel::WheelError;
use crate::rpm::database::DatabaseError;
use crate::rpm::effects::{EffectsError, UnknownScriptlets};
use crate::rpm::file::FileError;
use crate::rpm::install::InstallError;
use crate::rpm::payload::UnpackError;
use crate::source::SourceError;

/// Why an image cannot be built from its inputs.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A locked input is not at hand.
    #[error("{what} ({digest}) is not in the cache")]
    Missing {
        /// Which.
        what: String,
        /// Its digest.
        digest: Digest,
    },
    /// A locked RPM is another package than the lock says.
    #[error("the lock says {locked}, but the file is {found}")]
    OtherPackage {
        /// What the lock says.
        locked: String,
        /// What the header says.
        found: String,
    },
    /// A package that the lock erases is not in the base.
    #[error("the lock erases {0}, but the base does not hold it")]
    NotInBase(String),
    /// A package cannot be opened.
    #[error("{package}: {error}")]
    Open {
        /// Which.
        package: String,
        /// What is wrong.
        error: FileError,
    },
    /// A package's payload.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// Its files do not fit the image.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The rpm database.
    #[error("the rpm database: {0}")]
    Database(#[from] DatabaseError),
    /// What scriptlets do.
    #[error(transparent)]
    Effects(#[from] EffectsError),
    /// A scriptlet that nobody knows.
    #[error(transparent)]
    Scriptlets(#[from] UnknownScriptlets),
    /// A scriptlet that nobody reviewed.
    #[error("{package}: the lock does not list its scriptlet {scriptlet}")]
    NewScriptlet {
        /// Whose.
        package: String,
        /// Which.
        scriptlet: String,
    },
    /// A scriptlet that this imgbuild would treat otherwise than the lock says.
    #[error("scriptlet {scriptlet}: the lock says `{locked}`, but this imgbuild does `{found}`")]
    OtherEffect {
        /// Which.
        scriptlet: String,
        /// What the lock says.
        locked: String,
        /// What would be done.
        found: String,
    },
    /// Users and groups.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// A wheel's name.
    #[error(transparent)]
    WheelName(#[from] WheelNameError),
    /// A wheel.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// The virtual environment.
    #[error(transparent)]
    Venv(#[from] VenvError),
    /// The lock has wheels but no interpreter.
    #[error("the lock names no Python interpreter for {0}")]
    NoInterpreter(Platform),
    /// The source tree.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A path of the recipe.
    #[error("{0}")]
    Path(String),
    /// A file or link where the image has a folder.
    #[error("{0} is a folder in the image, and what goes there is not")]
    OverFolder(LayerPath),
    /// Paths do not fit the base.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A layer cannot be written.
    #[error("layer `{layer}`: {error}")]
    Write {
        /// Which.
        layer: String,
        /// What is wrong.
        error: Box<WriteError>,
    },
    /// Where a layer goes refuses.
    #[error("layer `{layer}`: cannot write it: {source}")]
    Sink {
        /// Which.
        layer: String,
        /// What the system says.
        source: io::Error,
    },
    /// A temporary file cannot be made.
    #[error("cannot make a temporary file in the cache: {0}")]
    Spool(#[source] io::Error),
    /// Documents cannot be put together.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl BuildError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        Some(match self {
            Self::Open { error, .. } => error,
            Self::Unpack(error) => error,
            Self::Install(error) => error,
            Self::Database(error) => error,
            Self::Effects(error) => error,
            Self::Scriptlets(error) => error,
            Self::Accounts(error) => error,
            Self::Wheel(error) => error,
            Self::Venv(error) => error,
            Self::Source(error) => error,
            Self::Write { error, .. } => &**error,
            Self::Image(error) => error,
            _ => return None,
        })
    }
}

impl Diagnose for BuildError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. } => Class::Unavailable,
            Self::OtherPackage { .. }
            | Self::NotInBase(_)
            | Self::NewScriptlet { .. }
            | Self::WheelName(_) => Class::Integrity,
            Self::OtherEffect { .. } => Class::Format,
            _ => self.inner().map_or(Class::Usage, Diagnose::class),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("run without --offline".to_owned()),
            // `imgbuild lock` alone would find the lock up to date.
            Self::NoInterpreter(_)
            | Self::OtherPackage { .. }
            | Self::NotInBase(_)
            | Self::NewScriptlet { .. } => Some(
                "the lock was changed by hand: restore it from version control, or delete it and run `imgbuild lock`"
                    .to_owned(),
            ),
            // Its package may be one of the base's, which no lock names.
            Self::OtherEffect { .. } => Some(
                "use the imgbuild that made the lock, or run `imgbuild lock RECIPE --update rpm` and review what changed"
                    .to_owned(),
            ),
            Self::OverFolder(_) => Some(
                "end `to` with `/` to put a file into that folder, or choose another path".to_owned(),
            ),
            Self::Sink { .. } | Self::Spool(_) => {
                Some("check the space with `df -h`, or use another --cache-dir".to_owned())
            }
            // Inputs were checked when they were fetched, sources when they were listed: these bytes changed since.
            _ => self.inner().and_then(Diagnose::hint).or_else(|| {
                (self.class() == Class::Integrity).then(|| {
                    "a file of the cache or of the source tree was changed: build again with another --cache-dir"
                        .to_owned()
                })
            }),
        }
    }
}
