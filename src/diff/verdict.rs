//! What a comparison comes to: the level at which two images are the same, and rows of what differs.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::cause::Cause;
use crate::oci::{DiffId, Digest};

/// How far two images are the same; a higher level includes the lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Their merged roots differ.
    Differs,
    /// The merged roots are equal, with all metadata; layers or configuration are not.
    Tree,
    /// Configuration and every `diff_id` are equal; only how layers are compressed or described is not.
    Content,
    /// The manifests are equal, byte for byte.
    Digest,
}

/// What two images come to when they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The digests of what the two names lead to: indexes or manifests.
    pub digests: [Digest; 2],
    /// What differs in the index, or in what it names besides images.
    pub index: Vec<Row>,
    /// What the platforms that both have come to.
    pub platforms: BTreeMap<String, PlatformDifference>,
}

/// What the images of one platform come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformDifference {
    /// The digests of the two manifests.
    pub digests: [Digest; 2],
    /// How far they are the same.
    pub level: Level,
    /// How many layers each has.
    pub layer_counts: [usize; 2],
    /// What differs in the manifest, besides which config and layers it names.
    pub manifest: Vec<Row>,
    /// What differs in the config, besides the diff_ids.
    pub config: Vec<Row>,
    /// The layers that differ, lowest first.
    pub layers: Vec<LayerDifference>,
}

/// A layer that differs, or several that have to be looked at together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerDifference {
    /// Their places, from 1, in each image.
    pub places: [Vec<usize>; 2],
    /// What made it, by the history.
    pub created_by: String,
    /// In what way it differs.
    pub kind: LayerChange,
    /// The digests of the blobs, in each image.
    pub digests: [Vec<Digest>; 2],
    /// The digests of the tars, in each image.
    pub diff_ids: [Vec<DiffId>; 2],
    /// Where the tars begin to differ.
    pub first: Option<FirstDifference>,
    /// How the blobs differ, if it is in their compression.
    pub compression: Vec<Change>,
    /// The entries that differ, by path.
    pub rows: Vec<Row>,
    /// What probably made the difference.
    pub cause: Option<Cause>,
}

/// Where two tars begin to differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct FirstDifference {
    /// The path of the first entry that differs.
    pub path: String,
    /// Where its header is in the second image's tar, in bytes; in the first's if the second's has ended.
    pub offset: u64,
}

/// In what way a layer differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LayerChange {
    /// The tars are equal, their compression is not.
    Compression,
    /// The tars differ.
    Entries,
    /// Only the second image has it.
    Added,
    /// Only the first image has it.
    Removed,
    /// Both have it, in another place among the layers.
    Moved,
    /// Other layers stand here, and another number of them: what they come to together is compared.
    Split,
}

/// What a row says of the thing it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    /// Only the second image has it.
    Added,
    /// Only the first image has it.
    Removed,
    /// Both have it, and it differs.
    Changed,
}

/// One thing that differs, with everything that differs about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whether it is added, removed or changed.
    pub kind: RowKind,
    /// The path of an entry, or where in a JSON document.
    pub path: String,
    /// What differs about it, each attribute at most once, but for extended attributes.
    pub changes: Vec<Change>,
    /// Whom the path belongs to, in each image.
    pub owners: [Option<Owner>; 2],
    /// What probably made the difference.
    pub cause: Option<Cause>,
    /// Where the file is in each image, if this is about one: the positions of its layer, and of its entry in that.
    pub files: [Option<(usize, usize)>; 2],
}

/// One attribute that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Which.
    pub attribute: Attribute,
    /// What the first image has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    /// What the second image has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
    /// What was found by looking inside, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inside: Vec<String>,
}

/// What can differ about an entry, a layer or a field of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// The value of a field of a document.
    Value,
    /// The bytes of a document that says the same.
    Bytes,
    /// How a layer is compressed.
    Compression,
    /// What kind of entry it is.
    Type,
    /// A whiteout or an opaque directory.
    Whiteout,
    /// The bytes of a file.
    Content,
    /// Their number.
    Size,
    /// Permission bits, octal.
    Mode,
    /// Who owns it: numbers of user and group.
    Owner,
    /// When it was changed.
    Mtime,
    /// Where a symbolic link leads.
    Link,
    /// Which names are one file.
    HardLink,
    /// File capabilities.
    Capability,
    /// Any other extended attribute.
    Xattr,
    /// Its place among the entries of its layer.
    Order,
    /// How often the layer has it.
    Duplicate,
    /// How it is written in the tar, which no file system shows.
    Header,
}

/// Whom a path belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(tag = "kind", content = "name", rename_all = "lowercase")]
pub enum Owner {
    /// An RPM, by name, epoch, version, release and architecture.
    Rpm(String),
    /// An installed Python package, by name and version.
    Wheel(String),
    /// The copy rules of a recipe, by what they copy.
    Copy(String),
    /// The base image.
    Base,
    /// The layer it is in, by its line of the history.
    Layer(String),
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rpm(name) => write!(f, "rpm {name}"),
            Self::Wheel(name) => write!(f, "wheel {name}"),
            Self::Copy(from) => write!(f, "copy of {from}"),
            Self::Base => f.write_str("the base image"),
            Self::Layer(created_by) => write!(f, "layer \"{created_by}\""),
        }
    }
}

impl Change {
    /// Says what each image has.
    #[must_use]
    pub fn new(attribute: Attribute, a: Option<String>, b: Option<String>) -> Self {
        Self {
            attribute,
            a,
            b,
            inside: Vec::new(),
        }
    }
}

impl Row {
    /// Begins a row that belongs to nobody yet.
    #[must_use]
    pub fn new(kind: RowKind, path: String, changes: Vec<Change>) -> Self {
        Self {
            kind,
            path,
            changes,
            owners: [None, None],
            cause: None,
            files: [None, None],
        }
    }
}

impl PlatformDifference {
    /// Returns all rows, in the order of the comparison.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        let layers = self.layers.iter().flat_map(|layer| &layer.rows);
        self.manifest.iter().chain(&self.config).chain(layers)
    }

    /// Returns the causes that were recognised.
    #[must_use]
    pub fn causes(&self) -> BTreeSet<Cause> {
        let layers = self.layers.iter().filter_map(|layer| layer.cause);
        self.rows()
            .filter_map(|row| row.cause)
            .chain(layers)
            .collect()
    }
}

impl Difference {
    /// Returns the level at which all platforms are the same.
    #[must_use]
    pub fn level(&self) -> Level {
        let platforms = self.platforms.values();
        let least = platforms.map(|platform| platform.level).min();
        least.unwrap_or(Level::Differs)
    }

    /// Tells whether nothing that was compared differs.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.index.is_empty() && self.level() == Level::Digest
    }
}
