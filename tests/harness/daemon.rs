//! Servers and daemons that end when the test does, however it ends.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::command::{Done, run};
use super::{find_program, scratch};

/// Runs "$@" until standard input closes: it does when the test's process ends, even by a signal, and then exactly
/// that program is told to end. Being asked nicely comes first: dockerd ends its containers.
const LEASH: &str = r#"
"$@" & pid=$!
read -r _
kill -TERM "$pid" 2>/dev/null
for _ in $(seq 150); do kill -0 "$pid" 2>/dev/null || exit 0; sleep 0.1; done
kill -KILL "$pid" 2>/dev/null
"#;

/// A program that runs in the background.
#[derive(Debug)]
struct Background {
    leash: Child,
    log: PathBuf,
}

impl Background {
    fn start(program: &Path, arguments: &[&str], log: &Path) -> Self {
        let out = File::create(log).expect("a log");
        let leash = Command::new("sh")
            .args(["-c", LEASH, "leash"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .expect("sh runs");
        Self {
            leash,
            log: log.to_owned(),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        let _ = self.leash.wait();
    }
}

/// Returns a port of the loopback interface that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Waits until `ready` returns something.
pub(crate) fn wait_for<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if Instant::now() > until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A Docker engine of our own: its socket, images and state are below a temporary folder.
#[derive(Debug)]
pub(crate) struct Docker {
    // Ends before its folder is removed: fields are dropped in order.
    engine: Background,
    socket: String,
    folder: tempfile::TempDir,
}

/// One for all tests of a process; the last one to let go stops it (a static would never be dropped).
static ENGINE: Mutex<Weak<Docker>> = Mutex::new(Weak::new());

impl Docker {
    /// Starts an engine, or shares the one that runs.
    pub(crate) fn shared() -> Arc<Self> {
        let mut engine = ENGINE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(docker) = engine.upgrade() {
            return docker;
        }
        let docker = Arc::new(Self::start());
        *engine = Arc::downgrade(&docker);
        docker
    }

    fn start() -> Self {
        let folder = scratch();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let socket = format!("unix://{}", path("docker.sock"));
        let program = find_program("dockerd").expect("callers ask `installed` first");
        let (data, state, pid) = (path("data"), path("state"), path("pid"));
        let arguments = [
            "--iptables=false",
            "--bridge=none",
            "-H",
            &socket,
            "--data-root",
            &data,
            "--exec-root",
            &state,
            "-p",
            &pid,
        ];
        let engine = Background::start(&program, &arguments, &folder.path().join("log"));
        let docker = Self {
            engine,
            socket,
            folder,
        };
        let up = wait_for(Duration::from_secs(60), || {
            (docker.run(&["version"]).code == Some(0)).then_some(())
        });
        assert!(
            up.is_some(),
            "dockerd does not answer; it says:\n{}",
            docker.engine.log()
        );
        docker
    }

    /// Runs `docker` with this engine.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        // A user's own configuration (plugins, contexts, credentials) has no part in it.
        let config = self.folder.path().join("config");
        run(Command::new("docker")
            .arg("--config")
            .arg(config)
            .args(["-H", &self.socket])
            .args(arguments))
    }

    /// Starts a container in the background.
    pub(crate) fn start_container(self: &Arc<Self>, arguments: &[&str]) -> Container {
        let docker = Arc::clone(self);
        Container::start(move |arguments| docker.run(arguments), arguments, "--force")
    }
}

/// Podman with storage of our own, and what it needs where cgroups are hybrid and limits low.
#[derive(Debug)]
pub(crate) struct Podman {
    folder: tempfile::TempDir,
}

impl Podman {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { folder: scratch() })
    }

    /// Flags of `podman run` and `podman create`.
    pub(crate) const LIMITS: [&str; 6] = [
        "--runtime",
        "runc",
        "--ulimit",
        "nofile=1024:1024",
        "--ulimit",
        "nproc=1024:1024",
    ];

    /// Runs `podman` with this storage.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        let folder = self.folder.path();
        let mut command = Command::new("podman");
        command
            .arg("--root")
            .arg(folder.join("root"))
            .arg("--runroot")
            .arg(folder.join("run"));
        run(command.args(["--storage-driver", "vfs"]).args(arguments))
    }

    /// Starts a container in the background.
    pub(crate) fn start_container(self: &Arc<Self>, arguments: &[&str]) -> Container {
        let podman = Arc::clone(self);
        let all: Vec<&str> = Self::LIMITS
            .iter()
            .copied()
            .chain(arguments.iter().copied())
            .collect();
        Container::start(move |arguments| podman.run(arguments), &all, "--force")
    }
}

/// Runs an engine's command line with these arguments.
type Engine = Box<dyn Fn(&[&str]) -> Done>;

/// A container that is removed when the test ends.
pub(crate) struct Container {
    id: String,
    engine: Engine,
    force: &'static str,
}

impl Container {
    fn start(
        engine: impl Fn(&[&str]) -> Done + 'static,
        arguments: &[&str],
        force: &'static str,
    ) -> Self {
        let all: Vec<&str> = ["run", "--detach"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        let done = engine(&all).ok();
        // Pulling prints before the id does.
        let id = done.out.lines().last().expect("an id").trim().to_owned();
        Self {
            id,
            engine: Box::new(engine),
            force,
        }
    }

    /// Runs `docker VERB … ID`.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Done {
        let all: Vec<&str> = arguments
            .iter()
            .copied()
            .chain([self.id.as_str()])
            .collect();
        (self.engine)(&all)
    }

    /// Runs a program in the container.
    pub(crate) fn exec(&self, program: &[&str]) -> Done {
        let all: Vec<&str> = ["exec", self.id.as_str()]
            .into_iter()
            .chain(program.iter().copied())
            .collect();
        (self.engine)(&all)
    }

    /// Returns a field of its state.
    pub(crate) fn inspect(&self, template: &str) -> String {
        self.ask(&["inspect", "--format", template])
            .ok()
            .text()
            .to_owned()
    }

    /// Returns everything it printed.
    pub(crate) fn logs(&self) -> String {
        let done = self.ask(&["logs"]);
        format!("{}{}", done.out, done.err)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.ask(&["rm", self.force]);
    }
}

/// Asks for a path over HTTP and returns the status and the body, if anything answers.
pub(crate) fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
