//! Who may ask: passwords that expire, tokens with the scope `aws`, so many requests a second.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Habits, error};
use crate::server::{Reply, Seen, ok, status};

/// Whom the registry answers.
pub(crate) enum Gate {
    /// Everybody.
    Open,
    /// As private ECR: user and password, and no token service (bazel-contrib/rules_img, docs/registry-support.md).
    ///
    /// The first password is good for so many requests and then answered with this status; `renewed` is told the host
    /// and brings the second one to the client.
    Private {
        lasts: usize,
        expired: u16,
        renewed: Box<dyn Fn(&str) + Send + Sync>,
    },
    /// As public.ecr.aws: a token service, of which the scope is the one word `aws`
    /// (aws/containers-roadmap#2671, oras-project/oras#456).
    Public,
}

/// How much the registry takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Everything.
    Any,
    /// So many uploads begun each second, as ECR's quota on `InitiateLayerUpload`
    /// (containerd/containerd#10447, fluxcd/flux2#3714).
    Each(usize),
}

#[derive(Default)]
pub(super) struct State {
    used: usize,
    has_expired: bool,
    begun: Option<(Instant, usize)>,
    tokens: BTreeSet<String>,
}

/// Returns the first or second password, of any user.
pub(crate) fn password(is_second: bool) -> &'static str {
    if is_second {
        "second-hunter2"
    } else {
        "first-hunter2"
    }
}

impl State {
    /// Answers who is not to be let in.
    pub(super) fn refuses(&mut self, habits: &Habits, seen: &Seen) -> Option<Reply> {
        self.stranger(&habits.gate, seen)
            .or_else(|| self.hurry(habits.pace, seen))
    }

    fn stranger(&mut self, gate: &Gate, seen: &Seen) -> Option<Reply> {
        let host = &seen.headers["host"];
        let no = |challenge: &str, words| {
            let challenge = [("www-authenticate", challenge)];
            Some(status(401, &challenge, words))
        };
        match gate {
            Gate::Open => None,
            Gate::Private {
                lasts,
                expired,
                renewed,
            } => {
                let basic = format!(r#"Basic realm="http://{host}/",service="ecr.amazonaws.com""#);
                let header = seen.authorization().unwrap_or_default();
                let both = BASE64.decode(header.trim_start_matches("Basic "));
                let both = String::from_utf8(both.unwrap_or_default()).unwrap_or_default();
                let is = |second| both.split_once(':').map(|both| both.1) == Some(password(second));
                if is(true) && self.has_expired {
                    return None;
                }
                if !is(false) {
                    // Plain text, and not the JSON of the specification (deis/builder#426).
                    return no(&basic, "Not Authorized\n");
                }
                if self.used < *lasts {
                    self.used += 1;
                    return None;
                }
                if !self.has_expired {
                    renewed(host);
                }
                self.has_expired = true;
                // aws/aws-toolkit-azure-devops#129, buildkite/elastic-ci-stack-for-aws#178
                let words = "Your authorization token has expired. Reauthenticate and try again.";
                Some(status(*expired, &[], words))
            }
            Gate::Public => {
                if let Some(query) = seen.path.strip_prefix("/token/?") {
                    let wanted = "service=public.ecr.aws&scope=aws";
                    if query != wanted {
                        return Some(status(400, &[], "invalid scope"));
                    }
                    let token = format!("hunter2-{}", self.tokens.len());
                    let answer = format!(r#"{{"token":"{token}"}}"#);
                    self.tokens.insert(token);
                    return Some(ok(answer));
                }
                // Even with a token (aws/containers-roadmap#2671, buildbuddy-io/buildbuddy#12566).
                let unheard = seen.method == "HEAD" && seen.path.contains("/blobs/");
                let header = seen.authorization().unwrap_or_default();
                let token = header.strip_prefix("Bearer ").unwrap_or_default();
                if unheard || !self.tokens.contains(token) {
                    let bearer = format!(
                        r#"Bearer realm="http://{host}/token/",service="public.ecr.aws",scope="aws""#
                    );
                    return no(&bearer, "");
                }
                None
            }
        }
    }

    fn hurry(&mut self, pace: Pace, seen: &Seen) -> Option<Reply> {
        let Pace::Each(most) = pace else { return None };
        if seen.method != "POST" {
            return None;
        }
        let second = Duration::from_secs(1);
        let (since, count) = self
            .begun
            .filter(|(since, _)| since.elapsed() < second)
            .unwrap_or((Instant::now(), 0));
        self.begun = Some((since, count + 1));
        (count >= most).then(|| {
            let Reply::Full(code, mut headers, body) =
                error(429, "TOOMANYREQUESTS", "Rate exceeded")
            else {
                unreachable!("an error is a whole answer");
            };
            headers.push(("retry-after".to_owned(), "1".to_owned()));
            Reply::Full(code, headers, body)
        })
    }
}
