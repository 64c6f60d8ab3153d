//! Simple commands: assignments, words, redirections.

use super::super::effect::Effect;
use super::super::shell::AndOr;
use super::super::shell::{Command, Part, Pipeline, Redirect, RedirectOp, Simple, Word};
use super::outcome::{Done, Flow, Status};
use super::{Unrecognised, Walk, commands, files};

impl Walk {
    pub(super) fn simple(&mut self, simple: &Simple) -> Result<Done, Unrecognised> {
        let words: Vec<Option<String>> =
            simple.words.iter().map(|word| self.expand(word)).collect();
        for (name, value) in &simple.assignments {
            let value = self.expand(value);
            // `NAME=value command` sets it for the command alone, and for ours it means nothing.
            if words.is_empty() {
                self.variables.insert(name.clone(), value);
            } else if name == "PATH" || name.starts_with("LD_") {
                return Err(argument(&display_all(&simple.words), name));
            }
        }
        let Some((name, arguments)) = words.split_first() else {
            self.redirects(&simple.redirects)?;
            return Ok(Done::of(Status::Certain(true)));
        };
        let name = name
            .as_deref()
            .ok_or_else(|| Unrecognised::Command(display_all(&simple.words)))?;
        if let Some(shell) =
            files::shell_line(name, arguments, &simple.redirects, |word| self.expand(word))
        {
            return Ok(Done::effect(Effect::Shell(shell)));
        }
        let input = self.redirects(&simple.redirects)?;
        if matches!(name, "exit" | "return") {
            return self.exit(arguments);
        }
        let call = commands::Call {
            text: display_all(&simple.words),
            name: commands::tool(name)
                .ok_or_else(|| Unrecognised::Command(display_all(&simple.words)))?,
            arguments,
            input,
        };
        let ran = commands::call(&call)?;
        self.reasons.extend(ran.reason);
        for name in ran.forgets {
            self.variables.insert(name, None);
        }
        Ok(ran.done)
    }

    fn exit(&self, arguments: &[Option<String>]) -> Result<Done, Unrecognised> {
        let status = match arguments {
            [] => Status::Unsure,
            [Some(code)] => Status::Certain(code == "0"),
            _ => Status::Unsure,
        };
        // `exit 1` behind a condition would refuse the installation on some images.
        if self.must_succeed && !self.imagined && status == Status::Certain(false) {
            return Err(Unrecognised::Refuses);
        }
        Ok(Done {
            flow: Flow::Exit,
            ..Done::of(status)
        })
    }

    /// Checks that nothing is written but to nowhere, and returns a here-document.
    pub(super) fn redirects<'a>(
        &self,
        redirects: &'a [Redirect],
    ) -> Result<Option<&'a str>, Unrecognised> {
        let mut input = None;
        for redirect in redirects {
            let (op, target) = match redirect {
                Redirect::Here(text) => {
                    input = Some(text.as_str());
                    continue;
                }
                Redirect::To(op, target) => (*op, target),
            };
            let path = self
                .expand(target)
                .ok_or_else(|| Unrecognised::Redirect(display(target)))?;
            let harmless = match op {
                RedirectOp::Read => true,
                RedirectOp::Duplicate => {
                    path == "-" || path == "/dev/null" || path.bytes().all(|c| c.is_ascii_digit())
                }
                RedirectOp::Write | RedirectOp::Append => {
                    matches!(path.as_str(), "/dev/null" | "/dev/stdout" | "/dev/stderr")
                }
            };
            if !harmless {
                return Err(Unrecognised::Redirect(path));
            }
        }
        Ok(input)
    }
}

pub(super) fn argument(command: &str, argument: &str) -> Unrecognised {
    Unrecognised::Argument {
        command: command.to_owned(),
        argument: argument.to_owned(),
    }
}

pub(super) fn undecided(pipeline: &Pipeline) -> Unrecognised {
    Unrecognised::Undecided(match &pipeline.command {
        Command::Simple(simple) => display_all(&simple.words),
        Command::Group(..) => "{".to_owned(),
        Command::If(..) => "if".to_owned(),
        Command::For(..) => "for".to_owned(),
    })
}

pub(super) fn undecided_list(list: &[AndOr]) -> Unrecognised {
    list.last().map_or_else(
        || Unrecognised::Undecided(String::new()),
        |item| {
            undecided(
                &item
                    .rest
                    .last()
                    .map_or(&item.first, |(_, last)| last)
                    .clone(),
            )
        },
    )
}

/// Returns a word about as it was written.
pub(super) fn display(word: &Word) -> String {
    word.0
        .iter()
        .map(|part| match part {
            Part::Text { text, .. } => text.clone(),
            Part::Parameter { name, .. } => format!("${name}"),
        })
        .collect()
}

pub(super) fn display_all(words: &[Word]) -> String {
    words.iter().map(display).collect::<Vec<_>>().join(" ")
}
