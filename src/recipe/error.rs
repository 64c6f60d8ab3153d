//! What can be wrong with a recipe, said so that it can be mended.

use crate::diagnose::{Class, Diagnose};

/// Why a recipe cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// Not TOML, or a value of the wrong type.
    #[error("line {line}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A key that recipes do not have.
    #[error("line {line}: unknown key `{key}`; known here: {known}")]
    UnknownKey {
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// The keys that are known there.
        known: String,
        /// The one that is spelled most alike.
        nearest: Option<String>,
    },
    /// A value that is read but cannot be meant.
    #[error("{key}: {message}")]
    Value {
        /// The key, dotted.
        key: String,
        /// What is wrong with its value.
        message: String,
    },
}

impl RecipeError {
    pub(super) fn value(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Value {
            key: key.into(),
            message: message.into(),
        }
    }

    pub(super) fn toml(text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text
            .get(..offset)
            .map_or(1, |before| before.matches('\n').count() + 1);
        let message = error.message();
        // serde words it so: unknown field `x`, expected one of `a`, `b` (or: expected `a` or `b`).
        if let Some(rest) = message.strip_prefix("unknown field ") {
            let mut names = rest.split('`').skip(1).step_by(2).map(str::to_owned);
            if let Some(key) = names.next() {
                let known: Vec<String> = names.collect();
                let nearest = nearest(&key, known.iter().map(String::as_str));
                return Self::UnknownKey {
                    line,
                    key,
                    known: known.join(", "),
                    nearest,
                };
            }
        }
        Self::Syntax {
            line,
            message: message.to_owned(),
        }
    }
}

/// Returns the candidate that is spelled most like `word`, if one is close enough to be meant.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 3)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

impl Diagnose for RecipeError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean `{nearest}`?")),
            _ => Some("`imgbuild schema` prints every key with its meaning".to_owned()),
        }
    }
}
