//! A recipe, built and pushed straight out of the store.

use crate::harness::{Bench, Made, run};
use crate::real::pulled;
use crate::server::have;
use crate::server::real::real_registry;

#[test]
fn a_recipe_is_pushed_with_the_digest_that_build_prints() {
    let Some(bench) = Bench::open() else { return };
    if !(have("docker-registry") && have("skopeo")) {
        return;
    }
    let digest = bench.digest(Made::Amd64);
    let digest = digest.trim();
    let real = real_registry("", "");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let image = format!("{}/team/webhook:1.0", real.host);
    for _ in 0..2 {
        let push = ["push", "--platform", "linux/amd64"];
        let done = run(bench.imgbuild(&push).arg(&bench.project).arg(&image)).ok();
        assert_eq!(done.text(), format!("{image}@{digest}"));
    }
    assert_eq!(pulled(dir.path(), &image, &[]), digest);
}
