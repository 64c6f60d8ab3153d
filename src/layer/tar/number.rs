//! Numbers in tar headers, as every known writer writes them.

/// Reads a numeric field: octal digits, or the base-256 of GNU tar and star if the first bit is set.
///
/// Spaces and NULs around octal digits are skipped and an empty field is 0, as Go's reader has it.
pub(super) fn field(bytes: &[u8]) -> Option<i64> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => base_256(bytes),
        _ => octal(bytes),
    }
}

fn octal(bytes: &[u8]) -> Option<i64> {
    let is_blank = |c: &u8| matches!(c, b' ' | 0);
    let start = bytes
        .iter()
        .position(|c| !is_blank(c))
        .unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    let end = bytes.iter().position(is_blank).unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at(end);
    if rest.first() == Some(&b' ') && rest.iter().any(|c| !is_blank(c)) {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, &c| match c {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(c - b'0')),
        _ => None,
    })
}

/// Two's complement, big-endian; the first bit marks the format and the second is the sign.
fn base_256(bytes: &[u8]) -> Option<i64> {
    let (first, rest) = bytes.split_first()?;
    // Moving the sign into the top bit and back extends it over the mark.
    let start = i128::from(((first << 1) as i8) >> 1);
    let value = rest.iter().try_fold(start, |value, &byte| {
        value.checked_mul(256).map(|value| value | i128::from(byte))
    })?;
    i64::try_from(value).ok()
}

/// Reads a PAX time, seconds with an optional fraction, and rounds down.
pub(super) fn time(text: &[u8]) -> Option<i64> {
    let text = str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let is_between = fraction.bytes().any(|c| c != b'0');
    if whole.starts_with('-') && is_between {
        return seconds.checked_sub(1);
    }
    Some(seconds)
}

/// Reads a PAX number.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (bytes, wanted) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b" 644 \0\0\0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777777", Some(0o77_777_777_777)),
            (b"0000008\0", None),
            (b"12 34\0", None),
            (b"\x80\0\0\0\0\0\0\x01\0\0\0\0", Some(1 << 32)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfb", Some(-5)),
            (b"\x80\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (&[0x9f; 200], None),
            (b"", Some(0)),
        ] {
            assert_eq!(field(bytes), wanted, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn times_round_down() {
        for (text, wanted) in [
            ("5", Some(5)),
            ("5.999999999", Some(5)),
            ("-5", Some(-5)),
            ("-5.000", Some(-5)),
            ("-5.1", Some(-6)),
            ("-0.5", Some(-1)),
            ("5.x", None),
            ("", None),
            ("1e3", None),
            ("-9223372036854775808.1", None),
        ] {
            assert_eq!(time(text.as_bytes()), wanted, "{text}");
        }
    }
}
