//! Content identities: what bytes hash to, and which bytes were hashed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a blob as it is stored and sent: `sha256:` and 64 hexadecimal digits.
///
/// <https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests>
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The digest of a layer's uncompressed tar.
///
/// A type of its own, so that it is never taken for the [`Digest`] of the compressed blob.
/// <https://github.com/opencontainers/image-spec/blob/main/config.md#layer-diffid>
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

/// Why a string is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Only SHA-256 is read and written.
    #[error("digest `{0}` is not a sha256 digest: wanted `sha256:` and 64 hexadecimal digits")]
    Algorithm(String),
    /// The part after the colon is not 64 lower-case hexadecimal digits.
    #[error("digest `{0}` is malformed: wanted 64 lower-case hexadecimal digits after `sha256:`")]
    Hex(String),
}

impl Digest {
    /// Returns the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Wraps the 32 bytes of a SHA-256 that was computed elsewhere.
    #[must_use]
    pub fn from_raw(raw: [u8; 32]) -> Self {
        Self(raw)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn raw(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the 64 hexadecimal digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Reads 64 hexadecimal digits, as RPM metadata and `RECORD`-less checksums write them.
    ///
    /// # Errors
    /// [`DigestError::Hex`] if they are not 64 hexadecimal digits; upper case is accepted.
    pub fn from_hex(text: &str) -> Result<Self, DigestError> {
        let malformed = || DigestError::Hex(text.to_owned());
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return Err(malformed());
        }
        let mut raw = [0; 32];
        for (out, pair) in raw.iter_mut().zip(bytes.chunks_exact(2)) {
            let nibble = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
            match (nibble(pair[0]), nibble(pair[1])) {
                (Some(high), Some(low)) => *out = high << 4 | low,
                _ => return Err(malformed()),
            }
        }
        Ok(Self(raw))
    }
}

/// Returns `bytes` as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            write!(out, "{byte:02x}").expect("writing to a String cannot fail");
            out
        })
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let Some(digits) = text.strip_prefix("sha256:") else {
            return Err(DigestError::Algorithm(text.to_owned()));
        };
        if digits.bytes().any(|c| c.is_ascii_uppercase()) {
            return Err(DigestError::Hex(text.to_owned()));
        }
        Self::from_hex(digits).map_err(|_| DigestError::Hex(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes a stream piece by piece and counts its bytes.
#[derive(Clone, Default)]
pub struct Hasher {
    state: Sha256,
    size: u64,
}

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Returns the digest of all bytes taken, and how many they were.
    #[must_use]
    pub fn finish(self) -> (Digest, u64) {
        (Digest(self.state.finalize().into()), self.size)
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_prints_as_it_was_read() {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest: Digest = text.parse().expect("a valid digest");
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest, Digest::of(b""));
    }

    #[test]
    fn what_is_not_a_sha256_digest_is_refused() {
        let long = format!("sha256:{}", "a".repeat(65));
        let upper = format!("sha256:{}", "A".repeat(64));
        let multibyte = format!("sha256:{}", "é".repeat(32));
        for text in [
            "",
            "sha256:",
            "sha256:zz",
            "sha512:00",
            "e3b0",
            &long,
            &upper,
            &multibyte,
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text} was accepted");
        }
    }
}
