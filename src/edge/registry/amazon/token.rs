//! Asks ECR's API for a password: one signed request.
//!
//! <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>,
//! <https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html>

use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::service_config::ServiceConfigKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::Password;
use super::error::AmazonError;
use super::host::Ecr;
use crate::edge::fetch::{FetchError, Transport, document, retrying, shown, words};
use crate::edge::registry::Credential;

/// The largest answer; passwords have some 3 KB.
const ANSWER_LIMIT: u64 = 256 * 1024;
const KIND: &str = "application/x-amz-json-1.1";
const BODY: &str = "{}";
/// How long a password is used whose end has passed already: then one of the two clocks is wrong, and the registry
/// says when it has had enough of it.
const LIFE: Duration = Duration::from_secs(60);
/// A password is not used in its last moments, so that it lasts until the registry has read it.
const MARGIN: Duration = Duration::from_secs(10);

/// What the SDK would know of the service.
struct Service {
    /// As AWS_ENDPOINT_URL_… and profiles name it.
    id: &'static str,
    /// As signatures name it.
    signing: &'static str,
    /// As `X-Amz-Target` names the action.
    target: &'static str,
    /// As policies name the action.
    action: &'static str,
}

const PRIVATE: Service = Service {
    id: "ECR",
    signing: "ecr",
    target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
    action: "ecr:GetAuthorizationToken",
};
const PUBLIC: Service = Service {
    id: "ECR PUBLIC",
    signing: "ecr-public",
    target: "SpencerFrontendService.GetAuthorizationToken",
    action: "ecr-public:GetAuthorizationToken",
};

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "authorizationData")]
    data: Data,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    /// Of private registries.
    List(Vec<Entry>),
    /// Of the public one.
    One(Entry),
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "authorizationToken")]
    token: String,
    /// Seconds since 1970 UTC.
    #[serde(default, rename = "expiresAt")]
    expires: Option<f64>,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default, rename = "__type")]
    kind: String,
    #[serde(default, alias = "Message")]
    message: String,
}

/// Returns a new password for `ecr`.
pub(super) async fn get(
    transport: &Transport,
    config: &SdkConfig,
    ecr: &Ecr,
    credentials: Credentials,
) -> Result<Password, AmazonError> {
    let service = match ecr {
        Ecr::Private(_) => &PRIVATE,
        Ecr::Public => &PUBLIC,
    };
    let url = endpoint(config, service).unwrap_or_else(|| ecr.api());
    let url: Url = url.parse().map_err(|_| FetchError::Url {
        url: crate::edge::fetch::shown_text(&url),
        why: "AWS_ENDPOINT_URL or a profile's `endpoint_url` names it".to_owned(),
    })?;
    let (url, region, credentials) = (&url, ecr.region(), &credentials);
    let (status, bytes) = retrying(transport.patience(), |_| async move {
        let headers = signed(service, region, url, credentials, SystemTime::now());
        let sending = transport.clients().to(url).post(url.clone());
        let response = sending
            .headers(headers.ok_or_else(|| answer(url, service, "it cannot be signed"))?)
            .body(BODY)
            .send()
            .await
            .map_err(|error| {
                FetchError::transport(&shown(url), &error, transport.patience().stall)
            })?;
        let status = response.status().as_u16();
        let bytes = document(response, &shown(url), ANSWER_LIMIT, transport.patience()).await?;
        // AWS says 400 where others say 429.
        let throttled = refusal(&bytes).kind.contains("Throttling");
        if throttled || status == 429 || status >= 500 {
            return Err(AmazonError::Fetch(FetchError::Refused {
                url: shown(url),
                status: if throttled { 429 } else { status },
                words: words(&bytes),
                retry_after: None,
            }));
        }
        Ok((status, bytes))
    })
    .await?;
    if status != 200 {
        let said = refusal(&bytes);
        // Of a signature that is wrong, what was signed is quoted, with the session's token in it.
        let message = said.message.split("The Canonical String").next();
        let message = message.filter(|message| !message.is_empty());
        let code = said.kind.rsplit('#').next().unwrap_or_default();
        return Err(AmazonError::Refused {
            api: shown(url),
            action: service.action,
            code: if code.is_empty() {
                format!("HTTP status {status}")
            } else {
                words(code.as_bytes())
            },
            words: words(message.unwrap_or("it says no more").as_bytes()),
        });
    }
    read(&bytes, SystemTime::now()).map_err(|why| answer(url, service, why))
}

/// Returns where the API is by AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL or the profile, if one of them says.
fn endpoint(config: &SdkConfig, service: &Service) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service.id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let own = config
        .service_config()
        .and_then(|config| config.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Returns the headers of a request that is signed at `now`.
fn signed(
    service: &Service,
    region: &str,
    url: &Url,
    credentials: &Credentials,
    now: SystemTime,
) -> Option<HeaderMap> {
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service.signing)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .ok()?;
    let own = [("content-type", KIND), ("x-amz-target", service.target)];
    let body = SignableBody::Bytes(BODY.as_bytes());
    let request = SignableRequest::new("POST", url.as_str(), own.into_iter(), body).ok()?;
    let (instructions, _) = sign(request, &parameters.into()).ok()?.into_parts();
    let mut headers = HeaderMap::new();
    for (name, value) in own.into_iter().chain(instructions.headers()) {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        headers.insert(name.parse::<HeaderName>().ok()?, value);
    }
    Some(headers)
}

fn answer(url: &Url, service: &Service, why: &'static str) -> AmazonError {
    AmazonError::Answer {
        api: shown(url),
        action: service.action,
        why,
    }
}

fn refusal(bytes: &[u8]) -> Refusal {
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// Reads the password. What the parser itself says could quote it.
fn read(bytes: &[u8], now: SystemTime) -> Result<Password, &'static str> {
    let answer: Answer =
        serde_json::from_slice(bytes).map_err(|_| "its answer is not the JSON of one")?;
    let entry = match answer.data {
        Data::One(entry) => entry,
        Data::List(list) => list.into_iter().next().ok_or("its list is empty")?,
    };
    let plain = BASE64
        .decode(entry.token.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let (user, password) = plain
        .as_deref()
        .and_then(|plain| plain.split_once(':'))
        .ok_or("it is not base64 of user:password")?;
    let left = entry.expires.and_then(|expires| {
        // A year at most, as an absurd number would overflow the clock.
        let expires = Duration::try_from_secs_f64(expires).ok()?;
        let since = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let left = expires.checked_sub(since)?;
        Some(left.min(Duration::from_secs(365 * 24 * 60 * 60)))
    });
    Ok(Password {
        credential: Credential::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        },
        expires: Instant::now() + left.map_or(LIFE, |left| left.saturating_sub(MARGIN)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_from_either_form_and_kept_no_longer_than_it_lasts() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        // AWS:secret
        let token = "QVdTOnNlY3JldA==";
        for (text, seconds) in [
            (
                format!(
                    r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":1000600.5,"proxyEndpoint":"x"}}]}}"#
                ),
                590,
            ),
            (
                format!(
                    r#"{{"authorizationData":{{"authorizationToken":"{token}","expiresAt":1000100}}}}"#
                ),
                90,
            ),
            // A clock that is wrong, or none.
            (
                format!(
                    r#"{{"authorizationData":{{"authorizationToken":"{token}","expiresAt":1}}}}"#
                ),
                60,
            ),
            (
                format!(r#"{{"authorizationData":{{"authorizationToken":"{token}"}}}}"#),
                60,
            ),
        ] {
            let read = read(text.as_bytes(), now).unwrap_or_else(|why| panic!("{text}: {why}"));
            let credential = Credential::Password {
                user: "AWS".to_owned(),
                password: "secret".to_owned(),
            };
            assert!(read.credential == credential);
            let left = read.expires - Instant::now();
            assert!(
                left <= Duration::from_secs(seconds + 1)
                    && left > Duration::from_secs(seconds.saturating_sub(5)),
                "{text}: {left:?}"
            );
        }
        for text in [
            "",
            "{}",
            r#"{"authorizationData":[]}"#,
            r#"{"authorizationData":[{"authorizationToken":"c2VjcmV0"}]}"#,
            r#"{"authorizationData":[{"authorizationToken":"!"}]}"#,
        ] {
            let why = read(text.as_bytes(), now).err().expect("refused");
            assert!(!why.contains("c2VjcmV0"));
        }
    }

    #[test]
    fn a_request_is_signed_for_its_service_and_region() {
        let credentials = Credentials::new("AKID", "secret", Some("session".into()), None, "test");
        let url = "https://api.ecr.eu-west-1.amazonaws.com/"
            .parse()
            .expect("a URL");
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let headers = signed(&PRIVATE, "eu-west-1", &url, &credentials, at).expect("signed");
        let text = |name: &str| headers[name].to_str().expect("text").to_owned();
        assert!(
            text("authorization").starts_with(
                "AWS4-HMAC-SHA256 Credential=AKID/20231114/eu-west-1/ecr/aws4_request"
            )
        );
        assert_eq!(text("x-amz-date"), "20231114T221320Z");
        assert_eq!(text("x-amz-security-token"), "session");
        assert_eq!(text("x-amz-target"), PRIVATE.target);
        assert!(headers.values().all(HeaderValue::is_sensitive));
    }
}
