//! Shows on stderr what is being fetched or pushed, and how far it is.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Names a task that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(u64);

#[cfg(test)]
impl TaskId {
    pub(crate) fn numbered(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// Is told what is being fetched or pushed.
pub trait Progress: Send + Sync {
    /// Begins a task; `size` is in bytes, if known.
    fn begin(&self, what: &str, size: Option<u64>) -> TaskId;

    /// Begins a task that sends instead of fetching.
    fn begin_sending(&self, what: &str, size: Option<u64>) -> TaskId {
        self.begin(what, size)
    }

    /// Begins the sum of tasks to come, where that is of use: who reads lines can add up, or read the last one.
    fn begin_total(&self, what: &str, size: u64) -> Option<TaskId> {
        let _ = (what, size);
        None
    }

    /// Says that so many more bytes came, or went.
    fn advance(&self, id: TaskId, bytes: u64);

    /// Says that the task starts again from nothing, after a failed attempt.
    fn restart(&self, id: TaskId) {
        let _ = id;
    }

    /// Ends a task that is complete.
    fn finish(&self, id: TaskId);
}

/// What `--progress` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Bars on a terminal, else lines.
    #[default]
    Auto,
    /// One line per finished task.
    Plain,
    /// Nothing.
    None,
}

/// A word that `--progress` does not know.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a kind of progress: wanted auto, plain or none")]
pub struct ModeError(String);

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match text {
            "auto" => Ok(Self::Auto),
            "plain" => Ok(Self::Plain),
            "none" => Ok(Self::None),
            _ => Err(ModeError(text.to_owned())),
        }
    }
}

/// Returns the progress for `mode`; `terminal` tells whether stderr is one.
#[must_use]
pub fn show(mode: Mode, terminal: bool) -> Arc<dyn Progress> {
    match mode {
        Mode::None => Arc::new(Silent),
        Mode::Auto if terminal => Arc::new(Bars::default()),
        Mode::Auto | Mode::Plain => Arc::new(Lines::default()),
    }
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: Option<u64>) -> TaskId {
        TaskId(0)
    }

    fn advance(&self, _: TaskId, _: u64) {}

    fn finish(&self, _: TaskId) {}
}

/// The tasks under way and the number of the next.
#[derive(Debug)]
struct Tasks<T> {
    next: u64,
    running: BTreeMap<TaskId, T>,
}

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Self {
            next: 0,
            running: BTreeMap::new(),
        }
    }
}

impl<T> Tasks<T> {
    fn add(&mut self, task: T) -> TaskId {
        let id = TaskId(self.next);
        self.next += 1;
        self.running.insert(id, task);
        id
    }
}

/// Writes one line per finished task, for logs.
#[derive(Debug, Default)]
pub struct Lines(Mutex<Tasks<Line>>);

#[derive(Debug)]
struct Line {
    verb: &'static str,
    what: String,
    bytes: u64,
}

impl Lines {
    fn add(&self, verb: &'static str, what: &str) -> TaskId {
        let what = what.to_owned();
        locked(&self.0).add(Line {
            verb,
            what,
            bytes: 0,
        })
    }
}

impl Progress for Lines {
    fn begin(&self, what: &str, _: Option<u64>) -> TaskId {
        self.add("fetched", what)
    }

    fn begin_sending(&self, what: &str, _: Option<u64>) -> TaskId {
        self.add("pushed", what)
    }

    fn advance(&self, id: TaskId, bytes: u64) {
        if let Some(line) = locked(&self.0).running.get_mut(&id) {
            line.bytes += bytes;
        }
    }

    fn restart(&self, id: TaskId) {
        if let Some(line) = locked(&self.0).running.get_mut(&id) {
            line.bytes = 0;
        }
    }

    fn finish(&self, id: TaskId) {
        let task = locked(&self.0).running.remove(&id);
        if let Some(Line { verb, what, bytes }) = task {
            // A closed stderr must not end a build.
            let _ = writeln!(std::io::stderr().lock(), "{verb} {what} ({bytes} bytes)");
        }
    }
}

/// Draws a bar per running task.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    tasks: Mutex<Tasks<ProgressBar>>,
}

impl Default for Bars {
    fn default() -> Self {
        Self {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            tasks: Mutex::default(),
        }
    }
}

#[expect(
    clippy::literal_string_with_formatting_args,
    reason = "indicatif's templates look like Rust's"
)]
impl Progress for Bars {
    fn begin(&self, what: &str, size: Option<u64>) -> TaskId {
        let (bar, template) = match size {
            Some(size) => (
                ProgressBar::new(size),
                "{msg:40!} {bar:24} {bytes:>10}/{total_bytes:<10} {binary_bytes_per_sec}",
            ),
            None => (
                ProgressBar::no_length(),
                "{msg:40!} {spinner} {bytes:>10} {binary_bytes_per_sec}",
            ),
        };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self
            .all
            .add(bar.with_style(style).with_message(what.to_owned()));
        locked(&self.tasks).add(bar)
    }

    fn begin_total(&self, what: &str, size: u64) -> Option<TaskId> {
        Some(self.begin(what, Some(size)))
    }

    fn advance(&self, id: TaskId, bytes: u64) {
        if let Some(bar) = locked(&self.tasks).running.get(&id) {
            bar.inc(bytes);
        }
    }

    fn restart(&self, id: TaskId) {
        if let Some(bar) = locked(&self.tasks).running.get(&id) {
            bar.reset();
        }
    }

    fn finish(&self, id: TaskId) {
        if let Some(bar) = locked(&self.tasks).running.remove(&id) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // After an error the unfinished bars would stay above the message.
        let _ = self.all.clear();
    }
}

/// A panic elsewhere while drawing leaves nothing half-done that matters.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
