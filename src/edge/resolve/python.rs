//! The Python part of a lock: which wheels uv.lock means on each platform.

use std::collections::{BTreeMap, BTreeSet};

use pep440_rs::Version;

use super::ResolveError;
use crate::edge::project::PythonFiles;
use crate::lock;
use crate::oci::Platform;
use crate::python::pyproject::Pyproject;
use crate::python::select::{self, Options, Target};
use crate::python::stale;
use crate::python::uv_lock::UvLock;
use crate::recipe::PythonSection;

/// What the wheels of a platform must fit, as its packages say.
#[derive(Clone, Debug)]
pub(super) struct Interpreter {
    /// The version of the package that holds the interpreter.
    pub(super) python: Version,
    /// The version of the C library.
    pub(super) glibc: (u32, u32),
}

/// Selects the wheels of every platform.
pub(super) fn select(
    section: &PythonSection,
    files: &PythonFiles,
    interpreters: &BTreeMap<Platform, Interpreter>,
) -> Result<(lock::Python, Vec<lock::Wheel>), ResolveError> {
    let uv_lock = UvLock::parse(&files.uv_lock)?;
    let pyproject = Pyproject::parse(&files.pyproject)?;
    stale::check(&uv_lock, &pyproject)?;
    let options = options(section, &pyproject)?;

    let mut wheels: BTreeMap<(String, String), lock::Wheel> = BTreeMap::new();
    for (&platform, interpreter) in interpreters {
        let Interpreter { python, glibc } = interpreter.clone();
        let target = Target {
            python,
            glibc,
            arch: platform.arch,
        };
        for selected in select::select(&uv_lock, &target, &options)? {
            let (name, filename) = (
                selected.name.to_string(),
                selected.filename.as_str().to_owned(),
            );
            let wheel = wheels
                .entry((name.clone(), filename.clone()))
                .or_insert_with(|| lock::Wheel {
                    name,
                    version: selected.version.to_string(),
                    filename,
                    url: selected.url,
                    size: selected.size,
                    digest: selected.digest,
                    platforms: BTreeSet::new(),
                });
            wheel.platforms.insert(platform);
        }
    }
    let shown = |of: &dyn Fn(&Interpreter) -> String| {
        interpreters
            .iter()
            .map(|(platform, interpreter)| (platform.to_string(), of(interpreter)))
            .collect()
    };
    let python = lock::Python {
        uv_lock: files.checksum(),
        interpreter: shown(&|interpreter| interpreter.python.to_string()),
        glibc: shown(&|interpreter| format!("{}.{}", interpreter.glibc.0, interpreter.glibc.1)),
    };
    Ok((python, wheels.into_values().collect()))
}

fn options(section: &PythonSection, pyproject: &Pyproject) -> Result<Options, ResolveError> {
    let name = |key: &str, text: &String| ResolveError::Name {
        key: format!("python.{key}"),
        name: text.clone(),
    };
    let extras = section
        .extras
        .iter()
        .map(|text| text.parse().map_err(|_| name("extras", text)));
    let groups = section
        .groups
        .iter()
        .map(|text| text.parse().map_err(|_| name("groups", text)));
    Ok(Options {
        project: pyproject
            .project
            .as_ref()
            .map(|project| project.name.clone()),
        extras: extras.collect::<Result<_, _>>()?,
        groups: groups.collect::<Result<_, _>>()?,
        default_groups: pyproject.default_groups.clone(),
        no_dev: section.no_dev,
        ..Options::default()
    })
}
