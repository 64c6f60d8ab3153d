//! Reads and writes RECORD, the list of a package's files and their digests.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha384, Sha512};

use crate::layer::Content;
use crate::oci::Digest;
use crate::oci::digest::hex;

/// URL-safe and without padding, which some old tools wrote nevertheless.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A line of RECORD, ordered as it is written.
///
/// <https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The path, relative to site-packages.
    pub path: String,
    /// The digest as it is written, `sha256=..`; only RECORD itself has none.
    pub hash: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
}

/// Why text is not a RECORD.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A quote is not closed, or stands inside a field.
    #[error("RECORD line {line}: misplaced quote")]
    Quote {
        /// The line, from 1.
        line: usize,
    },
    /// There are not three fields.
    #[error("RECORD line {line}: {found} fields: wanted path, hash, size")]
    Fields {
        /// The line, from 1.
        line: usize,
        /// How many there are.
        found: usize,
    },
    /// The size is not a number.
    #[error("RECORD line {line}: size `{found}` is not a number")]
    Size {
        /// The line, from 1.
        line: usize,
        /// What is written.
        found: String,
    },
    /// The digest is by an algorithm that is too weak, or unknown, or is malformed.
    #[error("RECORD: `{found}` is not a digest: wanted sha256, sha384 or sha512")]
    Hash {
        /// What is written.
        found: String,
    },
}

/// A digest that RECORD gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Sha256(Digest),
    Sha384([u8; 48]),
    Sha512([u8; 64]),
}

impl Recorded {
    /// Reads `algorithm=base64`.
    pub(crate) fn parse(text: &str) -> Result<Self, RecordError> {
        let wrong = || RecordError::Hash {
            found: text.to_owned(),
        };
        let (algorithm, digits) = text.split_once('=').ok_or_else(wrong)?;
        let bytes = BASE64.decode(digits).map_err(|_| wrong())?;
        match algorithm {
            "sha256" => bytes
                .try_into()
                .map(|raw| Self::Sha256(Digest::from_raw(raw))),
            "sha384" => bytes.try_into().map(Self::Sha384),
            "sha512" => bytes.try_into().map(Self::Sha512),
            // "Binary distribution format", RECORD: md5 and sha1 are not allowed.
            _ => return Err(wrong()),
        }
        .map_err(|_| wrong())
    }

    /// Tells whether `bytes` have this digest.
    pub(crate) fn matches(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Sha256(digest) => *digest == Digest::of(bytes),
            Self::Sha384(raw) => raw.as_slice() == Sha384::digest(bytes).as_slice(),
            Self::Sha512(raw) => raw.as_slice() == Sha512::digest(bytes).as_slice(),
        }
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::Sha384(raw) => write!(f, "sha384:{}", hex(raw)),
            Self::Sha512(raw) => write!(f, "sha512:{}", hex(raw)),
        }
    }
}

impl Row {
    /// Returns the line for a file that was made here.
    #[must_use]
    pub fn made(path: String, content: &Content) -> Self {
        Self {
            path,
            hash: Some(hash_text(&content.digest)),
            size: Some(content.size),
        }
    }
}

/// Returns `digest` as RECORD writes it.
pub(crate) fn hash_text(digest: &Digest) -> String {
    format!("sha256={}", BASE64.encode(digest.raw()))
}

/// Reads RECORD: CSV with three fields, quoted where needed.
///
/// # Errors
/// [`RecordError`] for the first line that is not one.
pub fn parse(text: &str) -> Result<Vec<Row>, RecordError> {
    let mut rows = Vec::new();
    let mut rest = text;
    let mut line = 0;
    while !rest.is_empty() {
        line += 1;
        let fields;
        (fields, rest) = split_line(rest, line)?;
        match <[String; 3]>::try_from(fields) {
            Ok([path, hash, size]) => rows.push(Row {
                // Some packages write absolute paths; installers take them for relative ones.
                path: path.trim_start_matches('/').to_owned(),
                hash: Some(hash).filter(|hash| !hash.is_empty()),
                size: parse_size(&size, line)?,
            }),
            Err(fields) if fields.iter().all(String::is_empty) && fields.len() == 1 => {}
            Err(fields) => {
                return Err(RecordError::Fields {
                    line,
                    found: fields.len(),
                });
            }
        }
    }
    Ok(rows)
}

/// Reads the fields of one line, and returns what follows it.
fn split_line(text: &str, line: usize) -> Result<(Vec<String>, &str), RecordError> {
    let misplaced = || RecordError::Quote { line };
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, after) = quoted.split_once('"').ok_or_else(misplaced)?;
                field.push_str(part);
                // Two quotes are one.
                match after.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        quoted = after;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
        } else {
            let end = rest.find([',', '\n']).unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            let part = part.strip_suffix('\r').unwrap_or(part);
            if part.contains('"') {
                return Err(misplaced());
            }
            field.push_str(part);
            rest = after;
        }
        fields.push(field);
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
            continue;
        }
        let after = rest.strip_prefix('\r').unwrap_or(rest);
        if after.is_empty() {
            return Ok((fields, after));
        }
        let after = after.strip_prefix('\n').ok_or_else(misplaced)?;
        return Ok((fields, after));
    }
}

fn parse_size(text: &str, line: usize) -> Result<Option<u64>, RecordError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| RecordError::Size {
        line,
        found: text.to_owned(),
    })
}

/// Writes RECORD: sorted, so that it does not depend on the order of a directory.
#[must_use]
pub fn write(rows: &BTreeSet<Row>) -> String {
    let mut out = String::new();
    for row in rows {
        if row.path.contains([',', '"', '\r', '\n']) {
            let doubled = row.path.replace('"', "\"\"");
            write!(out, "\"{doubled}\"").expect("writing to a String cannot fail");
        } else {
            out.push_str(&row.path);
        }
        out.push(',');
        out.push_str(row.hash.as_deref().unwrap_or_default());
        out.push(',');
        if let Some(size) = row.size {
            write!(out, "{size}").expect("writing to a String cannot fail");
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, hash: Option<&str>, size: Option<u64>) -> Row {
        Row {
            path: path.to_owned(),
            hash: hash.map(str::to_owned),
            size,
        }
    }

    #[test]
    fn rows_are_read_and_written_alike() {
        let text = "\"a,\"\"b\"\".py\",sha256=AA,12\na/b.py,,\n";
        let rows = parse(text).expect("valid");
        assert_eq!(
            rows,
            [
                row("a,\"b\".py", Some("sha256=AA"), Some(12)),
                row("a/b.py", None, None)
            ]
        );
        assert_eq!(write(&rows.into_iter().collect()), text);
    }

    #[test]
    fn line_ends_of_windows_empty_lines_and_leading_slashes_are_read() {
        let rows = parse("/a,x=,1\r\n\r\n\n\"b\",,\r\nc,,").expect("valid");
        assert_eq!(
            rows,
            [
                row("a", Some("x="), Some(1)),
                row("b", None, None),
                row("c", None, None)
            ]
        );
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for (text, error) in [
            ("a,b", RecordError::Fields { line: 1, found: 2 }),
            ("a,,\na,b,1,c", RecordError::Fields { line: 2, found: 4 }),
            (
                "a,,x",
                RecordError::Size {
                    line: 1,
                    found: "x".to_owned(),
                },
            ),
            (
                "a,,-1",
                RecordError::Size {
                    line: 1,
                    found: "-1".to_owned(),
                },
            ),
            ("\"a,,", RecordError::Quote { line: 1 }),
            ("a\"b,,", RecordError::Quote { line: 1 }),
            ("\"a\"b,,", RecordError::Quote { line: 1 }),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn digests_are_read_in_each_strength_and_weak_ones_refused() {
        let digest = Digest::of(b"x");
        let text = hash_text(&digest);
        assert_eq!(Recorded::parse(&text), Ok(Recorded::Sha256(digest)));
        assert_eq!(
            Recorded::parse(&format!("{text}=")),
            Ok(Recorded::Sha256(digest))
        );
        let long = format!("sha512={}", BASE64.encode(Sha512::digest(b"x")));
        assert!(Recorded::parse(&long).is_ok_and(|it| it.matches(b"x") && !it.matches(b"y")));
        let middle = format!("sha384={}", BASE64.encode(Sha384::digest(b"x")));
        assert!(Recorded::parse(&middle).is_ok_and(|it| it.matches(b"x")));
        for text in [
            "",
            "sha256",
            "sha256=",
            "sha256=AAAA",
            "md5=AAAA",
            "sha1=AA",
            "sha256=++//",
        ] {
            assert!(Recorded::parse(text).is_err(), "{text} was accepted");
        }
    }
}
