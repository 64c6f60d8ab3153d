//! What a package says about its own integrity: signatures of its header, digests of header and payload.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest as _;

use super::verify::verify_header;
use super::{Fingerprint, Key, KeyError, SignatureError, parse_keys};
use crate::oci::digest::{Digest, hex};
use crate::rpm::header::Header;
use crate::rpm::tag;

/// What a package's payload must hash to, compressed as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadDigest {
    /// SHA-256
    Sha256(Digest),
    /// SHA-512
    Sha512(Box<[u8; 64]>),
    /// The header does not say: packages from before rpm 4.14. Only the digest of the whole file vouches for it.
    Unstated,
}

impl PayloadDigest {
    /// Tells whether `payload` is what the header speaks of; none if the header does not say.
    #[must_use]
    pub fn matches(&self, payload: &[u8]) -> Option<bool> {
        match self {
            Self::Sha256(digest) => Some(Digest::of(payload) == *digest),
            Self::Sha512(raw) => Some(sha2::Sha512::digest(payload).as_slice() == raw.as_slice()),
            Self::Unstated => None,
        }
    }
}

/// Verifies that one of `keys` signed a package's header, and returns that key's fingerprint.
///
/// `signatures` is the package's signature header, or an installed header, which holds the same tags; and
/// `header_with_magic` the bytes that are signed ([`Header::immutable_region`] of an installed one). Signatures of
/// header and payload together are not looked at: the header's vouches for the payload through its digest.
///
/// # Errors
/// [`SignatureError`] for everything but a good signature by one of `keys`.
pub fn verify_package(
    keys: &[Key],
    signatures: &Header,
    header_with_magic: &[u8],
) -> Result<Fingerprint, SignatureError> {
    let mut candidates: Vec<Vec<u8>> = Vec::new();
    // rpm 6 keeps any number of signatures, each in base64.
    for text in signatures.texts(tag::OPENPGP) {
        let bytes = BASE64_STANDARD.decode(text.as_bytes());
        candidates.push(bytes.map_err(|error| SignatureError::Format(error.to_string()))?);
    }
    for number in [tag::RSAHEADER, tag::DSAHEADER] {
        candidates.extend(signatures.binary(number).map(<[u8]>::to_vec));
    }
    let mut failure = SignatureError::Unsigned;
    for candidate in &candidates {
        match verify_header(keys, header_with_magic, candidate) {
            Ok(fingerprint) => return Ok(fingerprint),
            // A wrong signature says more than one by an unknown key.
            Err(error)
                if failure == SignatureError::Unsigned
                    || matches!(error, SignatureError::Bad(_)) =>
            {
                failure = error;
            }
            Err(_) => {}
        }
    }
    Err(failure)
}

/// Checks that a header is the one its signature header speaks of, if that says so: SHA256HEADER.
///
/// This finds damage; only a signature finds intent.
///
/// # Errors
/// [`SignatureError::HeaderDigest`].
pub fn check_header_digest(
    signatures: &Header,
    header_with_magic: &[u8],
) -> Result<(), SignatureError> {
    let Some(wanted) = signatures.string(tag::SHA256HEADER) else {
        return Ok(());
    };
    let found = Digest::of(header_with_magic).hex();
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(SignatureError::HeaderDigest {
        wanted: wanted.to_owned(),
        found,
    })
}

/// Returns what a package's payload must hash to, as its header says.
///
/// # Errors
/// [`SignatureError::PayloadDigest`] for algorithms other than SHA-256 and SHA-512, and malformed digits.
pub fn payload_digest(header: &Header) -> Result<PayloadDigest, SignatureError> {
    let Some(text) = header.string(tag::PAYLOADDIGEST) else {
        return Ok(PayloadDigest::Unstated);
    };
    // The numbers of RFC 9580's hash algorithms.
    let (wanted, digits) = match header.u32(tag::PAYLOADDIGESTALGO) {
        Some(8) | None => ("64 hexadecimal digits of a SHA-256", 64),
        Some(10) => ("128 hexadecimal digits of a SHA-512", 128),
        Some(other) => {
            return Err(SignatureError::PayloadDigest {
                tag: tag::PAYLOADDIGESTALGO,
                found: other.to_string(),
                wanted: "8 (SHA-256) or 10 (SHA-512)",
            });
        }
    };
    let malformed = || SignatureError::PayloadDigest {
        tag: tag::PAYLOADDIGEST,
        found: text.to_owned(),
        wanted,
    };
    let halves = (text.len() == digits)
        .then(|| text.split_at_checked(64))
        .flatten()
        .ok_or_else(malformed)?;
    let first = Digest::from_hex(halves.0).map_err(|_| malformed())?;
    if digits == 64 {
        return Ok(PayloadDigest::Sha256(first));
    }
    let second = Digest::from_hex(halves.1).map_err(|_| malformed())?;
    let mut raw = Box::new([0; 64]);
    raw[..32].copy_from_slice(first.raw());
    raw[32..].copy_from_slice(second.raw());
    Ok(PayloadDigest::Sha512(raw))
}

/// Returns the keys in a database entry named `gpg-pubkey`; none for any other entry.
///
/// rpm keeps the armored key as the entry's description. The entry's version and release are not derived from the
/// key in the same way by all versions of rpm, so they are not looked at.
#[must_use]
pub fn key_of_database_entry(header: &Header) -> Option<Result<Vec<Key>, KeyError>> {
    if header.name() != Some("gpg-pubkey") {
        return None;
    }
    let description = header.string_bytes(tag::DESCRIPTION).unwrap_or_default();
    Some(parse_keys(description))
}

impl std::fmt::Display for PayloadDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::Sha512(raw) => write!(f, "sha512:{}", hex(raw.as_slice())),
            Self::Unstated => f.write_str("not stated"),
        }
    }
}
