//! `imgbuild push`: pushes an image from disk, or what a recipe builds, to a registry.

use std::time::Instant;

use serde_json::{Value, json};

use super::Flags;
use super::account::AccountFlags;
use super::failure::Failure;
use super::how::HowFlags;
use super::terminal::Terminal;
use super::tools::{Reach, Tools};
use crate::edge::layout::Companion;
use crate::edge::project::Project;
use crate::edge::push::{
    self, Attachments, Destination, PushError, PushSource, Pushed, Shipment, all_tags,
};
use crate::oci::Reference;
use crate::provenance;

/// Flags of `imgbuild push`.
#[derive(clap::Args)]
pub(super) struct PushFlags {
    /// A layout, an archive, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, a recipe or its folder
    source: String,
    /// Where to: registry/repository[:tag]; without any tag the image is pushed by its digest alone
    reference: Reference,
    /// A further tag in the same repository; may be given several times
    #[arg(short, long, value_name = "TAG")]
    tag: Vec<String>,
    /// Attach a bundle to the image that REFERENCE leads to, instead of moving a tag
    #[arg(long, conflicts_with_all = ["tag", "all_tags", "require_provenance"])]
    attach: bool,
    /// Push every image that the layout or archive tags, under its tags
    #[arg(long, conflicts_with = "tag")]
    all_tags: bool,
    #[command(flatten)]
    account: AccountFlags,
    /// Build the recipe from the cache alone; pushing itself uses the network
    #[arg(long)]
    offline: bool,
    /// Fail where the record of the build is missing or the registry does not take it
    #[arg(long, conflicts_with = "no_provenance")]
    require_provenance: bool,
    #[command(flatten)]
    how: HowFlags,
}

pub(super) fn run(flags: &PushFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    let destination = Destination::new(flags.reference.clone(), &flags.tag)?;
    let source = PushSource::find(&flags.source)?;
    let host = flags.reference.registry();
    let credentials = flags.account.credentials(host)?;
    let tools = |offline| {
        let insecure = flags.account.insecure([host]);
        let reach = Reach { offline, insecure };
        Tools::with(all, reach, credentials.clone(), terminal)
    };
    let (mut loads, tools) = match &source {
        PushSource::Image(_) if flags.offline || !flags.how.is_plain() => {
            return Err(Failure::usage(
                format!(
                    "{} is an image: --platform, --stage, --set and --offline say how to build a recipe",
                    flags.source
                ),
                "leave them out, or name a recipe",
            ));
        }
        PushSource::Image(path) if flags.all_tags => {
            let loads = all_tags(path, &flags.reference)?.into_iter();
            let loads = loads.map(|(path, to)| Ok((Shipment::open(&path)?, to)));
            let loads: Result<Vec<_>, PushError> = loads.collect();
            (loads?, tools(false)?)
        }
        PushSource::Image(path) => {
            let shipment = Shipment::open(path).map_err(PushError::from)?;
            (vec![(shipment, destination)], tools(false)?)
        }
        PushSource::Recipe(_) if flags.all_tags => {
            return Err(Failure::usage(
                format!("{} is a recipe, which has no tags", flags.source),
                "name the tags with --tag",
            ));
        }
        PushSource::Recipe(path) => {
            let project = Project::open(path)?;
            let plan = flags.how.plan(&project)?;
            let building = tools(flags.offline)?;
            let shipment = plan.build(&project, &building, terminal)?.shipment()?;
            let pushing = if flags.offline {
                tools(false)?
            } else {
                building
            };
            (vec![(shipment, destination)], pushing)
        }
    };
    for (shipment, _) in &mut loads {
        records(flags, shipment)?;
    }
    let arrival = if flags.attach {
        Arrival::Attached
    } else {
        Arrival::Tagged
    };
    let mut done = Vec::new();
    for (shipment, destination) in &loads {
        done.push(send(shipment, destination, arrival, &tools, terminal)?);
    }
    let json: Vec<&Value> = done.iter().map(|report| &report.json).collect();
    match (all.json, flags.all_tags) {
        (true, true) => terminal.data(&json!({ "images": json }).to_string()),
        (true, false) => terminal.data(&json[0].to_string()),
        (false, true) => {
            let tagged: Vec<String> = done.into_iter().flat_map(|report| report.tagged).collect();
            terminal.data(&tagged.join("\n"))
        }
        (false, false) => terminal.data(&done[0].reference),
    }
}

/// What is printed of a push.
pub(super) struct Report {
    /// `name[:tag]@digest`, as the reference was given.
    pub(super) reference: String,
    /// `name:tag@digest` for each tag.
    pub(super) tagged: Vec<String>,
    pub(super) json: Value,
}

/// What becomes of what is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Tags lead to it.
    Tagged,
    /// It is attached to the image that the reference leads to; no tag moves.
    Attached,
}

/// Pushes one image.
pub(super) fn send(
    shipment: &Shipment,
    destination: &Destination,
    arrival: Arrival,
    tools: &Tools,
    terminal: &Terminal,
) -> Result<Report, Failure> {
    let begun = Instant::now();
    let tell = |text: &str| terminal.remark(text);
    let pushed = tools.runtime.block_on(async {
        let (registry, progress) = (&tools.registry, &*tools.progress);
        match arrival {
            Arrival::Tagged => push::push(registry, shipment, destination, progress, &tell).await,
            Arrival::Attached => {
                push::attach(registry, shipment, destination.reference(), progress, &tell).await
            }
        }
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    terminal.remark(&format!(
        "pushed {} blobs ({} bytes), mounted {}, {} were there, in {seconds:.1} s",
        pushed.uploaded, pushed.bytes, pushed.mounted, pushed.skipped
    ));
    Ok(report(&pushed, destination, arrival, seconds))
}

fn report(pushed: &Pushed, destination: &Destination, arrival: Arrival, seconds: f64) -> Report {
    let (reference, digest) = (destination.reference(), pushed.digest);
    let name = reference.name();
    let tags = destination.tags().iter();
    let tagged = tags.map(|tag| format!("{name}:{tag}@{digest}")).collect();
    // Name and tag as they were given, and the digest they lead to now.
    let reference = match reference.tag() {
        Some(tag) if arrival == Arrival::Tagged => format!("{name}:{tag}@{digest}"),
        _ => format!("{name}@{digest}"),
    };
    let json = json!({
        "reference": reference,
        "digest": digest,
        "tags": destination.tags(),
        "blobs": {
            "uploaded": pushed.uploaded,
            "mounted": pushed.mounted,
            "skipped": pushed.skipped,
        },
        "bytes": pushed.bytes,
        "attached": pushed.attached,
        "seconds": seconds,
    });
    Report {
        reference,
        tagged,
        json,
    }
}

/// Has the record of the build go along, or not, as flags say.
fn records(flags: &PushFlags, shipment: &mut Shipment) -> Result<(), Failure> {
    let is_record = |companion: &Companion| {
        let kind = companion.referrer.artifact_type.as_deref();
        kind.is_some_and(provenance::is_record)
    };
    if !flags.how.records() {
        shipment.retain_companions(|companion| !is_record(companion));
    }
    if flags.require_provenance {
        if !shipment.companions().iter().any(is_record) {
            return Err(Failure::usage(
                format!("{} holds no record of its build", flags.source),
                "build it with imgbuild and without --no-provenance, into a layout or archive",
            ));
        }
        shipment.set_attachments(Attachments::Required);
    }
    Ok(())
}
