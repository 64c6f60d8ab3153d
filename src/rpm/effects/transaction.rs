//! Which scriptlets and triggers a transaction would run, in rpm's order.

use super::scriptlets::{Kind, Raw, Scriptlet};
use super::triggers::{FILE, NAMED, TRANSACTION, Triggers, When};
use crate::rpm::header::Header;
use crate::rpm::tag;

/// What arrives, stays and goes.
#[derive(Clone, Debug, Default)]
pub struct Transaction<'a> {
    /// The packages to install, in order.
    pub arriving: Vec<&'a Header>,
    /// The packages of the base that remain.
    pub staying: Vec<&'a Header>,
    /// The packages of the base that go; where one of the same name arrives, it is upgraded.
    pub leaving: Vec<&'a Header>,
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


impl<'a> Transaction<'a> {
    /// Sorts the packages of a base into those that stay and those that go.
    #[must_use]
    pub fn new(
        base: impl IntoIterator<Item = &'a Header>,
        arriving: Vec<&'a Header>,
        goes: impl Fn(&Header) -> bool,
    ) -> Self {
        let (leaving, staying) = base.into_iter().partition(|header| goes(header));
        Self {
            arriving,
            staying,
            leaving,
        }
    }

    /// Lists every scriptlet and trigger that rpm would run, in its order, with what is known of each.
    ///
    /// <https://rpm-software-management.github.io/rpm/manual/triggers.html> and `rpmtsRun` of rpm's lib/transaction.c.
    #[must_use]
    pub fn scriptlets(&self) -> Vec<Scriptlet> {
        let mut found = Vec::new();
        let of_arriving = |kind| {
            let packages = self.arriving.iter();
            packages.filter_map(move |package| plain_of(package, kind, self.count_with(package)))
        };
        found.extend(of_arriving(Kind::PreTrans));
        self.file_triggers(&TRANSACTION, When::Un, &self.leaving, &mut found);
        for &package in &self.arriving {
            let count = self.count_with(package);
            self.triggers_of(package, When::PreIn, count, &mut found);
            found.extend(plain_of(package, Kind::Pre, count));
            found.extend(plain_of(package, Kind::Post, count));
            self.triggers_of(package, When::In, count, &mut found);
            self.file_triggers(&FILE, When::In, &[package], &mut found);
        }
        for &package in &self.leaving {
            let count = named_as(package, &self.arriving) + named_as(package, &self.staying);
            self.file_triggers(&FILE, When::Un, &[package], &mut found);
            self.triggers_of(package, When::Un, count, &mut found);
            found.extend(plain_of(package, Kind::PreUn, count));
            found.extend(plain_of(package, Kind::PostUn, count));
            self.triggers_of(package, When::PostUn, count, &mut found);
            self.file_triggers(&FILE, When::PostUn, &[package], &mut found);
        }
        found.extend(of_arriving(Kind::PostTrans));
        self.file_triggers(&TRANSACTION, When::PostUn, &self.leaving, &mut found);
        self.file_triggers(&TRANSACTION, When::In, &self.arriving, &mut found);
        found
    }

    /// Returns how many packages of this one's name there are while it is installed: `$1` of its scripts.
    fn count_with(&self, package: &Header) -> u32 {
        1 + named_as(package, &self.leaving) + named_as(package, &self.staying)
    }

    /// The packages whose triggers can be woken.
    fn everyone(&self) -> impl Iterator<Item = &'a Header> + '_ {
        self.staying.iter().chain(&self.arriving).copied()
    }

    /// Adds the package triggers that `package` wakes.
    ///
    /// Versions are not compared: a trigger for another version is listed too, which errs on the side of telling.
    fn triggers_of(&self, package: &Header, when: When, count: u32, found: &mut Vec<Scriptlet>) {
        let Some(name) = package.string_bytes(tag::NAME) else {
            return;
        };
        for owner in self.everyone() {
            NAMED.woken(owner, when, Some(count), |wanted| wanted == name, found);
        }
    }

    /// Adds the file triggers that the files of `packages` wake.
    fn file_triggers(
        &self,
        triggers: &Triggers,
        when: When,
        packages: &[&Header],
        found: &mut Vec<Scriptlet>,
    ) {
        for owner in self.everyone().filter(|owner| triggers.are_in(owner)) {
            let wakes = |prefix: &[u8]| packages.iter().any(|package| has_file_under(package, prefix));
            triggers.woken(owner, when, None, wakes, found);
        }
    }
}

/// Returns the plain scriptlet `wanted` of a package, run with `count`.
fn plain_of(header: &Header, wanted: Kind, count: u32) -> Option<Scriptlet> {
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
    Some(raw.judge(header, count, None))
}

/// Counts those of `packages` that have the name of `package`.
fn named_as(package: &Header, packages: &[&Header]) -> u32 {
    let name = package.string_bytes(tag::NAME);
    let same = packages.iter().filter(|other| other.string_bytes(tag::NAME) == name);
    u32::try_from(same.count()).unwrap_or(u32::MAX)
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
