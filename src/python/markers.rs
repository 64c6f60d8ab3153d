//! Evaluates dependency markers for the target, never for the host.

mod grammar;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use pep440_rs::Version;
use pep508_rs::{ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree, PackageName};
use serde::{Deserialize, Deserializer};

use crate::oci::Arch;

/// The name of a dependency group; groups are normalised and compared exactly as extras are.
///
/// <https://packaging.python.org/en/latest/specifications/dependency-groups/>
pub type GroupName = ExtraName;

/// Longest marker that is read, in bytes. The longest seen in a real lock is under 4 KiB.
const MAX_LENGTH: usize = 64 << 10;
/// A condition on the environment, such as `python_full_version < '3.11.3'`.
///
/// Two markers are equal if they hold in the same environments, however they are written.
/// <https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers>
#[derive(Clone, PartialEq, Eq)]
pub struct Marker(MarkerTree);

/// Why text is not a marker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// Longer than any marker that a tool writes.
    #[error("marker of {0} bytes: wanted at most {MAX_LENGTH}")]
    Long(usize),
    /// Not by the grammar.
    #[error("marker `{text}` cannot be read: {reason}")]
    Syntax {
        /// The marker.
        text: String,
        /// What the parser says.
        reason: String,
    },
}

impl Marker {
    /// Returns the marker that always holds.
    #[must_use]
    pub fn always() -> Self {
        Self(MarkerTree::TRUE)
    }

    /// Returns the marker that holds where both hold.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut tree = self.0.clone();
        tree.and(other.0.clone());
        Self(tree)
    }

    /// Tells whether `other` holds wherever this one does.
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        self.0.is_disjoint(&other.0.negate())
    }
}

impl FromStr for Marker {
    type Err = MarkerError;

    fn from_str(text: &str) -> Result<Self, MarkerError> {
        if text.len() > MAX_LENGTH {
            return Err(MarkerError::Long(text.len()));
        }
        let wrong = |reason| MarkerError::Syntax {
            text: text.to_owned(),
            reason,
        };
        grammar::check(text).map_err(wrong)?;
        // Warnings (comparisons that make no sense) evaluate as the specification says; there is nobody to tell.
        let mut silent = |_, _| {};
        MarkerTree::parse_reporter(text, &mut silent)
            .map(Self)
            .map_err(|error| wrong(error.message.to_string()))
    }
}

impl fmt::Display for Marker {
    /// Writes it in normal form; the marker that always holds is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.try_to_string().unwrap_or_default())
    }
}

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Marker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What markers are evaluated against: the target's interpreter and processor.
#[derive(Clone, Debug)]
pub struct Environment(MarkerEnvironment);

impl Environment {
    /// Describes CPython `python`, a full version such as 3.11.14, on Linux.
    ///
    /// `platform_release` and `platform_version` describe a running kernel, of which an image knows nothing: they
    /// are empty, as for `uv --python-platform`.
    #[must_use]
    pub fn of(python: &Version, arch: Arch) -> Self {
        let full = python.to_string();
        let short = minor(python);
        let environment = MarkerEnvironmentBuilder {
            implementation_name: "cpython",
            implementation_version: &full,
            os_name: "posix",
            platform_machine: arch.rpm(),
            platform_python_implementation: "CPython",
            platform_release: "",
            platform_system: "Linux",
            platform_version: "",
            python_full_version: &full,
            python_version: &short,
            sys_platform: "linux",
        };
        Self(
            MarkerEnvironment::try_from(environment)
                .expect("a version printed from a version parses as one"),
        )
    }

    /// Tells whether `marker` holds here with these extras and groups chosen.
    #[must_use]
    pub fn holds(&self, marker: &Marker, active: &Active) -> bool {
        marker.0.evaluate(&self.0, &active.encoded)
    }
}

/// Returns `3.11` for 3.11.14.
#[must_use]
pub fn minor(python: &Version) -> String {
    let (major, minor) = release(python);
    format!("{major}.{minor}")
}

/// Returns `(3, 11)` for 3.11.14.
#[must_use]
pub(crate) fn release(python: &Version) -> (u64, u64) {
    let part = |at: usize| python.release().get(at).copied().unwrap_or(0);
    (part(0), part(1))
}

/// The extras, groups and projects chosen so far, as uv writes them in the markers of a lock with conflicts.
///
/// `extra == 'extra-3-svc-cpu'` holds if extra `cpu` of project `svc` is chosen: the number is the length of the
/// project's name, so that the dashes are unambiguous. `group-` and `project-` are alike.
#[derive(Clone, Debug, Default)]
pub struct Active {
    encoded: Vec<ExtraName>,
    known: BTreeSet<String>,
}

impl Active {
    /// Adds extra `extra` of `package`.
    pub fn add_extra(&mut self, package: &PackageName, extra: &ExtraName) {
        let name = package.to_string();
        self.add(format!("extra-{}-{name}-{extra}", name.len()));
    }

    /// Adds group `group` of `package`.
    pub fn add_group(&mut self, package: &PackageName, group: &GroupName) {
        let name = package.to_string();
        self.add(format!("group-{}-{name}-{group}", name.len()));
    }

    /// Adds the dependencies of project `package` itself.
    pub fn add_project(&mut self, package: &PackageName) {
        let name = package.to_string();
        self.add(format!("project-{}-{name}", name.len()));
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.encoded.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    fn add(&mut self, encoded: String) {
        // Only with an empty name, which parses but which no package has, is this no name either.
        if let Ok(name) = ExtraName::new(encoded.clone())
            && self.known.insert(encoded)
        {
            self.encoded.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(arch: Arch) -> Environment {
        Environment::of(&"3.11.2".parse().expect("a version"), arch)
    }

    fn marker(text: &str) -> Marker {
        text.parse().expect(text)
    }

    #[test]
    fn markers_hold_for_the_target_and_not_for_the_host() {
        let none = Active::default();
        for (text, amd64, arm64) in [
            ("python_full_version < '3.11.3'", true, true),
            ("python_version == '3.11'", true, true),
            ("python_full_version == '3.11.*'", true, true),
            ("python_full_version >= '3.12'", false, false),
            ("platform_machine == 'aarch64'", false, true),
            ("platform_machine == 'arm64'", false, false),
            ("sys_platform == 'linux' and os_name == 'posix'", true, true),
            ("platform_system != 'Windows'", true, true),
            ("platform_python_implementation != 'PyPy'", true, true),
            ("platform_release == ''", true, true),
            (
                "sys_platform == 'win32' or platform_machine in 'x86_64 i386'",
                true,
                false,
            ),
            ("extra == 'cpu'", false, false),
        ] {
            let marker = marker(text);
            assert_eq!(
                environment(Arch::Amd64).holds(&marker, &none),
                amd64,
                "{text}"
            );
            assert_eq!(
                environment(Arch::Arm64).holds(&marker, &none),
                arm64,
                "{text}"
            );
        }
    }

    #[test]
    fn the_extras_of_conflicts_are_named_with_the_length_of_their_project() {
        let mut active = Active::default();
        let name: PackageName = "my-svc".parse().expect("a name");
        active.add_extra(&name, &"cpu".parse().expect("a name"));
        active.add_group(&name, &"dev".parse().expect("a name"));
        active.add_project(&name);
        active.add_project(&name);
        assert_eq!(active.len(), 3);
        let here = environment(Arch::Amd64);
        assert!(here.holds(&marker("extra == 'extra-6-my-svc-cpu'"), &active));
        assert!(here.holds(&marker("extra == 'group-6-my-svc-dev'"), &active));
        assert!(here.holds(&marker("extra == 'project-6-my-svc'"), &active));
        assert!(here.holds(&marker("extra != 'extra-6-my-svc-gpu'"), &active));
    }

    #[test]
    fn what_is_no_marker_is_refused_without_running_out_of_stack() {
        let deep = format!(
            "{}os_name == 'posix'{}",
            "(".repeat(100_000),
            ")".repeat(100_000)
        );
        let nested = format!("{}os_name == 'posix'{}", "(".repeat(1000), ")".repeat(1000));
        for text in [
            "",
            "python",
            "python_version >",
            "'a' 'b'",
            "extra == ",
            "os_name ~= 'x'",
            "os_name === 'x'",
            "extra < 'x'",
            "python_version > 'x'",
            "x == 'y'",
            "os_name == 'é'",
            "os_name == 'x' or",
            "os_name == 'x')",
            "'3.8' in python_version",
            &deep,
            &nested,
        ] {
            assert!(text.parse::<Marker>().is_err(), "{text:.40} was accepted");
        }
    }

    #[test]
    fn equal_means_the_same_environments() {
        assert_eq!(
            marker("python_version >= '3.11' and os_name == 'posix'"),
            marker("os_name == \"posix\" and python_full_version >= '3.11'")
        );
        assert!(marker("python_version >= '3.12'").implies(&marker("python_version >= '3.11'")));
        assert!(!marker("python_version >= '3.10'").implies(&marker("python_version >= '3.11'")));
    }
}
