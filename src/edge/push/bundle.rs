//! Attaches a bundle to an image that is in a registry, so that who finds the image finds what it was made of.

use super::{Destination, PushError, Pushed, Shipment, push};
use crate::bundle;
use crate::edge::progress::Progress;
use crate::edge::registry::Registry;
use crate::oci::Reference;

/// Pushes a bundle into the repository of `image` and has it listed as referring to that image. No tag moves.
///
/// # Errors
/// [`PushError`], by cause; [`PushError::NoBundle`] if it is something else.
pub async fn attach(
    registry: &Registry,
    bundle: &Shipment,
    image: &Reference,
    progress: &dyn Progress,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Pushed, PushError> {
    let (_, top) = bundle.top();
    bundle::parse(top).map_err(PushError::NoBundle)?;
    let repository = registry.repository(image).map_err(PushError::at(image))?;
    let (subject, _) = registry
        .resolve(image)
        .await
        .map_err(PushError::at(image))?;
    let (referrer, manifest) = bundle::referring(top, &subject).map_err(PushError::NoBundle)?;
    let digest = referrer.descriptor.digest;
    let referring = bundle.with_top(referrer.descriptor.clone(), manifest.clone());
    let destination = Destination::new(image.at(digest), &[])?;
    let mut pushed = push(registry, &referring, &destination, progress, tell).await?;
    let attach = repository.attach(subject.digest, &referrer, &manifest);
    attach.await.map_err(PushError::at(image))?;
    tell(&format!(
        "attached the bundle to {}",
        image.at(subject.digest)
    ));
    pushed.attached = vec![digest];
    Ok(pushed)
}
