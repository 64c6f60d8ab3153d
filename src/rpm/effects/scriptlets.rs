//! A script that rpm would run, and what is known of it.

use super::effect::Effect;
use super::known;
use super::recognise::{Arguments, Unrecognised, recognise};
use crate::oci::Digest;
use crate::rpm::header::Header;

/// When a scriptlet runs; ordered as in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `%pretrans`: before everything.
    PreTrans,
    /// `%triggerprein`: before a package that it names.
    TriggerPreIn,
    /// `%pre`: before the package's files.
    Pre,
    /// `%post`: after the package's files.
    Post,
    /// `%triggerin`: after a package that it names.
    TriggerIn,
    /// `%filetriggerin`: after a package with files that it names.
    FileTriggerIn,
    /// `%filetriggerun`: before a package with files that it names goes.
    FileTriggerUn,
    /// `%triggerun`: before a package that it names goes.
    TriggerUn,
    /// `%preun`: before a package goes.
    PreUn,
    /// `%postun`: after a package has gone.
    PostUn,
    /// `%triggerpostun`: after a package that it names has gone.
    TriggerPostUn,
    /// `%filetriggerpostun`: after a package with files that it names has gone.
    FileTriggerPostUn,
    /// `%posttrans`: after everything.
    PostTrans,
    /// `%transfiletriggerin`: after everything, if any package has files that it names.
    TransFileTriggerIn,
    /// `%transfiletriggerun`: before everything, if a package that goes has files that it names.
    TransFileTriggerUn,
    /// `%transfiletriggerpostun`: after everything, if a package that went had files that it names.
    TransFileTriggerPostUn,
}

impl Kind {
    /// Returns the section's name in spec files, without `%`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreTrans => "pretrans",
            Self::TriggerPreIn => "triggerprein",
            Self::Pre => "pre",
            Self::Post => "post",
            Self::TriggerIn => "triggerin",
            Self::FileTriggerIn => "filetriggerin",
            Self::FileTriggerUn => "filetriggerun",
            Self::TriggerUn => "triggerun",
            Self::PreUn => "preun",
            Self::PostUn => "postun",
            Self::TriggerPostUn => "triggerpostun",
            Self::FileTriggerPostUn => "filetriggerpostun",
            Self::PostTrans => "posttrans",
            Self::TransFileTriggerIn => "transfiletriggerin",
            Self::TransFileTriggerUn => "transfiletriggerun",
            Self::TransFileTriggerPostUn => "transfiletriggerpostun",
        }
    }
}

/// What is known of a scriptlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It changes the image, and imgbuild makes the same changes.
    Effect(Vec<Effect>),
    /// It changes nothing in an image.
    NoEffect {
        /// Why not.
        reason: String,
    },
    /// Nobody knows.
    Unknown {
        /// The first thing about it that is not known.
        why: String,
    },
}

/// A script that rpm would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scriptlet {
    /// Whose it is: `name-[epoch:]version-release.arch`.
    pub package: String,
    /// The name in it.
    pub name: String,
    /// When it runs.
    pub kind: Kind,
    /// What runs it, with arguments: `/bin/sh`, `<lua>`, `/sbin/ldconfig`.
    pub interpreter: String,
    /// Its text; empty if the interpreter is all.
    pub body: String,
    /// SHA-256 of interpreter, line feed, text.
    pub digest: Digest,
    /// What woke it: the package or the path prefix; none for plain scriptlets.
    pub woken_by: Option<String>,
    /// What is known of it.
    pub verdict: Verdict,
}

impl Scriptlet {
    /// Returns how a recipe names it: `nginx:post`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}:{}", self.name, self.kind.name())
    }

    /// Returns the changes it makes.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        match &self.verdict {
            Verdict::Effect(effects) => effects,
            _ => &[],
        }
    }
}

/// A script as a header has it.
pub(super) struct Raw<'a> {
    pub(super) kind: Kind,
    pub(super) interpreter: String,
    pub(super) body: &'a [u8],
    pub(super) flags: u32,
    pub(super) woken_by: Option<String>,
}

impl Raw<'_> {
    /// Tells what is known of it, when rpm runs it with `first` and `second`.
    pub(super) fn judge(self, owner: &Header, first: u32, second: Option<u32>) -> Scriptlet {
        let body = String::from_utf8_lossy(self.body).into_owned();
        let mut hashed = self.interpreter.clone().into_bytes();
        hashed.push(b'\n');
        hashed.extend_from_slice(self.body);
        let arguments = Arguments {
            first,
            second,
            must_succeed: matches!(self.kind, Kind::Pre | Kind::PreTrans | Kind::PreUn),
        };
        // RPMSCRIPT_FLAG_EXPAND and _QFORMAT: rpm would change the text before running it.
        let verdict = if self.flags & 3 != 0 {
            Verdict::Unknown {
                why: "rpm expands macros in it when it runs".to_owned(),
            }
        } else {
            judge(&self.interpreter, &body, arguments)
        };
        Scriptlet {
            package: owner.nevra(),
            name: owner.name().unwrap_or("?").to_owned(),
            kind: self.kind,
            digest: Digest::of(&hashed),
            interpreter: self.interpreter,
            body,
            woken_by: self.woken_by,
            verdict,
        }
    }
}

/// Tells what is known of a script.
#[must_use]
pub fn judge(interpreter: &str, body: &str, arguments: Arguments) -> Verdict {
    if let Some(verdict) = known::verdict(interpreter, body) {
        return verdict;
    }
    let shell = matches!(
        interpreter,
        "" | "/bin/sh" | "/usr/bin/sh" | "/bin/bash" | "/usr/bin/bash" | "/bin/sh -e"
    );
    let recognised = if shell {
        recognise(body, arguments)
    } else if body.trim().is_empty() && interpreter.starts_with('/') {
        // `%post -p /sbin/ldconfig`: the interpreter is the command, without arguments.
        recognise(interpreter, arguments)
    } else {
        Err(Unrecognised::Command(interpreter.to_owned()))
    };
    match recognised {
        Err(error) => Verdict::Unknown {
            why: error.to_string(),
        },
        Ok(done) if done.effects.is_empty() => Verdict::NoEffect {
            reason: if done.reasons.is_empty() {
                "it does nothing on installation".to_owned()
            } else {
                done.reasons.into_iter().collect::<Vec<_>>().join("; ")
            },
        },
        Ok(done) => Verdict::Effect(done.effects),
    }
}
