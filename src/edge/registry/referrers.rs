//! What refers to an image: listed by the API where a registry has it, else under the fallback tag; and attached there.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{ACCEPT, HeaderValue, LINK};
use serde_json::{Value, json};
use url::Url;

use super::client::{MANIFEST_LIMIT, Place, Registry};
use super::error::RegistryError;
use super::repository::Repository;
use crate::edge::fetch::{Request, document, retrying, shown};
use crate::oci::artifact::{Referrer, Referrers, fallback_tag};
use crate::oci::manifest::DocumentError;
use crate::oci::{Digest, Reference, json as canonical, media_type};

/// Pages of a list; a page has a hundred entries or so.
const PAGES: usize = 100;
/// How often the list under the fallback tag is written again because somebody else wrote it too.
const ROUNDS: u32 = 6;
/// The first wait between two rounds.
const WAIT: Duration = Duration::from_millis(50);

/// How something came to refer to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// It did already.
    Already,
    /// The registry lists it itself.
    Listed,
    /// The registry has no such list: it is kept under a tag.
    Tagged,
}

impl Registry {
    /// Returns what refers to `subject` in the repository that `reference` names, of one type if it is given.
    ///
    /// # Errors
    /// [`RegistryError`], by cause. That nothing refers to it is none.
    pub async fn referrers(
        &self,
        reference: &Reference,
        subject: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let place = self.place(reference, format!("{}@{subject}", reference.name()))?;
        let mut found = match self.listed(&place, subject, artifact_type).await? {
            Some(found) => found,
            None => self
                .tagged(&place, subject)
                .await?
                .into_iter()
                .filter_map(|entry| serde_json::from_value(entry).ok())
                .collect(),
        };
        // Filtering is the registry's to do or not.
        found.retain(|referrer: &Referrer| {
            artifact_type.is_none() || referrer.artifact_type.as_deref() == artifact_type
        });
        found.sort_by_key(|referrer| referrer.descriptor.digest);
        found.dedup_by_key(|referrer| referrer.descriptor.digest);
        Ok(found)
    }

    /// Asks the API, page by page; nothing if the registry has none.
    async fn listed(
        &self,
        place: &Place,
        subject: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Referrer>>, RegistryError> {
        let mut url = place.url(&["referrers", &subject.to_string()]);
        if let Some(kind) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", kind);
        }
        let mut found = Vec::new();
        for page in 0..PAGES {
            let (next, bytes) = match self.page(place, &url).await {
                Ok(answer) => answer,
                // 404 says that there is no such API; some answer otherwise to what they do not know.
                Err(RegistryError::NotFound { .. }) if page == 0 => return Ok(None),
                Err(error)
                    if page == 0 && matches!(error.status(), Some(400 | 404 | 405 | 501)) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            // As an answer to a question that it did not understand, a proxy may send anything.
            let Ok(list) = serde_json::from_slice::<Referrers>(&bytes) else {
                return Ok(None);
            };
            found.extend(list.manifests);
            match next {
                Some(next) => url = next,
                None => return Ok(Some(found)),
            }
        }
        Err(RegistryError::List {
            what: place.what.clone(),
            why: format!("more than {PAGES} pages"),
        })
    }

    /// Gets one page and where the next one is.
    async fn page(
        &self,
        place: &Place,
        url: &Url,
    ) -> Result<(Option<Url>, Vec<u8>), RegistryError> {
        let transport = self.transport(place, url)?;
        let mut request = Request::get(url.clone());
        request
            .headers
            .insert(ACCEPT, HeaderValue::from_static(media_type::INDEX));
        let (request, where_) = (&request, &shown(url));
        let _slot = self.fetcher.slot().await;
        retrying(transport.patience(), |_| async move {
            let response = self.ask(transport, place, request).await?;
            let next = next(place, url, &response)?;
            let bytes = document(response, where_, MANIFEST_LIMIT, transport.patience())
                .await
                .map_err(RegistryError::fetch(&place.what))?;
            Ok((next, bytes))
        })
        .await
    }

    /// Returns the entries under the fallback tag as they are written, with fields that imgbuild does not know.
    async fn tagged(&self, place: &Place, subject: Digest) -> Result<Vec<Value>, RegistryError> {
        let url = place.url(&["manifests", &fallback_tag(subject)]);
        let bytes = match self.page(place, &url).await {
            Ok((_, bytes)) => bytes,
            Err(RegistryError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let list: Value =
            serde_json::from_slice(&bytes).map_err(|error| RegistryError::Document {
                what: place.what.clone(),
                error: DocumentError::Json(error),
            })?;
        Ok(list
            .get("manifests")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default())
    }
}

/// Returns where the next page is: <https://www.rfc-editor.org/rfc/rfc5988>.
fn next(place: &Place, url: &Url, response: &Response) -> Result<Option<Url>, RegistryError> {
    let links = response.headers().get_all(LINK).iter();
    let links = links.filter_map(|value| value.to_str().ok());
    let Some(target) = links.flat_map(|link| link.split(',')).find_map(next_target) else {
        return Ok(None);
    };
    let bad = |why: &str| RegistryError::List {
        what: place.what.clone(),
        why: format!("its next page is at `{target}`, {why}"),
    };
    let next = url.join(target).map_err(|_| bad("which is no URL"))?;
    // It goes with credentials: a page elsewhere is none of this registry's.
    if next.origin() != url.origin() {
        return Err(bad("which is another host"));
    }
    if next == *url {
        return Err(bad("which is the same page"));
    }
    Ok(Some(next))
}

/// Returns the target of a link whose relation is `next`.
fn next_target(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.split(';').any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"') == "next"
    });
    is_next.then_some(target)
}

impl Repository {
    /// Puts the manifest of something that refers to `subject`, whose blobs are there, and has it listed.
    ///
    /// # Errors
    /// [`RegistryError`], by cause.
    pub async fn attach(
        &self,
        subject: Digest,
        referrer: &Referrer,
        manifest: &[u8],
    ) -> Result<Attached, RegistryError> {
        let digest = referrer.descriptor.digest;
        let place = self.place(&subject.to_string());
        let listed = match self.registry.listed(&place, subject, None).await {
            // Some may push and not pull.
            Err(RegistryError::Denied {
                anonymous: false, ..
            }) => None,
            listed => listed?,
        };
        let entry = |found: &Referrer| found.descriptor.digest == digest;
        if listed.is_some_and(|found| found.iter().any(entry)) {
            return Ok(Attached::Already);
        }
        let said = self
            .put(
                &digest.to_string(),
                &referrer.descriptor.media_type,
                manifest,
            )
            .await?;
        // The registry's word that it understands `subject`; without it, the list is the client's to keep.
        if said.is_some() {
            return Ok(Attached::Listed);
        }
        self.tag_referrer(&place, subject, referrer).await
    }

    /// Adds an entry to the list under the fallback tag.
    ///
    /// Registries have no way to write only what nobody else has written meanwhile, so what was written is read again.
    async fn tag_referrer(
        &self,
        place: &Place,
        subject: Digest,
        referrer: &Referrer,
    ) -> Result<Attached, RegistryError> {
        let digest = referrer.descriptor.digest.to_string();
        let is_ours = |entry: &Value| entry.get("digest").and_then(Value::as_str) == Some(&digest);
        let mut attached = Attached::Already;
        for round in 0..ROUNDS {
            let mut entries = self.registry.tagged(place, subject).await?;
            if entries.iter().any(is_ours) {
                return Ok(attached);
            }
            if round > 0 {
                // Another time for each: two that write in step would do so for ever.
                let part = u32::from(referrer.descriptor.digest.raw()[0]) + 1;
                tokio::time::sleep(WAIT * (1 << round) * part / 256).await;
                entries = self.registry.tagged(place, subject).await?;
            }
            entries.push(json!(referrer));
            let list = canonical::canonical(&json!({
                "schemaVersion": 2,
                "mediaType": media_type::INDEX,
                "manifests": entries,
            }));
            self.put_manifest(&fallback_tag(subject), media_type::INDEX, &list)
                .await?;
            attached = Attached::Tagged;
        }
        let entries = self.registry.tagged(place, subject).await?;
        if entries.iter().any(is_ours) {
            return Ok(attached);
        }
        Err(RegistryError::List {
            what: place.what.clone(),
            why: "others write it all the time".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        for (link, target) in [
            (
                r#"</v2/a/referrers/x?n=2>; rel="next""#,
                Some("/v2/a/referrers/x?n=2"),
            ),
            ("<b>; title=x; Rel=next", Some("b")),
            (r#"<b>; rel="prev""#, None),
            ("b; rel=next", None),
            ("<b", None),
        ] {
            assert_eq!(next_target(link), target, "{link}");
        }
    }
}
