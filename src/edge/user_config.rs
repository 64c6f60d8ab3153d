//! The user's own settings, `imgbuild/config.toml`: where bytes come from and are kept. Nothing in it reaches an image.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::diagnose::{Class, Diagnose};

/// What the file may say; flags add to it or win over it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UserConfig {
    /// As `--mirror`.
    #[serde(default)]
    pub mirror: Vec<String>,
    /// As `--cache-dir`.
    #[serde(default)]
    pub cache_dir: Option<PathBuf>,
    /// As `--ca-file`.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UserConfigError {
    /// The disk refuses.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not what it should be.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
}

impl Diagnose for UserConfigError {
    fn class(&self) -> Class {
        Class::Usage
    }
}

/// Returns where the file is: below `$XDG_CONFIG_HOME`, or `~/.config`.
#[must_use]
pub fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("imgbuild/config.toml"))
}

/// Reads the file; one that is not there says nothing.
///
/// # Errors
/// [`UserConfigError`] for a file that cannot be read or understood.
pub fn read(path: &Path) -> Result<UserConfig, UserConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(UserConfig::default());
        }
        Err(source) => {
            return Err(UserConfigError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    toml::from_str(&text).map_err(|error| UserConfigError::Syntax {
        path: path.to_owned(),
        message: error.message().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_in_the_usual_places() {
        let home = |name: &str| (name == "HOME").then(|| OsString::from("/h"));
        assert_eq!(
            path(home),
            Some(PathBuf::from("/h/.config/imgbuild/config.toml"))
        );
        let xdg = |name: &str| (name == "XDG_CONFIG_HOME").then(|| OsString::from("/x"));
        assert_eq!(path(xdg), Some(PathBuf::from("/x/imgbuild/config.toml")));
        assert_eq!(path(|_| None), None);
    }

    #[test]
    fn a_file_that_is_not_there_says_nothing_and_a_wrong_one_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        assert_eq!(read(&file).expect("absent"), UserConfig::default());
        std::fs::write(&file, "mirror = [\"a=b\"]\n").expect("written");
        assert_eq!(read(&file).expect("valid").mirror, ["a=b"]);
        std::fs::write(&file, "mirrors = []\n").expect("written");
        assert!(matches!(read(&file), Err(UserConfigError::Syntax { .. })));
    }
}
