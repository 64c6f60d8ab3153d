//! Sends a request to a registry: answers its challenge, tells its refusals apart.

use reqwest::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Method, Response};

use super::challenge;
use super::client::{Place, Registry};
use super::error::RegistryError;
use super::hush::hush;
use crate::edge::fetch::{FetchError, Request, Transport};

impl Registry {
    /// Sends a request, answering the registry's challenge; the answer is a success.
    ///
    /// Credentials go to the registry's own origin alone, also where the registry names another URL to send to.
    pub(super) async fn ask(
        &self,
        transport: &Transport,
        place: &Place,
        request: &Request,
    ) -> Result<Response, RegistryError> {
        let spoken = self.spoken(transport, place).await;
        let (place, request) = (&spoken.place(place), &spoken.request(request, place));
        let url = &request.url;
        let trusted = url.origin() == place.base.origin();
        let mut answer = if trusted {
            self.auth.known(transport, place).await?
        } else {
            None
        };
        // How often the registry may still be answered.
        let mut rounds = if trusted { 2 } else { 0 };
        loop {
            let mut authorized = request.clone();
            if let Some(answer) = &answer {
                authorized
                    .headers
                    .insert(AUTHORIZATION, answer.header.clone());
            }
            let response = transport
                .send(&authorized)
                .await
                .map_err(RegistryError::fetch(&place.what))?;
            let status = response.status().as_u16();
            if response.status().is_success() {
                return Ok(response);
            }
            // What an object store behind a redirect says is not the registry's word on credentials.
            let own = response.url().origin() == place.base.origin();
            let values = response.headers().get_all(WWW_AUTHENTICATE);
            let challenge = challenge::parse(values.iter().filter_map(|value| value.to_str().ok()));
            let said = answer.as_ref().map(|answer| &answer.header);
            let refusal = hush(transport.refusal(url, response).await, said);
            let (FetchError::Refused { words, .. } | FetchError::NotFound { words, .. }) = &refusal
            else {
                return Err(RegistryError::fetch(&place.what)(refusal));
            };
            let refused = answer.as_ref().map(|answer| answer.header.clone());
            if status == 400 && own && self.speaks_https(place, words).await {
                return Box::pin(self.ask(transport, place, request)).await;
            }
            // Once: a fresh token that is refused is not worth another one, but other credentials are.
            let spent = match rounds {
                2 => false,
                1 => answer.as_ref().is_none_or(|answer| !answer.replaceable),
                _ => true,
            };
            let again = match (status, challenge) {
                (401 | 403, _) if !own || spent => None,
                // public.ecr.aws refuses HEAD on blobs whatever the token
                // (<https://github.com/aws/containers-roadmap/issues/2671>). Whether it has expired, the GET that
                // follows finds out.
                (401, _) if request.method == Method::HEAD && refused.is_some() => None,
                (401, Some(challenge)) => Some(
                    self.auth
                        .answer(transport, place, challenge, refused.as_ref())
                        .await
                        .map_err(|error| error.saying(words))?,
                ),
                // ECR says so with 403 and no challenge
                // (<https://github.com/aws/aws-toolkit-azure-devops/issues/129>).
                (401 | 403, _) if words.contains("token has expired") => match refused {
                    Some(refused) => self
                        .auth
                        .replaced(transport, place, &refused)
                        .await
                        .map_err(|error| error.saying(words))?,
                    None => None,
                },
                _ => None,
            };
            if again.is_some() {
                (answer, rounds) = (again, rounds - 1);
                continue;
            }
            return Err(match (status, refusal) {
                (
                    401 | 403,
                    FetchError::Refused { words, .. } | FetchError::NotFound { words, .. },
                ) if own => RegistryError::Denied {
                    what: place.what.clone(),
                    host: place.host.clone(),
                    anonymous: answer.as_ref().is_none_or(|answer| answer.anonymous),
                    words,
                    trouble: answer.map(|answer| answer.trouble).unwrap_or_default(),
                },
                (404, FetchError::NotFound { url, words, .. }) if own => RegistryError::NotFound {
                    what: place.what.clone(),
                    url,
                    words,
                },
                (_, error) => RegistryError::Fetch {
                    what: place.what.clone(),
                    error,
                },
            });
        }
    }
}
