//! imgbuild builds OCI images bit for bit from a recipe and a lock.
//!
//! ```text
//! recipe.toml ─ parse ─▶ Recipe ┐
//!                               ├─ plan ─▶ Plan ─ fetch ─▶ store ─ build ─▶ Image ─▶ layout | registry
//! recipe.lock ─ parse ─▶ Lock ──┘
//!      ▲
//!      └── lock (the only verb that resolves anything)
//! ```
//!
//! | module | is | touches the world |
//! |---|---|---|
//! | [`oci`] | digests, descriptors, references, documents | no |
//! | [`layer`] | paths, nodes, trees, tar, compression | no |
//! | [`rpm`] | repodata, solving, headers, payloads, the database, effects | no |
//! | [`python`] | `uv.lock`, markers, tags, wheels, the venv | no |
//! | [`edge`] | network, disk, clock, environment | yes |

pub mod accounts;
pub mod build;
pub mod cli;
pub mod diagnose;
pub mod edge;
pub mod image;
pub mod layer;
pub mod lock;
pub mod lock_diff;
pub mod oci;
pub mod plan;
pub mod python;
pub mod recipe;
pub mod root;
pub mod rpm;
pub mod source;
