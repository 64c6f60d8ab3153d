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
    /// Wraps a mistake in usage.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            class: Class::Usage,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}
