//! Groups of alternatives: the links in `/etc/alternatives` and their state in `/var/lib/alternatives`.
//!
//! The state file is that of chkconfig's `alternatives`, which the Fedora family has:
//! <https://github.com/fedora-sysv/chkconfig/blob/main/alternatives.c> (`readConfig`, `writeState`).

use super::effect::{Alternative, PathTest};
use super::overlay::{Overlay, OverlayError};
use crate::diagnose::{Class, Diagnose};

const LINKS: &str = "/etc/alternatives";
const STATES: &str = "/var/lib/alternatives";

/// Why alternatives cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum AlternativesError {
    /// The state file of the base is not one.
    #[error("{STATES}/{name}: line {line}: wanted {wanted}")]
    State {
        /// Name of the group.
        name: String,
        /// Counted from 1.
        line: usize,
        /// What should be there.
        wanted: &'static str,
    },
    /// Two packages want different links under one name.
    #[error("alternatives `{name}`: the link is {found}, not {wanted}")]
    Link {
        /// Name of the group.
        name: String,
        /// What is asked for.
        wanted: String,
        /// What the group has.
        found: String,
    },
    /// The image does not take the links.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
}

impl Diagnose for AlternativesError {
    fn class(&self) -> Class {
        match self {
            Self::State { .. } => Class::Integrity,
            _ => Class::Usage,
        }
    }
}

/// Whether the best choice is taken, or one that an administrator made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Auto,
    Manual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    path: String,
    priority: i32,
    family: Option<String>,
    initscript: Option<String>,
    /// A path for each follower of the group; empty where this choice has none.
    followers: Vec<String>,
}

/// A group of alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    mode: Mode,
    link: String,
    /// Name and link.
    followers: Vec<(String, String)>,
    choices: Vec<Choice>,
}

impl Group {
    /// Reads a state file.
    ///
    /// # Errors
    /// [`AlternativesError::State`]
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, AlternativesError> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().enumerate();
        let total = text.lines().count();
        let bad = |line: Option<usize>, wanted| AlternativesError::State {
            name: name.to_owned(),
            line: line.unwrap_or(total) + 1,
            wanted,
        };
        let mode = match lines.next() {
            Some((_, "auto")) => Mode::Auto,
            Some((_, "manual")) => Mode::Manual,
            _ => return Err(bad(Some(0), "`auto` or `manual`")),
        };
        let link = match lines.next() {
            Some((_, link)) if link.starts_with('/') => link.to_owned(),
            _ => return Err(bad(Some(1), "the path of the link")),
        };
        let mut followers = Vec::new();
        loop {
            match lines.next() {
                None | Some((_, "")) => break,
                Some((at, name)) => match lines.next() {
                    Some((_, link)) if link.starts_with('/') => {
                        followers.push((name.to_owned(), link.to_owned()));
                    }
                    _ => return Err(bad(Some(at + 1), "the path of a follower")),
                },
            }
        }
        let mut choices = Vec::new();
        while let Some((at, path)) = lines.next() {
            if !path.starts_with('/') {
                return Err(bad(Some(at), "the path of a choice"));
            }
            let rank = lines.next().map(|(_, rank)| rank).unwrap_or_default();
            let (family, rank) = match rank.strip_prefix('@').and_then(|r| r.split_once('@')) {
                Some((family, rank)) => (Some(family.to_owned()), rank),
                None => (None, rank),
            };
            let (priority, initscript) = match rank.split_once(' ') {
                Some((priority, script)) => (priority, Some(script.to_owned())),
                None => (rank, None),
            };
            choices.push(Choice {
                path: path.to_owned(),
                priority: priority
                    .parse()
                    .map_err(|_| bad(Some(at + 1), "a priority"))?,
                family,
                initscript,
                followers: followers
                    .iter()
                    .map(|_| {
                        lines
                            .next()
                            .map(|(_, line)| line.to_owned())
                            .unwrap_or_default()
                    })
                    .collect(),
            });
        }
        Ok(Self {
            mode,
            link,
            followers,
            choices,
        })
    }

    /// Returns the state file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        let mut line = |text: &str| {
            out.push_str(text);
            out.push('\n');
        };
        line(match self.mode {
            Mode::Auto => "auto",
            Mode::Manual => "manual",
        });
        line(&self.link);
        for (name, link) in &self.followers {
            line(name);
            line(link);
        }
        line("");
        for choice in &self.choices {
            line(&choice.path);
            let family = choice
                .family
                .as_ref()
                .map(|family| format!("@{family}@"))
                .unwrap_or_default();
            let script = choice
                .initscript
                .as_ref()
                .map(|script| format!(" {script}"))
                .unwrap_or_default();
            line(&format!("{family}{}{script}", choice.priority));
            for path in &choice.followers {
                line(path);
            }
        }
        out.into_bytes()
    }

    /// Adds a choice, or replaces the one of the same path.
    fn install(&mut self, new: &Alternative) {
        for follower in &new.followers {
            if !self
                .followers
                .iter()
                .any(|(name, _)| *name == follower.name)
            {
                self.followers
                    .push((follower.name.clone(), follower.link.clone()));
                for choice in &mut self.choices {
                    choice.followers.push(String::new());
                }
            }
        }
        let path_of = |name: &str| {
            new.followers
                .iter()
                .find(|follower| follower.name == name)
                .map(|follower| follower.path.clone())
                .unwrap_or_default()
        };
        let choice = Choice {
            path: new.path.clone(),
            priority: new.priority,
            family: new.family.clone(),
            initscript: None,
            followers: self
                .followers
                .iter()
                .map(|(name, _)| path_of(name))
                .collect(),
        };
        match self.choices.iter_mut().find(|old| old.path == new.path) {
            Some(old) => *old = choice,
            None => self.choices.push(choice),
        }
    }

    /// Returns the choice of the highest priority, the first of equals.
    fn best(&self) -> Option<&Choice> {
        self.choices
            .iter()
            .rev()
            .max_by_key(|choice| choice.priority)
    }
}

fn state_path(name: &str) -> String {
    format!("{STATES}/{name}")
}

/// Does what `alternatives --install` does.
///
/// # Errors
/// [`AlternativesError`]
pub fn install(overlay: &mut Overlay<'_>, new: &Alternative) -> Result<(), AlternativesError> {
    let state = overlay.read(&state_path(&new.name))?.unwrap_or_default();
    let mut group = if state.is_empty() {
        Group {
            mode: Mode::Auto,
            link: new.link.clone(),
            followers: Vec::new(),
            choices: Vec::new(),
        }
    } else {
        Group::parse(&new.name, &state)?
    };
    if group.link != new.link {
        return Err(AlternativesError::Link {
            name: new.name.clone(),
            wanted: new.link.clone(),
            found: group.link,
        });
    }
    group.install(new);
    save(overlay, &new.name, &group)
}

/// Does what `alternatives --remove` does.
///
/// # Errors
/// [`AlternativesError`]
pub fn remove(overlay: &mut Overlay<'_>, name: &str, path: &str) -> Result<(), AlternativesError> {
    let Some(state) = overlay
        .read(&state_path(name))?
        .filter(|state| !state.is_empty())
    else {
        return Ok(());
    };
    let mut group = Group::parse(name, &state)?;
    let current = overlay.link(&format!("{LINKS}/{name}"))?;
    group.choices.retain(|choice| choice.path != path);
    if current.as_deref() == Some(path.as_bytes()) {
        group.mode = Mode::Auto;
    }
    if group.choices.is_empty() {
        let links = std::iter::once((name, group.link.as_str()));
        let followers = group
            .followers
            .iter()
            .map(|(n, l)| (n.as_str(), l.as_str()));
        for (name, link) in links.chain(followers) {
            overlay.remove(link)?;
            overlay.remove(&format!("{LINKS}/{name}"))?;
        }
        overlay.remove(&state_path(name))?;
        return Ok(());
    }
    save(overlay, name, &group)
}

fn save(overlay: &mut Overlay<'_>, name: &str, group: &Group) -> Result<(), AlternativesError> {
    overlay.write(&state_path(name), group.bytes(), 0o644)?;
    // What an administrator chose stays.
    let (Mode::Auto, Some(best)) = (group.mode, group.best()) else {
        return Ok(());
    };
    let mut set = |name: &str, link: &str, path: &str| -> Result<(), AlternativesError> {
        let choice = format!("{LINKS}/{name}");
        if path.is_empty() {
            // This choice has no such follower.
            if overlay.link(link)?.as_deref() == Some(choice.as_bytes()) {
                overlay.remove(link)?;
            }
            overlay.remove(&choice)?;
        } else {
            overlay.symlink(&choice, path)?;
            // A file that is not a link is left alone, as alternatives leaves it.
            if !overlay.test(PathTest::Exists, link)? || overlay.test(PathTest::Symlink, link)? {
                overlay.symlink(link, &choice)?;
            }
        }
        Ok(())
    };
    set(name, &group.link, &best.path)?;
    for ((name, link), path) in group.followers.iter().zip(&best.followers) {
        set(name, link, path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_state_is_written_as_it_was_read() {
        let text = "manual\n/usr/bin/java\njre\n/usr/lib/jre\n\n/j8/java\n@j8@1800 svc\n/j8/jre\n/j7/java\n17\n\n";
        let group = Group::parse("java", text.as_bytes()).expect("a state");
        assert_eq!(String::from_utf8_lossy(&group.bytes()), text);
        assert_eq!(group.best().map(|best| best.priority), Some(1800));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(auto|manual|x)?\n?[/a@0-9 \n]{0,60}") {
            let _ = Group::parse("x", text.as_bytes());
        }
    }
}
