//! Reads what a registry asks for when it answers 401: the `WWW-Authenticate` header.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1>,
//! <https://distribution.github.io/distribution/spec/auth/token/>

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from a token service.
    Bearer {
        /// The URL of the token service.
        realm: String,
        /// The name of the registry there.
        service: Option<String>,
        /// What the token must allow, word for word: `public.ecr.aws` says `aws`.
        scope: Option<String>,
    },
}

/// Returns the best challenge of the header's values: Bearer before Basic; none if neither is offered.
pub(crate) fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for value in values {
        for (scheme, parameters) in split(value) {
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let find = |name: &str| {
                    let found = parameters
                        .iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found
                        .map(|(_, value)| value.clone())
                        .filter(|value| !value.is_empty())
                };
                if let Some(realm) = find("realm") {
                    return Some(Challenge::Bearer {
                        realm,
                        service: find("service"),
                        scope: find("scope"),
                    });
                }
            }
        }
    }
    basic
}

/// A scheme and its parameters.
type Offer = (String, Vec<(String, String)>);

/// Splits `Scheme key=value, key="va\"lue", Other key=value`.
fn split(text: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        if rest.is_empty() {
            return offers;
        }
        let end = rest
            .find(|c: char| c == '=' || c == ',' || c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // A stray `=`: nothing can be said about what follows.
            return offers;
        }
        let after_blank = after.trim_start();
        match (after_blank.strip_prefix('='), offers.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, after) = take_value(value.trim_start());
                parameters.push((word.to_owned(), value));
                rest = after;
            }
            (Some(_), None) => return offers,
            (None, _) => {
                offers.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// Takes a token or a quoted string off the front.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| c == ',' || c.is_ascii_whitespace())
            .unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn the_challenges_that_registries_send_are_read() {
        for (value, challenge) in [
            (
                r#"Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws""#,
                bearer(
                    "https://public.ecr.aws/token/",
                    Some("public.ecr.aws"),
                    Some("aws"),
                ),
            ),
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull,push",error="invalid_token""#,
                bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/alpine:pull,push"),
                ),
            ),
            (
                "bearer REALM=https://a/t , Service = x",
                bearer("https://a/t", Some("x"), None),
            ),
            (
                r#"Basic realm="https://1.dkr.ecr.us-east-1.amazonaws.com/",service="ecr.amazonaws.com""#,
                Some(Challenge::Basic),
            ),
            ("Basic", Some(Challenge::Basic)),
            (
                r#"Basic realm="x", Bearer realm="https://a/t""#,
                bearer("https://a/t", None, None),
            ),
            (
                r#"Bearer realm="https://a/\"t""#,
                bearer("https://a/\"t", None, None),
            ),
            ("Bearer", None),
            ("Negotiate", None),
            (r#"Bearer realm="unclosed"#, bearer("unclosed", None, None)),
            ("=", None),
            ("realm=x", None),
            ("", None),
        ] {
            assert_eq!(parse([value]), challenge, "{value}");
        }
        assert_eq!(parse(["Basic", "Bearer realm=x"]), bearer("x", None, None));
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(value in "\\PC*") {
            let _ = parse([value.as_str()]);
        }
    }
}
