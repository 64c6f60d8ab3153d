//! The command line: flags every verb takes, one file per verb, errors and exit codes.

mod account;
mod build;
mod bundle;
mod copy;
mod diff;
mod failure;
mod how;
mod inspect;
mod lock;
mod login;
mod push;
mod terminal;
mod tools;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::diagnose::Class;
use crate::edge::progress::Mode;
use failure::Failure;
use terminal::Terminal;

/// Builds OCI images bit for bit from a recipe and a lock.
#[derive(Parser)]
#[command(
    name = "imgbuild",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    flags: Flags,
}

/// Flags that every verb takes.
#[derive(clap::Args)]
struct Flags {
    /// Write results as JSON to standard output
    #[arg(long, global = true)]
    json: bool,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    verbose: bool,
    /// How progress is shown on standard error: auto, plain or none
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    progress: Mode,
    /// Where downloaded inputs and finished layers are kept
    #[arg(long, global = true, value_name = "DIR", env = "IMGBUILD_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
    /// Fetch what is at FROM from TO instead (URL prefixes or registry hosts); digests do not change
    #[arg(long, global = true, value_name = "FROM=TO")]
    mirror: Vec<String>,
    /// Trust the certificates in this PEM file too
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// Resolve a recipe and pin every input in recipe.lock
    Lock(lock::LockFlags),
    /// Build a locked recipe into an OCI layout or archive
    Build(build::BuildFlags),
    /// Rebuild an image and prove that it is the same, bit for bit
    Verify(verify::VerifyFlags),
    /// Collect every locked input, so that a rebuild needs no network
    Bundle(bundle::BundleFlags),
    /// Push an image, or what a recipe builds, to a registry
    Push(push::PushFlags),
    /// Copy an image between registries, layouts and archives, byte for byte
    Copy(copy::CopyFlags),
    /// Check a password with a registry and keep it for imgbuild, Docker and podman
    Login(login::LoginFlags),
    /// Forget the password of a registry
    Logout(login::LogoutFlags),
    /// Compare two images and say what differs
    Diff(diff::DiffFlags),
    /// Show what an image is and holds, how it was built, and where its bytes went
    Inspect(inspect::InspectFlags),
    /// Print the JSON Schema of recipes, or of what a verb prints with --json
    Schema {
        /// Which schema
        #[arg(value_enum, default_value = "recipe")]
        what: SchemaOf,
    },
    /// Print a completion script for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

/// What there are schemas of.
#[derive(Clone, Copy, clap::ValueEnum)]
enum SchemaOf {
    /// recipe.toml
    Recipe,
    /// What `imgbuild diff --json` prints
    Diff,
}

/// Runs the command line `arguments` and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        // Whoever wants JSON wants it of mistakes too; flags after `--` are none.
        Err(error)
            if error.use_stderr()
                && arguments
                    .iter()
                    .take_while(|word| *word != "--")
                    .any(|word| word == "--json") =>
        {
            Terminal::new(true, true, false).failure(&Failure::of_usage(&error));
            return ExitCode::from(Class::Usage.exit_code());
        }
        Err(error) => {
            // Help and version go to standard output with code 0, mistakes to standard error with code 2.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let terminal = Terminal::new(cli.flags.json, cli.flags.quiet, cli.flags.verbose);
    match run(cli, &terminal) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(Class::No.exit_code()),
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.class.exit_code())
        }
    }
}

/// What a verb that asks something comes to.
#[derive(Clone, Copy)]
enum Answer {
    /// Done, the same.
    Yes,
    /// It differs; what was asked for is printed.
    No,
}

fn run(cli: Cli, terminal: &Terminal) -> Result<Answer, Failure> {
    match cli.verb {
        Verb::Lock(flags) => lock::run(&flags, &cli.flags, terminal),
        Verb::Build(flags) => build::run(&flags, &cli.flags, terminal),
        Verb::Verify(flags) => return verify::run(&flags, &cli.flags, terminal),
        Verb::Bundle(flags) => bundle::run(&flags, &cli.flags, terminal),
        Verb::Push(flags) => push::run(&flags, &cli.flags, terminal),
        Verb::Copy(flags) => copy::run(&flags, &cli.flags, terminal),
        Verb::Login(flags) => login::login(&flags, &cli.flags, terminal),
        Verb::Logout(flags) => login::logout(&flags, &cli.flags, terminal),
        Verb::Diff(flags) => {
            let is_same = diff::run(&flags, &cli.flags, terminal)?;
            return Ok(if is_same { Answer::Yes } else { Answer::No });
        }
        Verb::Inspect(flags) => inspect::run(&flags, &cli.flags, terminal),
        Verb::Schema { what } => {
            let schema = match what {
                SchemaOf::Recipe => crate::recipe::json_schema(),
                SchemaOf::Diff => crate::diff::json_schema(),
            };
            let schema = serde_json::to_string_pretty(&schema).expect("a Value always serialises");
            terminal.data(&schema)
        }
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "imgbuild", &mut script);
            terminal.data(String::from_utf8_lossy(&script).trim_end())
        }
    }?;
    Ok(Answer::Yes)
}
