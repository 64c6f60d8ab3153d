//! Base, layers and configuration become the manifest and config of an image.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::diagnose::{Class, Diagnose};
use crate::layer::write::Layer;
use crate::oci::{Descriptor, Digest, Platform, json as canonical, media_type};
use crate::recipe::{ArgError, Args, ConfigSection, HealthCommand, Healthcheck, UserSection};

/// The image that new layers go on top of.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// The reference as the recipe writes it.
    pub reference: String,
    /// The digest of its manifest for this platform.
    pub manifest: Digest,
    /// Its config, as parsed: fields that imgbuild does not know are kept.
    pub config: Map<String, Value>,
    /// Its layers, lowest first, byte for byte.
    pub layers: Vec<Descriptor>,
}

/// A new layer and how it reads in the image's history.
#[derive(Clone, Debug)]
pub struct NewLayer {
    /// What was written.
    pub layer: Layer,
    /// One line for `docker history`.
    pub created_by: String,
}

/// What of the recipe becomes configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The image's name.
    pub name: &'a str,
    /// `[config]`.
    pub config: &'a ConfigSection,
    /// `[user]`.
    pub user: Option<&'a UserSection>,
    /// Build arguments.
    pub args: &'a Args,
    /// Creation time, seconds since 1970 UTC.
    pub epoch: i64,
}

/// An image: two documents and the blobs they name.
#[derive(Clone, Debug)]
pub struct Image {
    /// What it runs on.
    pub platform: Platform,
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The config's descriptor.
    pub config_descriptor: Descriptor,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// All layers, the base's first.
    pub layers: Vec<Descriptor>,
}

/// Why an image cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// A `${NAME}` that nobody knows.
    #[error(transparent)]
    Args(#[from] ArgError),
    /// The base's config is not what the specification asks for.
    #[error("base `{base}`: its config has a malformed `{field}`")]
    BaseConfig {
        /// The base's reference.
        base: String,
        /// The field.
        field: &'static str,
    },
    /// The base's layers and diff_ids do not pair up.
    #[error("base `{base}`: {layers} layers but {diff_ids} diff_ids")]
    BaseLayers {
        /// The base's reference.
        base: String,
        /// Layers in its manifest.
        layers: usize,
        /// Entries of `rootfs.diff_ids`.
        diff_ids: usize,
    },
}

impl Diagnose for ImageError {
    fn class(&self) -> Class {
        match self {
            Self::Args(error) => error.class(),
            _ => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Args(error) => error.hint(),
            _ => None,
        }
    }
}

/// Puts an image together: base layers and base history pass through, one history entry per new layer.
///
/// # Errors
/// [`ImageError`] for a malformed base config and for values that cannot be expanded.
pub fn assemble(
    platform: Platform,
    base: &BaseImage,
    layers: &[NewLayer],
    settings: &Settings<'_>,
) -> Result<Image, ImageError> {
    let created = rfc3339(settings.epoch);
    let config = config_of(base, layers, settings, &created)?;
    let config_bytes = canonical::canonical(&Value::Object(config.clone()));
    let config_descriptor = Descriptor::of(media_type::CONFIG, &config_bytes);

    let mut descriptors: Vec<Descriptor> = base.layers.iter().map(in_oci_terms).collect();
    descriptors.extend(layers.iter().map(|new| Descriptor {
        media_type: new.layer.media_type.to_owned(),
        digest: new.layer.digest,
        size: new.layer.size,
        annotations: BTreeMap::new(),
        platform: None,
    }));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "config": config_descriptor,
        "layers": descriptors,
        "annotations": annotations(base, &config, settings, &created),
    });
    let manifest = canonical::canonical(&manifest);
    let mut descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
    descriptor.platform = Some(platform.into());
    Ok(Image {
        platform,
        descriptor,
        manifest,
        config_descriptor,
        config: config_bytes,
        layers: descriptors,
    })
}

/// Returns the bytes of an index over `images`, in the order given, and its descriptor.
#[must_use]
pub fn index(images: &[Image]) -> (Descriptor, Vec<u8>) {
    let entries: Vec<&Descriptor> = images.iter().map(|image| &image.descriptor).collect();
    let bytes = canonical::canonical(&json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "manifests": entries,
    }));
    (Descriptor::of(media_type::INDEX, &bytes), bytes)
}

/// A base layer under its OCI media type; the bytes, digest and size are the same.
fn in_oci_terms(layer: &Descriptor) -> Descriptor {
    let media_type = match layer.media_type.as_str() {
        media_type::DOCKER_LAYER_GZIP => media_type::LAYER_GZIP,
        other => other,
    };
    Descriptor {
        media_type: media_type.to_owned(),
        platform: None,
        ..layer.clone()
    }
}

fn config_of(
    base: &BaseImage,
    layers: &[NewLayer],
    settings: &Settings<'_>,
    created: &str,
) -> Result<Map<String, Value>, ImageError> {
    let malformed = |field| ImageError::BaseConfig {
        base: base.reference.clone(),
        field,
    };
    let mut config = base.config.clone();

    let diff_ids = config
        .entry("rootfs")
        .or_insert_with(|| json!({"type": "layers", "diff_ids": []}))
        .get_mut("diff_ids")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| malformed("rootfs.diff_ids"))?;
    if diff_ids.len() != base.layers.len() {
        let (layers, diff_ids) = (base.layers.len(), diff_ids.len());
        return Err(ImageError::BaseLayers {
            base: base.reference.clone(),
            layers,
            diff_ids,
        });
    }
    diff_ids.extend(
        layers
            .iter()
            .map(|new| new.layer.diff_id.to_string().into()),
    );

    let history = config.entry("history").or_insert_with(|| json!([]));
    let history = history.as_array_mut().ok_or_else(|| malformed("history"))?;
    history.extend(
        layers
            .iter()
            .map(|new| json!({"created": created, "created_by": new.created_by})),
    );
    let ends_empty = !settings.config.env.is_empty() || settings.config.cmd.is_some();
    if ends_empty {
        history.push(json!({"created": created, "created_by": "imgbuild: configuration", "empty_layer": true}));
    }

    let run = config.entry("config").or_insert_with(|| json!({}));
    if run.is_null() {
        *run = json!({});
    }
    let run = run.as_object_mut().ok_or_else(|| malformed("config"))?;
    set_run(run, settings).map_err(|error| match error {
        RunError::Args(error) => ImageError::Args(error),
        RunError::Malformed(field) => malformed(field),
    })?;
    config.insert("created".to_owned(), created.into());
    Ok(config)
}

enum RunError {
    Args(ArgError),
    Malformed(&'static str),
}

impl From<ArgError> for RunError {
    fn from(error: ArgError) -> Self {
        Self::Args(error)
    }
}

/// Sets what the recipe says; everything else keeps the base's value.
fn set_run(run: &mut Map<String, Value>, settings: &Settings<'_>) -> Result<(), RunError> {
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

/// Standard annotations; those the recipe gives as labels are repeated, as they describe the image too.
///
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
fn annotations(
    base: &BaseImage,
    config: &Map<String, Value>,
    settings: &Settings<'_>,
    created: &str,
) -> BTreeMap<String, String> {
    const PREFIX: &str = "org.opencontainers.image.";
    let labels = config
        .get("config")
        .and_then(|run| run.get("Labels"))
        .and_then(Value::as_object);
    let mut out: BTreeMap<String, String> = settings
        .config
        .labels
        .keys()
        .filter(|name| name.starts_with(PREFIX))
        .filter_map(|name| Some((name.clone(), labels?.get(name)?.as_str()?.to_owned())))
        .collect();
    let title = format!("{PREFIX}title");
    out.entry(title).or_insert_with(|| settings.name.to_owned());
    out.insert(format!("{PREFIX}created"), created.to_owned());
    out.insert(format!("{PREFIX}base.name"), base.reference.clone());
    out.insert(format!("{PREFIX}base.digest"), base.manifest.to_string());
    out
}

/// Returns seconds since 1970 UTC in the form of RFC 3339.
#[must_use]
pub fn rfc3339(epoch: i64) -> String {
    // Days to a civil date: Howard Hinnant's algorithm, https://howardhinnant.github.io/date_algorithms.html
    let (days, seconds) = (epoch.div_euclid(86_400), epoch.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads the form of RFC 3339 that image configs use, to whole seconds since 1970 UTC.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let zone = text
        .get(19..)?
        .trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60)
        }
    };
    let (shifted_year, shifted_month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::node::MADE_MTIME;

    #[test]
    fn times_are_written_and_read_as_the_specification_asks() {
        for (epoch, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (MADE_MTIME, "2000-01-01T00:00:00Z"),
            (1_788_134_399, "2026-08-30T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(epoch), text);
            assert_eq!(parse_rfc3339(text), Some(epoch));
        }
        assert_eq!(
            parse_rfc3339("2000-01-01T01:00:00.123456789+01:00"),
            Some(MADE_MTIME)
        );
        for text in [
            "",
            "yesterday",
            "2000-01-01",
            "2000-01-01T01:00:00",
            "2000-01-01T01:00:00é",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    fn base() -> BaseImage {
        let config = json!({
            "architecture": "amd64", "os": "linux", "x-unknown": {"kept": true},
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/bash"]},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"base").to_string()]},
            "history": [{"created_by": "base"}],
        });
        let Value::Object(config) = config else {
            unreachable!("written as an object")
        };
        let layer = Descriptor::of(media_type::DOCKER_LAYER_GZIP, b"base layer");
        BaseImage {
            reference: "r.io/base:1".to_owned(),
            manifest: Digest::of(b"m"),
            config,
            layers: vec![layer],
        }
    }

    #[test]
    fn the_base_passes_through_and_the_recipe_is_added() {
        let section: ConfigSection = toml::from_str(
            r#"
            env = { PATH = "/app/bin:$PATH", A = "1" }
            cmd = ["python"]
            expose = ["5000"]
            labels = { "org.opencontainers.image.version" = "1" }
            healthcheck = { cmd = "curl x", interval = "30s", retries = 3 }
            "#,
        )
        .expect("a valid section");
        let args = Args::default();
        let settings = Settings {
            name: "app",
            config: &section,
            user: None,
            args: &args,
            epoch: 0,
        };
        let platform = "linux/amd64".parse().expect("supported");
        let image = assemble(platform, &base(), &[], &settings).expect("assembles");
        let config: Value = serde_json::from_slice(&image.config).expect("JSON");
        assert_eq!(config["x-unknown"]["kept"], true);
        assert_eq!(
            config["config"]["Env"],
            json!(["PATH=/app/bin:/usr/bin:/bin", "A=1"])
        );
        assert_eq!(config["config"]["Cmd"], json!(["python"]));
        assert_eq!(
            config["config"]["Healthcheck"]["Interval"],
            30_000_000_000_u64
        );
        assert_eq!(config["config"]["ExposedPorts"], json!({"5000/tcp": {}}));
        assert_eq!(config["history"][0], json!({"created_by": "base"}));
        let manifest: Value = serde_json::from_slice(&image.manifest).expect("JSON");
        assert_eq!(manifest["layers"][0]["mediaType"], media_type::LAYER_GZIP);
        assert_eq!(
            manifest["annotations"]["org.opencontainers.image.base.name"],
            "r.io/base:1"
        );
        assert_eq!(
            manifest["annotations"]["org.opencontainers.image.version"],
            "1"
        );
    }

    #[test]
    fn a_base_whose_layers_and_diff_ids_do_not_pair_up_is_refused() {
        let mut base = base();
        base.layers.clear();
        let (section, args) = (ConfigSection::default(), Args::default());
        let settings = Settings {
            name: "app",
            config: &section,
            user: None,
            args: &args,
            epoch: 0,
        };
        let platform = "linux/amd64".parse().expect("supported");
        assert!(matches!(
            assemble(platform, &base, &[], &settings),
            Err(ImageError::BaseLayers { .. })
        ));
    }
}
