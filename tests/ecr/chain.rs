//! Where credentials come from, when passwords are renewed, and what is said when there are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::server::{Server, ok, status};
use crate::{Cloud, ECR, Home, printed, token};

/// An API that gives `p1`, `p2` and so on, to whom signs for ECR in the registry's region.
fn api() -> (Server, Arc<AtomicUsize>) {
    let minted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&minted);
    let server = Server::start(move |seen, _| {
        let scope = "/eu-west-1/ecr/aws4_request, ";
        let signed = seen
            .authorization()
            .is_some_and(|header| header.starts_with("AWS4-") && header.contains(scope));
        if seen.headers.is_empty() {
            return status(500, &[], "");
        }
        let target = seen.headers.get("x-amz-target").map(String::as_str);
        if !signed || target != Some("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken") {
            return status(400, &[], r#"{"__type":"X#IncompleteSignatureException"}"#);
        }
        token(&format!("p{}", count.fetch_add(1, Ordering::SeqCst) + 1))
    });
    (server, minted)
}

#[test]
fn a_password_is_asked_for_once_and_again_when_it_has_expired() {
    let (api, minted) = api();
    let home = Home::new()
        .with_keys()
        .set("AWS_ENDPOINT_URL_ECR", api.url(""));
    let cloud = Cloud::private("p1");
    let text = printed(
        &home.push(&cloud.server, &format!("{ECR}/app:1")),
        0,
        &["p1\n"],
    );
    assert!(text.contains(&format!("{ECR}/app:1@sha256:")), "{text}");
    assert_eq!(minted.load(Ordering::SeqCst), 1);

    let cloud = Cloud::private("p3");
    cloud.door.lock().expect("no panic").expired = vec!["p2".to_owned()];
    printed(&home.push(&cloud.server, &format!("{ECR}/app:1")), 0, &[]);
    assert_eq!(cloud.shown(), ["p2", "p3"]);
    assert_eq!(minted.load(Ordering::SeqCst), 3);
}

#[test]
fn what_a_login_left_in_a_file_is_used_until_it_is_refused() {
    let (api, minted) = api();
    let home = Home::new().with_keys().set("AWS_ENDPOINT_URL", api.url(""));
    let auth = BASE64.encode("AWS:old");
    let file = format!(r#"{{"auths":{{"{ECR}":{{"auth":"{auth}"}}}}}}"#);
    home.write(".docker/config.json", &file);
    let cloud = Cloud::private("old");
    printed(&home.push(&cloud.server, &format!("{ECR}/app:1")), 0, &[]);
    assert_eq!(minted.load(Ordering::SeqCst), 0);
    for expired in [vec!["old".to_owned()], Vec::new()] {
        let next = format!("p{}", minted.load(Ordering::SeqCst) + 1);
        let cloud = Cloud::private(&next);
        cloud.door.lock().expect("no panic").expired = expired;
        printed(&home.push(&cloud.server, &format!("{ECR}/app:1")), 0, &[]);
        assert_eq!(cloud.shown(), ["old", &next]);
    }
    let kept = std::fs::read_to_string(home.dir.path().join(".docker/config.json"));
    assert_eq!(kept.expect("there"), file);
}

#[test]
fn the_role_of_a_container_does() {
    let (api, _) = api();
    let metadata = Server::start(|seen, _| match seen.path.as_str() {
        "/role" => ok(
            r#"{"AccessKeyId":"ASIATEST","SecretAccessKey":"s3cr3t-key","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#,
        ),
        _ => status(404, &[], ""),
    });
    let home = Home::new()
        .set("AWS_CONTAINER_CREDENTIALS_FULL_URI", metadata.url("/role"))
        .set("AWS_ENDPOINT_URL_ECR", api.url(""));
    let cloud = Cloud::private("p1");
    printed(&home.push(&cloud.server, &format!("{ECR}/app:1")), 0, &[]);
    assert_eq!(cloud.shown(), ["p1"]);
    let sent = &api.seen()[0].headers;
    assert_eq!(
        sent.get("x-amz-security-token").map(String::as_str),
        Some("t")
    );
}

#[test]
fn without_credentials_it_is_said_what_was_tried() {
    let cloud = Cloud::private("p1");
    let home = Home::new();
    let text = printed(&home.push(&cloud.server, &format!("{ECR}/app:1")), 3, &[]);
    for part in [
        "the environment (AWS_ACCESS_KEY_ID is not set)",
        "profile `default`",
        "web identity (AWS_WEB_IDENTITY_TOKEN_FILE is not set)",
        "switched off by AWS_EC2_METADATA_DISABLED",
        "AWS_PROFILE",
        "aws sso login",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    let home = home.set("AWS_PROFILE", "work");
    home.write(".aws/config", "[profile work]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\nregion = eu-west-1\n[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://x/start\n");
    let text = printed(&home.push(&cloud.server, &format!("{ECR}/app:1")), 3, &[]);
    assert!(text.contains("aws sso login --profile work"), "{text}");
}

#[test]
fn a_refusal_of_aws_comes_with_what_helps() {
    for (body, hint) in [
        (
            r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User: arn:aws:iam::1:user/x is not authorized to perform: ecr:GetAuthorizationToken on resource: *"}"#,
            "give the identity ecr:GetAuthorizationToken",
        ),
        (
            r#"{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}"#,
            "aws sts get-caller-identity",
        ),
        (
            r#"{"__type":"InvalidSignatureException","message":"Signature expired"}"#,
            "date -u",
        ),
    ] {
        let api = Server::start(move |_, _| status(400, &[], body));
        let home = Home::new()
            .with_keys()
            .set("AWS_ENDPOINT_URL_ECR", api.url(""));
        let cloud = Cloud::private("p1");
        let text = printed(&home.push(&cloud.server, &format!("{ECR}/app:1")), 3, &[]);
        assert!(text.contains(hint), "{text}");
        assert_eq!(cloud.shown(), [""; 0]);
    }
}
