//! `imgbuild diff`: compares two images and says what differs.

use std::path::PathBuf;

use super::Flags;
use super::failure::Failure;
use super::terminal::Terminal;
use super::tools::Tools;
use crate::diagnose::Class;
use crate::diff::{self, Compared, Report, Rows, Side};
use crate::edge::diff_files;
use crate::edge::image_source::ImageSource;
use crate::edge::subject::{self, Subject};
use crate::oci::Platform;

/// Flags of `imgbuild diff`.
#[derive(clap::Args)]
pub(super) struct DiffFlags {
    /// An image: a layout, an archive, oci:DIR[:TAG], docker-archive:FILE, or registry/repository[:tag][@digest]
    a: String,
    /// The image to compare it with
    b: String,
    /// Compare only this platform; may be given several times
    #[arg(long, value_name = "OS/ARCH")]
    platform: Vec<Platform>,
    /// Write both versions of every file that differs below this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    report_dir: Option<PathBuf>,
    /// Show every row and line
    #[arg(long)]
    all: bool,
}

/// Returns whether the images are the same.
pub(super) fn run(flags: &DiffFlags, all: &Flags, terminal: &Terminal) -> Result<bool, Failure> {
    if let Some(folder) = &flags.report_dir {
        diff_files::check(folder)?;
    }
    let sources = [subject::find(&flags.a)?, subject::find(&flags.b)?];
    let [a, b] = open(&sources, flags, all, terminal)?;
    refuse_damaged(&[&a, &b])?;
    let [x, y] = [&a, &b].map(|subject| Side {
        documents: subject.documents(),
        layers: subject,
    });
    let compared = if flags.platform.is_empty() {
        Compared::Everything
    } else {
        Compared::Images
    };
    let difference = diff::compare(&x, &y, compared)?;
    if let Some(folder) = &flags.report_dir {
        diff_files::write(folder, [&x, &y], &difference)?;
    }
    let names = [a.name(), b.name()];
    if all.json {
        terminal.data(&Report::new(&difference, names).to_json())?;
    } else {
        let rows = if flags.all { Rows::All } else { Rows::Some };
        terminal.data(diff::render(&difference, names, rows).trim_end())?;
    }
    Ok(difference.is_same())
}

/// Opens both images; what lies on disk needs neither a cache nor a network.
fn open(
    sources: &[ImageSource; 2],
    flags: &DiffFlags,
    all: &Flags,
    terminal: &Terminal,
) -> Result<[Subject; 2], Failure> {
    if let [ImageSource::Disk(a), ImageSource::Disk(b)] = sources {
        let open = |path| Subject::open(path, &flags.platform);
        return Ok([open(a)?, open(b)?]);
    }
    let tools = Tools::new(all, false, terminal)?;
    let tell = |text: &str| terminal.remark(text);
    let edges = tools.edges(&tell);
    let fetch = |source| Subject::fetch(source, &edges, &flags.platform);
    let both = futures_util::future::try_join(fetch(&sources[0]), fetch(&sources[1]));
    let (a, b) = tools.runtime.block_on(both)?;
    Ok([a, b])
}

/// Bytes that are not those of their descriptor say nothing about the image: nothing is compared then.
fn refuse_damaged(subjects: &[&Subject]) -> Result<(), Failure> {
    let mut faults = Vec::new();
    for subject in subjects {
        let found = subject.faults()?;
        faults.extend(
            found
                .iter()
                .map(|fault| format!("{}: {fault}", subject.name())),
        );
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure {
        class: Class::Integrity,
        message: faults.join("\n"),
        hint: Some("get the image again: these bytes are not those that its manifest names; nothing was compared".to_owned()),
    })
}
