//! Recipe and lock become what to fetch and which layers to make.

use crate::diagnose::{Class, Diagnose};
use crate::lock::{BasePlatform, Erased, Lock, Rpm, Wheel};
use crate::oci::{Digest, Platform};
use crate::recipe::{Recipe, Stage};

/// What one image is made of.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// What it runs on.
    pub platform: Platform,
    /// Which stage it is.
    pub stage: Stage,
    /// The base.
    pub base: &'a BasePlatform,
    /// The RPMs, in the order in which they are installed: that of the lock.
    pub rpms: Vec<&'a Rpm>,
    /// The packages of the base that go.
    pub erased: Vec<&'a Erased>,
    /// The wheels; none in the builder stage.
    pub wheels: Vec<&'a Wheel>,
}

/// A locked input that is fetched by URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// For messages.
    pub what: String,
    /// Where it is.
    pub url: String,
    /// SHA-256.
    pub digest: Digest,
    /// Bytes, if known.
    pub size: Option<u64>,
}

/// A platform that the lock does not cover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{platform} is not among the locked platforms: {known}")]
pub struct PlanError {
    platform: Platform,
    known: String,
}

impl Diagnose for PlanError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(format!(
            "add \"{}\" to image.platforms in the recipe and run `imgbuild lock`",
            self.platform
        ))
    }
}

/// Returns the platforms to build of those `asked` for, or all if none is: each once, in the order of the recipe, as the
/// order of an index is part of its digest.
#[must_use]
pub fn choose(recipe: &Recipe, asked: &[Platform]) -> Vec<Platform> {
    let declared = &recipe.image.platforms;
    if asked.is_empty() {
        return declared.clone();
    }
    let mut out: Vec<Platform> = Vec::new();
    let known = declared.iter().filter(|platform| asked.contains(platform));
    // Those that the recipe does not know come last, to be refused by name.
    for &platform in known.chain(asked) {
        if !out.contains(&platform) {
            out.push(platform);
        }
    }
    out
}

/// Plans the image of `stage` for each of `platforms`.
///
/// # Errors
/// [`PlanError`] if the lock does not cover a platform.
pub fn plan<'a>(
    recipe: &Recipe,
    lock: &'a Lock,
    platforms: &[Platform],
    stage: Stage,
) -> Result<Vec<Plan<'a>>, PlanError> {
    let with_python = stage == Stage::Runtime && recipe.python.is_some();
    platforms
        .iter()
        .map(|&platform| {
            let base = lock.base_of(platform).ok_or_else(|| PlanError {
                platform,
                known: lock
                    .base
                    .platforms
                    .iter()
                    .map(|base| base.platform.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            })?;
            Ok(Plan {
                platform,
                stage,
                base,
                rpms: lock
                    .rpms
                    .iter()
                    .filter(|rpm| rpm.is_in(platform, stage))
                    .collect(),
                erased: lock
                    .erased
                    .iter()
                    .filter(|erased| erased.is_in(platform, stage))
                    .collect(),
                wheels: lock
                    .wheels
                    .iter()
                    .filter(|wheel| with_python && wheel.platforms.contains(&platform))
                    .collect(),
            })
        })
        .collect()
}

impl Plan<'_> {
    /// Returns all inputs to fetch by URL: packages, then wheels.
    #[must_use]
    pub fn inputs(&self) -> Vec<Input> {
        let mut inputs = self.packages();
        inputs.extend(self.wheels());
        inputs
    }

    /// Returns the packages, to be fetched by URL; the base's blobs come from its registry.
    #[must_use]
    pub fn packages(&self) -> Vec<Input> {
        let rpms = self.rpms.iter().map(|rpm| Input {
            what: format!("{}.rpm", rpm.nevra()),
            url: rpm.url.clone(),
            digest: rpm.digest,
            size: Some(rpm.size),
        });
        rpms.collect()
    }

    /// Returns the wheels, to be fetched by URL.
    #[must_use]
    pub fn wheels(&self) -> Vec<Input> {
        let wheels = self.wheels.iter().map(|wheel| Input {
            what: wheel.filename.clone(),
            url: wheel.url.clone(),
            digest: wheel.digest,
            size: wheel.size,
        });
        wheels.collect()
    }

    /// Returns the digest of everything that a build of it reads, the base's blobs included.
    pub fn needed(&self) -> impl Iterator<Item = Digest> {
        let layers = self.base.layers.iter().map(|layer| layer.digest);
        let rpms = self.rpms.iter().map(|rpm| rpm.digest);
        let wheels = self.wheels.iter().map(|wheel| wheel.digest);
        std::iter::once(self.base.config.digest)
            .chain(layers)
            .chain(rpms)
            .chain(wheels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_built_once_and_in_the_order_of_the_recipe_however_they_are_asked_for() {
        let text = "[image]\nname = \"a\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n[base]\nimage = \"b\"\n";
        let recipe = Recipe::parse(text).expect("valid");
        let [amd, arm] = ["linux/amd64", "linux/arm64"].map(|p| p.parse().expect("supported"));
        assert_eq!(choose(&recipe, &[]), [amd, arm]);
        assert_eq!(choose(&recipe, &[arm, amd, arm]), [amd, arm]);
        assert_eq!(choose(&recipe, &[arm]), [arm]);
    }
}
