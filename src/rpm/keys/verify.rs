//! Verifies signatures over bytes.

use std::io::Read;

use pgp::composed::{Deserializable as _, DetachedSignature};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::PublicParams;

use super::certificate::Public;
use super::{Fingerprint, Key, SignatureError};

/// Bytes of an RSA key's public part: 256 of a 2048-bit modulus, and the exponent. A modulus may begin with a few
/// zero bits, so the limit lies a little lower.
const RSA_BYTES: usize = 254;
/// Signatures looked at in one place; more only cost time.
const SIGNATURES: usize = 16;

/// Verifies the signature over a package's header, and returns the fingerprint of the key that made it.
///
/// # Errors
/// [`SignatureError`] for everything but a good signature by one of `keys`.
pub fn verify_header(
    keys: &[Key],
    header_with_magic: &[u8],
    signature: &[u8],
) -> Result<Fingerprint, SignatureError> {
    verify_parts(keys, &[header_with_magic], signature)
}

/// Verifies a signature in a file of its own, such as `repomd.xml.asc`, armored or binary.
///
/// # Errors
/// As for [`verify_header`].
pub fn verify_detached(
    keys: &[Key],
    document: &[u8],
    signature: &[u8],
) -> Result<Fingerprint, SignatureError> {
    verify_parts(keys, &[document], signature)
}

/// Verifies a signature over several pieces of bytes, as if they were one: header and payload.
///
/// Of several signatures one good one is enough; otherwise the most telling failure is returned.
///
/// # Errors
/// As for [`verify_header`].
pub fn verify_parts(
    keys: &[Key],
    parts: &[&[u8]],
    signature: &[u8],
) -> Result<Fingerprint, SignatureError> {
    let signatures = parse(signature)?;
    let mut failure = SignatureError::Unsigned;
    for signature in signatures {
        match verify_one(keys, parts, &signature) {
            Ok(fingerprint) => return Ok(fingerprint),
            Err(error) if weight(&error) > weight(&failure) => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// Orders failures by how much they tell.
fn weight(error: &SignatureError) -> u8 {
    match error {
        SignatureError::Unsigned => 0,
        SignatureError::UnknownKey { .. } => 1,
        SignatureError::Bad(_) => 3,
        _ => 2,
    }
}

fn parse(signature: &[u8]) -> Result<Vec<Signature>, SignatureError> {
    let format = |error: pgp::errors::Error| SignatureError::Format(error.to_string());
    if signature.is_empty() {
        return Err(SignatureError::Unsigned);
    }
    let mut found = Vec::new();
    if signature[0] & 0x80 != 0 {
        for parsed in DetachedSignature::from_bytes_many(signature)
            .map_err(format)?
            .take(SIGNATURES)
        {
            found.push(parsed.map_err(format)?.signature);
        }
    } else {
        let text = str::from_utf8(signature)
            .map_err(|_| SignatureError::Format("neither armored nor binary".to_owned()))?;
        let (parsed, _) = DetachedSignature::from_string_many(text).map_err(format)?;
        for parsed in parsed.take(SIGNATURES) {
            found.push(parsed.map_err(format)?.signature);
        }
    }
    if found.is_empty() {
        return Err(SignatureError::Format(
            "no signature of a known version in it".to_owned(),
        ));
    }
    Ok(found)
}

/// Tells whether a signature's hash cannot be forged.
pub(super) fn has_safe_hash(signature: &Signature) -> bool {
    matches!(
        signature.hash_alg(),
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    )
}

fn verify_one(
    keys: &[Key],
    parts: &[&[u8]],
    signature: &Signature,
) -> Result<Fingerprint, SignatureError> {
    let Some(config) = signature.config() else {
        return Err(SignatureError::Format(format!(
            "version {:?} is not known",
            signature.version()
        )));
    };
    if !matches!(signature.typ(), Some(SignatureType::Binary)) {
        return Err(SignatureError::Kind(format!("{:?}", config.typ())));
    }
    if !has_safe_hash(signature) {
        return Err(SignatureError::WeakHash(config.hash_alg.to_string()));
    }
    check_algorithm(config.pub_alg)?;
    for field in config.hashed_subpackets().filter(|field| field.is_critical) {
        // Notations are agreed between people; none is known here.
        if let SubpacketData::Other(..)
        | SubpacketData::Experimental(..)
        | SubpacketData::Notation(_) = &field.data
        {
            return Err(SignatureError::Critical(format!("{:?}", field.data)));
        }
    }
    let time = signature.created().map(|time| time.as_secs());
    let mut failure = None;
    for key in keys {
        for signer in &key.signers {
            let result = match &signer.public {
                Public::Primary(public) => check(signature, &**public, parts),
                Public::Sub(public) => check(signature, &**public, parts),
            };
            match result {
                Checked::Other => {}
                Checked::Weak(what) => failure = Some(SignatureError::Algorithm(what)),
                Checked::Wrong => {
                    failure.get_or_insert_with(|| SignatureError::Bad(key.fingerprint().clone()));
                }
                Checked::Right => match signer.problem(time) {
                    None => return Ok(key.fingerprint().clone()),
                    Some(problem) => {
                        failure = Some(SignatureError::KeyUnfit {
                            key: key.fingerprint().clone(),
                            problem,
                        });
                    }
                },
            }
        }
    }
    Err(failure.unwrap_or_else(|| unknown(keys, signature)))
}

fn unknown(keys: &[Key], signature: &Signature) -> SignatureError {
    let fingerprint = signature
        .issuer_fingerprint()
        .first()
        .map(|issuer| Fingerprint(issuer.as_bytes().to_vec()));
    let id = || {
        signature
            .issuer_key_id()
            .first()
            .map(|id| id.to_string().to_ascii_uppercase())
    };
    SignatureError::UnknownKey {
        issuer: fingerprint
            .map(|fingerprint| fingerprint.to_string())
            .or_else(id)
            .unwrap_or_default(),
        known: keys.iter().map(|key| key.fingerprint().clone()).collect(),
    }
}

fn check_algorithm(algorithm: PublicKeyAlgorithm) -> Result<(), SignatureError> {
    match algorithm {
        PublicKeyAlgorithm::RSA
        | PublicKeyAlgorithm::RSASign
        | PublicKeyAlgorithm::ECDSA
        | PublicKeyAlgorithm::EdDSALegacy
        | PublicKeyAlgorithm::Ed25519
        | PublicKeyAlgorithm::Ed448 => Ok(()),
        other => Err(SignatureError::Algorithm(format!("{other:?}"))),
    }
}

enum Checked {
    /// Another key's signature.
    Other,
    /// This key's, and good.
    Right,
    /// This key's, and not of these bytes.
    Wrong,
    /// This key's, which is too short.
    Weak(String),
}

fn check(
    signature: &Signature,
    public: &impl pgp::types::VerifyingKey,
    parts: &[&[u8]],
) -> Checked {
    let ids = signature.issuer_key_id();
    let fingerprints = signature.issuer_fingerprint();
    let named = ids.iter().any(|id| **id == public.legacy_key_id())
        || fingerprints
            .iter()
            .any(|fingerprint| **fingerprint == public.fingerprint());
    let says_who = !(ids.is_empty() && fingerprints.is_empty());
    if says_who && !named {
        return Checked::Other;
    }
    if let PublicParams::RSA(params) = public.public_params()
        && params.write_len() < RSA_BYTES
    {
        return Checked::Weak("an RSA key of less than 2048 bits".to_owned());
    }
    match signature.verify(public, Joined { parts, at: 0 }) {
        Ok(()) => Checked::Right,
        // A signature that names no key is tried with all of them.
        Err(_) if named => Checked::Wrong,
        Err(_) => Checked::Other,
    }
}

/// Reads several pieces as one.
struct Joined<'a> {
    parts: &'a [&'a [u8]],
    at: usize,
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while let Some((first, rest)) = self.parts.split_first() {
            let left = &first[self.at..];
            if left.is_empty() {
                (self.parts, self.at) = (rest, 0);
                continue;
            }
            let count = left.len().min(buffer.len());
            buffer[..count].copy_from_slice(&left[..count]);
            self.at += count;
            return Ok(count);
        }
        Ok(0)
    }
}
