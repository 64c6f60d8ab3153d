//! What `--update` asks to move.

use std::collections::BTreeSet;

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
}
