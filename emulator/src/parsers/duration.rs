//! Durations as Go's JSON form of protobuf reads and writes them: seconds with an `s`, at most nine
//! digits of a second's fraction.

/// The longest duration that protobuf knows: about 10,000 years.
const MOST_SECONDS: i128 = 315_576_000_000;
const NANOS: i128 = 1_000_000_000;

/// Reads a duration, in nanoseconds. Go's own type ends at 292 years, and so does this.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.strip_suffix('s')?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let missing = whole.is_empty() && fraction.is_empty();
    let long = whole.starts_with('0') && whole.len() > 1;
    if missing || long || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
    if seconds > MOST_SECONDS {
        return None;
    }
    let all = seconds * NANOS + nanos;
    let all = if negative { -all } else { all };
    Some(i64::try_from(all).unwrap_or(if negative { i64::MIN } else { i64::MAX }))
}

/// Writes a duration: none, three, six or nine digits of a fraction.
pub(crate) fn text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, rest) =
        (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let fraction = format!("{rest:09}");
    let fraction = match fraction.trim_end_matches('0').len() {
        0 => "",
        1..=3 => &fraction[..3],
        4..=6 => &fraction[..6],
        _ => &fraction,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{seconds}{point}{fraction}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_seconds() {
        assert_eq!(parse("240s"), Some(240_000_000_000));
        assert_eq!(parse("-1s"), Some(-1_000_000_000));
        assert_eq!(parse("1.5s"), Some(1_500_000_000));
        assert_eq!(parse("9999999999s"), Some(i64::MAX));
        for wrong in ["", "s", "long", "1h0m0s", "1", "1.0000000001s", "01s", "315576000001s"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_written_with_as_few_digits_as_go_does() {
        assert_eq!(text(0), "0s");
        assert_eq!(text(-1_000_000_000), "-1s");
        assert_eq!(text(1_500_000_000), "1.500s");
        assert_eq!(text(1_000_000_001), "1.000000001s");
        assert_eq!(text(-1_500), "-0.000001500s");
    }
}
