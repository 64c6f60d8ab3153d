//! Writes beside the target and moves into place, so that there is the old, the new or nothing, never half.
//!
//! What is being written lies in the target's folder as `.imgbuild-<of the target's name>-<random>`, locked by its
//! writer. A killed writer's lock is gone with it, so the next writer to the same target can remove what it left.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use rustix::io::Errno;

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

    /// Returns which folder is there, if there is one.
    fn inode(&self) -> Result<Option<u64>, LayoutError> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::at("look at", &self.path)(error).into()),
            Ok(meta) if meta.is_dir() => Ok(Some(meta.ino())),
            Ok(_) => {
                let why = "it is not a folder".to_owned();
                Err(LayoutError::Occupied {
                    path: self.path.clone(),
                    why,
                })
            }
        }
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
        let mut races = 0;
        loop {
            races += 1;
            let (temp, lock) = match make(tempfile::Builder::new().prefix(&self.prefix)) {
                Ok(made) => made,
                // Another writer may have swept it while it was made.
                Err(error) if error.kind() == io::ErrorKind::NotFound && races < RACES => continue,
                Err(error) => return Err(failed(error)),
            };
            let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive);
            // Some network disks have no locks; then nothing is swept either.
            let being_swept = locked == Err(Errno::WOULDBLOCK);
            let ours = lock.metadata().map_err(failed)?.ino();
            let there = fs::symlink_metadata(temp.as_ref()).is_ok_and(|meta| meta.ino() == ours);
            if (there && !being_swept) || races >= RACES {
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

/// How often to look again when another writer changes the target at the same moment.
const RACES: usize = 64;

impl Stage<tempfile::TempDir> {
    /// Moves the folder into place, over a layout or an empty folder that is there.
    pub(super) fn into_place(self, target: &Target) -> Result<(), LayoutError> {
        sync_folder(self.temp.path());
        for round in 0.. {
            let there = replaceable(target)?;
            // In one step: a reader finds the old one or the new one.
            let flags = if there {
                RenameFlags::EXCHANGE
            } else {
                RenameFlags::NOREPLACE
            };
            match renameat_with(CWD, self.temp.path(), CWD, &target.path, flags) {
                Ok(()) => break,
                Err(Errno::EXIST | Errno::NOENT) if round < RACES => {}
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    self.in_two_steps(target, there)?;
                    break;
                }
                Err(error) => {
                    return Err(DiskError::at("rename into", &target.path)(error.into()).into());
                }
            }
        }
        sync_folder(&target.parent);
        // After an exchange the old one has the temporary name. Another writer may be removing it too, and what
        // cannot be removed now is removed by the next one: no reason to call a good image a failure.
        let left = self.temp.keep();
        drop(self.lock);
        let _ = remove(&left);
        Ok(())
    }

    /// Moves the folder into place on disks that cannot exchange two names: between the steps there is none.
    fn in_two_steps(&self, target: &Target, there: bool) -> Result<(), DiskError> {
        let into = |error: io::Error| DiskError::at("rename into", &target.path)(error);
        if !there {
            return fs::rename(self.temp.path(), &target.path).map_err(into);
        }
        let aside = target.folder()?;
        let old = aside.path().join("old");
        fs::rename(&target.path, &old).map_err(into)?;
        fs::rename(self.temp.path(), &target.path).map_err(|error| {
            // Back, so that there is the old one; if that fails too, it is kept where it is.
            if fs::rename(&old, &target.path).is_err() {
                let _ = aside.temp.keep();
            }
            into(error)
        })
    }
}

/// Tells whether something is there that may be replaced; what may not is an error.
pub(super) fn replaceable(target: &Target) -> Result<bool, LayoutError> {
    for _ in 0..RACES {
        let Some(before) = target.inode()? else {
            return Ok(false);
        };
        let verdict = is_layout(&target.path);
        // Another writer may have put another folder there, and be removing the one that was read.
        if target.inode()? == Some(before) {
            return verdict.map(|()| true);
        }
    }
    let why = "other writers replace it all the time".to_owned();
    Err(LayoutError::Occupied {
        path: target.path.clone(),
        why,
    })
}

/// Tells that a folder is empty or holds an OCI layout and nothing else.
fn is_layout(path: &Path) -> Result<(), LayoutError> {
    let occupied = |why: String| LayoutError::Occupied {
        path: path.to_owned(),
        why,
    };
    let unreadable = |error| LayoutError::from(DiskError::at("read the folder", path)(error));
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name());
    }
    // One foreign file is enough: a layout written into a project's folder must not take the project with it.
    let parts = ["oci-layout", "index.json", "blobs"];
    if let Some(name) = names
        .iter()
        .find(|name| !parts.iter().any(|part| name == part))
    {
        return Err(occupied(format!(
            "it holds `{}`, which is no part of an OCI layout",
            name.display()
        )));
    }
    if names.is_empty() || names.iter().any(|name| name == "oci-layout") {
        return Ok(());
    }
    Err(occupied(
        "it is a folder without the file `oci-layout`".to_owned(),
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_cannot_exchange_names_gets_the_new_one_and_loses_the_old_one() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = Target::new(&dir.path().join("out")).expect("a target");
        for (there, text) in [(false, "first"), (true, "second")] {
            let stage = target.folder().expect("a stage");
            fs::write(stage.path().join("oci-layout"), text).expect("written");
            stage.in_two_steps(&target, there).expect("moved");
            let read = fs::read_to_string(dir.path().join("out/oci-layout")).expect("there");
            assert_eq!(read, text);
        }
        let names = fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(names, 1);
    }

    #[test]
    fn what_cannot_be_moved_in_puts_the_old_one_back() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = Target::new(&dir.path().join("out")).expect("a target");
        fs::create_dir(dir.path().join("out")).expect("made");
        fs::write(dir.path().join("out/oci-layout"), "old").expect("written");
        let stage = target.folder().expect("a stage");
        fs::remove_dir(stage.path()).expect("removed");
        stage
            .in_two_steps(&target, true)
            .expect_err("there is nothing to move in");
        let read = fs::read_to_string(dir.path().join("out/oci-layout")).expect("there");
        assert_eq!(read, "old");
    }
}
