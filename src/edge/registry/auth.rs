//! Answers challenges: finds credentials, gets tokens, keeps them while they last.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::amazon::{Amazon, Ecr};
use super::challenge::Challenge;
use super::client::{Access, Place};
use super::credentials::{Credential, Credentials, Found};
use super::error::RegistryError;
use super::hush::hush;
use super::realm::realm_url;
use crate::edge::blocking::blocking;
use crate::edge::fetch::{FetchError, Request, Transport, document, retrying, shown};

/// The largest answer of a token service. Tokens have been seen with 100 KB.
const TOKEN_LIMIT: u64 = 1024 * 1024;
/// How long a token is good for when the service does not say.
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// A token is not used in its last moments: it must last until the registry has read it.
const TOKEN_MARGIN: Duration = Duration::from_secs(10);

/// Knows how each registry wants to be asked.
pub(super) struct Auth {
    credentials: Credentials,
    amazon: Amazon,
    // Held while a token is fetched, so that many transfers that begin at once need one token.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What a registry asked for last, by host and repository; by host alone where the scope names no repository.
    asked: BTreeMap<(String, String), Challenge>,
    /// By host too: what is for one is never sent to another.
    tokens: BTreeMap<(String, Challenge, Access), Token>,
}

struct Token {
    answer: Answer,
    expires: Instant,
}

/// What to send along, and how it came about.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) header: HeaderValue,
    /// Whether no credential was found.
    pub(super) anonymous: bool,
    /// What went wrong in looking for one.
    pub(super) trouble: Vec<String>,
    /// Whether there are others, should these be refused.
    pub(super) replaceable: bool,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(not shown)")
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            amazon: Amazon::default(),
            state: Mutex::default(),
        }
    }

    /// Returns what to send along at once, if the registry has asked for something before.
    pub(super) async fn known(
        &self,
        transport: &Transport,
        place: &Place,
    ) -> Result<Option<Answer>, RegistryError> {
        let mut state = self.state.lock().await;
        match state.asked(place) {
            Some(challenge) => self
                .header(&mut state, transport, place, challenge, None)
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    /// Returns what to send instead of `refused`, if the registry has asked for something before.
    pub(super) async fn replaced(
        &self,
        transport: &Transport,
        place: &Place,
        refused: &HeaderValue,
    ) -> Result<Option<Answer>, RegistryError> {
        let mut state = self.state.lock().await;
        match state.asked(place) {
            Some(challenge) => self
                .header(&mut state, transport, place, challenge, Some(refused))
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    /// Returns what to send along after a refusal of `refused`.
    pub(super) async fn answer(
        &self,
        transport: &Transport,
        place: &Place,
        challenge: Challenge,
        refused: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let mut state = self.state.lock().await;
        let challenge = widened(challenge, place);
        // public.ecr.aws has one scope for all repositories, so one token does.
        let one_repository = matches!(&challenge, Challenge::Bearer { scope: Some(scope), .. } if scope.contains("repository:"));
        let repository = if one_repository {
            place.repository.clone()
        } else {
            String::new()
        };
        state
            .asked
            .insert((place.host.clone(), repository), challenge.clone());
        self.header(&mut state, transport, place, challenge, refused)
            .await
    }

    async fn header(
        &self,
        state: &mut State,
        transport: &Transport,
        place: &Place,
        challenge: Challenge,
        refused: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let ecr = self.amazons(transport, place);
        // Who pulls from public.ecr.aws does so as nobody; the same challenge is answered otherwise to push.
        let access = match ecr {
            Some(Ecr::Public) => Access::Push,
            _ => Access::Pull,
        };
        let key = (place.host.clone(), challenge.clone(), access);
        if let Some(token) = state.tokens.get(&key)
            // Another transfer may have replaced the refused one meanwhile.
            && refused != Some(&token.answer.header)
            && token.expires > Instant::now()
        {
            return Ok(token.answer.clone());
        }
        let found = self.find(transport, place).await;
        let token = match ecr.filter(|_| !found.given) {
            None => token(transport, place, &challenge, found, refused).await?,
            Some(ecr) => {
                let mut trouble = found.trouble.clone();
                match kept(transport, place, &challenge, found, refused, &mut trouble).await? {
                    Some(token) => token,
                    None => {
                        self.ask_aws(transport, place, &challenge, &ecr, trouble)
                            .await?
                    }
                }
            }
        };
        let answer = token.answer.clone();
        state.tokens.insert(key, token);
        Ok(answer)
    }

    /// Returns whose registry it is, if AWS is to be asked for a password.
    fn amazons(&self, transport: &Transport, place: &Place) -> Option<Ecr> {
        if !self.credentials.asks_aws() || !may_send(transport, place) {
            return None;
        }
        match Ecr::of(&place.host)? {
            // Anybody may pull, and most machines have no AWS credentials to look for.
            Ecr::Public if place.access == Access::Pull => None,
            ecr => Some(ecr),
        }
    }

    async fn ask_aws(
        &self,
        transport: &Transport,
        place: &Place,
        challenge: &Challenge,
        ecr: &Ecr,
        trouble: Vec<String>,
    ) -> Result<Token, RegistryError> {
        let password = match self.amazon.password(transport, ecr).await {
            Ok(password) => password,
            Err(error) => {
                return Err(RegistryError::Amazon {
                    what: place.what.clone(),
                    host: place.host.clone(),
                    error,
                    trouble,
                });
            }
        };
        let found = Found {
            credential: Some(password.credential),
            trouble,
            ..Found::default()
        };
        let token = token(transport, place, challenge, found, None).await?;
        Ok(Token {
            expires: token.expires.min(password.expires),
            ..token
        })
    }

    async fn find(&self, transport: &Transport, place: &Place) -> Found {
        if !may_send(transport, place) {
            return Found {
                trouble: vec!["no password is sent over plain http".to_owned()],
                ..Found::default()
            };
        }
        let (credentials, host, repository) = (
            self.credentials.clone(),
            place.host.clone(),
            place.repository.clone(),
        );
        blocking(move || credentials.find(&host, &repository)).await
    }
}

/// Tells whether credentials may be sent: by https, or to this machine, or where somebody asked for it.
fn may_send(transport: &Transport, place: &Place) -> bool {
    place.base.scheme() == "https" || transport.is_insecure(&place.base)
}

/// Returns the token for what a file holds; none if it holds nothing, or what is not good any more.
async fn kept(
    transport: &Transport,
    place: &Place,
    challenge: &Challenge,
    found: Found,
    refused: Option<&HeaderValue>,
    trouble: &mut Vec<String>,
) -> Result<Option<Token>, RegistryError> {
    if found.credential.is_none() {
        return Ok(None);
    }
    match token(transport, place, challenge, found, refused).await {
        Ok(mut token) => {
            token.answer.replaceable = true;
            Ok(Some(token))
        }
        // What `docker login` left there ends after 12 hours.
        Err(RegistryError::Denied { .. }) => {
            trouble.push("the credentials that a file or helper holds are refused".to_owned());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Answers a challenge with what was found.
async fn token(
    transport: &Transport,
    place: &Place,
    challenge: &Challenge,
    found: Found,
    refused: Option<&HeaderValue>,
) -> Result<Token, RegistryError> {
    match challenge {
        Challenge::Basic => basic(place, found, refused),
        Challenge::Bearer {
            realm,
            service,
            scope,
        } => {
            let (service, scope) = (service.as_deref(), scope.as_deref());
            mint(transport, place, found, realm, service, scope).await
        }
    }
}

impl State {
    fn asked(&self, place: &Place) -> Option<Challenge> {
        [place.repository.as_str(), ""]
            .iter()
            .find_map(|repository| {
                self.asked
                    .get(&(place.host.clone(), (*repository).to_owned()))
            })
            .cloned()
    }
}

/// Asks at once for what a push needs: registries name what the one request needs, and some nothing.
///
/// Other scopes stay as they are, such as `aws` of `public.ecr.aws`, or those of two repositories for a mount.
fn widened(mut challenge: Challenge, place: &Place) -> Challenge {
    if let (Challenge::Bearer { scope, .. }, Access::Push) = (&mut challenge, place.access) {
        let pull = format!("repository:{}:pull", place.repository);
        if scope.as_ref().is_none_or(|scope| *scope == pull) {
            *scope = Some(format!("{pull},push"));
        }
    }
    challenge
}

fn basic(
    place: &Place,
    found: Found,
    refused: Option<&HeaderValue>,
) -> Result<Token, RegistryError> {
    let denied = |anonymous, trouble| RegistryError::Denied {
        what: place.what.clone(),
        host: place.host.clone(),
        anonymous,
        words: String::new(),
        trouble,
    };
    match found.credential {
        Some(Credential::Password { user, password }) => {
            let header = basic_header(&user, &password)
                .ok_or_else(|| denied(false, found.trouble.clone()))?;
            if refused == Some(&header) {
                return Err(denied(false, found.trouble));
            }
            let far = Duration::from_secs(365 * 24 * 60 * 60);
            Ok(Token {
                answer: Answer {
                    header,
                    anonymous: false,
                    trouble: Vec::new(),
                    replaceable: false,
                },
                expires: Instant::now() + far,
            })
        }
        // An identity token is for a token service, which this registry has not.
        Some(Credential::Identity(_)) => Err(denied(false, found.trouble)),
        None => Err(denied(true, found.trouble)),
    }
}

fn basic_header(user: &str, password: &str) -> Option<HeaderValue> {
    sensitive(&format!(
        "Basic {}",
        BASE64.encode(format!("{user}:{password}"))
    ))
}

/// Returns a header that is never logged and never compressed into a shared table.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn mint(
    transport: &Transport,
    place: &Place,
    found: Found,
    realm: &str,
    service: Option<&str>,
    scope: Option<&str>,
) -> Result<Token, RegistryError> {
    let mut url = realm_url(transport, place, realm)?;
    let gave_none = |why: String| RegistryError::Token {
        host: place.host.clone(),
        realm: crate::edge::fetch::shown_text(realm),
        why,
    };
    let scopes = scope
        .into_iter()
        .flat_map(|scope| scope.split(' '))
        .map(|scope| ("scope", scope));
    let wanted = service
        .map(|service| ("service", service))
        .into_iter()
        .chain(scopes);
    let mut request = Request::get(url.clone());
    match &found.credential {
        Some(Credential::Identity(secret)) => {
            request.method = Method::POST;
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", "imgbuild"),
                ("refresh_token", secret),
            ];
            let mut encoded = url::form_urlencoded::Serializer::new(String::new());
            request.form = Some(encoded.extend_pairs(form).extend_pairs(wanted).finish());
        }
        other => {
            for (name, value) in wanted {
                url.query_pairs_mut().append_pair(name, value);
            }
            request.url = url;
            if let Some(Credential::Password { user, password }) = other {
                let header = basic_header(user, password)
                    .ok_or_else(|| gave_none("the password is not text".into()))?;
                request.headers.insert(AUTHORIZATION, header);
            }
        }
    }
    let secret = match &found.credential {
        Some(Credential::Identity(secret)) => sensitive(&format!("Identity {secret}")),
        _ => request.headers.get(AUTHORIZATION).cloned(),
    };
    let (request, where_) = (&request, &shown(&request.url));
    let body = retrying(transport.patience(), |_| async move {
        let response = transport.send(request).await?;
        let response = transport.accepted(&request.url, response).await?;
        document(response, where_, TOKEN_LIMIT, transport.patience()).await
    })
    .await
    .map_err(|error| hush(error, secret.as_ref()))
    .map_err(|error| match error.root() {
        FetchError::Refused {
            status: 400 | 401,
            words,
            ..
        }
        | FetchError::NotFound {
            status: 403, words, ..
        } => RegistryError::Denied {
            what: place.what.clone(),
            // The registry's: that is where people log in.
            host: place.host.clone(),
            anonymous: found.credential.is_none(),
            words: words.clone(),
            trouble: found.trouble.clone(),
        },
        _ => gave_none(error.to_string()),
    })?;
    // The parser's own message could quote a token.
    let answer: TokenAnswer = serde_json::from_slice(&body)
        .map_err(|_| gave_none("its answer is not a token's JSON".to_owned()))?;
    let text = answer
        .token
        .filter(|token| !token.is_empty())
        .or(answer.access_token)
        .ok_or_else(|| gave_none("its answer holds no token".to_owned()))?;
    let header = sensitive(&format!("Bearer {text}"))
        .ok_or_else(|| gave_none("its token cannot be sent".to_owned()))?;
    // A day at most, as an absurd number would overflow the clock.
    let life = answer.expires_in.map_or(TOKEN_LIFE, |seconds| {
        Duration::from_secs(seconds.min(86_400))
    });
    let answer = Answer {
        header,
        anonymous: found.credential.is_none(),
        trouble: found.trouble,
        replaceable: false,
    };
    Ok(Token {
        answer,
        expires: Instant::now() + life.saturating_sub(TOKEN_MARGIN),
    })
}
