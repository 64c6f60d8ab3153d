//! What an image runs on: `linux/amd64` or `linux/arm64`, and the names others give these.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A processor architecture that images are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// `amd64` to OCI, `x86_64` to RPM and Python.
    Amd64,
    /// `arm64` to OCI, `aarch64` to RPM and Python.
    Arm64,
}

impl Arch {
    /// Returns the name OCI gives it (Go's `GOARCH`).
    #[must_use]
    pub fn oci(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Returns the name RPM, Python and the kernel give it.
    #[must_use]
    pub fn rpm(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

/// An operating system and architecture; the system is always Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// The architecture.
    pub arch: Arch,
}

/// Why a string is not a platform that images can be built for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("platform `{0}` is not supported: wanted `linux/amd64` or `linux/arm64`")]
pub struct PlatformError(String);

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let arch = match text {
            "linux/amd64" | "linux/x86_64" => Arch::Amd64,
            // OCI writes arm64 with or without its only variant.
            "linux/arm64" | "linux/arm64/v8" | "linux/aarch64" => Arch::Arm64,
            _ => return Err(PlatformError(text.to_owned())),
        };
        Ok(Self { arch })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.arch.oci())
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_read_under_each_of_its_names() {
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
        ] {
            assert_eq!(
                text.parse::<Platform>().expect("supported").to_string(),
                shown
            );
        }
        for text in ["", "amd64", "windows/amd64", "linux/s390x", "linux/arm/v7"] {
            assert!(text.parse::<Platform>().is_err(), "{text} was accepted");
        }
    }
}
