//! Where an image is: `registry/repository[:tag][@digest]`.
//!
//! <https://github.com/distribution/reference>

use std::fmt;
use std::str::FromStr;

use super::Digest;

/// A reference to an image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an image reference: {why}; wanted registry/repository[:tag][@sha256:...]")]
pub struct ReferenceError {
    text: String,
    why: String,
}

impl Reference {
    /// Returns the host, with its port if it has one.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository, without the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag, if one was written.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, if one was written.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns `registry/repository`, without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns what to ask a registry for: the digest, else the tag, else `latest`.
    #[must_use]
    pub fn identifier(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// Returns the same repository at `digest`.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let bad = |why: &str| ReferenceError {
            text: text.to_owned(),
            why: why.to_owned(),
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(
                    digest
                        .parse()
                        .map_err(|e: super::digest::DigestError| bad(&e.to_string()))?,
                ),
            ),
            None => (text, None),
        };
        // A colon after the last slash starts the tag; before it, the port.
        let (name, tag) = match rest.rfind(':') {
            Some(colon) if !rest[colon..].contains('/') => {
                (&rest[..colon], Some(&rest[colon + 1..]))
            }
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            let valid = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            if tag.is_empty()
                || tag.len() > 128
                || !tag.chars().all(valid)
                || tag.starts_with(['.', '-'])
            {
                return Err(bad("the tag is malformed"));
            }
        }
        let (registry, repository) = name
            .split_once('/')
            .ok_or_else(|| bad("it names no registry"))?;
        // As Docker decides it: a registry has a dot or a port, or is localhost.
        if !(registry.contains(['.', ':']) || registry == "localhost" || registry.starts_with('['))
        {
            return Err(bad(
                "it names no registry (write docker.io/library/NAME for Docker Hub)",
            ));
        }
        if registry
            .chars()
            .any(|c| !(c.is_ascii_alphanumeric() || "-.:[]".contains(c)))
        {
            return Err(bad("the registry is malformed"));
        }
        let component = |part: &str| {
            let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
            let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            !part.is_empty()
                && part.chars().all(inner)
                && part.starts_with(edge)
                && part.ends_with(edge)
        };
        if repository.len() > 255 || !repository.split('/').all(component) {
            return Err(bad(
                "the repository is malformed (lower case, digits, `.`, `_`, `-`, `/`)",
            ));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_prints_as_it_was_read() {
        let digest = Digest::of(b"x");
        for text in [
            "public.ecr.aws/amazonlinux/amazonlinux:2023".to_owned(),
            "127.0.0.1:5000/a/b".to_owned(),
            "localhost/a:x".to_owned(),
            format!("registry.example.com:443/team/app:1.0@{digest}"),
            format!("registry.example.com/app@{digest}"),
        ] {
            assert_eq!(text.parse::<Reference>().expect(&text).to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_reference_is_refused() {
        for text in [
            "",
            "app",
            "app:1",
            "library/app",
            "r.io/App",
            "r.io/a:",
            "r.io/a:-x",
            "r.io/a@sha256:00",
            "r.io/a//b",
            "r.io/",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text} was accepted");
        }
    }
}
