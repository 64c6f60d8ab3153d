//! Parses rich (boolean) dependencies.

use std::fmt;
use std::sync::Arc;

use crate::rpm::evr::{Comparison, Evr, Range};
use crate::rpm::package::Capability;

/// How deep expressions may nest; real ones reach 3.
const DEPTH: usize = 32;
/// How many capabilities one expression may name; the largest real ones have some 30.
const TERMS: usize = 512;

/// A boolean dependency such as `(glibc-gconv-extra if redhat-rpm-config)`.
///
/// <https://rpm-software-management.github.io/rpm/manual/boolean_dependencies.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rich {
    /// One capability.
    Is(Capability),
    /// Both.
    And(Arc<Rich>, Arc<Rich>),
    /// At least one.
    Or(Arc<Rich>, Arc<Rich>),
    /// The first when the second is fulfilled; else the third, if given.
    If(Arc<Rich>, Arc<Rich>, Option<Arc<Rich>>),
    /// The first unless the second is fulfilled; then the third, if given.
    Unless(Arc<Rich>, Arc<Rich>, Option<Arc<Rich>>),
    /// Both, by one and the same package.
    With(Arc<Rich>, Arc<Rich>),
    /// A package that answers the first and not the second.
    Without(Arc<Rich>, Arc<Rich>),
}

/// Why text is not a boolean dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RichError {
    /// Something else was wanted at this place.
    #[error("dependency `{text}`: wanted {wanted} at byte {at}")]
    Syntax {
        /// The whole expression.
        text: String,
        /// What would have been right.
        wanted: &'static str,
        /// The offset in bytes.
        at: usize,
    },
    /// Operators may only be chained with themselves, and only `and`, `or` and `with`.
    #[error("dependency `{text}`: `{operator}` at byte {at} needs parentheses of its own")]
    Mixed {
        /// The whole expression.
        text: String,
        /// The operator that cannot follow.
        operator: String,
        /// The offset in bytes.
        at: usize,
    },
    /// Nested deeper, or longer, than any sane expression.
    #[error(
        "dependency `{text}` is nested deeper than {DEPTH} levels or names more than {TERMS} capabilities"
    )]
    Large {
        /// The beginning of the expression.
        text: String,
    },
}

/// Reads a boolean dependency, with its outer parentheses.
///
/// # Errors
/// [`RichError`] where it is malformed, too deep or too long.
pub fn parse(text: &str) -> Result<Rich, RichError> {
    let mut parser = Parser {
        text,
        at: 0,
        terms: 0,
    };
    let expression = parser.group(0)?;
    parser.spaces();
    if parser.at < text.len() {
        return Err(parser.syntax("the end"));
    }
    Ok(expression)
}

impl Rich {
    /// Calls `visit` for every capability named, in the order they are written.
    pub fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Capability)) {
        match self {
            Self::Is(capability) => visit(capability),
            Self::And(a, b) | Self::Or(a, b) | Self::With(a, b) | Self::Without(a, b) => {
                a.each(visit);
                b.each(visit);
            }
            Self::If(a, b, c) | Self::Unless(a, b, c) => {
                a.each(visit);
                b.each(visit);
                if let Some(c) = c {
                    c.each(visit);
                }
            }
        }
    }
}

impl fmt::Display for Rich {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(capability) => capability.fmt(f),
            Self::And(a, b) => write!(f, "({a} and {b})"),
            Self::Or(a, b) => write!(f, "({a} or {b})"),
            Self::With(a, b) => write!(f, "({a} with {b})"),
            Self::Without(a, b) => write!(f, "({a} without {b})"),
            Self::If(a, b, None) => write!(f, "({a} if {b})"),
            Self::If(a, b, Some(c)) => write!(f, "({a} if {b} else {c})"),
            Self::Unless(a, b, None) => write!(f, "({a} unless {b})"),
            Self::Unless(a, b, Some(c)) => write!(f, "({a} unless {b} else {c})"),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn syntax(&self, wanted: &'static str) -> RichError {
        RichError::Syntax {
            text: self.text.to_owned(),
            wanted,
            at: self.at,
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn spaces(&mut self) {
        self.at += self
            .rest()
            .iter()
            .take_while(|c| matches!(c, b' ' | b'\t'))
            .count();
    }

    /// Returns the next word without taking it; parentheses inside a word, as in `libc.so.6()(64bit)`, are its own.
    fn peek(&mut self) -> &'a str {
        self.spaces();
        let mut open = 0_usize;
        let mut length = 0;
        for &c in self.rest() {
            match c {
                b'(' => open += 1,
                b')' if open == 0 => break,
                b')' => open -= 1,
                b' ' | b'\t' => break,
                _ => {}
            }
            length += 1;
        }
        // Words end at ASCII characters only, so they end at a character's end.
        &self.text[self.at..self.at + length]
    }

    fn group(&mut self, depth: usize) -> Result<Rich, RichError> {
        self.spaces();
        if self.rest().first() != Some(&b'(') {
            return Err(self.syntax("`(`"));
        }
        if depth >= DEPTH {
            return Err(self.large());
        }
        self.at += 1;
        let expression = self.expression(depth)?;
        self.spaces();
        if self.rest().first() != Some(&b')') {
            return Err(self.syntax("`)`"));
        }
        self.at += 1;
        Ok(expression)
    }

    fn large(&self) -> RichError {
        RichError::Large {
            text: self.text.chars().take(80).collect(),
        }
    }

    fn term(&mut self, depth: usize) -> Result<Arc<Rich>, RichError> {
        self.terms += 1;
        if self.terms > TERMS {
            return Err(self.large());
        }
        self.spaces();
        if self.rest().first() == Some(&b'(') {
            return self.group(depth + 1).map(Arc::new);
        }
        let name = self.peek();
        if name.is_empty() {
            return Err(self.syntax("a name or `(`"));
        }
        self.at += name.len();
        let operator = self.peek();
        let Some(comparison) = Comparison::from_operator(operator) else {
            return Ok(Arc::new(Rich::Is(Capability::any(name))));
        };
        self.at += operator.len();
        let version = self.peek();
        if version.is_empty() {
            return Err(self.syntax("a version"));
        }
        self.at += version.len();
        let range = Some(Range {
            comparison,
            evr: Evr::parse(version),
        });
        Ok(Arc::new(Rich::Is(Capability {
            name: name.into(),
            range,
        })))
    }

    fn expression(&mut self, depth: usize) -> Result<Rich, RichError> {
        let mut left = self.term(depth)?;
        let mut first: Option<&str> = None;
        loop {
            let operator = self.peek();
            if operator.is_empty() {
                break;
            }
            let start = self.at;
            let chained = matches!(operator, "and" | "or" | "with");
            if first.is_some_and(|first| first != operator || !chained) {
                return Err(RichError::Mixed {
                    text: self.text.to_owned(),
                    operator: operator.to_owned(),
                    at: start,
                });
            }
            first = Some(operator);
            self.at += operator.len();
            let make: fn(Arc<Rich>, Arc<Rich>) -> Rich = match operator {
                "and" => Rich::And,
                "or" => Rich::Or,
                "with" => Rich::With,
                "without" => Rich::Without,
                "if" => |a, b| Rich::If(a, b, None),
                "unless" => |a, b| Rich::Unless(a, b, None),
                _ => {
                    self.at = start;
                    return Err(
                        self.syntax("`and`, `or`, `if`, `unless`, `with`, `without` or `)`")
                    );
                }
            };
            let right = self.term(depth)?;
            if matches!(operator, "if" | "unless") && self.peek() == "else" {
                self.at += "else".len();
                let otherwise = Some(self.term(depth)?);
                left = Arc::new(if operator == "if" {
                    Rich::If(left, right, otherwise)
                } else {
                    Rich::Unless(left, right, otherwise)
                });
            } else {
                left = Arc::new(make(left, right));
            }
        }
        Ok(Arc::unwrap_or_clone(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_prints_as_it_was_read() {
        for text in [
            "(a and b)",
            "((a and b) and c)",
            "(a or (b and c))",
            "(glibc-gconv-extra(x86-64) = 2.34-256.el9 if redhat-rpm-config)",
            "(a if b else c)",
            "(a unless b else (c or d))",
            "(gcc >= 11 with gcc < 12)",
            "(a without b)",
            "(libcrypt.so.1()(64bit) if python3.11(x86-64))",
            "(a >= 1:2-3 if (b or c))",
        ] {
            assert_eq!(parse(text).expect(text).to_string(), text);
        }
        assert_eq!(
            parse("( a  and b and c )").expect("chained").to_string(),
            "((a and b) and c)"
        );
        assert_eq!(parse("(a)").expect("one"), Rich::Is(Capability::any("a")));
    }

    #[test]
    fn a_malformed_expression_is_an_error_that_says_where() {
        for text in [
            "",
            "(",
            "()",
            "a",
            "(a",
            "(a and)",
            "(a and b",
            "(a b)",
            "(a and b or c)",
            "(a if b if c)",
            "(a >=)",
            "(a and b) c",
            "(a without b without c)",
            "(and and)",
            "(é and )",
            ")",
            "(a else b)",
        ] {
            assert!(parse(text).is_err(), "{text} was accepted");
        }
        let deep = format!("{}a{}", "(".repeat(5000), ")".repeat(5000));
        assert!(matches!(parse(&deep), Err(RichError::Large { .. })));
        let long = format!("(a{})", " or a".repeat(5000));
        assert!(matches!(parse(&long), Err(RichError::Large { .. })));
    }
}
