//! The Python environment against its oracle, uv, and against wheels that mean harm.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say why they were skipped"
)]

mod hostile;
mod parity;
mod properties;
mod selection;
mod step;
mod uv;
mod wheels;
