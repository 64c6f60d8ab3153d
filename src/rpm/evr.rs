//! Compares epochs, versions and releases as rpm does.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An epoch, version and release, such as `2:4.9-12.amzn2023.0.4`; the release may be absent in dependencies.
///
/// Its order is rpm's ([`Evr::compare`]); texts that rpm holds equal, such as `1.0` and `1.00`, are then ordered
/// by their text, so that sorting is total and two different texts are never the same value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Evr {
    /// The epoch; 0 when not written.
    pub epoch: u32,
    /// The upstream version.
    pub version: Arc<str>,
    /// The packager's release; empty in dependencies that leave it open.
    pub release: Arc<str>,
}

impl Evr {
    /// Reads `[epoch:]version[-release]`.
    ///
    /// Like rpm, text before a colon that is not a number belongs to the version, and an epoch that does not fit
    /// 32 bits counts as the largest one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((digits, rest)) if digits.bytes().all(|c| c.is_ascii_digit()) => {
                let epoch = if digits.is_empty() {
                    0
                } else {
                    digits.parse().unwrap_or(u32::MAX)
                };
                (epoch, rest)
            }
            _ => (0, text),
        };
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self::new(epoch, version, release)
    }

    /// Puts together an epoch, a version and a release.
    #[must_use]
    pub fn new(epoch: u32, version: impl Into<Arc<str>>, release: impl Into<Arc<str>>) -> Self {
        Self {
            epoch,
            version: version.into(),
            release: release.into(),
        }
    }

    /// Compares as rpm does between packages and in dependencies: a release that one side lacks is not compared.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_versions(&self.version, &other.version))
            .then_with(|| {
                if self.release.is_empty() || other.release.is_empty() {
                    Ordering::Equal
                } else {
                    compare_versions(&self.release, &other.release)
                }
            })
    }
}

impl Ord for Evr {
    fn cmp(&self, other: &Self) -> Ordering {
        // A missing release sorts first here; treating it as equal would not be an order.
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_versions(&self.version, &other.version))
            .then_with(|| compare_versions(&self.release, &other.release))
            .then_with(|| self.version.cmp(&other.version))
            .then_with(|| self.release.cmp(&other.release))
    }
}

impl PartialOrd for Evr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Evr {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::parse(text))
    }
}

impl fmt::Display for Evr {
    /// Writes `[epoch:]version[-release]`; an epoch of 0 is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch > 0 {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(&self.version)?;
        if !self.release.is_empty() {
            write!(f, "-{}", self.release)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which side of a version a dependency means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterEqual,
    /// `>`
    Greater,
}

impl Comparison {
    /// Reads an operator as dependencies write it: `<`, `<=`, `=`, `==`, `>=`, `>`.
    #[must_use]
    pub fn from_operator(text: &str) -> Option<Self> {
        Some(match text {
            "<" => Self::Less,
            "<=" | "=<" => Self::LessEqual,
            "=" | "==" => Self::Equal,
            ">=" | "=>" => Self::GreaterEqual,
            ">" => Self::Greater,
            _ => return None,
        })
    }

    /// Reads the `flags` of repository metadata: `LT`, `LE`, `EQ`, `GE`, `GT`.
    #[must_use]
    pub fn from_metadata(text: &str) -> Option<Self> {
        Some(match text {
            "LT" => Self::Less,
            "LE" => Self::LessEqual,
            "EQ" => Self::Equal,
            "GE" => Self::GreaterEqual,
            "GT" => Self::Greater,
            _ => return None,
        })
    }

    /// Reads the `RPMSENSE_LESS`, `_GREATER` and `_EQUAL` bits of a header's flags; none if no version is meant.
    #[must_use]
    pub fn from_sense(flags: u32) -> Option<Self> {
        Some(match (flags & 2 != 0, flags & 4 != 0, flags & 8 != 0) {
            (true, false, false) => Self::Less,
            (true, false, true) => Self::LessEqual,
            (false, false, true) => Self::Equal,
            (false, true, true) => Self::GreaterEqual,
            (false, true, false) => Self::Greater,
            // `<>` says nothing a version could break, and no bit says nothing at all.
            _ => return None,
        })
    }

    fn below(self) -> bool {
        matches!(self, Self::Less | Self::LessEqual)
    }

    fn above(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterEqual)
    }

    fn at(self) -> bool {
        matches!(self, Self::LessEqual | Self::Equal | Self::GreaterEqual)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Equal => "=",
            Self::GreaterEqual => ">=",
            Self::Greater => ">",
        })
    }
}

/// The versions a dependency means, such as `>= 2.34`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// Which side of `evr`.
    pub comparison: Comparison,
    /// The version compared with.
    pub evr: Evr,
}

impl Range {
    /// Returns the range that holds `evr` alone, as a `Provides: name = evr` does.
    #[must_use]
    pub fn exactly(evr: Evr) -> Self {
        Self {
            comparison: Comparison::Equal,
            evr,
        }
    }

    /// Tells whether some version lies in both, which is how a provide answers a requirement.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.comparison, other.comparison);
        match self.evr.compare(&other.evr) {
            Ordering::Less => a.above() || b.below(),
            Ordering::Greater => a.below() || b.above(),
            Ordering::Equal => a.at() && b.at() || a.below() && b.below() || a.above() && b.above(),
        }
    }

    /// Tells whether `evr` lies in it, which is how a package falls to an `Obsoletes`.
    #[must_use]
    pub fn contains(&self, evr: &Evr) -> bool {
        match evr.compare(&self.evr) {
            Ordering::Less => self.comparison.below(),
            Ordering::Greater => self.comparison.above(),
            Ordering::Equal => self.comparison.at(),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparison, self.evr)
    }
}

/// Compares two versions or two releases: digits as numbers, letters as text, `~` before and `^` after the end.
///
/// <https://github.com/rpm-software-management/rpm/blob/rpm-4.16.x/lib/rpmvercmp.c>
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = skip_separators(a);
        b = skip_separators(b);
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            // A tilde sorts before everything, even the end.
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            // A caret sorts after the end, but before everything else.
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(first), Some(_)) => {
                let digits = first.is_ascii_digit();
                let (segment_a, rest_a) = segment(a, digits);
                let (segment_b, rest_b) = segment(b, digits);
                let order = match (digits, segment_b.is_empty()) {
                    // Numbers are newer than letters.
                    (true, true) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (true, false) => compare_numbers(segment_a, segment_b),
                    (false, false) => segment_a.cmp(segment_b),
                };
                if order.is_ne() {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
        }
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|c| c.is_ascii_alphanumeric() || matches!(c, b'~' | b'^'));
    &text[start.unwrap_or(text.len())..]
}

fn segment(text: &[u8], digits: bool) -> (&[u8], &[u8]) {
    let belongs = |c: &u8| {
        if digits {
            c.is_ascii_digit()
        } else {
            c.is_ascii_alphabetic()
        }
    };
    text.split_at(text.iter().position(|c| !belongs(c)).unwrap_or(text.len()))
}

fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    fn significant(digits: &[u8]) -> &[u8] {
        &digits[digits
            .iter()
            .position(|&c| c != b'0')
            .unwrap_or(digits.len())..]
    }
    let (a, b) = (significant(a), significant(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_rpmvercmp_does() {
        // After rpm's own tests/rpmvercmp.at.
        for (a, b, wanted) in [
            ("1.0", "1.0", 0),
            ("1.0", "2.0", -1),
            ("2.0.1", "2.0.1a", -1),
            ("5.5p1", "5.5p10", -1),
            ("10xyz", "10.1xyz", -1),
            ("xyz10", "xyz10.1", -1),
            ("xyz.4", "xyz.4", 0),
            ("xyz.4", "8", -1),
            ("5.5p2", "5.6p1", -1),
            ("6.0.rc1", "6.0", 1),
            ("10b2", "10a1", 1),
            ("7.0", "7.00", 0),
            ("1.0010", "1.9", 1),
            ("1.05", "1.5", 0),
            ("2.50", "2.5", 1),
            ("fc4", "fc.4", 0),
            ("FC5", "fc4", -1),
            ("2a", "2.0", -1),
            ("1.0", "1.fc4", 1),
            ("3.0.0_fc", "3.0.0.fc", 0),
            ("1.0~rc1", "1.0", -1),
            ("1.0~rc1", "1.0~rc2", -1),
            ("1.0~rc1~git123", "1.0~rc1", -1),
            ("1.0^", "1.0", 1),
            ("1.0^git1", "1.0^git2", -1),
            ("1.0^git1", "1.01", -1),
            ("1.0^20160101", "1.0.1", -1),
            ("1.0~rc1^git1", "1.0~rc1", 1),
            ("1.0^git1~pre", "1.0^git1", -1),
            ("99999999999999999999999", "99999999999999999999998", 1),
            ("", "1", -1),
            ("é1", "1", 0),
        ] {
            assert_eq!(compare_versions(a, b) as i8, wanted, "{a} {b}");
            assert_eq!(compare_versions(b, a) as i8, -wanted, "{b} {a}");
        }
    }

    #[test]
    fn an_evr_prints_as_it_was_read() {
        for text in ["1.0", "1.0-1", "3:1.0-1.fc34", "1-2-3", "a:1-1"] {
            assert_eq!(Evr::parse(text).to_string(), text);
        }
        assert_eq!(Evr::parse("0:1-1").to_string(), "1-1");
        assert_eq!(Evr::parse("99999999999:1").epoch, u32::MAX);
    }

    #[test]
    fn a_release_that_one_side_lacks_is_not_compared() {
        assert_eq!(
            Evr::parse("1.0").compare(&Evr::parse("1.0-5")),
            Ordering::Equal
        );
        assert_eq!(
            Evr::parse("1:0.1").compare(&Evr::parse("5.0")),
            Ordering::Greater
        );
        assert!(Evr::parse("1.0") < Evr::parse("1.0-5"));
        assert!(
            Evr::parse("1.0") < Evr::parse("1.00"),
            "equal to rpm, ordered by text"
        );
    }

    #[test]
    fn ranges_overlap_where_a_version_lies_in_both() {
        let range = |text: &str| {
            let (operator, evr) = text.split_once(' ').expect(text);
            Range {
                comparison: Comparison::from_operator(operator).expect(text),
                evr: Evr::parse(evr),
            }
        };
        for (a, b, wanted) in [
            ("= 1.0", "= 1.0-3", true),
            (">= 2", "= 1", false),
            (">= 2", "= 2-1", true),
            ("> 2", "= 2-1", false),
            ("< 2", "> 1", true),
            ("< 2", ">= 2", false),
            ("<= 2", ">= 2", true),
            ("< 2", "< 1", true),
        ] {
            assert_eq!(range(a).overlaps(&range(b)), wanted, "{a} {b}");
            assert_eq!(range(b).overlaps(&range(a)), wanted, "{b} {a}");
        }
        assert!(range("< 2-3").contains(&Evr::parse("2-2")));
        assert!(!range("< 2-3").contains(&Evr::parse("2-3")));
    }
}
