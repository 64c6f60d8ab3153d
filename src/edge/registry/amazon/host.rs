//! What is known of Amazon ECR by a registry's name alone: account, region, and where its API is.

/// A registry of Amazon's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ecr {
    /// An account's own, in one region.
    Private(PrivateEcr),
    /// `public.ecr.aws`, of which there is one.
    Public,
}

/// A private registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrivateEcr {
    /// The account it belongs to.
    pub(crate) account: String,
    /// The region it is in.
    pub(crate) region: String,
    fips: bool,
    names: &'static Names,
}

/// How registries and the API are named in a partition.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    registry: &'static str,
    api: &'static str,
    dual_stack: bool,
}

const fn names(registry: &'static str, api: &'static str, dual_stack: bool) -> Names {
    Names {
        registry,
        api,
        dual_stack,
    }
}

/// The names of all partitions, as Amazon's credential helper and SDK know them.
///
/// <https://github.com/awslabs/amazon-ecr-credential-helper/blob/main/ecr-login/api/client.go>,
/// <https://github.com/awslabs/aws-sdk-rust/blob/main/sdk/ecr/src/endpoint_lib.rs>
const NAMES: [Names; 10] = [
    names("amazonaws.com", "amazonaws.com", false),
    names("amazonaws.com.cn", "amazonaws.com.cn", false),
    names("amazonaws.eu", "amazonaws.eu", false),
    names("sc2s.sgov.gov", "sc2s.sgov.gov", false),
    names("c2s.ic.gov", "c2s.ic.gov", false),
    names("cloud.adc-e.uk", "cloud.adc-e.uk", false),
    names("csp.hci.ic.gov", "csp.hci.ic.gov", false),
    names("on.aws", "api.aws", true),
    names(
        "on.amazonwebservices.com.cn",
        "api.amazonwebservices.com.cn",
        true,
    ),
    names("on.amazonwebservices.eu", "api.amazonwebservices.eu", true),
];

/// Where the API of `public.ecr.aws` is.
const PUBLIC_REGION: &str = "us-east-1";

impl Ecr {
    /// Reads `ACCOUNT.dkr.ecr[-fips].REGION.amazonaws.com` and its like, and `public.ecr.aws`; nothing for others.
    pub(crate) fn of(host: &str) -> Option<Self> {
        if host == "public.ecr.aws" {
            return Some(Self::Public);
        }
        let (account, rest) = host.split_once(".dkr")?;
        let (dash, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix('.')?),
        };
        let rest = rest.strip_prefix("ecr")?;
        let (fips, rest) = match rest.strip_prefix("-fips") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (region, suffix) = rest.strip_prefix('.')?.split_once('.')?;
        let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let names = NAMES
            .iter()
            .find(|names| names.registry == suffix && names.dual_stack == dash)?;
        (digits && !region.is_empty() && region.bytes().all(plain)).then(|| {
            Self::Private(PrivateEcr {
                account: account.to_owned(),
                region: region.to_owned(),
                fips,
                names,
            })
        })
    }

    /// Returns the region in which requests to the API are signed.
    pub(super) fn region(&self) -> &str {
        match self {
            Self::Private(ecr) => &ecr.region,
            Self::Public => PUBLIC_REGION,
        }
    }

    /// Returns the URL of the API.
    pub(super) fn api(&self) -> String {
        match self {
            Self::Private(ecr) => {
                let api = if ecr.names.dual_stack { "" } else { "api." };
                let fips = if ecr.fips { "-fips" } else { "" };
                format!("https://{api}ecr{fips}.{}.{}/", ecr.region, ecr.names.api)
            }
            Self::Public => format!("https://api.ecr-public.{PUBLIC_REGION}.amazonaws.com/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_of_ecr_is_known_by_its_name_in_every_partition_and_so_is_its_api() {
        // The APIs are those of the SDK's own tests.
        for (host, region, api) in [
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "eu-west-1",
                "https://api.ecr.eu-west-1.amazonaws.com/",
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
                "https://api.ecr-fips.us-gov-west-1.amazonaws.com/",
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
                "https://api.ecr.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov",
                "us-iso-east-1",
                "https://api.ecr.us-iso-east-1.c2s.ic.gov/",
            ),
            (
                "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
                "eusc-de-east-1",
                "https://api.ecr.eusc-de-east-1.amazonaws.eu/",
            ),
            (
                "123456789012.dkr-ecr.eu-west-1.on.aws",
                "eu-west-1",
                "https://ecr.eu-west-1.api.aws/",
            ),
            (
                "123456789012.dkr-ecr-fips.us-east-1.on.aws",
                "us-east-1",
                "https://ecr-fips.us-east-1.api.aws/",
            ),
            (
                "123456789012.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
                "cn-northwest-1",
                "https://ecr.cn-northwest-1.api.amazonwebservices.com.cn/",
            ),
            (
                "public.ecr.aws",
                "us-east-1",
                "https://api.ecr-public.us-east-1.amazonaws.com/",
            ),
        ] {
            let ecr = Ecr::of(host).expect(host);
            assert_eq!((ecr.region(), &*ecr.api()), (region, api), "{host}");
            if let Ecr::Private(ecr) = ecr {
                assert_eq!(ecr.account, "123456789012");
            }
        }
        for host in [
            "12345.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.org",
            "123456789012.dkr.ecr.eu-west-1.on.aws",
            "123456789012.dkr-ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.evil.org#.amazonaws.com",
            "123456789012.dkr.ecr.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:5000",
            "public.ecr.aws.evil.org",
            "r.example.com",
            "127.0.0.1:5000",
        ] {
            assert_eq!(Ecr::of(host), None, "{host}");
        }
    }
}
