//! Everything that touches the world: network, disk, clock, environment.

pub mod base;
mod blocking;
pub mod build;
pub mod bundle;
pub mod copy;
pub mod diff_files;
pub mod disk;
pub mod fetch;
pub mod image_source;
pub mod inspect;
mod kept_layers;
pub mod layout;
pub mod locked_keys;
pub mod progress;
pub mod project;
pub mod provenance;
pub mod push;
pub mod registry;
pub mod resolve;
pub mod revision;
pub mod seal_secret;
pub mod source_walk;
pub mod store;
pub mod subject;
mod supply;
pub mod tag;
pub mod user_config;
pub mod verify;

use fetch::Fetcher;
use progress::Progress;
use registry::Registry;
use store::Store;

/// What a verb reaches the world with.
pub struct Edges<'a> {
    /// Keeps inputs and layers.
    pub store: &'a Store,
    /// Gets inputs by URL.
    pub fetcher: &'a Fetcher,
    /// Asks registries.
    pub registry: &'a Registry,
    /// Is told of transfers.
    pub progress: &'a dyn Progress,
    /// Is told of choices and of finished layers.
    pub tell: &'a (dyn Fn(&str) + Sync),
}
