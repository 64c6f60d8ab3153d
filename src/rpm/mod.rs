//! RPM packages: metadata, solving, signatures, payloads, the database and the effects of scriptlets.

pub mod database;
pub mod effects;
pub mod entries;
pub mod evr;
pub mod file;
pub mod header;
pub mod install;
pub mod keys;
pub mod package;
pub mod payload;
pub mod release;
pub mod repodata;
pub mod repofile;
pub mod rich;
pub mod selection;
pub mod solve;
pub mod tag;
