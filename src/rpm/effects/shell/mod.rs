//! Reads the shell of scriptlets: enough of its grammar to know every command that could run, and no more.
//!
//! What is not read is refused by name, so that nothing in a script is ever passed over.
//! <https://pubs.opengroup.org/onlinepubs/9699919799/utilities/V3_chap02.html>

mod syntax;
mod token;

pub(super) use syntax::{AndOr, Command, Join, Pipeline, Redirect, Simple, parse};
pub(super) use token::{Part, RedirectOp, Word};

/// Why a script is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShellError {
    /// A construct that imgbuild does not interpret.
    #[error("{0} is not interpreted")]
    Construct(&'static str),
    /// A quote, here-document or compound command is not closed.
    #[error("{0} is not closed")]
    Unclosed(&'static str),
    /// A word where none may be.
    #[error("`{0}` does not belong here")]
    Unexpected(String),
    /// Larger or deeper than any scriptlet.
    #[error("the script is too large or too deeply nested")]
    TooLarge,
}
