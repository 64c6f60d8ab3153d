//! Asks the programs that keep passwords for Docker and podman.
//!
//! <https://github.com/docker/docker-credential-helpers#development>

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::credentials::{Credential, HUB, is_hub};

/// What `docker-credential-X get` prints.
#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// What `docker-credential-X store` reads.
#[derive(Serialize)]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    #[serde(rename = "Username")]
    username: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

/// Asks `docker-credential-NAME` for the credential of `host`.
pub(super) fn ask(name: &str, host: &str, trouble: &mut Vec<String>) -> Option<Credential> {
    let program = program(name);
    match run(name, "get", server(host).as_bytes()) {
        Ok(answer) => match serde_json::from_slice::<HelperAnswer>(&answer) {
            Ok(answer) if answer.username.is_empty() && answer.secret.is_empty() => None,
            // How helpers mark an identity token.
            Ok(answer) if answer.username == "<token>" => Some(Credential::Identity(answer.secret)),
            Ok(answer) => Some(Credential::Password {
                user: answer.username,
                password: answer.secret,
            }),
            Err(_) => {
                trouble.push(format!("{program} printed no credential"));
                None
            }
        },
        Err(why) => {
            if !why.contains("credentials not found") {
                trouble.push(format!("{program}: {why}"));
            }
            None
        }
    }
}

/// Has `docker-credential-NAME` keep a credential.
///
/// # Errors
/// What it says.
pub(super) fn store(name: &str, host: &str, user: &str, password: &str) -> Result<(), String> {
    let stored = Stored {
        server: server(host),
        username: user,
        secret: password,
    };
    let input = serde_json::to_vec(&stored).map_err(|error| error.to_string())?;
    run(name, "store", &input).map(|_| ())
}

/// Has `docker-credential-NAME` forget the credential of `host`.
///
/// # Errors
/// What it says.
pub(super) fn erase(name: &str, host: &str) -> Result<(), String> {
    run(name, "erase", server(host).as_bytes()).map(|_| ())
}

fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Returns the name under which helpers keep the credential of `host`.
fn server(host: &str) -> &str {
    if is_hub(host) { HUB } else { host }
}

fn run(name: &str, action: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    // A name with a slash would run a file from anywhere.
    if name.contains('/') {
        return Err("that is not the name of a credential helper".to_owned());
    }
    let mut child = Command::new(program(name))
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input says why on its own.
        let _ = stdin.write_all(input);
    }
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    // Helpers print their errors on stdout.
    let said = [output.stdout, output.stderr].concat();
    let said = crate::edge::fetch::words(&said);
    Err(if said.is_empty() {
        output.status.to_string()
    } else {
        said
    })
}
