//! The name of an image in a layout or archive: `1.0`, `app:1.0` or `registry.example.com/app:1.0`.

use std::fmt;
use std::str::FromStr;

/// What `--tag` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What `docker load` names the image, if it is not the recipe's name.
    name: Option<String>,
    /// What a layout names it.
    tag: String,
}

/// Why a text is not a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no tag: wanted TAG or NAME:TAG, with up to 128 letters, digits, `_`, `.` and `-` in TAG"
)]
pub struct TagError(String);

impl Tag {
    /// Returns the tag alone.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns `NAME:TAG`, of an image that is called `name` where the tag does not say.
    #[must_use]
    pub fn with_name(&self, name: &str) -> String {
        format!("{}:{}", self.name.as_deref().unwrap_or(name), self.tag)
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let (name, tag) = match text.rsplit_once(':') {
            // The colon of `localhost:5000/app` is of a port.
            Some((name, tag)) if !tag.contains('/') => (Some(name), tag),
            _ if text.contains('/') => (Some(text), "latest"),
            _ => (None, text),
        };
        // https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
        let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        let starts = tag.bytes().next().is_some_and(word);
        let valid = tag.bytes().all(|c| word(c) || c == b'.' || c == b'-');
        let named = name.is_none_or(|name| {
            !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control())
        });
        if !starts || !valid || !named || tag.len() > 128 {
            return Err(TagError(text.to_owned()));
        }
        Ok(Self {
            name: name.map(str::to_owned),
            tag: tag.to_owned(),
        })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}:{}", self.tag),
            None => f.write_str(&self.tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_may_name_the_image_and_a_port_is_not_taken_for_one() {
        for (text, tag, full) in [
            ("1.0", "1.0", "app:1.0"),
            ("other:1.0", "1.0", "other:1.0"),
            ("localhost:5000/x", "latest", "localhost:5000/x:latest"),
            ("localhost:5000/x:2", "2", "localhost:5000/x:2"),
        ] {
            let read: Tag = text.parse().expect(text);
            assert_eq!((read.tag(), &*read.with_name("app")), (tag, full));
        }
        for text in ["", "a b", ":1", "x:", ".1", "a:b c", "é"] {
            assert!(text.parse::<Tag>().is_err(), "{text} was accepted");
        }
    }
}
