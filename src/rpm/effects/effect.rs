//! What a scriptlet would have done to the image, as data.

use crate::accounts::{NewUser, Range};

/// One change that a scriptlet makes, or a choice between changes that only the image decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `groupadd`
    AddGroup {
        /// Its name.
        name: String,
        /// Its number, or the next free one.
        gid: Option<u32>,
        /// Where an automatic number comes from.
        range: Range,
        /// `--force`: with a number that is taken, take another.
        force: bool,
    },
    /// `useradd`
    AddUser(NewUser),
    /// `usermod -aG`, `gpasswd -a`
    AddMember {
        /// Who.
        user: String,
        /// Joins which group.
        group: String,
    },
    /// `systemd-sysusers`
    Sysusers(Sysusers),
    /// `alternatives --install`
    Alternative(Alternative),
    /// `alternatives --remove NAME PATH`
    AlternativeRemoved {
        /// Name of the group of alternatives.
        name: String,
        /// The choice to drop.
        path: String,
    },
    /// `ldconfig`: a new `/etc/ld.so.cache`.
    Ldconfig,
    /// `iconvconfig`: the cache of gconv modules no longer says what there is.
    IconvCache,
    /// `update-ca-trust`: certificates are extracted anew.
    TrustStore,
    /// A line of `/etc/shells`, added if it is not there.
    Shell(String),
    /// `rm -f`
    Remove(String),
    /// `mkdir -p`
    MakeDir(String),
    /// `ln -sf`
    Symlink {
        /// What it points to.
        target: String,
        /// Where it is.
        path: String,
    },
    /// One or the other, as the image decides.
    When {
        /// What is asked.
        condition: Condition,
        /// Done if so.
        then: Vec<Effect>,
        /// Done if not.
        otherwise: Vec<Effect>,
    },
}

impl Effect {
    /// Returns the tool whose work it is, for people.
    #[must_use]
    pub fn tool(&self) -> &'static str {
        match self {
            Self::AddGroup { .. } => "groupadd",
            Self::AddUser(_) => "useradd",
            Self::AddMember { .. } => "usermod",
            Self::Sysusers(_) => "systemd-sysusers",
            Self::Alternative(_) | Self::AlternativeRemoved { .. } => "alternatives",
            Self::Ldconfig => "ldconfig",
            Self::IconvCache => "iconvconfig",
            Self::TrustStore => "update-ca-trust",
            Self::Shell(_) => "a line of /etc/shells",
            Self::Remove(_) => "rm",
            Self::MakeDir(_) => "mkdir",
            Self::Symlink { .. } => "ln",
            Self::When {
                then, otherwise, ..
            } => then
                .iter()
                .chain(otherwise)
                .map(Self::tool)
                .next()
                .unwrap_or("a test without effect"),
        }
    }
}

/// What a scriptlet asks of the image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// `getent passwd NAME`
    User(String),
    /// `getent passwd UID`
    Uid(u32),
    /// `getent group NAME`
    Group(String),
    /// `getent group GID`
    Gid(u32),
    /// `[ -x PATH ]` and the like.
    Path(PathTest, String),
    /// Both.
    Both(Box<Condition>, Box<Condition>),
    /// One or the other or both.
    Either(Box<Condition>, Box<Condition>),
    /// The contrary.
    Not(Box<Condition>),
}

/// The tests of files that test(1) knows and scriptlets use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathTest {
    /// `-e`, `-r`, `-w`: something is there, its links followed.
    Exists,
    /// `-x`: a directory or an executable file.
    Executable,
    /// `-f`
    File,
    /// `-d`
    Dir,
    /// `-L`, `-h`: a symbolic link, not followed.
    Symlink,
    /// `-s`: a file that is not empty.
    NotEmpty,
}

/// What `systemd-sysusers` was told to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sysusers {
    /// Every file of the `sysusers.d` directories.
    All,
    /// These files; names without a slash are those of `sysusers.d` directories.
    Files(Vec<String>),
    /// Lines given in the script itself.
    Lines(String),
}

/// One choice of a group of alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// Name of the group: `ld`.
    pub name: String,
    /// The link that is used: `/usr/bin/ld`.
    pub link: String,
    /// What it leads to: `/usr/bin/ld.bfd`.
    pub path: String,
    /// The highest wins.
    pub priority: i32,
    /// Links that follow the choice.
    pub followers: Vec<Follower>,
    /// `--family`: choices of the same family are preferred when the best one goes.
    pub family: Option<String>,
}

/// A link that follows the choice of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Its name in `/etc/alternatives`.
    pub name: String,
    /// The link.
    pub link: String,
    /// What it leads to with this choice.
    pub path: String,
}
