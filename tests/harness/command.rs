//! Runs programs: output captured, a time limit, failures that show everything.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(240);

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// The command line, for messages.
    pub(crate) shown: String,
    /// The exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
    /// How long it ran.
    pub(crate) took: Duration,
}

/// Runs a command to its end.
///
/// # Panics
/// If it cannot be started or takes too long.
pub(crate) fn run(command: &mut Command) -> Done {
    run_within(command, LIMIT)
}

/// The same, with a time limit.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Done {
    // Files and not pipes: what outlives the command (a container's monitor) would keep a pipe open.
    let mut streams = [
        tempfile::tempfile().expect("a file"),
        tempfile::tempfile().expect("a file"),
    ];
    let copies = streams
        .each_ref()
        .map(|file| file.try_clone().expect("a second handle"));
    let [out, err] = copies;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let shown = show(command);
    let start = Instant::now();
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {shown}: {error}"));
    let code = wait(&mut child, start + limit);
    let took = start.elapsed();
    let [out, err] = streams.each_mut().map(content);
    let done = Done {
        shown,
        code: code.flatten(),
        out,
        err,
        took,
    };
    assert!(
        code.is_some(),
        "took more than {} s:\n{done}",
        limit.as_secs()
    );
    done
}

/// Waits for the end; kills at `until` and returns none.
fn wait(child: &mut Child, until: Instant) -> Option<Option<i32>> {
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return Some(status.code());
        }
        if Instant::now() > until {
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .expect("our own file");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

impl Done {
    /// Returns it if it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Returns its standard output without the white space around it.
    pub(crate) fn text(&self) -> &str {
        self.out.trim()
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            shown,
            code,
            out,
            err,
            took,
        } = self;
        let code = code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        write!(
            f,
            "$ {shown}\nexit {code} after {:.1} s\n{out}{err}",
            took.as_secs_f32()
        )
    }
}
