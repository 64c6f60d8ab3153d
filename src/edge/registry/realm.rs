//! Decides whether a token service that a registry names may be asked, and may see a password.

use url::{Host, Url};

use super::client::Place;
use super::error::RegistryError;
use crate::edge::fetch::{Transport, authority, shown_text};

/// Returns the token service's URL if it may see credentials and be reached at a server's word.
pub(super) fn realm_url(
    transport: &Transport,
    place: &Place,
    realm: &str,
) -> Result<Url, RegistryError> {
    let refuse = |why| RegistryError::Realm {
        host: place.host.clone(),
        realm: shown_text(realm),
        why,
    };
    let url: Url = realm.parse().map_err(|_| refuse("that is not a URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if place.base.scheme() == "http" => {}
        "http" => return Err(refuse("credentials do not leave https")),
        _ => return Err(refuse("that is neither http nor https")),
    }
    // A registry out there must not make us ask a machine in here, such as a cloud's metadata service.
    if authority(&url) != authority(&place.base)
        && is_internal(&url)
        && !transport.is_insecure(&place.base)
    {
        return Err(refuse(
            "a registry elsewhere does not send to an address of this network",
        ));
    }
    Ok(url)
}

fn is_internal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => {
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
        }
        Some(Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some()
        }
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::Access;
    use super::*;
    use crate::edge::fetch::{FetchOptions, Patience};

    #[test]
    fn a_token_service_must_be_fit_to_see_a_password() {
        let options = FetchOptions::default();
        let transport = Transport::new(
            &options.user_agent,
            None,
            options.insecure_hosts,
            Patience::default(),
        );
        let transport = transport.expect("a transport");
        let place = |base: &str| Place {
            what: "x".to_owned(),
            host: "r.example.com".to_owned(),
            base: base.parse().expect("a URL"),
            repository: "x".to_owned(),
            access: Access::Pull,
        };
        for (base, realm, fit) in [
            (
                "https://r.example.com/v2/",
                "https://auth.example.com/token",
                true,
            ),
            (
                "https://r.example.com/v2/",
                "https://r.example.com/token?a=b",
                true,
            ),
            ("https://10.0.0.1/v2/", "https://10.0.0.1/token", true),
            (
                "http://127.0.0.1:5000/v2/",
                "http://127.0.0.1:5001/token",
                true,
            ),
            (
                "https://r.example.com/v2/",
                "http://auth.example.com/token",
                false,
            ),
            (
                "https://r.example.com/v2/",
                "http://169.254.169.254/latest",
                false,
            ),
            (
                "https://r.example.com/v2/",
                "https://169.254.169.254/latest",
                false,
            ),
            ("https://r.example.com/v2/", "https://[::1]/", false),
            (
                "https://r.example.com/v2/",
                "https://[::ffff:10.0.0.1]/",
                false,
            ),
            ("https://r.example.com/v2/", "https://localhost/", false),
            ("https://r.example.com/v2/", "file:///etc/passwd", false),
            ("https://r.example.com/v2/", "token", false),
        ] {
            assert_eq!(
                realm_url(&transport, &place(base), realm).is_ok(),
                fit,
                "{base} to {realm}"
            );
        }
    }
}
