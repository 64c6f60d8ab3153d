//! Text as a unified diff.

use similar::TextDiff;

use super::Found;

/// The largest text that is compared line by line, in bytes.
const LARGEST: usize = 512 << 10;

/// How much of a line is shown, in characters.
const WIDTH: usize = 160;

pub(super) fn look(a: &[u8], b: &[u8]) -> Option<Found> {
    let text = |bytes: &[u8]| {
        let text = str::from_utf8(bytes).ok()?;
        let is_plain = bytes.len() <= LARGEST && !text.contains('\0');
        is_plain.then(|| text.to_owned())
    };
    let (a, b) = (text(a)?, text(b)?);
    let diff = TextDiff::from_lines(&a, &b);
    let unified = diff.unified_diff().context_radius(1).to_string();
    let lines = unified.lines().map(shown).collect();
    Found::lines(lines)
}

/// Nothing of a line may steer a terminal, and nothing that differs may be invisible.
fn shown(line: &str) -> String {
    let mut out = String::new();
    for (at, character) in line.chars().enumerate() {
        if at == WIDTH {
            out.push('…');
            break;
        }
        match character {
            '\t' => out.push(character),
            control if control.is_control() => out.extend(control.escape_default()),
            plain => out.push(plain),
        }
    }
    out
}
