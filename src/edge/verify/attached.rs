//! What is attached to an image: the records of its build, and a bundle of its inputs.

use super::VerifyError;
use crate::bundle;
use crate::diagnose::{Class, Diagnose as _};
use crate::edge::Edges;
use crate::edge::bundle::Inputs;
use crate::edge::image_source::ImageSource;
use crate::edge::provenance;
use crate::oci::Digest;
use crate::provenance::{Provenance, ProvenanceError};

/// What is attached to an image.
pub(super) struct Attached {
    /// By the digest of their manifests.
    pub(super) records: Vec<(Digest, Result<Provenance, ProvenanceError>)>,
    bundle: Option<ImageSource>,
}

impl Attached {
    /// Reads what refers to the image `top`; with `a_recipe` at hand, nothing of it is needed.
    pub(super) async fn read(
        source: &ImageSource,
        top: Digest,
        a_recipe: bool,
        edges: &Edges<'_>,
    ) -> Result<Self, VerifyError> {
        let listed = match provenance::referrers(source, top, edges).await {
            Ok(listed) => listed,
            Err(error) if a_recipe && error.class() == Class::Unavailable => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let records = provenance::records(source, top, &listed, edges).await?;
        let records = records
            .into_iter()
            .map(|record| (record.referrer.descriptor.digest, record.provenance));
        let bundle = listed
            .iter()
            .find(|referrer| referrer.artifact_type.as_deref() == Some(bundle::ARTIFACT_TYPE));
        let bundle = match (bundle, source) {
            (Some(bundle), ImageSource::Registry(reference)) => Some(ImageSource::Registry(
                reference.at(bundle.descriptor.digest),
            )),
            _ => None,
        };
        Ok(Self {
            records: records.collect(),
            bundle,
        })
    }

    /// Takes what is `needed` out of the bundle that is `given`, else of the attached one, as far as they have it.
    ///
    /// Anybody who may push can attach a bundle: one that cannot be used is as good as none, and one that is given not.
    pub(super) async fn supply(
        &self,
        given: Option<&ImageSource>,
        needed: Vec<Digest>,
        edges: &Edges<'_>,
    ) -> Result<Option<Inputs>, VerifyError> {
        let supplied = async |bundle: &ImageSource| {
            let inputs = Inputs::open(bundle.clone(), edges).await?;
            inputs.supply(needed, edges).await?;
            Ok::<_, VerifyError>(inputs)
        };
        match (given, &self.bundle) {
            (Some(bundle), _) => supplied(bundle).await.map(Some),
            (None, Some(bundle)) => Ok(supplied(bundle)
                .await
                .map_err(|error| {
                    (edges.tell)(&format!("the attached bundle is of no use: {error}"));
                })
                .ok()),
            (None, None) => Ok(None),
        }
    }
}
