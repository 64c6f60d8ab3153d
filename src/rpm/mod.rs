//! RPM packages: metadata, solving, signatures, payloads, the database and the effects of scriptlets.

pub mod database;
pub mod effects;
pub mod evr;
pub mod header;
pub mod install;
pub mod keys;
pub mod package;
pub mod payload;
pub mod repodata;
pub mod repofile;
pub mod rich;
pub mod solve;
pub mod tag;
