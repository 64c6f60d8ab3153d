//! Checks a marker by the grammar before pep508_rs reads it.
//!
//! pep508_rs 0.9.2 panics at comparisons that the grammar allows and that mean nothing (`os_name ~= 'x'`), at
//! characters beyond ASCII, and its recursion has no limit. Remove this when it returns errors instead.

use pep440_rs::{Version, VersionSpecifier};

/// Variables that are compared as versions.
const VERSIONS: [&str; 3] = [
    "python_version",
    "python_full_version",
    "implementation_version",
];
/// Variables that are compared as text, with the names that came before the specification.
const TEXTS: [&str; 14] = [
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "implementation_name",
    "extra",
    "os.name",
    "sys.platform",
    "platform.machine",
    "platform.python_implementation",
    "platform.version",
];
/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Open,
    Close,
    /// A variable, or one of `and`, `or`, `in`, `not`.
    Word(&'t str),
    /// A quoted value.
    Value(&'t str),
    /// A comparison of signs.
    Sign(&'t str),
}

/// Says what is wrong with `text`, if it is no marker.
///
/// <https://packaging.python.org/en/latest/specifications/dependency-specifiers/#grammar>
pub(super) fn check(text: &str) -> Result<(), String> {
    if !text.is_ascii() {
        return Err("it holds characters beyond ASCII".to_owned());
    }
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    alternatives(&mut rest, 0)?;
    match rest.first() {
        None => Ok(()),
        Some(token) => Err(format!("{token:?} after its end")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let is_sign = |c: char| "=<>!~".contains(c);
        let split =
            |is: &dyn Fn(char) -> bool| rest.split_at(rest.find(|c| !is(c)).unwrap_or(rest.len()));
        let token;
        (token, rest) = match first {
            '(' => (Token::Open, rest.split_at(1).1),
            ')' => (Token::Close, rest.split_at(1).1),
            '\'' | '"' => {
                let (_, after) = rest.split_at(1);
                let (value, after) = after.split_once(first).ok_or("a quote is not closed")?;
                (Token::Value(value), after)
            }
            c if is_word(c) => {
                let (word, after) = split(&is_word);
                (Token::Word(word), after)
            }
            c if is_sign(c) => {
                let (sign, after) = split(&is_sign);
                (Token::Sign(sign), after)
            }
            c => return Err(format!("unexpected `{c}`")),
        };
        tokens.push(token);
        rest = rest.trim_start();
    }
    Ok(tokens)
}

type Rest<'r, 't> = &'r mut &'t [Token<'t>];

fn next<'t>(rest: Rest<'_, 't>) -> Option<Token<'t>> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

/// Takes the next token if it is `word`.
fn take<'t>(rest: Rest<'_, 't>, word: &str) -> bool {
    let is_it = rest.first() == Some(&Token::Word(word));
    if is_it {
        next(rest);
    }
    is_it
}

fn alternatives<'t>(rest: Rest<'_, 't>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("nested too deep".to_owned());
    }
    // `and` binds closer, which does not matter to whether it is sound.
    loop {
        if rest.first() == Some(&Token::Open) {
            next(rest);
            alternatives(rest, depth + 1)?;
            if next(rest) != Some(Token::Close) {
                return Err("a parenthesis is not closed".to_owned());
            }
        } else {
            comparison(rest)?;
        }
        if !take(rest, "and") && !take(rest, "or") {
            return Ok(());
        }
    }
}

fn comparison<'t>(rest: Rest<'_, 't>) -> Result<(), String> {
    let left = next(rest);
    let sign = match next(rest) {
        Some(Token::Sign(sign)) => sign,
        Some(Token::Word("in")) => "in",
        Some(Token::Word("not")) if take(rest, "in") => "not in",
        _ => return Err("a comparison has no operator".to_owned()),
    };
    let right = next(rest);
    let (variable, value, turned) = match (left, right) {
        (Some(Token::Word(variable)), Some(Token::Value(value))) => (variable, value, false),
        (Some(Token::Value(value)), Some(Token::Word(variable))) => (variable, value, true),
        _ => return Err("a comparison is not between a variable and a value".to_owned()),
    };
    let is_sound = if VERSIONS.contains(&variable) {
        match sign {
            "in" | "not in" => {
                let mut versions = value.split_whitespace();
                !turned && versions.all(|it| it.parse::<Version>().is_ok())
            }
            "===" => false,
            _ => {
                format!("{sign}{value}").parse::<VersionSpecifier>().is_ok()
                    && !(turned && value.contains('*'))
            }
        }
    } else if TEXTS.contains(&variable) {
        let signs = ["==", "!=", "<", "<=", ">", ">=", "in", "not in"];
        let only_equal = variable == "extra" && !matches!(sign, "==" | "!=");
        signs.contains(&sign) && !only_equal
    } else {
        return Err(format!("`{variable}` is no variable"));
    };
    if !is_sound {
        return Err(format!("`{variable} {sign} '{value}'` means nothing"));
    }
    Ok(())
}
