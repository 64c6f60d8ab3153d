//! RECORD, the list of a wheel's files: its lines, whatever order they are in.

use super::Found;
use crate::diff::cause::Cause;

pub(super) fn look(a: &[u8], b: &[u8]) -> Option<Found> {
    let sorted = |bytes: &[u8]| {
        let mut lines: Vec<String> = str::from_utf8(bytes)
            .ok()?
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        Some(lines.join("\n"))
    };
    let (x, y) = (sorted(a)?, sorted(b)?);
    if x == y {
        let lines = vec!["the same lines in another order, or with other line ends".to_owned()];
        return Found::lines(lines).map(|found| found.because(Cause::RecordOrder));
    }
    super::text::look(x.as_bytes(), y.as_bytes())
}
