//! Runs the command line, prints the error and its hint, chooses the exit code.

fn main() {}
