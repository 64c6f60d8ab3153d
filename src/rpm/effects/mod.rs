//! What scriptlets and triggers would have done, done natively.
//!
//! At lock time [`plan`] lists every script the installation would run, and [`check`] refuses those that nobody
//! knows and the recipe does not acknowledge. A build calls [`apply_accounts`] before it places files, as files
//! belong to users, and [`apply_after`] when they are placed.

pub mod alternatives;
mod apply;
pub mod effect;
pub mod elf;
pub mod known;
pub mod ldcache;
mod ldconf;
pub mod ldconfig;
pub mod overlay;
pub mod recognise;
pub mod scriptlets;
mod shell;
pub mod sysusers;

use std::collections::BTreeSet;

pub use apply::{Effects, EffectsError, SysusersFiles, apply_accounts, apply_after, reads};
pub use effect::Effect;
pub use scriptlets::{Arriving, Kind, Scriptlet, Verdict, inventory as plan};

use crate::diagnose::{Class, Diagnose};

/// Scriptlets of which nobody knows what they do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", message(.0))]
pub struct UnknownScriptlets(pub Vec<Scriptlet>);

/// Shows each script with the first thing in it that is not known.
fn message(scriptlets: &[Scriptlet]) -> String {
    let mut out = format!("{} scriptlets are not known:", scriptlets.len());
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
