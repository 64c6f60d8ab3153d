//! `imgbuild build`: builds a locked recipe into an OCI layout or archive.

use std::path::PathBuf;

use super::Flags;
use super::failure::Failure;
use super::how::HowFlags;
use super::terminal::Terminal;
use super::tools::Tools;
use crate::edge::build;
use crate::edge::layout::{self, Format};
use crate::edge::project::Project;
use crate::edge::source_walk;
use crate::edge::tag::Tag;

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
    #[command(flatten)]
    how: HowFlags,
    /// A tag for the image in the layout or archive; may be given several times
    #[arg(short, long, value_name = "TAG", default_value = "latest")]
    tag: Vec<Tag>,
    /// Use only what the cache holds
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(flags: &BuildFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    let project = Project::open(&flags.recipe)?;
    let plan = flags.how.plan(&project)?;
    source_walk::check_output(&project.folder, &project.recipe.copy, &flags.output)?;
    // Before the work, so that it is not done in vain.
    layout::check(&flags.output, flags.format, plan.platforms.len())?;
    let tools = Tools::new(all, flags.offline, terminal)?;
    let built = plan.build(&project, &tools, terminal)?;
    let written = build::write(
        &built,
        &flags.output,
        flags.format,
        &flags.tag,
        &project.recipe.image.name,
    )?;
    terminal.detail(&format!("epoch {}", plan.epoch));
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
            "args": plan.args.values(),
            "images": images,
        });
        return terminal.data(&body.to_string());
    }
    terminal.data(&written.to_string())
}
