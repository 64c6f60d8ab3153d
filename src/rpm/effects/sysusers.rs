//! Users and groups as sysusers.d declares them, numbered as `systemd-sysusers` does.
//!
//! <https://www.freedesktop.org/software/systemd/man/latest/sysusers.d.html>

use crate::accounts::{Accounts, AccountsError, NewUser, Primary, Range, Tool};
use crate::diagnose::{Class, Diagnose};

/// The shell of users that name none.
const NOLOGIN: &str = "/usr/sbin/nologin";

/// Why declarations cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SysusersError {
    /// A line is not one of sysusers.d.
    #[error("{file}:{line}: {what}")]
    Line {
        /// Which file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// No number is left in the range.
    #[error("sysusers.d: no free number for `{0}`")]
    Full(String),
    /// The account cannot be made.
    #[error("sysusers.d: {0}")]
    Accounts(#[from] AccountsError),
}

impl Diagnose for SysusersError {
    fn class(&self) -> Class {
        Class::Usage
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct UserLine {
    uid: Option<u32>,
    /// A number or a name after the colon.
    group: Option<String>,
    gecos: String,
    home: String,
    shell: String,
}

/// Declarations of one or more files: the first for a name counts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Declarations {
    users: Ordered<UserLine>,
    groups: Ordered<Option<u32>>,
    /// Group, then user.
    members: Vec<(String, String)>,
    ranges: Vec<(u32, u32)>,
}

/// Values by name, in the order they came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ordered<T>(Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ordered<T> {
    fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    fn add(&mut self, name: String, value: T) {
        if self.get(&name).is_none() {
            self.0.push((name, value));
        }
    }
}

impl Declarations {
    /// Adds the lines of a file.
    ///
    /// # Errors
    /// [`SysusersError::Line`] for what is not a line of sysusers.d, or names what only a running system knows.
    pub fn add(&mut self, file: &str, bytes: &[u8]) -> Result<(), SysusersError> {
        let text = String::from_utf8_lossy(bytes);
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line.starts_with(';') {
                continue;
            }
            let fields = split(line).ok_or("a quote is not closed");
            fields
                .and_then(|fields| self.line(&fields))
                .map_err(|what| SysusersError::Line {
                    file: file.to_owned(),
                    line: at + 1,
                    what,
                })?;
        }
        Ok(())
    }

    fn line(&mut self, fields: &[String]) -> Result<(), &'static str> {
        let [kind, rest @ ..] = fields else {
            return Err("wanted a type and a name");
        };
        let mut values = Vec::new();
        for field in rest {
            values.push(match field.as_str() {
                "" | "-" => None,
                text => Some(expand(text)?),
            });
        }
        let value = |at: usize| values.get(at).cloned().flatten();
        if kind == "r" {
            let range = value(1).ok_or("wanted a range of numbers")?;
            let (from, to) = range.split_once('-').unwrap_or((&range, &range));
            match (from.parse(), to.parse()) {
                (Ok(from), Ok(to)) if from <= to => self.ranges.push((from, to)),
                _ => return Err("wanted a range of numbers"),
            }
            return Ok(());
        }
        let name = value(0).ok_or("wanted a name")?;
        match kind.as_str() {
            "u" | "u!" => {
                let mut user = UserLine {
                    gecos: value(2).unwrap_or_default(),
                    home: value(3).unwrap_or_else(|| "/".to_owned()),
                    shell: value(4).unwrap_or_else(|| NOLOGIN.to_owned()),
                    ..UserLine::default()
                };
                if let Some(id) = value(1) {
                    let (uid, group) = match id.split_once(':') {
                        Some((uid, group)) => (uid, Some(group.to_owned())),
                        None => (id.as_str(), None),
                    };
                    if uid != "-" {
                        user.uid = Some(number(uid)?);
                    }
                    user.group = group;
                }
                self.users.add(name, user);
            }
            "g" => {
                let gid = value(1).map(|id| number(&id)).transpose()?;
                self.groups.add(name, gid);
            }
            "m" => {
                let group = value(1).ok_or("wanted a group")?;
                self.members.push((group, name));
            }
            _ => return Err("wanted u, u!, g, m or r"),
        }
        Ok(())
    }

    /// Makes what is declared and not there yet: groups first, then users, then members.
    ///
    /// # Errors
    /// [`SysusersError`]
    pub fn apply(&self, accounts: &mut Accounts) -> Result<(), SysusersError> {
        let mut wanted = self.clone();
        // Users and groups of `m` lines are declared by them, group by group.
        let mut by_group: Ordered<Vec<&str>> = Ordered::default();
        for (group, user) in &self.members {
            by_group.add(group.clone(), Vec::new());
            by_group
                .0
                .iter_mut()
                .filter(|(name, _)| name == group)
                .for_each(|(_, users)| users.push(user));
        }
        for (group, users) in &by_group.0 {
            for user in users {
                let line = UserLine {
                    home: "/".to_owned(),
                    shell: NOLOGIN.to_owned(),
                    ..UserLine::default()
                };
                wanted.users.add((*user).to_owned(), line);
            }
            if wanted.users.get(group).is_none() {
                wanted.groups.add(group.clone(), None);
            }
        }
        let mut search = Search {
            ranges: if self.ranges.is_empty() {
                vec![accounts.login_defs().system_uid]
            } else {
                self.ranges.clone()
            },
            below: u32::MAX,
        };
        for (name, gid) in &wanted.groups.0 {
            group(name, *gid, accounts, &mut search)?;
        }
        for (name, line) in &wanted.users.0 {
            user(name, line, accounts, &mut search)?;
        }
        for (group, mut users) in by_group.0 {
            users.sort_unstable();
            for user in users {
                accounts.add_member(user, &group)?;
            }
        }
        Ok(())
    }
}

/// Goes through the ranges from the top, for users and groups together, and never back.
struct Search {
    ranges: Vec<(u32, u32)>,
    below: u32,
}

impl Search {
    fn next(&mut self) -> Option<u32> {
        let next = self
            .ranges
            .iter()
            .filter(|(from, _)| *from < self.below)
            .map(|(_, to)| (*to).min(self.below - 1))
            .max()?;
        self.below = next;
        Some(next)
    }

    /// Returns the next number that neither a user nor a group of another name has.
    fn free(&mut self, name: &str, accounts: &Accounts) -> Result<u32, SysusersError> {
        loop {
            let id = self
                .next()
                .ok_or_else(|| SysusersError::Full(name.to_owned()))?;
            if is_free(id, name, accounts) {
                return Ok(id);
            }
        }
    }
}

fn is_free(id: u32, name: &str, accounts: &Accounts) -> bool {
    let other = |holder: Option<String>| holder.is_some_and(|holder| holder != name);
    !other(accounts.user_name(id)) && !other(accounts.group_name(id))
}

fn group(
    name: &str,
    wanted: Option<u32>,
    accounts: &mut Accounts,
    search: &mut Search,
) -> Result<u32, SysusersError> {
    if let Some(gid) = accounts.gid(name) {
        return Ok(gid);
    }
    let gid = match wanted.filter(|gid| is_free(*gid, name, accounts)) {
        Some(gid) => gid,
        None => search.free(name, accounts)?,
    };
    Ok(accounts.add_group(name, Some(gid), Range::System, Tool::Sysusers)?)
}

fn user(
    name: &str,
    line: &UserLine,
    accounts: &mut Accounts,
    search: &mut Search,
) -> Result<(), SysusersError> {
    if accounts.uid(name).is_some() {
        return Ok(());
    }
    let (gid, primary) = match &line.group {
        None => {
            let gid = group(name, line.uid, accounts, search)?;
            (Some(gid), Primary::Own)
        }
        Some(group) => match group.parse() {
            Ok(gid) => (None, Primary::Numbered(gid)),
            Err(_) => (accounts.gid(group), Primary::Named(group.clone())),
        },
    };
    // `UID:GROUP` is meant as it is written; a mere number is a suggestion.
    let strict = line.group.is_some();
    let suggested = line
        .uid
        .filter(|uid| strict || is_free(*uid, name, accounts));
    let own = gid.filter(|gid| is_free(*gid, name, accounts));
    let uid = match suggested.or(own) {
        Some(uid) => uid,
        None => search.free(name, accounts)?,
    };
    accounts.add_user(&NewUser {
        name: name.to_owned(),
        uid: Some(uid),
        group: primary,
        gecos: line.gecos.clone(),
        home: line.home.clone(),
        shell: line.shell.clone(),
        supplementary: Vec::new(),
        range: Range::System,
        tool: Tool::Sysusers,
    })?;
    Ok(())
}

fn number(text: &str) -> Result<u32, &'static str> {
    if text.starts_with('/') {
        return Err("a number taken from the owner of a path is not supported");
    }
    text.parse().map_err(|_| "wanted a number")
}

/// Replaces `%%`; other specifiers name the running system.
fn expand(text: &str) -> Result<String, &'static str> {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '%' && rest.next() != Some('%') {
            return Err("a specifier names what only a running system knows");
        }
        out.push(c);
    }
    Ok(out)
}

/// Splits at blanks outside quotes.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (_, '\\') => word.get_or_insert_default().push(rest.next()?),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn applied(text: &str) -> Result<String, SysusersError> {
        let mut accounts = Accounts::parse(b"root:x:0:0:::\n", b"root:x:0:\n", None, None);
        let mut declarations = Declarations::default();
        declarations.add("x.conf", text.as_bytes())?;
        declarations.apply(&mut accounts)?;
        Ok(String::from_utf8_lossy(&accounts.files().passwd).into_owned())
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for (text, wanted) in [
            ("\nx a", "x.conf:2: wanted u, u!, g, m or r"),
            ("u", "x.conf:1: wanted a name"),
            ("u a \"b", "x.conf:1: a quote is not closed"),
            ("u a x", "x.conf:1: wanted a number"),
            ("r - 9-1", "x.conf:1: wanted a range of numbers"),
            ("m a", "x.conf:1: wanted a group"),
            (
                "u a - %H",
                "x.conf:1: a specifier names what only a running system knows",
            ),
            (
                "u a /etc/passwd",
                "x.conf:1: a number taken from the owner of a path is not supported",
            ),
            (
                "u a 5:nope",
                "sysusers.d: user `a`: there is no group `nope`",
            ),
            ("r - 0\nu a", "sysusers.d: no free number for `a`"),
        ] {
            let error = applied(text).expect_err(text);
            assert_eq!(error.to_string(), wanted);
        }
    }

    #[test]
    fn a_field_cannot_break_out_of_its_line() {
        for text in [
            "u a:b",
            "u \"a b\"",
            "u a - \"x:y\"",
            "u a - - /h:/bin/sh",
            "u a - - relative",
        ] {
            assert!(applied(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[ugmr!] [a-z%\"\\\\:0-9 -]{0,30}\n.{0,20}") {
            let _ = applied(&text);
        }
    }
}
