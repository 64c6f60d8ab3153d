//! What a comparison comes to: the level at which two images are the same, and rows of what differs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::oci::Digest;

/// How far two images are the same; a higher level includes the lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    /// The digests of the indexes or manifests that were compared.
    pub digests: [Digest; 2],
    /// What differs in the index, or in what it names besides images.
    pub index: Vec<Row>,
    /// By platform: what both have.
    pub platforms: BTreeMap<String, PlatformDifference>,
    /// Whether only some platforms were asked for, so that the indexes do not matter.
    pub is_chosen: bool,
}

/// What the images of one platform come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformDifference {
    /// The digests of the two manifests.
    pub digests: [Digest; 2],
    /// How far they are the same.
    pub level: Level,
    /// What differs, the earliest divergence first.
    pub rows: Vec<Row>,
}

/// Where in an image a row belongs, in the order they are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The index over platforms.
    Index,
    /// The manifest.
    Manifest,
    /// The config.
    Config,
    /// A layer: its number from 1 in each image, if it is there, and its line of the history.
    Layer {
        /// Its number in the first image.
        a: Option<usize>,
        /// Its number in the second image.
        b: Option<usize>,
        /// What made it.
        created_by: String,
    },
}

/// What a row says of the thing it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    /// Where it is.
    pub scope: Scope,
    /// Whether it is added, removed or changed.
    pub kind: RowKind,
    /// The path of an entry, or where in a JSON document.
    pub path: String,
    /// What differs about it.
    pub changes: Vec<Change>,
    /// Whom the path belongs to, in each image.
    pub owner: [Option<Owner>; 2],
    /// What probably made the difference.
    pub cause: Option<&'static str>,
}

/// One attribute that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub attribute: Attribute,
    /// What the first image has.
    pub a: Option<String>,
    /// What the second image has.
    pub b: Option<String>,
    /// What was found by looking inside, line by line.
    pub inside: Vec<String>,
}

/// What can differ about an entry, a layer or a field of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// The value of a field of a document.
    Value,
    /// How a layer is compressed.
    Compression,
    /// What kind of entry it is.
    Type,
    /// The bytes of a file.
    Content,
    /// Their number.
    Size,
    /// Permission bits.
    Mode,
    /// Who owns it: user or group number.
    Owner,
    /// When it was changed.
    Mtime,
    /// Where a link leads.
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
    /// A whiteout or an opaque directory.
    Whiteout,
    /// How its tar header is written, which no file system shows.
    Header,
}

/// Whom a path belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// An RPM, by name, epoch, version, release and architecture.
    Rpm(String),
    /// A wheel, by name and version.
    Wheel(String),
    /// The line of the history of the layer it is in.
    Layer(String),
    /// The base image.
    Base,
}

impl Difference {
    /// Returns the level at which all platforms are the same.
    #[must_use]
    pub fn level(&self) -> Level {
        let platforms = self.platforms.values();
        platforms
            .map(|platform| platform.level)
            .min()
            .unwrap_or(Level::Differs)
    }

    /// Tells whether nothing at all differs.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.level() == Level::Digest && (self.is_chosen || self.digests[0] == self.digests[1])
    }
}
