//! How a recipe is built: the flags of every verb that builds one.

use std::collections::BTreeMap;

use super::failure::Failure;
use super::terminal::Terminal;
use super::tools::Tools;
use crate::edge::build::{self, Built, Job};
use crate::edge::bundle::Inputs;
use crate::edge::image_source::ImageSource;
use crate::edge::project::Project;
use crate::edge::provenance;
use crate::edge::subject;
use crate::lock::Lock;
use crate::oci::{Digest, Platform};
use crate::plan::{self, Plan};
use crate::provenance::Written;
use crate::recipe::{Args, Stage};

/// Flags that say how a recipe is built.
#[derive(clap::Args)]
pub(super) struct HowFlags {
    /// Build only this platform of the recipe's; may be given several times
    #[arg(long, value_name = "OS/ARCH")]
    platform: Vec<Platform>,
    /// Which stage to build
    #[arg(long, value_enum, default_value = "runtime")]
    stage: StageFlag,
    /// Give a value to an argument of [args]
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// How many threads compress; all cores by default. The bytes do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Take locked inputs from this bundle first: a layout, an archive or a reference
    #[arg(long, value_name = "BUNDLE", value_parser = subject::find)]
    inputs: Option<ImageSource>,
    /// Leave out the record of the build: recipe, lock, source listing, build arguments, commit
    #[arg(long)]
    no_provenance: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StageFlag {
    Runtime,
    Builder,
}

/// What the flags come to for one project.
pub(super) struct HowPlan {
    pub(super) args: Args,
    pub(super) epoch: i64,
    lock: Written<Lock>,
    pub(super) platforms: Vec<Platform>,
    stage: Stage,
    threads: usize,
    inputs: Option<ImageSource>,
    records: bool,
}

impl HowFlags {
    /// Tells whether no flag was given that changes what is built.
    pub(super) fn is_plain(&self) -> bool {
        self.platform.is_empty() && self.set.is_empty() && self.stage == StageFlag::Runtime
    }

    /// Tells whether the record of the build is wanted.
    pub(super) fn records(&self) -> bool {
        !self.no_provenance
    }

    /// Reads the lock and settles arguments, before anything is fetched.
    pub(super) fn plan(&self, project: &Project) -> Result<HowPlan, Failure> {
        let lock = project.fresh_written_lock()?;
        let set = settings(&self.set)?;
        let args = Args::settle(&project.recipe, &set, |name| std::env::var(name).ok())?;
        Ok(HowPlan {
            args,
            epoch: epoch(lock.value.epoch)?,
            lock,
            platforms: plan::choose(&project.recipe, &self.platform),
            stage: match self.stage {
                StageFlag::Runtime => Stage::Runtime,
                StageFlag::Builder => Stage::Builder,
            },
            threads: threads(self.threads),
            inputs: self.inputs.clone(),
            records: self.records(),
        })
    }
}

impl HowPlan {
    /// Builds into the store.
    pub(super) fn build(
        &self,
        project: &Project,
        tools: &Tools,
        terminal: &Terminal,
    ) -> Result<Built, Failure> {
        let job = Job {
            project,
            lock: &self.lock.value,
            args: &self.args,
            platforms: &self.platforms,
            stage: self.stage,
            epoch: self.epoch,
            threads: self.threads,
        };
        let tell = |text: &str| terminal.remark(text);
        let edges = tools.edges(&tell);
        if let Some(bundle) = &self.inputs {
            let plans = plan::plan(
                &project.recipe,
                &self.lock.value,
                &self.platforms,
                self.stage,
            )?;
            let needed: Vec<Digest> = plans.iter().flat_map(Plan::needed).collect();
            let supply = async {
                let inputs = Inputs::open(bundle.clone(), &edges).await?;
                inputs.supply(needed, &edges).await
            };
            let taken = tools.runtime.block_on(supply)?;
            terminal.detail(&format!("{taken} inputs are in {bundle}"));
        }
        let mut built = build::build(&tools.runtime, &job, &edges)?;
        if self.records {
            let record = provenance::gather(&job, &self.lock.text, &built.source, &tell)?;
            built.attach(&record);
        }
        Ok(built)
    }
}

/// Returns how many threads compress: as many as there are cores, unless it is said.
pub(super) fn threads(said: Option<usize>) -> usize {
    said.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Reads `--set NAME=VALUE`.
pub(super) fn settings(texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
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
