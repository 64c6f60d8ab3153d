//! Pushes what refers to an image, after the image and before its tags move.

use super::{Push, PushError};
use crate::edge::layout::Companion;
use crate::edge::registry::Attached;
use crate::oci::Digest;

/// What to do about registries that do not take what refers to an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attachments {
    /// Say so and go on: the image itself is whole without.
    #[default]
    Tried,
    /// Fail, before any tag moves.
    Required,
}

impl Push<'_> {
    /// Pushes what refers to the image, and has it listed; returns what the registry has then.
    pub(super) async fn attach(
        &self,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Vec<Digest>, PushError> {
        let mut there = Vec::new();
        for companion in self.shipment.companions() {
            let digest = companion.referrer.descriptor.digest;
            let what = companion.referrer.artifact_type.as_deref();
            let what = what.unwrap_or("an image");
            match self.attach_one(companion).await {
                Ok(Attached::Already) => {}
                Ok(Attached::Listed) => tell(&format!("attached {what} as {digest}")),
                Ok(Attached::Tagged) => tell(&format!(
                    "attached {what} as {digest}, listed under a tag as this registry keeps no list of referrers"
                )),
                Err(error) if self.shipment.attachments() == Attachments::Tried => {
                    tell(&format!("warning: not attached: {what}: {error}"));
                    continue;
                }
                Err(error) => return Err(error),
            }
            there.push(digest);
        }
        Ok(there)
    }

    async fn attach_one(&self, companion: &Companion) -> Result<Attached, PushError> {
        for (descriptor, source) in &companion.blobs {
            self.blob(descriptor, source, None).await?;
        }
        let subject = self.shipment.top().0.digest;
        let attach = self
            .repository
            .attach(subject, &companion.referrer, &companion.manifest);
        attach
            .await
            .map_err(|error| PushError::of_manifest(self.reference, &companion.manifest, error))
    }
}
