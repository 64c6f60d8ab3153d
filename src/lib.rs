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
//! | [`oci`] | digests, descriptors, references, documents, canonical JSON | no |
//! | [`layer`] | paths, nodes, trees, tar, compression | no |
//! | [`rpm`] | repodata, solving, headers, payloads, the database, effects | no |
//! | [`python`] | `uv.lock`, markers, tags, wheels, the venv | no |
//! | [`accounts`], [`source`], [`root`] | users, the source tree, a base's merged root | no |
//! | [`recipe`], [`lock`], [`lock_diff`] | what a person writes, what is pinned, what moved | no |
//! | [`plan`], [`build`], [`image`] | inputs and layers, an image from them, its documents | no |
//! | `abreast` | the same with many things, several at once | no |
//! | [`bundle`] | every input of a lock as one OCI artifact | no |
//! | [`provenance`] | what rebuilding an image needs, as an artifact that refers to it | no |
//! | [`diff`] | two images: at which level they are the same, and what differs | no |
//! | [`verify`] | what verifying an image came to, and the verdict | no |
//! | [`inspect`] | what an image is and whose its bytes are | no |
//! | [`diagnose`] | what an error means: exit code and hint | no |
//! | [`edge`] | network, disk, clock, environment | yes |
//! | [`cli`] | one file per verb: flags in, one call, output | yes |
//!
//! Arrows point one way: `oci` ← `layer` ← `rpm`, `python`, … ← `plan`, `build`, `diff` ← `edge` ← `cli` ← `main`.

mod abreast;
pub mod accounts;
pub mod build;
pub mod bundle;
pub mod cli;
pub mod diagnose;
pub mod diff;
pub mod edge;
pub mod image;
pub mod inspect;
pub mod layer;
pub mod lock;
pub mod lock_diff;
pub mod oci;
pub mod plan;
pub mod provenance;
pub mod python;
pub mod recipe;
pub mod root;
pub mod rpm;
pub mod source;
pub mod verify;
