//! Asks the programs that keep passwords for Docker and podman.
//!
//! <https://github.com/docker/docker-credential-helpers#development>

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::credentials::{Credential, HUB, is_hub};

/// What `docker-credential-X get` prints.
#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Asks `docker-credential-NAME` for the credential of `host`.
pub(super) fn ask(name: &str, host: &str, trouble: &mut Vec<String>) -> Option<Credential> {
    let program = format!("docker-credential-{name}");
    // A name with a slash would run a file from anywhere.
    if name.contains('/') {
        trouble.push(format!("`{name}` is not the name of a credential helper"));
        return None;
    }
    let server = if is_hub(host) { HUB } else { host };
    match run(&program, server) {
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

fn run(program: &str, server: &str) -> Result<Vec<u8>, String> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input says why on its own.
        let _ = stdin.write_all(server.as_bytes());
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
