//! `public.ecr.aws`: a token service in front, which wants a password of AWS's from whom pushes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::server::{Server, ok, status};
use crate::{Home, basic, printed, takes_all};

#[test]
fn who_pushes_to_the_public_registry_gets_its_token_with_a_password_of_aws() {
    let kept = Mutex::new(BTreeMap::new());
    let registry = Server::start(move |seen, _| {
        if seen.headers.is_empty() {
            return status(500, &[], "");
        }
        if seen.method == "CONNECT" {
            return status(502, &[], "");
        }
        let url = url::Url::parse(&seen.path).expect("a whole URL, as to a proxy");
        assert_eq!(url.host_str(), Some("public.ecr.aws"));
        match (url.path(), seen.authorization()) {
            ("/token/", Some(header)) if basic(header).as_deref() == Some("public-pw") => {
                assert_eq!(url.query(), Some("service=public.ecr.aws&scope=aws"));
                ok(r#"{"token":"bearer-t"}"#)
            }
            ("/token/", _) => ok(r#"{"token":"nobody"}"#),
            (_, Some("Bearer bearer-t")) => takes_all(seen, &mut kept.lock().expect("no panic")),
            _ => {
                let challenge = r#"Bearer realm="http://public.ecr.aws/token/",service="public.ecr.aws",scope="aws""#;
                status(401, &[("www-authenticate", challenge)], "Not Authorized")
            }
        }
    });
    let api = Server::start(|seen, _| {
        let target = seen.headers.get("x-amz-target").map(String::as_str);
        let scope = "/us-east-1/ecr-public/aws4_request, ";
        let signed = seen
            .authorization()
            .is_some_and(|header| header.contains(scope));
        if target != Some("SpencerFrontendService.GetAuthorizationToken") || !signed {
            return status(400, &[], r#"{"__type":"UnknownOperationException"}"#);
        }
        let token = BASE64.encode("AWS:public-pw");
        ok(format!(
            r#"{{"authorizationData":{{"authorizationToken":"{token}","expiresAt":4000000000}}}}"#
        ))
    });
    let home = Home::new()
        .with_keys()
        .set("AWS_REGION", "eu-west-1")
        .set("AWS_ENDPOINT_URL_ECR_PUBLIC", api.url(""));
    let pushed = home.push(&registry, "public.ecr.aws/alias/app:1");
    printed(&pushed, 0, &["public-pw", "bearer-t"]);
    assert_eq!(api.seen().len(), 1);
}
