//! The standard chain of AWS credentials, and what it tried when it found none.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::error::AmazonError;

/// Reads the environment and the profiles. `region` is the registry's: where others name none, it does for the rest of
/// the chain, such as the exchange of a web identity.
pub(super) async fn config(client: SharedHttpClient, region: &str) -> SdkConfig {
    // Without instance metadata, the last that the SDK would ask: it knows no more than the registry's name does.
    let regions = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::new(region.to_owned()));
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(client)
        .region(regions)
        .load()
        .await
}

/// Returns the first credentials of the chain.
pub(super) async fn credentials(config: &SdkConfig) -> Result<Credentials, AmazonError> {
    let variable = |name: &str| std::env::var_os(name);
    let Some(chain) = config.credentials_provider() else {
        return Err(AmazonError::NoCredentials(tried(variable)));
    };
    chain
        .provide_credentials()
        .await
        .map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_) => {
                AmazonError::NoCredentials(tried(variable))
            }
            error => AmazonError::Chain {
                why: causes(&error),
                profile: set(&variable, "AWS_PROFILE")
                    .map(|profile| profile.to_string_lossy().into_owned()),
            },
        })
}

fn set(variable: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<OsString> {
    variable(name).filter(|value| !value.is_empty())
}

/// Says of each place in the chain why there are no credentials, by what switches it on.
fn tried(variable: impl Fn(&str) -> Option<OsString>) -> Vec<String> {
    let is_set = |name: &str| set(&variable, name).is_some();
    let unset = |name: &str| {
        if is_set(name) {
            format!("{name} leads to none")
        } else {
            format!("{name} is not set")
        }
    };
    let home = set(&variable, "HOME").map(PathBuf::from);
    let file = |name: &str, default: &str| {
        let path = set(&variable, name).map(PathBuf::from).or_else(|| {
            home.as_ref()
                .map(|home| home.join(Path::new(".aws").join(default)))
        });
        match path {
            Some(path) if path.exists() => format!("{} has none", path.display()),
            Some(path) => format!("{} does not exist", path.display()),
            None => format!("there is no {default} file without HOME"),
        }
    };
    let profile = set(&variable, "AWS_PROFILE").map_or_else(
        || "default".to_owned(),
        |profile| profile.to_string_lossy().into_owned(),
    );
    let machine = match set(&variable, "AWS_EC2_METADATA_DISABLED") {
        Some(word) if word.eq_ignore_ascii_case("true") => {
            "switched off by AWS_EC2_METADATA_DISABLED"
        }
        _ => "no instance metadata, or no role in it",
    };
    vec![
        format!("the environment ({})", unset("AWS_ACCESS_KEY_ID")),
        format!(
            "profile `{profile}` ({}, {})",
            file("AWS_CONFIG_FILE", "config"),
            file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ),
        format!("web identity ({})", unset("AWS_WEB_IDENTITY_TOKEN_FILE")),
        format!(
            "the role of an ECS task or EKS pod ({})",
            if is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
                unset("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            } else {
                unset("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            }
        ),
        format!("the role of an EC2 instance ({machine})"),
    ]
}

/// Returns the messages of an error and its causes, each once.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn each_place_says_what_would_switch_it_on() {
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(home.path().join(".aws")).expect("made");
        std::fs::write(home.path().join(".aws/config"), "[default]\n").expect("written");
        let set = BTreeMap::from([
            ("HOME", home.path().as_os_str().to_owned()),
            ("AWS_PROFILE", "work".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere".into()),
        ]);
        let tried = tried(|name| set.get(name).cloned());
        assert_eq!(
            tried,
            [
                "the environment (AWS_ACCESS_KEY_ID is not set)".to_owned(),
                format!(
                    "profile `work` ({}/.aws/config has none, /nowhere does not exist)",
                    home.path().display()
                ),
                "web identity (AWS_WEB_IDENTITY_TOKEN_FILE is not set)".to_owned(),
                "the role of an ECS task or EKS pod (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set)"
                    .to_owned(),
                "the role of an EC2 instance (switched off by AWS_EC2_METADATA_DISABLED)".to_owned(),
            ]
        );
    }
}
