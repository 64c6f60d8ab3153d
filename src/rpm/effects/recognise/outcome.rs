//! What walking a command yields: its status, its effects, whether the script goes on.

use super::super::effect::{Condition, Effect};

/// The exit status of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Follows from constants.
    Certain(bool),
    /// Success, as the command is imitated.
    Assumed,
    /// The image decides.
    If(Condition),
    /// Nobody knows.
    Unsure,
}

impl Status {
    pub(super) fn inverted(self) -> Self {
        match self {
            Self::Certain(yes) => Self::Certain(!yes),
            Self::Assumed => Self::Certain(false),
            Self::If(condition) => Self::If(not(condition)),
            Self::Unsure => Self::Unsure,
        }
    }
}

/// Whether the script goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Exit,
    /// It ends if this holds.
    ExitIf(Condition),
}

/// The outcome of a command or list.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) status: Status,
    pub(super) effects: Vec<Effect>,
    pub(super) flow: Flow,
}

impl Done {
    pub(super) fn of(status: Status) -> Self {
        Self {
            status,
            effects: Vec::new(),
            flow: Flow::Next,
        }
    }

    pub(super) fn effect(effect: Effect) -> Self {
        Self {
            effects: vec![effect],
            ..Self::of(Status::Assumed)
        }
    }

    /// Neither changes anything nor ends the script, so it does not matter whether it is run.
    pub(super) fn is_idle(&self) -> bool {
        self.effects.is_empty() && self.flow == Flow::Next
    }
}

pub(super) fn not(condition: Condition) -> Condition {
    match condition {
        Condition::Not(inner) => *inner,
        other => Condition::Not(Box::new(other)),
    }
}

pub(super) fn both(a: Condition, b: Condition) -> Condition {
    Condition::Both(Box::new(a), Box::new(b))
}

pub(super) fn either(a: Condition, b: Condition) -> Condition {
    Condition::Either(Box::new(a), Box::new(b))
}

/// Joins two branches of which the image chooses one.
pub(super) fn branch(question: Condition, then: Done, other: Done) -> Option<Done> {
    let exits = |flow: &Flow| *flow != Flow::Next;
    if (exits(&then.flow) && !then.effects.is_empty())
        || (exits(&other.flow) && !other.effects.is_empty())
        || ((exits(&then.flow) || exits(&other.flow))
            && !(then.effects.is_empty() && other.effects.is_empty()))
    {
        return None;
    }
    let flow = match (then.flow, other.flow) {
        (Flow::Next, Flow::Next) => Flow::Next,
        (Flow::Exit, Flow::Exit) => Flow::Exit,
        (Flow::Exit, Flow::Next) => Flow::ExitIf(question.clone()),
        (Flow::Next, Flow::Exit) => Flow::ExitIf(not(question.clone())),
        (Flow::ExitIf(more), Flow::Next) => Flow::ExitIf(both(question.clone(), more)),
        (Flow::Next, Flow::ExitIf(more)) => Flow::ExitIf(both(not(question.clone()), more)),
        _ => return None,
    };
    let mut effects = Vec::new();
    if !then.effects.is_empty() || !other.effects.is_empty() {
        effects.push(Effect::When {
            condition: question,
            then: then.effects,
            otherwise: other.effects,
        });
    }
    let status = if then.status == other.status {
        then.status
    } else {
        Status::Unsure
    };
    Some(Done {
        status,
        effects,
        flow,
    })
}
