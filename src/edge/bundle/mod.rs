//! Bundles: collects every locked input into one layout, and takes inputs out of such a layout, archive or registry.

mod collect;
mod error;
mod inputs;

pub use collect::{Collected, collect};
pub use error::BundleError;
pub use inputs::Inputs;
