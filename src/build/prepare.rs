//! What of an image can be made ready before its base is at hand: packages are unpacked, wheels are read.

use std::thread;

use super::{BlobSource, BuildError, Workshop, python_layers, rpm_layer};
use crate::lock::Lock;
use crate::plan::Plan;
use crate::python::venv::Venv;
use crate::recipe::Recipe;
use crate::rpm::payload::Unpacked;

/// What is ready to be placed.
pub struct Prepared {
    /// The packages, in the order of the plan.
    pub(super) packages: Vec<Unpacked>,
    /// The virtual environment; none in the builder stage.
    pub(super) venv: Option<Venv>,
}

/// Unpacks the packages of `plan` and reads its wheels, on all cores, each as soon as `blobs` has it.
///
/// # Errors
/// [`BuildError`] for the first package, else the first wheel, that is not what the lock says.
pub fn prepare(
    plan: &Plan<'_>,
    recipe: &Recipe,
    lock: &Lock,
    blobs: &dyn BlobSource,
    workshop: &Workshop<'_>,
) -> Result<Prepared, BuildError> {
    thread::scope(|scope| {
        let venv = scope.spawn(|| python_layers::make(plan, recipe, lock, blobs, workshop));
        let packages = rpm_layer::unpack(plan, recipe, blobs, workshop);
        if packages.is_err() {
            blobs.give_up();
        }
        let venv = venv
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Prepared {
            packages: packages?,
            venv: venv?,
        })
    })
}
