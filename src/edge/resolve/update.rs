//! What `--update` asks to move.

use std::collections::BTreeSet;

use crate::diagnose::{Class, Diagnose};
use crate::lock::Lock;
use crate::recipe::{Recipe, Stage};

/// A name after `--update` that would move nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Nothing is called so.
    #[error("--update {name}: the lock holds no package of this name")]
    Unknown {
        /// The name.
        name: String,
        /// The one that is spelled most alike.
        nearest: Option<String>,
    },
    /// Wheels are pinned by uv.lock.
    #[error("--update {0}: wheels are pinned by uv.lock")]
    Wheel(String),
}

impl Diagnose for UpdateError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown {
                nearest: Some(nearest),
                ..
            } => format!("did you mean `{nearest}`?"),
            Self::Unknown { .. } => "name a package of the lock, or base, rpm or python".to_owned(),
            Self::Wheel(name) => {
                format!("run `uv lock --upgrade-package {name}`, then `imgbuild lock`")
            }
        })
    }
}

/// The pins that may move although they still hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    all: bool,
    names: BTreeSet<String>,
}

impl Update {
    /// Reads the words after `--update`; `all` is what the bare flag gives.
    #[must_use]
    pub fn parse(words: &[String]) -> Self {
        let names: BTreeSet<String> = words
            .iter()
            .filter(|word| *word != "all")
            .cloned()
            .collect();
        Self {
            all: words.iter().any(|word| word == "all"),
            names,
        }
    }

    /// Checks that every name means something that `lock` pins or `recipe` requests.
    ///
    /// # Errors
    /// [`UpdateError`] for the first that does not: taking it for nothing would look like "nothing newer is there".
    pub fn check(&self, lock: &Lock, recipe: &Recipe) -> Result<(), UpdateError> {
        let stages = [Stage::Builder, Stage::Runtime];
        let mut requested: Vec<String> = Vec::new();
        for stage in stages {
            requested.extend(recipe.packages(stage));
            let section = recipe.stage(stage);
            requested.extend(section.upgrade.iter().cloned());
            requested.extend(section.replace.values().cloned());
        }
        let known: BTreeSet<&str> = ["base", "rpm", "python"]
            .into_iter()
            .chain(lock.rpms.iter().map(|rpm| rpm.name.as_str()))
            .chain(requested.iter().map(String::as_str))
            .collect();
        let Some(name) = self
            .names
            .iter()
            .find(|name| !known.contains(name.as_str()))
        else {
            return Ok(());
        };
        if lock.wheels.iter().any(|wheel| wheel.name == *name) {
            return Err(UpdateError::Wheel(name.clone()));
        }
        let close = |known: &&str| strsim::damerau_levenshtein(name, known);
        let nearest = known.into_iter().min_by_key(close);
        Err(UpdateError::Unknown {
            name: name.clone(),
            nearest: nearest
                .filter(|nearest| close(nearest) <= 1 + name.len() / 3)
                .map(str::to_owned),
        })
    }

    /// Tells whether nothing is asked for.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        !self.all && self.names.is_empty()
    }

    /// Tells whether the base may move to what its tag means now.
    #[must_use]
    pub fn base(&self) -> bool {
        self.all || self.names.contains("base")
    }

    /// Tells whether repositories may move to their newest state, and all packages with them.
    #[must_use]
    pub fn rpm(&self) -> bool {
        self.all || self.names.contains("rpm") || self.base()
    }

    /// Tells whether the package called `name` may move.
    #[must_use]
    pub fn package(&self, name: &str) -> bool {
        self.rpm() || self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_moves_itself_and_a_word_moves_its_kind() {
        let parse = |words: &[&str]| {
            Update::parse(
                &words
                    .iter()
                    .map(|&word| word.to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert!(parse(&[]).is_nothing());
        assert!(parse(&["all"]).base() && parse(&["all"]).package("x"));
        assert!(parse(&["rpm"]).package("x") && !parse(&["rpm"]).base());
        assert!(
            parse(&["curl"]).package("curl")
                && !parse(&["curl"]).package("x")
                && !parse(&["curl"]).rpm()
        );
        // Packages must fit the base they go on.
        assert!(parse(&["base"]).rpm());
    }

    #[test]
    fn a_name_that_would_move_nothing_is_refused_with_what_may_be_meant() {
        let recipe =
            "[image]\nname = \"a\"\n[base]\nimage = \"b\"\n[runtime]\npackages = [\"curl\"]\n";
        let recipe = Recipe::parse(recipe).expect("valid");
        let digest = crate::oci::Digest::of(b"");
        let lock = format!(
            "format = 1\nrecipe = \"{digest}\"\nepoch = 0\n[base]\nimage = \"b\"\ndigest = \"{digest}\"\nsize = 1\n\
             platform = []\n[[wheel]]\nname = \"six\"\nversion = \"1\"\nfilename = \"six-1-py3-none-any.whl\"\n\
             url = \"https://x/\"\ndigest = \"{digest}\"\nplatforms = []\n"
        );
        let lock = Lock::parse("recipe.lock", &lock).expect("valid");
        let check = |name: &str| Update::parse(&[name.to_owned()]).check(&lock, &recipe);
        for name in ["all", "base", "python", "curl"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let hint = |name| check(name).expect_err("means nothing").hint();
        assert_eq!(hint("crul").as_deref(), Some("did you mean `curl`?"));
        assert!(hint("six").is_some_and(|hint| hint.starts_with("run `uv lock")));
        assert!(hint("nothing-like-it").is_some());
    }
}
