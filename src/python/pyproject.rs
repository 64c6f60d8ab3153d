//! Reads what pyproject.toml says about dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use pep440_rs::VersionSpecifiers;
use pep508_rs::{ExtraName, PackageName};
use serde::Deserialize;

use super::markers::{GroupName, Marker, MarkerError};
use super::select::dev;
use crate::diagnose::{Class, Diagnose};

/// What a pyproject.toml says about dependencies.
///
/// <https://packaging.python.org/en/latest/specifications/pyproject-toml/>
#[derive(Clone, Debug)]
pub struct Pyproject {
    /// The project; a workspace root may be none.
    pub project: Option<Project>,
    /// The groups, with those they include put in.
    pub groups: BTreeMap<GroupName, Vec<Declared>>,
    /// The groups that are installed unless told otherwise.
    pub default_groups: BTreeSet<GroupName>,
    /// The packages that `tool.uv.sources` takes from elsewhere than the index.
    pub redirected: BTreeSet<PackageName>,
}

/// The table `[project]`.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name.
    pub name: PackageName,
    /// The Python versions it is for.
    pub requires_python: Option<VersionSpecifiers>,
    /// Its dependencies; none if its build backend computes them.
    pub dependencies: Option<Vec<Declared>>,
    /// Its extras; none if its build backend computes them.
    pub extras: Option<BTreeMap<ExtraName, Vec<Declared>>>,
}

/// A dependency as it is declared.
///
/// <https://packaging.python.org/en/latest/specifications/dependency-specifiers/>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The package.
    pub name: PackageName,
    /// Its extras.
    pub extras: BTreeSet<ExtraName>,
    /// Which versions; none if any, or if it is taken from an address.
    pub specifier: Option<VersionSpecifiers>,
    /// Whether it is taken from an address.
    pub is_direct: bool,
    /// When it is needed.
    pub marker: Marker,
}

/// Why a pyproject.toml cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PyprojectError {
    /// Not TOML, or not the shape of a pyproject.toml.
    #[error("pyproject.toml cannot be read: {0}")]
    Malformed(String),
    /// A dependency is not by the specification.
    #[error("pyproject.toml: dependency `{text}` cannot be read: {reason}")]
    Dependency {
        /// The dependency.
        text: String,
        /// What the parser says.
        reason: String,
    },
    /// A group includes one that does not exist.
    #[error("pyproject.toml: group `{group}` includes `{included}`, which does not exist")]
    UnknownGroup {
        /// The group.
        group: GroupName,
        /// What it includes.
        included: GroupName,
    },
    /// Groups include each other.
    #[error("pyproject.toml: group `{0}` includes itself")]
    Circle(GroupName),
}

impl Diagnose for PyprojectError {
    fn class(&self) -> Class {
        Class::Usage
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    project: Option<ProjectTable>,
    #[serde(default)]
    dependency_groups: BTreeMap<GroupName, Vec<GroupEntry>>,
    #[serde(default)]
    tool: Tool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ProjectTable {
    name: PackageName,
    requires_python: Option<VersionSpecifiers>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    optional_dependencies: BTreeMap<ExtraName, Vec<String>>,
    #[serde(default)]
    dynamic: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GroupEntry {
    Dependency(String),
    Include {
        #[serde(rename = "include-group")]
        group: GroupName,
    },
}

#[derive(Default, Deserialize)]
struct Tool {
    #[serde(default)]
    uv: UvTable,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UvTable {
    default_groups: Option<DefaultGroups>,
    #[serde(default)]
    dev_dependencies: Vec<String>,
    #[serde(default)]
    sources: BTreeMap<PackageName, toml::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DefaultGroups {
    Listed(BTreeSet<GroupName>),
    Word(String),
}

impl Pyproject {
    /// Reads the text of a pyproject.toml.
    ///
    /// # Errors
    /// [`PyprojectError`] if it is not one.
    pub fn parse(text: &str) -> Result<Self, PyprojectError> {
        let document: Document =
            toml::from_str(text).map_err(|error| PyprojectError::Malformed(error.to_string()))?;
        let uv = document.tool.uv;
        let mut groups = BTreeMap::new();
        for name in document.dependency_groups.keys() {
            let mut found = Vec::new();
            expand(
                &document.dependency_groups,
                name,
                &mut Vec::new(),
                &mut found,
            )?;
            groups.insert(name.clone(), found);
        }
        if !uv.dev_dependencies.is_empty() {
            // The older place of the group `dev`; uv still adds it.
            let more = read_all(&uv.dev_dependencies)?;
            groups.entry(dev()).or_default().extend(more);
        }
        let default_groups = match uv.default_groups {
            Some(DefaultGroups::Listed(names)) => names,
            Some(DefaultGroups::Word(word)) if word == "all" => groups.keys().cloned().collect(),
            Some(DefaultGroups::Word(word)) => {
                let reason = format!("tool.uv.default-groups is `{word}`: wanted `all` or a list");
                return Err(PyprojectError::Malformed(reason));
            }
            None => BTreeSet::from([dev()]),
        };
        Ok(Self {
            project: document.project.map(Project::read).transpose()?,
            groups,
            default_groups,
            redirected: uv.sources.into_keys().collect(),
        })
    }
}

impl Project {
    fn read(table: ProjectTable) -> Result<Self, PyprojectError> {
        let is_dynamic = |field: &str| table.dynamic.iter().any(|name| name == field);
        let mut extras = BTreeMap::new();
        for (name, texts) in &table.optional_dependencies {
            extras.insert(name.clone(), read_all(texts)?);
        }
        Ok(Self {
            dependencies: (!is_dynamic("dependencies"))
                .then(|| read_all(&table.dependencies))
                .transpose()?,
            extras: (!is_dynamic("optional-dependencies")).then_some(extras),
            requires_python: table.requires_python,
            name: table.name,
        })
    }
}

/// Collects the dependencies of a group and of those it includes.
fn expand(
    groups: &BTreeMap<GroupName, Vec<GroupEntry>>,
    name: &GroupName,
    above: &mut Vec<GroupName>,
    found: &mut Vec<Declared>,
) -> Result<(), PyprojectError> {
    if above.contains(name) {
        return Err(PyprojectError::Circle(name.clone()));
    }
    above.push(name.clone());
    for entry in groups.get(name).into_iter().flatten() {
        match entry {
            GroupEntry::Dependency(text) => found.push(text.parse()?),
            GroupEntry::Include { group } if groups.contains_key(group) => {
                expand(groups, group, above, found)?;
            }
            GroupEntry::Include { group } => {
                return Err(PyprojectError::UnknownGroup {
                    group: name.clone(),
                    included: group.clone(),
                });
            }
        }
    }
    above.pop();
    Ok(())
}

fn read_all(texts: &[String]) -> Result<Vec<Declared>, PyprojectError> {
    texts.iter().map(|text| text.parse()).collect()
}

impl FromStr for Declared {
    type Err = PyprojectError;

    fn from_str(text: &str) -> Result<Self, PyprojectError> {
        let wrong = |reason: String| PyprojectError::Dependency {
            text: text.to_owned(),
            reason,
        };
        // pep508_rs is not asked: its parser of requirements panics at a name like `a-`, and reads the environment and
        // the working directory for addresses, of which only that there is one matters here.
        let text = text.trim();
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        let mut rest = rest.trim_start();
        let mut extras = BTreeSet::new();
        if let Some(list) = rest.strip_prefix('[') {
            let (list, after) = list
                .split_once(']')
                .ok_or_else(|| wrong("an extra has no `]`".to_owned()))?;
            for extra in list.split(',').map(str::trim).filter(|it| !it.is_empty()) {
                extras.insert(
                    extra
                        .parse()
                        .map_err(|_| wrong(format!("`{extra}` is no extra")))?,
                );
            }
            rest = after.trim_start();
        }
        let address = rest.strip_prefix('@');
        // An address may hold semicolons; the one before a marker has a space before it.
        let (versions, marker) = match address {
            Some(address) => ("", address.split_once(" ;").map(|(_, marker)| marker)),
            None => match rest.split_once(';') {
                Some((versions, marker)) => (versions, Some(marker)),
                None => (rest, None),
            },
        };
        let versions = versions.trim();
        let bare = versions
            .strip_prefix('(')
            .and_then(|it| it.strip_suffix(')'));
        let versions = bare.unwrap_or(versions);
        let specifier = (!versions.is_empty()).then(|| versions.parse::<VersionSpecifiers>());
        Ok(Self {
            name: name
                .parse()
                .ok()
                .filter(|_| !name.is_empty())
                .ok_or_else(|| wrong("it does not start with a name".to_owned()))?,
            extras,
            specifier: specifier
                .transpose()
                .map_err(|error| wrong(error.to_string()))?,
            is_direct: address.is_some(),
            marker: marker
                .map_or_else(|| Ok(Marker::always()), |marker| marker.trim().parse())
                .map_err(|error: MarkerError| wrong(error.to_string()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_expanded_and_dynamic_fields_left_open() {
        let project = Pyproject::parse(
            "[project]\nname='Svc_x'\nrequires-python='>=3.11'\ndynamic=['dependencies']\n\
             [project.optional-dependencies]\nCPU=['torch==2']\n\
             [dependency-groups]\ndev=['a',{include-group='lint'}]\nlint=['ruff>=0.5']\n\
             [tool.uv]\ndev-dependencies=['b']\n[tool.uv.sources]\na={workspace=true}\n",
        )
        .expect("valid");
        let names = |group: &str| {
            let group: GroupName = group.parse().expect("a name");
            let found = project.groups.get(&group).expect("a group");
            found
                .iter()
                .map(|it| it.name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("dev"), ["a", "ruff", "b"]);
        let table = project.project.clone().expect("a project");
        assert_eq!(table.name.to_string(), "svc-x");
        assert_eq!(table.dependencies, None);
        assert_eq!(table.extras.map(|extras| extras.len()), Some(1));
        assert_eq!(project.redirected.len(), 1);
    }

    #[test]
    fn a_dependency_is_read_with_or_without_an_address() {
        for (text, is_direct, marker) in [
            (
                "A_b[X,y]>=1,<2 ; os_name == 'posix'",
                false,
                "os_name == 'posix'",
            ),
            (
                "a-b[x,y] @ ../c ; os_name == 'posix'",
                true,
                "os_name == 'posix'",
            ),
            ("a-b[y,x]@https://h/${X}/a;b.zip", true, ""),
            (
                "a-b[x,y]; python_version == '3.11' or os_name == 'x@y'",
                false,
                "python_full_version == '3.11.*' or os_name == 'x@y'",
            ),
        ] {
            let found: Declared = text.parse().expect(text);
            assert_eq!(found.name.to_string(), "a-b");
            assert_eq!(found.extras.len(), 2, "{text}");
            assert_eq!(found.is_direct, is_direct, "{text}");
            assert_eq!(
                found.marker,
                marker.parse().unwrap_or_else(|_| Marker::always()),
                "{text}"
            );
        }
        for text in [
            "",
            "@",
            "a-",
            "a-b.",
            "a[x",
            "a[-]",
            "a b",
            "a >=",
            "a ; nonsense",
        ] {
            assert!(text.parse::<Declared>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn what_is_no_pyproject_is_refused() {
        for text in [
            "[",
            "[project]\nname=3",
            "[project]\nname='a'\ndependencies=['=']",
            "[dependency-groups]\na=[{include-group='b'}]",
            "[dependency-groups]\na=[{include-group='b'}]\nb=[{include-group='a'}]",
            "[tool.uv]\ndefault-groups='some'",
        ] {
            assert!(Pyproject::parse(text).is_err(), "{text} was accepted");
        }
    }
}
