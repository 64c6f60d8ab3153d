//! What people name to be pushed: an image on disk, or a recipe.

use std::path::{Path, PathBuf};

use super::super::layout::{ImagePath, ImagePathError};
use crate::diagnose::{Class, Diagnose};

/// What is to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushSource {
    /// A layout or archive.
    Image(ImagePath),
    /// A recipe, or a folder that holds one.
    Recipe(PathBuf),
}

/// A string that names nothing to push.
#[derive(Debug, thiserror::Error)]
pub enum PushSourceError {
    /// It is marked as an image, and names none.
    #[error(transparent)]
    Path(#[from] ImagePathError),
    /// There is nothing there.
    #[error("{} does not exist", .0.display())]
    Absent(PathBuf),
    /// A folder that is neither a layout nor a recipe's.
    #[error("{} holds neither an image (`oci-layout`) nor a recipe (`recipe.toml`)", .0.display())]
    Neither(PathBuf),
}

impl Diagnose for PushSourceError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some("name a layout folder, an archive, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, a recipe, or a recipe's folder".to_owned())
    }
}

impl PushSource {
    /// Finds out what `text` names, by its scheme or by what lies there.
    ///
    /// # Errors
    /// [`PushSourceError`].
    pub fn find(text: &str) -> Result<Self, PushSourceError> {
        if ImagePath::is_marked(text) {
            return Ok(Self::Image(text.parse()?));
        }
        let path = Path::new(text);
        if path.is_dir() {
            return if path.join("oci-layout").exists() {
                Ok(Self::Image(ImagePath::new(path)))
            } else if path.join("recipe.toml").exists() {
                Ok(Self::Recipe(path.to_owned()))
            } else {
                Err(PushSourceError::Neither(path.to_owned()))
            };
        }
        if !path.exists() {
            return Err(PushSourceError::Absent(path.to_owned()));
        }
        Ok(
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                Self::Recipe(path.to_owned())
            } else {
                Self::Image(ImagePath::new(path))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_pushed_is_recognised_by_what_lies_there() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| dir.path().join(name).display().to_string();
        for name in ["layout", "recipe", "empty"] {
            std::fs::create_dir(at(name)).expect("made");
        }
        for name in ["layout/oci-layout", "recipe/recipe.toml", "image.tar"] {
            std::fs::write(at(name), "").expect("written");
        }
        let found = |name: &str| PushSource::find(&at(name)).ok();
        let image = |name: &str| Some(PushSource::Image(ImagePath::new(at(name))));
        let recipe = |name: &str| Some(PushSource::Recipe(at(name).into()));
        assert_eq!(found("layout"), image("layout"));
        assert_eq!(found("image.tar"), image("image.tar"));
        assert_eq!(found("recipe"), recipe("recipe"));
        assert_eq!(found("recipe/recipe.toml"), recipe("recipe/recipe.toml"));
        assert!(matches!(
            PushSource::find(&at("empty")),
            Err(PushSourceError::Neither(_))
        ));
        assert!(matches!(
            PushSource::find(&at("absent")),
            Err(PushSourceError::Absent(_))
        ));
        assert!(matches!(
            PushSource::find("oci:absent:1"),
            Ok(PushSource::Image(_))
        ));
        assert!(matches!(
            PushSource::find("oci:"),
            Err(PushSourceError::Path(_))
        ));
    }
}
