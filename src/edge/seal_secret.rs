//! The user's secret that seals derived data: outside the cache, so that a cache from elsewhere cannot bring its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Returns where the secret is: below `$XDG_STATE_HOME`, or `~/.local/state`.
#[must_use]
pub fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(folder.join("imgbuild/seal"))
}

/// Returns the secret at `path`, made if there is none. Where it cannot be kept, it is a new one: then nothing derived is
/// found again, which costs time and nothing else.
#[must_use]
pub fn get(path: Option<&Path>) -> [u8; 32] {
    if let Some(secret) = path.and_then(read) {
        return secret;
    }
    let secret = random();
    let kept = path.is_some_and(|path| keep(path, &secret).is_ok());
    // Another process may have been quicker: its secret is the one.
    match path.filter(|_| !kept).and_then(read) {
        Some(other) => other,
        None => secret,
    }
}

/// Reads a secret that only its owner can read.
fn read(path: &Path) -> Option<[u8; 32]> {
    let file = File::open(path).ok()?;
    let private = file.metadata().ok()?.permissions().mode() & 0o077 == 0;
    let mut bytes = Vec::new();
    file.take(33).read_to_end(&mut bytes).ok()?;
    bytes.try_into().ok().filter(|_| private)
}

fn keep(path: &Path, secret: &[u8; 32]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret)
}

/// Never decides a byte of an image: only whether work is done again.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    if read.is_err() {
        // Without a source of chance: the address of a hash map's keys is the next best.
        use std::hash::{BuildHasher as _, RandomState};
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stays_where_it_can_be_kept_and_is_private() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("state/imgbuild/seal");
        let first = get(Some(&file));
        assert_eq!(get(Some(&file)), first);
        assert_ne!(get(None), get(None));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("changed");
        assert_ne!(get(Some(&file)), first, "one that others may read is none");
    }
}
