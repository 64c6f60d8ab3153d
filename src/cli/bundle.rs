//! `imgbuild bundle`: collects every locked input, so that a rebuild needs no network.

use std::path::PathBuf;

use super::Flags;
use super::failure::Failure;
use super::terminal::Terminal;
use super::tools::Tools;
use crate::edge::bundle;
use crate::edge::layout::{self, Format};
use crate::edge::project::Project;
use crate::edge::source_walk;

/// Flags of `imgbuild bundle`.
#[derive(clap::Args)]
pub(super) struct BundleFlags {
    /// A recipe, or a folder that holds recipe.toml
    recipe: PathBuf,
    /// The layout folder or archive file to write
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// What to write: oci or oci-archive
    #[arg(long, default_value = "oci")]
    format: Format,
    /// Use only what the cache holds
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(flags: &BundleFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    if flags.format == Format::DockerArchive {
        return Err(Failure::usage(
            "a bundle is no image: docker-archive cannot hold it",
            "use --format oci-archive",
        ));
    }
    let project = Project::open(&flags.recipe)?;
    let lock = project.fresh_lock()?;
    source_walk::check_output(&project.folder, &project.recipe.copy, &flags.output)?;
    layout::check(&flags.output, flags.format, 1)?;
    let tools = Tools::new(all, flags.offline, terminal)?;
    let tell = |text: &str| terminal.remark(text);
    let collected =
        tools
            .runtime
            .block_on(bundle::collect(&project, &lock, &tools.edges(&tell)))?;
    let digest = collected.write(&flags.output, flags.format)?;
    terminal.remark(&format!(
        "bundled {} inputs ({} bytes)",
        collected.count(),
        collected.bytes()
    ));
    if all.json {
        let body = serde_json::json!({
            "output": flags.output,
            "digest": digest,
            "inputs": collected.count(),
            "bytes": collected.bytes(),
        });
        return terminal.data(&body.to_string());
    }
    terminal.data(&flags.output.display().to_string())
}
