//! What verifying an image came to: what was checked, how far the rebuilt image is the same, and the verdict.

mod json;
mod text;

use crate::diagnose::Class;
use crate::diff::{Difference, Level};
use crate::oci::Digest;

pub use json::VERSION;

/// What verifying an image came to, as far as it went.
#[derive(Clone, Debug)]
pub struct Report {
    /// The image as it was named.
    pub subject: String,
    /// The digest of its manifest or index, once that was read.
    pub digest: Option<Digest>,
    /// The level that was asked for.
    pub required: Level,
    /// What was checked, in this order.
    pub checks: Vec<Check>,
    /// The images that were rebuilt, in the order of the index.
    pub platforms: Vec<Rebuilt>,
    /// The digests of the index: of the image, and as rebuilt.
    pub index: Option<[Digest; 2]>,
    /// Whether the files of the source tree were taken from the image itself.
    pub from_image: bool,
    /// Files of the source tree that are not in the image as they were recorded.
    pub missing: Vec<OtherFile>,
    /// What differs, the image first and then what was rebuilt; nothing where all is the same.
    pub difference: Option<Difference>,
    /// How far all is the same, once that is known.
    pub level: Option<Level>,
    /// Why it ended early, if it did.
    pub stopped: Option<Stopped>,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub what: What,
    /// Whether it is as it should be.
    pub holds: bool,
    /// What was found, for people.
    pub found: String,
}

/// What is checked besides the rebuilt image itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Every blob is that of its descriptor.
    Blobs,
    /// Where recipe and lock come from, and that they belong together.
    Recipe,
    /// The source tree is the one that was recorded.
    Source,
    /// The inputs are those that the lock pins.
    Inputs,
    /// The lowest layers are those of the locked base.
    Base,
    /// The packages are signed by the locked keys.
    Signatures,
}

impl What {
    /// Returns its one word, in messages and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Blobs => "blobs",
            Self::Recipe => "recipe",
            Self::Source => "source",
            Self::Inputs => "inputs",
            Self::Base => "base",
            Self::Signatures => "signatures",
        }
    }
}

/// A file that is not in the image as it was recorded with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherFile {
    /// Where it belongs in the image.
    pub path: String,
    /// What was recorded.
    pub recorded: Digest,
    /// What is there, if anything is.
    pub found: Option<Digest>,
}

/// The image of one platform, and what was rebuilt of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// `linux/amd64`.
    pub platform: String,
    /// The digest of the image's manifest.
    pub found: Digest,
    /// The digest of the rebuilt manifest.
    pub rebuilt: Digest,
    /// How far they are the same.
    pub level: Level,
}

/// Why verifying ended before there was an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The kind of failure.
    pub class: Class,
    /// What happened.
    pub message: String,
    /// What can be done.
    pub hint: Option<String>,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The same, bit for bit.
    Verified,
    /// The same as far as was asked for, which is less.
    Same(Level),
    /// Not the same, or not as far as was asked for.
    Differs(Level),
    /// Nothing was proven either way.
    CouldNotVerify,
    /// Bytes are not what their digest, signature or lock says.
    Corrupt,
    /// Made by another format, which this imgbuild cannot reproduce.
    OtherFormat,
    /// It was asked for in a wrong way, or the disk refuses.
    Failed,
}

impl Report {
    /// Begins with nothing checked.
    #[must_use]
    pub fn new(subject: String, required: Level) -> Self {
        Self {
            subject,
            digest: None,
            required,
            checks: Vec::new(),
            platforms: Vec::new(),
            index: None,
            from_image: false,
            missing: Vec::new(),
            difference: None,
            level: None,
            stopped: None,
        }
    }

    /// Adds what was checked.
    pub fn check(&mut self, what: What, holds: bool, found: impl Into<String>) {
        self.checks.push(Check {
            what,
            holds,
            found: plain(&found.into()),
        });
    }

    /// Ends it early.
    pub fn stop(&mut self, class: Class, message: &str, hint: Option<String>) {
        self.stopped = Some(Stopped {
            class,
            message: plain(message),
            hint: hint.as_deref().map(plain),
        });
    }

    /// Returns the answer. Only what is the same bit for bit is ever called verified.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (&self.stopped, self.level) {
            (Some(stopped), _) => match stopped.class {
                // A lock that is stale or missing, an argument nobody knows: no answer, and not "differs".
                Class::No | Class::Unavailable => Verdict::CouldNotVerify,
                Class::Integrity => Verdict::Corrupt,
                Class::Format => Verdict::OtherFormat,
                Class::Usage | Class::Immutable => Verdict::Failed,
            },
            (None, Some(Level::Digest)) => Verdict::Verified,
            (None, Some(level)) if level >= self.required => Verdict::Same(level),
            (None, Some(level)) => Verdict::Differs(level),
            (None, None) => Verdict::CouldNotVerify,
        }
    }
}

/// Returns text with control characters spelled out: a record may be anybody's, and terminals obey them.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

impl Verdict {
    /// Returns its one word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Same(_) => "same",
            Self::Differs(_) => "differs",
            Self::CouldNotVerify => "could-not-verify",
            Self::Corrupt => "corrupt",
            Self::OtherFormat => "other-format",
            Self::Failed => "failed",
        }
    }

    /// Returns the process exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Verified | Self::Same(_) => 0,
            Self::Differs(_) => Class::No.exit_code(),
            Self::CouldNotVerify => Class::Unavailable.exit_code(),
            Self::Corrupt => Class::Integrity.exit_code(),
            Self::OtherFormat => Class::Format.exit_code(),
            Self::Failed => Class::Usage.exit_code(),
        }
    }
}

#[cfg(test)]
mod tests;
