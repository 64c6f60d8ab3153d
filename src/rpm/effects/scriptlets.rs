//! Which scriptlets and triggers an installation would run, and what is known of each.

use super::effect::Effect;
use super::known;
use super::recognise::{Arguments, Unrecognised, recognise};
use crate::layer::path::show;
use crate::oci::Digest;
use crate::rpm::header::Header;
use crate::rpm::tag;

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
    /// `%preun`: before a package goes.
    PreUn,
    /// `%postun`: after a package has gone.
    PostUn,
    /// `%posttrans`: after everything.
    PostTrans,
    /// `%transfiletriggerin`: after everything, if any package has files that it names.
    TransFileTriggerIn,
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
            Self::PreUn => "preun",
            Self::PostUn => "postun",
            Self::PostTrans => "posttrans",
            Self::TransFileTriggerIn => "transfiletriggerin",
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

/// A package that is being installed.
#[derive(Clone, Copy)]
pub struct Arriving<'a> {
    /// Its header.
    pub header: &'a Header,
    /// Whether another version of it is there: its scripts then get 2 instead of 1.
    pub upgrades: bool,
}

/// The plain scriptlets: kind, and the tags of text, interpreter and flags.
const PLAIN: [(Kind, u32, u32, u32); 6] = [
    (
        Kind::PreTrans,
        tag::PRETRANS,
        tag::PRETRANSPROG,
        tag::PRETRANSFLAGS,
    ),
    (Kind::Pre, tag::PREIN, tag::PREINPROG, tag::PREINFLAGS),
    (Kind::Post, tag::POSTIN, tag::POSTINPROG, tag::POSTINFLAGS),
    (Kind::PreUn, tag::PREUN, tag::PREUNPROG, tag::PREUNFLAGS),
    (Kind::PostUn, tag::POSTUN, tag::POSTUNPROG, tag::POSTUNFLAGS),
    (
        Kind::PostTrans,
        tag::POSTTRANS,
        tag::POSTTRANSPROG,
        tag::POSTTRANSFLAGS,
    ),
];

/// Lists every scriptlet and trigger that this installation would run, in rpm's order, with what is known of each.
///
/// `arriving` is in order of installation; `staying` are the base's packages that remain, whose triggers new
/// packages and files can wake; `leaving` are those that go and are not merely upgraded.
#[must_use]
pub fn inventory(
    arriving: &[Arriving<'_>],
    staying: &[&Header],
    leaving: &[&Header],
) -> Vec<Scriptlet> {
    let mut found = Vec::new();
    let of = |header: &Header, wanted: Kind, first: u32| {
        let (kind, body, interpreter, flags) = *PLAIN.iter().find(|plain| plain.0 == wanted)?;
        let interpreter = header.texts(interpreter).join(" ");
        if !header.contains(body) && interpreter.is_empty() {
            return None;
        }
        let raw = Raw {
            kind,
            interpreter,
            body: header.string_bytes(body).unwrap_or_default(),
            flags: header.u32(flags).unwrap_or_default(),
            woken_by: None,
        };
        Some(raw.judge(header, first, None))
    };
    let count = |package: &Arriving<'_>| if package.upgrades { 2 } else { 1 };
    let plain = |kind| {
        arriving
            .iter()
            .filter_map(move |package| of(package.header, kind, count(package)))
    };
    found.extend(plain(Kind::PreTrans));
    let everyone = || {
        staying
            .iter()
            .copied()
            .chain(arriving.iter().map(|a| a.header))
    };
    for package in arriving {
        let one = std::slice::from_ref(package);
        for kind in [Kind::TriggerPreIn, Kind::Pre, Kind::Post, Kind::TriggerIn] {
            match kind {
                Kind::Pre | Kind::Post => found.extend(of(package.header, kind, count(package))),
                _ => {
                    everyone().for_each(|owner| package_triggers(owner, package, kind, &mut found))
                }
            }
        }
        everyone().for_each(|owner| file_triggers(owner, one, &FILE_TRIGGER, &mut found));
    }
    for header in leaving {
        found.extend(of(header, Kind::PreUn, 0));
        found.extend(of(header, Kind::PostUn, 0));
    }
    found.extend(plain(Kind::PostTrans));
    everyone().for_each(|owner| file_triggers(owner, arriving, &TRANS_FILE_TRIGGER, &mut found));
    found
}

/// A script as a header has it.
struct Raw<'a> {
    kind: Kind,
    interpreter: String,
    body: &'a [u8],
    flags: u32,
    woken_by: Option<String>,
}

impl Raw<'_> {
    fn judge(self, owner: &Header, first: u32, second: Option<u32>) -> Scriptlet {
        let body = String::from_utf8_lossy(self.body).into_owned();
        let mut hashed = self.interpreter.clone().into_bytes();
        hashed.push(b'\n');
        hashed.extend_from_slice(self.body);
        let arguments = Arguments {
            first,
            second,
            must_succeed: matches!(self.kind, Kind::Pre | Kind::PreTrans),
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

// rpmsenseFlags, rpmds.h
const TRIGGERIN: u32 = 1 << 16;
const TRIGGERPREIN: u32 = 1 << 25;

/// The package triggers of `owner` that `package` wakes.
///
/// Versions are not compared: a trigger for another version is listed too, which errs on the side of telling.
fn package_triggers(
    owner: &Header,
    package: &Arriving<'_>,
    kind: Kind,
    found: &mut Vec<Scriptlet>,
) {
    let sense = if kind == Kind::TriggerPreIn {
        TRIGGERPREIN
    } else {
        TRIGGERIN
    };
    let tags = TriggerTags {
        scripts: tag::TRIGGERSCRIPTS,
        interpreters: tag::TRIGGERSCRIPTPROG,
        script_flags: tag::TRIGGERSCRIPTFLAGS,
        names: tag::TRIGGERNAME,
        indexes: tag::TRIGGERINDEX,
        flags: tag::TRIGGERFLAGS,
        kind,
    };
    let Some(name) = package.header.string_bytes(tag::NAME) else {
        return;
    };
    let second = Some(if package.upgrades { 2 } else { 1 });
    tags.woken(owner, sense, second, |wanted| wanted == name, found);
}

const FILE_TRIGGER: TriggerTags = TriggerTags {
    scripts: tag::FILETRIGGERSCRIPTS,
    interpreters: tag::FILETRIGGERSCRIPTPROG,
    script_flags: tag::FILETRIGGERSCRIPTFLAGS,
    names: tag::FILETRIGGERNAME,
    indexes: tag::FILETRIGGERINDEX,
    flags: tag::FILETRIGGERFLAGS,
    kind: Kind::FileTriggerIn,
};

const TRANS_FILE_TRIGGER: TriggerTags = TriggerTags {
    scripts: tag::TRANSFILETRIGGERSCRIPTS,
    interpreters: tag::TRANSFILETRIGGERSCRIPTPROG,
    script_flags: tag::TRANSFILETRIGGERSCRIPTFLAGS,
    names: tag::TRANSFILETRIGGERNAME,
    indexes: tag::TRANSFILETRIGGERINDEX,
    flags: tag::TRANSFILETRIGGERFLAGS,
    kind: Kind::TransFileTriggerIn,
};

/// The file triggers of `owner` that files of `packages` wake.
fn file_triggers(
    owner: &Header,
    packages: &[Arriving<'_>],
    tags: &TriggerTags,
    found: &mut Vec<Scriptlet>,
) {
    if !owner.contains(tags.names) {
        return;
    }
    let wakes = |prefix: &[u8]| {
        packages
            .iter()
            .any(|package| has_file_under(package.header, prefix))
    };
    tags.woken(owner, TRIGGERIN, None, wakes, found);
}

/// Tells whether a path of the package begins with `prefix`, as rpm compares them: as text.
fn has_file_under(header: &Header, prefix: &[u8]) -> bool {
    let directories = header.strings(tag::DIRNAMES);
    let indexes = header.u32s(tag::DIRINDEXES);
    let names = header.strings(tag::BASENAMES);
    indexes.iter().zip(names).any(|(&index, name)| {
        let Some(directory) = directories.get(index as usize) else {
            return false;
        };
        if directory.len() >= prefix.len() {
            directory.starts_with(prefix)
        } else {
            prefix
                .strip_prefix(*directory)
                .is_some_and(|rest| name.starts_with(rest))
        }
    })
}

/// Where a header keeps one sort of triggers.
struct TriggerTags {
    scripts: u32,
    interpreters: u32,
    script_flags: u32,
    names: u32,
    indexes: u32,
    flags: u32,
    kind: Kind,
}

impl TriggerTags {
    /// Adds the scripts of `owner` with a name that `wakes`, each once.
    fn woken(
        &self,
        owner: &Header,
        sense: u32,
        second: Option<u32>,
        wakes: impl Fn(&[u8]) -> bool,
        found: &mut Vec<Scriptlet>,
    ) {
        let scripts = owner.strings(self.scripts);
        let interpreters = owner.texts(self.interpreters);
        let script_flags = owner.u32s(self.script_flags);
        let names = owner.strings(self.names);
        let indexes = owner.u32s(self.indexes);
        let flags = owner.u32s(self.flags);
        for (at, script) in scripts.iter().enumerate() {
            let woken_by = names
                .iter()
                .zip(&indexes)
                .zip(&flags)
                .filter(|((_, index), flags)| **index as usize == at && *flags & sense != 0)
                .map(|((name, _), _)| name)
                .find(|name| wakes(name));
            let Some(name) = woken_by else {
                continue;
            };
            let raw = Raw {
                kind: self.kind,
                interpreter: interpreters
                    .get(at)
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                body: script,
                flags: script_flags.get(at).copied().unwrap_or_default(),
                woken_by: Some(show(name)),
            };
            // `$1` of a trigger counts its owner, which is there once.
            found.push(raw.judge(owner, 1, second));
        }
    }
}
