//! Finds the user and password for a registry where Docker, podman and skopeo keep them.
//!
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>,
//! <https://docs.docker.com/reference/cli/docker/login/#credential-stores>

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use super::helper::ask;

/// What proves who is asking. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that a token service exchanges for one that a registry takes.
    Identity(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(not shown)")
    }
}

/// A credential given for one host, the files that hold others, and AWS, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    given: Option<(String, Credential)>,
    files: Vec<PathBuf>,
    aws: bool,
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) credential: Option<Credential>,
    /// Whether it was given for this host, so that no other will do.
    pub(crate) given: bool,
    /// What went wrong on the way, for the message if the registry then refuses.
    pub(crate) trouble: Vec<String>,
}

/// A `config.json` or `auth.json`, as far as it is needed.
#[derive(Default, Deserialize)]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, AuthEntry>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct AuthEntry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default, rename = "identitytoken")]
    identity_token: Option<String>,
}

impl Credentials {
    /// Uses no credentials.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Uses these files, the first first.
    #[must_use]
    pub fn from_files(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            ..Self::default()
        }
    }

    /// Uses the files of podman and skopeo, then Docker's, then AWS for ECR; `variable` looks up the environment.
    ///
    /// `$REGISTRY_AUTH_FILE` alone if set; else `$XDG_RUNTIME_DIR/containers/auth.json`,
    /// `$XDG_CONFIG_HOME/containers/auth.json` and `$DOCKER_CONFIG/config.json` with the usual defaults.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(file) = set("REGISTRY_AUTH_FILE") {
            return Self::from_files(vec![file]).with_aws();
        }
        let home = set("HOME");
        let below = |dir: &str| home.as_ref().map(|home| home.join(dir));
        let files = [
            set("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
            set("XDG_CONFIG_HOME")
                .or_else(|| below(".config"))
                .map(|dir| dir.join("containers/auth.json")),
            set("DOCKER_CONFIG")
                .or_else(|| below(".docker"))
                .map(|dir| dir.join("config.json")),
        ];
        Self::from_files(files.into_iter().flatten().collect()).with_aws()
    }

    /// Asks AWS for passwords of ECR's registries where nothing else has one.
    #[must_use]
    pub fn with_aws(self) -> Self {
        Self { aws: true, ..self }
    }

    /// Returns the files, in the order in which they are asked; the last is Docker's, or the only one.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Tells whether AWS may be asked.
    pub(super) fn asks_aws(&self) -> bool {
        self.aws
    }

    /// Uses this one for `host` before any file is asked; other hosts never see it.
    #[must_use]
    pub fn with(self, host: &str, credential: Credential) -> Self {
        Self {
            given: Some((host.to_owned(), credential)),
            ..self
        }
    }

    /// Finds the credential for `host` and, where a file tells repositories apart, `repository`.
    ///
    /// Reads files and may run a helper program, so not for an async thread.
    pub(crate) fn find(&self, host: &str, repository: &str) -> Found {
        let mut found = Found::default();
        if let Some((given, credential)) = &self.given
            && (given == host || (is_hub(given) && is_hub(host)))
        {
            found.credential = Some(credential.clone());
            found.given = true;
            return found;
        }
        for path in &self.files {
            match read(path) {
                Ok(None) => {}
                Ok(Some(file)) => {
                    found.credential = file.find(host, repository, &mut found.trouble);
                    if found.credential.is_some() {
                        break;
                    }
                }
                Err(why) => found.trouble.push(format!("{}: {why}", path.display())),
            }
        }
        found
    }
}

/// Reads a file; nothing if it is not there. A JSON error's own text could quote a secret, so only its place is told.
fn read(path: &Path) -> Result<Option<AuthFile>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    match serde_json::from_slice(&bytes) {
        Ok(file) => Ok(Some(file)),
        Err(error) => Err(format!(
            "malformed at line {}, column {}",
            error.line(),
            error.column()
        )),
    }
}

/// The name under which Docker keeps the credential of Docker Hub.
pub(super) const HUB: &str = "https://index.docker.io/v1/";

pub(super) fn is_hub(host: &str) -> bool {
    matches!(
        host,
        "docker.io" | "index.docker.io" | "registry-1.docker.io"
    )
}

impl AuthFile {
    fn find(&self, host: &str, repository: &str, trouble: &mut Vec<String>) -> Option<Credential> {
        let helper = self
            .helpers
            .iter()
            .find(|(key, _)| key_host(key) == host || (is_hub(key_host(key)) && is_hub(host)))
            .map(|(_, helper)| helper);
        if let Some(helper) = helper {
            return ask(helper, host, trouble);
        }
        // The longest namespace that holds the repository, then the host alone.
        let mut name = format!("{host}/{repository}");
        while name.len() >= host.len() {
            let entry = self.auths.iter().find(|(key, _)| key_name(key) == name);
            if let Some(credential) = entry.and_then(|(key, entry)| entry.credential(key, trouble))
            {
                return Some(credential);
            }
            name.truncate(name.rfind('/').unwrap_or(0));
        }
        if is_hub(host) {
            let entry = self.auths.iter().find(|(key, _)| is_hub(key_host(key)));
            if let Some(credential) = entry.and_then(|(key, entry)| entry.credential(key, trouble))
            {
                return Some(credential);
            }
        }
        let store = self.store.as_deref().filter(|store| !store.is_empty())?;
        ask(store, host, trouble)
    }
}

/// Returns the host of a key such as `host`, `host/namespace` or `https://host/v1/`.
pub(super) fn key_host(key: &str) -> &str {
    key_name(key).split('/').next().unwrap_or_default()
}

/// Returns a key without its scheme and without the version path that old Docker versions added.
fn key_name(key: &str) -> &str {
    let name = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let name = name.trim_end_matches('/');
    name.strip_suffix("/v1")
        .or_else(|| name.strip_suffix("/v2"))
        .unwrap_or(name)
}

impl AuthEntry {
    fn credential(&self, key: &str, trouble: &mut Vec<String>) -> Option<Credential> {
        if let Some(token) = self
            .identity_token
            .as_ref()
            .filter(|token| !token.is_empty())
        {
            return Some(Credential::Identity(token.clone()));
        }
        if let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) {
            let plain = BASE64
                .decode(auth.trim())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            let Some((user, password)) = plain.as_deref().and_then(|plain| plain.split_once(':'))
            else {
                trouble.push(format!(
                    "the `auth` kept for {key} is not base64 of user:password"
                ));
                return None;
            };
            // Docker has been seen to pad with zeros.
            return Some(Credential::Password {
                user: user.to_owned(),
                password: password.trim_end_matches('\0').to_owned(),
            });
        }
        Some(Credential::Password {
            user: self.username.clone()?,
            password: self.password.clone()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(json: &str, host: &str, repository: &str) -> Option<Credential> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("config.json");
        fs::write(&path, json).expect("written");
        Credentials::from_files(vec![dir.path().join("missing.json"), path])
            .find(host, repository)
            .credential
    }

    fn password(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    #[test]
    fn a_credential_is_found_under_each_way_of_writing_its_host() {
        let auth = BASE64.encode("me:pass:word");
        for (key, host) in [
            ("r.example.com", "r.example.com"),
            ("https://r.example.com", "r.example.com"),
            ("https://r.example.com/v2/", "r.example.com"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("https://index.docker.io/v1/", "registry-1.docker.io"),
            ("docker.io", "registry-1.docker.io"),
        ] {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#);
            assert_eq!(
                find(&json, host, "a/b"),
                password("me", "pass:word"),
                "{key} for {host}"
            );
            assert_eq!(find(&json, "other.example.com", "a/b"), None);
            assert_eq!(find(&json, &format!("{host}1"), "a/b"), None);
        }
    }

    #[test]
    fn what_is_given_for_a_host_comes_first_and_stays_there() {
        let given = Credential::Password {
            user: "me".to_owned(),
            password: "given".to_owned(),
        };
        let credentials = Credentials::none().with("r.io", given);
        assert_eq!(
            credentials.find("r.io", "a").credential,
            password("me", "given")
        );
        assert_eq!(credentials.find("other.io", "a").credential, None);
        assert!(!format!("{credentials:?}").contains("given\""));
    }

    #[test]
    fn the_longest_namespace_wins() {
        let json = format!(
            r#"{{"auths":{{"r.io":{{"auth":"{}"}},"r.io/team":{{"auth":"{}"}}}}}}"#,
            BASE64.encode("host:1"),
            BASE64.encode("team:2")
        );
        assert_eq!(find(&json, "r.io", "team/app"), password("team", "2"));
        assert_eq!(find(&json, "r.io", "teams/app"), password("host", "1"));
    }

    #[test]
    fn a_malformed_file_is_told_without_its_contents() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("config.json");
        for json in [
            r#"{"auths":{"r.io":{"auth":"c2VjcmV0"}}}"#,
            r#"{"auths":{"r.io":{"auth":c2VjcmV0}}}"#,
            r#"{"auths":"c2VjcmV0"}"#,
        ] {
            fs::write(&path, json).expect("written");
            let found = Credentials::from_files(vec![path.clone()]).find("r.io", "a");
            assert!(found.credential.is_none());
            assert_eq!(found.trouble.len(), 1, "{json}");
            assert!(
                !found.trouble.concat().contains("c2VjcmV0"),
                "{:?}",
                found.trouble
            );
        }
        assert!(!format!("{:?}", password("me", "secret")).contains("secret"));
    }

    #[test]
    fn the_environment_decides_which_files_are_read() {
        let files = |set: &[(&str, &str)]| {
            let set: BTreeMap<&str, &str> = set.iter().copied().collect();
            Credentials::from_environment(|name| set.get(name).map(OsString::from))
                .files
                .iter()
                .map(|file| file.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            files(&[("REGISTRY_AUTH_FILE", "/a"), ("HOME", "/h")]),
            ["/a"]
        );
        assert_eq!(
            files(&[("HOME", "/h")]),
            ["/h/.config/containers/auth.json", "/h/.docker/config.json"]
        );
        assert_eq!(
            files(&[
                ("HOME", "/h"),
                ("XDG_RUNTIME_DIR", "/r"),
                ("DOCKER_CONFIG", "/d")
            ]),
            [
                "/r/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/d/config.json"
            ]
        );
        assert!(files(&[]).is_empty());
    }
}
