//! What repository metadata says a file hashes to.

use std::fmt;

use crate::oci::digest::{Digest, hex};

/// What repository metadata says a file hashes to, by an algorithm that is still safe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checksum {
    /// SHA-256, what every current distribution publishes.
    Sha256(Digest),
    /// SHA-512.
    Sha512(Box<[u8; 64]>),
}

/// Why a checksum is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// MD5 and SHA-1 can be forged; others are unknown.
    #[error("checksum type `{0}` is not accepted: wanted sha256 or sha512")]
    Algorithm(String),
    /// Not the digits that the algorithm has.
    #[error("checksum `{text}` is not a {algorithm}: wanted {digits} hexadecimal digits")]
    Digits {
        /// What was found.
        text: String,
        /// `sha256` or `sha512`.
        algorithm: &'static str,
        /// How many digits that algorithm has.
        digits: usize,
    },
}

impl Checksum {
    /// Reads the `type` and text of a `<checksum>` element.
    ///
    /// # Errors
    /// [`ChecksumError`] for other algorithms than SHA-256 and SHA-512, and for malformed digits.
    pub fn parse(algorithm: &str, text: &str) -> Result<Self, ChecksumError> {
        let malformed = |algorithm, digits| ChecksumError::Digits {
            text: text.to_owned(),
            algorithm,
            digits,
        };
        match algorithm {
            "sha256" => Digest::from_hex(text)
                .map(Self::Sha256)
                .map_err(|_| malformed("sha256", 64)),
            "sha512" => {
                // Each half has the length and form of a SHA-256.
                let halves = text.split_at_checked(64).and_then(|(first, second)| {
                    Some([
                        Digest::from_hex(first).ok()?,
                        Digest::from_hex(second).ok()?,
                    ])
                });
                let [first, second] = halves.ok_or_else(|| malformed("sha512", 128))?;
                let mut raw = Box::new([0; 64]);
                raw[..32].copy_from_slice(first.raw());
                raw[32..].copy_from_slice(second.raw());
                Ok(Self::Sha512(raw))
            }
            _ => Err(ChecksumError::Algorithm(algorithm.to_owned())),
        }
    }

    /// Returns the SHA-256, if that is what it is.
    #[must_use]
    pub fn sha256(&self) -> Option<Digest> {
        match self {
            Self::Sha256(digest) => Some(*digest),
            Self::Sha512(_) => None,
        }
    }

    /// Returns the hexadecimal digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        match self {
            Self::Sha256(digest) => digest.hex(),
            Self::Sha512(raw) => hex(raw.as_slice()),
        }
    }

    /// Tells whether `bytes` hash to it.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        use sha2::Digest as _;
        match self {
            Self::Sha256(digest) => Digest::of(bytes) == *digest,
            Self::Sha512(raw) => sha2::Sha512::digest(bytes).as_slice() == raw.as_slice(),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::Sha512(raw) => write!(f, "sha512:{}", hex(raw.as_slice())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgeable_checksums_are_refused() {
        assert!(matches!(
            Checksum::parse("sha", &"0".repeat(40)),
            Err(ChecksumError::Algorithm(_))
        ));
        assert!(matches!(
            Checksum::parse("md5", &"0".repeat(32)),
            Err(ChecksumError::Algorithm(_))
        ));
        assert!(matches!(
            Checksum::parse("sha512", &"0".repeat(127)),
            Err(ChecksumError::Digits { .. })
        ));
        assert!(matches!(
            Checksum::parse("sha256", "é"),
            Err(ChecksumError::Digits { .. })
        ));
        let sha512 = Checksum::parse("sha512", &"0a".repeat(64)).expect("128 digits");
        assert_eq!(sha512.to_string(), format!("sha512:{}", "0a".repeat(64)));
    }
}
