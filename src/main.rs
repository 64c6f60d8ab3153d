//! Runs the command line, prints the error and its hint, chooses the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    imgbuild::cli::main(std::env::args_os())
}
