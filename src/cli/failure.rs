//! Any error on its way to the terminal: its message, causes, hint and class.

use crate::diagnose::{Class, Diagnose};

/// What went wrong, ready to be printed.
pub(super) struct Failure {
    /// Decides the exit code.
    pub(super) class: Class,
    /// The message, with causes that it does not already contain.
    pub(super) message: String,
    /// What to run or change.
    pub(super) hint: Option<String>,
}

impl<E: Diagnose> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            let text = cause.to_string();
            // Messages here name their cause themselves; those of libraries often do not.
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Self {
            class: error.class(),
            message,
            hint: error.hint(),
        }
    }
}

impl Failure {
    /// Takes over what clap says of a mistake in usage: the message, then hints and the usage line.
    pub(super) fn of_usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = message.trim().strip_prefix("error: ").unwrap_or(message);
        let hint = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            class: Class::Usage,
            message: message.split_whitespace().collect::<Vec<_>>().join(" "),
            hint: (!hint.is_empty()).then_some(hint),
        }
    }

    /// Wraps a mistake in usage.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            class: Class::Usage,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}
