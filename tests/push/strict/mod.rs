//! A registry that insists on everything that ECR insists on; each rule names the report it comes from.
//!
//! Rules that nothing is lost by keeping are always on. What a registry has of one kind or another is in [`Habits`].
//!
//! ```text
//! gate       who may ask: passwords that expire, tokens with the scope `aws`, so many requests a second
//! uploads    sessions, parts, mounts
//! manifests  what a manifest must be, and which tags may move
//! bucket     the other host that the bytes are on
//! naive      tests: what clients do that know nothing of this, and how it is refused
//! ```

mod bucket;
mod gate;
mod manifests;
mod naive;
mod uploads;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use imgbuild::oci::Digest;

use crate::server::{Reply, Seen, Server, status};

pub(crate) use bucket::Blobs;
pub(crate) use gate::{Gate, Pace, password};
pub(crate) use manifests::Tags;

/// The registry. It stops when dropped.
pub(crate) struct Strict {
    pub server: Server,
    /// Where the bytes are, if not there.
    pub bucket: Option<Server>,
    kept: Arc<Mutex<Kept>>,
}

/// What it has of one kind or another.
pub(crate) struct Habits {
    pub tags: Tags,
    pub gate: Gate,
    pub pace: Pace,
    pub blobs: Blobs,
    pub words: Words,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            tags: Tags::Mutable,
            gate: Gate::Open,
            pace: Pace::Any,
            blobs: Blobs::Here,
            words: Words::Json,
        }
    }
}

/// In which form it says why it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// As the specification says.
    Json,
    /// As proxies in front of registries do (docker/hub-feedback#302, Lotto24/aws-ecr-http-proxy#4).
    Html,
    /// As ECR itself does where it does not know who asks (deis/builder#426).
    Plain,
    /// Not at all, as ECR where a permission is missing (moby/moby#19010, aws/aws-toolkit-azure-devops#311).
    Nothing,
}

#[derive(Default)]
struct Kept {
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest.
    manifests: BTreeMap<(String, String), Vec<u8>>,
    uploads: BTreeMap<usize, uploads::Session>,
    sessions: usize,
    gate: gate::State,
}

fn error(code: u16, name: &str, message: &str) -> Reply {
    let body = serde_json::json!({"errors": [{"code": name, "message": message}]});
    status(code, &[], &body.to_string())
}

impl Strict {
    /// Starts one; `interfere` is shown each request, and answers it instead where it wants to: first without headers
    /// and body, when only a reset is of use, and then whole.
    pub(crate) fn start(
        tags: Tags,
        interfere: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let habits = Habits {
            tags,
            ..Habits::default()
        };
        Self::with(habits, interfere)
    }

    /// The same, with other habits.
    pub(crate) fn with(
        habits: Habits,
        interfere: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let bucket = (habits.blobs == Blobs::Elsewhere).then(|| bucket::start(&kept));
        let elsewhere = bucket.as_ref().map(|bucket| bucket.host.clone());
        let inside = Arc::clone(&kept);
        let server = Server::start(move |seen, _| {
            let reply = interfere(seen);
            let mut kept = inside.lock().expect("no panic inside");
            if reply.is_some() {
                kept.spoil(seen);
            }
            // Headers are still to come.
            if seen.headers.is_empty() {
                return reply.unwrap_or_else(|| status(500, &[], ""));
            }
            let reply = reply
                .or_else(|| kept.gate.refuses(&habits, seen))
                .unwrap_or_else(|| kept.answer(seen, &habits, elsewhere.as_deref()));
            habits.words.tell(seen, reply)
        });
        Self {
            server,
            bucket,
            kept,
        }
    }

    /// Starts one that works.
    pub(crate) fn calm() -> Self {
        Self::start(Tags::Mutable, |_| None)
    }

    /// Returns a reference on it.
    pub(crate) fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.server.host)
    }

    /// Returns what a tag or digest leads to.
    pub(crate) fn manifest(&self, repository: &str, identifier: &str) -> Option<Digest> {
        let kept = self.kept.lock().expect("no panic inside");
        let found = kept
            .manifests
            .get(&(repository.to_owned(), identifier.to_owned()));
        found.map(|bytes| Digest::of(bytes))
    }

    /// Tells whether a repository has a blob.
    pub(crate) fn has(&self, repository: &str, digest: Digest) -> bool {
        let kept = self.kept.lock().expect("no panic inside");
        kept.blobs
            .contains_key(&(repository.to_owned(), digest.to_string()))
    }

    /// Returns method and path of all requests that change something.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.server
            .seen()
            .iter()
            .filter(|seen| !matches!(seen.method.as_str(), "GET" | "HEAD"))
            .map(|seen| format!("{} {}", seen.method, seen.path))
            .collect()
    }
}

impl Words {
    fn tell(self, seen: &Seen, reply: Reply) -> Reply {
        let Reply::Full(code, mut headers, mut body) = reply else {
            return reply;
        };
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = json["errors"][0]["message"].as_str();
        let told = message.filter(|_| code >= 400).zip(match self {
            Self::Json => None,
            Self::Html => Some("text/html"),
            Self::Plain | Self::Nothing => Some("text/plain"),
        });
        if let Some((message, kind)) = told {
            let text = match self {
                Self::Html => {
                    let title = format!("<title>{code}</title>");
                    format!("<html><head>{title}</head><body><h1>{message}</h1></body></html>\r\n")
                }
                Self::Nothing => String::new(),
                _ => format!("{message}\n"),
            };
            headers.push(("content-type".to_owned(), kind.to_owned()));
            body = text.into_bytes();
        }
        if seen.method == "HEAD" {
            body.clear();
        }
        Reply::Full(code, headers, body)
    }
}

impl Kept {
    fn answer(&mut self, seen: &Seen, habits: &Habits, elsewhere: Option<&str>) -> Reply {
        let url = url::Url::parse(&format!("http://x{}", seen.path)).expect("a path");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let Some(path) = url.path().strip_prefix("/v2/") else {
            return status(404, &[], "");
        };
        if path.is_empty() {
            // Not even a body (apple/swift-container-plugin#25).
            return status(200, &[], "");
        }
        for (mark, kind) in [
            ("/blobs/uploads/", "upload"),
            ("/blobs/", "blob"),
            ("/manifests/", "manifest"),
        ] {
            if let Some((repository, rest)) = path.split_once(mark) {
                let rest = rest.replace("%3A", ":");
                return match (kind, seen.method.as_str()) {
                    ("upload", "POST") => self.begin(repository, &query, seen),
                    ("upload", "PATCH") => self.part(repository, &rest, seen),
                    ("upload", "PUT") => self.complete(repository, &rest, &query, seen),
                    ("blob", "GET" | "HEAD") => self.blob(repository, &rest, elsewhere),
                    ("manifest", "GET" | "HEAD") => self.manifest(repository, &rest),
                    ("manifest", "PUT") => self.put(repository, &rest, seen, habits.tags),
                    _ => status(405, &[], ""),
                };
            }
        }
        status(404, &[], "")
    }
}
