//! `imgbuild verify`: rebuilds an image and says whether it is the same, bit for bit.

use std::path::PathBuf;

use super::failure::Failure;
use super::how;
use super::terminal::Terminal;
use super::tools::Tools;
use super::{Answer, Flags};
use crate::diagnose::Class;
use crate::diff::{self, Level, Rows};
use crate::edge::diff_files;
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
    /// Write both versions of every file that differs below this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    report_dir: Option<PathBuf>,
    /// Show every row and line of what differs
    #[arg(long)]
    all: bool,
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

pub(super) fn run(
    flags: &VerifyFlags,
    all: &Flags,
    terminal: &Terminal,
) -> Result<Answer, Failure> {
    if let Some(folder) = &flags.report_dir {
        diff_files::check(folder)?;
    }
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
        report_dir: flags.report_dir.as_deref(),
    };
    let tell = |text: &str| terminal.detail(text);
    let report = verify::verify(&tools.runtime, &request, &tools.edges(&tell));
    let names = [report.subject.as_str(), "rebuilt"];
    let difference = report.difference.as_ref();
    if all.json {
        let difference = difference.map(|difference| {
            serde_json::to_value(diff::Report::new(difference, names))
                .expect("a report has text for keys")
        });
        terminal.data(&report.json(difference).to_string())?;
    } else {
        for line in report.lines() {
            terminal.data(&line)?;
        }
        if let Some(difference) = difference {
            let rows = if flags.all { Rows::All } else { Rows::Some };
            terminal.data(&format!("\n{}", diff::render(difference, names, rows)))?;
        }
        terminal.data(&report.last_line())?;
    }
    answer(report)
}

/// Returns what the process ends with: to have no answer is not to have "no" for an answer.
fn answer(report: Report) -> Result<Answer, Failure> {
    match (report.verdict(), report.stopped) {
        (Verdict::Verified | Verdict::Same(_), _) => Ok(Answer::Yes),
        (Verdict::Differs(_), _) => Ok(Answer::No),
        (_, Some(stopped)) => Err(Failure {
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
