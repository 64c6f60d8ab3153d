//! Reads repomd.xml, the list of a repository's metadata files.

use std::collections::BTreeMap;

use super::RepodataError;
use super::xml::{Document, Piece};
use crate::rpm::package::Checksum;

const DOCUMENT: &str = "repomd.xml";

/// What a repository's metadata files are, and what they hash to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repomd {
    /// What the repository calls this state of itself; often seconds since 1970 UTC.
    pub revision: String,
    /// By type: `primary`, `filelists`, `other`, `updateinfo`, …
    pub records: BTreeMap<String, Record>,
}

/// One metadata file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it is, relative to the folder above `repodata`.
    pub href: String,
    /// What the file hashes to, compressed as it is.
    pub checksum: Checksum,
    /// What it hashes to decompressed, if stated.
    pub open_checksum: Option<Checksum>,
    /// Its size in bytes, if stated.
    pub size: Option<u64>,
    /// Its size decompressed in bytes, if stated.
    pub open_size: Option<u64>,
}

#[derive(Default)]
struct Draft {
    kind: String,
    href: Option<String>,
    checksum: Option<Checksum>,
    open_checksum: Option<Checksum>,
    size: Option<u64>,
    open_size: Option<u64>,
}

/// Reads repomd.xml. Of several records of one type the first counts.
///
/// # Errors
/// [`RepodataError`] for what is not repomd.xml, and for MD5 and SHA-1 checksums.
pub fn parse_repomd(bytes: &[u8]) -> Result<Repomd, RepodataError> {
    let mut document = Document::new(DOCUMENT, "repomd", bytes);
    let mut buffer = Vec::new();
    let mut repomd = Repomd::default();
    let mut draft: Option<Draft> = None;
    let mut algorithm = String::new();
    let mut text = String::new();
    loop {
        match document.next(&mut buffer)? {
            Piece::Open(element) => {
                text.clear();
                let attribute = |name| element.attribute(name).map(|value| value.into_owned());
                match element.name() {
                    "data" => {
                        draft = Some(Draft {
                            kind: attribute("type").unwrap_or_default(),
                            ..Draft::default()
                        })
                    }
                    "checksum" | "open-checksum" => {
                        algorithm = attribute("type").unwrap_or_default()
                    }
                    "location" => {
                        if let Some(draft) = &mut draft {
                            draft.href = attribute("href");
                        }
                    }
                    _ => {}
                }
            }
            Piece::Text(piece) => text.push_str(&piece),
            Piece::Raw(piece) => text.push_str(&piece),
            Piece::Character(c) => text.push(c),
            Piece::Close(end) => match (end.local_name().into_inner(), &mut draft) {
                ("data", _) => {
                    if let Some(draft) = draft.take() {
                        let kind = draft.kind.clone();
                        let record = draft.finish()?;
                        repomd.records.entry(kind).or_insert(record);
                    }
                }
                ("revision", None) => repomd.revision = text.trim().to_owned(),
                (_, None) => {}
                (name, Some(draft)) => draft.take(name, text.trim(), &algorithm)?,
            },
            Piece::Skipped => {}
            Piece::End => return Ok(repomd),
        }
    }
}

impl Draft {
    fn take(&mut self, name: &str, text: &str, algorithm: &str) -> Result<(), RepodataError> {
        let entry = || format!("record `{}`", self.kind);
        let checksum = || {
            Checksum::parse(algorithm, text)
                .map(Some)
                .map_err(|source| RepodataError::Checksum {
                    document: DOCUMENT,
                    entry: entry(),
                    source,
                })
        };
        let number = |field| {
            text.parse().map(Some).map_err(|_| RepodataError::Number {
                document: DOCUMENT,
                entry: entry(),
                field,
                found: text.to_owned(),
            })
        };
        match name {
            "checksum" => self.checksum = checksum()?,
            "open-checksum" => self.open_checksum = checksum()?,
            "size" => self.size = number("size")?,
            "open-size" => self.open_size = number("open-size")?,
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Record, RepodataError> {
        let missing = |wanted| RepodataError::Missing {
            document: DOCUMENT,
            entry: format!("record `{}`", self.kind),
            wanted,
        };
        Ok(Record {
            href: self.href.clone().ok_or_else(|| missing("location"))?,
            checksum: self.checksum.clone().ok_or_else(|| missing("checksum"))?,
            open_checksum: self.open_checksum,
            size: self.size,
            open_size: self.open_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repomd(checksum: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<repomd xmlns=\"x\"><revision> 7 </revision><data type=\"primary\">{checksum}\
             <location href=\"repodata/primary.xml.gz\"/><size>5</size><open-size>9</open-size></data></repomd>"
        )
    }

    #[test]
    fn records_are_read_by_type() {
        let text = repomd(&format!(
            "<checksum type=\"sha256\">{}</checksum>",
            "0a".repeat(32)
        ));
        let repomd = parse_repomd(text.as_bytes()).expect("well-formed");
        assert_eq!(repomd.revision, "7");
        let primary = &repomd.records["primary"];
        assert_eq!((primary.size, primary.open_size), (Some(5), Some(9)));
        assert_eq!(primary.href, "repodata/primary.xml.gz");
        assert_eq!(
            primary.checksum.to_string(),
            format!("sha256:{}", "0a".repeat(32))
        );
    }

    #[test]
    fn forgeable_checksums_are_refused() {
        for algorithm in ["md5", "sha", "sha1", ""] {
            let text = repomd(&format!(
                "<checksum type=\"{algorithm}\">{}</checksum>",
                "0".repeat(40)
            ));
            let error = parse_repomd(text.as_bytes()).expect_err(algorithm);
            assert!(matches!(error, RepodataError::Checksum { .. }), "{error}");
        }
    }

    #[test]
    fn what_is_not_repomd_is_refused() {
        let deep = format!("<repomd>{}", "<a>".repeat(100_000));
        let long = format!("<repomd><a b=\"{}\"/></repomd>", "x".repeat(17 << 20));
        for text in [
            "",
            "<html></html>",
            "<repomd>",
            "<repomd><a></b></repomd>",
            "plain",
            "<repomd>&bomb;</repomd>",
            &repomd(""),
            &deep,
            &long,
        ] {
            assert!(
                parse_repomd(text.as_bytes()).is_err(),
                "{:.60} was accepted",
                text
            );
        }
    }
}
