//! Finds the stand-in distribution that `tests/standin/make` makes.

use std::path::PathBuf;

/// Returns the folder of a repository that `tests/standin/make` made, and the file of its key.
///
/// # Panics
/// As for `skip`.
pub(crate) fn repository(arch: &str) -> Option<(PathBuf, PathBuf)> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let made = std::env::var_os("IMGBUILD_STANDIN")
        .map_or_else(|| here.join("target/standin"), PathBuf::from);
    let mut repositories: Vec<PathBuf> = std::fs::read_dir(made.join("www/al2023/core/guids"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join(arch))
        .filter(|path| path.join("repodata/repomd.xml.asc").exists())
        .collect();
    repositories.sort();
    let key = here.join("tests/standin/keys/amazon-linux.public.asc");
    match repositories.pop().filter(|_| key.exists()) {
        Some(repository) => Some((repository, key)),
        None => crate::common::skip(
            "the stand-in is not here: run tests/standin/make, or set IMGBUILD_STANDIN",
        ),
    }
}
