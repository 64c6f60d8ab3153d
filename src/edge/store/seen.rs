//! Remembers what a file was found to hold, so that one which looks the same is not read again.
//!
//! As git's index does: whoever writes to a file changes its time of change, which nobody can set. A file that was
//! changed a moment ago is not remembered, as it could change again within the same tick of the clock; nor is anything
//! believed across a restart of the machine, as a power cut takes back writes without changing times. What is
//! remembered is sealed like all derived data.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use super::{FileBlob, Store};
use crate::oci::Digest;

/// The kind under which the store keeps it.
const SEEN: &str = "seen";

/// How long a file must have been left alone to be remembered: longer than a tick of the clock that stamps files.
const TICK: Duration = Duration::from_millis(50);
/// The same where the file system keeps no fractions of seconds; some keep even seconds only.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// How a file looks from outside.
#[derive(Clone, PartialEq, Eq)]
struct Look {
    text: String,
    changed: Duration,
}

impl Look {
    fn of(file: &File, boot: &str) -> io::Result<Self> {
        let meta = file.metadata()?;
        let changed = u64::try_from(meta.ctime()).unwrap_or(0);
        Ok(Self {
            text: format!(
                "{boot} {} {} {} {}.{} {}.{}",
                meta.dev(),
                meta.ino(),
                meta.len(),
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ctime(),
                meta.ctime_nsec()
            ),
            changed: Duration::new(changed, meta.ctime_nsec().try_into().unwrap_or(0)),
        })
    }

    fn key(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    fn is_settled(&self) -> bool {
        let is_fine = !self.changed.subsec_nanos().is_multiple_of(1_000_000);
        let tick = if is_fine { TICK } else { COARSE_TICK };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.is_ok_and(|now| now.saturating_sub(self.changed) > tick)
    }
}

impl Store {
    /// Returns the digest of the bytes of `blob`, reading them only if they may have changed since they were read last.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn digest_of(&self, blob: &FileBlob) -> io::Result<Digest> {
        let Some((file, boot)) = blob.whole_file().zip(boot()) else {
            return Ok(blob.hash()?.0);
        };
        let look = Look::of(file, &boot)?;
        let seen = self.get_derived(SEEN, look.key());
        if let Some(raw) = seen.and_then(|bytes| bytes.try_into().ok()) {
            return Ok(Digest::from_raw(raw));
        }
        let (digest, _) = blob.hash()?;
        if look.is_settled() && Look::of(file, &boot)? == look {
            // On a full disk it is read again next time.
            let _ = self.put_derived(SEEN, look.key(), digest.raw());
        }
        Ok(digest)
    }
}

/// Returns what names this run of the machine; nothing where the system has no name for it.
fn boot() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()
}
