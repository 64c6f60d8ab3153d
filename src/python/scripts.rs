//! Reads entry points and writes the scripts that start them.

use std::collections::BTreeMap;

/// A command that a package installs: `name = module:function`.
///
/// <https://packaging.python.org/en/latest/specifications/entry-points/>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryPoint {
    /// The name of the command.
    pub name: String,
    /// The module that is imported.
    pub module: String,
    /// The function that is called, perhaps an attribute of an imported class: `Class.run`.
    pub function: String,
}

/// Why an entry_points.txt cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryPointError {
    /// A line is neither section nor `name = value`.
    #[error("entry_points.txt line {line}: `{text}` is neither a section nor `name = value`")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// The value is not `module:function`.
    #[error("entry point `{name}`: `{found}` is not `module:function`")]
    Value {
        /// The name of the command.
        name: String,
        /// Its value.
        found: String,
    },
    /// The name cannot be a file in `bin`.
    #[error("entry point `{0}`: not a name for a file in bin")]
    Name(String),
    /// Two commands of one name.
    #[error("entry point `{0}` is there twice with different values")]
    Twice(String),
}

/// Reads the commands of entry_points.txt, sorted by name; graphical ones start like the others on Linux.
///
/// # Errors
/// [`EntryPointError`] if a line or a command cannot be read.
pub fn parse(text: &str) -> Result<Vec<EntryPoint>, EntryPointError> {
    let mut found: BTreeMap<String, EntryPoint> = BTreeMap::new();
    let mut section = "";
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.trim();
            continue;
        }
        // "File format": `=` is the only delimiter.
        let Some((name, value)) = line.split_once('=') else {
            return Err(EntryPointError::Line {
                line: at + 1,
                text: line.to_owned(),
            });
        };
        if !matches!(section, "console_scripts" | "gui_scripts") {
            continue;
        }
        let point = EntryPoint::parse(name.trim(), value.trim())?;
        if let Some(first) = found.get(&point.name)
            && *first != point
        {
            return Err(EntryPointError::Twice(point.name));
        }
        found.insert(point.name.clone(), point);
    }
    Ok(found.into_values().collect())
}

impl EntryPoint {
    /// Reads `module:function [extras]`; extras are obsolete and mean nothing.
    fn parse(name: &str, value: &str) -> Result<Self, EntryPointError> {
        let wrong = || EntryPointError::Value {
            name: name.to_owned(),
            found: value.to_owned(),
        };
        if !is_file_name(name) {
            return Err(EntryPointError::Name(name.to_owned()));
        }
        let (reference, extras) = match value.split_once('[') {
            Some((reference, extras)) => (reference, Some(extras)),
            None => (value, None),
        };
        let (module, function) = reference.split_once(':').ok_or_else(wrong)?;
        let (module, function) = (module.trim(), function.trim());
        // Both go into Python source as they are, so they must not be able to say anything but a name.
        let is_name = |text: &str| {
            let valid = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            !text.is_empty() && text.chars().all(valid)
        };
        if !is_name(module)
            || !is_name(function)
            || extras.is_some_and(|extras| !extras.ends_with(']'))
        {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            module: module.to_owned(),
            function: function.to_owned(),
        })
    }

    /// Returns the script that starts the command, byte for byte as uv writes it.
    #[must_use]
    pub fn script(&self, shebang: &str) -> String {
        let Self {
            module, function, ..
        } = self;
        let imported = function.split('.').next().unwrap_or(function);
        format!(
            "{shebang}
# -*- coding: utf-8 -*-
import sys
from {module} import {imported}
if __name__ == \"__main__\":
    if sys.argv[0].endswith(\"-script.pyw\"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(\".exe\"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({function}())
"
        )
    }
}

/// Tells whether `name` can be the name of a file.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && !name
            .chars()
            .any(|c| c == '/' || c == '\\' || c.is_control())
}

/// Tells whether `name` is one of the interpreter's own in `bin`.
#[must_use]
pub fn is_interpreter(name: &str) -> bool {
    matches!(name, "python" | "pythonw" | "python3")
        || name
            .strip_prefix("python3.")
            .is_some_and(|minor| minor.parse::<u8>().is_ok())
}

/// Gives pip the command `pip3.11`, as pip does when it installs itself: its wheel names that of its build.
#[must_use]
pub fn with_versioned_pip(points: &[EntryPoint], minor: u64) -> Vec<EntryPoint> {
    let is_versioned = |name: &str| {
        let minor = name.strip_prefix("pip3.");
        minor.is_some_and(|minor| minor.parse::<u8>().is_ok())
    };
    let kept = points.iter().filter(|point| !is_versioned(&point.name));
    let mut out: Vec<_> = kept.cloned().collect();
    if let Some(pip) = out.iter().find(|point| point.name == "pip3") {
        let pip = EntryPoint {
            name: format!("pip3.{minor}"),
            ..pip.clone()
        };
        out.push(pip);
    }
    out
}

/// Returns the first line of a script for `python`, without line end.
///
/// Linux reads at most 127 bytes of it and splits at spaces; beyond that, a line that is both shell and Python starts
/// it, as uv and pip write it.
#[must_use]
pub fn shebang(python: &str) -> String {
    const MOST: usize = 127;
    let length = "#!".len() + python.len() + "\n".len();
    if length > MOST || python.contains(' ') {
        let quoted = python.replace('\'', r#"'"'"'"#);
        return format!("#!/bin/sh\n'''exec' '{quoted}' \"$0\" \"$@\"\n' '''");
    }
    format!("#!{python}")
}

/// Returns `script` with its first line replaced by `shebang`; none if that line is no placeholder.
///
/// "Recommended installer features": `#!python`, or `#!pythonw`, stands for the interpreter. What follows it on the
/// line is dropped, as uv does: it would be an argument to the shell where the shebang goes through that.
#[must_use]
pub fn with_shebang(script: &[u8], shebang: &str) -> Option<Vec<u8>> {
    let rest = script.strip_prefix(PLACEHOLDER)?;
    let end = rest.iter().position(|&c| c == b'\n');
    let rest = end.and_then(|end| rest.get(end..)).unwrap_or(b"\n");
    Some([shebang.as_bytes(), rest].concat())
}

/// What a script starts with if the interpreter is to be put in.
pub(crate) const PLACEHOLDER: &[u8] = b"#!python";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_by_the_specification() {
        let points = parse(
            "# comment\n[console_scripts]\nb = pkg.mod : Class.run [extra, more]\n A=pkg:main\n; x\n\
             [gui_scripts]\r\ng =pkg:gui\n[other]\nx = anything goes here\n",
        )
        .expect("valid");
        let shown: Vec<_> = points
            .iter()
            .map(|p| format!("{}={}:{}", p.name, p.module, p.function))
            .collect();
        assert_eq!(shown, ["A=pkg:main", "b=pkg.mod:Class.run", "g=pkg:gui"]);
    }

    #[test]
    fn commands_that_could_escape_or_say_more_than_a_name_are_refused() {
        for text in [
            "../x = a:b",
            "a/b = a:b",
            " = a:b",
            ".. = a:b",
            "x = a",
            "x = :b",
            "x = a:",
            "x = a:b [extra",
            "x = a:b; import os",
            "x = a:b()",
            "x = a b:c",
            "x",
            "x: a.b",
            "x = a:b\nx = a:c",
        ] {
            let text = format!("[console_scripts]\n{text}");
            assert!(parse(&text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn a_script_is_the_template_of_uv() {
        let point = EntryPoint {
            name: "x".to_owned(),
            module: "pkg.mod".to_owned(),
            function: "Class.run".to_owned(),
        };
        let script = point.script("#!/app/.venv/bin/python");
        assert!(script.starts_with("#!/app/.venv/bin/python\n# -*- coding: utf-8 -*-\nimport sys\nfrom pkg.mod import Class\n"));
        assert!(script.ends_with("    sys.exit(Class.run())\n"));
    }

    #[test]
    fn a_shebang_that_linux_would_cut_goes_through_the_shell() {
        let path = |length: usize| format!("/{}", "a".repeat(length - 1));
        assert_eq!(shebang(&path(124)), format!("#!{}", path(124)));
        assert!(shebang(&path(125)).starts_with("#!/bin/sh\n'''exec' '/aaa"));
        assert_eq!(
            shebang("/a b/it's"),
            "#!/bin/sh\n'''exec' '/a b/it'\"'\"'s' \"$0\" \"$@\"\n' '''"
        );
    }

    #[test]
    fn placeholders_are_replaced() {
        let replaced = |script: &[u8]| with_shebang(script, "#!/p");
        assert_eq!(replaced(b"#!python\nx"), Some(b"#!/p\nx".to_vec()));
        assert_eq!(replaced(b"#!pythonw\nx"), Some(b"#!/p\nx".to_vec()));
        assert_eq!(replaced(b"#!python3 -E\r\nx"), Some(b"#!/p\nx".to_vec()));
        assert_eq!(replaced(b"#!python"), Some(b"#!/p\n".to_vec()));
        assert_eq!(replaced(b"#!/usr/bin/python\nx"), None);
        assert_eq!(replaced(b""), None);
    }

    #[test]
    fn pip_is_named_after_the_interpreter() {
        let points =
            parse("[console_scripts]\npip=a:b\npip3=a:b\npip3.9=a:b\npip3.x=a:b\nq3.9=a:b")
                .expect("valid");
        let names: Vec<_> = with_versioned_pip(&points, 11)
            .into_iter()
            .map(|p| p.name)
            .collect();
        assert_eq!(names, ["pip", "pip3", "pip3.x", "q3.9", "pip3.11"]);
    }
}
