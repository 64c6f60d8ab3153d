//! Reads .repo files and substitutes dnf's variables.
//!
//! <https://dnf.readthedocs.io/en/latest/conf_ref.html#repo-options>

use std::collections::BTreeMap;

use url::Url;

use crate::diagnose::{Class, Diagnose};

/// How deep `${name:-word}` may nest.
const DEPTH: usize = 8;
/// What dnf assumes where a file gives no priority; a smaller number is better.
pub const DEFAULT_PRIORITY: i32 = 99;

/// A repository as a `.repo` file describes it, variables substituted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoFile {
    /// The name of its section.
    pub id: String,
    /// What it is called for people.
    pub name: String,
    /// Its URLs, tried in this order.
    pub baseurl: Vec<String>,
    /// Where a list of its URLs is.
    pub mirrorlist: Option<String>,
    /// Where a metalink with its URLs is.
    pub metalink: Option<String>,
    /// Whether it is used unless asked for.
    pub enabled: bool,
    /// Whether its packages must be signed; none if the file leaves it to dnf.conf.
    pub gpgcheck: Option<bool>,
    /// Whether its metadata must be signed; none if the file leaves it to dnf.conf.
    pub repo_gpgcheck: Option<bool>,
    /// Where its keys are.
    pub gpgkey: Vec<String>,
    /// A smaller number is better.
    pub priority: i32,
    /// Names or patterns of packages that are not taken from it.
    pub excludepkgs: Vec<String>,
    /// If not empty, the only packages taken from it.
    pub includepkgs: Vec<String>,
    /// What kind it is, such as `rpm`; none if not said.
    pub kind: Option<String>,
}

/// Why a `.repo` file, a mirror list or a URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepoFileError {
    /// Neither a section, an option, its continuation, nor a comment.
    #[error("{file}, line {line}: `{found}` is neither `[section]` nor `key = value`")]
    Line {
        /// The file's name.
        file: String,
        /// From 1.
        line: usize,
        /// The line.
        found: String,
    },
    /// A value of another kind.
    #[error("{file}, section [{id}]: {key} is `{found}`, wanted {wanted}")]
    Value {
        /// The file's name.
        file: String,
        /// The section.
        id: String,
        /// The option.
        key: &'static str,
        /// What was found.
        found: String,
        /// What would be right.
        wanted: &'static str,
    },
    /// A mirror list without any URL.
    #[error("mirror list holds no URL: it begins with `{0}`")]
    NoMirror(String),
    /// Not a URL, or one that cannot be the start of others.
    #[error("`{url}` is not a URL to fetch from: {problem}")]
    Url {
        /// The text.
        url: String,
        /// What is wrong.
        problem: String,
    },
}

impl Diagnose for RepoFileError {
    fn class(&self) -> Class {
        Class::Usage
    }
}

/// Reads a `.repo` file named `file`, in the order of its sections; `[main]`, which is dnf's own, is left out.
///
/// # Errors
/// [`RepoFileError::Line`] and [`RepoFileError::Value`].
pub fn parse_repo_file(
    file: &str,
    text: &str,
    variables: &BTreeMap<String, String>,
) -> Result<Vec<RepoFile>, RepoFileError> {
    let sections = sections(file, text)?;
    let repositories = sections.into_iter().filter(|section| section.id != "main");
    repositories
        .map(|section| section.read(file, variables))
        .collect()
}

struct Section {
    id: String,
    options: BTreeMap<String, String>,
}

fn sections(file: &str, text: &str) -> Result<Vec<Section>, RepoFileError> {
    let mut sections: Vec<Section> = Vec::new();
    let mut last_key: Option<String> = None;
    for (index, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = raw.trim();
        let malformed = || RepoFileError::Line {
            file: file.to_owned(),
            line: index + 1,
            found: line.chars().take(80).collect(),
        };
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(id) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            last_key = None;
            sections.push(Section {
                id: id.trim().to_owned(),
                options: BTreeMap::new(),
            });
            continue;
        }
        let section = sections.last_mut().ok_or_else(malformed)?;
        if raw.starts_with([' ', '\t'])
            && let Some(value) = last_key
                .as_ref()
                .and_then(|key| section.options.get_mut(key))
        {
            value.push('\n');
            value.push_str(line);
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(malformed)?;
        let key = key.trim().to_owned();
        section.options.insert(key.clone(), value.trim().to_owned());
        last_key = Some(key);
    }
    Ok(sections)
}

impl Section {
    fn read(
        self,
        file: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<RepoFile, RepoFileError> {
        let Self { id, options } = self;
        let text = |key: &str| {
            let value = options.get(key).map(|value| substitute(value, variables));
            value.filter(|value| !value.is_empty())
        };
        let list = |key: &str| {
            let value = text(key).unwrap_or_default();
            let parts = value
                .split([',', ' ', '\t', '\n', '\r'])
                .filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect::<Vec<_>>()
        };
        let wrong = |key, found: String, wanted| RepoFileError::Value {
            file: file.to_owned(),
            id: id.clone(),
            key,
            found,
            wanted,
        };
        let boolean = |key| match text(key) {
            None => Ok(None),
            Some(value) => match value.to_ascii_lowercase().as_str() {
                "1" | "yes" | "true" | "on" => Ok(Some(true)),
                "0" | "no" | "false" | "off" => Ok(Some(false)),
                _ => Err(wrong(key, value, "0 or 1")),
            },
        };
        let priority = match text("priority") {
            None => DEFAULT_PRIORITY,
            Some(value) => value
                .parse()
                .map_err(|_| wrong("priority", value, "a whole number"))?,
        };
        let mut excludepkgs = list("excludepkgs");
        // The name that yum had for it.
        excludepkgs.extend(list("exclude"));
        Ok(RepoFile {
            name: text("name").unwrap_or_else(|| id.clone()),
            baseurl: list("baseurl"),
            mirrorlist: text("mirrorlist"),
            metalink: text("metalink"),
            enabled: boolean("enabled")?.unwrap_or(true),
            gpgcheck: boolean("gpgcheck")?,
            repo_gpgcheck: boolean("repo_gpgcheck")?,
            gpgkey: list("gpgkey"),
            priority,
            excludepkgs,
            includepkgs: list("includepkgs"),
            kind: text("type"),
            id,
        })
    }
}

/// Replaces `$name`, `${name}`, `${name:-word}` and `${name:+word}`, as dnf does; unknown names stay as they are.
///
/// The names `releasever`, `basearch` and `arch` are the caller's to give, as are those in `/etc/dnf/vars`.
#[must_use]
pub fn substitute(text: &str, variables: &BTreeMap<String, String>) -> String {
    expand(text, variables, 0)
}

fn expand(text: &str, variables: &BTreeMap<String, String>, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let (value, length) = variable(rest, variables, depth);
        match value {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// Returns the value of the variable that `text` begins with, if known, and how many bytes it takes there.
fn variable(
    text: &str,
    variables: &BTreeMap<String, String>,
    depth: usize,
) -> (Option<String>, usize) {
    let word = |text: &str| {
        text.bytes()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == b'_')
            .count()
    };
    // dnf's variables are lower case in files, and found in any case.
    let get = |name: &str| {
        variables
            .get(name)
            .or_else(|| variables.get(&name.to_ascii_lowercase()))
    };
    let after = &text[1..];
    let Some(braced) = after.strip_prefix('{') else {
        let length = word(after);
        return (
            get(&after[..length]).filter(|_| length > 0).cloned(),
            1 + length,
        );
    };
    let length = word(braced);
    let (name, rest) = braced.split_at(length);
    if rest.starts_with('}') {
        return (get(name).cloned(), 3 + length);
    }
    let is_default = rest.starts_with(":-");
    let Some(end) = closing(rest).filter(|_| is_default || rest.starts_with(":+")) else {
        return (None, 2 + length);
    };
    let taken = 2 + length + end + 1;
    if depth >= DEPTH {
        return (None, taken);
    }
    let word = || expand(&rest[2..end], variables, depth + 1);
    let known = get(name).filter(|value| !value.is_empty());
    let value = match (known, is_default) {
        (Some(value), true) => value.clone(),
        (None, true) | (Some(_), false) => word(),
        (None, false) => String::new(),
    };
    (Some(value), taken)
}

/// Returns where the brace that was opened before `text` closes.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in text.bytes().enumerate() {
        match c {
            b'{' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Reads a mirror list: one URL per line, the last with or without newline.
///
/// # Errors
/// [`RepoFileError::NoMirror`] if there is none, as in an error page.
pub fn parse_mirror_list(
    text: &str,
    variables: &BTreeMap<String, String>,
) -> Result<Vec<String>, RepoFileError> {
    let urls: Vec<String> = text
        .lines()
        .map(|line| substitute(line.trim(), variables))
        .filter(|line| {
            ["https://", "http://", "file://"]
                .iter()
                .any(|scheme| line.starts_with(scheme))
        })
        .collect();
    if urls.is_empty() {
        return Err(RepoFileError::NoMirror(
            text.trim_start().chars().take(60).collect(),
        ));
    }
    Ok(urls)
}

/// Returns the URL of `href` in the repository at `base`, which is a folder with or without its final slash.
///
/// A relative `href` may climb: AL2023's packages are at `../../../../blobstore/...`.
///
/// # Errors
/// [`RepoFileError::Url`] if `base` is no URL, or `href` does not fit it.
pub fn resolve_href(base: &str, href: &str) -> Result<Url, RepoFileError> {
    let wrong = |url: &str, problem: String| RepoFileError::Url {
        url: url.to_owned(),
        problem,
    };
    let mut folder = Url::parse(base).map_err(|error| wrong(base, error.to_string()))?;
    if folder.cannot_be_a_base() {
        return Err(wrong(base, "it has no folders".to_owned()));
    }
    if !folder.path().ends_with('/') {
        let path = format!("{}/", folder.path());
        folder.set_path(&path);
    }
    // What a mirror appends for itself belongs to it, not to the files in it.
    folder.set_fragment(None);
    let resolved = match href.split_once("://") {
        // A name such as `a:b.rpm` is a relative path, not a scheme.
        None => folder.join(&format!("./{}", href.trim_start_matches('/'))),
        Some(_) => folder.join(href),
    };
    resolved.map_err(|error| wrong(href, error.to_string()))
}

#[cfg(test)]
mod tests;
