//! Logs in and out: checks a password with the registry, and keeps it where Docker and podman look for it.

use std::fs::{self, DirBuilder};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::client::Registry;
use super::credentials::{Credentials, HUB, is_hub, key_host};
use super::error::RegistryError;
use super::helper;
use crate::diagnose::{Class, Diagnose};
use crate::edge::disk::DiskError;
use crate::edge::fetch::Request;
use crate::oci::Reference;

/// Why a password could not be kept or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// There is no file to keep it in.
    #[error(
        "there is no place for passwords: neither HOME nor DOCKER_CONFIG nor REGISTRY_AUTH_FILE is set"
    )]
    NoFile,
    /// The file is not what it should be, and is left as it is.
    #[error("{} is malformed at line {line}, column {column}; it is left as it is", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The file is JSON and not an object of objects.
    #[error("{}: `{key}` is not a JSON object; it is left as it is", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is none.
        key: &'static str,
    },
    /// The credential helper failed.
    #[error("docker-credential-{name}: {why}")]
    Helper {
        /// Its name.
        name: String,
        /// What it said.
        why: String,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Diagnose for LoginError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoFile => {
                Some("name the file: REGISTRY_AUTH_FILE=~/.docker/config.json".to_owned())
            }
            Self::Helper { .. } => {
                Some("see `credsStore` and `credHelpers` in Docker's config.json".to_owned())
            }
            Self::Disk(error) => error.hint(),
            Self::Malformed { .. } | Self::Shape { .. } => None,
        }
    }
}

/// Whether a registry asked who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It did, and took the answer.
    Yes,
    /// It lets anybody in, so nothing is known of the password.
    No,
}

impl Registry {
    /// Asks a registry whether it takes the credentials that are known for it.
    ///
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support>
    ///
    /// # Errors
    /// [`RegistryError`], by cause; of `host`, any repository.
    pub async fn log_in(&self, host: &Reference) -> Result<Asked, RegistryError> {
        let place = self.own_place(host, host.registry().to_owned())?;
        let transport = self.transport(&place, &place.base)?;
        let request = Request::get(place.base.clone());
        self.ask(transport, &place, &request).await?;
        Ok(match self.auth.known(transport, &place).await? {
            Some(_) => Asked::Yes,
            None => Asked::No,
        })
    }
}

/// Keeps a user's password for `host`: with the helper that is set up, else in the file that has an entry for it
/// already, else in Docker's. Returns where.
///
/// # Errors
/// [`LoginError`]; the file is then as it was.
pub fn keep(
    credentials: &Credentials,
    host: &str,
    user: &str,
    password: &str,
) -> Result<String, LoginError> {
    let mut chosen = None;
    for path in credentials.files() {
        let file = read(path)?;
        let is_last = credentials.files().last() == Some(path);
        if is_last || entry(&file, host).is_some() || helper_of(&file, host).is_some() {
            chosen = Some((path, file));
            break;
        }
    }
    let (path, mut file) = chosen.ok_or(LoginError::NoFile)?;
    let name = if is_hub(host) { HUB } else { host };
    let key = entry(&file, host).unwrap_or_else(|| name.to_owned());
    let (kept, place) = match helper_of(&file, host) {
        Some(helper) => {
            helper::store(&helper, host, user, password).map_err(|why| failed(&helper, why))?;
            // As Docker does, so that it is known who has been logged in to.
            (json!({}), format!("docker-credential-{helper}"))
        }
        None => {
            let auth = BASE64.encode(format!("{user}:{password}"));
            (json!({ "auth": auth }), path.display().to_string())
        }
    };
    let auths = file.entry("auths").or_insert_with(|| json!({}));
    let shape = || LoginError::Shape {
        path: path.clone(),
        key: "auths",
    };
    auths.as_object_mut().ok_or_else(shape)?.insert(key, kept);
    write(path, &file)?;
    Ok(place)
}

/// Forgets what is kept for `host`, wherever it is; returns where it was.
///
/// # Errors
/// [`LoginError`].
pub fn forget(credentials: &Credentials, host: &str) -> Result<Vec<String>, LoginError> {
    let mut places = Vec::new();
    for path in credentials.files() {
        let mut file = read(path)?;
        let Some(key) = entry(&file, host) else {
            continue;
        };
        if let Some(helper) = helper_of(&file, host) {
            helper::erase(&helper, host).map_err(|why| failed(&helper, why))?;
            places.push(format!("docker-credential-{helper}"));
        }
        if let Some(auths) = file.get_mut("auths").and_then(Value::as_object_mut) {
            auths.remove(&key);
        }
        write(path, &file)?;
        places.push(path.display().to_string());
    }
    Ok(places)
}

fn failed(name: &str, why: String) -> LoginError {
    LoginError::Helper {
        name: name.to_owned(),
        why,
    }
}

/// Returns the key of the entry for the whole of `host`, as it is written.
fn entry(file: &Map<String, Value>, host: &str) -> Option<String> {
    let auths = file.get("auths")?.as_object()?;
    let whole = |key: &str| {
        let name = key.split_once("://").map_or(key, |(_, name)| name);
        let name = name.trim_end_matches('/');
        name == host
            || name
                .strip_prefix(host)
                .is_some_and(|rest| rest == "/v1" || rest == "/v2")
    };
    let keys = auths.keys();
    let mut fitting = keys.filter(|key| whole(key) || (is_hub(host) && is_hub(key_host(key))));
    fitting.next().cloned()
}

/// Returns the helper that keeps the credential of `host`, if one does.
fn helper_of(file: &Map<String, Value>, host: &str) -> Option<String> {
    let own = file.get("credHelpers").and_then(Value::as_object);
    let own = own.and_then(|helpers| {
        let mut fitting = helpers.iter().filter(|(key, _)| key_host(key) == host);
        fitting.next().map(|(_, helper)| helper)
    });
    let helper = own.or_else(|| file.get("credsStore"))?.as_str()?;
    (!helper.is_empty()).then(|| helper.to_owned())
}

fn read(path: &Path) -> Result<Map<String, Value>, LoginError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(DiskError::at("read", path)(error).into()),
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    // The parser's own words could quote a password.
    let value = serde_json::from_slice(&bytes).map_err(|error| LoginError::Malformed {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })?;
    match value {
        Value::Object(file) => Ok(file),
        _ => Err(LoginError::Shape {
            path: path.to_owned(),
            key: "the document",
        }),
    }
}

/// Writes the file for its owner alone, all at once.
fn write(path: &Path, file: &Map<String, Value>) -> Result<(), DiskError> {
    // Through links: what is replaced is what they lead to.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(DiskError::at("make the folder", folder))?;
    let mut text = serde_json::to_string_pretty(file).expect("a Map always serialises");
    text.push('\n');
    // Such files have mode 0600.
    let mut fresh =
        tempfile::NamedTempFile::new_in(folder).map_err(DiskError::at("write", path))?;
    fresh
        .write_all(text.as_bytes())
        .and_then(|()| fresh.as_file().sync_all())
        .map_err(DiskError::at("write", path))?;
    fresh
        .persist(path)
        .map_err(|error| DiskError::at("write", path)(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::credentials::Credential;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_password_is_kept_for_its_owner_alone_beside_what_the_file_holds() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("new/config.json");
        let credentials = Credentials::from_files(vec![path.clone()]);
        keep(&credentials, "r.io", "me", "s:e").expect("kept");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(
            &path,
            r#"{"detachKeys":"ctrl-e","auths":{"https://r.io/v2/":{"auth":"b2xk"},"x.io":{"auth":"eDp5"}}}"#,
        )
        .expect("written");
        keep(&credentials, "r.io", "me", "new").expect("kept");
        let read: Value = serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
        let auth = BASE64.encode("me:new");
        assert_eq!(
            read,
            json!({"detachKeys": "ctrl-e",
                "auths": {"https://r.io/v2/": {"auth": auth}, "x.io": {"auth": "eDp5"}}})
        );
        let found = credentials.find("r.io", "a").credential;
        assert!(
            found
                == Some(Credential::Password {
                    user: "me".to_owned(),
                    password: "new".to_owned()
                })
        );
        let places = forget(&credentials, "r.io").expect("forgotten");
        assert_eq!(places, [path.display().to_string()]);
        assert!(credentials.find("r.io", "a").credential.is_none());
        assert!(credentials.find("x.io", "a").credential.is_some());
        assert!(forget(&credentials, "r.io").expect("nothing").is_empty());
    }

    #[test]
    fn the_file_that_would_be_asked_first_is_the_one_that_is_written() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (podman, docker) = (dir.path().join("auth.json"), dir.path().join("config.json"));
        let credentials = Credentials::from_files(vec![podman.clone(), docker.clone()]);
        let place = keep(&credentials, "r.io", "me", "1").expect("kept");
        assert_eq!(place, docker.display().to_string());
        fs::write(&podman, r#"{"auths":{"r.io":{"auth":"b2xkOjE="}}}"#).expect("written");
        let place = keep(&credentials, "r.io", "me", "2").expect("kept");
        assert_eq!(place, podman.display().to_string());
    }

    #[test]
    fn a_malformed_file_is_left_as_it_is() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("config.json");
        let credentials = Credentials::from_files(vec![path.clone()]);
        for text in ["{\"auths\":{", "[]", r#"{"auths":"c2VjcmV0"}"#] {
            fs::write(&path, text).expect("written");
            let error = keep(&credentials, "r.io", "me", "s").expect_err("refused");
            assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        let none = Credentials::none();
        assert!(matches!(
            keep(&none, "r.io", "me", "s"),
            Err(LoginError::NoFile)
        ));
    }
}
