//! A bundle: every input that a lock pins, as one OCI artifact, so that a rebuild needs nothing else.
//!
//! ```text
//! manifest   artifactType = ARTIFACT_TYPE
//!   config   the lock, byte for byte
//!   layers   one per input, in the order of the lock: its digest, size, and name and address as annotations
//! ```
//! More than [`MOST_INPUTS`] inputs make an index over several such manifests. The same lock gives the same bytes.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage>

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::diagnose::{Class, Diagnose};
use crate::lock::{BasePlatform, Lock};
use crate::oci::artifact::Referrer;
use crate::oci::{Descriptor, Digest, json as canonical, media_type};
use crate::provenance;

/// What a bundle says it is.
pub const ARTIFACT_TYPE: &str = "application/vnd.imgbuild.bundle.v1";

/// Where an input was fetched from.
const URL: &str = "vnd.imgbuild.url";

/// The fingerprint of the OpenPGP key that an input is.
const KEY: &str = "vnd.imgbuild.key";

/// How many inputs one manifest lists at most.
///
/// Registries limit it: ECR to some hundreds (<https://github.com/spinframework/spin/issues/1787>), engines to 127. It
/// also keeps a manifest far below the 4 MiB that registries take.
pub const MOST_INPUTS: usize = 100;

/// Where a locked input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The index or a manifest of the base.
    BaseDocument,
    /// A config or layer of the base.
    BaseBlob,
    /// A URL.
    Url(String),
}

/// An input that a lock pins by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedInput {
    /// What people call it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// SHA-256.
    pub digest: Digest,
    /// Bytes, if the lock says.
    pub size: Option<u64>,
    /// What the bytes are.
    pub media_type: &'static str,
}

/// The media types of inputs. None is that of an image's part: tools that copy artifacts would ask a registry for a
/// manifest where there is a blob.
mod input_type {
    pub(super) const DOCUMENT: &str = "application/vnd.imgbuild.base.document.v1+json";
    pub(super) const LAYER: &str = "application/vnd.imgbuild.base.layer.v1";
    pub(super) const RPM: &str = "application/x-rpm";
    pub(super) const WHEEL: &str = "application/vnd.pypa.wheel";
    pub(super) const KEY: &str = "application/pgp-keys";
}

/// Returns every input that `lock` pins by digest, each once: those of all platforms and of both stages.
#[must_use]
pub fn inputs(lock: &Lock) -> Vec<LockedInput> {
    let mut out = vec![LockedInput {
        name: "base.json".to_owned(),
        origin: Origin::BaseDocument,
        digest: lock.base.digest,
        size: Some(lock.base.size),
        media_type: input_type::DOCUMENT,
    }];
    for base in &lock.base.platforms {
        out.extend(base_inputs(base));
    }
    out.extend(lock.rpms.iter().map(|rpm| LockedInput {
        name: format!("{}.rpm", rpm.nevra()),
        origin: Origin::Url(rpm.url.clone()),
        digest: rpm.digest,
        size: Some(rpm.size),
        media_type: input_type::RPM,
    }));
    out.extend(lock.wheels.iter().map(|wheel| LockedInput {
        name: wheel.filename.clone(),
        origin: Origin::Url(wheel.url.clone()),
        digest: wheel.digest,
        size: wheel.size,
        media_type: input_type::WHEEL,
    }));
    let mut seen = BTreeSet::new();
    out.retain(|input| seen.insert(input.digest));
    out
}

fn base_inputs(base: &BasePlatform) -> Vec<LockedInput> {
    let platform = base.platform.to_string().replace('/', "-");
    let input = |what: &str, origin, digest, size, media_type| LockedInput {
        name: format!("base-{platform}-{what}"),
        origin,
        digest,
        size: Some(size),
        media_type,
    };
    let (manifest, config) = (base.manifest, base.config);
    let mut out = vec![
        input(
            "manifest.json",
            Origin::BaseDocument,
            manifest.digest,
            manifest.size,
            input_type::DOCUMENT,
        ),
        input(
            "config.json",
            Origin::BaseBlob,
            config.digest,
            config.size,
            input_type::DOCUMENT,
        ),
    ];
    out.extend((1..).zip(&base.layers).map(|(number, layer)| {
        let name = format!("layer-{number}");
        input(
            &name,
            Origin::BaseBlob,
            layer.digest,
            layer.size,
            input_type::LAYER,
        )
    }));
    out
}

/// Returns the descriptor of an input in a bundle; `size` is how many bytes it has.
#[must_use]
pub fn describe(input: &LockedInput, size: u64) -> Descriptor {
    let mut annotations = BTreeMap::from([(provenance::TITLE.to_owned(), input.name.clone())]);
    if let Origin::Url(url) = &input.origin {
        annotations.insert(URL.to_owned(), url.clone());
    }
    Descriptor {
        media_type: input.media_type.to_owned(),
        digest: input.digest,
        size,
        annotations,
        platform: None,
    }
}

/// Returns the descriptor of a key's file. A lock pins a key by its fingerprint, so that is what it is found by.
#[must_use]
pub fn describe_key(fingerprint: &str, url: &str, bytes: &[u8]) -> Descriptor {
    let mut descriptor = Descriptor::of(input_type::KEY, bytes);
    descriptor.annotations = BTreeMap::from([
        (provenance::TITLE.to_owned(), format!("{fingerprint}.asc")),
        (URL.to_owned(), url.to_owned()),
        (KEY.to_owned(), fingerprint.to_owned()),
    ]);
    descriptor
}

/// The documents of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    /// The lock.
    pub config: (Descriptor, Vec<u8>),
    /// The manifest, or the index over several.
    pub top: (Descriptor, Vec<u8>),
    /// The manifests of an index.
    pub parts: Vec<(Descriptor, Vec<u8>)>,
}

/// Puts a bundle together from the text of a lock and the descriptors of its inputs, which keep their order.
#[must_use]
pub fn assemble(lock: &str, mut inputs: Vec<Descriptor>) -> Documents {
    name_once(&mut inputs);
    let config = Descriptor::of(provenance::LOCK, lock.as_bytes());
    let manifest = |inputs: &[Descriptor]| {
        let bytes = canonical::canonical(&json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": config,
            "layers": inputs,
        }));
        (Descriptor::of(media_type::MANIFEST, &bytes), bytes)
    };
    let (top, parts) = if inputs.len() <= MOST_INPUTS {
        (manifest(&inputs), Vec::new())
    } else {
        let parts: Vec<_> = inputs.chunks(MOST_INPUTS).map(manifest).collect();
        let entries: Vec<&Descriptor> = parts.iter().map(|(descriptor, _)| descriptor).collect();
        let bytes = canonical::canonical(&json!({
            "schemaVersion": 2,
            "mediaType": media_type::INDEX,
            "artifactType": ARTIFACT_TYPE,
            "manifests": entries,
        }));
        ((Descriptor::of(media_type::INDEX, &bytes), bytes), parts)
    };
    Documents {
        config: (config.clone(), lock.as_bytes().to_vec()),
        top,
        parts,
    }
}

/// Returns the manifest or index of a bundle as one that refers to the image `subject`.
///
/// # Errors
/// [`BundleDocumentError::Json`] if `top` is no document.
pub fn referring(
    top: &[u8],
    subject: &Descriptor,
) -> Result<(Referrer, Vec<u8>), BundleDocumentError> {
    let mut document: serde_json::Map<String, Value> = serde_json::from_slice(top)?;
    // By three fields alone, so that a tag of the image does not decide the bytes.
    let subject = json!({
        "mediaType": subject.media_type,
        "digest": subject.digest,
        "size": subject.size,
    });
    document.insert("subject".to_owned(), subject);
    let is_index = document.contains_key("manifests");
    let media_type = if is_index {
        media_type::INDEX
    } else {
        media_type::MANIFEST
    };
    let bytes = canonical::canonical(&Value::Object(document));
    let referrer = Referrer {
        descriptor: Descriptor::of(media_type, &bytes),
        artifact_type: Some(ARTIFACT_TYPE.to_owned()),
    };
    Ok((referrer, bytes))
}

/// Tells files of one name apart: the builds of a `noarch` package for two architectures may differ.
fn name_once(inputs: &mut [Descriptor]) {
    let mut taken = BTreeSet::new();
    for input in inputs {
        let Some(title) = input.annotations.get_mut(provenance::TITLE) else {
            continue;
        };
        if !taken.insert(title.clone()) {
            *title = format!("{}-{title}", &input.digest.hex()[..12]);
            taken.insert(title.clone());
        }
    }
}

/// Why a document is not of a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleDocumentError {
    /// Not JSON, or a field is missing or of another type.
    #[error("the manifest of the bundle is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// Something else, an image perhaps.
    #[error("it is no bundle: its artifact type is {}, wanted {ARTIFACT_TYPE}", found.as_deref().unwrap_or("not given"))]
    Kind {
        /// What it says it is.
        found: Option<String>,
    },
}

impl Diagnose for BundleDocumentError {
    fn class(&self) -> Class {
        match self {
            Self::Json(_) => Class::Integrity,
            Self::Kind { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Json(_) => None,
            Self::Kind { .. } => {
                Some("name what `imgbuild bundle RECIPE -o DIR` has written".to_owned())
            }
        }
    }
}

/// A document of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The inputs that a manifest lists.
    Inputs(Vec<Descriptor>),
    /// The manifests that an index leads to.
    Parts(Vec<Descriptor>),
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "artifactType")]
    artifact_type: Option<String>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
}

/// Reads a manifest or index of a bundle.
///
/// # Errors
/// [`BundleDocumentError`] if it is something else.
pub fn parse(bytes: &[u8]) -> Result<Part, BundleDocumentError> {
    let fields: Fields = serde_json::from_slice(bytes)?;
    match fields {
        Fields { artifact_type, .. } if artifact_type.as_deref() != Some(ARTIFACT_TYPE) => {
            Err(BundleDocumentError::Kind {
                found: artifact_type,
            })
        }
        Fields {
            manifests: Some(parts),
            ..
        } => Ok(Part::Parts(parts)),
        Fields { layers, .. } => Ok(Part::Inputs(layers)),
    }
}

/// Returns what people call an input of a bundle.
#[must_use]
pub fn name(input: &Descriptor) -> String {
    let title = input.annotations.get(provenance::TITLE);
    title.map_or_else(|| input.digest.to_string(), Clone::clone)
}

/// Returns the fingerprint of the key that an input is, if it is one.
#[must_use]
pub fn key_of(input: &Descriptor) -> Option<&str> {
    input.annotations.get(KEY).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(name: &str, bytes: &str) -> Descriptor {
        let input = LockedInput {
            name: name.to_owned(),
            origin: Origin::Url(format!("https://example.com/{name}")),
            digest: Digest::of(bytes.as_bytes()),
            size: None,
            media_type: input_type::RPM,
        };
        describe(&input, bytes.len() as u64)
    }

    #[test]
    fn a_bundle_of_few_inputs_is_one_manifest_and_is_read_back() {
        let inputs = vec![descriptor("a.rpm", "a"), descriptor("b.rpm", "b")];
        let documents = assemble("format = 1\n", inputs.clone());
        assert!(documents.parts.is_empty());
        let read = parse(&documents.top.1).expect("a bundle");
        assert_eq!(read, Part::Inputs(inputs.clone()));
        assert_eq!(documents, assemble("format = 1\n", inputs));
    }

    #[test]
    fn no_manifest_of_a_large_bundle_lists_more_than_registries_take() {
        let inputs: Vec<Descriptor> = (0..2 * MOST_INPUTS + 1)
            .map(|number| descriptor(&format!("{number}.rpm"), &number.to_string()))
            .collect();
        let documents = assemble("format = 1\n", inputs.clone());
        let Part::Parts(parts) = parse(&documents.top.1).expect("a bundle") else {
            panic!("not an index");
        };
        assert_eq!(parts.len(), 3);
        let mut read = Vec::new();
        for (descriptor, bytes) in &documents.parts {
            assert!(parts.contains(descriptor));
            match parse(bytes).expect("a bundle") {
                Part::Inputs(part) if part.len() <= MOST_INPUTS => read.extend(part),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(read, inputs);
    }

    #[test]
    fn two_files_of_one_name_are_told_apart() {
        let documents = assemble(
            "",
            vec![
                descriptor("a.noarch.rpm", "1"),
                descriptor("a.noarch.rpm", "2"),
            ],
        );
        let Part::Inputs(read) = parse(&documents.top.1).expect("a bundle") else {
            panic!("not a manifest");
        };
        let second = format!("{}-a.noarch.rpm", &Digest::of(b"2").hex()[..12]);
        assert_eq!([name(&read[0]), name(&read[1])], ["a.noarch.rpm", &second]);
    }

    #[test]
    fn a_bundle_that_refers_to_an_image_is_the_same_bundle() {
        let image = Descriptor::of(media_type::MANIFEST, b"image");
        for count in [1, MOST_INPUTS + 1] {
            let inputs = (0..count).map(|number| descriptor("a.rpm", &number.to_string()));
            let documents = assemble("", inputs.collect());
            let (referrer, bytes) = referring(&documents.top.1, &image).expect("a document");
            assert_eq!(parse(&bytes).ok(), parse(&documents.top.1).ok());
            assert_eq!(referrer.descriptor.media_type, documents.top.0.media_type);
            let read = crate::oci::artifact::Referring::parse(&bytes).expect("a document");
            assert_eq!(read.subject, Some(image.clone()));
            assert_eq!(read.artifact_type(), Some(ARTIFACT_TYPE));
        }
    }

    #[test]
    fn an_image_is_no_bundle() {
        let image =
            br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;
        assert!(matches!(
            parse(image),
            Err(BundleDocumentError::Kind { found: None })
        ));
        assert!(matches!(parse(b"{"), Err(BundleDocumentError::Json(_))));
    }
}
