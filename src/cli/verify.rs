//! `imgbuild verify`: rebuilds an image and says whether it is the same, bit for bit.

use std::path::PathBuf;

use super::Flags;
use super::failure::Failure;
use super::how;
use super::terminal::Terminal;
use super::tools::Tools;
use crate::diagnose::Class;
use crate::diff::Level;
use crate::edge::image_source::ImageSource;
use crate::edge::subject;
use crate::edge::verify::{self, Request};
use crate::oci::Platform;
use crate::verify::{Report, Verdict};

/// Flags of `imgbuild verify`.
#[derive(clap::Args)]
pub(super) struct VerifyFlags {
    /// A layout, an archive, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, or registry/repository[:tag][@digest]
    #[arg(value_parser = subject::find)]
    subject: ImageSource,
    /// Rebuild by this recipe (or its folder) and the lock beside it, instead of what is attached to the image
    #[arg(long, value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    /// Take the source tree from this folder, such as a checkout of the recorded commit
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Take locked inputs from this bundle first: a layout, an archive or a reference
    #[arg(long, value_name = "BUNDLE", value_parser = subject::find)]
    inputs: Option<ImageSource>,
    /// How far it must be the same: digest, content or tree
    #[arg(long, value_enum, default_value = "digest")]
    level: LevelFlag,
    /// Verify only this platform of the image; may be given several times
    #[arg(long, value_name = "OS/ARCH")]
    platform: Vec<Platform>,
    /// Give a value to an argument of [args], with --recipe
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Use only the image, the bundle and what the cache holds
    #[arg(long)]
    offline: bool,
    /// How many threads compress; all cores by default
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LevelFlag {
    /// Every byte
    Digest,
    /// Configuration and uncompressed layers
    Content,
    /// The files of the merged root, with all metadata
    Tree,
}

pub(super) fn run(flags: &VerifyFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    if flags.recipe.is_none() && !flags.set.is_empty() {
        return Err(Failure::usage(
            "--set says how to build a recipe, and none was brought",
            "add --recipe DIR; without it, the recorded arguments are used",
        ));
    }
    let set = how::settings(&flags.set)?;
    let tools = Tools::new(all, flags.offline, terminal)?;
    let request = Request {
        subject: &flags.subject,
        recipe: flags.recipe.as_deref(),
        source: flags.source.as_deref(),
        inputs: flags.inputs.as_ref(),
        platforms: &flags.platform,
        set: &set,
        required: match flags.level {
            LevelFlag::Digest => Level::Digest,
            LevelFlag::Content => Level::Content,
            LevelFlag::Tree => Level::Tree,
        },
        threads: how::threads(flags.threads),
    };
    let tell = |text: &str| terminal.detail(text);
    let report = verify::verify(&tools.runtime, &request, &tools.edges(&tell));
    if all.json {
        terminal.data(&report.json(None).to_string())?;
    } else {
        for line in report.lines() {
            terminal.data(&line)?;
        }
        terminal.data(&report.last_line())?;
    }
    answer(report)
}

/// Returns what the process ends with.
fn answer(report: Report) -> Result<(), Failure> {
    match (report.verdict(), report.stopped) {
        (Verdict::Verified | Verdict::Same(_), _) => Ok(()),
        (Verdict::Differs(_), _) => Err(Failure {
            class: Class::No,
            message: format!("{} is not what its recipe builds", report.subject),
            hint: Some(
                "the rows above say where; `imgbuild diff` compares it with any other image"
                    .to_owned(),
            ),
        }),
        (_, Some(stopped)) => Err(Failure {
            // To have no answer is not to have "no" for an answer.
            class: match stopped.class {
                Class::No => Class::Unavailable,
                class => class,
            },
            message: stopped.message,
            hint: stopped.hint,
        }),
        (_, None) => Err(Failure {
            class: Class::Unavailable,
            message: format!("{} could not be verified", report.subject),
            hint: None,
        }),
    }
}
