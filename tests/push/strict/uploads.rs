//! Sessions, parts and mounts.

use std::collections::BTreeMap;

use imgbuild::oci::Digest;

use super::{Kept, error};
use crate::server::{Reply, Seen, status};

/// The smallest part that is not the last one.
const SMALLEST: usize = 5 << 20;
/// A part of each session's URL that must come back as it is.
const STATE: &str = "_state=a%2Bb%3D";

/// What came in an upload so far.
#[derive(Default)]
pub(super) struct Session {
    bytes: Vec<u8>,
    /// The length of each part.
    parts: Vec<usize>,
    /// Whether an attempt ended in it.
    failed: bool,
}

/// Returns the first byte that a request says it brings.
fn first(seen: &Seen) -> usize {
    let range = seen.headers.get("content-range");
    let first = range.and_then(|range| range.split('-').next()?.parse().ok());
    first.unwrap_or(0)
}

impl Kept {
    pub(super) fn begin(
        &mut self,
        repository: &str,
        query: &BTreeMap<String, String>,
        seen: &Seen,
    ) -> Reply {
        if seen.headers.get("content-length").map(String::as_str) != Some("0") {
            return status(411, &[], "Length Required");
        }
        // Only what a manifest there refers to is mounted (aws/containers-roadmap#2860).
        if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from")) {
            let referred = self.manifests.iter().any(|((name, _), bytes)| {
                name == from && String::from_utf8_lossy(bytes).contains(digest)
            });
            let found = self.blobs.get(&(from.clone(), digest.clone())).cloned();
            if let Some(bytes) = found.filter(|_| referred) {
                self.blobs
                    .insert((repository.to_owned(), digest.clone()), bytes);
                return status(201, &[], "");
            }
        }
        self.sessions += 1;
        self.uploads.insert(self.sessions, Session::default());
        self.go_on(202, repository, self.sessions, None)
    }

    fn go_on(&self, code: u16, repository: &str, number: usize, range: Option<usize>) -> Reply {
        let location = format!("/v2/{repository}/blobs/uploads/{number}?{STATE}");
        let range = range.map(|last| format!("0-{last}"));
        let mut headers = vec![("location", location.as_str())];
        headers.extend(range.as_deref().map(|range| ("range", range)));
        status(code, &headers, "")
    }

    /// Remembers that an attempt ended in a session, which something else answered.
    pub(super) fn spoil(&mut self, seen: &Seen) {
        let number = seen.path.split_once("/blobs/uploads/").map(|(_, rest)| {
            rest.split('?')
                .next()
                .and_then(|number| number.parse::<usize>().ok())
        });
        if let Some(session) = number.flatten().and_then(|it| self.uploads.get_mut(&it)) {
            session.failed = true;
        }
    }

    /// Takes bytes into a session, or says why not.
    fn take(&mut self, number: Option<usize>, seen: &Seen) -> Result<&mut Session, Reply> {
        let session = number
            .filter(|_| seen.path.contains(STATE))
            .and_then(|number| self.uploads.get_mut(&number));
        let Some(session) = session else {
            return Err(error(
                404,
                "BLOB_UPLOAD_UNKNOWN",
                "blob upload unknown to registry",
            ));
        };
        let (from, wanted) = (first(seen), session.bytes.len());
        // apple/containerization#790, uber-archive/makisu#224
        if session.failed || (from != wanted && !seen.bytes.is_empty()) {
            let message = format!("First byte of the layer part is {from} instead of {wanted}");
            return Err(error(416, "BLOB_UPLOAD_INVALID", &message));
        }
        // `LayerPartTooSmallException`, which the client sees as a broken pipe (dotnet/sdk-container-builds#424).
        if !seen.bytes.is_empty() && session.parts.last().is_some_and(|part| *part < SMALLEST) {
            session.failed = true;
            return Err(Reply::Reset);
        }
        if !seen.bytes.is_empty() {
            session.bytes.extend_from_slice(&seen.bytes);
            session.parts.push(seen.bytes.len());
        }
        Ok(session)
    }

    pub(super) fn part(&mut self, repository: &str, session: &str, seen: &Seen) -> Reply {
        let number = session.parse().ok();
        match self.take(number, seen) {
            Err(reply) => reply,
            Ok(session) => {
                // What came after the first part is there and not told (aws/containers-roadmap#2831).
                let told = session.parts.first().map_or(0, |part| part - 1);
                // 201, where the specification says 202 (cirruslabs/tart#273, regclient/regclient#81, jdx/mise#11376).
                self.go_on(201, repository, number.unwrap_or_default(), Some(told))
            }
        }
    }

    pub(super) fn complete(
        &mut self,
        repository: &str,
        session: &str,
        query: &BTreeMap<String, String>,
        seen: &Seen,
    ) -> Reply {
        // https://github.com/opencontainers/distribution-spec/blob/main/spec.md#post-then-put
        if !seen.headers.contains_key("content-length") {
            return status(411, &[], "Length Required");
        }
        let number = session.parse().ok();
        let bytes = match self.take(number, seen) {
            Err(reply) => return reply,
            Ok(session) => std::mem::take(&mut session.bytes),
        };
        self.uploads.remove(&number.unwrap_or_default());
        // devcontainers/cli#814, aws/containers-roadmap#1074
        if bytes.is_empty() {
            return error(400, "EmptyUploadException", "nothing was uploaded");
        }
        let digest = Digest::of(&bytes).to_string();
        if query.get("digest") != Some(&digest) {
            return error(400, "DIGEST_INVALID", "provided digest did not match");
        }
        self.blobs.insert((repository.to_owned(), digest), bytes);
        // Without a `Location`.
        status(201, &[], "")
    }
}
