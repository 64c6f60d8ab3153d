//! Paths inside an image: relative to its root, normal, any bytes but NUL.

use std::borrow::Borrow;
use std::fmt;

/// A path inside an image root, without leading slash; the root itself is empty.
///
/// Ordered by bytes, which is the order of entries in a layer. Components are never empty, `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LayerPath(Vec<u8>);

/// Why bytes are not a path inside an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A `..` could leave the root.
    #[error("path `{0}` holds `..`, which could leave the image root")]
    Parent(String),
    /// No file system stores these.
    #[error("path `{0}` holds a NUL byte")]
    Nul(String),
    /// Linux refuses these: 255 bytes for a component, 4096 for a path.
    #[error("path `{0}` is longer than Linux allows")]
    Long(String),
}

impl LayerPath {
    /// Returns the root of the image.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a path as archives and recipes write it: leading and doubled slashes and `.` are dropped.
    ///
    /// # Errors
    /// [`PathError`] for `..`, NUL bytes and lengths that Linux refuses.
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let bytes = bytes.as_ref();
        let shown = || show(bytes);
        if bytes.contains(&0) {
            return Err(PathError::Nul(shown()));
        }
        let mut out = Vec::with_capacity(bytes.len());
        for component in bytes.split(|&c| c == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(PathError::Parent(shown())),
                _ if component.len() > 255 => return Err(PathError::Long(shown())),
                _ => {}
            }
            if !out.is_empty() {
                out.push(b'/');
            }
            out.extend_from_slice(component);
        }
        if out.len() > 4095 {
            return Err(PathError::Long(shown()));
        }
        Ok(Self(out))
    }

    /// Returns `self` followed by `relative`.
    ///
    /// # Errors
    /// As for [`LayerPath::parse`].
    pub fn join(&self, relative: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let mut bytes = self.0.clone();
        bytes.push(b'/');
        bytes.extend_from_slice(relative.as_ref());
        Self::parse(bytes)
    }

    /// Returns the directory that holds it; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().rposition(|&c| c == b'/').unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// Returns the last component; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        let start = self
            .0
            .iter()
            .rposition(|&c| c == b'/')
            .map_or(0, |slash| slash + 1);
        &self.0[start..]
    }

    /// Returns the components from the root down.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0
            .split(|&c| c == b'/')
            .filter(|component| !component.is_empty())
    }

    /// Tells whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether it is `directory` or lies below it.
    #[must_use]
    pub fn is_within(&self, directory: &Self) -> bool {
        directory.is_root()
            || self
                .0
                .strip_prefix(directory.0.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// Returns the bytes, without leading slash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes and paths have one order, so ranges of paths can be asked for by bytes.
impl Borrow<[u8]> for LayerPath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Returns `bytes` as text for messages: UTF-8 as it is, everything else escaped.
#[must_use]
pub fn show(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

impl fmt::Display for LayerPath {
    /// Writes the path with its leading slash, as it is inside the image.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", show(&self.0))
    }
}

impl fmt::Debug for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_normal_after_parsing() {
        for (text, wanted) in [
            ("/usr/bin/", "/usr/bin"),
            ("./a//b/./c", "/a/b/c"),
            ("", "/"),
            ("/", "/"),
            ("..a/b..", "/..a/b.."),
        ] {
            assert_eq!(LayerPath::parse(text).expect(text).to_string(), wanted);
        }
    }

    #[test]
    fn a_path_never_leaves_the_root() {
        for text in ["..", "../a", "a/../b", "/a/..", "a\0b"] {
            assert!(LayerPath::parse(text).is_err(), "{text:?} was accepted");
        }
        assert!(LayerPath::parse("a".repeat(256)).is_err());
        assert!(LayerPath::parse("a/".repeat(2100)).is_err());
    }

    #[test]
    fn within_means_whole_components() {
        let path = |text: &str| LayerPath::parse(text).expect(text);
        assert!(path("usr/lib").is_within(&path("usr")));
        assert!(path("usr").is_within(&path("usr")));
        assert!(!path("usrlocal").is_within(&path("usr")));
        assert!(path("x").is_within(&LayerPath::root()));
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), Some(LayerPath::root()));
        assert_eq!(path("a/b").file_name(), b"b");
    }
}
