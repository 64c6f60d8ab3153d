//! The Python environment: which wheels a `uv.lock` means for a target, and the venv made of them.

mod graph;
pub mod markers;
pub mod metadata;
pub mod pyproject;
pub mod record;
pub mod scripts;
pub mod select;
pub mod stale;
pub mod tags;
pub mod uv_lock;
pub mod venv;
pub mod wheel;
pub mod zip;
