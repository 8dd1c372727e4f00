//! Dates as Go's JSON form of protobuf reads them: RFC 3339 with a capital `T` and `Z`, at most nine
//! digits of a second's fraction, years 1 to 9999.

use jiff::Timestamp;

/// Reads a date.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    let form: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if form != "0000-00-00T00:00:00" || date.ends_with(":60") || date.starts_with("0000") {
        return None;
    }
    let digits = rest
        .strip_prefix(['.', ','])
        .map(|rest| rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let zone = match digits {
        Some(0) => return None,
        // Go's own reader takes a comma, and its check of the length looks for a point.
        Some(digits) if digits > 9 && rest.starts_with('.') => return None,
        Some(digits) => rest.get(digits + 1..)?,
        None => rest,
    };
    if zone != "Z" && !is_offset(zone) {
        return None;
    }
    let fraction = rest.get(1..digits.map_or(1, |digits| digits.min(9) + 1)).unwrap_or_default();
    let point = if fraction.is_empty() { "" } else { "." };
    let read: Timestamp = format!("{date}{point}{fraction}{zone}").parse().ok()?;
    (-62_135_596_800..=253_402_300_799).contains(&read.as_second()).then_some(read)
}

/// `+01:00`, below a day.
fn is_offset(zone: &str) -> bool {
    let form: String = zone.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let below = |digits: Option<&str>, limit: u8| {
        digits.and_then(|digits| digits.parse::<u8>().ok()).is_some_and(|number| number < limit)
    };
    (form == "+00:00" || form == "-00:00") && below(zone.get(1..3), 24) && below(zone.get(4..6), 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_go_reads_them() {
        for (text, seconds) in [
            ("2026-01-02T03:04:05Z", Some(1_767_323_045)),
            ("2026-01-02T03:04:05.123456789Z", Some(1_767_323_045)),
            ("2026-01-02T03:04:05,5Z", Some(1_767_323_045)),
            ("2026-01-02T04:04:05+01:00", Some(1_767_323_045)),
            ("2026-01-01T22:04:05-05:00", Some(1_767_323_045)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800)),
            ("", None),
            ("2026-01-02", None),
            ("2026-01-02T03:04:05", None),
            ("2026-01-02t03:04:05Z", None),
            ("2026-01-02T03:04:05z", None),
            ("2026-01-02 03:04:05Z", None),
            ("2026-01-02T03:04Z", None),
            ("2026-01-02T03:04:05.Z", None),
            ("2026-01-02T03:04:05.1234567890Z", None),
            ("2026-01-02T03:04:60Z", None),
            ("2026-01-02T24:00:00Z", None),
            ("2026-02-30T00:00:00Z", None),
            ("2026-01-02T03:04:05+0100", None),
            ("2026-01-02T03:04:05+24:00", None),
            ("0000-01-01T00:00:00Z", None),
            ("2026-01-02T03:04:05Z ", None),
            ("now", None),
        ] {
            assert_eq!(parse(text).map(Timestamp::as_second), seconds, "{text:?}");
        }
    }
}
