//! Which number a new account gets: the ranges of login.defs and the search of shadow's `find_new_uid.c`.

use std::collections::BTreeSet;

use super::table::Table;
use super::{AccountsError, Range};

/// The values of `/etc/login.defs` that decide about numbers and password ages; login.defs(5).
///
/// The default is what the Fedora family ships.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginDefs {
    /// `UID_MIN` and `UID_MAX`.
    pub uid: (u32, u32),
    /// `GID_MIN` and `GID_MAX`.
    pub gid: (u32, u32),
    /// `SYS_UID_MIN` and `SYS_UID_MAX`.
    pub system_uid: (u32, u32),
    /// `SYS_GID_MIN` and `SYS_GID_MAX`.
    pub system_gid: (u32, u32),
    /// `PASS_MIN_DAYS`, `PASS_MAX_DAYS`, `PASS_WARN_AGE`; a negative one leaves its field empty.
    pub ages: [i64; 3],
}

impl Default for LoginDefs {
    fn default() -> Self {
        Self {
            uid: (1000, 60000),
            gid: (1000, 60000),
            system_uid: (201, 999),
            system_gid: (201, 999),
            ages: [0, 99999, 7],
        }
    }
}

impl LoginDefs {
    /// Reads the file; keys that are missing or not numbers keep the Fedora family's value.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut defs = Self::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            let mut words = line.split_whitespace();
            let (Some(key), Some(value)) = (words.next(), words.next()) else {
                continue;
            };
            if let Ok(id) = value.parse() {
                match key {
                    "UID_MIN" => defs.uid.0 = id,
                    "UID_MAX" => defs.uid.1 = id,
                    "GID_MIN" => defs.gid.0 = id,
                    "GID_MAX" => defs.gid.1 = id,
                    "SYS_UID_MIN" => defs.system_uid.0 = id,
                    "SYS_UID_MAX" => defs.system_uid.1 = id,
                    "SYS_GID_MIN" => defs.system_gid.0 = id,
                    "SYS_GID_MAX" => defs.system_gid.1 = id,
                    _ => {}
                }
            }
            if let Ok(days) = value.parse() {
                match key {
                    "PASS_MIN_DAYS" => defs.ages[0] = days,
                    "PASS_MAX_DAYS" => defs.ages[1] = days,
                    "PASS_WARN_AGE" => defs.ages[2] = days,
                    _ => {}
                }
            }
        }
        defs
    }

    /// Returns fields 4 to 6 of a shadow line.
    pub(super) fn ages(&self) -> String {
        self.ages
            .map(|days| {
                if days < 0 {
                    String::new()
                } else {
                    days.to_string()
                }
            })
            .join(":")
    }

    pub(super) fn free_uid(
        &self,
        name: &str,
        passwd: &Table,
        range: Range,
    ) -> Result<u32, AccountsError> {
        let limits = match range {
            Range::System => self.system_uid,
            Range::Regular => self.uid,
        };
        search(name, passwd, range, limits)
    }

    /// Returns a free group number: `preferred` if it is free and in range.
    pub(super) fn free_gid(
        &self,
        name: &str,
        group: &Table,
        range: Range,
        preferred: Option<u32>,
    ) -> Result<u32, AccountsError> {
        let limits = match range {
            Range::System => self.system_gid,
            Range::Regular => self.gid,
        };
        match preferred {
            Some(id)
                if (limits.0..=limits.1).contains(&id) && !group.numbers().any(|n| n == id) =>
            {
                Ok(id)
            }
            _ => search(name, group, range, limits),
        }
    }
}

/// Searches as `find_new_uid` and `find_new_gid` do: below the lowest number in use, or above the highest, and
/// only then for gaps.
fn search(
    name: &str,
    table: &Table,
    range: Range,
    (min, max): (u32, u32),
) -> Result<u32, AccountsError> {
    let used: BTreeSet<u32> = table
        .numbers()
        .filter(|id| (min..=max).contains(id))
        .collect();
    let free = |id: &u32| !used.contains(id);
    let found = match range {
        Range::System => match used.first() {
            Some(&lowest) if lowest > min => Some(lowest - 1),
            _ => (min..=max).rev().find(free),
        },
        Range::Regular => match used.last() {
            Some(&highest) if highest < max => Some(highest + 1),
            _ => (min..=max).find(free),
        },
    };
    found.ok_or_else(|| AccountsError::Full {
        name: name.to_owned(),
        min,
        max,
    })
}
