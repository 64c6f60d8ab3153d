//! Who one is to a registry, and how far it is trusted: flags of every verb that writes to one.

use std::collections::BTreeSet;
use std::io::Read as _;

use super::failure::Failure;
use crate::edge::registry::{Credential, Credentials};

/// Flags that say who one is to a registry.
#[derive(clap::Args)]
pub(super) struct AccountFlags {
    /// The user to log in as; files, credential helpers and AWS are then not asked
    #[arg(long, value_name = "NAME", env = "IMGBUILD_USERNAME")]
    username: Option<String>,
    /// Read the password from standard input; otherwise it is taken from IMGBUILD_PASSWORD
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Take any certificate from the registry, or plain http; passwords are then sent too
    #[arg(long)]
    insecure: bool,
}

impl AccountFlags {
    /// Returns the credentials for `host`: of flags, else of the environment, files and AWS.
    pub(super) fn credentials(&self, host: &str) -> Result<Credentials, Failure> {
        let known = Credentials::from_environment(|name| std::env::var_os(name));
        Ok(match self.given()? {
            Some(given) => known.with(host, given),
            None => known,
        })
    }

    /// Returns `hosts` if their certificates are not to be looked at.
    pub(super) fn insecure<'a>(
        &self,
        hosts: impl IntoIterator<Item = &'a str>,
    ) -> BTreeSet<String> {
        let hosts = hosts.into_iter().filter(|_| self.insecure);
        hosts.map(str::to_owned).collect()
    }

    /// Returns the credential of flags and their variables, if there is one.
    pub(super) fn given(&self) -> Result<Option<Credential>, Failure> {
        let Some(user) = self.username.clone().filter(|user| !user.is_empty()) else {
            return Ok(None);
        };
        let password = if self.password_stdin {
            let mut password = String::new();
            std::io::stdin()
                .read_to_string(&mut password)
                .map_err(|error| {
                    Failure::usage(
                        format!("cannot read the password from standard input: {error}"),
                        "pipe it in, for example from `aws ecr get-login-password`",
                    )
                })?;
            password.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            std::env::var("IMGBUILD_PASSWORD").unwrap_or_default()
        };
        if password.is_empty() {
            return Err(Failure::usage(
                format!("there is no password for {user}"),
                "pipe it in with --password-stdin, or set IMGBUILD_PASSWORD",
            ));
        }
        Ok(Some(Credential::Password { user, password }))
    }
}
