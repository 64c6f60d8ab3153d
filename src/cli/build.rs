//! `imgbuild build`: builds a locked recipe into an OCI layout or archive.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Flags;
use super::failure::Failure;
use super::terminal::Terminal;
use super::tools::Tools;
use crate::edge::build::{self, Job};
use crate::edge::layout::{self, Format};
use crate::edge::project::Project;
use crate::edge::source_walk;
use crate::edge::tag::Tag;
use crate::oci::Platform;
use crate::plan;
use crate::recipe::{Args, Stage};

/// Flags of `imgbuild build`.
#[derive(clap::Args)]
pub(super) struct BuildFlags {
    /// A recipe, or a folder that holds recipe.toml
    recipe: PathBuf,
    /// The layout folder or archive file to write
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// What to write: oci, oci-archive or docker-archive
    #[arg(long, default_value = "oci")]
    format: Format,
    /// Build only this platform of the recipe's; may be given several times
    #[arg(long, value_name = "OS/ARCH")]
    platform: Vec<Platform>,
    /// Which stage to write
    #[arg(long, value_enum, default_value = "runtime")]
    stage: StageFlag,
    /// A tag for the image in the layout or archive; may be given several times
    #[arg(short, long, value_name = "TAG", default_value = "latest")]
    tag: Vec<Tag>,
    /// Use only what the cache holds
    #[arg(long)]
    offline: bool,
    /// Give a value to an argument of [args]
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// How many threads compress; all cores by default. The bytes do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum StageFlag {
    Runtime,
    Builder,
}

pub(super) fn run(flags: &BuildFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    let project = Project::open(&flags.recipe)?;
    let lock = project.fresh_lock()?;
    let set = settings(&flags.set)?;
    let args = Args::settle(&project.recipe, &set, |name| std::env::var(name).ok())?;
    source_walk::check_output(&project.folder, &project.recipe.copy, &flags.output)?;
    let platforms = plan::choose(&project.recipe, &flags.platform);
    // Before the work, so that it is not done in vain.
    layout::check(&flags.output, flags.format, platforms.len())?;
    let tools = Tools::new(all, flags.offline, terminal)?;
    let job = Job {
        project: &project,
        lock: &lock,
        args: &args,
        platforms: &platforms,
        stage: match flags.stage {
            StageFlag::Runtime => Stage::Runtime,
            StageFlag::Builder => Stage::Builder,
        },
        epoch: epoch(lock.epoch)?,
        threads: flags
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
    };
    let tell = |text: &str| terminal.remark(text);
    let edges = build::Edges {
        store: &tools.store,
        fetcher: &tools.fetcher,
        registry: &tools.registry,
        progress: &*tools.progress,
        tell: &tell,
    };
    let built = build::build(&tools.runtime, &job, &edges)?;
    let written = build::write(
        &built,
        &flags.output,
        flags.format,
        &flags.tag,
        &project.recipe.image.name,
    )?;
    terminal.detail(&format!("epoch {}", job.epoch));
    terminal.remark(&format!("wrote {}", flags.output.display()));
    if all.json {
        let images: Vec<_> = built
            .images
            .iter()
            .map(|image| {
                let layers: Vec<_> = image
                    .layers
                    .iter()
                    .map(|layer| serde_json::json!({"digest": layer.digest, "size": layer.size, "mediaType": layer.media_type}))
                    .collect();
                serde_json::json!({
                    "platform": image.platform,
                    "digest": image.descriptor.digest,
                    "config": image.config_descriptor.digest,
                    "layers": layers,
                })
            })
            .collect();
        let body = serde_json::json!({
            "digest": written,
            "output": flags.output,
            "args": args.values(),
            "images": images,
        });
        return terminal.data(&body.to_string());
    }
    terminal.data(&written.to_string())
}

/// Reads `--set NAME=VALUE`.
fn settings(texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut out = BTreeMap::new();
    for text in texts {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Failure::usage(
                format!("--set {text}: there is no `=`"),
                "write --set NAME=VALUE",
            ));
        };
        if out.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(
                format!("--set {name} is given twice"),
                "keep one of them",
            ));
        }
    }
    Ok(out)
}

/// Returns `SOURCE_DATE_EPOCH` if it is set, else the lock's epoch; it reaches only the config.
///
/// <https://reproducible-builds.org/specs/source-date-epoch/>
fn epoch(locked: i64) -> Result<i64, Failure> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.is_empty() => text
            .parse()
            .ok()
            .filter(|epoch| (0..=253_402_300_799).contains(epoch))
            .ok_or_else(|| {
                let message =
                    format!("SOURCE_DATE_EPOCH is `{text}`: wanted seconds since 1970 UTC");
                Failure::usage(
                    message,
                    "unset it, or set it to a number such as `$(git log -1 --format=%ct)`",
                )
            }),
        _ => Ok(locked),
    }
}
