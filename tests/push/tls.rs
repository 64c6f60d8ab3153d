//! Registries with TLS: a private authority must be named, and is then all it takes.

use imgbuild::edge::layout::Format;

use crate::harness::{installed, scratch};
use crate::real::{err, imgbuild, out, pulled};
use crate::server::real::{private_authority, real_registry, with_passwords};
use crate::{Sample, sample};

#[test]
fn a_private_authority_is_trusted_by_name_and_not_otherwise() {
    if installed(&["docker-registry", "skopeo", "openssl"]).is_none() {
        return;
    }
    let folder = scratch();
    let dir = folder.path();
    let top = sample(&dir.join("layout"), Format::Oci, &Sample::default());
    let tls = private_authority(dir);
    // Basic over TLS, as ECR.
    let real = real_registry(&tls.configuration(), &with_passwords(dir));
    let image = format!("{}/team/app:1.0", real.host);
    let login = ["--username", "me", "--password-stdin"];
    let plain = [&["layout", &image], &login[..]].concat();
    let said = err(&imgbuild(dir, &plain, "hunter2"), 3);
    assert!(said.contains("cannot trust https://127.0.0.1"), "{said}");
    assert!(
        said.contains("hint:") && said.contains("--ca-file"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");

    let authority = tls.authority.display().to_string();
    let trusting = [&plain[..], &["--ca-file", &authority]].concat();
    let said = out(&imgbuild(dir, &trusting, "hunter2"));
    assert_eq!(said, format!("{image}@{}", top.digest));
    // skopeo trusts what is in a folder, by its end.
    let folder = dir.join("certificates");
    std::fs::create_dir(&folder).expect("made");
    std::fs::copy(&tls.authority, folder.join("ca.crt")).expect("copied");
    let trust = format!("--src-cert-dir={}", folder.display());
    let more = ["--src-tls-verify=true", &trust, "--src-creds=me:hunter2"];
    assert_eq!(pulled(dir, &image, &more), top.digest.to_string());

    // Not every authority: another one of the same name signed nothing here.
    std::fs::create_dir(dir.join("other")).expect("made");
    let other = private_authority(&dir.join("other"));
    let other = other.authority.display().to_string();
    let wrong = [&plain[..], &["--ca-file", &other]].concat();
    let said = err(&imgbuild(dir, &wrong, "hunter2"), 3);
    assert!(said.contains("cannot trust"), "{said}");
    let absent = [&plain[..], &["--ca-file", "absent.pem"]].concat();
    let said = err(&imgbuild(dir, &absent, "hunter2"), 2);
    assert!(
        said.contains("cannot use the certificates in absent.pem"),
        "{said}"
    );
}
