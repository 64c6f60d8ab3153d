//! The database of installed packages: `rpmdb.sqlite`, read from a base and written so that rpm cannot tell.

mod blob;
mod error;
mod index;
mod read;
mod rich;
mod wal;
mod write;

pub use self::blob::{InstallFacts, merge};
pub use self::error::{DatabaseError, WalError};
pub use self::read::read;
pub use self::write::write;

use super::header::Header;
use super::selection::FileState;
use super::tag;

/// Folders that hold the database, relative to the root: where Amazon Linux and CentOS have it, then Fedora and SUSE.
pub const FOLDERS: [&str; 2] = ["var/lib/rpm", "usr/lib/sysimage/rpm"];
/// The database's file name.
pub const MAIN: &str = "rpmdb.sqlite";
/// Its write-ahead log.
pub const LOG: &str = "rpmdb.sqlite-wal";
/// What else may lie beside it and must not outlive it: a stale log over a new database destroys it.
pub const COMPANIONS: [&str; 3] = [LOG, "rpmdb.sqlite-shm", ".rpm.lock"];
/// Names of databases of formats that are recognised and refused.
pub const OLD_MAINS: [&str; 2] = ["Packages", "Packages.db"];

/// A package in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its number there.
    pub number: u32,
    /// Its header, with what its installation added.
    pub header: Header,
}

/// A database as it was read.
#[derive(Clone, Debug, Default)]
pub struct Database {
    /// Its packages, by number.
    pub packages: Vec<Installed>,
    /// The highest number ever given to a package.
    pub last_number: u32,
}

/// A package to be added: its two headers and the states of its files.
#[derive(Clone, Copy, Debug)]
pub struct Added<'a> {
    /// The signature header.
    pub signature: &'a Header,
    /// The header.
    pub header: &'a Header,
    /// A state for each file.
    pub states: &'a [FileState],
}

impl Database {
    /// Adds packages in this order, numbered as rpm would go on.
    ///
    /// # Errors
    /// [`DatabaseError`] if the headers of a package do not fit together.
    pub fn add(
        &mut self,
        packages: &[Added<'_>],
        facts: InstallFacts,
    ) -> Result<(), DatabaseError> {
        for package in packages {
            let header = merge(package.signature, package.header, package.states, facts)?;
            self.last_number = self
                .last_number
                .checked_add(1)
                .ok_or_else(|| DatabaseError::Number(i64::from(self.last_number) + 1))?;
            self.packages.push(Installed {
                number: self.last_number,
                header,
            });
        }
        Ok(())
    }

    /// Removes the packages for which `goes` holds, and returns them.
    pub fn remove(&mut self, goes: impl Fn(&Header) -> bool) -> Vec<Installed> {
        let (gone, kept) = std::mem::take(&mut self.packages)
            .into_iter()
            .partition(|package| goes(&package.header));
        self.packages = kept;
        gone
    }

    /// Returns the colours that the latest package was installed for; 0 if there is none.
    ///
    /// rpm takes them from its configuration, which knows the machine; the base's packages tell the same.
    #[must_use]
    pub fn color(&self) -> u32 {
        let colors = |package: &Installed| package.header.u32(tag::INSTALLCOLOR);
        self.packages.iter().rev().find_map(colors).unwrap_or(0)
    }

    /// Writes it as [`write()`] does.
    ///
    /// # Errors
    /// As for [`write()`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, DatabaseError> {
        write(&self.packages, self.last_number)
    }
}
