//! Writes beside the target and moves into place, so that there is the old, the new or nothing, never half.
//!
//! What is being written lies in the target's folder as `.imgbuild-<of the target's name>-<random>`, locked by its
//! writer. A killed writer's lock is gone with it, so the next writer to the same target can remove what it left.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use super::error::LayoutError;
use crate::edge::disk::DiskError;
use crate::oci::Digest;

/// Where something is to be, and how what is being written there begins.
pub(super) struct Target {
    path: PathBuf,
    parent: PathBuf,
    prefix: String,
}

/// What is being written: removed when dropped before it is moved into place.
pub(super) struct Stage<T> {
    temp: T,
    /// Held for its lock.
    lock: File,
}

impl Target {
    /// Looks at where to write to, makes its folder and removes what killed writers left there.
    pub(super) fn new(path: &Path) -> Result<Self, LayoutError> {
        // Through links: what is replaced is what they lead to.
        let path = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(_) => path.to_owned(),
        };
        let occupied = |why: &str| LayoutError::Occupied {
            path: path.clone(),
            why: why.to_owned(),
        };
        let name = path
            .file_name()
            .ok_or_else(|| occupied("it has no name of its own"))?
            .to_owned();
        if path.is_symlink() {
            return Err(occupied("it is a symbolic link that leads nowhere"));
        }
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&parent).map_err(DiskError::at("make the folder", &parent))?;
        // Of the name's digest, as a long name leaves no room for more.
        let digest = Digest::of(name.as_encoded_bytes()).hex();
        let target = Self {
            path,
            parent,
            prefix: format!(".imgbuild-{}-", &digest[..12]),
        };
        target.sweep();
        Ok(target)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.parent) else {
            return;
        };
        for entry in entries.flatten() {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(self.prefix.as_bytes())
            {
                // Whoever writes it has it locked; what cannot be removed stays, and hurts nobody.
                if let Ok(file) = File::open(entry.path())
                    && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
                {
                    let _ = remove(&entry.path());
                }
            }
        }
    }

    /// Starts a folder.
    pub(super) fn folder(&self) -> Result<Stage<tempfile::TempDir>, DiskError> {
        self.start(|builder| {
            let temp = builder
                .permissions(Permissions::from_mode(0o777))
                .tempdir_in(&self.parent)?;
            owner_may(temp.path(), 0o700)?;
            let lock = File::open(temp.path())?;
            Ok((temp, lock))
        })
    }

    /// Starts a file.
    pub(super) fn file(&self) -> Result<Stage<tempfile::NamedTempFile>, DiskError> {
        self.start(|builder| {
            let temp = builder
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(&self.parent)?;
            owner_may(temp.path(), 0o600)?;
            let lock = temp.as_file().try_clone()?;
            Ok((temp, lock))
        })
    }

    fn start<T: AsRef<Path>>(
        &self,
        make: impl Fn(&mut tempfile::Builder<'_, '_>) -> io::Result<(T, File)>,
    ) -> Result<Stage<T>, DiskError> {
        let failed = |error| DiskError::at("write beside", &self.path)(error);
        loop {
            let (temp, lock) =
                make(tempfile::Builder::new().prefix(&self.prefix)).map_err(failed)?;
            // Some network disks have no locks; then nothing is swept either.
            let _ = flock(&lock, FlockOperation::NonBlockingLockExclusive);
            // Another writer may have swept it before it was locked.
            let ours = lock.metadata().map_err(failed)?.ino();
            if fs::symlink_metadata(temp.as_ref()).is_ok_and(|meta| meta.ino() == ours) {
                return Ok(Stage { temp, lock });
            }
        }
    }
}

impl<T: AsRef<Path>> Stage<T> {
    pub(super) fn path(&self) -> &Path {
        self.temp.as_ref()
    }
}

impl Stage<tempfile::NamedTempFile> {
    pub(super) fn as_file(&self) -> &File {
        self.temp.as_file()
    }

    /// Moves the file into place, over a file that is there.
    pub(super) fn into_place(self, target: &Target) -> Result<(), LayoutError> {
        self.temp
            .as_file()
            .sync_all()
            .map_err(DiskError::at("write", self.temp.path()))?;
        let into = |error: io::Error| DiskError::at("rename into", &target.path)(error);
        self.temp
            .persist(&target.path)
            .map_err(|error| into(error.error))?;
        sync_folder(&target.parent);
        drop(self.lock);
        Ok(())
    }
}

impl Stage<tempfile::TempDir> {
    /// Moves the folder into place, over a layout or an empty folder that is there.
    pub(super) fn into_place(self, target: &Target) -> Result<(), LayoutError> {
        let into = |error: io::Error| DiskError::at("rename into", &target.path)(error);
        sync_folder(self.temp.path());
        if replaceable(target)? {
            // In one step: a reader finds the old one or the new one.
            match renameat_with(
                CWD,
                self.temp.path(),
                CWD,
                &target.path,
                RenameFlags::EXCHANGE,
            ) {
                Ok(()) => {
                    // What has the temporary name now is the old one.
                    sync_folder(&target.parent);
                    let old = self.temp.keep();
                    drop(self.lock);
                    return Ok(remove(&old)
                        .map_err(DiskError::at("remove the old layout, now at", &old))?);
                }
                Err(error) if unsupported(error) => {
                    let aside = target.folder()?;
                    let old = aside.path().join("old");
                    fs::rename(&target.path, &old).map_err(into)?;
                    if let Err(error) = fs::rename(self.temp.path(), &target.path) {
                        // Back, so that there is the old one; if that fails, it is kept where it is.
                        if fs::rename(&old, &target.path).is_err() {
                            let _ = aside.temp.keep();
                        }
                        return Err(into(error).into());
                    }
                }
                Err(error) => return Err(into(error.into()).into()),
            }
        } else {
            match renameat_with(
                CWD,
                self.temp.path(),
                CWD,
                &target.path,
                RenameFlags::NOREPLACE,
            ) {
                Ok(()) => {}
                Err(error) if unsupported(error) => {
                    fs::rename(self.temp.path(), &target.path).map_err(into)?;
                }
                Err(error) => return Err(into(error.into()).into()),
            }
        }
        let _ = self.temp.keep();
        sync_folder(&target.parent);
        drop(self.lock);
        Ok(())
    }
}

fn unsupported(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Tells whether something is there that may be replaced; what may not is an error.
pub(super) fn replaceable(target: &Target) -> Result<bool, LayoutError> {
    let path = &target.path;
    let occupied = |why: String| LayoutError::Occupied {
        path: path.clone(),
        why,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(DiskError::at("look at", path)(error).into()),
        Ok(meta) if !meta.is_dir() => return Err(occupied("it is not a folder".to_owned())),
        Ok(_) => {}
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(DiskError::at("read the folder", path))? {
        names.push(
            entry
                .map_err(DiskError::at("read the folder", path))?
                .file_name(),
        );
    }
    // One foreign file is enough: a layout written into a project's folder must not take the project with it.
    let foreign = names.iter().find(|name| {
        !["oci-layout", "index.json", "blobs"]
            .iter()
            .any(|own| name == own)
    });
    match foreign {
        None if names.is_empty() || names.iter().any(|name| name == "oci-layout") => Ok(true),
        None => Err(occupied(
            "it is a folder without the file `oci-layout`".to_owned(),
        )),
        Some(name) => Err(occupied(format!(
            "it holds `{}`, which is no part of an OCI layout",
            name.display()
        ))),
    }
}

/// Adds the owner's own permissions, which a umask can take away.
pub(super) fn owner_may(path: &Path, bits: u32) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & bits == bits {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode | bits))
}

/// Asks the disk to remember names. Not every file system can, and then there is nothing to be done.
pub(super) fn sync_folder(path: &Path) {
    if let Ok(folder) = File::open(path) {
        let _ = folder.sync_all();
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}
