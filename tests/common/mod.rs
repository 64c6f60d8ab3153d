//! Finds test data that is not part of the repository.

use std::path::PathBuf;

/// Returns the path of a file of the shared test data; says why and returns none if it is absent.
///
/// # Panics
/// If it is absent and `IMGBUILD_TEST_REQUIRE_ALL=1` asks for all tests.
pub(crate) fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("IMGBUILD_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = root.join(name);
    path.exists().then_some(path).or_else(|| {
        skip(&format!(
            "test data {name} is not here: set IMGBUILD_TEST_DATA"
        ))
    })
}

/// Says that a test cannot run, and why.
///
/// # Panics
/// If `IMGBUILD_TEST_REQUIRE_ALL=1` asks for all tests.
pub(crate) fn skip<T>(why: &str) -> Option<T> {
    let all = std::env::var_os("IMGBUILD_TEST_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!all, "cannot run: {why}");
    #[expect(clippy::print_stdout, reason = "a skipped test must say so")]
    {
        println!("skipped: {why}");
    }
    None
}
