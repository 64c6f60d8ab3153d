//! What scriptlets and triggers would have done, done natively.
//!
//! At lock time [`Transaction::scriptlets`] lists every script that rpm would run, and [`check`] refuses those that nobody
//! knows and the recipe does not acknowledge. A build calls [`apply_accounts`] before it places files, as files
//! belong to users, and [`apply_after`] when they are placed.

pub mod alternatives;
mod apply;
pub mod effect;
pub mod elf;
mod error;
pub mod known;
pub mod ldcache;
mod ldconf;
pub mod ldconfig;
pub mod overlay;
pub mod recognise;
pub mod scriptlets;
mod shell;
pub mod sysusers;
mod transaction;
mod triggers;

use std::collections::BTreeSet;

pub use apply::{Effects, SysusersFiles, apply_accounts, apply_after, reads};
pub use effect::Effect;
pub use error::EffectsError;
pub use scriptlets::{Kind, Scriptlet, Verdict};
pub use transaction::Transaction;

use crate::diagnose::{Class, Diagnose};

/// Scriptlets of which nobody knows what they do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", message(.0))]
pub struct UnknownScriptlets(pub Vec<Scriptlet>);

/// Shows each script with the first thing in it that is not known.
fn message(scriptlets: &[Scriptlet]) -> String {
    let mut out = match scriptlets.len() {
        1 => "a scriptlet is not known:".to_owned(),
        many => format!("{many} scriptlets are not known:"),
    };
    for scriptlet in scriptlets {
        let why = match &scriptlet.verdict {
            Verdict::Unknown { why } => why.as_str(),
            _ => "",
        };
        out.push_str(&format!(
            "\n{} of {} ({}): {why}",
            scriptlet.key(),
            scriptlet.package,
            scriptlet.interpreter
        ));
        for line in scriptlet.body.lines() {
            out.push_str("\n    ");
            out.push_str(&crate::layer::path::show(line.as_bytes()));
        }
    }
    out
}

impl Diagnose for UnknownScriptlets {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        let keys: BTreeSet<String> = self.0.iter().map(Scriptlet::key).collect();
        let lines: String = keys
            .iter()
            .map(|key| format!("\n\"{key}\" = \"skip\""))
            .collect();
        Some(format!(
            "read them, and if the image does not need what they do, add to the recipe:\n[rpm.scriptlets]{lines}"
        ))
    }
}

/// Checks that every scriptlet is known, or acknowledged by its [`Scriptlet::key`].
///
/// # Errors
/// [`UnknownScriptlets`], with all of them.
pub fn check(
    scriptlets: &[Scriptlet],
    acknowledged: &BTreeSet<String>,
) -> Result<(), UnknownScriptlets> {
    let unknown: Vec<Scriptlet> = scriptlets
        .iter()
        .filter(|scriptlet| matches!(scriptlet.verdict, Verdict::Unknown { .. }))
        .filter(|scriptlet| !acknowledged.contains(&scriptlet.key()))
        .cloned()
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(UnknownScriptlets(unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    #[test]
    fn unknown_scriptlets_are_shown_with_what_to_write() {
        let body = "groupadd -r x\nfrobnicate --now";
        let arguments = recognise::Arguments {
            first: 1,
            second: None,
            must_succeed: false,
        };
        let scriptlet = Scriptlet {
            package: "app-1:2-3.noarch".to_owned(),
            name: "app".to_owned(),
            kind: Kind::Post,
            interpreter: "/bin/sh".to_owned(),
            body: body.to_owned(),
            digest: Digest::of(body.as_bytes()),
            woken_by: None,
            verdict: scriptlets::judge("/bin/sh", body, arguments),
        };
        let error = check(std::slice::from_ref(&scriptlet), &BTreeSet::new()).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "a scriptlet is not known:\napp:post of app-1:2-3.noarch (/bin/sh): `frobnicate --now` is not known\n    \
             groupadd -r x\n    frobnicate --now"
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.ends_with("[rpm.scriptlets]\n\"app:post\" = \"skip\""))
        );
        let acknowledged = [scriptlet.key()].into_iter().collect();
        assert_eq!(check(&[scriptlet], &acknowledged), Ok(()));
    }
}
