//! Users and groups of an image: passwd, group, shadow and gshadow, edited as lines.
//!
//! What is already there stays byte for byte, lines that nobody understands included; only lines are added, and
//! members to the last field of a group. Numbers are chosen as `useradd` and `groupadd` choose them.

mod error;
mod ids;
mod table;
mod valid;

pub use error::AccountsError;
pub use ids::LoginDefs;

use table::Table;

/// Where an automatic number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// `SYS_UID_MIN` to `SYS_UID_MAX`, from the top: `useradd -r`.
    System,
    /// `UID_MIN` to `UID_MAX`, from the bottom.
    Regular,
}

/// Whose habits a new line follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `useradd` and `groupadd` of the Fedora family: password `!!`.
    Useradd,
    /// `systemd-sysusers`: password `!*`.
    Sysusers,
}

/// The primary group of a new user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Primary {
    /// A group of the user's name, made if it is not there, with the user's number if that is free.
    Own,
    /// A group of the user's name with exactly this number, made if it is not there.
    OwnWith(u32),
    /// An existing group, by name.
    Named(String),
    /// A number. `useradd -g` wants the group to exist, so it must.
    Numbered(u32),
}

/// A user to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// Login name.
    pub name: String,
    /// Number, or the next free one of `range`.
    pub uid: Option<u32>,
    /// Primary group.
    pub group: Primary,
    /// Comment, usually the full name.
    pub gecos: String,
    /// Home directory; not made here.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Names of further groups, which must exist.
    pub supplementary: Vec<String>,
    /// Where an automatic number comes from, and whether the password ages.
    pub range: Range,
    /// Whose habits the lines follow.
    pub tool: Tool,
}

impl NewUser {
    /// Describes the user that `useradd --uid UID NAME` makes on the Fedora family: a group of its own with the
    /// same number, home `/home/NAME`, shell `/bin/bash` (`SHELL` of its `/etc/default/useradd`), locked.
    #[must_use]
    pub fn regular(name: &str, uid: u32) -> Self {
        Self {
            name: name.to_owned(),
            uid: Some(uid),
            group: Primary::OwnWith(uid),
            gecos: String::new(),
            home: format!("/home/{name}"),
            shell: "/bin/bash".to_owned(),
            supplementary: Vec::new(),
            range: Range::Regular,
            tool: Tool::Useradd,
        }
    }
}

/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// User number.
    pub uid: u32,
    /// Primary group number.
    pub gid: u32,
    /// Comment.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// The bytes of the four files; none where the image has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFiles {
    /// `/etc/passwd`
    pub passwd: Vec<u8>,
    /// `/etc/group`
    pub group: Vec<u8>,
    /// `/etc/shadow`
    pub shadow: Option<Vec<u8>>,
    /// `/etc/gshadow`
    pub gshadow: Option<Vec<u8>>,
}

/// The accounts of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    passwd: Table,
    group: Table,
    shadow: Option<Table>,
    gshadow: Option<Table>,
    defs: LoginDefs,
    day: Option<u32>,
    changed: bool,
}

impl Accounts {
    /// Reads the files; what is not a line of an account is kept and otherwise ignored.
    ///
    /// passwd(5), group(5), shadow(5), gshadow(5).
    #[must_use]
    pub fn parse(
        passwd: &[u8],
        group: &[u8],
        shadow: Option<&[u8]>,
        gshadow: Option<&[u8]>,
    ) -> Self {
        Self {
            passwd: Table::parse(passwd),
            group: Table::parse(group),
            shadow: shadow.map(Table::parse),
            gshadow: gshadow.map(Table::parse),
            defs: LoginDefs::default(),
            day: None,
            changed: false,
        }
    }

    /// Takes the ranges of numbers from the image's `/etc/login.defs`.
    #[must_use]
    pub fn with_login_defs(mut self, defs: LoginDefs) -> Self {
        self.defs = defs;
        self
    }

    /// Sets the day, counted from 1970-01-01, that new shadow lines give as that of the last password change.
    ///
    /// Without it the field stays empty: `useradd` writes today, which no two builds would share.
    #[must_use]
    pub fn with_shadow_day(mut self, day: Option<u32>) -> Self {
        self.day = day;
        self
    }

    /// Returns the number ranges in use.
    #[must_use]
    pub fn login_defs(&self) -> &LoginDefs {
        &self.defs
    }

    /// Returns the number of the user `name`.
    #[must_use]
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.passwd.number(name)
    }

    /// Returns the number of the group `name`.
    #[must_use]
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.group.number(name)
    }

    /// Returns the name of the first user with this number.
    #[must_use]
    pub fn user_name(&self, uid: u32) -> Option<String> {
        self.passwd.name_of(uid)
    }

    /// Returns the name of the first group with this number.
    #[must_use]
    pub fn group_name(&self, gid: u32) -> Option<String> {
        self.group.name_of(gid)
    }

    /// Returns what passwd says of `name`; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<User> {
        let fields = self.passwd.fields(name)?;
        let text = |at: usize| {
            String::from_utf8_lossy(fields.get(at).copied().unwrap_or_default()).into_owned()
        };
        Some(User {
            uid: text(2).parse().ok()?,
            gid: text(3).parse().ok()?,
            gecos: text(4),
            home: text(5),
            shell: text(6),
        })
    }

    /// Adds a group, or finds it there with the same number, and returns its number.
    ///
    /// # Errors
    /// [`AccountsError::Name`], [`AccountsError::GidTaken`], [`AccountsError::OtherGid`], [`AccountsError::Full`].
    pub fn add_group(
        &mut self,
        name: &str,
        gid: Option<u32>,
        range: Range,
        tool: Tool,
    ) -> Result<u32, AccountsError> {
        valid::name(name)?;
        if let Some(found) = self.gid(name) {
            return match gid {
                Some(wanted) if wanted != found => Err(AccountsError::OtherGid {
                    name: name.to_owned(),
                    wanted,
                    found,
                }),
                _ => Ok(found),
            };
        }
        let gid = match gid {
            Some(gid) => gid,
            None => self.defs.free_gid(name, &self.group, range, None)?,
        };
        if let Some(holder) = self.group_name(gid) {
            return Err(AccountsError::GidTaken {
                name: name.to_owned(),
                gid,
                holder,
            });
        }
        self.group.append(format!("{name}:x:{gid}:"));
        if let Some(gshadow) = &mut self.gshadow {
            let password = match tool {
                Tool::Useradd => "!",
                Tool::Sysusers => "!*",
            };
            gshadow.append(format!("{name}:{password}::"));
        }
        self.changed = true;
        Ok(gid)
    }

    /// Adds a user and, if asked, a group of its own; a user of that name and number is left as it is.
    ///
    /// Returns its number. Homes, mail spools, subuid and subgid are not touched.
    ///
    /// # Errors
    /// [`AccountsError`]; nothing is changed then.
    pub fn add_user(&mut self, new: &NewUser) -> Result<u32, AccountsError> {
        valid::user(new)?;
        let before = self.clone();
        let added = self.try_add_user(new);
        if added.is_err() {
            *self = before;
        }
        added
    }

    fn try_add_user(&mut self, new: &NewUser) -> Result<u32, AccountsError> {
        let name = &new.name;
        if let Some(found) = self.uid(name) {
            return match new.uid {
                Some(wanted) if wanted != found => Err(AccountsError::OtherUid {
                    name: name.clone(),
                    wanted,
                    found,
                }),
                _ => Ok(found),
            };
        }
        let uid = match new.uid {
            Some(uid) => uid,
            None => self.defs.free_uid(name, &self.passwd, new.range)?,
        };
        if let Some(holder) = self.user_name(uid) {
            return Err(AccountsError::UidTaken {
                name: name.clone(),
                uid,
                holder,
            });
        }
        let no_group = |group: &str| AccountsError::NoGroup {
            user: name.clone(),
            group: group.to_owned(),
        };
        let gid = match &new.group {
            Primary::Named(group) => self.gid(group).ok_or_else(|| no_group(group))?,
            Primary::Numbered(gid) => match self.group_name(*gid) {
                Some(_) => *gid,
                None => return Err(no_group(&gid.to_string())),
            },
            Primary::OwnWith(gid) => self.add_group(name, Some(*gid), new.range, new.tool)?,
            Primary::Own => match self.gid(name) {
                Some(gid) => gid,
                None => {
                    let gid = self
                        .defs
                        .free_gid(name, &self.group, new.range, Some(uid))?;
                    self.add_group(name, Some(gid), new.range, new.tool)?
                }
            },
        };
        self.append_user(new, uid, gid);
        for group in &new.supplementary {
            if self.gid(group).is_none() {
                return Err(no_group(group));
            }
            self.add_member(name, group)?;
        }
        Ok(uid)
    }

    fn append_user(&mut self, new: &NewUser, uid: u32, gid: u32) {
        let NewUser {
            name,
            gecos,
            home,
            shell,
            ..
        } = new;
        let locked = match new.tool {
            Tool::Useradd => "!!",
            Tool::Sysusers => "!*",
        };
        let hidden = if self.shadow.is_some() { "x" } else { locked };
        self.passwd.append(format!(
            "{name}:{hidden}:{uid}:{gid}:{gecos}:{home}:{shell}"
        ));
        if let Some(shadow) = &mut self.shadow {
            let day = self.day.map(|day| day.to_string()).unwrap_or_default();
            // System accounts do not age: useradd.c, new_spent().
            let ages = match new.range {
                Range::System => "::".to_owned(),
                Range::Regular => self.defs.ages(),
            };
            shadow.append(format!("{name}:{locked}:{day}:{ages}:::"));
        }
        self.changed = true;
    }

    /// Makes the user a member of the group, if it is not yet.
    ///
    /// # Errors
    /// [`AccountsError::NoUser`], [`AccountsError::NoGroup`].
    pub fn add_member(&mut self, user: &str, group: &str) -> Result<(), AccountsError> {
        if self.uid(user).is_none() {
            return Err(AccountsError::NoUser {
                user: user.to_owned(),
                group: group.to_owned(),
            });
        }
        if self.gid(group).is_none() {
            return Err(AccountsError::NoGroup {
                user: user.to_owned(),
                group: group.to_owned(),
            });
        }
        self.changed |= self.group.add_member(group, user);
        if let Some(gshadow) = &mut self.gshadow {
            self.changed |= gshadow.add_member(group, user);
        }
        Ok(())
    }

    /// Tells whether any line was added or changed.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Returns the bytes of the files.
    #[must_use]
    pub fn files(&self) -> AccountFiles {
        AccountFiles {
            passwd: self.passwd.bytes(),
            group: self.group.bytes(),
            shadow: self.shadow.as_ref().map(Table::bytes),
            gshadow: self.gshadow.as_ref().map(Table::bytes),
        }
    }
}

#[cfg(test)]
mod tests;
