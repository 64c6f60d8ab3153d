//! Artifacts: manifests of things that are no image, and that may refer to one.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage>,
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Descriptor, Digest, json as canonical, media_type};

/// The bytes of the config that an artifact without a config has.
pub const EMPTY: &[u8] = b"{}";

/// An artifact that is being made: `manifest` gives its bytes.
#[derive(Clone, Debug)]
pub struct Artifact<'a> {
    /// What it is.
    pub artifact_type: &'a str,
    /// What it refers to.
    pub subject: &'a Descriptor,
    /// Its blobs, at least one: ECR refuses manifests without.
    pub blobs: Vec<Descriptor>,
    /// Facts that registries repeat where they list it.
    pub annotations: BTreeMap<String, String>,
}

impl Artifact<'_> {
    /// Returns the manifest and its descriptor as a list of referrers holds it.
    #[must_use]
    pub fn manifest(&self) -> (Referrer, Vec<u8>) {
        // What is referred to by three fields alone, so that annotations such as a tag do not decide the bytes.
        let subject = Descriptor {
            annotations: BTreeMap::new(),
            platform: None,
            ..self.subject.clone()
        };
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "artifactType": self.artifact_type,
            "config": empty(),
            "layers": self.blobs,
            "subject": subject,
        });
        if !self.annotations.is_empty() {
            manifest["annotations"] = json!(self.annotations);
        }
        let bytes = canonical::canonical(&manifest);
        let mut descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
        descriptor.annotations = self.annotations.clone();
        let referrer = Referrer {
            descriptor,
            artifact_type: Some(self.artifact_type.to_owned()),
        };
        (referrer, bytes)
    }
}

/// Returns the descriptor of the empty config.
#[must_use]
pub fn empty() -> Descriptor {
    Descriptor::of(media_type::EMPTY, EMPTY)
}

/// An entry of a list of referrers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referrer {
    /// The manifest that refers to the subject, with the annotations it has itself.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// What it is; none for an image that refers to another one.
    #[serde(
        rename = "artifactType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact_type: Option<String>,
}

/// A list of referrers: an index, as the API gives it and as the fallback tag leads to it.
#[derive(Clone, Debug, Deserialize)]
pub struct Referrers {
    /// Its entries, in order.
    pub manifests: Vec<Referrer>,
}

/// A manifest or index, read as something that may refer to another one.
#[derive(Clone, Debug, Deserialize)]
pub struct Referring {
    /// What it refers to.
    #[serde(default)]
    pub subject: Option<Descriptor>,
    /// What it is.
    #[serde(rename = "artifactType", default)]
    artifact_type: Option<String>,
    /// Its config; an index has none.
    #[serde(default)]
    pub config: Option<Descriptor>,
    /// Its blobs.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// Further facts.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Referring {
    /// Reads a manifest or index.
    ///
    /// # Errors
    /// What the parser says.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Returns what it is, as registries decide it: `artifactType`, else the media type of the config.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        let config = self.config.as_ref();
        self.artifact_type
            .as_deref()
            .filter(|kind| !kind.is_empty())
            .or_else(|| config.map(|config| config.media_type.as_str()))
    }
}

/// Returns the tag under which registries without the API keep the referrers of `subject`.
///
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>
#[must_use]
pub fn fallback_tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_config_is_the_one_of_the_specification() {
        assert_eq!(
            empty().digest.to_string(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!(empty().size, 2);
    }

    #[test]
    fn the_tag_of_a_subject_does_not_reach_what_refers_to_it() {
        let mut subject = Descriptor::of(media_type::MANIFEST, b"m");
        let make = |subject: &Descriptor| {
            Artifact {
                artifact_type: "a/b",
                subject,
                blobs: vec![Descriptor::of("c/d", b"x")],
                annotations: BTreeMap::new(),
            }
            .manifest()
        };
        let plain = make(&subject);
        subject.annotations.insert(
            "org.opencontainers.image.ref.name".to_owned(),
            "1".to_owned(),
        );
        assert_eq!(make(&subject), plain);
        let read = Referring::parse(&plain.1).expect("a manifest");
        assert_eq!(read.artifact_type(), Some("a/b"));
        assert_eq!(
            read.subject.map(|subject| subject.digest),
            Some(subject.digest)
        );
    }

    #[test]
    fn a_referrer_reads_as_it_is_written() {
        let text = r#"{"annotations":{"a":"b"},"artifactType":"x/y","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","mediaType":"m/n","size":2}"#;
        let read: Referrer = serde_json::from_str(text).expect("an entry");
        assert_eq!(canonical::canonical(&read), text.as_bytes());
    }
}
