//! The `config` object of an image config: how its containers start.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/config.md#properties>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Settings;
use crate::recipe::{ArgError, HealthCommand, Healthcheck};

/// Why it cannot be set.
pub(super) enum RunError {
    Args(ArgError),
    Malformed(&'static str),
}

impl From<ArgError> for RunError {
    fn from(error: ArgError) -> Self {
        Self::Args(error)
    }
}

/// Sets what the recipe says; everything else keeps the base's value.
pub(super) fn set_run(
    run: &mut Map<String, Value>,
    settings: &Settings<'_>,
) -> Result<(), RunError> {
    let Settings {
        config, user, args, ..
    } = *settings;
    let mut env = base_env(run).ok_or(RunError::Malformed("config.Env"))?;
    let lookup = {
        let env: BTreeMap<String, String> = env.iter().cloned().collect();
        move |name: &str| env.get(name).cloned()
    };
    let expand = |key: &str, text: &str| args.expand(key, text, &lookup);
    let all = |key: &str, texts: &[String]| {
        texts
            .iter()
            .map(|text| expand(key, text))
            .collect::<Result<Vec<_>, _>>()
    };

    // The base's variables keep their places; new ones follow, sorted.
    for (name, value) in &config.env {
        let value = expand(&format!("config.env.{name}"), value)?;
        match env.iter_mut().find(|(present, _)| present == name) {
            Some((_, present)) => *present = value,
            None => env.push((name.clone(), value)),
        }
    }
    if !env.is_empty() {
        let env: Vec<String> = env
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        run.insert("Env".to_owned(), env.into());
    }
    if let Some(entrypoint) = &config.entrypoint {
        run.insert(
            "Entrypoint".to_owned(),
            all("config.entrypoint", entrypoint)?.into(),
        );
        // As with a Dockerfile's ENTRYPOINT: the base's arguments were meant for the base's program.
        run.remove("Cmd");
    }
    if let Some(cmd) = &config.cmd {
        run.insert("Cmd".to_owned(), all("config.cmd", cmd)?.into());
    }
    if let Some(workdir) = &config.workdir {
        run.insert(
            "WorkingDir".to_owned(),
            expand("config.workdir", workdir)?.into(),
        );
    }
    if let Some(user) = user {
        // Numbers, so that Kubernetes' runAsNonRoot can tell; the names are in /etc/passwd.
        run.insert(
            "User".to_owned(),
            format!("{}:{}", user.uid, user.group_id()).into(),
        );
    }
    if let Some(signal) = &config.stop_signal {
        run.insert("StopSignal".to_owned(), signal.clone().into());
    }
    if !config.expose.is_empty() {
        let ports = run.entry("ExposedPorts").or_insert_with(|| json!({}));
        // Programs in Go write null for what is empty.
        if ports.is_null() {
            *ports = json!({});
        }
        let ports = ports
            .as_object_mut()
            .ok_or(RunError::Malformed("config.ExposedPorts"))?;
        for port in &config.expose {
            let port = if port.contains('/') {
                port.clone()
            } else {
                format!("{port}/tcp")
            };
            ports.insert(port, json!({}));
        }
    }
    if !config.labels.is_empty() {
        let labels = run.entry("Labels").or_insert_with(|| json!({}));
        if labels.is_null() {
            *labels = json!({});
        }
        let labels = labels
            .as_object_mut()
            .ok_or(RunError::Malformed("config.Labels"))?;
        for (name, value) in &config.labels {
            labels.insert(
                name.clone(),
                expand(&format!("config.labels.{name}"), value)?.into(),
            );
        }
    }
    if let Some(check) = &config.healthcheck {
        run.insert("Healthcheck".to_owned(), healthcheck(check));
    }
    Ok(())
}

/// Returns the base's environment in order.
fn base_env(run: &Map<String, Value>) -> Option<Vec<(String, String)>> {
    let Some(env) = run.get("Env").filter(|env| !env.is_null()) else {
        return Some(Vec::new());
    };
    env.as_array()?
        .iter()
        .map(|entry| {
            let (name, value) = entry.as_str()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Docker's field, which the OCI specification reserves and oci-spec's types drop.
///
/// <https://github.com/moby/docker-image-spec/blob/main/spec.md>
fn healthcheck(check: &Healthcheck) -> Value {
    let test = match &check.cmd {
        HealthCommand::Shell(command) => vec!["CMD-SHELL".to_owned(), command.clone()],
        HealthCommand::Exec(command) => std::iter::once("CMD".to_owned())
            .chain(command.iter().cloned())
            .collect(),
    };
    let mut fields = Map::from_iter([("Test".to_owned(), Value::from(test))]);
    for (name, duration) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
    ] {
        if let Some(duration) = duration {
            fields.insert(name.to_owned(), duration.nanoseconds().into());
        }
    }
    if let Some(retries) = check.retries {
        fields.insert("Retries".to_owned(), retries.into());
    }
    Value::Object(fields)
}
