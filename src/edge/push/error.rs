//! Why an image could not be pushed.

use std::path::PathBuf;

use super::{again, ecr};
use crate::bundle::BundleDocumentError;
use crate::diagnose::{Class, Diagnose};
use crate::edge::fetch::FetchError;
use crate::edge::layout::LayoutError;
use crate::edge::registry::{Ecr, RegistryError};
use crate::oci::manifest::Document;
use crate::oci::{Digest, Reference};

/// Why an image could not be pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// A tag that no registry takes.
    #[error("`{0}` is not a tag: wanted letters, digits, `_`, `.` and `-`, at most 128")]
    Tag(String),
    /// All tags of a layout cannot be pushed to one repository.
    #[error("{}: {why}", path.display())]
    Tags {
        /// The layout or archive.
        path: PathBuf,
        /// What is wrong with its tags.
        why: String,
    },
    /// The image on disk is not there or not whole.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Only a bundle is attached to an image.
    #[error(transparent)]
    NoBundle(BundleDocumentError),
    /// The reference asks for another digest than the image has.
    #[error("{reference}: the image has another digest: expected {wanted}, got {found}")]
    OtherDigest {
        /// The reference.
        reference: String,
        /// The digest in it.
        wanted: Digest,
        /// The image's.
        found: Digest,
    },
    /// The tag leads to another image, and may not be moved.
    #[error(
        "{reference} is immutable and leads to another image: expected {wanted}, got {}: {words}",
        shown(found)
    )]
    Immutable {
        /// The tagged reference.
        reference: String,
        /// The image's digest.
        wanted: Digest,
        /// The digest it leads to, if these credentials may know.
        found: Option<Digest>,
        /// What the registry said.
        words: String,
    },
    /// The registry took a tag, but not this one.
    #[error("{reference} was taken, but leads where it led before: expected {wanted}, got {}", found.map_or("nothing".to_owned(), |found| found.to_string()))]
    Astray {
        /// The tagged reference.
        reference: String,
        /// The image's digest.
        wanted: Digest,
        /// The digest it leads to.
        found: Option<Digest>,
    },
    /// The registry has no such repository.
    #[error("{repository} does not exist on {host}: {error}")]
    Missing {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// How it came out.
        error: RegistryError,
    },
    /// These credentials, or the lack of any, do not do.
    #[error(transparent)]
    Denied(Box<Denied>),
    /// The registry does not take a manifest.
    #[error("{error}")]
    Manifest {
        /// What it said.
        error: RegistryError,
        /// What some registries do not like about it.
        shape: Option<&'static str>,
    },
    /// The registry fails otherwise.
    #[error("{error}")]
    Registry {
        /// The registry.
        host: String,
        /// What happened.
        error: RegistryError,
    },
}

/// A refusal to push.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Denied {
    host: String,
    repository: String,
    anonymous: bool,
    error: RegistryError,
}

fn shown(found: &Option<Digest>) -> String {
    found.map_or_else(
        || "one that these credentials may not read".to_owned(),
        |found| found.to_string(),
    )
}

/// Tells whether a registry refuses to move a tag, in the words of ECR, Harbor and others.
pub(super) fn is_immutable(error: &RegistryError) -> bool {
    let refusal = match error {
        RegistryError::Denied { .. } => true,
        error => error
            .status()
            .is_some_and(|status| (400..500).contains(&status)),
    };
    let words = error.words().to_ascii_lowercase();
    refusal
        && [
            "immutable",
            "imagetagalreadyexists",
            "cannot be overwritten",
        ]
        .iter()
        .any(|word| words.contains(word))
}

impl PushError {
    /// Returns a function for `map_err` that says what an error of the registry means to a push to `reference`.
    pub(super) fn at(reference: &Reference) -> impl FnOnce(RegistryError) -> Self + '_ {
        move |error| {
            let (host, repository) = (
                reference.registry().to_owned(),
                reference.repository().to_owned(),
            );
            let missing = ["NAME_UNKNOWN", "RepositoryNotFound"]
                .iter()
                .any(|code| error.words().contains(code));
            match error {
                error if missing => Self::Missing {
                    host,
                    repository,
                    error,
                },
                RegistryError::Denied { anonymous, .. } => Self::Denied(Box::new(Denied {
                    host,
                    repository,
                    anonymous,
                    error,
                })),
                error => Self::Registry { host, error },
            }
        }
    }

    /// Says what the refusal of a manifest means.
    pub(super) fn of_manifest(reference: &Reference, bytes: &[u8], error: RegistryError) -> Self {
        match Self::at(reference)(error) {
            Self::Registry { error, .. }
                if matches!(error.status(), Some(400 | 405 | 415 | 422)) =>
            {
                Self::Manifest {
                    error,
                    shape: shape(bytes),
                }
            }
            other => other,
        }
    }
}

/// Returns what ECR refuses with 405 and no reason: (<https://github.com/containers/image/issues/584>,
/// <https://github.com/sigstore/sigstore-js/issues/1058>, <https://github.com/aws/containers-roadmap/issues/876>).
fn shape(bytes: &[u8]) -> Option<&'static str> {
    let (kind, layers) = match Document::parse(bytes).ok()? {
        Document::Index(index) => (index.media_type, None),
        Document::Manifest(manifest) => (manifest.media_type, Some(manifest.layers)),
    };
    if kind.is_none() {
        return Some("the manifest has no `mediaType` of its own, which ECR refuses");
    }
    match layers {
        Some(layers) if layers.is_empty() => Some("the manifest has no layers, which ECR refuses"),
        Some(layers) if layers.iter().any(|layer| layer.media_type.contains(';')) => {
            Some("a layer's media type has a `;`, which ECR refuses")
        }
        _ => None,
    }
}

impl Diagnose for PushError {
    fn class(&self) -> Class {
        match self {
            Self::Tag(_) | Self::Tags { .. } => Class::Usage,
            Self::Layout(error) => error.class(),
            Self::NoBundle(error) => error.class(),
            Self::OtherDigest { .. } | Self::Astray { .. } => Class::Integrity,
            Self::Immutable { .. } => Class::Immutable,
            Self::Missing { .. } | Self::Denied(_) => Class::Unavailable,
            Self::Manifest { error, .. } | Self::Registry { error, .. } => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Tag(_) => None,
            Self::Tags { .. } => {
                Some("push one image at a time: oci:DIR:TAG, and --tag for each tag".to_owned())
            }
            Self::Layout(error) => error.hint(),
            Self::NoBundle(error) => error.hint(),
            Self::OtherDigest { .. } => {
                Some("leave the digest out of the reference, or push the image that has it".to_owned())
            }
            Self::Immutable { .. } => {
                Some("choose another tag; an immutable tag keeps its first image".to_owned())
            }
            Self::Astray { .. } => Some(
                "push again; something on the way changes what is asked, so prefer a registry with https".to_owned(),
            ),
            Self::Missing {
                host, repository, ..
            } => Some(ecr::create(host, repository).unwrap_or_else(|| {
                format!(
                    "create the repository {repository} on {host}; some registries answer so when a login is missing"
                )
            })),
            Self::Denied(denied) => Some(denied.hint()),
            Self::Manifest { error, shape } => {
                shape.map(str::to_owned).or_else(|| again::hint(error))
            }
            Self::Registry { host, error } => match (Ecr::of(host), error) {
                // ECR has cut connections instead of refusing
                // (<https://github.com/CircleCI-Public/aws-ecr-orb/issues/259>).
                (Some(_), RegistryError::Fetch { error, .. })
                    if matches!(error.root(), FetchError::Broken { .. }) =>
                {
                    Some(
                        "ECR may end a connection where the repository does not exist, or where the identity may not \
                         use ecr:InitiateLayerUpload"
                            .to_owned(),
                    )
                }
                _ => again::hint(error),
            },
        }
    }
}

impl Denied {
    fn hint(&self) -> String {
        let (host, repository) = (&self.host, &self.repository);
        if self.anonymous {
            ecr::login(host).unwrap_or_else(|| {
                format!(
                    "log in first: imgbuild login {host} --username NAME --password-stdin; or pass these flags here"
                )
            })
        } else {
            ecr::permissions(host, repository, self.error.words()).unwrap_or_else(|| {
                format!(
                    "these credentials need the permission to push to {repository} (repository:{repository}:pull,push)"
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, error: RegistryError) -> PushError {
        let reference = format!("{host}/team/app:1.0");
        PushError::at(&reference.parse().expect("a reference"))(error)
    }

    fn refused(status: u16, words: &str) -> RegistryError {
        RegistryError::Fetch {
            what: "x".to_owned(),
            error: FetchError::Refused {
                url: "https://x/".to_owned(),
                status,
                words: words.to_owned(),
                retry_after: None,
            },
        }
    }

    fn denied(anonymous: bool) -> RegistryError {
        RegistryError::Denied {
            what: "x".to_owned(),
            host: "x".to_owned(),
            anonymous,
            words: "no".to_owned(),
            trouble: Vec::new(),
        }
    }

    const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    #[test]
    fn each_refusal_of_ecr_comes_with_what_helps() {
        let missing = RegistryError::NotFound {
            what: "x".to_owned(),
            url: "https://x/".to_owned(),
            words: "NAME_UNKNOWN: The repository with name 'team/app' does not exist".to_owned(),
        };
        let broken = RegistryError::Fetch {
            what: "x".to_owned(),
            error: FetchError::Broken {
                url: "https://x/".to_owned(),
                why: "EOF".to_owned(),
            },
        };
        for (error, hints) in [
            (
                missing,
                [
                    "aws ecr create-repository --repository-name team/app --region eu-west-1",
                    "CREATE_ON_PUSH",
                ],
            ),
            (denied(false), ["ecr:InitiateLayerUpload", "123456789012"]),
            (denied(true), ["aws ecr get-login-password", "eu-west-1"]),
            (broken, ["ecr:InitiateLayerUpload", "does not exist"]),
        ] {
            let error = at(ECR, error);
            let hint = error.hint().unwrap_or_default();
            assert!(
                hints.iter().all(|part| hint.contains(part)),
                "{error}: {hint}"
            );
            assert_eq!(error.class(), Class::Unavailable);
        }
    }

    #[test]
    fn an_immutable_tag_is_known_by_the_words_of_each_registry() {
        for (error, immutable) in [
            (
                refused(
                    400,
                    "TAG_INVALID: The image tag '1.0' already exists in the 'a' repository and cannot be overwritten because the repository is immutable.",
                ),
                true,
            ),
            (
                refused(
                    412,
                    "PRECONDITION: Failed to process request due to 'app:1.0' configured as immutable.",
                ),
                true,
            ),
            (refused(400, "MANIFEST_INVALID: manifest invalid"), false),
            (refused(500, "the immutable store is on fire"), false),
            (denied(false), false),
        ] {
            assert_eq!(is_immutable(&error), immutable, "{error}");
        }
    }
}
