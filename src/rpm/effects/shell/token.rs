//! Splits shell text into words and operators.

use super::ShellError;

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Part {
    /// Text; outside quotes it may hold patterns.
    Text {
        /// After removal of quotes.
        text: String,
        /// Whether it was quoted.
        quoted: bool,
    },
    /// `$name`, `${name}`, `$1`.
    Parameter {
        /// Its name.
        name: String,
        /// Whether inside double quotes: the value then stays one word.
        quoted: bool,
    },
}

/// A word before expansion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Word(pub(in super::super) Vec<Part>);

impl Word {
    /// Returns the text if nothing in it was quoted or expands: reserved words, names of assignments.
    pub(super) fn bare(&self) -> Option<&str> {
        match self.0.as_slice() {
            [
                Part::Text {
                    text,
                    quoted: false,
                },
            ] => Some(text),
            _ => None,
        }
    }

    fn push(&mut self, c: char, quoted: bool) {
        if let Some(Part::Text { text, quoted: was }) = self.0.last_mut()
            && *was == quoted
        {
            text.push(c);
        } else {
            self.0.push(Part::Text {
                text: c.to_string(),
                quoted,
            });
        }
    }

    /// Marks that there was a quote, so that `""` is a word.
    fn touch(&mut self) {
        self.0.push(Part::Text {
            text: String::new(),
            quoted: true,
        });
    }
}

/// What a redirection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum RedirectOp {
    /// `>`, `>|`, `&>`, `<>`
    Write,
    /// `>>`, `&>>`
    Append,
    /// `<`
    Read,
    /// `>&`, `<&`
    Duplicate,
}

/// A word or an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Newline,
    Semicolon,
    AndIf,
    OrIf,
    Pipe,
    Open,
    Close,
    Redirect(RedirectOp),
    /// The text of a here-document.
    Here(String),
}

/// No scriptlet that can be recognised is larger, in bytes.
const MAX_SCRIPT: usize = 128 * 1024;

struct Here {
    /// Index of the token that gets the text.
    token: usize,
    end: String,
    strip_tabs: bool,
    expands: bool,
}

pub(super) struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    tokens: Vec<Token>,
    pending: Vec<Here>,
}

impl<'a> Lexer<'a> {
    pub(super) fn tokens(text: &'a str) -> Result<Vec<Token>, ShellError> {
        if text.len() > MAX_SCRIPT {
            return Err(ShellError::TooLarge);
        }
        let mut lexer = Self {
            rest: text.chars().peekable(),
            tokens: Vec::new(),
            pending: Vec::new(),
        };
        while lexer.step()? {}
        if !lexer.pending.is_empty() {
            return Err(ShellError::Unclosed("a here-document"));
        }
        Ok(lexer.tokens)
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    /// Reads one token; false at the end.
    fn step(&mut self) -> Result<bool, ShellError> {
        let Some(&c) = self.rest.peek() else {
            return Ok(false);
        };
        match c {
            ' ' | '\t' => {
                self.rest.next();
            }
            '\n' => {
                self.rest.next();
                self.tokens.push(Token::Newline);
                self.here_documents()?;
            }
            '#' => while self.rest.next_if(|&c| c != '\n').is_some() {},
            ';' => {
                self.rest.next();
                if self.eat(';') {
                    return Err(ShellError::Construct("`case`"));
                }
                self.tokens.push(Token::Semicolon);
            }
            '&' => {
                self.rest.next();
                let token = if self.eat('&') {
                    Token::AndIf
                } else if self.eat('>') {
                    Token::Redirect(if self.eat('>') {
                        RedirectOp::Append
                    } else {
                        RedirectOp::Write
                    })
                } else {
                    return Err(ShellError::Construct("a background command"));
                };
                self.tokens.push(token);
            }
            '|' => {
                self.rest.next();
                let token = if self.eat('|') {
                    Token::OrIf
                } else if self.eat('&') {
                    return Err(ShellError::Construct("`|&`"));
                } else {
                    Token::Pipe
                };
                self.tokens.push(token);
            }
            '(' | ')' => {
                self.rest.next();
                self.tokens
                    .push(if c == '(' { Token::Open } else { Token::Close });
            }
            '<' | '>' => self.redirect()?,
            _ => {
                let word = self.word()?;
                if word.0.is_empty() {
                    return Ok(true);
                }
                // `2>` : digits directly before a redirection name a descriptor, which does not matter here.
                let is_descriptor = word
                    .bare()
                    .is_some_and(|text| text.bytes().all(|c| c.is_ascii_digit()))
                    && matches!(self.rest.peek(), Some('<' | '>'));
                if !is_descriptor {
                    self.tokens.push(Token::Word(word));
                }
            }
        }
        Ok(true)
    }

    fn redirect(&mut self) -> Result<(), ShellError> {
        let write = self.rest.next() == Some('>');
        if write {
            let op = if self.eat('&') {
                RedirectOp::Duplicate
            } else if self.eat('>') {
                RedirectOp::Append
            } else {
                self.eat('|');
                RedirectOp::Write
            };
            self.tokens.push(Token::Redirect(op));
            return Ok(());
        }
        if self.eat('&') {
            self.tokens.push(Token::Redirect(RedirectOp::Duplicate));
        } else if self.eat('>') {
            self.tokens.push(Token::Redirect(RedirectOp::Write));
        } else if self.eat('<') {
            if self.rest.peek() == Some(&'<') {
                return Err(ShellError::Construct("a here-string"));
            }
            let strip_tabs = self.eat('-');
            while self.rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
            let word = self.word()?;
            let mut end = String::new();
            let mut expands = true;
            for part in &word.0 {
                match part {
                    Part::Text { text, quoted } => {
                        end.push_str(text);
                        expands &= !quoted;
                    }
                    Part::Parameter { .. } => {
                        return Err(ShellError::Construct("a here-document's delimiter"));
                    }
                }
            }
            if end.is_empty() {
                return Err(ShellError::Construct("a here-document's delimiter"));
            }
            self.pending.push(Here {
                token: self.tokens.len(),
                end,
                strip_tabs,
                expands,
            });
            self.tokens.push(Token::Here(String::new()));
        } else {
            self.tokens.push(Token::Redirect(RedirectOp::Read));
        }
        Ok(())
    }

    /// Reads the texts of the here-documents that the line just ended has announced.
    fn here_documents(&mut self) -> Result<(), ShellError> {
        for here in std::mem::take(&mut self.pending) {
            let mut text = String::new();
            loop {
                if self.rest.peek().is_none() {
                    return Err(ShellError::Unclosed("a here-document"));
                }
                let mut line = String::new();
                while let Some(c) = self.rest.next_if(|&c| c != '\n') {
                    line.push(c);
                }
                self.rest.next();
                let line = if here.strip_tabs {
                    line.trim_start_matches('\t')
                } else {
                    &line
                };
                if line == here.end {
                    break;
                }
                if here.expands && line.contains(['$', '`', '\\']) {
                    return Err(ShellError::Construct("an expansion in a here-document"));
                }
                text.push_str(line);
                text.push('\n');
            }
            self.tokens[here.token] = Token::Here(text);
        }
        Ok(())
    }

    fn word(&mut self) -> Result<Word, ShellError> {
        let mut word = Word::default();
        while let Some(&c) = self.rest.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\\' => {
                    self.rest.next();
                    match self.rest.next() {
                        Some('\n') | None => {}
                        Some(c) => word.push(c, true),
                    }
                }
                '\'' => {
                    self.rest.next();
                    word.touch();
                    loop {
                        match self.rest.next() {
                            Some('\'') => break,
                            Some(c) => word.push(c, true),
                            None => return Err(ShellError::Unclosed("a quote")),
                        }
                    }
                }
                '"' => {
                    self.rest.next();
                    word.touch();
                    self.double_quoted(&mut word)?;
                }
                '`' => return Err(ShellError::Construct("a command substitution")),
                '$' => {
                    self.rest.next();
                    self.parameter(&mut word, false)?;
                }
                c => {
                    self.rest.next();
                    word.push(c, false);
                }
            }
        }
        Ok(word)
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), ShellError> {
        loop {
            match self.rest.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.rest.next() {
                    Some('\n') => {}
                    Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c, true),
                    Some(c) => {
                        word.push('\\', true);
                        word.push(c, true);
                    }
                    None => return Err(ShellError::Unclosed("a quote")),
                },
                Some('`') => return Err(ShellError::Construct("a command substitution")),
                Some('$') => self.parameter(word, true)?,
                Some(c) => word.push(c, true),
                None => return Err(ShellError::Unclosed("a quote")),
            }
        }
    }

    /// Reads what follows a `$`.
    fn parameter(&mut self, word: &mut Word, quoted: bool) -> Result<(), ShellError> {
        let mut name = String::new();
        match self.rest.peek() {
            Some('(') => return Err(ShellError::Construct("a command substitution")),
            Some('\'' | '"') if !quoted => return Err(ShellError::Construct("a `$'...'` string")),
            Some('{') => {
                self.rest.next();
                while let Some(c) = self
                    .rest
                    .next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
                {
                    name.push(c);
                }
                if name.is_empty() || !self.eat('}') {
                    return Err(ShellError::Construct(
                        "a parameter expansion with operators",
                    ));
                }
            }
            Some(&c) if c.is_ascii_digit() || "?#$!@*-".contains(c) => {
                self.rest.next();
                name.push(c);
            }
            Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
                while let Some(c) = self
                    .rest
                    .next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
                {
                    name.push(c);
                }
            }
            _ => {
                word.push('$', quoted);
                return Ok(());
            }
        }
        word.0.push(Part::Parameter { name, quoted });
        Ok(())
    }
}
