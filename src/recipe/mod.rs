//! What a person writes: `recipe.toml`, read once into types.

mod args;
mod duration;
mod error;
mod rules;
mod schema;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::oci::{Digest, Platform, json};

pub use args::{ArgError, Args};
pub use duration::Seconds;
pub use error::RecipeError;
pub use schema::json_schema;

/// A recipe: what goes into an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// Name and platforms.
    pub image: ImageSection,
    /// What it stands on.
    pub base: BaseSection,
    /// Values that the caller of `build` may set.
    #[serde(default)]
    pub args: BTreeMap<String, ArgSection>,
    /// How RPMs are chosen and installed.
    #[serde(default)]
    pub rpm: RpmSection,
    /// The stage that compiles; never part of the runtime image.
    #[serde(default)]
    pub builder: StageSection,
    /// The stage that runs.
    #[serde(default)]
    pub runtime: StageSection,
    /// The Python environment.
    #[serde(default)]
    pub python: Option<PythonSection>,
    /// What is copied from the source tree, in order.
    #[serde(default)]
    pub copy: Vec<CopyRule>,
    /// The account the image runs as.
    #[serde(default)]
    pub user: Option<UserSection>,
    /// How containers of the image start.
    #[serde(default)]
    pub config: ConfigSection,
}

/// `[image]`: name and platforms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageSection {
    /// The image's name, for titles and reports.
    pub name: String,
    /// Platforms to build for; two or more give an index.
    #[serde(default = "ImageSection::default_platforms")]
    #[schemars(with = "Vec<String>")]
    pub platforms: Vec<Platform>,
}

impl ImageSection {
    fn default_platforms() -> Vec<Platform> {
        vec![Platform {
            arch: crate::oci::Arch::Amd64,
        }]
    }
}

/// `[base]`: what the image stands on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BaseSection {
    /// `registry/repository[:tag][@digest]`, or `oci:DIR[:TAG]`.
    pub image: String,
}

/// `[args]`: one value that the caller of `build` may set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArgSection {
    /// The value when nobody sets one; without it, somebody must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The environment variable it may come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}

/// `[rpm]`: how RPMs are chosen and installed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RpmSection {
    /// Where packages come from: `"base"`, or repositories spelled out.
    pub repositories: Vec<Repository>,
    /// Whether `Recommends` and `Supplements` are followed.
    pub weak_dependencies: bool,
    /// Whether files marked as documentation are installed.
    pub docs: bool,
    /// Package names never to be chosen; globs are allowed.
    pub exclude: Vec<String>,
    /// Names of packages to take where several answer one dependency.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefer: Vec<String>,
    /// Scriptlets that imgbuild does not know and that may be skipped: `"package:post" = "skip"`.
    pub scriptlets: BTreeMap<String, Acknowledged>,
}

impl Default for RpmSection {
    fn default() -> Self {
        Self {
            repositories: vec![Repository::Base(BaseRepositories::Base)],
            weak_dependencies: false,
            docs: false,
            exclude: Vec::new(),
            prefer: Vec::new(),
            scriptlets: BTreeMap::new(),
        }
    }
}

/// What a recipe says of a scriptlet that imgbuild does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledged {
    /// It is not run, and the author of the recipe answers for that.
    Skip,
}

/// Where packages come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Repository {
    /// The base image's own `.repo` files and keys.
    Base(BaseRepositories),
    /// A repository spelled out in the recipe.
    Explicit(ExplicitRepository),
}

/// The word `"base"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BaseRepositories {
    /// The base image's own `.repo` files and keys.
    Base,
}

/// A repository spelled out in the recipe; dnf variables such as `$basearch` are substituted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExplicitRepository {
    /// Its name in the lock.
    pub id: String,
    /// The folder that holds `repodata/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseurl: Option<String>,
    /// A list of such folders, one URL a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirrorlist: Option<String>,
    /// Key files beside the recipe, or `file:///` paths inside the base.
    #[serde(default)]
    pub gpgkey: Vec<String>,
    /// Whether packages must be signed by one of the keys.
    #[serde(default = "yes")]
    pub gpgcheck: bool,
    /// Lower wins, as in dnf.
    #[serde(default = "ExplicitRepository::default_priority")]
    pub priority: u32,
}

impl ExplicitRepository {
    fn default_priority() -> u32 {
        99
    }
}

fn yes() -> bool {
    true
}

/// `[builder]` and `[runtime]`: the packages of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StageSection {
    /// What to install: names, globs, paths, `@capability`, or a name with a version.
    #[serde(default)]
    pub packages: Vec<PackageRequest>,
    /// Packages of the base to move to their newest version; globs are allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upgrade: Vec<String>,
    /// Packages of the base to erase, and what is installed in their place: `curl-minimal = "curl"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replace: BTreeMap<String, String>,
}

impl StageSection {
    /// Tells whether the stage leaves the packages of the base as they are and adds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.upgrade.is_empty() && self.replace.is_empty()
    }
}

/// One package, or several, to install.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PackageRequest {
    /// A name, `name-version`, `name.arch`, glob, path, or `@capability`.
    Text(String),
    /// A name with the version it must have.
    Version(VersionRequest),
}

/// A package with the version it must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionRequest {
    /// Its name.
    pub name: String,
    /// `[epoch:]version[-release]`.
    pub version: String,
}

impl fmt::Display for PackageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Version(VersionRequest { name, version }) => write!(f, "{name}-{version}"),
        }
    }
}

/// `[python]`: the environment made of a project's `uv.lock`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PythonSection {
    /// The folder that holds `pyproject.toml` and `uv.lock`, relative to the recipe.
    #[serde(default = "PythonSection::default_project")]
    pub project: String,
    /// The interpreter's name in the image, for example `python3.11`.
    pub interpreter: String,
    /// Where the environment goes in the image.
    #[serde(default = "PythonSection::default_venv")]
    pub venv: String,
    /// Whether the `dev` group and other default groups stay out.
    #[serde(default = "yes")]
    pub no_dev: bool,
    /// Dependency groups to add.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Extras of the project to add.
    #[serde(default)]
    pub extras: Vec<String>,
}

impl PythonSection {
    fn default_project() -> String {
        ".".to_owned()
    }

    fn default_venv() -> String {
        "/app/.venv".to_owned()
    }
}

/// `[[copy]]`: a file or folder of the source tree and where it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CopyRule {
    /// A file or folder, relative to the recipe.
    pub from: String,
    /// Its path in the image; a folder's contents go into it.
    pub to: String,
    /// Patterns to leave out, in the syntax of `.gitignore`.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Who owns it: a user name of the image; root by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// `[user]`: the account the image runs as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UserSection {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id; the user id by default. The group has the user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Home folder; `/home/NAME` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Login shell.
    #[serde(default = "UserSection::default_shell")]
    pub shell: String,
}

impl UserSection {
    fn default_shell() -> String {
        "/bin/bash".to_owned()
    }

    /// Returns the group id.
    #[must_use]
    pub fn group_id(&self) -> u32 {
        self.gid.unwrap_or(self.uid)
    }

    /// Returns the home folder.
    #[must_use]
    pub fn home_folder(&self) -> String {
        self.home
            .clone()
            .unwrap_or_else(|| format!("/home/{}", self.name))
    }
}

/// `[config]`: how containers of the image start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ConfigSection {
    /// Working folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Environment; `$NAME` is the base's value, `${NAME}` an argument of `[args]`.
    pub env: BTreeMap<String, String>,
    /// Arguments, or the program itself without an entrypoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Ports the service listens on: `"5000/tcp"`, or `"5000"`.
    pub expose: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How Docker tells whether it is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
}

/// `[config.healthcheck]`: how Docker tells whether a container is healthy.
///
/// <https://docs.docker.com/reference/dockerfile/#healthcheck>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Healthcheck {
    /// A shell command, or a program with its arguments.
    pub cmd: HealthCommand,
    /// Between two checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub interval: Option<Seconds>,
    /// After which a check has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Seconds>,
    /// In which failures do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub start_period: Option<Seconds>,
    /// Failures in a row that make it unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
}

/// A shell command, or a program with its arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HealthCommand {
    /// Run by `/bin/sh -c`.
    Shell(String),
    /// Run as it is.
    Exec(Vec<String>),
}

/// The stage an image is built from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Compiles; never part of the runtime image.
    Builder,
    /// Runs.
    Runtime,
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// [`RecipeError`] with the line, what is wrong, and for an unknown key the nearest known one.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let recipe: Self = toml::from_str(text).map_err(|error| RecipeError::toml(text, &error))?;
        rules::check(&recipe)?;
        Ok(recipe)
    }

    /// Returns the digest of what the recipe says: comments, order and layout of the file do not count.
    #[must_use]
    pub fn checksum(&self) -> Digest {
        Digest::of(&json::canonical(self))
    }

    /// Returns the packages of a stage.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> &StageSection {
        match stage {
            Stage::Builder => &self.builder,
            Stage::Runtime => &self.runtime,
        }
    }

    /// Returns the requests of a stage, in the words of the solver.
    #[must_use]
    pub fn packages(&self, stage: Stage) -> Vec<String> {
        let requests = self.stage(stage).packages.iter();
        requests.map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests;
