//! What helps when a registry or the way to it fails: other than to fetch, there is no other place to push to.

use crate::diagnose::Diagnose as _;
use crate::edge::fetch::FetchError;
use crate::edge::registry::RegistryError;

/// Returns what to do about an error that is neither about credentials nor about what is pushed.
pub(super) fn hint(error: &RegistryError) -> Option<String> {
    let hint = match error {
        RegistryError::Fetch { error, .. } => match error.root() {
            FetchError::Refused { words, .. } if words.contains("EmptyUpload") => {
                "a blob of the image is empty, which ECR refuses: leave that layer out"
            }
            FetchError::Refused { words, .. } if words.contains("BLOB_UNKNOWN") => {
                "push again: the registry has lost what it had a moment ago"
            }
            FetchError::Refused { status: 413, .. } => {
                "a proxy in front of the registry limits how large a request may be: have the limit raised"
            }
            FetchError::Refused { status: 429, .. } => {
                "wait and push again, or log in for a higher limit"
            }
            FetchError::Refused {
                status: 408 | 499 | 500..=599,
                ..
            } => "push again later: what has arrived is not sent again",
            FetchError::Unreachable { .. }
            | FetchError::Stalled { .. }
            | FetchError::Broken { .. }
            | FetchError::Truncated { .. } => {
                "check the network and HTTPS_PROXY, then push again: what has arrived is not sent again"
            }
            FetchError::Refused { .. }
            | FetchError::NotFound { .. }
            | FetchError::Redirect { .. }
            | FetchError::TooLarge { .. } => {
                "check that this is a registry's address; if it is, push again, or ask who runs it what it wants"
            }
            _ => return error.hint(),
        },
        RegistryError::Session { .. } => {
            "push again: what has arrived is not sent again; if that does not help, something on the way changes it"
        }
        RegistryError::Stored { .. } => {
            "do not use what was pushed: something on the way changes it; prefer a registry with https"
        }
        RegistryError::Location { .. }
        | RegistryError::Token { .. }
        | RegistryError::Realm { .. } => {
            "check that this is a registry's address; if it is, push again, or ask who runs it what is wrong with it"
        }
        other => return other.hint(),
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, words: &str) -> RegistryError {
        RegistryError::Fetch {
            what: "x".to_owned(),
            error: FetchError::Refused {
                url: "https://x/".to_owned(),
                status,
                words: words.to_owned(),
                retry_after: None,
            },
        }
    }

    #[test]
    fn each_refusal_comes_with_what_helps_a_push() {
        for (status, words, helps) in [
            (
                400,
                "EmptyUploadException: nothing was uploaded",
                "leave that layer out",
            ),
            (400, "MANIFEST_BLOB_UNKNOWN: blob unknown", "push again"),
            (413, "", "limit raised"),
            (429, "", "wait and push again"),
            (499, "", "push again later"),
            (503, "", "push again later"),
            (418, "", "ask who runs it"),
        ] {
            let hint = hint(&refused(status, words)).unwrap_or_default();
            assert!(hint.contains(helps), "{status} {words}: {hint}");
        }
    }
}
