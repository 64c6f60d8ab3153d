//! Durations as people write them: `30s`, `1m30s`, `500ms`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration, kept in nanoseconds as image configs write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(u64);

/// Why a string is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration: wanted numbers with units, for example `30s`, `1m30s` or `500ms`"
)]
pub struct DurationError(String);

impl Seconds {
    /// Returns the duration in nanoseconds.
    #[must_use]
    pub fn nanoseconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Seconds {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let bad = || DurationError(text.to_owned());
        let mut rest = text;
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            // `ms` before `m`: the longer unit wins.
            let units = [
                ("ms", 1_000_000),
                ("h", 3_600_000_000_000),
                ("m", 60_000_000_000),
                ("s", 1_000_000_000_u64),
            ];
            let (unit, size) = units
                .iter()
                .find(|(unit, _)| rest.starts_with(unit))
                .ok_or_else(bad)?;
            total = number
                .checked_mul(*size)
                .and_then(|n| total.checked_add(n))
                .ok_or_else(bad)?;
            rest = &rest[unit.len()..];
        }
        // Image configs hold a signed 64-bit number.
        if i64::try_from(total).is_err() {
            return Err(bad());
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n % 1_000_000_000 == 0 => write!(f, "{}s", n / 1_000_000_000),
            n => write!(f, "{}ms", n / 1_000_000),
        }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_all_their_units() {
        for (text, wanted) in [
            ("30s", 30_000_000_000),
            ("1m30s", 90_000_000_000),
            ("500ms", 500_000_000),
            ("2h", 7_200_000_000_000),
        ] {
            assert_eq!(
                text.parse::<Seconds>().map(Seconds::nanoseconds),
                Ok(wanted)
            );
        }
        for text in ["", "30", "s", "1.5s", "-1s", "1d", "99999999999999999h"] {
            assert!(text.parse::<Seconds>().is_err(), "{text} was accepted");
        }
    }
}
