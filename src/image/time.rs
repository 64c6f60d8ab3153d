//! Times as image documents write them.
//!
//! <https://www.rfc-editor.org/rfc/rfc3339>

/// Returns seconds since 1970 UTC in the form of RFC 3339.
#[must_use]
pub fn rfc3339(epoch: i64) -> String {
    // Days to a civil date: Howard Hinnant's algorithm, https://howardhinnant.github.io/date_algorithms.html
    let (days, seconds) = (epoch.div_euclid(86_400), epoch.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads the form of RFC 3339 that image configs use, to whole seconds since 1970 UTC.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let zone = text
        .get(19..)?
        .trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            // Two digits each: longer ones would overflow.
            let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
            sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60)
        }
    };
    let (shifted_year, shifted_month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::node::MADE_MTIME;

    #[test]
    fn times_are_written_and_read_as_the_specification_asks() {
        for (epoch, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (MADE_MTIME, "2000-01-01T00:00:00Z"),
            (1_788_134_399, "2026-08-30T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(epoch), text);
            assert_eq!(parse_rfc3339(text), Some(epoch));
        }
        assert_eq!(
            parse_rfc3339("2000-01-01T01:00:00.123456789+01:00"),
            Some(MADE_MTIME)
        );
        for text in [
            "",
            "yesterday",
            "2000-01-01",
            "2000-01-01T01:00:00",
            "2000-01-01T01:00:00é",
            "2000-01-01T01:00:00+9999999999999999:00",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
