//! Locked wheels become the two layers of the virtual environment.

use super::{BuildError, Materials};
use crate::layer::LayerPath;
use crate::plan::Plan;
use crate::python::tags::WheelName;
use crate::python::venv::{self, Venv, VenvSpec};
use crate::python::wheel::Wheel;
use crate::recipe::PythonSection;

/// Lays out the wheels of `plan`.
pub(super) fn make(
    plan: &Plan<'_>,
    materials: &Materials<'_>,
    section: &PythonSection,
) -> Result<Venv, BuildError> {
    let mut wheels = Vec::new();
    for locked in &plan.wheels {
        let name: WheelName = locked.filename.parse()?;
        let blob = materials
            .blobs
            .open(&locked.digest)
            .ok_or_else(|| BuildError::Missing {
                what: locked.filename.clone(),
                digest: locked.digest,
            })?;
        wheels.push(Wheel::read(name, blob)?);
    }
    let platform = plan.platform.to_string();
    let version = materials
        .lock
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
    Ok(venv::lay_out(&spec, &wheels)?)
}
