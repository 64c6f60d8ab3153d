//! Keeps what was told a server in confidence out of what the server is quoted with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::HeaderValue;

use crate::edge::fetch::FetchError;

/// How much of a secret gives it away: what a server says may be cut in the middle of one.
const TELLING: usize = 8;

/// Cuts off what a server says where it begins to repeat what an `Authorization` header holds.
pub(super) fn hush(mut error: FetchError, header: Option<&HeaderValue>) -> FetchError {
    let sent = header.and_then(|header| header.to_str().ok());
    let Some((_, secret)) = sent.and_then(|sent| sent.split_once(' ')) else {
        return error;
    };
    let decoded = BASE64.decode(secret).ok();
    let both = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let password = both.as_ref().and_then(|both| both.split_once(':'));
    if let Some(words) = words(&mut error) {
        cut(words, secret);
        if let Some((_, password)) = password {
            cut(words, password);
        }
    }
    error
}

fn words(error: &mut FetchError) -> Option<&mut String> {
    match error {
        FetchError::Refused { words, .. } | FetchError::NotFound { words, .. } => Some(words),
        FetchError::GaveUp { last: error, .. } | FetchError::Input { error, .. } => words(error),
        _ => None,
    }
}

fn cut(words: &mut String, secret: &str) {
    let telling: String = secret.chars().take(TELLING).collect();
    if let Some(at) = words.find(&telling).filter(|_| !telling.is_empty()) {
        words.truncate(at);
        words.push_str("(a secret, not shown)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_repeats_a_secret_is_quoted_up_to_there() {
        let basic = BASE64.encode("me:hunter2-is-secret");
        let token = "t".repeat(2000);
        for (header, said, quoted) in [
            (format!("Basic {basic}"), "no".to_owned(), "no"),
            (
                format!("Basic {basic}"),
                format!("got Basic {basic} of you"),
                "got Basic (a secret, not shown)",
            ),
            (
                format!("Basic {basic}"),
                "hunter2-is-secret is wrong".to_owned(),
                "(a secret, not shown)",
            ),
            (
                format!("Bearer {token}"),
                format!("bad: {}", &token[..235]),
                "bad: (a secret, not shown)",
            ),
            ("Basic ".to_owned(), "no".to_owned(), "no"),
        ] {
            let refused = FetchError::Refused {
                url: String::new(),
                status: 400,
                words: said,
                retry_after: None,
            };
            let header = HeaderValue::from_str(&header).expect("a header");
            let mut hushed = hush(refused, Some(&header));
            assert_eq!(words(&mut hushed).map(|words| words.as_str()), Some(quoted));
        }
    }
}
