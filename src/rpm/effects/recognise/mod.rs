//! Recognises what a shell scriptlet does, without running it: all of it, or nothing.
//!
//! A script is walked as the shell would on an installation. What depends on the image becomes a [`Condition`];
//! what cannot be told makes the whole script unrecognised. A branch that constants rule out is not looked at.

mod commands;
mod expand;
mod files;
mod outcome;
mod simple;
mod test;
mod users;

use std::collections::{BTreeMap, BTreeSet};

use super::effect::{Condition, Effect};
use super::shell::{self, AndOr, Command, Join, Pipeline, ShellError, Word};
use outcome::{Done, Flow, Status, both, branch, either, not};
use simple::{argument, display, undecided, undecided_list};

/// What a script does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recognised {
    /// Changes, in order.
    pub effects: Vec<Effect>,
    /// Why commands that were passed over do nothing in an image.
    pub reasons: BTreeSet<&'static str>,
}

/// Why a script is not recognised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrecognised {
    /// Its text is not read.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// A command of which imgbuild knows no effect.
    #[error("`{0}` is not known")]
    Command(String),
    /// A known command, used in a way that is not.
    #[error("`{command}` with `{argument}` is not known")]
    Argument {
        /// The command's name.
        command: String,
        /// What is not known about it.
        argument: String,
    },
    /// Something is written to a file.
    #[error("a redirection to `{0}` is not known")]
    Redirect(String),
    /// Changes depend on something only a running system can tell.
    #[error("what happens depends on the outcome of `{0}`")]
    Undecided(String),
    /// It ends with an error, and that stops the installation of the package.
    #[error("it refuses the installation")]
    Refuses,
}

/// The arguments a script is run with: how many instances of the package there are after the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// `$1`: 1 on a first installation, 2 on an upgrade.
    pub first: u32,
    /// `$2` of triggers: instances of the package that woke it.
    pub second: Option<u32>,
    /// Whether a failing script stops the installation: `%pre` and `%pretrans`.
    pub must_succeed: bool,
}

/// Tells what the shell script `text` does when run with `arguments`.
///
/// # Errors
/// [`Unrecognised`], naming the first thing that is not known.
pub fn recognise(text: &str, arguments: Arguments) -> Result<Recognised, Unrecognised> {
    let list = shell::parse(text)?;
    let mut walk = Walk::new(arguments);
    let done = walk.list(&list)?;
    // Only a certain failure counts: commands that are imitated are taken to succeed.
    if arguments.must_succeed && done.status == Status::Certain(false) {
        return Err(Unrecognised::Refuses);
    }
    Ok(Recognised {
        effects: done.effects,
        reasons: walk.reasons,
    })
}

/// More commands than any scriptlet that can be recognised; nested loops reach it.
const MAX_STEPS: u32 = 20_000;

/// More conditions within one another than any scriptlet has, so that none overflows the stack.
const MAX_DEPTH: u32 = 64;

struct Walk {
    /// Variables; none where the value is not known.
    variables: BTreeMap<String, Option<String>>,
    reasons: BTreeSet<&'static str>,
    steps: u32,
    depth: u32,
    /// A failure stops the installation.
    must_succeed: bool,
    /// What is walked does not happen.
    imagined: bool,
}

impl Walk {
    fn new(arguments: Arguments) -> Self {
        let mut variables = BTreeMap::new();
        variables.insert("1".to_owned(), Some(arguments.first.to_string()));
        if let Some(second) = arguments.second {
            variables.insert("2".to_owned(), Some(second.to_string()));
        }
        Self {
            variables,
            reasons: BTreeSet::new(),
            steps: 0,
            depth: 0,
            must_succeed: arguments.must_succeed,
            imagined: false,
        }
    }

    fn list(&mut self, list: &[AndOr]) -> Result<Done, Unrecognised> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ShellError::TooLarge.into());
        }
        let done = self.commands(list);
        self.depth -= 1;
        done
    }

    fn commands(&mut self, list: &[AndOr]) -> Result<Done, Unrecognised> {
        let mut done = Done::of(Status::Certain(true));
        for (at, item) in list.iter().enumerate() {
            let next = self.and_or(item)?;
            done.effects.extend(next.effects);
            done.status = next.status;
            match next.flow {
                Flow::Next => {}
                Flow::Exit => {
                    done.flow = Flow::Exit;
                    break;
                }
                Flow::ExitIf(condition) => {
                    let rest = self.list(&list[at + 1..])?;
                    if !rest.effects.is_empty() {
                        done.effects.push(Effect::When {
                            condition: condition.clone(),
                            then: Vec::new(),
                            otherwise: rest.effects,
                        });
                    }
                    done.status = Status::Unsure;
                    done.flow = match rest.flow {
                        Flow::Next => Flow::ExitIf(condition),
                        Flow::Exit => Flow::Exit,
                        Flow::ExitIf(other) => Flow::ExitIf(either(condition, other)),
                    };
                    break;
                }
            }
        }
        Ok(done)
    }

    fn and_or(&mut self, item: &AndOr) -> Result<Done, Unrecognised> {
        if item.rest.len() > MAX_DEPTH as usize {
            return Err(ShellError::TooLarge.into());
        }
        let mut done = self.pipeline(&item.first)?;
        for (join, next) in &item.rest {
            match done.flow {
                Flow::Next => {}
                Flow::Exit => return Ok(done),
                Flow::ExitIf(_) => return Err(undecided(&item.first)),
            }
            // What must hold for `next` to run.
            let gate = match join {
                Join::And => done.status.clone(),
                Join::Or => done.status.clone().inverted(),
            };
            match gate {
                Status::Certain(true) => {
                    let ran = self.pipeline(next)?;
                    done.effects.extend(ran.effects);
                    (done.status, done.flow) = (ran.status, ran.flow);
                }
                Status::Assumed => {
                    let ran = self.pipeline(next)?;
                    done.effects.extend(ran.effects);
                    (done.status, done.flow) = (ran.status, ran.flow);
                }
                // Constants rule it out; or it is what to do if an imitated command fails, which must be known
                // but does not happen.
                Status::Certain(false) if done.status == Status::Assumed => self.imagine(next)?,
                Status::Certain(false) => {}
                Status::If(condition) => {
                    let ran = self.aside(|walk| walk.pipeline(next))?;
                    self.conditional(&mut done, condition, ran, *join, &item.first)?;
                }
                Status::Unsure => {
                    let ran = self.aside(|walk| walk.pipeline(next))?;
                    if !ran.is_idle() {
                        return Err(undecided(&item.first));
                    }
                    done.status = match (join, ran.status) {
                        (Join::Or, yes @ (Status::Certain(true) | Status::Assumed)) => yes,
                        (Join::And, Status::Certain(false)) => Status::Certain(false),
                        _ => Status::Unsure,
                    };
                }
            }
        }
        Ok(done)
    }

    /// Adds what `ran` does under `condition` to `done`.
    fn conditional(
        &mut self,
        done: &mut Done,
        condition: Condition,
        ran: Done,
        join: Join,
        first: &Pipeline,
    ) -> Result<(), Unrecognised> {
        // A condition is asked when its effects are applied. Effects before that in the same chain could change
        // the answer, unless they hang on the very same condition.
        if !done.effects.is_empty() {
            match done.effects.last_mut() {
                Some(Effect::When {
                    condition: same,
                    then,
                    ..
                }) if *same == condition && ran.flow == Flow::Next => {
                    then.extend(ran.effects);
                    done.status = Status::Unsure;
                    return Ok(());
                }
                _ if ran.is_idle() => {
                    done.status = Status::Unsure;
                    return Ok(());
                }
                _ => return Err(undecided(first)),
            }
        }
        let changes = !ran.effects.is_empty();
        if changes {
            done.effects.push(Effect::When {
                condition: condition.clone(),
                then: ran.effects,
                otherwise: Vec::new(),
            });
        }
        done.flow = match ran.flow {
            Flow::Next => Flow::Next,
            _ if changes => return Err(undecided(first)),
            Flow::Exit => Flow::ExitIf(condition.clone()),
            Flow::ExitIf(other) => Flow::ExitIf(both(condition.clone(), other)),
        };
        done.status = match (join, ran.status) {
            (Join::And, Status::Certain(true) | Status::Assumed) => Status::If(condition),
            (Join::And, Status::Certain(false)) => Status::Certain(false),
            (Join::And, Status::If(other)) => Status::If(both(condition, other)),
            (Join::Or, yes @ (Status::Certain(true) | Status::Assumed)) => yes,
            // `condition` is that the left side fails.
            (Join::Or, Status::Certain(false)) => Status::If(not(condition)),
            (Join::Or, Status::If(other)) => Status::If(either(not(condition), other)),
            (_, Status::Unsure) => Status::Unsure,
        };
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<Done, Unrecognised> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(ShellError::TooLarge.into());
        }
        let mut done = match &pipeline.command {
            Command::Simple(simple) => self.simple(simple)?,
            Command::Group(list, redirects) => {
                self.redirects(redirects)?;
                self.list(list)?
            }
            Command::If(arms, ..) if arms.len() > MAX_DEPTH as usize => {
                return Err(ShellError::TooLarge.into());
            }
            Command::If(arms, otherwise, redirects) => {
                self.redirects(redirects)?;
                self.arms(arms, otherwise)?
            }
            Command::For(name, words, body, redirects) => {
                self.redirects(redirects)?;
                self.repeat(name, words, body)?
            }
        };
        if pipeline.inverted {
            done.status = done.status.inverted();
        }
        Ok(done)
    }

    fn arms(
        &mut self,
        arms: &[(Vec<AndOr>, Vec<AndOr>)],
        otherwise: &[AndOr],
    ) -> Result<Done, Unrecognised> {
        let Some(((condition, body), rest)) = arms.split_first() else {
            return self.list(otherwise);
        };
        let mut asked = self.list(condition)?;
        if asked.flow != Flow::Next {
            return Err(undecided_list(condition));
        }
        let merged = match asked.status.clone() {
            Status::Certain(true) => self.list(body)?,
            Status::Certain(false) => self.arms(rest, otherwise)?,
            Status::Assumed => {
                let then = self.list(body)?;
                let was = std::mem::replace(&mut self.imagined, true);
                self.aside(|walk| walk.arms(rest, otherwise))?;
                self.imagined = was;
                then
            }
            Status::Unsure => {
                let then = self.aside(|walk| walk.list(body))?;
                let other = self.aside(|walk| walk.arms(rest, otherwise))?;
                if !then.is_idle() || !other.is_idle() {
                    return Err(undecided_list(condition));
                }
                Done::of(Status::Unsure)
            }
            Status::If(question) => {
                let then = self.aside(|walk| walk.list(body))?;
                let other = self.aside(|walk| walk.arms(rest, otherwise))?;
                branch(question, then, other).ok_or_else(|| undecided_list(condition))?
            }
        };
        if !asked.effects.is_empty() && matches!(asked.status, Status::If(_)) && !merged.is_idle() {
            return Err(undecided_list(condition));
        }
        asked.effects.extend(merged.effects);
        Ok(Done {
            effects: asked.effects,
            ..merged
        })
    }

    fn repeat(&mut self, name: &str, words: &[Word], body: &[AndOr]) -> Result<Done, Unrecognised> {
        let mut done = Done::of(Status::Certain(true));
        for word in words {
            let value = self
                .expand(word)
                .ok_or_else(|| argument("for", &display(word)))?;
            self.variables.insert(name.to_owned(), Some(value));
            let next = self.list(body)?;
            if next.flow != Flow::Next {
                return Err(undecided_list(body));
            }
            done.effects.extend(next.effects);
            done.status = next.status;
        }
        Ok(done)
    }

    /// Walks what would run if an imitated command failed: it must be known, but does not happen.
    fn imagine(&mut self, pipeline: &Pipeline) -> Result<(), Unrecognised> {
        let was = std::mem::replace(&mut self.imagined, true);
        self.aside(|walk| walk.pipeline(pipeline))?;
        self.imagined = was;
        Ok(())
    }

    /// Walks something that may not run: variables it sets are no longer known.
    fn aside<T>(
        &mut self,
        walk: impl FnOnce(&mut Self) -> Result<T, Unrecognised>,
    ) -> Result<T, Unrecognised> {
        let before = self.variables.clone();
        let done = walk(self)?;
        for (name, value) in &mut self.variables {
            if before.get(name) != Some(value) {
                *value = None;
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
