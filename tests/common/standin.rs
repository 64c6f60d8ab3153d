//! Finds the stand-in distribution that `tests/standin/make` makes.

use std::path::PathBuf;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the folder of the newest repository and the file of its key.
///
/// # Panics
/// As for `skip`.
pub(crate) fn repository(arch: &str) -> Option<(PathBuf, PathBuf)> {
    let www = crate::common::standin_folder().join("www");
    let list =
        std::fs::read_to_string(www.join(format!("al2023/core/mirrors/latest/{arch}/mirror.list")));
    let repository = list.ok().and_then(|url| {
        let path = url
            .trim()
            .strip_prefix("https://cdn.amazonlinux.com/")?
            .to_owned();
        Some(www.join(path)).filter(|path| path.join("repodata/repomd.xml.asc").exists())
    });
    let key = here().join("tests/standin/keys/amazon-linux.public.asc");
    match repository.filter(|_| key.exists()) {
        Some(repository) => Some((repository, key)),
        None => crate::common::skip(
            "the stand-in is not here: run tests/standin/make, or set IMGBUILD_STANDIN",
        ),
    }
}

/// Returns the OCI layout of the base image.
#[allow(dead_code, reason = "not every test looks at the base")]
pub(crate) fn base(arch: &str) -> PathBuf {
    crate::common::standin_folder().join(format!("base-{arch}"))
}
