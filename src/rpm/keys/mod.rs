//! Reads and verifies OpenPGP keys and signatures of packages and repositories.
//!
//! What is held of a signature:
//!
//! * RSA of at least 2048 bits, ECDSA and EdDSA; of hashes the SHA-2 and SHA-3 families. MD5, SHA-1, RIPEMD-160 and
//!   DSA are refused, whatever the keys.
//! * A signature is judged by the key as it was when the signature was made: it must lie between the key's creation
//!   and its expiry. So a key that expires later does not invalidate what it signed before; a lock has no clock of
//!   its own to ask. A signature's own expiry is not judged, for the same reason.
//! * A key revoked because it was compromised, or without a reason, verifies nothing any more. One that was retired
//!   or superseded still verifies what it signed before.
//! * A subkey counts only if the primary key has bound it for signing, and it has confirmed that (the fault of
//!   CVE-2021-3521).
//!
//! <https://www.rfc-editor.org/rfc/rfc9580>

mod certificate;
mod package;
mod verify;

use std::fmt;
use std::str::FromStr;

use crate::diagnose::{Class, Diagnose};
use crate::oci::digest::hex;
use crate::rpm::tag;

pub use certificate::{Key, parse_keys};
pub use package::{
    PayloadDigest, check_header_digest, key_of_database_entry, payload_digest, verify_package,
};
pub use verify::{verify_detached, verify_header, verify_parts};

/// What identifies a key: the hash of its public part, as upper-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Vec<u8>);

/// Why a string is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key's fingerprint: wanted 40 or 64 hexadecimal digits")]
pub struct FingerprintError(pub String);

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads hexadecimal digits of either case; blanks, as people print them, are skipped.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: Option<Vec<u32>> = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_digit(16))
            .collect();
        match digits {
            Some(digits) if matches!(digits.len(), 40 | 64) => Ok(Self(
                digits
                    .chunks_exact(2)
                    .map(|pair| (pair[0] << 4 | pair[1]) as u8)
                    .collect(),
            )),
            _ => Err(FingerprintError(text.to_owned())),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0).to_ascii_uppercase())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why bytes are not usable keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither an armored nor a binary public key.
    #[error("not an OpenPGP public key: {0}")]
    Format(String),
    /// There is none in it.
    #[error("no OpenPGP public key in it: it begins with `{0}`")]
    None(String),
    /// A key that does not sign itself is nobody's.
    #[error("key {0} has no valid signature of its own on its name")]
    Unbound(Fingerprint),
}

impl Diagnose for KeyError {
    fn class(&self) -> Class {
        Class::Integrity
    }
}

/// Why a signature does not vouch for the bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is nothing to verify.
    #[error("it is not signed")]
    Unsigned,
    /// Not an OpenPGP signature.
    #[error("its signature cannot be read: {0}")]
    Format(String),
    /// Made by a key that is not among those given.
    #[error("it is signed by key {issuer}, wanted one of {}", list(.known))]
    UnknownKey {
        /// The key's id or fingerprint; empty if the signature does not say.
        issuer: String,
        /// The keys that would do.
        known: Vec<Fingerprint>,
    },
    /// A hash that can be forged.
    #[error("its signature uses {0}, which can be forged: wanted SHA-256 or better")]
    WeakHash(String),
    /// An algorithm or size that is not trusted, or not known.
    #[error("its signature uses {0}: wanted RSA of 2048 bits or more, ECDSA or EdDSA")]
    Algorithm(String),
    /// It says something that must be understood and is not.
    #[error("its signature holds a critical field that is unknown: {0}")]
    Critical(String),
    /// A signature on something else, such as a key.
    #[error("its signature is of another kind: {0}")]
    Kind(String),
    /// The key may not sign, or not at that time.
    #[error("it is signed by key {key}, which {problem}")]
    KeyUnfit {
        /// The certificate.
        key: Fingerprint,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// The bytes are not those that were signed.
    #[error("its signature by key {0} is wrong: the bytes are not those that were signed")]
    Bad(Fingerprint),
    /// The header is not what the package says it is.
    #[error("its header has digest {found}, wanted {wanted}")]
    HeaderDigest {
        /// What the signature header says.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The header does not state its payload's digest in a form that is safe.
    #[error("{} of its header is `{found}`: wanted {wanted}", tag::name(*.tag).unwrap_or("a tag"))]
    PayloadDigest {
        /// Which tag.
        tag: u32,
        /// What was found.
        found: String,
        /// What would be right.
        wanted: &'static str,
    },
}

/// Why a key may not have made a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyProblem {
    /// It was revoked.
    Revoked,
    /// The signature is from before it was made.
    NotYetMade,
    /// The signature is from after it expired.
    Expired,
    /// Its owner did not make it for signing.
    NotForSigning,
    /// The signature does not say when it was made.
    NoTime,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "was revoked",
            Self::NotYetMade => "is younger than the signature",
            Self::Expired => "had expired when it signed",
            Self::NotForSigning => "is not for signing",
            Self::NoTime => "did not say when it signed",
        })
    }
}

fn list(keys: &[Fingerprint]) -> String {
    if keys.is_empty() {
        return "no keys at all".to_owned();
    }
    keys.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Diagnose for SignatureError {
    fn class(&self) -> Class {
        Class::Integrity
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { .. } => Some(
                "if that key is trusted, add it to the repository's `gpgkey` in the recipe"
                    .to_owned(),
            ),
            Self::Unsigned => Some(
                "say `gpgcheck = false` for that repository only if it is trusted otherwise"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
