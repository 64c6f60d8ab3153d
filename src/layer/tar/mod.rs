//! The tar format: entries as imgbuild writes them, and as anyone may have written them.
//!
//! ustar and PAX are <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>; whiteouts are
//! <https://github.com/opencontainers/image-spec/blob/main/layer.md>.

pub mod form;
mod header;
mod number;
pub mod read;
pub mod write;

/// The size of a header, and what contents are padded to.
pub(super) const BLOCK: usize = 512;

/// What the file name of a whiteout starts with.
pub(super) const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// What the PAX records of extended attributes start with.
pub(super) const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// Returns how many zeros follow a content of `size` bytes.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// Tells whether an extended attribute belongs to the machine it was read on rather than to the image.
///
/// SELinux labels, IMA and EVM hashes are set by the host's policy, and overlay attributes by its storage.
pub(super) fn is_of_the_host(xattr: &[u8]) -> bool {
    const NAMES: [&[u8]; 3] = [b"security.selinux", b"security.ima", b"security.evm"];
    const PREFIXES: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
    NAMES.contains(&xattr) || PREFIXES.iter().any(|prefix| xattr.starts_with(prefix))
}
