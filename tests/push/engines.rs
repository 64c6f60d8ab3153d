//! Others pull what was pushed: skopeo, podman and docker see the same digest, and unpack the layers.

use crate::harness::{Docker, Podman, installed, needs_root, scratch};
use crate::image::small_image;
use crate::real::{imgbuild, out, pulled};
use crate::server::real::real_registry;

#[test]
fn skopeo_podman_and_docker_pull_the_digest_that_was_pushed() {
    let programs = ["docker-registry", "skopeo", "podman", "docker", "dockerd"];
    if installed(&programs).is_none() || needs_root("engines want it").is_none() {
        return;
    }
    let folder = scratch();
    let dir = folder.path();
    let top = small_image(&dir.join("layout"), 1).digest.to_string();
    let real = real_registry("", "");
    let image = format!("{}/team/app:1.0", real.host);
    out(&imgbuild(dir, &["layout", &image], ""));
    assert_eq!(pulled(dir, &image, &[]), top);

    let podman = Podman::new();
    podman.run(&["pull", "--tls-verify=false", &image]).ok();
    let format = ["image", "inspect", "--format", "{{.RepoDigests}}", &image];
    let digests = podman.run(&format).ok();
    assert!(digests.out.contains(&top), "{digests}");

    // Registries on loopback may be plain for docker without being named.
    let docker = Docker::shared();
    docker.run(&["pull", &image]).ok();
    let digests = docker.run(&format).ok();
    assert!(digests.out.contains(&top), "{digests}");
    let by_digest = format!("{}/team/app@{top}", real.host);
    docker.run(&["pull", &by_digest]).ok();
    podman.run(&["pull", "--tls-verify=false", &by_digest]).ok();
}
