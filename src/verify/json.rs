//! The report for programs.
//!
//! ```text
//! version      1; a field changes its meaning only with another version
//! verdict      verified | same | differs | could-not-verify | corrupt | other-format | failed
//! exit         the exit code
//! subject      as it was named
//! digest       of its manifest or index; null if it could not be read
//! level        digest | content | tree | differs; null without an answer
//! required     the level asked for
//! checks       [{check, holds, found}]: blobs, recipe, source, inputs, base, signatures
//! platforms    [{platform, digest, rebuilt, level}]
//! index        {digest, rebuilt}; null for an image of one platform, or with --platform
//! missing      [{path, recorded, found}]: files that are not in the image as they were recorded
//! sourceFromImage  whether the source files are the image's own
//! differences  as `imgbuild diff --json` gives them, A the image and B what was rebuilt; null without
//! error        {exit, message, hint}; null if there is an answer
//! ```
//! Keys are sorted, lists are in the order of the image: the same image gives the same bytes.

use serde_json::{Value, json};

use super::text::level_word;
use super::{Report, Stopped};

/// The version of the document.
pub const VERSION: u32 = 1;

impl Report {
    /// Returns the document; `differences` is what `diff` makes of [`Report::difference`].
    #[must_use]
    pub fn json(&self, differences: Option<Value>) -> Value {
        let exit = self.verdict().exit_code();
        let error = |stopped: &Stopped| {
            json!({
                "exit": exit,
                "message": stopped.message,
                "hint": stopped.hint,
            })
        };
        let checks = self.checks.iter().map(|check| {
            json!({
                "check": check.what.word(),
                "holds": check.holds,
                "found": check.found,
            })
        });
        let platforms = self.platforms.iter().map(|platform| {
            json!({
                "platform": platform.platform,
                "digest": platform.found,
                "rebuilt": platform.rebuilt,
                "level": level_word(platform.level),
            })
        });
        let missing = self.missing.iter().map(|file| {
            json!({
                "path": file.path,
                "recorded": file.recorded,
                "found": file.found,
            })
        });
        json!({
            "version": VERSION,
            "verdict": self.verdict().word(),
            "exit": exit,
            "subject": self.subject,
            "digest": self.digest,
            "level": self.level.map(level_word),
            "required": level_word(self.required),
            "checks": checks.collect::<Vec<_>>(),
            "platforms": platforms.collect::<Vec<_>>(),
            "index": self.index.map(|[found, rebuilt]| json!({"digest": found, "rebuilt": rebuilt})),
            "sourceFromImage": self.from_image,
            "missing": missing.collect::<Vec<_>>(),
            "differences": differences,
            "error": self.stopped.as_ref().map(error),
        })
    }
}
