//! Bytes of no known format: where they begin to differ, and in how many places.

use super::Found;

pub(super) fn look(a: &[u8], b: &[u8]) -> Found {
    let first = a.iter().zip(b).position(|(x, y)| x != y);
    let line = match first {
        Some(at) if a.len() == b.len() => {
            let count = a.iter().zip(b).filter(|(x, y)| x != y).count();
            let bytes = if count == 1 {
                "byte differs"
            } else {
                "bytes differ"
            };
            let (x, y) = (a[at], b[at]);
            format!("{count} {bytes}, the first at offset {at}: {x:02x} → {y:02x}")
        }
        Some(at) => format!("the bytes differ from offset {at} on"),
        None => format!(
            "the same up to offset {}, where one ends",
            a.len().min(b.len())
        ),
    };
    Found {
        lines: vec![line],
        cause: None,
    }
}
