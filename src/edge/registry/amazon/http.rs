//! Lets the AWS SDK send its requests through our own client: one TLS library, one set of proxies and authorities.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::edge::fetch::Clients;

/// More than any answer about credentials needs, in bytes.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;
/// How long to wait where the SDK sets no limit.
const LONGEST: Duration = Duration::from_secs(60);

/// Returns what the SDK is to send its requests with.
pub(super) fn through(clients: Clients) -> SharedHttpClient {
    http_client_fn(move |settings, _| {
        // The SDK counts connecting and waiting one by one. Instance metadata has a second for each, as most machines
        // have none.
        let limit = match (settings.connect_timeout(), settings.read_timeout()) {
            (None, None) => LONGEST,
            (connect, read) => connect.unwrap_or_default() + read.unwrap_or_default(),
        };
        SharedHttpConnector::new(Connector {
            clients: clients.clone(),
            limit: limit.min(LONGEST),
        })
    })
}

#[derive(Clone, Debug)]
struct Connector {
    clients: Clients,
    limit: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            tokio::time::timeout(connector.limit, send(&connector.clients, request))
                .await
                .unwrap_or_else(|late| Err(ConnectorError::timeout(late.into())))
        })
    }
}

async fn send(clients: &Clients, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let user = |error: &str| ConnectorError::user(error.to_owned().into());
    let url: Url = request
        .uri()
        .parse()
        .map_err(|_| user("the SDK asks for what is not a URL"))?;
    let method = Method::from_bytes(request.method().as_bytes())
        .map_err(|_| user("the SDK asks with a method that is none"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers().iter() {
        let name: HeaderName = name.parse().map_err(|_| user("a header has no name"))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| user("a header is no text"))?;
        // Any of them may be a token.
        value.set_sensitive(true);
        headers.append(name, value);
    }
    let body = request
        .body()
        .bytes()
        .ok_or_else(|| user("the SDK wants to stream"))?
        .to_vec();
    let sending = clients.to(&url).request(method, url).headers(headers);
    let mut response = sending.body(body).send().await.map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_LIMIT {
            return Err(user("an answer about credentials is far too long"));
        }
    }
    let status = StatusCode::try_from(response.status().as_u16())
        .map_err(|_| user("an answer has no status"))?;
    let mut answer = HttpResponse::new(status, SdkBody::from(bytes));
    for (name, value) in response.headers() {
        if let Ok(value) = value.to_str() {
            answer
                .headers_mut()
                .append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(answer)
}

fn failed(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.without_url().into())
    } else {
        ConnectorError::io(error.without_url().into())
    }
}
