//! The Python environment: which wheels a `uv.lock` means for a target, and the venv made of them.

pub mod markers;
pub mod select;
pub mod tags;
pub mod uv_lock;
pub mod venv;
pub mod wheel;
pub mod zip;
