//! `imgbuild inspect`: what an image is, what it holds, and where its bytes went.

use super::Flags;
use super::failure::Failure;
use super::terminal::Terminal;
use super::tools::Tools;
use crate::edge::Edges;
use crate::edge::image_source::ImageSource;
use crate::edge::inspect::{self, Chosen};
use crate::edge::subject;
use crate::inspect::{ImageReport, compare, comparison_text, size_table, text};
use crate::oci::Platform;

/// Flags of `imgbuild inspect`.
#[derive(clap::Args)]
pub(super) struct InspectFlags {
    /// A layout, an archive, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, or registry/repository[:tag][@digest]
    subject: String,
    /// Look into the image of this platform: by default the first one, with --json all
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Show the bytes of every layer, package, wheel and copied part
    #[arg(long)]
    size: bool,
    /// Show where bytes went against another image, made by whatever tool
    #[arg(long, value_name = "OTHER")]
    compare: Option<String>,
}

pub(super) fn run(flags: &InspectFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    let source = subject::find(&flags.subject)?;
    let other = flags.compare.as_deref().map(subject::find).transpose()?;
    let tools = Tools::new(all, false, terminal)?;
    let tell = |text: &str| terminal.remark(text);
    let edges = tools.edges(&tell);
    let platforms = flags.platform.as_slice();
    let chosen = match platforms {
        // Figures are of one image.
        [] if all.json && other.is_none() => Chosen::All,
        [] => Chosen::First,
        some => Chosen::Only(some),
    };
    let opened = tools
        .runtime
        .block_on(inspect::open(&source, chosen, &edges))?;
    if let Some(other) = other {
        let image = one(inspect::look_into(&opened)?);
        // The same platform of both, where both have it.
        let platform: Option<Platform> = image.platform.parse().ok();
        let second = beside(&other, platform, &tools, &edges)?;
        let names = [
            flags.subject.as_str(),
            flags.compare.as_deref().unwrap_or_default(),
        ];
        let comparison = compare(names, [&image, &second]);
        return if all.json {
            terminal.data(&json(&comparison))
        } else {
            terminal.data(comparison_text(&comparison, flags.size).trim_end())
        };
    }
    let inspection = tools
        .runtime
        .block_on(inspect::inspect(&source, &opened, &edges))?;
    if all.json {
        return terminal.data(&json(&inspection));
    }
    if flags.size {
        let tables: Vec<String> = inspection.images.iter().map(size_table).collect();
        return terminal.data(tables.join("\n").trim_end());
    }
    terminal.data(text(&inspection).trim_end())
}

/// Looks into the image that another one is compared with; where it is of one platform, that one.
fn beside(
    source: &ImageSource,
    platform: Option<Platform>,
    tools: &Tools,
    edges: &Edges<'_>,
) -> Result<ImageReport, Failure> {
    let wanted = platform.as_slice();
    let same = tools
        .runtime
        .block_on(inspect::open(source, Chosen::Only(wanted), edges));
    let opened =
        match same {
            Ok(opened) => opened,
            Err(subject::SubjectError::Platform { .. }) => tools
                .runtime
                .block_on(inspect::open(source, Chosen::First, edges))?,
            Err(error) => return Err(error.into()),
        };
    Ok(one(inspect::look_into(&opened)?))
}

fn one(mut images: Vec<ImageReport>) -> ImageReport {
    // Never empty: what names no image does not open.
    images.swap_remove(0)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("reports have string keys and no non-finite numbers")
}
