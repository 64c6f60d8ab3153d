//! `imgbuild login` and `imgbuild logout`: keep and forget a password where Docker and podman look for it.

use serde_json::json;

use super::Flags;
use super::account::AccountFlags;
use super::failure::Failure;
use super::terminal::Terminal;
use super::tools::{Reach, Tools};
use crate::edge::registry::{Asked, Credential, Credentials, forget, is_ecr, keep};
use crate::oci::Reference;

/// Flags of `imgbuild login`.
#[derive(clap::Args)]
pub(super) struct LoginFlags {
    /// The registry: a host, perhaps with a port. Those of Amazon ECR need no login
    registry: String,
    #[command(flatten)]
    account: AccountFlags,
}

/// Flags of `imgbuild logout`.
#[derive(clap::Args)]
pub(super) struct LogoutFlags {
    /// The registry: a host, perhaps with a port
    registry: String,
}

pub(super) fn login(flags: &LoginFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    let host = host(&flags.registry)?;
    let (registry, known) = (
        host.registry(),
        Credentials::from_environment(|name| std::env::var_os(name)),
    );
    let given = flags.account.given()?;
    let Some(Credential::Password { user, password }) = given.clone() else {
        if is_ecr(registry) {
            terminal.remark(&format!(
                "{registry} needs no login: imgbuild asks AWS for a password whenever it needs one"
            ));
            return said(registry, None, all, terminal);
        }
        return Err(Failure::usage(
            format!("there is no user for {registry}"),
            format!("imgbuild login {registry} --username NAME --password-stdin"),
        ));
    };
    let reach = Reach {
        insecure: flags.account.insecure([registry]),
        ..Reach::default()
    };
    let trying = given.map_or_else(Credentials::none, |given| {
        Credentials::none().with(registry, given)
    });
    let tools = Tools::with(all, reach, trying, terminal)?;
    let asked = tools.runtime.block_on(tools.registry.log_in(&host))?;
    let place = keep(&known, registry, &user, &password)?;
    terminal.remark(&match asked {
        Asked::Yes => format!("logged in to {registry} as {user}; the password is in {place}"),
        Asked::No => {
            format!("{registry} lets anybody in, so the password was not tried; it is in {place}")
        }
    });
    said(registry, Some(&place), all, terminal)
}

pub(super) fn logout(flags: &LogoutFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    let host = host(&flags.registry)?;
    let registry = host.registry();
    let known = Credentials::from_environment(|name| std::env::var_os(name));
    let places = forget(&known, registry)?;
    terminal.remark(&if places.is_empty() {
        format!("there was no login to {registry}")
    } else {
        format!("logged out of {registry}: {}", places.join(", "))
    });
    if all.json {
        return terminal.data(&json!({"registry": registry, "removed": places}).to_string());
    }
    Ok(())
}

fn said(
    registry: &str,
    place: Option<&str>,
    all: &Flags,
    terminal: &Terminal,
) -> Result<(), Failure> {
    if all.json {
        return terminal.data(&json!({"registry": registry, "kept": place}).to_string());
    }
    Ok(())
}

/// Reads a registry's name as a reference to some repository there.
fn host(text: &str) -> Result<Reference, Failure> {
    let name = text.strip_prefix("https://").unwrap_or(text);
    let name = name.trim_end_matches('/');
    format!("{name}/any")
        .parse()
        .ok()
        .filter(|reference: &Reference| reference.registry() == name)
        .ok_or_else(|| {
            Failure::usage(
                format!("`{text}` is not a registry"),
                "write its host, for example registry.example.com or localhost:5000",
            )
        })
}
