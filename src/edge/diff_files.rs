//! Writes both versions of the files in which two images differ, each below its own folder and nowhere else.
//!
//! ```text
//! DIR/a/linux-amd64/manifest.json, config.json
//! DIR/a/linux-amd64/layer-3/usr/bin/curl
//! DIR/b/…
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::DiskError;
use crate::diagnose::{Class, Diagnose};
use crate::diff::{DiffError, Difference, Row, Side, Which, differing_files};

/// The longest name of a file, in bytes.
const LONGEST: usize = 255;

/// Why the files cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DiffFilesError {
    /// The folder holds something.
    #[error("{} is not empty: nothing in it is replaced", .0.display())]
    Occupied(PathBuf),
    /// The disk refuses.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A layer cannot be read.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// The content of a file cannot be read.
    #[error("cannot read {path} of {which}: {source}")]
    Content {
        /// Which file.
        path: String,
        /// Of which image.
        which: Which,
        /// Why.
        source: io::Error,
    },
}

impl Diagnose for DiffFilesError {
    fn class(&self) -> Class {
        match self {
            Self::Occupied(_) | Self::Content { .. } => Class::Usage,
            Self::Disk(error) => error.class(),
            Self::Diff(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Occupied(_) => Some("name a new folder with --report-dir".to_owned()),
            Self::Disk(error) => error.hint(),
            _ => None,
        }
    }
}

/// Refuses a folder that holds something, before work is done in vain.
///
/// # Errors
/// [`DiffFilesError::Occupied`]; [`DiffFilesError::Disk`] if it cannot be looked into.
pub fn check(folder: &Path) -> Result<(), DiffFilesError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(DiffFilesError::Occupied(folder.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(DiskError::at("look into", folder)(error).into()),
    }
}

/// Writes documents and files in which `difference` says that the sides differ; the folder is new or empty.
///
/// # Errors
/// [`DiffFilesError`]; what was written until then stays.
pub fn write(
    folder: &Path,
    sides: [&Side<'_>; 2],
    difference: &Difference,
) -> Result<(), DiffFilesError> {
    check(folder)?;
    for (side, which) in sides.into_iter().zip([Which::A, Which::B]) {
        let folder = folder.join(match which {
            Which::A => "a",
            Which::B => "b",
        });
        documents(&folder, side, difference)?;
        differing_files(side, which, difference, |platform, row, layer, content| {
            let folder = folder
                .join(safe(platform.as_bytes()))
                .join(format!("layer-{layer}"));
            let path = below(&folder, &row.path);
            file(&path, |out| io::copy(content, out)).map_err(|failed| failed.of(row, which))
        })?;
    }
    Ok(())
}

fn documents(
    folder: &Path,
    side: &Side<'_>,
    difference: &Difference,
) -> Result<(), DiffFilesError> {
    let bytes = |path: &Path, mut bytes: &[u8]| {
        file(path, |out| io::copy(&mut bytes, out)).map_err(Failed::disk)
    };
    if !difference.index.is_empty() {
        bytes(&folder.join("top.json"), &side.documents.bytes)?;
    }
    for image in &side.documents.images {
        let Some(platform) = difference.platforms.get(&image.platform) else {
            continue;
        };
        if platform.digests[0] != platform.digests[1] {
            let folder = folder.join(safe(image.platform.as_bytes()));
            bytes(&folder.join("manifest.json"), &image.manifest_bytes)?;
            bytes(&folder.join("config.json"), &image.config_bytes)?;
        }
    }
    Ok(())
}

/// Why one file was not written: its source, or the disk.
enum Failed {
    Read(io::Error),
    Disk(DiskError),
}

impl Failed {
    fn of(self, row: &Row, which: Which) -> DiffFilesError {
        match self {
            Self::Disk(error) => error.into(),
            Self::Read(source) => DiffFilesError::Content {
                path: row.path.clone(),
                which,
                source,
            },
        }
    }

    fn disk(self) -> DiffFilesError {
        match self {
            Self::Disk(error) => error.into(),
            Self::Read(source) => DiskError::at("copy", Path::new("a document"))(source).into(),
        }
    }
}

/// Makes a file that is not there yet, with its folders.
fn file(
    path: &Path,
    copy: impl FnOnce(&mut dyn io::Write) -> io::Result<u64>,
) -> Result<(), Failed> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|error| Failed::Disk(DiskError::at("make the folder", folder)(error)))?;
    }
    // Never through a link, never over something.
    let made = File::create_new(path);
    let made = made.map_err(|error| Failed::Disk(DiskError::at("make", path)(error)))?;
    let mut out = Writing {
        file: made,
        failed: None,
    };
    let copied = copy(&mut out);
    match (copied, out.failed) {
        (_, Some(error)) => Err(Failed::Disk(DiskError::at("write", path)(error))),
        (Err(error), None) => Err(Failed::Read(error)),
        (Ok(_), None) => Ok(()),
    }
}

/// Remembers that it was the writing that failed, and not the reading.
struct Writing {
    file: File,
    failed: Option<io::Error>,
}

impl io::Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut self.file, bytes).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed = Some(error.kind().into());
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut self.file)
    }
}

/// Returns where a path of an image goes.
fn below(folder: &Path, path: &str) -> PathBuf {
    let components = path.split('/').filter(|component| !component.is_empty());
    components.fold(folder.to_owned(), |at, component| {
        at.join(safe(component.as_bytes()))
    })
}

/// Returns a component as a name that every file system takes: other signs become `%XX`, what is too long is cut.
fn safe(component: &[u8]) -> String {
    let mut out = String::new();
    for (at, &byte) in component.iter().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric()
            || b"_-+@=,~".contains(&byte)
            // Neither hidden nor a way up.
            || (byte == b'.' && at > 0);
        if is_plain {
            out.push(char::from(byte));
        } else if byte == b'/' {
            out.push('-');
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    if out.len() > LONGEST {
        let digest = crate::oci::Digest::of(component).hex();
        out.truncate(LONGEST - 17);
        out = format!("{out}-{}", &digest[..16]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_its_folder() {
        let folder = Path::new("report");
        for (path, wanted) in [
            ("/usr/bin/curl", "report/usr/bin/curl"),
            ("/../x", "report/%2E./x"),
            ("//./x", "report/%2E/x"),
            ("/.bashrc", "report/%2Ebashrc"),
            ("/a b\\x1b", "report/a%20b%5Cx1b"),
        ] {
            assert_eq!(below(folder, path), Path::new(wanted));
        }
        let long = "é".repeat(200);
        assert!(safe(long.as_bytes()).len() <= LONGEST);
        assert_ne!(safe(long.as_bytes()), safe("é".repeat(201).as_bytes()));
    }
}
