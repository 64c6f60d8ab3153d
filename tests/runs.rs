//! The image runs under real Docker and real podman: as its user, on a read-only root, without a volume.

mod harness;

use std::time::{Duration, Instant};

use harness::daemon::{http_get, wait_for};
use harness::{Bench, Container, Docker, Made, Podman, free_port, installed};

/// The service must answer within this time.
const START: Duration = Duration::from_secs(30);

/// Waits for `/health` on a port of this machine.
fn assert_answers(container: &Container, port: u16) {
    let answer = wait_for(START, || {
        http_get(port, "/health").filter(|(status, _)| *status == 200)
    });
    let (_, body) = answer
        .unwrap_or_else(|| panic!("no answer within {START:?}; it says:\n{}", container.logs()));
    assert!(body.contains("\"status\":\"healthy\""), "{body}");
}

/// Asks the container itself who it is and whether it can write.
fn assert_locked_down(container: &Container) {
    assert_eq!(container.exec(&["id", "-u"]).ok().text(), "1000");
    assert_eq!(
        container.exec(&["id", "-un"]).ok().text(),
        "appuser",
        "the image's own passwd names it"
    );
    for path in ["/x", "/app/x", "/app/src/x", "/home/appuser/x", "/tmp/x"] {
        let done = container.exec(&["sh", "-c", &format!("echo > {path}")]);
        assert_ne!(done.code, Some(0), "{path} can be written");
    }
}

/// Ends the container as an orchestrator does, and looks at what it leaves.
fn assert_stops(container: &Container) {
    let logs = container.logs();
    assert!(!logs.contains("Read-only file system"), "{logs}");
    assert!(!logs.contains("Traceback"), "{logs}");
    let start = Instant::now();
    container.ask(&["stop", "--time", "20"]).ok();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "SIGTERM took {took:?}");
    // 137 would be SIGKILL after the grace period.
    let code = container.inspect("{{.State.ExitCode}}");
    assert!(
        ["0", "143"].contains(&code.as_str()),
        "ended with {code}:\n{}",
        container.logs()
    );
}

/// Returns an engine with the image loaded, and the image's name.
fn docker() -> Option<(std::sync::Arc<Docker>, String)> {
    let bench = Bench::open()?;
    installed(&["docker", "dockerd"])?;
    harness::needs_root("dockerd")?;
    let docker = Docker::shared();
    let archive = bench.made(Made::DockerArchive).display().to_string();
    let loaded = docker.run(&["load", "--input", &archive]).ok();
    let name = loaded
        .out
        .lines()
        .find_map(|line| line.strip_prefix("Loaded image: "))
        .expect("a name")
        .to_owned();
    Some((docker, name))
}

#[test]
fn docker_serves_it_read_only_as_its_user() {
    let Some((docker, image)) = docker() else {
        return;
    };
    let port = free_port();
    let container = docker.start_container(&[
        "--network",
        "host",
        "--read-only",
        "--env",
        &format!("PORT={port}"),
        &image,
    ]);
    assert_answers(&container, port);
    assert_locked_down(&container);
    assert_stops(&container);
}

#[test]
fn docker_reports_it_healthy() {
    let Some((docker, image)) = docker() else {
        return;
    };
    // The health check asks for the recipe's own port, 5000. Without a network the container has a loopback interface of
    // its own, where that port is free whatever runs on this machine. Docker waits one interval before the first probe,
    // so a short one stands in for the recipe's 30 s; the command stays the image's.
    let container = docker.start_container(&[
        "--network",
        "none",
        "--read-only",
        "--health-interval",
        "1s",
        &image,
    ]);
    let healthy = wait_for(START, || {
        (container.inspect("{{.State.Health.Status}}") == "healthy").then_some(())
    });
    assert!(
        healthy.is_some(),
        "{}\n{}",
        container.inspect("{{json .State.Health}}"),
        container.logs()
    );
    assert_eq!(
        container.inspect("{{json .Config.Healthcheck.Test}}"),
        r#"["CMD-SHELL","curl -f http://localhost:5000/health || exit 1"]"#
    );
    assert_stops(&container);
}

#[test]
fn podman_serves_it_read_only_as_its_user() {
    let (Some(bench), Some(())) = (Bench::open(), installed(&["podman", "runc"])) else {
        return;
    };
    let (podman, port) = (Podman::new(), free_port());
    let image = format!("oci:{}:e2e", bench.made(Made::Amd64).display());
    let port_variable = format!("PORT={port}");
    // podman mounts a tmpfs on /tmp, /run and /var/tmp of a read-only container unless told not to.
    let container = podman.start_container(&[
        "--network",
        "host",
        "--read-only",
        "--read-only-tmpfs=false",
        "--env",
        &port_variable,
        &image,
    ]);
    assert_answers(&container, port);
    assert_locked_down(&container);
    assert_stops(&container);
}
