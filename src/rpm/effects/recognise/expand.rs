//! Expands words of which every part is known.

use super::super::shell::{Part, Word};
use super::Walk;

impl Walk {
    /// Returns the one word that `word` becomes; none if the shell could make anything else of it.
    pub(super) fn expand(&self, word: &Word) -> Option<String> {
        let mut out = String::new();
        for (at, part) in word.0.iter().enumerate() {
            match part {
                Part::Text { text, quoted: true } => out.push_str(text),
                Part::Text {
                    text,
                    quoted: false,
                } => {
                    let is_pattern = text.contains(['*', '?', '[']) && text != "[";
                    let is_brace =
                        text.contains('{') && (text.contains(',') || text.contains(".."));
                    if is_pattern || is_brace || (at == 0 && text.starts_with('~')) {
                        return None;
                    }
                    out.push_str(text);
                }
                Part::Parameter { name, quoted } => {
                    let value = self.variables.get(name)?.as_deref()?;
                    // Outside quotes a value is split and matched: only one that is proof against both is used.
                    let plain = |c: u8| c.is_ascii_alphanumeric() || b"_./:=,@%+-".contains(&c);
                    if !quoted && (value.is_empty() || !value.bytes().all(plain)) {
                        return None;
                    }
                    out.push_str(value);
                }
            }
        }
        Some(out)
    }
}
