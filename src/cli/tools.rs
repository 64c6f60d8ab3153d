//! What flags and the user's configuration come to: a store, a fetcher, a runtime.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Flags;
use super::failure::Failure;
use super::terminal::Terminal;
use crate::edge::Edges;
use crate::edge::fetch::{FetchOptions, Fetcher, Mirror};
use crate::edge::progress::{self, Mode, Progress};
use crate::edge::registry::{Credentials, Registry};
use crate::edge::seal_secret;
use crate::edge::store::{self, Store};
use crate::edge::user_config;

/// How far the network may be used.
#[derive(Default)]
pub(super) struct Reach {
    /// Not at all.
    pub(super) offline: bool,
    /// Hosts that may have any certificate, or none.
    pub(super) insecure: BTreeSet<String>,
}

/// The edges a verb works with.
pub(super) struct Tools {
    pub(super) store: Store,
    pub(super) fetcher: Fetcher,
    pub(super) registry: Registry,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) runtime: tokio::runtime::Runtime,
}

impl Tools {
    pub(super) fn new(flags: &Flags, offline: bool, terminal: &Terminal) -> Result<Self, Failure> {
        let credentials = Credentials::from_environment(|name| std::env::var_os(name));
        let reach = Reach {
            offline,
            ..Reach::default()
        };
        Self::with(flags, reach, credentials, terminal)
    }

    /// Returns what a verb reaches the world with; `tell` gets its remarks.
    pub(super) fn edges<'a>(&'a self, tell: &'a (dyn Fn(&str) + Sync)) -> Edges<'a> {
        Edges {
            store: &self.store,
            fetcher: &self.fetcher,
            registry: &self.registry,
            progress: &*self.progress,
            tell,
        }
    }

    /// The same with other credentials than the environment's, and another reach.
    pub(super) fn with(
        flags: &Flags,
        reach: Reach,
        credentials: Credentials,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let config = match user_config::path(|name| std::env::var_os(name)) {
            Some(path) => user_config::read(&path)?,
            None => user_config::UserConfig::default(),
        };
        let cache = match flags.cache_dir.clone().or(config.cache_dir) {
            Some(folder) => folder,
            None => store::cache_dir(|name| std::env::var_os(name))?,
        };
        // Flags first: where two mirrors fit equally, the one on the command line wins.
        let mirrors = flags.mirror.iter().chain(&config.mirror);
        let mirrors = mirrors.map(|text| text.parse::<Mirror>()).collect::<Result<Vec<_>, _>>().map_err(|error| {
            Failure::usage(error.to_string(), "write for example `--mirror https://cdn.example.com/=https://mirror.internal/`")
        })?;
        let options = FetchOptions {
            mirrors,
            offline: reach.offline,
            insecure_hosts: reach.insecure,
            ca_file: flags.ca_file.clone().or(config.ca_file),
            ..FetchOptions::default()
        };
        let mode = if terminal.is_quiet() {
            Mode::None
        } else {
            flags.progress
        };
        let fetcher = Fetcher::new(options)?;
        let secret = seal_secret::path(|name| std::env::var_os(name));
        let secret = seal_secret::get(secret.as_deref());
        Ok(Self {
            store: Store::open(&cache)?.sealed_with(secret),
            registry: Registry::new(fetcher.clone(), credentials),
            fetcher,
            progress: progress::show(mode, terminal.draws()),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(|error| {
                    Failure::usage(
                        format!("cannot start threads: {error}"),
                        "check `ulimit -u`",
                    )
                })?,
        })
    }
}
