//! Scriptlets in the words of a lock, and whether a build does what its lock says.

use std::collections::BTreeSet;

use super::BuildError;
use crate::lock::{self, Lock};
use crate::recipe::Recipe;
use crate::rpm::effects::{self, Effect, Scriptlet, Verdict};

/// Returns what a lock says of a scriptlet.
#[must_use]
pub fn as_locked(scriptlet: &Scriptlet) -> lock::Scriptlet {
    let effect = match &scriptlet.verdict {
        Verdict::Effect(effects) => {
            let tools: BTreeSet<&str> = effects.iter().map(Effect::tool).collect();
            tools.into_iter().collect::<Vec<_>>().join(", ")
        }
        Verdict::NoEffect { reason } => format!("none: {reason}"),
        Verdict::Unknown { .. } => "skipped by the recipe".to_owned(),
    };
    lock::Scriptlet {
        name: scriptlet.key(),
        digest: scriptlet.digest,
        effect,
    }
}

/// Checks that `found`, what the packages really hold, is what was reviewed: in the lock, with the same effect.
///
/// # Errors
/// [`BuildError::Scriptlets`] for what nobody knows and the recipe does not skip; [`BuildError::NewScriptlet`] for what
/// the lock does not list; [`BuildError::OtherEffect`] where another imgbuild made the lock.
pub(super) fn check(found: &[Scriptlet], recipe: &Recipe, lock: &Lock) -> Result<(), BuildError> {
    effects::check(found, &recipe.rpm.scriptlets.keys().cloned().collect())?;
    for scriptlet in found {
        let now = as_locked(scriptlet);
        if lock.scriptlets.contains(&now) {
            continue;
        }
        let same = |locked: &&lock::Scriptlet| {
            (&locked.name, locked.digest) == (&now.name, scriptlet.digest)
        };
        return Err(match lock.scriptlets.iter().find(same) {
            Some(locked) => BuildError::OtherEffect {
                scriptlet: now.name,
                locked: locked.effect.clone(),
                found: now.effect,
            },
            None => BuildError::NewScriptlet {
                package: scriptlet.package.clone(),
                scriptlet: now.name,
            },
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::{Class, Diagnose as _};
    use crate::oci::Digest;
    use crate::rpm::effects::Kind;

    fn scriptlet(verdict: Verdict) -> Scriptlet {
        Scriptlet {
            package: "a-1-1.noarch".to_owned(),
            name: "a".to_owned(),
            kind: Kind::Post,
            interpreter: "/bin/sh".to_owned(),
            body: String::new(),
            digest: Digest::of(b"a"),
            woken_by: None,
            verdict,
        }
    }

    fn class(found: &Scriptlet, locked: &[lock::Scriptlet]) -> Option<Class> {
        let digest = Digest::of(b"");
        let text = format!(
            "format = 1\nrecipe = \"{digest}\"\nepoch = 0\n[base]\nimage = \"b\"\ndigest = \"{digest}\"\nsize = 1\n\
             platform = []\n"
        );
        let mut lock = Lock::parse("recipe.lock", &text).expect("a valid lock");
        lock.scriptlets = locked.to_vec();
        let recipe =
            Recipe::parse("[image]\nname = \"a\"\n[base]\nimage = \"b\"\n").expect("valid");
        check(std::slice::from_ref(found), &recipe, &lock)
            .err()
            .map(|error| error.class())
    }

    #[test]
    fn a_build_does_only_what_its_lock_says_of_every_scriptlet() {
        let reason = "a daemon does not run in an image".to_owned();
        let none = scriptlet(Verdict::NoEffect { reason });
        let listed = as_locked(&none);
        assert_eq!(class(&none, std::slice::from_ref(&listed)), None);
        assert_eq!(class(&none, &[]), Some(Class::Integrity));
        let mut other = listed;
        other.effect = "ldconfig".to_owned();
        assert_eq!(class(&none, &[other]), Some(Class::Format));
    }

    #[test]
    fn a_lock_cannot_skip_a_scriptlet_that_the_recipe_does_not() {
        let why = "curl".to_owned();
        let unknown = scriptlet(Verdict::Unknown { why });
        assert!(class(&unknown, &[as_locked(&unknown)]).is_some());
    }
}
