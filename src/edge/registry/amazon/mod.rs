//! Gets passwords for ECR with the standard chain of AWS credentials, so that no credential helper is needed.
//!
//! <https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>

mod chain;
mod error;
mod host;
mod http;
mod token;

use std::time::Instant;

use aws_config::SdkConfig;
use tokio::sync::OnceCell;

pub use error::AmazonError;
pub(crate) use host::{Ecr, PrivateEcr};

use super::credentials::Credential;
use crate::edge::fetch::Transport;

/// A password for a registry.
pub(super) struct Password {
    pub(super) credential: Credential,
    /// Until when it is good.
    pub(super) expires: Instant,
}

/// Asks AWS. What the environment and the profiles say is read once.
#[derive(Default)]
pub(super) struct Amazon {
    config: OnceCell<SdkConfig>,
}

impl Amazon {
    /// Returns a new password for `ecr`.
    pub(super) async fn password(
        &self,
        transport: &Transport,
        ecr: &Ecr,
    ) -> Result<Password, AmazonError> {
        let loading = || chain::config(http::through(transport.clients().clone()), ecr.region());
        let config = self.config.get_or_init(loading).await;
        let credentials = chain::credentials(config).await?;
        token::get(transport, config, ecr, credentials).await
    }
}
