//! Re-checks the signature of every package that goes into an image, with the keys that its lock names.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::VerifyError;
use super::claim::Claim;
use crate::build::BuildError;
use crate::edge::Edges;
use crate::edge::base::{Base, BaseShop};
use crate::edge::build::EdgeBuildError;
use crate::edge::bundle::Inputs;
use crate::edge::image_source::ImageSource;
use crate::edge::locked_keys;
use crate::lock::Rpm;
use crate::plan::Plan;
use crate::rpm::file::PackageFile;
use crate::rpm::keys::{self, Key, SignatureError};

/// What the signatures come to, in words.
pub(super) async fn check(
    claim: &Claim,
    plans: &[Plan<'_>],
    inputs: Option<&Inputs>,
    edges: &Edges<'_>,
) -> Result<String, VerifyError> {
    let mut seen = BTreeSet::new();
    let packages: Vec<&Rpm> = plans
        .iter()
        .flat_map(|plan| &plan.rpms)
        .filter(|rpm| seen.insert(rpm.digest))
        .copied()
        .collect();
    if packages.is_empty() {
        return Ok("no packages".to_owned());
    }
    let keys = locked_keys(claim, plans, inputs, edges).await?;
    packages
        .par_iter()
        .try_for_each(|rpm| signed(rpm, &keys, edges))?;
    let waived = packages
        .iter()
        .filter(|rpm| rpm.signed_by.is_none())
        .count();
    let signers: BTreeSet<&str> = packages
        .iter()
        .filter_map(|rpm| rpm.signed_by.as_deref())
        .collect();
    let signers: Vec<&str> = signers.into_iter().collect();
    let mut told = format!("{} packages", packages.len() - waived);
    if !signers.is_empty() {
        told += &format!(" signed by {}", signers.join(", "));
    }
    if waived > 0 {
        told += &format!("; {waived} not signed, as the recipe allows");
    }
    Ok(told)
}

/// Checks that the package is signed by the key that signed it when it was locked.
fn signed(rpm: &Rpm, keys: &[Key], edges: &Edges<'_>) -> Result<(), VerifyError> {
    let Some(signer) = &rpm.signed_by else {
        return Ok(());
    };
    let package = || rpm.nevra();
    let missing = || {
        EdgeBuildError::Build(BuildError::Missing {
            what: package(),
            digest: rpm.digest,
        })
    };
    let blob = edges.store.get(&rpm.digest).ok_or_else(missing)?;
    let file = PackageFile::open(&blob).map_err(|error| VerifyError::Package {
        package: package(),
        error,
    })?;
    let wanted: Vec<Key> = keys
        .iter()
        .filter(|key| key.fingerprint().to_string() == *signer)
        .cloned()
        .collect();
    let checked = keys::verify_package(&wanted, file.signature(), &file.header_bytes());
    checked
        .map(|_| ())
        .map_err(|error: SignatureError| VerifyError::Signature {
            package: package(),
            error,
        })
}

/// Gets the keys: from the base, from the record, from the bundle, else where they were.
async fn locked_keys(
    claim: &Claim,
    plans: &[Plan<'_>],
    inputs: Option<&Inputs>,
    edges: &Edges<'_>,
) -> Result<Vec<Key>, VerifyError> {
    let bases = bases(claim, plans, edges).await?;
    let mut out = Vec::new();
    for key in &claim.lock.keys {
        if locked_keys::is_in_base(key) {
            // A repository of one platform may have keys that the other's base does not.
            let mut held: Vec<_> = bases
                .iter()
                .map(|base| locked_keys::from_base(key, &base.root))
                .collect();
            held.sort_by_key(Result::is_err);
            if let Some(best) = held.into_iter().next() {
                out.push(locked_keys::read(key, best?)?);
            }
            continue;
        }
        let from_bundle = match inputs {
            Some(inputs) => inputs.key(&key.fingerprint, edges).await?,
            None => None,
        };
        let bytes = match (claim.files.get(&key.source), from_bundle) {
            (Some(bytes), _) => bytes.clone(),
            (None, Some(bytes)) => bytes,
            (None, None) => {
                locked_keys::from_elsewhere(key, &claim.project.folder, edges.fetcher).await?
            }
        };
        out.push(locked_keys::read(key, &bytes)?);
    }
    Ok(out)
}

/// Returns the bases, which the rebuild has read before.
async fn bases(
    claim: &Claim,
    plans: &[Plan<'_>],
    edges: &Edges<'_>,
) -> Result<Vec<Base>, VerifyError> {
    let reference = &claim.project.recipe.base.image;
    let source = reference
        .parse::<ImageSource>()?
        .seen_from(&claim.project.folder);
    let shop = BaseShop {
        reference,
        source: &source,
        registry: edges.registry,
        store: edges.store,
        progress: edges.progress,
    };
    let mut out = Vec::new();
    for plan in plans {
        out.push(shop.load(plan.base).await?);
    }
    Ok(out)
}
