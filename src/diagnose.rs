//! What an error means to the caller: its exit code, and what to run next.

/// The kind of a failure, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The answer is no: differs, stale, unhealthy.
    No,
    /// Wrong usage or recipe, or the disk refuses.
    Usage,
    /// Inputs cannot be had: nothing was proven either way.
    Unavailable,
    /// Bytes do not match their digest, signature or lock, or are hostile.
    Integrity,
    /// Made by another format version.
    Format,
    /// The tag exists, is immutable, and has another digest.
    Immutable,
}

impl Class {
    /// Returns the process exit code, which scripts rely on.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::No => 1,
            Self::Usage => 2,
            Self::Unavailable => 3,
            Self::Integrity => 4,
            Self::Format => 5,
            Self::Immutable => 6,
        }
    }
}

/// An error that knows its class and what the reader can do.
pub trait Diagnose: std::error::Error + Send + Sync + 'static {
    /// Returns the kind of failure.
    fn class(&self) -> Class;

    /// Returns what to run or change, if that is known.
    fn hint(&self) -> Option<String> {
        None
    }
}
