//! Everything that touches the world: network, disk, clock, environment.

pub mod base;
mod blocking;
pub mod build;
pub mod disk;
pub mod fetch;
pub mod image_source;
pub mod layout;
pub mod progress;
pub mod project;
pub mod push;
pub mod registry;
pub mod resolve;
pub mod seal_secret;
pub mod source_walk;
pub mod store;
pub mod tag;
pub mod user_config;
