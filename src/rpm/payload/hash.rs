//! Digests of the algorithms that packages use for files and payloads.

use md5::Md5;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::oci::digest::hex;
use crate::rpm::entries::DigestAlgorithm;

/// Hashes with an algorithm chosen by the package.
pub(super) struct AnyHasher(Box<dyn DynDigest + Send>);

impl AnyHasher {
    pub(super) fn new(algorithm: DigestAlgorithm) -> Self {
        Self(match algorithm {
            DigestAlgorithm::Md5 => Box::new(Md5::default()),
            DigestAlgorithm::Sha1 => Box::new(Sha1::default()),
            DigestAlgorithm::Sha224 => Box::new(Sha224::default()),
            DigestAlgorithm::Sha256 => Box::new(Sha256::default()),
            DigestAlgorithm::Sha384 => Box::new(Sha384::default()),
            DigestAlgorithm::Sha512 => Box::new(Sha512::default()),
        })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest in lower-case hexadecimal digits.
    pub(super) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}
