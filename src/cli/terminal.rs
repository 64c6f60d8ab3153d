//! What is printed: data on standard output, everything else on standard error.

use std::io::{IsTerminal, Write};

use super::failure::Failure;

/// Where results and remarks go.
pub(super) struct Terminal {
    /// Whether results are JSON.
    pub(super) json: bool,
    quiet: bool,
    verbose: bool,
}

impl Terminal {
    pub(super) fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        Self {
            json,
            quiet,
            verbose,
        }
    }

    /// Tells whether standard error is a terminal that bars can be drawn on.
    pub(super) fn draws(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// Tells whether only errors are wanted.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes a result to standard output.
    ///
    /// # Errors
    /// A failed write is a failure: whoever reads the result must not take silence for an answer.
    pub(super) fn data(&self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")
            .and_then(|()| out.flush())
            .map_err(|error| {
                Failure::usage(
                    format!("cannot write to standard output: {error}"),
                    "check where the output goes",
                )
            })
    }

    /// Writes a remark to standard error, unless only errors are wanted.
    pub(super) fn remark(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// Writes a remark that is wanted only with `-v`.
    pub(super) fn detail(&self, text: &str) {
        if self.verbose {
            self.remark(text);
        }
    }

    /// Writes a failure to standard error.
    pub(super) fn failure(&self, failure: &Failure) {
        let mut out = std::io::stderr().lock();
        let _ = if self.json {
            let body = serde_json::json!({
                "error": {
                    "exit": failure.class.exit_code(),
                    "message": failure.message,
                    "hint": failure.hint,
                }
            });
            writeln!(out, "{body}")
        } else {
            writeln!(out, "error: {}", failure.message).and_then(|()| match &failure.hint {
                Some(hint) => writeln!(out, "hint: {hint}"),
                None => Ok(()),
            })
        };
    }
}
