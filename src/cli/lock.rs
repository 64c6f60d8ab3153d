//! `imgbuild lock`: resolves a recipe and pins every input.

use std::path::PathBuf;

use super::Flags;
use super::failure::Failure;
use super::terminal::Terminal;
use super::tools::Tools;
use crate::edge::Edges;
use crate::edge::project::Project;
use crate::edge::resolve::{self, Update};
use crate::lock_diff;

/// Flags of `imgbuild lock`.
#[derive(clap::Args)]
pub(super) struct LockFlags {
    /// A recipe, or a folder that holds recipe.toml
    recipe: PathBuf,
    /// Move pins that still hold: base, rpm, python, a package's name, or everything
    #[arg(long, value_name = "WHAT", num_args = 0.., default_missing_value = "all")]
    update: Vec<String>,
    /// Change nothing; fail if the lock is missing or stale
    #[arg(long, conflicts_with = "update")]
    check: bool,
    /// Say which request pulls a package in, from the lock as it is
    #[arg(long, value_name = "NAME", conflicts_with_all = ["update", "check"])]
    why: Option<String>,
}

pub(super) fn run(flags: &LockFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    let project = Project::open(&flags.recipe)?;
    if flags.check {
        project.fresh_lock()?;
        terminal.remark("the lock is up to date");
        return if all.json {
            terminal.data(r#"{"fresh":true}"#)
        } else {
            Ok(())
        };
    }
    if let Some(name) = &flags.why {
        return why(&project, name, terminal);
    }
    let update = Update::parse(&flags.update);
    let old = project.lock()?;
    if let Some(old) = &old {
        update.check(old, &project.recipe)?;
    }
    // Nothing to do costs no look at the network.
    if update.is_nothing() && old.is_some() && project.fresh_lock().is_ok() {
        terminal.remark("the lock is up to date");
        return if all.json {
            terminal.data(r#"{"changes":[]}"#)
        } else {
            Ok(())
        };
    }
    let tools = Tools::new(all, false, terminal)?;
    let tell = |text: &str| terminal.remark(text);
    let resolved = tools.runtime.block_on(resolve::resolve(
        &project,
        old.as_ref(),
        &update,
        &Edges {
            store: &tools.store,
            fetcher: &tools.fetcher,
            registry: &tools.registry,
            progress: &*tools.progress,
            tell: &tell,
        },
    ))?;
    let changes = lock_diff::changes(old.as_ref(), &resolved);
    project.write_lock(&resolved)?;
    if changes.is_empty() {
        terminal.remark("nothing moved");
    }
    for change in &changes {
        terminal.remark(&change.to_string());
    }
    terminal.remark(&format!("wrote {}", project.lock_path().display()));
    if all.json {
        let body = serde_json::json!({ "lock": project.lock_path(), "changes": changes });
        terminal.data(&body.to_string())?;
    }
    Ok(())
}

/// Follows `wanted-by` from a package up to the requests of the recipe.
fn why(project: &Project, name: &str, terminal: &Terminal) -> Result<(), Failure> {
    let lock = project.fresh_lock()?;
    let mut queue = vec![(name.to_owned(), String::new())];
    let mut seen = std::collections::BTreeSet::new();
    while let Some((name, indent)) = queue.pop() {
        let Some(rpm) = lock.rpms.iter().find(|rpm| rpm.name == name) else {
            if indent.is_empty() {
                let message = format!("`{name}` is not in the lock");
                return Err(Failure::usage(
                    message,
                    "it may be part of the base: only what is added is locked",
                ));
            }
            continue;
        };
        terminal.data(&format!("{indent}{} {}", rpm.name, rpm.evr))?;
        if !seen.insert(name) {
            continue;
        }
        for by in &rpm.wanted_by {
            if by.starts_with('"') {
                terminal.data(&format!("{indent}  requested as {by}"))?;
            } else {
                queue.push((by.clone(), format!("{indent}  ")));
            }
        }
    }
    Ok(())
}
