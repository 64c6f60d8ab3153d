//! A package as metadata or a header describes it: name, version, architecture, dependencies.

mod checksum;
mod from_header;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::rpm::evr::{Evr, Range};
use crate::rpm::rich::{self, Rich};

pub use checksum::{Checksum, ChecksumError};
pub use from_header::PackageError;

/// A package's full name, such as `shadow-utils-2:4.9-12.amzn2023.0.4.x86_64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nevra {
    /// The name.
    pub name: Arc<str>,
    /// Epoch, version and release.
    pub evr: Evr,
    /// The architecture, or `noarch`.
    pub arch: Arc<str>,
}

/// Why a string is not a full package name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a full package name: wanted `name-[epoch:]version-release.arch`")]
pub struct NevraError(pub String);

impl FromStr for Nevra {
    type Err = NevraError;

    fn from_str(text: &str) -> Result<Self, NevraError> {
        let split = || {
            let (rest, arch) = text.rsplit_once('.')?;
            let (rest, release) = rest.rsplit_once('-')?;
            let (name, version) = rest.rsplit_once('-')?;
            let whole = [name, version, release, arch].iter().all(|part| {
                !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c == '/')
            });
            let evr = Evr::parse(&format!("{version}-{release}"));
            (whole && !evr.version.is_empty()).then(|| Self {
                name: name.into(),
                evr,
                arch: arch.into(),
            })
        };
        split().ok_or_else(|| NevraError(text.to_owned()))
    }
}

impl fmt::Display for Nevra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.{}", self.name, self.evr, self.arch)
    }
}

/// A name with the versions meant: what one package provides and another requires.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    /// A package name, a soname such as `libc.so.6()(64bit)`, a path, or any other text.
    pub name: Arc<str>,
    /// The versions; none means all.
    pub range: Option<Range>,
}

impl Capability {
    /// Returns the capability of any version of `name`.
    #[must_use]
    pub fn any(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            range: None,
        }
    }

    /// Tells whether this provide answers `wanted`; one without version answers every version, as in rpm and libsolv.
    #[must_use]
    pub fn answers(&self, wanted: &Self) -> bool {
        self.name == wanted.name
            && match (&self.range, &wanted.range) {
                (_, None) | (None, _) => true,
                (Some(provided), Some(range)) => provided.overlaps(range),
            }
    }

    /// Tells whether it names a path, which files answer too.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.name.starts_with('/')
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.range {
            Some(range) => write!(f, " {range}"),
            None => Ok(()),
        }
    }
}

/// What a package requires, recommends, or conflicts with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependency {
    /// One capability.
    Plain(Arc<Capability>),
    /// A boolean expression over capabilities.
    Rich(Arc<Rich>),
}

impl Dependency {
    /// Reads a dependency's name as metadata and headers hold it.
    ///
    /// An expression that does not parse becomes a capability of that very text, which nothing provides: as in
    /// libsolv, one malformed package then cannot be installed, and the others can.
    #[must_use]
    pub fn new(capability: Capability) -> Self {
        if capability.name.starts_with('(')
            && let Ok(expression) = rich::parse(&capability.name)
        {
            return Self::Rich(Arc::new(expression));
        }
        Self::Plain(Arc::new(capability))
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(capability) => capability.fmt(f),
            Self::Rich(expression) => expression.fmt(f),
        }
    }
}

/// A package: what the solver needs to choose it, and what the lock needs to pin it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The name.
    pub name: Arc<str>,
    /// Epoch, version and release.
    pub evr: Evr,
    /// The architecture, or `noarch`.
    pub arch: Arc<str>,
    /// What it answers; its own name and version are among them.
    pub provides: Vec<Arc<Capability>>,
    /// What it needs.
    pub requires: Vec<Dependency>,
    /// What it cannot be installed beside; never itself.
    pub conflicts: Vec<Dependency>,
    /// The packages it takes the place of, by name.
    pub obsoletes: Vec<Arc<Capability>>,
    /// What should come with it when weak dependencies are asked for.
    pub recommends: Vec<Dependency>,
    /// What is preferred when something must be chosen.
    pub suggests: Vec<Dependency>,
    /// It should come when these are fulfilled.
    pub supplements: Vec<Dependency>,
    /// It is preferred when these are fulfilled.
    pub enhances: Vec<Dependency>,
    /// The absolute paths known: all of an installed package, of an available one those that primary.xml lists
    /// and those added by `repodata::add_files`.
    pub files: Vec<Arc<str>>,
    /// What the package file hashes to; none for installed packages.
    pub checksum: Option<Checksum>,
    /// The size of the package file in bytes; 0 for installed packages.
    pub size: u64,
    /// Where the package file is, relative to its repository unless it is an absolute URL; may climb with `..`.
    pub location: Arc<str>,
    /// The `xml:base` that replaces the repository's URL for this package, if given.
    pub location_base: Option<Arc<str>>,
    /// The name of the source package file.
    pub source_rpm: Arc<str>,
    /// When it was built, in seconds since 1970 UTC.
    pub build_time: u64,
    /// Which of the caller's repositories it is from: its index; 0 for installed packages.
    pub repository: u32,
}

impl Package {
    /// Returns a package that has a name and provides it, and nothing else.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, evr: Evr, arch: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        let own = Capability {
            name: name.clone(),
            range: Some(Range::exactly(evr.clone())),
        };
        Self {
            name,
            evr,
            arch: arch.into(),
            provides: vec![Arc::new(own)],
            requires: Vec::new(),
            conflicts: Vec::new(),
            obsoletes: Vec::new(),
            recommends: Vec::new(),
            suggests: Vec::new(),
            supplements: Vec::new(),
            enhances: Vec::new(),
            files: Vec::new(),
            checksum: None,
            size: 0,
            location: "".into(),
            location_base: None,
            source_rpm: "".into(),
            build_time: 0,
            repository: 0,
        }
    }

    /// Returns the full name.
    #[must_use]
    pub fn nevra(&self) -> Nevra {
        Nevra {
            name: self.name.clone(),
            evr: self.evr.clone(),
            arch: self.arch.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpm::evr::Comparison;

    #[test]
    fn a_nevra_prints_as_it_was_read() {
        for text in [
            "bash-5.2-1.x86_64",
            "shadow-utils-2:4.9-12.amzn2023.0.4.x86_64",
            "a-b-c-1-1.noarch",
        ] {
            assert_eq!(text.parse::<Nevra>().expect(text).to_string(), text);
        }
        for text in [
            "",
            "bash",
            "bash-5.2-1",
            "bash-5.2.x86_64",
            "-1-1.noarch",
            "a-1-1.",
            "a-:-1.x",
            "a b-1-1.x",
        ] {
            assert!(text.parse::<Nevra>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn a_provide_without_version_answers_every_version() {
        let range = |comparison, evr| {
            Some(Range {
                comparison,
                evr: Evr::parse(evr),
            })
        };
        let wanted = Capability {
            name: "curl".into(),
            range: range(Comparison::GreaterEqual, "7"),
        };
        let provided = |range| Capability {
            name: "curl".into(),
            range,
        };
        assert!(provided(None).answers(&wanted));
        assert!(provided(None).answers(&Capability::any("curl")));
        assert!(provided(range(Comparison::Equal, "8")).answers(&wanted));
        assert!(!provided(range(Comparison::Equal, "6")).answers(&wanted));
        assert!(!Capability::any("wget").answers(&wanted));
    }
}
