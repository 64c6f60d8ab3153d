//! Reads public keys and decides what each of their parts may sign, and when.

use pgp::composed::{Deserializable as _, SignedPublicKey};
use pgp::packet::{PublicKey, PublicSubkey, RevocationCode, Signature};
use pgp::types::{KeyDetails as _, Tag};

use super::verify::has_safe_hash;
use super::{Fingerprint, KeyError, KeyProblem};

/// A public key with its subkeys, as its owner published it.
#[derive(Clone, Debug)]
pub struct Key {
    fingerprint: Fingerprint,
    names: Vec<String>,
    pub(super) signers: Vec<Signer>,
}

/// The primary key or a subkey.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) public: Public,
    may_sign: bool,
    /// In seconds since 1970 UTC, as all times here.
    created: u32,
    expires: Option<u32>,
    revoked: Option<Revoked>,
}

#[derive(Clone, Debug)]
pub(super) enum Public {
    Primary(Box<PublicKey>),
    Sub(Box<PublicSubkey>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revoked {
    /// Even for what it signed before.
    Altogether,
    /// For what it signed from then on.
    Since(u32),
}

impl Key {
    /// Returns the fingerprint of the primary key.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Returns the names on it that it has signed itself, for messages.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn new(certificate: SignedPublicKey) -> Result<Self, KeyError> {
        let SignedPublicKey {
            primary_key,
            details,
            public_subkeys,
        } = certificate;
        let fingerprint = Fingerprint(primary_key.fingerprint().as_bytes().to_vec());
        let mut own: Vec<&Signature> = Vec::new();
        let mut names = Vec::new();
        for user in &details.users {
            let certifies = |signature: &&Signature| {
                signature
                    .verify_certification(&primary_key, Tag::UserId, &user.id)
                    .is_ok()
            };
            let before = own.len();
            own.extend(user.signatures.iter().filter(certifies));
            if own.len() > before {
                names.push(String::from_utf8_lossy(user.id.id()).into_owned());
            }
        }
        own.extend(
            details
                .direct_signatures
                .iter()
                .filter(|signature| signature.verify_key(&primary_key).is_ok()),
        );
        // The latest word of its owner counts.
        let Some(latest) = own.into_iter().max_by_key(|signature| time(signature)) else {
            return Err(KeyError::Unbound(fingerprint));
        };
        let revocations = details.revocation_signatures.iter();
        let revoked =
            revoked(revocations.filter(|signature| signature.verify_key(&primary_key).is_ok()));
        let created = primary_key.created_at().as_secs();
        let expires = expiry(latest, created);
        let mut signers = vec![Signer {
            // A key without flags is from before there were any, and signs.
            may_sign: latest.key_flags().sign() || !has_flags(latest),
            created,
            expires,
            revoked,
            public: Public::Primary(Box::new(primary_key.clone())),
        }];
        for subkey in public_subkeys {
            let created = subkey.key.created_at().as_secs();
            let valid = |signature: &&Signature| {
                has_safe_hash(signature)
                    && signature
                        .verify_subkey_binding(&primary_key, &subkey.key)
                        .is_ok()
            };
            let (bindings, revocations): (Vec<_>, Vec<_>) = subkey
                .signatures
                .iter()
                .filter(valid)
                .partition(|signature| {
                    signature.typ() == Some(pgp::packet::SignatureType::SubkeyBinding)
                });
            let Some(latest) = bindings.into_iter().max_by_key(|signature| time(signature)) else {
                continue;
            };
            let confirmed = latest.embedded_signature().is_some_and(|back| {
                back.verify_primary_key_binding(&subkey.key, &primary_key)
                    .is_ok()
            });
            let own_expiry = expiry(latest, created);
            signers.push(Signer {
                may_sign: latest.key_flags().sign() && confirmed,
                created,
                expires: [own_expiry, expires].into_iter().flatten().min(),
                revoked: self::revoked(revocations.into_iter()).or(revoked),
                public: Public::Sub(Box::new(subkey.key)),
            });
        }
        Ok(Self {
            fingerprint,
            names,
            signers,
        })
    }
}

impl Signer {
    /// Tells what speaks against a signature made at `time`.
    pub(super) fn problem(&self, time: Option<u32>) -> Option<KeyProblem> {
        let Some(time) = time else {
            return Some(KeyProblem::NoTime);
        };
        let is_revoked = match self.revoked {
            None => false,
            Some(Revoked::Altogether) => true,
            Some(Revoked::Since(since)) => time >= since,
        };
        if is_revoked {
            Some(KeyProblem::Revoked)
        } else if !self.may_sign {
            Some(KeyProblem::NotForSigning)
        } else if time < self.created {
            Some(KeyProblem::NotYetMade)
        } else if self.expires.is_some_and(|expires| time >= expires) {
            Some(KeyProblem::Expired)
        } else {
            None
        }
    }
}

fn time(signature: &Signature) -> u32 {
    signature.created().map_or(0, |time| time.as_secs())
}

fn has_flags(signature: &Signature) -> bool {
    signature.config().is_some_and(|config| {
        config
            .hashed_subpackets()
            .any(|field| matches!(field.data, pgp::packet::SubpacketData::KeyFlags(_)))
    })
}

fn expiry(signature: &Signature, created: u32) -> Option<u32> {
    let seconds = signature.key_expiration_time()?.as_secs();
    (seconds > 0).then(|| created.saturating_add(seconds))
}

fn revoked<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<Revoked> {
    let each = signatures.map(|signature| match signature.revocation_reason_code() {
        Some(RevocationCode::KeyRetired | RevocationCode::KeySuperseded) => {
            Revoked::Since(time(signature))
        }
        _ => Revoked::Altogether,
    });
    each.reduce(|a, b| match (a, b) {
        (Revoked::Since(a), Revoked::Since(b)) => Revoked::Since(a.min(b)),
        _ => Revoked::Altogether,
    })
}

/// Reads the public keys in a file: armored, one or several blocks with any text around them, or binary.
///
/// # Errors
/// [`KeyError`] if there is none, or one of them is malformed.
pub fn parse_keys(bytes: &[u8]) -> Result<Vec<Key>, KeyError> {
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
    let format = |error: pgp::errors::Error| KeyError::Format(error.to_string());
    let mut certificates = Vec::new();
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        for certificate in SignedPublicKey::from_bytes_many(bytes).map_err(format)? {
            certificates.push(certificate.map_err(format)?);
        }
    } else {
        let text = String::from_utf8_lossy(bytes);
        let mut rest = &*text;
        while let Some(start) = rest.find(BEGIN) {
            let end = rest[start..]
                .find(END)
                .map_or(rest.len(), |end| start + end + END.len());
            let (parsed, _) =
                SignedPublicKey::from_string_many(&rest[start..end]).map_err(format)?;
            for certificate in parsed {
                certificates.push(certificate.map_err(format)?);
            }
            rest = &rest[end..];
        }
    }
    if certificates.is_empty() {
        let start = &bytes[..bytes.len().min(40)];
        return Err(KeyError::None(start.escape_ascii().to_string()));
    }
    let (keys, failures): (Vec<_>, Vec<_>) = certificates
        .into_iter()
        .map(Key::new)
        .partition(Result::is_ok);
    // A keyring may hold keys of kinds that are not known here; they verify nothing.
    match failures.into_iter().next() {
        Some(Err(error)) if keys.is_empty() => Err(error),
        _ => Ok(keys.into_iter().flatten().collect()),
    }
}
