//! Probable causes: what is known to make images differ, and what to do about it.

use schemars::JsonSchema;
use serde::Serialize;

/// What probably made a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The images are made on different bases.
    MovedBase,
    /// The time an image was created.
    SourceDateEpoch,
    /// Only times of files.
    MtimeOnly,
    /// Python bytecode that holds its source's time.
    PycMtime,
    /// Python bytecode that is validated in another way.
    PycFlags,
    /// The rpm database holds when packages were installed.
    RpmInstallTime,
    /// Files made under another umask.
    Umask,
    /// Entries sorted by the rules of a language.
    LocaleSort,
    /// The header of a gzip stream: its time, system or level.
    GzipHeader,
    /// The same tar, compressed by another program or at another level.
    Compressor,
    /// The same tar, in another format.
    Codec,
    /// The lines of RECORD in another order.
    RecordOrder,
    /// What a Python installer writes about itself.
    InstallerMetadata,
    /// A tar writer that adds names, times or labels of its host.
    TarWriter,
}

impl Cause {
    /// Returns what happened, in a sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::MovedBase => "the base image is another one",
            Self::SourceDateEpoch => "the images were given different creation times",
            Self::MtimeOnly => "the same file, made at another time",
            Self::PycMtime => "bytecode that embeds the time of its source",
            Self::PycFlags => "bytecode compiled with another invalidation mode",
            Self::RpmInstallTime => "the rpm database records when packages were installed",
            Self::Umask => "files were made under another umask",
            Self::LocaleSort => "entries were sorted by a locale instead of by bytes",
            Self::GzipHeader => "only the gzip header differs: its time, system or level",
            Self::Compressor => "the same tar, compressed by another program, version or level",
            Self::Codec => "the same tar in another compression format",
            Self::RecordOrder => "the same lines of RECORD in another order",
            Self::InstallerMetadata => "the Python installer wrote a note about itself",
            Self::TarWriter => "the tar was written by another program: the files are the same",
        }
    }

    /// Returns what to do so that it does not happen again.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::MovedBase => {
                "pin the base by digest; with imgbuild, build both from the same recipe.lock"
            }
            Self::SourceDateEpoch => {
                "set SOURCE_DATE_EPOCH to the same value, or leave it to the lock"
            }
            Self::MtimeOnly => "set the times of files from SOURCE_DATE_EPOCH instead of the clock",
            Self::PycMtime | Self::PycFlags => {
                "compile with --invalidation-mode unchecked-hash, or ship no bytecode"
            }
            Self::RpmInstallTime => "install with SOURCE_DATE_EPOCH set, or let imgbuild install",
            Self::Umask => "set modes explicitly instead of leaving them to the umask",
            Self::LocaleSort => "sort with LC_ALL=C",
            Self::GzipHeader => "compress with `gzip -n`, or a fixed header",
            Self::Compressor | Self::Codec => {
                "nothing in the image differs; compress with the same program to get the same digest"
            }
            Self::RecordOrder => "sort RECORD when installing",
            Self::InstallerMetadata => "install with UV_NO_INSTALLER_METADATA=1",
            Self::TarWriter => "write both tars with the same program and options",
        }
    }
}
