//! `imgbuild push`: pushes an image from disk, or what a recipe builds, to a registry.

use std::io::Read as _;
use std::time::Instant;

use super::Flags;
use super::failure::Failure;
use super::how::HowFlags;
use super::terminal::Terminal;
use super::tools::Tools;
use crate::edge::layout::Companion;
use crate::edge::project::Project;
use crate::edge::push::{self, Attachments, Destination, PushError, PushSource, Shipment};
use crate::edge::registry::{Credential, Credentials};
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
    /// The user to log in as; files and credential helpers are then not asked
    #[arg(long, value_name = "NAME", env = "IMGBUILD_USERNAME")]
    username: Option<String>,
    /// Read the password from standard input; otherwise it is taken from IMGBUILD_PASSWORD
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Attach a bundle to the image that REFERENCE leads to, instead of moving a tag
    #[arg(long, conflicts_with_all = ["tag", "require_provenance"])]
    attach: bool,
    /// Fail where the record of the build is missing or the registry does not take it
    #[arg(long, conflicts_with = "no_provenance")]
    require_provenance: bool,
    #[command(flatten)]
    how: HowFlags,
}

pub(super) fn run(flags: &PushFlags, all: &Flags, terminal: &Terminal) -> Result<(), Failure> {
    let begun = Instant::now();
    let destination = Destination::new(flags.reference.clone(), &flags.tag)?;
    let source = PushSource::find(&flags.source)?;
    let mut credentials = Credentials::from_environment(|name| std::env::var_os(name));
    if let Some(given) = credential(flags)? {
        credentials = credentials.with(flags.reference.registry(), given);
    }
    let tools = || Tools::with(all, false, credentials, terminal);
    let (mut shipment, tools) = match &source {
        PushSource::Image(_) if !flags.how.is_plain() => {
            return Err(Failure::usage(
                format!(
                    "{} is an image: --platform, --stage and --set say how to build a recipe",
                    flags.source
                ),
                "leave them out, or name a recipe",
            ));
        }
        PushSource::Image(path) => (Shipment::open(path).map_err(PushError::from)?, tools()?),
        PushSource::Recipe(path) => {
            let project = Project::open(path)?;
            let plan = flags.how.plan(&project)?;
            let tools = tools()?;
            let built = plan.build(&project, &tools, terminal)?;
            (built.shipment()?, tools)
        }
    };
    records(flags, &mut shipment)?;
    let tell = |text: &str| terminal.remark(text);
    let pushed = tools.runtime.block_on(async {
        let (registry, progress) = (&tools.registry, &*tools.progress);
        if flags.attach {
            push::attach(registry, &shipment, &flags.reference, progress, &tell).await
        } else {
            push::push(registry, &shipment, &destination, progress, &tell).await
        }
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    terminal.remark(&format!(
        "pushed {} blobs ({} bytes), mounted {}, {} were there, in {seconds:.1} s",
        pushed.uploaded, pushed.bytes, pushed.mounted, pushed.skipped
    ));
    // Name and tag as they were given, and the digest they lead to now.
    let name = match flags.reference.tag() {
        Some(tag) if !flags.attach => format!("{}:{tag}", flags.reference.name()),
        _ => flags.reference.name(),
    };
    let reference = format!("{name}@{}", pushed.digest);
    if all.json {
        let body = serde_json::json!({
            "reference": reference,
            "digest": pushed.digest,
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
        return terminal.data(&body.to_string());
    }
    terminal.data(&reference)
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

/// Returns the credential of flags, else of the environment, if there is one.
fn credential(flags: &PushFlags) -> Result<Option<Credential>, Failure> {
    let Some(user) = flags.username.clone().filter(|user| !user.is_empty()) else {
        return Ok(None);
    };
    let password = if flags.password_stdin {
        let mut password = String::new();
        std::io::stdin()
            .read_to_string(&mut password)
            .map_err(|error| {
                Failure::usage(
                    format!("cannot read the password from standard input: {error}"),
                    "pipe it in, for example from `aws ecr get-login-password`",
                )
            })?;
        password.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        std::env::var("IMGBUILD_PASSWORD").unwrap_or_default()
    };
    if password.is_empty() {
        return Err(Failure::usage(
            format!("there is no password for {user}"),
            "pipe it in with --password-stdin, or set IMGBUILD_PASSWORD",
        ));
    }
    Ok(Some(Credential::Password { user, password }))
}
