//! `imgbuild copy`: copies an image between registries, layouts and archives, byte for byte.

use serde_json::json;

use super::Flags;
use super::account::AccountFlags;
use super::failure::Failure;
use super::push::{Arrival, send};
use super::terminal::Terminal;
use super::tools::{Reach, Tools};
use crate::edge::copy::{self, CopyError, Extent, Target};
use crate::edge::image_source::ImageSource;
use crate::edge::layout;
use crate::edge::push::{Attachments, Destination};
use crate::edge::subject;
use crate::oci::Platform;

/// Flags of `imgbuild copy`.
#[derive(clap::Args)]
pub(super) struct CopyFlags {
    /// registry/repository[:tag][@digest], oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, or a path
    source: String,
    /// registry/repository[:tag], oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG]; what lies
    /// there is replaced
    destination: String,
    /// Copy only the image of this platform; its digest is then that of its manifest
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Copy what refers to the image too: records of builds, SBOMs, signatures
    #[arg(long)]
    referrers: bool,
    #[command(flatten)]
    account: AccountFlags,
}

pub(super) fn run(flags: &CopyFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    let source = subject::find(&flags.source)?;
    let target = Target::find(&flags.destination)?;
    let from = match &source {
        ImageSource::Registry(reference) => Some(reference.registry()),
        ImageSource::Disk(_) => None,
    };
    let to = match &target {
        Target::Registry(reference) => Some(reference.registry()),
        Target::Disk(path) => {
            // Before the work, so that it is not done in vain.
            layout::check(path.path(), path.format(), 1)?;
            None
        }
    };
    // A password is for where it is needed to write, else for where it is needed to read.
    let credentials = flags.account.credentials(to.or(from).unwrap_or_default())?;
    let reach = Reach {
        insecure: flags.account.insecure(from.into_iter().chain(to)),
        ..Reach::default()
    };
    let tools = Tools::with(all, reach, credentials, terminal)?;
    let tell = |text: &str| terminal.remark(text);
    let edges = tools.edges(&tell);
    let there = match &target {
        Target::Registry(reference) => Some(tools.registry.repository(reference)?),
        Target::Disk(_) => None,
    };
    let extent = Extent {
        platform: flags.platform,
        referrers: flags.referrers,
    };
    let gathering = copy::gather(&source, extent, there.as_ref(), &edges);
    let mut shipment = tools.runtime.block_on(gathering)?;
    if flags.referrers {
        shipment.set_attachments(Attachments::Required);
    }
    match &target {
        Target::Registry(reference) => {
            let destination = Destination::new(reference.clone(), &[])?;
            let report = send(&shipment, &destination, Arrival::Tagged, &tools, terminal)?;
            terminal.data(&if all.json {
                report.json.to_string()
            } else {
                report.reference
            })
        }
        Target::Disk(path) => {
            let name = match &source {
                ImageSource::Registry(reference) => {
                    let tag = reference.tag().unwrap_or("latest");
                    format!("{}:{tag}", reference.name())
                }
                ImageSource::Disk(path) => path.tag().unwrap_or("copy:latest").to_owned(),
            };
            copy::write(&shipment, path, &name).map_err(CopyError::from)?;
            terminal.remark(&format!("wrote {}", path.path().display()));
            let digest = shipment.top().0.digest;
            terminal.data(&if all.json {
                json!({"digest": digest, "output": path.path()}).to_string()
            } else {
                digest.to_string()
            })
        }
    }
}
