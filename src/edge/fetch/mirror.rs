//! Where bytes come from instead: `FROM=TO`.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Another place to get bytes from. Pins and digests do not change.
///
/// `FROM` is a host (`public.ecr.aws`), for images and URLs on it, or a URL prefix. `TO` is a host or a URL prefix;
/// without a scheme it is reached by https, on loopback by http, as Docker does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    from: From,
    to: Url,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    /// A host, with its port if it has one.
    Host(String),
    /// A URL that ends with a slash.
    Prefix(Url),
}

/// Why a string is not a mirror.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// There is no `=`.
    #[error("`{0}` is not a mirror: wanted FROM=TO")]
    Form(String),
    /// A side is neither a host nor a URL.
    #[error("`{0}` in a mirror is neither a host nor a URL with http, https or file")]
    Side(String),
}

impl FromStr for Mirror {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, MirrorError> {
        let (from, to) = text
            .split_once('=')
            .ok_or_else(|| MirrorError::Form(text.to_owned()))?;
        let from = if from.contains("://") {
            From::Prefix(prefix(from)?)
        } else {
            // Parsed only to know that it is a host and nothing else.
            let url = prefix(&format!("https://{from}"))?;
            if url.path() != "/" || from.contains('@') {
                return Err(MirrorError::Side(from.to_owned()));
            }
            From::Host(from.trim_end_matches('/').to_ascii_lowercase())
        };
        let to = if to.contains("://") {
            prefix(to)?
        } else {
            let https = prefix(&format!("https://{to}"))?;
            if is_loopback(&https) {
                prefix(&format!("http://{to}"))?
            } else {
                https
            }
        };
        Ok(Self { from, to })
    }
}

fn prefix(text: &str) -> Result<Url, MirrorError> {
    let bad = || MirrorError::Side(shown_text(text));
    let mut url: Url = text.parse().map_err(|_| bad())?;
    let known = match url.scheme() {
        "http" | "https" => url.has_host(),
        "file" => true,
        _ => false,
    };
    if !known || url.query().is_some() || url.fragment().is_some() {
        return Err(bad());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

impl Mirror {
    /// Returns the URL to ask instead of `url`, and how long the match is, if this mirror covers it.
    fn rewrite(&self, url: &Url) -> Option<(usize, Url)> {
        let (length, rest) = match &self.from {
            From::Host(host) => {
                let whole = authority(url)? == *host && matches!(url.scheme(), "http" | "https");
                // Shorter than the same host written as a URL: that is the more specific wish.
                (
                    host.len(),
                    whole.then(|| &url[url::Position::BeforePath..])?,
                )
            }
            From::Prefix(prefix) => (
                prefix.as_str().len(),
                url.as_str().strip_prefix(prefix.as_str())?,
            ),
        };
        let rest = rest.trim_start_matches('/');
        // By text, not by `join`, which would take a rest such as `a:b` for a URL of its own.
        let rewritten: Url = format!("{}{rest}", self.to).parse().ok()?;
        // A rest with `..` must not leave the mirror's folder.
        rewritten
            .as_str()
            .starts_with(self.to.as_str())
            .then_some((length, rewritten))
    }

    /// Returns where the registry `host` is instead: a URL whose path is a prefix of the repository.
    fn registry(&self, host: &str) -> Option<&Url> {
        match &self.from {
            From::Host(from) => (*from == host.to_ascii_lowercase()).then_some(&self.to),
            From::Prefix(prefix) => (prefix.scheme() == "https"
                && prefix.path() == "/"
                && authority(prefix)? == host.to_ascii_lowercase())
            .then_some(&self.to),
        }
        .filter(|to| to.scheme() != "file")
    }
}

/// Returns what to ask instead of `url`: by the longest match, the first of equals; `url` itself if none matches.
#[must_use]
pub(crate) fn rewrite(mirrors: &[Mirror], url: &Url) -> Url {
    let mut best: Option<(usize, Url)> = None;
    for mirror in mirrors {
        if let Some((length, rewritten)) = mirror.rewrite(url)
            && best.as_ref().is_none_or(|(so_far, _)| length > *so_far)
        {
            best = Some((length, rewritten));
        }
    }
    best.map_or_else(|| url.clone(), |(_, rewritten)| rewritten)
}

/// Returns where the registry `host` is instead, by the first mirror that names it.
#[must_use]
pub(crate) fn registry<'a>(mirrors: &'a [Mirror], host: &str) -> Option<&'a Url> {
    mirrors.iter().find_map(|mirror| mirror.registry(host))
}

/// Returns host and port of a URL, the port only if it is not the scheme's own.
#[must_use]
pub(crate) fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Tells whether a URL leads to this machine.
#[must_use]
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns a URL for messages: without user, password, query and fragment, which may hold secrets.
#[must_use]
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The same for text that may not be a URL.
#[must_use]
pub(crate) fn shown_text(text: &str) -> String {
    match text.parse::<Url>() {
        Ok(url) => shown(&url),
        Err(_) => match (text.split_once("://"), text.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => text.to_owned(),
        },
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            From::Host(host) => write!(f, "{host}={}", shown(&self.to)),
            From::Prefix(prefix) => write!(f, "{}={}", shown(prefix), shown(&self.to)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(mirrors: &[&str], url: &str) -> String {
        let mirrors: Vec<Mirror> = mirrors
            .iter()
            .map(|text| text.parse().expect(text))
            .collect();
        rewrite(&mirrors, &url.parse().expect(url)).to_string()
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        let short = "https://cdn.example.com/=http://127.0.0.1:1/a";
        let long = "https://cdn.example.com/core=http://127.0.0.1:1/b/";
        for mirrors in [[short, long], [long, short]] {
            assert_eq!(
                ask(&mirrors, "https://cdn.example.com/core/x.rpm"),
                "http://127.0.0.1:1/b/x.rpm"
            );
            assert_eq!(
                ask(&mirrors, "https://cdn.example.com/corex"),
                "http://127.0.0.1:1/a/corex"
            );
        }
    }

    #[test]
    fn a_prefix_ends_at_a_slash_and_a_host_is_the_whole_host() {
        for mirror in [
            "https://a.example.com=http://127.0.0.1:1",
            "a.example.com=http://127.0.0.1:1",
        ] {
            for url in [
                "https://a.example.com.evil.org/x",
                "https://a.example.com:444/x",
                "https://b.example.com/x",
            ] {
                assert_eq!(ask(&[mirror], url), url);
            }
            assert_eq!(
                ask(&[mirror], "https://a.example.com/x?y"),
                "http://127.0.0.1:1/x?y"
            );
        }
    }

    #[test]
    fn a_mirror_without_scheme_is_reached_by_http_only_on_loopback() {
        assert_eq!(
            ask(&["a.example.com=127.0.0.1:5000"], "https://a.example.com/x"),
            "http://127.0.0.1:5000/x"
        );
        assert_eq!(
            ask(&["a.example.com=[::1]:5000"], "https://a.example.com/x"),
            "http://[::1]:5000/x"
        );
        assert_eq!(
            ask(&["a.example.com=mirror.corp"], "https://a.example.com/x"),
            "https://mirror.corp/x"
        );
    }

    #[test]
    fn a_registry_is_mirrored_by_its_host_and_may_get_a_prefix() {
        let mirrors: Vec<Mirror> = vec![
            "public.ecr.aws=127.0.0.1:5000/proxy"
                .parse()
                .expect("valid"),
            "https://r.io=file:///x".parse().expect("valid"),
        ];
        assert_eq!(
            registry(&mirrors, "public.ecr.aws").map(Url::as_str),
            Some("http://127.0.0.1:5000/proxy/")
        );
        assert_eq!(registry(&mirrors, "ecr.aws"), None);
        assert_eq!(registry(&mirrors, "r.io"), None);
    }

    #[test]
    fn what_is_not_a_mirror_is_refused_and_secrets_are_not_shown() {
        for text in [
            "",
            "a",
            "=b",
            "a=",
            "ftp://a=b",
            "a/b=c",
            "https://a/?q=b",
            "https://a/=ssh://b/",
        ] {
            assert!(text.parse::<Mirror>().is_err(), "{text} was accepted");
        }
        let mirror: Mirror = "a.example.com=https://me:secret@b.example.com/x"
            .parse()
            .expect("valid");
        assert_eq!(mirror.to_string(), "a.example.com=https://b.example.com/x/");
        let error = "a.example.com=ftp://me:secret@b/"
            .parse::<Mirror>()
            .expect_err("no such scheme");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
