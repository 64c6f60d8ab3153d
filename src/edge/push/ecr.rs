//! What helps when ECR refuses a push.

use crate::edge::registry::{Ecr, PrivateEcr};

/// Returns what makes a missing repository.
pub(super) fn create(host: &str, repository: &str) -> Option<String> {
    Some(match Ecr::of(host)? {
        Ecr::Private(ecr) => format!(
            "run `aws ecr create-repository --repository-name {repository} --region {}` in account {} (if the \
             repository is in another region or account, the registry's name is wrong), or have pushes make it: a \
             repository creation template that applies to CREATE_ON_PUSH",
            ecr.region, ecr.account
        ),
        // The alias comes first, and is no part of the repository's name.
        Ecr::Public => format!(
            "run `aws ecr-public create-repository --repository-name {} --region us-east-1`",
            repository
                .split_once('/')
                .map_or(repository, |(_, name)| name)
        ),
    })
}

/// Returns what to do about a refusal without any credentials.
pub(super) fn login(host: &str) -> Option<String> {
    let (service, region) = match Ecr::of(host)? {
        Ecr::Private(ecr) => ("ecr", ecr.region),
        Ecr::Public => ("ecr-public", "us-east-1".to_owned()),
    };
    Some(format!(
        "name AWS credentials that may push (AWS_PROFILE), or pipe the password in: aws {service} get-login-password \
         --region {region} | imgbuild push --username AWS --password-stdin ..."
    ))
}

/// Returns which permission is missing, if the registry names it; else those that pushing needs.
///
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>
pub(super) fn permissions(host: &str, repository: &str, words: &str) -> Option<String> {
    let Ecr::Private(ecr) = Ecr::of(host)? else {
        return Some(format!(
            "the alias in {repository} must be your registry's, and the identity needs ecr-public:PutImage and the \
             uploads' permissions; see whose it is: aws sts get-caller-identity"
        ));
    };
    let named = words.split_once("not authorized to perform: ");
    let Some((before, after)) = named else {
        return Some(format!(
            "check that account {} and region {} are right, and that the identity may use \
             ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, \
             ecr:PutImage and ecr:BatchGetImage on repository {repository}",
            ecr.account, ecr.region
        ));
    };
    let action = after.split_whitespace().next().unwrap_or_default();
    let other = foreign(before, &ecr).map_or_else(String::new, |account| {
        format!(
            "; the identity is of account {account} and the registry of account {}: check the registry's name, or have \
             the repository's own policy let {account} in",
            ecr.account
        )
    });
    Some(format!(
        "give the identity {action} on repository {repository} of account {} in {}{other}",
        ecr.account, ecr.region
    ))
}

/// Returns the account in `User: arn:aws:sts::111122223333:assumed-role/...` if it is not the registry's.
fn foreign<'a>(words: &'a str, ecr: &PrivateEcr) -> Option<&'a str> {
    let arn = words
        .split_whitespace()
        .find(|word| word.starts_with("arn:"))?;
    let account = arn.split(':').nth(4)?;
    (account.len() == 12 && account != ecr.account).then_some(account)
}
