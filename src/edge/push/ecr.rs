//! What is known of Amazon ECR by a registry's name alone: for hints.

/// A private registry of ECR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ecr<'a> {
    /// The account it belongs to.
    pub(super) account: &'a str,
    /// The region it is in.
    pub(super) region: &'a str,
}

/// The names of all partitions, as Amazon's credential helper knows them.
///
/// <https://github.com/awslabs/amazon-ecr-credential-helper/blob/main/ecr-login/api/client.go>
const SUFFIXES: [&str; 10] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "on.amazonwebservices.eu",
    "sc2s.sgov.gov",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

impl<'a> Ecr<'a> {
    /// Reads `ACCOUNT.dkr.ecr[-fips].REGION.amazonaws.com` and its like; nothing for other hosts.
    pub(super) fn of(host: &'a str) -> Option<Self> {
        let (account, rest) = host.split_once(".dkr")?;
        let rest = rest.strip_prefix(['.', '-'])?.strip_prefix("ecr")?;
        let rest = rest.strip_prefix("-fips").unwrap_or(rest);
        let (region, suffix) = rest.strip_prefix('.')?.split_once('.')?;
        let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        (digits && !region.is_empty() && SUFFIXES.contains(&suffix))
            .then_some(Self { account, region })
    }

    /// Returns what makes a missing repository.
    pub(super) fn create(&self, repository: &str) -> String {
        format!(
            "run `aws ecr create-repository --repository-name {repository} --region {}` in account {}, or have pushes \
             make it: a repository creation template that applies to CREATE_ON_PUSH",
            self.region, self.account
        )
    }

    /// Returns what logs in.
    pub(super) fn login(&self) -> String {
        format!(
            "pipe the password in: aws ecr get-login-password --region {} | imgbuild push --username AWS \
             --password-stdin ...",
            self.region
        )
    }

    /// Returns which permissions pushing needs.
    ///
    /// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>
    pub(super) fn permissions(&self, repository: &str) -> String {
        format!(
            "check that account {} and region {} are right, and that the identity may use \
             ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, \
             ecr:PutImage and ecr:BatchGetImage on repository {repository}",
            self.account, self.region
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_of_ecr_is_known_by_its_name_in_every_partition() {
        for (host, region) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1"),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
            ("123456789012.dkr-ecr-fips.us-east-1.on.aws", "us-east-1"),
        ] {
            let account = "123456789012";
            assert_eq!(Ecr::of(host), Some(Ecr { account, region }), "{host}");
        }
        for host in [
            "public.ecr.aws",
            "12345.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.org",
            "123456789012.dkr.ecr.amazonaws.com",
            "r.example.com",
            "127.0.0.1:5000",
        ] {
            assert_eq!(Ecr::of(host), None, "{host}");
        }
    }
}
