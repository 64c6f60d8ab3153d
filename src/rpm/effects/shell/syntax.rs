//! Builds commands from tokens.

use super::ShellError;
use super::token::{Lexer, RedirectOp, Token, Word};

/// Commands one after the other.
pub(in super::super) type List = Vec<AndOr>;

/// Pipelines joined by `&&` and `||`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct AndOr {
    pub(in super::super) first: Pipeline,
    pub(in super::super) rest: Vec<(Join, Pipeline)>,
}

/// `&&` or `||`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Join {
    And,
    Or,
}

/// A command, its status perhaps inverted by `!`. Pipes between commands are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Pipeline {
    pub(in super::super) inverted: bool,
    pub(in super::super) command: Command,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Command {
    Simple(Simple),
    /// `{ ...; }`
    Group(List, Vec<Redirect>),
    /// `if`: conditions and what they guard, then the `else`.
    If(Vec<(List, List)>, List, Vec<Redirect>),
    /// `for NAME in WORDS`
    For(String, Vec<Word>, List, Vec<Redirect>),
}

/// Assignments, words and redirections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Simple {
    pub(in super::super) assignments: Vec<(String, Word)>,
    pub(in super::super) words: Vec<Word>,
    pub(in super::super) redirects: Vec<Redirect>,
}

/// A redirection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Redirect {
    /// Of or to a file or descriptor.
    To(RedirectOp, Word),
    /// From text in the script.
    Here(String),
}

const MAX_DEPTH: u32 = 32;

/// Reads a whole script.
pub(in super::super) fn parse(text: &str) -> Result<List, ShellError> {
    let tokens = Lexer::tokens(text)?;
    let mut parser = Parser {
        tokens: tokens.into_iter().peekable(),
        depth: 0,
    };
    let list = parser.list(&[])?;
    match parser.tokens.next() {
        None => Ok(list),
        Some(token) => Err(unexpected(&token)),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: u32,
}

fn unexpected(token: &Token) -> ShellError {
    ShellError::Unexpected(match token {
        Token::Word(word) => word.bare().unwrap_or("a quoted word").to_owned(),
        Token::Newline => "line end".to_owned(),
        Token::Semicolon => ";".to_owned(),
        Token::AndIf => "&&".to_owned(),
        Token::OrIf => "||".to_owned(),
        Token::Pipe => "|".to_owned(),
        Token::Open => "(".to_owned(),
        Token::Close => ")".to_owned(),
        Token::Redirect(_) => "a redirection".to_owned(),
        Token::Here(_) => "<<".to_owned(),
    })
}

impl Parser {
    fn bare(&mut self) -> Option<&str> {
        match self.tokens.peek() {
            Some(Token::Word(word)) => word.bare(),
            _ => None,
        }
    }

    fn skip_newlines(&mut self) {
        while self.tokens.next_if_eq(&Token::Newline).is_some() {}
    }

    fn reserved(&mut self, wanted: &str) -> Result<(), ShellError> {
        if self.bare() == Some(wanted) {
            self.tokens.next();
            return Ok(());
        }
        match self.tokens.next() {
            Some(token) => Err(unexpected(&token)),
            None => Err(ShellError::Unclosed("a compound command")),
        }
    }

    /// Reads commands up to one of the reserved words `ends`, or the end.
    fn list(&mut self, ends: &[&str]) -> Result<List, ShellError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ShellError::TooLarge);
        }
        let mut list = List::new();
        loop {
            self.skip_newlines();
            if self.tokens.peek().is_none() || self.bare().is_some_and(|word| ends.contains(&word))
            {
                break;
            }
            list.push(self.and_or()?);
            match self.tokens.peek() {
                Some(Token::Semicolon | Token::Newline) => {
                    self.tokens.next();
                }
                _ => break,
            }
        }
        self.depth -= 1;
        Ok(list)
    }

    fn and_or(&mut self) -> Result<AndOr, ShellError> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let join = match self.tokens.peek() {
                Some(Token::AndIf) => Join::And,
                Some(Token::OrIf) => Join::Or,
                Some(Token::Pipe) => return Err(ShellError::Construct("a pipe")),
                _ => return Ok(AndOr { first, rest }),
            };
            self.tokens.next();
            self.skip_newlines();
            rest.push((join, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, ShellError> {
        let mut inverted = false;
        while self.bare() == Some("!") {
            self.tokens.next();
            inverted = !inverted;
        }
        let command = self.command()?;
        Ok(Pipeline { inverted, command })
    }

    fn command(&mut self) -> Result<Command, ShellError> {
        if self.tokens.peek() == Some(&Token::Open) {
            return Err(ShellError::Construct("a subshell"));
        }
        match self.bare() {
            Some("if") => self.conditional(),
            Some("for") => self.loop_over(),
            Some("{") => {
                self.tokens.next();
                let list = self.list(&["}"])?;
                self.reserved("}")?;
                Ok(Command::Group(list, self.redirects()?))
            }
            Some("case") => Err(ShellError::Construct("`case`")),
            Some("while" | "until") => Err(ShellError::Construct("a loop without known end")),
            Some("function") => Err(ShellError::Construct("a function")),
            Some("[[") => Err(ShellError::Construct("`[[`")),
            Some(
                word @ ("then" | "elif" | "else" | "fi" | "do" | "done" | "}" | "esac" | "in"
                | "select" | "time" | "coproc"),
            ) => Err(ShellError::Unexpected(word.to_owned())),
            _ => self.simple(),
        }
    }

    fn conditional(&mut self) -> Result<Command, ShellError> {
        let mut arms = Vec::new();
        self.reserved("if")?;
        loop {
            let condition = self.list(&["then"])?;
            self.reserved("then")?;
            let body = self.list(&["elif", "else", "fi"])?;
            arms.push((condition, body));
            if self.bare() != Some("elif") {
                break;
            }
            self.tokens.next();
        }
        let mut otherwise = List::new();
        if self.bare() == Some("else") {
            self.tokens.next();
            otherwise = self.list(&["fi"])?;
        }
        self.reserved("fi")?;
        Ok(Command::If(arms, otherwise, self.redirects()?))
    }

    fn loop_over(&mut self) -> Result<Command, ShellError> {
        self.reserved("for")?;
        let name = match self.tokens.next() {
            Some(Token::Word(word)) => match word.bare() {
                Some(name) if is_name(name) => name.to_owned(),
                _ => return Err(ShellError::Construct("the name of a loop's variable")),
            },
            _ => return Err(ShellError::Unclosed("`for`")),
        };
        self.skip_newlines();
        self.reserved("in")?;
        let mut words = Vec::new();
        while let Some(Token::Word(word)) =
            self.tokens.next_if(|token| matches!(token, Token::Word(_)))
        {
            words.push(word);
        }
        self.tokens.next_if_eq(&Token::Semicolon);
        self.skip_newlines();
        self.reserved("do")?;
        let body = self.list(&["done"])?;
        self.reserved("done")?;
        Ok(Command::For(name, words, body, self.redirects()?))
    }

    fn redirects(&mut self) -> Result<Vec<Redirect>, ShellError> {
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(redirects)
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, ShellError> {
        match self.tokens.peek() {
            Some(Token::Redirect(op)) => {
                let op = *op;
                self.tokens.next();
                match self.tokens.next() {
                    Some(Token::Word(target)) => Ok(Some(Redirect::To(op, target))),
                    _ => Err(ShellError::Unclosed("a redirection")),
                }
            }
            Some(Token::Here(text)) => {
                let text = text.clone();
                self.tokens.next();
                Ok(Some(Redirect::Here(text)))
            }
            _ => Ok(None),
        }
    }

    fn simple(&mut self) -> Result<Command, ShellError> {
        let mut simple = Simple::default();
        loop {
            if let Some(redirect) = self.redirect()? {
                simple.redirects.push(redirect);
                continue;
            }
            let Some(Token::Word(word)) =
                self.tokens.next_if(|token| matches!(token, Token::Word(_)))
            else {
                break;
            };
            match assignment(&word).filter(|_| simple.words.is_empty()) {
                Some(assignment) => simple.assignments.push(assignment),
                None => simple.words.push(word),
            }
        }
        match self.tokens.peek() {
            Some(Token::Open) if !simple.words.is_empty() => {
                Err(ShellError::Construct("a function"))
            }
            _ if simple == Simple::default() => Err(match self.tokens.next() {
                Some(token) => unexpected(&token),
                None => ShellError::Unclosed("a command"),
            }),
            _ => Ok(Command::Simple(simple)),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Reads `NAME=value`.
fn assignment(word: &Word) -> Option<(String, Word)> {
    use super::token::Part;
    let Some(Part::Text {
        text,
        quoted: false,
    }) = word.0.first()
    else {
        return None;
    };
    let (name, value) = text.split_once('=').filter(|(name, _)| is_name(name))?;
    let mut parts = vec![Part::Text {
        text: value.to_owned(),
        quoted: false,
    }];
    parts.extend_from_slice(&word.0[1..]);
    Some((name.to_owned(), Word(parts)))
}
