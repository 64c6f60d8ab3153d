//! The source listing as a document: what each copy rule found, every file with its digest, size and mode.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::error::ProvenanceError;
use crate::layer::{Content, LayerPath};
use crate::oci::{Digest, json};
use crate::source::{SourceEntry, SourceKind, SourceList};

/// What the document is called in messages.
const NAME: &str = "source.json";

#[derive(Serialize, Deserialize)]
struct Listing {
    /// For each copy rule of the recipe, in its order.
    rules: Vec<Vec<Entry>>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// From the rule's `from`; empty for `from` itself.
    path: Name,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Kind {
    Directory,
    File {
        digest: Digest,
        size: u64,
        mode: Mode,
    },
    Symlink {
        target: Name,
    },
}

/// What a mode is reduced to.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Mode {
    #[serde(rename = "0644")]
    Plain,
    #[serde(rename = "0755")]
    Executable,
}

/// A name: text, or bytes that are no UTF-8, which JSON cannot hold as they are.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Bytes { base64: String },
}

impl Name {
    fn of(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes {
                base64: STANDARD.encode(bytes),
            },
        }
    }

    fn bytes(self) -> Result<Vec<u8>, ProvenanceError> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Bytes { base64 } => STANDARD
                .decode(base64)
                .map_err(|error| ProvenanceError::malformed(NAME, error)),
        }
    }
}

/// Returns the document: the same list gives the same bytes.
pub(super) fn write(list: &SourceList) -> Vec<u8> {
    let entry = |entry: &SourceEntry| Entry {
        path: Name::of(entry.path.as_bytes()),
        kind: match &entry.kind {
            SourceKind::Dir => Kind::Directory,
            SourceKind::File {
                content,
                executable,
            } => Kind::File {
                digest: content.digest,
                size: content.size,
                mode: if *executable {
                    Mode::Executable
                } else {
                    Mode::Plain
                },
            },
            SourceKind::Symlink(target) => Kind::Symlink {
                target: Name::of(target),
            },
        },
    };
    let rules = list.rules.iter();
    json::canonical(&Listing {
        rules: rules
            .map(|entries| entries.iter().map(entry).collect())
            .collect(),
    })
}

/// Reads the document. Paths stay inside their rule's folder and are in order, each once.
pub(super) fn read(bytes: &[u8]) -> Result<SourceList, ProvenanceError> {
    let listing: Listing =
        serde_json::from_slice(bytes).map_err(|error| ProvenanceError::malformed(NAME, error))?;
    let mut rules = Vec::new();
    for entries in listing.rules {
        let entries = entries
            .into_iter()
            .map(entry)
            .collect::<Result<Vec<_>, _>>()?;
        if !entries.is_sorted_by(|a, b| a.path < b.path) {
            let why = "its paths are not in order, each once";
            return Err(ProvenanceError::malformed(NAME, why));
        }
        rules.push(entries);
    }
    Ok(SourceList { rules })
}

fn entry(entry: Entry) -> Result<SourceEntry, ProvenanceError> {
    let path = LayerPath::parse(entry.path.bytes()?)
        .map_err(|error| ProvenanceError::malformed(NAME, error))?;
    let kind = match entry.kind {
        Kind::Directory => SourceKind::Dir,
        Kind::File { digest, size, mode } => SourceKind::File {
            content: Content { digest, size },
            executable: matches!(mode, Mode::Executable),
        },
        Kind::Symlink { target } => SourceKind::Symlink(target.bytes()?),
    };
    Ok(SourceEntry { path, kind })
}
