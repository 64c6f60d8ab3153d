//! Why no password for ECR could be had from AWS.

use crate::diagnose::{Class, Diagnose};
use crate::edge::fetch::{FetchError, Retry, Retryable};

/// Why no password for ECR could be had from AWS.
#[derive(Debug, thiserror::Error)]
pub enum AmazonError {
    /// Nowhere in the standard chain are there credentials.
    #[error("there are no AWS credentials; tried {}", .0.join(", "))]
    NoCredentials(
        /// Each place, and why there are none.
        Vec<String>,
    ),
    /// Some place should have credentials and does not give them.
    #[error("the AWS credentials cannot be had: {why}")]
    Chain {
        /// What the SDK says.
        why: String,
        /// The profile that is named, if one is.
        profile: Option<String>,
    },
    /// AWS does not give these credentials a password.
    #[error("{api} refuses {action}: {code}: {words}")]
    Refused {
        /// What was asked.
        api: String,
        /// The action, as policies name it.
        action: &'static str,
        /// AWS's name for the refusal.
        code: String,
        /// What it said.
        words: String,
    },
    /// The answer holds no password.
    #[error("{api} answers {action} with no password: {why}")]
    Answer {
        /// What was asked.
        api: String,
        /// The action, as policies name it.
        action: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// AWS cannot be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl Retryable for AmazonError {
    fn retry(&self) -> Retry {
        match self {
            Self::Fetch(error) => error.retry(),
            _ => Retry::No,
        }
    }

    fn gave_up(self, tries: u32) -> Self {
        match self {
            Self::Fetch(error) => Self::Fetch(error.gave_up(tries)),
            other => other,
        }
    }
}

impl Diagnose for AmazonError {
    fn class(&self) -> Class {
        Class::Unavailable
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoCredentials(_) => {
                "name a profile (AWS_PROFILE) or run `aws sso login`; in CI let the job assume a \
                                       role that may push"
                    .to_owned()
            }
            Self::Chain { why, profile } => renew(why, profile.as_deref()),
            Self::Refused { action, code, .. } => refused(action, code),
            Self::Answer { .. } => {
                "check AWS_ENDPOINT_URL and the profile's `endpoint_url`".to_owned()
            }
            Self::Fetch(error) => return error.hint(),
        })
    }
}

/// Returns how credentials that cannot be had are renewed.
fn renew(why: &str, profile: Option<&str>) -> String {
    let words = why.to_ascii_lowercase();
    let profile = profile.map_or_else(String::new, |profile| format!(" --profile {profile}"));
    if words.contains("sso") {
        format!("run `aws sso login{profile}`")
    } else if words.contains("login") {
        format!("run `aws login{profile}`")
    } else {
        format!("find out what is wrong with them: aws sts get-caller-identity{profile}")
    }
}

/// Returns what helps against a refusal.
///
/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html>
fn refused(action: &str, code: &str) -> String {
    match code {
        "AccessDeniedException" | "AccessDenied" => {
            let more = if action.starts_with("ecr-public:") {
                " and sts:GetServiceBearerToken"
            } else {
                ""
            };
            format!("give the identity {action}{more}, on every resource (`*`)")
        }
        "ExpiredTokenException" | "ExpiredToken" => {
            "the AWS session is over: begin a new one, for example with `aws sso login`".to_owned()
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestExpired" => {
            "the secret key is not that of the access key, or the clock is wrong: compare `date -u`"
                .to_owned()
        }
        _ => "see whose credentials these are: aws sts get-caller-identity".to_owned(),
    }
}
