//! Commands that make or remove single paths.

use super::super::effect::Effect;
use super::super::shell::{Redirect, RedirectOp, Word};
use super::Unrecognised;
use super::commands::Call;
use super::outcome::{Done, Status};

/// Tells whether `path` is absolute, normal and on one line: state files hold a path a line.
pub(super) fn is_absolute(path: &str) -> bool {
    path.len() > 1
        && path.starts_with('/')
        && !path.contains('\n')
        && !path.split('/').any(|part| part == ".." || part == ".")
}

/// Splits single-letter options from operands; none for a long option or a letter that is not `allowed`.
fn split<'a>(words: &[&'a str], allowed: &[u8]) -> Option<(Vec<u8>, Vec<&'a str>)> {
    let mut flags = Vec::new();
    let mut operands = Vec::new();
    let mut only_operands = false;
    for word in words {
        if !only_operands && *word == "--" {
            only_operands = true;
        } else if !only_operands && word.len() > 1 && word.starts_with('-') {
            flags.extend_from_slice(&word.as_bytes()[1..]);
        } else {
            operands.push(*word);
        }
    }
    flags
        .iter()
        .all(|flag| allowed.contains(flag))
        .then_some((flags, operands))
}

fn many(effects: Vec<Effect>) -> Done {
    Done {
        effects,
        ..Done::of(Status::Assumed)
    }
}

/// `rm -f PATH...`: files only, never whole directories.
pub(super) fn remove(call: &Call<'_>) -> Result<Done, Unrecognised> {
    let words = call.literals()?;
    match split(&words, b"f") {
        Some((flags, paths)) if flags.contains(&b'f') && paths.iter().all(|p| is_absolute(p)) => {
            let removed = |path: &&str| Effect::Remove((*path).to_owned());
            Ok(many(paths.iter().map(removed).collect()))
        }
        _ => Err(call.refuse(&words.join(" "))),
    }
}

/// `mkdir -p PATH...`
pub(super) fn make_dir(call: &Call<'_>) -> Result<Done, Unrecognised> {
    let words = call.literals()?;
    match split(&words, b"p") {
        Some((flags, paths)) if flags.contains(&b'p') && paths.iter().all(|p| is_absolute(p)) => {
            let made = |path: &&str| Effect::MakeDir((*path).to_owned());
            Ok(many(paths.iter().map(made).collect()))
        }
        _ => Err(call.refuse(&words.join(" "))),
    }
}

/// `ln -sf TARGET PATH`
pub(super) fn link(call: &Call<'_>) -> Result<Done, Unrecognised> {
    let words = call.literals()?;
    match split(&words, b"sfn") {
        Some((flags, operands)) if flags.contains(&b's') && flags.contains(&b'f') => {
            match operands.as_slice() {
                // Without -n an existing link to a directory would be followed, and the new link made inside.
                [target, path]
                    if is_absolute(path) && !path.ends_with('/') && flags.contains(&b'n') =>
                {
                    Ok(Done::effect(Effect::Symlink {
                        target: (*target).to_owned(),
                        path: (*path).to_owned(),
                    }))
                }
                _ => Err(call.refuse(&words.join(" "))),
            }
        }
        _ => Err(call.refuse(&words.join(" "))),
    }
}

/// Recognises `echo SHELL >> /etc/shells` and returns the shell.
pub(super) fn shell_line(
    name: &str,
    arguments: &[Option<String>],
    redirects: &[Redirect],
    expand: impl Fn(&Word) -> Option<String>,
) -> Option<String> {
    let [Redirect::To(RedirectOp::Append, target)] = redirects else {
        return None;
    };
    let [Some(shell)] = arguments else {
        return None;
    };
    (name == "echo" && expand(target)? == "/etc/shells" && is_absolute(shell))
        .then(|| shell.clone())
}
