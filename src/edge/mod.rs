//! Everything that touches the world: network, disk, clock, environment.

mod blocking;
pub mod disk;
pub mod fetch;
pub mod image_source;
pub mod layout;
pub mod progress;
pub mod registry;
pub mod source_walk;
pub mod store;
