//! Gathers what an image is: from a registry, layout or archive, with what refers to it there.

use super::Edges;
use super::image_source::{ImageSource, SourceError};
use super::layout::{Layout, REF_NAME};
use super::provenance;
use super::subject::{Subject, SubjectError};
use crate::diagnose::{Class, Diagnose};
use crate::inspect::{
    self, BuildReport, ImageReport, InspectError, Inspection, RecordReport, ReferrerReport, SCHEMA,
};
use crate::oci::manifest::{Document, PlatformFields};
use crate::oci::{Digest, Platform};

/// Why an image cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum EdgeInspectError {
    /// It cannot be opened.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// Its layers cannot be read.
    #[error("{name}: {error}")]
    Contents {
        /// The image as it was named.
        name: String,
        /// Why.
        error: InspectError,
    },
}

impl Diagnose for EdgeInspectError {
    fn class(&self) -> Class {
        match self {
            Self::Subject(error) => error.class(),
            Self::Contents { error, .. } => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Subject(error) => error.hint(),
            Self::Contents { error, .. } => error.hint(),
        }
    }
}

/// Which images of an index are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen<'a> {
    /// All.
    All,
    /// The first one: the same on every machine.
    First,
    /// These.
    Only(&'a [Platform]),
}

/// Opens an image, all of it or as much as is chosen.
///
/// # Errors
/// [`SubjectError`], by cause.
pub async fn open(
    source: &ImageSource,
    chosen: Chosen<'_>,
    edges: &Edges<'_>,
) -> Result<Subject, SubjectError> {
    let first;
    let platforms = match chosen {
        Chosen::All => &[],
        Chosen::Only(platforms) => platforms,
        // Before it is opened, so that a registry is asked for no more than that.
        Chosen::First => {
            first = first_platform(source, edges).await;
            first.as_slice()
        }
    };
    Subject::fetch(source, edges, platforms).await
}

/// Returns the first platform of an index; none for a single image, or where opening it will tell what is wrong.
async fn first_platform(source: &ImageSource, edges: &Edges<'_>) -> Vec<Platform> {
    let Ok((_, bytes)) = source.resolve(edges.registry).await else {
        return Vec::new();
    };
    let Ok(Document::Index(index)) = Document::parse(&bytes) else {
        return Vec::new();
    };
    let platforms = index
        .manifests
        .iter()
        .filter_map(|entry| entry.platform.as_ref());
    platforms
        .filter_map(PlatformFields::platform)
        .take(1)
        .collect()
}

/// Looks into the images of `subject`, which `source` names.
///
/// # Errors
/// [`EdgeInspectError`] if a layer cannot be read or is not what it should be.
pub fn look_into(subject: &Subject) -> Result<Vec<ImageReport>, EdgeInspectError> {
    let images = subject.documents().images.iter();
    images
        .map(|image| {
            let contents = inspect::read(image, subject);
            let contents = contents.map_err(|error| EdgeInspectError::Contents {
                name: subject.name().to_owned(),
                error,
            })?;
            Ok(ImageReport::new(image, contents))
        })
        .collect()
}

/// Puts together everything that is known of `subject`.
///
/// # Errors
/// As for [`look_into`]; that referrers cannot be listed is only told.
pub async fn inspect(
    source: &ImageSource,
    subject: &Subject,
    edges: &Edges<'_>,
) -> Result<Inspection, EdgeInspectError> {
    let digest = subject.documents().top.digest;
    let referrers = match referrers(source, digest, edges).await {
        Ok(found) => Some(found),
        Err(error) => {
            (edges.tell)(&format!("what refers to it cannot be listed: {error}"));
            None
        }
    };
    Ok(Inspection {
        schema: SCHEMA,
        name: subject.name().to_owned(),
        digest,
        tags: tags(source, digest),
        platforms: inspect::platforms(subject.documents()),
        images: look_into(subject)?,
        referrers,
    })
}

async fn referrers(
    source: &ImageSource,
    subject: Digest,
    edges: &Edges<'_>,
) -> Result<Vec<ReferrerReport>, SourceError> {
    let listed = provenance::referrers(source, subject, edges).await?;
    let records = provenance::records(source, subject, &listed, edges).await?;
    let report = |referrer: crate::oci::artifact::Referrer| {
        let digest = referrer.descriptor.digest;
        let mut of_it = records.iter();
        let record = of_it.find(|record| record.referrer.descriptor.digest == digest);
        let record = record.map(|record| match &record.provenance {
            Ok(provenance) => RecordReport::Build(Box::new(BuildReport::of(provenance))),
            Err(error) => RecordReport::Unusable(error.to_string()),
        });
        ReferrerReport { referrer, record }
    };
    Ok(listed.into_iter().map(report).collect())
}

/// Returns the tags that lead to `digest`: all of a layout, the one asked for of a registry.
fn tags(source: &ImageSource, digest: Digest) -> Vec<String> {
    match source {
        ImageSource::Registry(reference) => {
            reference.tag().map(str::to_owned).into_iter().collect()
        }
        ImageSource::Disk(path) => {
            let Ok(layout) = Layout::open(path.path()) else {
                return Vec::new();
            };
            let images = layout.images().iter();
            let tagged = images.filter(|image| image.digest == digest);
            tagged
                .filter_map(|image| image.annotations.get(REF_NAME).cloned())
                .collect()
        }
    }
}
