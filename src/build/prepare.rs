//! What of an image can be made ready before its base is at hand: packages are unpacked, wheels are read.

use std::thread;

use super::{BlobSource, BuildError, Recalled, Workshop, python_layers, rpm_layer};
use crate::lock::Lock;
use crate::plan::Plan;
use crate::python::venv::Venv;
use crate::recipe::Recipe;
use crate::rpm::payload::Unpacked;

/// What is ready to be placed.
pub struct Prepared {
    /// What need not be made again.
    pub(super) recalled: Recalled,
    /// The packages, in the order of the plan.
    pub(super) packages: Vec<Unpacked>,
    /// The virtual environment; none in the builder stage.
    pub(super) venv: Option<Venv>,
}

/// Unpacks the packages of `plan` and reads its wheels, on all cores, each as soon as `blobs` has it; not those of steps
/// that are remembered.
///
/// # Errors
/// [`BuildError`] for the first package, else the first wheel, that is not what the lock says.
pub fn prepare(
    plan: &Plan<'_>,
    recipe: &Recipe,
    lock: &Lock,
    recalled: Recalled,
    blobs: &dyn BlobSource,
    workshop: &Workshop<'_>,
) -> Result<Prepared, BuildError> {
    let (needs_packages, needs_wheels) = (recalled.needs_packages(), recalled.needs_wheels());
    thread::scope(|scope| {
        let venv = scope.spawn(move || match needs_wheels {
            true => python_layers::make(plan, recipe, lock, blobs, workshop),
            false => Ok(None),
        });
        let packages = match needs_packages {
            true => rpm_layer::unpack(plan, recipe, blobs, workshop),
            false => Ok(Vec::new()),
        };
        if packages.is_err() {
            blobs.give_up();
        }
        let venv = venv
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (packages, venv) = (packages?, venv?);
        Ok(Prepared {
            recalled,
            packages,
            venv,
        })
    })
}
