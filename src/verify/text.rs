//! The report for people: one line for each thing that was checked, the verdict last.

use super::{Report, Verdict};
use crate::diff::Level;
use crate::oci::Digest;

/// How wide the first column is: the longest word in it.
const COLUMN: usize = 12;

impl Report {
    /// Returns what was checked, line by line, without what differs and without the verdict.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |what: &str, text: &str| format!("{what:COLUMN$}{text}");
        let mut out = Vec::new();
        if let Some(digest) = self.digest {
            out.push(line("subject", &format!("{} ({digest})", self.subject)));
        }
        out.extend(self.checks.iter().map(|check| {
            let text = if check.holds {
                check.found.clone()
            } else {
                format!("NO: {}", check.found)
            };
            line(check.what.word(), &text)
        }));
        out.extend(self.missing.iter().map(|file| {
            let found = file
                .found
                .map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            let (path, recorded) = (&file.path, file.recorded);
            line(
                "",
                &format!("{path}: {recorded} was recorded, the image has {found}"),
            )
        }));
        for platform in &self.platforms {
            let text = compared([platform.found, platform.rebuilt], platform.level);
            out.push(line(&platform.platform, &text));
        }
        if let Some([found, rebuilt]) = self.index {
            let level = if found == rebuilt {
                Level::Digest
            } else {
                Level::Differs
            };
            out.push(line("index", &compared([found, rebuilt], level)));
        }
        out
    }

    /// Returns the last line: the verdict.
    #[must_use]
    pub fn last_line(&self) -> String {
        let verdict = self.verdict();
        let text = match verdict {
            Verdict::Verified => {
                let platforms: Vec<&str> = self
                    .platforms
                    .iter()
                    .map(|platform| platform.platform.as_str())
                    .collect();
                let source = if self.from_image {
                    "; the source files are the image's own, as they were recorded with it"
                } else {
                    ""
                };
                format!(
                    "verified: rebuilt bit for bit for {}{source}",
                    platforms.join(" and ")
                )
            }
            Verdict::Same(level) => format!(
                "same {}, as far as --level {} asks; not bit for bit",
                same_what(level),
                level_word(self.required)
            ),
            Verdict::Differs(Level::Differs) => "differs: the rebuilt image is another".to_owned(),
            Verdict::Differs(level) => format!(
                "differs: the same {}, but --level {} was asked for",
                same_what(level),
                level_word(self.required)
            ),
            Verdict::CouldNotVerify => "could not verify: nothing was proven either way".to_owned(),
            Verdict::Corrupt => {
                "corrupt: bytes are not what their digest, signature or lock says".to_owned()
            }
            Verdict::OtherFormat => {
                "other format: this imgbuild cannot rebuild what that format says".to_owned()
            }
            Verdict::Failed => "failed: there is no answer".to_owned(),
        };
        match &self.stopped {
            Some(stopped) => format!("{text}: {}", stopped.message),
            None => text,
        }
    }
}

fn compared([found, rebuilt]: [Digest; 2], level: Level) -> String {
    match level {
        Level::Digest => format!("{found}, rebuilt the same"),
        Level::Content | Level::Tree => format!(
            "{found}, rebuilt as {rebuilt}: the same {} only",
            same_what(level)
        ),
        Level::Differs => format!("{found}, rebuilt as {rebuilt}: differs"),
    }
}

fn same_what(level: Level) -> &'static str {
    match level {
        Level::Digest => "bytes",
        Level::Content => "content",
        Level::Tree => "files",
        Level::Differs => "nothing",
    }
}

/// Returns the level as `--level` takes it.
pub(super) fn level_word(level: Level) -> &'static str {
    match level {
        Level::Digest => "digest",
        Level::Content => "content",
        Level::Tree => "tree",
        Level::Differs => "differs",
    }
}
