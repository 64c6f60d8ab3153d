//! Build arguments: values the caller sets, put where the recipe writes `${NAME}`.

use std::collections::BTreeMap;

use super::Recipe;
use crate::diagnose::{Class, Diagnose};

/// The value of every declared argument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(BTreeMap<String, String>);

/// Why the arguments do not fit the recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgError {
    /// Set, but not declared.
    #[error("argument `{0}` is not declared in [args]")]
    Undeclared(String),
    /// Declared without a default, and not set.
    #[error("argument `{0}` has no value")]
    Missing(String),
    /// Used, but neither an argument nor a variable of the base.
    #[error("{key}: `${{{name}}}` is neither in [args] nor in the base's environment")]
    Unknown {
        /// Where it is used.
        key: String,
        /// The name.
        name: String,
    },
    /// A `${` that is never closed.
    #[error("{key}: `${{` is not closed in `{text}`")]
    Unclosed {
        /// Where it is.
        key: String,
        /// The whole text.
        text: String,
    },
}

impl Diagnose for ArgError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Undeclared(name) => Some(format!(
                "add `{name} = {{ default = \"...\" }}` under [args] in the recipe"
            )),
            Self::Missing(name) => Some(format!("pass `--set {name}=VALUE`")),
            Self::Unknown { name, .. } => Some(format!(
                "declare it: `[args]` then `{name} = {{}}`; write `$${{...}}` for a literal"
            )),
            Self::Unclosed { .. } => None,
        }
    }
}

impl Args {
    /// Takes the values in order of strength: `set` by the caller, the declared `variable`, the default.
    ///
    /// # Errors
    /// [`ArgError`] for values nobody declared and declarations nobody gave a value.
    pub fn settle(
        recipe: &Recipe,
        set: &BTreeMap<String, String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ArgError> {
        if let Some(name) = set.keys().find(|name| !recipe.args.contains_key(*name)) {
            return Err(ArgError::Undeclared(name.clone()));
        }
        let mut values = BTreeMap::new();
        for (name, declared) in &recipe.args {
            let value = set
                .get(name)
                .cloned()
                .or_else(|| declared.env.as_deref().and_then(&variable))
                .or_else(|| declared.default.clone())
                .ok_or_else(|| ArgError::Missing(name.clone()))?;
            values.insert(name.clone(), value);
        }
        Ok(Self(values))
    }

    /// Returns all values.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Replaces `${NAME}` by the argument, or by `other`; `$NAME` by `other`, where it has one; `$$` by `$`.
    ///
    /// A `$NAME` that nobody knows stays as it is: it may be meant for the container's own shell.
    ///
    /// # Errors
    /// [`ArgError::Unknown`] for a `${NAME}` that nobody knows, [`ArgError::Unclosed`].
    pub fn expand(
        &self,
        key: &str,
        text: &str,
        other: impl Fn(&str) -> Option<String>,
    ) -> Result<String, ArgError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let unclosed = || ArgError::Unclosed {
                    key: key.to_owned(),
                    text: text.to_owned(),
                };
                let (name, after) = after.split_once('}').ok_or_else(unclosed)?;
                let value = self.0.get(name).cloned().or_else(|| other(name));
                out += &value.ok_or_else(|| ArgError::Unknown {
                    key: key.to_owned(),
                    name: name.to_owned(),
                })?;
                rest = after;
            } else {
                let end = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len());
                let name = &rest[..end];
                match other(name) {
                    Some(value) if !name.is_empty() => out += &value,
                    _ => {
                        out.push('$');
                        out += name;
                    }
                }
                rest = &rest[end..];
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}
