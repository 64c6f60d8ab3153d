//! How people name an image on disk: a path, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Format;

/// An image on disk: where, and which one if there are several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImagePath {
    scheme: Option<&'static str>,
    path: PathBuf,
    tag: Option<String>,
}

/// A string that names no image on disk.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` does not name an image on disk: wanted a path, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]"
)]
pub struct ImagePathError(String);

const SCHEMES: [&str; 3] = ["oci", "oci-archive", "docker-archive"];

impl ImagePath {
    /// Names the only image at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            scheme: None,
            path: path.into(),
            tag: None,
        }
    }

    /// Tells whether `text` begins like `oci:`, so that it cannot be a reference to a registry.
    #[must_use]
    pub fn is_marked(text: &str) -> bool {
        text.split_once(':')
            .is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
    }

    /// Returns the folder or file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the form that the scheme asks for; a layout without one.
    #[must_use]
    pub fn format(&self) -> Format {
        match self.scheme {
            Some("oci-archive") => Format::OciArchive,
            Some("docker-archive") => Format::DockerArchive,
            _ => Format::Oci,
        }
    }

    /// Returns the tag, if one was written.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the image with this tag at the same place.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Self {
        Self {
            tag: Some(tag.to_owned()),
            ..self.clone()
        }
    }

    /// Returns the same with a relative path seen from `folder`.
    #[must_use]
    pub fn seen_from(&self, folder: &Path) -> Self {
        Self {
            path: folder.join(&self.path),
            ..self.clone()
        }
    }
}

impl FromStr for ImagePath {
    type Err = ImagePathError;

    fn from_str(text: &str) -> Result<Self, ImagePathError> {
        let scheme = SCHEMES.into_iter().find(|scheme| {
            text.strip_prefix(scheme)
                .is_some_and(|rest| rest.starts_with(':'))
        });
        let (path, tag) = match scheme {
            // Without a scheme a colon is part of the name.
            None => (text, None),
            Some(scheme) => {
                let rest = &text[scheme.len() + 1..];
                // As skopeo reads it: the tag follows the first colon.
                match rest.split_once(':') {
                    Some((path, tag)) => (path, Some(tag)),
                    None => (rest, None),
                }
            }
        };
        if path.is_empty() || path.contains('\0') || tag.is_some_and(str::is_empty) {
            return Err(ImagePathError(text.to_owned()));
        }
        Ok(Self {
            scheme,
            path: path.into(),
            tag: tag.map(str::to_owned),
        })
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{scheme}:")?;
        }
        write!(f, "{}", self.path.display())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_path_prints_as_it_was_read() {
        for (text, path, tag) in [
            ("out", "out", None),
            ("./a:b", "./a:b", None),
            ("oci:out", "out", None),
            ("oci:/a/b:1.0", "/a/b", Some("1.0")),
            ("docker-archive:a.tar:demo:1.0", "a.tar", Some("demo:1.0")),
            ("oci-archive:a.tar", "a.tar", None),
        ] {
            let read: ImagePath = text.parse().expect(text);
            assert_eq!(
                (read.path().to_str(), read.tag()),
                (Some(path), tag),
                "{text}"
            );
            assert_eq!(read.to_string(), text);
        }
        for text in ["", "oci:", "oci::x", "oci:a:", "docker-archive:"] {
            assert!(text.parse::<ImagePath>().is_err(), "{text} was accepted");
        }
    }
}
