//! Triggers: scripts that other packages, or their files, wake.

use super::scriptlets::{Kind, Raw, Scriptlet};
use crate::layer::path::show;
use crate::rpm::header::Header;
use crate::rpm::tag;

/// What happens to the package that wakes a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// It is about to arrive.
    PreIn,
    /// It has arrived.
    In,
    /// It is about to go.
    Un,
    /// It has gone.
    PostUn,
}

impl When {
    /// Returns the bit of `rpmsenseFlags` (rpm's rpmds.h) that a trigger for it has.
    fn sense(self) -> u32 {
        match self {
            Self::In => 1 << 16,
            Self::Un => 1 << 17,
            Self::PostUn => 1 << 18,
            Self::PreIn => 1 << 25,
        }
    }
}

/// Triggers on packages by name.
pub(super) const NAMED: Triggers = Triggers {
    scripts: tag::TRIGGERSCRIPTS,
    interpreters: tag::TRIGGERSCRIPTPROG,
    script_flags: tag::TRIGGERSCRIPTFLAGS,
    names: tag::TRIGGERNAME,
    indexes: tag::TRIGGERINDEX,
    flags: tag::TRIGGERFLAGS,
    kind: |when| match when {
        When::PreIn => Kind::TriggerPreIn,
        When::In => Kind::TriggerIn,
        When::Un => Kind::TriggerUn,
        When::PostUn => Kind::TriggerPostUn,
    },
};

/// Triggers on the files of one package.
pub(super) const FILE: Triggers = Triggers {
    scripts: tag::FILETRIGGERSCRIPTS,
    interpreters: tag::FILETRIGGERSCRIPTPROG,
    script_flags: tag::FILETRIGGERSCRIPTFLAGS,
    names: tag::FILETRIGGERNAME,
    indexes: tag::FILETRIGGERINDEX,
    flags: tag::FILETRIGGERFLAGS,
    kind: |when| match when {
        When::PreIn | When::In => Kind::FileTriggerIn,
        When::Un => Kind::FileTriggerUn,
        When::PostUn => Kind::FileTriggerPostUn,
    },
};

/// Triggers on the files of a whole transaction.
pub(super) const TRANSACTION: Triggers = Triggers {
    scripts: tag::TRANSFILETRIGGERSCRIPTS,
    interpreters: tag::TRANSFILETRIGGERSCRIPTPROG,
    script_flags: tag::TRANSFILETRIGGERSCRIPTFLAGS,
    names: tag::TRANSFILETRIGGERNAME,
    indexes: tag::TRANSFILETRIGGERINDEX,
    flags: tag::TRANSFILETRIGGERFLAGS,
    kind: |when| match when {
        When::PreIn | When::In => Kind::TransFileTriggerIn,
        When::Un => Kind::TransFileTriggerUn,
        When::PostUn => Kind::TransFileTriggerPostUn,
    },
};

/// Where a header keeps one sort of triggers.
pub(super) struct Triggers {
    scripts: u32,
    interpreters: u32,
    script_flags: u32,
    names: u32,
    indexes: u32,
    flags: u32,
    kind: fn(When) -> Kind,
}

impl Triggers {
    /// Tells whether a package has any of this sort.
    pub(super) fn are_in(&self, owner: &Header) -> bool {
        owner.contains(self.names)
    }

    /// Adds the scripts of `owner` with a name that `wakes`, each once.
    pub(super) fn woken(
        &self,
        owner: &Header,
        when: When,
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
                .filter(|((_, index), flags)| **index as usize == at && *flags & when.sense() != 0)
                .map(|((name, _), _)| name)
                .find(|name| wakes(name));
            let Some(name) = woken_by else {
                continue;
            };
            let raw = Raw {
                kind: (self.kind)(when),
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
