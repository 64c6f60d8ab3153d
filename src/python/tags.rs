//! Wheel file names and compatibility tags in order of preference.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use pep440_rs::Version;
use pep508_rs::PackageName;

use super::markers::release;
use crate::oci::Arch;

/// The name of a wheel file, which says what it holds and where it runs.
///
/// <https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WheelName {
    text: String,
    name: PackageName,
    version: Version,
    build: Option<(u64, String)>,
    pythons: Vec<String>,
    abis: Vec<String>,
    platforms: Vec<String>,
}

/// Why text is not the name of a wheel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WheelNameError {
    /// Another kind of file.
    #[error("`{0}` is not a wheel: wanted a name ending in `.whl`")]
    Extension(String),
    /// Too few or too many parts.
    #[error(
        "wheel `{text}` has {found} parts between dashes: wanted name-version[-build]-python-abi-platform"
    )]
    Parts {
        /// The file name.
        text: String,
        /// How many parts it has.
        found: usize,
    },
    /// The project's name is not one.
    #[error("wheel `{text}`: `{found}` is not the name of a project")]
    Name {
        /// The file name.
        text: String,
        /// The name in it.
        found: String,
    },
    /// The version is not one.
    #[error("wheel `{text}`: `{found}` is not a version")]
    Version {
        /// The file name.
        text: String,
        /// The version in it.
        found: String,
    },
    /// The build tag does not start with a digit.
    #[error("wheel `{text}`: build tag `{found}` does not start with a number")]
    Build {
        /// The file name.
        text: String,
        /// The build tag in it.
        found: String,
    },
    /// A tag is empty, or holds what no tag holds.
    #[error("wheel `{text}`: tag `{found}` is malformed")]
    Tag {
        /// The file name.
        text: String,
        /// The tag in it.
        found: String,
    },
}

impl WheelName {
    /// Returns the normalised name of the project.
    #[must_use]
    pub fn name(&self) -> &PackageName {
        &self.name
    }

    /// Returns the version of the project.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Returns the file name as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether the wheel is for no platform in particular: every tag is `*-none-any`.
    #[must_use]
    pub fn is_for_any_platform(&self) -> bool {
        self.abis.iter().all(|abi| abi == "none") && self.platforms.iter().all(|p| p == "any")
    }
}

impl FromStr for WheelName {
    type Err = WheelNameError;

    fn from_str(text: &str) -> Result<Self, WheelNameError> {
        let owned = || text.to_owned();
        let stem = text
            .strip_suffix(".whl")
            .ok_or_else(|| WheelNameError::Extension(owned()))?;
        let parts: Vec<&str> = stem.split('-').collect();
        let (name, version, build, tags) = match parts[..] {
            [name, version, python, abi, platform] => {
                (name, version, None, [python, abi, platform])
            }
            [name, version, build, python, abi, platform] => {
                (name, version, Some(build), [python, abi, platform])
            }
            _ => {
                return Err(WheelNameError::Parts {
                    text: owned(),
                    found: parts.len(),
                });
            }
        };
        let [pythons, abis, platforms] = tags.map(|set| split_tags(text, set));
        Ok(Self {
            // An empty name parses as a project's.
            name: name
                .parse()
                .ok()
                .filter(|_| !name.is_empty())
                .ok_or_else(|| WheelNameError::Name {
                    text: owned(),
                    found: name.to_owned(),
                })?,
            // Clause "Escaping and Unicode": `-` in a local version is written `_`, and reads the same.
            version: version.parse().map_err(|_| WheelNameError::Version {
                text: owned(),
                found: version.to_owned(),
            })?,
            build: build.map(|build| parse_build(text, build)).transpose()?,
            pythons: pythons?,
            abis: abis?,
            platforms: platforms?,
            text: owned(),
        })
    }
}

/// Splits a compressed set of tags: `py2.py3` is two.
fn split_tags(text: &str, set: &str) -> Result<Vec<String>, WheelNameError> {
    set.split('.')
        .map(|tag| {
            let valid = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
            if tag.is_empty() || !tag.bytes().all(valid) {
                return Err(WheelNameError::Tag {
                    text: text.to_owned(),
                    found: tag.to_owned(),
                });
            }
            Ok(tag.to_ascii_lowercase())
        })
        .collect()
}

/// Splits a build tag into its number and the rest, by which it is ordered.
fn parse_build(text: &str, build: &str) -> Result<(u64, String), WheelNameError> {
    let digits = build.len() - build.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = build.split_at(digits);
    match number.parse() {
        Ok(number) => Ok((number, rest.to_owned())),
        Err(_) => Err(WheelNameError::Build {
            text: text.to_owned(),
            found: build.to_owned(),
        }),
    }
}

impl fmt::Display for WheelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How well a wheel suits a target; the greatest is the one to take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    tag: usize,
    build: Option<(u64, String)>,
}

/// The tags that run on a target, and which of them come first.
///
/// <https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/>
#[derive(Clone, Debug)]
pub struct Tags {
    /// The higher the number, the better.
    priorities: BTreeMap<(String, String, String), usize>,
}

impl Tags {
    /// Returns the tags of CPython `python` on a distribution with this glibc, in uv's order.
    #[must_use]
    pub fn of(python: &Version, glibc: (u32, u32), arch: Arch) -> Self {
        let (major, minor) = release(python);
        let platforms = platforms(glibc, arch);
        let mut order: Vec<(String, &str, &str)> = Vec::new();
        let cp = |minor: u64| format!("cp{major}{minor}");
        let py = |minor: u64| format!("py{major}{minor}");
        let exact = cp(minor);
        let mut on_platforms = |python: &str, abi: &'static str| {
            for platform in &platforms {
                order.push((python.to_owned(), abi, platform));
            }
        };
        // 1. This very C interface. Its ABI tag is the Python tag; `=` stands for it until the map is made.
        on_platforms(&exact, "=");
        // 2. The stable interface, from this minor version down to 3.2 where it began; before the older ones, this
        //    version without interface.
        for older in (2..=minor).rev() {
            on_platforms(&cp(older), "abi3");
            if older == minor {
                on_platforms(&exact, "none");
            }
        }
        // 3. No interface, but for the platform: `py3` comes right after the exact version.
        for older in (0..=minor).rev() {
            on_platforms(&py(older), "none");
            if older == minor {
                on_platforms(&format!("py{major}"), "none");
            }
        }
        // 4. For no platform in particular.
        order.push((exact.clone(), "none", "any"));
        for older in (0..=minor).rev() {
            order.push((py(older), "none", "any"));
            if older == minor {
                order.push((format!("py{major}"), "none", "any"));
            }
        }
        let mut priorities = BTreeMap::new();
        for (priority, (python, abi, platform)) in order.into_iter().rev().enumerate() {
            let abi = if abi == "=" {
                python.clone()
            } else {
                abi.to_owned()
            };
            priorities.insert((python, abi, platform.to_owned()), priority);
        }
        Self { priorities }
    }

    /// Returns how well `wheel` suits; none if it does not run here.
    #[must_use]
    pub fn fit(&self, wheel: &WheelName) -> Option<Fit> {
        let mut best = None;
        for python in &wheel.pythons {
            for abi in &wheel.abis {
                for platform in &wheel.platforms {
                    let tag = (python.clone(), abi.clone(), platform.clone());
                    best = best.max(self.priorities.get(&tag).copied());
                }
            }
        }
        best.map(|tag| Fit {
            tag,
            build: wheel.build.clone(),
        })
    }
}

/// Returns the platform tags, the newest glibc first.
///
/// The old names stand for a glibc each (PEP 600, "Legacy manylinux tags"), and come just after it.
fn platforms(glibc: (u32, u32), arch: Arch) -> Vec<String> {
    let machine = arch.rpm();
    let (major, newest) = glibc;
    // Before 2.17 there was no aarch64; manylinux1 is 2.5.
    let oldest = match arch {
        Arch::Amd64 => 5,
        Arch::Arm64 => 17,
    };
    let mut out = Vec::new();
    // glibc has had one major version since 1997. A bound keeps a nonsense number from filling memory.
    for minor in (oldest..=newest.min(999)).rev() {
        out.push(format!("manylinux_{major}_{minor}_{machine}"));
        let legacy = match minor {
            17 => "manylinux2014",
            12 => "manylinux2010",
            5 => "manylinux1",
            _ => continue,
        };
        out.push(format!("{legacy}_{machine}"));
    }
    out.push(format!("linux_{machine}"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(text: &str) -> WheelName {
        text.parse().expect(text)
    }

    fn tags(python: &str, arch: Arch) -> Tags {
        Tags::of(&python.parse().expect("a version"), (2, 34), arch)
    }

    #[test]
    fn a_wheel_name_is_read_into_its_parts() {
        let name = wheel("PySocks-1.7.1-py2.py3-none-any.whl");
        assert_eq!(name.name().to_string(), "pysocks");
        assert_eq!(name.version().to_string(), "1.7.1");
        assert!(name.is_for_any_platform());
        assert_eq!(name.to_string(), "PySocks-1.7.1-py2.py3-none-any.whl");
        let local = wheel("torch-2.1.0+cpu.cxx11-2b-cp311-cp311-linux_x86_64.whl");
        assert_eq!(local.version().to_string(), "2.1.0+cpu.cxx11");
        assert_eq!(local.build, Some((2, "b".to_owned())));
        assert!(!local.is_for_any_platform());
        assert!(!wheel("a-1-py3-none-manylinux_2_17_x86_64.any.whl").is_for_any_platform());
    }

    #[test]
    fn what_is_no_wheel_name_is_refused() {
        for text in [
            "",
            ".whl",
            "a-1.tar.gz",
            "a-1-py3-none.whl",
            "a-1-1-1-py3-none-any.whl",
            "a-x-py3-none-any.whl",
            "-1-py3-none-any.whl",
            "a-1-x-py3-none-any.whl",
            "a-1-99999999999999999999-py3-none-any.whl",
            "a-1-py3..py2-none-any.whl",
            "a-1-py3-no/ne-any.whl",
            "../a-1-py3-none-any.whl",
        ] {
            assert!(text.parse::<WheelName>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn better_tags_win_in_the_order_of_uv() {
        let tags = tags("3.11.2", Arch::Amd64);
        let ordered = [
            "a-1-cp311-cp311-manylinux_2_34_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_17_x86_64.whl",
            "a-1-cp311-cp311-manylinux2014_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_5_x86_64.whl",
            "a-1-cp311-cp311-manylinux1_x86_64.whl",
            "a-1-cp311-cp311-linux_x86_64.whl",
            "a-1-cp311-abi3-manylinux_2_34_x86_64.whl",
            "a-1-cp311-none-manylinux_2_34_x86_64.whl",
            "a-1-cp310-abi3-manylinux_2_34_x86_64.whl",
            "a-1-cp32-abi3-linux_x86_64.whl",
            "a-1-py311-none-linux_x86_64.whl",
            "a-1-py3-none-manylinux_2_34_x86_64.whl",
            "a-1-py310-none-manylinux_2_34_x86_64.whl",
            "a-1-cp311-none-any.whl",
            "a-1-py311-none-any.whl",
            "a-1-py3-none-any.whl",
            "a-1-py310-none-any.whl",
            "a-1-py30-none-any.whl",
        ];
        for pair in ordered.windows(2) {
            let [better, worse] = pair else { continue };
            assert!(
                tags.fit(&wheel(better)) > tags.fit(&wheel(worse)),
                "{better} should win over {worse}"
            );
            assert!(tags.fit(&wheel(worse)).is_some(), "{worse}");
        }
    }

    #[test]
    fn what_runs_elsewhere_does_not_fit() {
        let tags = tags("3.11.2", Arch::Arm64);
        for text in [
            "a-1-cp311-cp311-manylinux_2_35_aarch64.whl",
            "a-1-cp311-cp311-manylinux_2_17_x86_64.whl",
            "a-1-cp311-cp311-manylinux2010_aarch64.whl",
            "a-1-cp311-cp311-musllinux_1_2_aarch64.whl",
            "a-1-cp310-cp310-manylinux_2_17_aarch64.whl",
            "a-1-cp312-abi3-manylinux_2_17_aarch64.whl",
            "a-1-cp310-none-any.whl",
            "a-1-py2-none-any.whl",
            "a-1-cp311-cp311-win_amd64.whl",
        ] {
            assert_eq!(tags.fit(&wheel(text)), None, "{text}");
        }
    }

    #[test]
    fn among_equal_tags_the_greater_build_wins() {
        let tags = tags("3.12.0", Arch::Amd64);
        let fit = |text| tags.fit(&wheel(text));
        assert!(fit("a-1-1-py3-none-any.whl") > fit("a-1-py3-none-any.whl"));
        assert!(fit("a-1-10-py3-none-any.whl") > fit("a-1-9-py3-none-any.whl"));
        assert!(fit("a-1-1b-py3-none-any.whl") > fit("a-1-1a-py3-none-any.whl"));
    }
}
