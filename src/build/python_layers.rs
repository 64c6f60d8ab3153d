//! Locked wheels become the two layers of the virtual environment.

use super::{BlobSource, BuildError, Workshop};
use crate::abreast::abreast;
use crate::layer::LayerPath;
use crate::lock::Lock;
use crate::plan::Plan;
use crate::python::tags::WheelName;
use crate::python::venv::{self, Venv, VenvSpec};
use crate::python::wheel::Wheel;
use crate::recipe::{Recipe, Stage};

/// Reads the wheels of `plan`, each as soon as it is there, and lays them out; none in the builder stage.
pub(super) fn make(
    plan: &Plan<'_>,
    recipe: &Recipe,
    lock: &Lock,
    blobs: &dyn BlobSource,
    workshop: &Workshop<'_>,
) -> Result<Option<Venv>, BuildError> {
    let Some(section) = recipe
        .python
        .as_ref()
        .filter(|_| plan.stage == Stage::Runtime)
    else {
        return Ok(None);
    };
    let weight = |locked: &&crate::lock::Wheel| locked.size.unwrap_or(u64::MAX);
    let wheels = abreast(&plan.wheels, workshop.press.threads(), weight, |locked| {
        let name: WheelName = locked.filename.parse()?;
        let blob = blobs
            .open(&locked.digest)
            .ok_or_else(|| BuildError::Missing {
                what: locked.filename.clone(),
                digest: locked.digest,
            })?;
        Ok::<_, BuildError>(Wheel::read(name, blob)?)
    })?;
    let platform = plan.platform.to_string();
    let version = lock
        .python
        .as_ref()
        .and_then(|python| python.interpreter.get(&platform));
    let version = version
        .and_then(|version| version.parse().ok())
        .ok_or(BuildError::NoInterpreter(plan.platform))?;
    let path =
        LayerPath::parse(&section.venv).map_err(|error| BuildError::Path(error.to_string()))?;
    let spec = VenvSpec {
        path,
        interpreter: format!("/usr/bin/{}", section.interpreter),
        version,
    };
    Ok(Some(venv::lay_out(&spec, &wheels)?))
}
