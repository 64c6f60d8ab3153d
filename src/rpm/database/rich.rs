//! The names in a rich dependency, as the database indexes them.
//!
//! Only for the index: `updateRichDep` in rpm's `lib/rpmdb.c` and `rpmrichParse` in `lib/rpmds.c`. What rpm cannot parse
//! it indexes as a whole only, so nothing here is an error.

/// How deep parentheses may nest before a dependency counts as malformed.
const MAX_DEPTH: usize = 64;

/// Returns the names in `text`, sorted, each once; a name whose absence is meant begins with `!`.
pub(super) fn names(text: &[u8]) -> Vec<Vec<u8>> {
    let mut parser = Parser {
        rest: text,
        found: Vec::new(),
        is_negated: false,
    };
    if parser.parenthesis(0).is_none() {
        return Vec::new();
    }
    let mut found = parser.found;
    // Negated names sort after all others, as `!` does after a blank.
    found.sort();
    found.dedup();
    found
        .into_iter()
        .map(|Name { is_negated, name }| {
            let mark: &[u8] = if is_negated { b"!" } else { b"" };
            [mark, &name].concat()
        })
        .collect()
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    is_negated: bool,
    name: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `and`, `or`, `with`: may be chained.
    Chain(&'static str),
    Without,
    /// `if` and `unless`.
    Condition,
    Else,
}

struct Parser<'a> {
    rest: &'a [u8],
    found: Vec<Name>,
    is_negated: bool,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Reads from `(` to its `)`; none if it is malformed.
    fn parenthesis(&mut self, depth: usize) -> Option<()> {
        self.rest = self.rest.strip_prefix(b"(")?;
        let mut condition_from = self.found.len();
        let mut last = None;
        let mut chain = None;
        loop {
            self.skip_blanks();
            if self.rest.starts_with(b"(") {
                (depth < MAX_DEPTH).then_some(())?;
                self.parenthesis(depth + 1)?;
            } else {
                self.simple()?;
            }
            self.skip_blanks();
            if let Some(rest) = self.rest.strip_prefix(b")") {
                self.rest = rest;
                break;
            }
            let operator = self.operator()?;
            if operator == Operator::Else && chain == Some(Operator::Condition) {
                chain = None;
            }
            match (chain, operator) {
                (None, _) => {}
                (Some(before), Operator::Chain(_)) if before == operator => {}
                _ => return None,
            }
            match operator {
                Operator::Condition => {
                    condition_from = self.found.len();
                    self.is_negated ^= true;
                }
                Operator::Else => {
                    let inverted: Vec<Name> = self.found[condition_from..]
                        .iter()
                        .map(|one| Name {
                            is_negated: !one.is_negated,
                            name: one.name.clone(),
                        })
                        .collect();
                    self.found.extend(inverted);
                    self.is_negated ^= true;
                }
                _ => {}
            }
            chain = Some(operator);
            last = Some(operator);
        }
        if last == Some(Operator::Condition) {
            self.is_negated ^= true;
        }
        Some(())
    }

    fn simple(&mut self) -> Option<()> {
        let name = self.word();
        if name.is_empty() {
            return None;
        }
        if !name.starts_with(b"rpmlib(") {
            self.found.push(Name {
                is_negated: self.is_negated,
                name: name.to_vec(),
            });
        }
        let after_name = self.rest;
        self.skip_blanks();
        let is_comparison = |c: &u8| matches!(c, b'<' | b'>' | b'=');
        let length = self.rest.iter().take_while(|c| is_comparison(c)).count();
        if length == 0 {
            self.rest = after_name;
            return Some(());
        }
        self.rest = &self.rest[length..];
        self.skip_blanks();
        (!self.word().is_empty()).then_some(())
    }

    /// Reads to a blank, a comma or an unpaired `)`.
    fn word(&mut self) -> &'a [u8] {
        let mut open = 0_usize;
        let end = self.rest.iter().position(|&c| match c {
            b'(' => {
                open += 1;
                false
            }
            b')' if open > 0 => {
                open -= 1;
                false
            }
            b')' => true,
            b',' => open == 0,
            _ => open == 0 && c.is_ascii_whitespace(),
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn operator(&mut self) -> Option<Operator> {
        let length = self
            .rest
            .iter()
            .take_while(|c| !c.is_ascii_whitespace() && **c != b')')
            .count();
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(match word {
            b"and" => Operator::Chain("and"),
            b"or" => Operator::Chain("or"),
            b"with" => Operator::Chain("with"),
            b"without" => Operator::Without,
            b"if" | b"unless" => Operator::Condition,
            b"else" => Operator::Else,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_are_found_with_what_their_absence_means() {
        for (text, wanted) in [
            ("(a and b)", "a b"),
            ("(a >= 1.0 or b = 2-3)", "a b"),
            ("(a if b)", "a !b"),
            ("(a if b else c)", "a b c !b"),
            ("((a or b) unless (c and d))", "a b !c !d"),
            ("(libx(y)(64bit) with rpmlib(z))", "libx(y)(64bit)"),
            ("(b and a and b)", "a b"),
            ("(pkg without other)", "other pkg"),
        ] {
            let found: Vec<String> = names(text.as_bytes())
                .into_iter()
                .map(|name| String::from_utf8(name).expect("text"))
                .collect();
            assert_eq!(found.join(" "), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_malformed_has_no_names() {
        let deep = "(".repeat(100_000);
        for text in [
            "",
            "(",
            "()",
            "(a",
            "(a and",
            "(a nor b)",
            "(a and b or c)",
            "(a <",
            &deep,
        ] {
            assert!(names(text.as_bytes()).is_empty(), "{text:.20}");
        }
    }
}
