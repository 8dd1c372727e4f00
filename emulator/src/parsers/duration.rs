//! Time spans as Go's JSON form of protobuf reads and writes them: seconds with an `s`, and at most
//! nine digits of a fraction.

const NANOS: i64 = 1_000_000_000;

/// The longest time span of protobuf, in seconds: about 10,000 years. What is longer than 64 bits
/// of nanoseconds can tell is refused as well.
const LONGEST: i64 = 315_576_000_000;

/// Reads a time span, as nanoseconds.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.strip_suffix('s')?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = whole.len() > 1 && whole.starts_with('0');
    if text.is_empty() || padded || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    let span = Some(seconds).filter(|seconds| *seconds <= LONGEST)?.checked_mul(NANOS)?;
    let span = span.checked_add(nanos)?;
    Some(if negative { -span } else { span })
}

/// Writes a time span: no, three, six or nine digits of a second's fraction.
pub(crate) fn text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, fraction) = ((nanos / NANOS).abs(), (nanos % NANOS).abs());
    let digits = format!("{fraction:09}");
    let digits = digits.trim_end_matches("000");
    let point = if digits.is_empty() { "" } else { "." };
    format!("{sign}{seconds}{point}{digits}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_read_as_go_reads_them() {
        for (span, nanos) in [
            ("0s", Some(0)),
            ("5s", Some(5_000_000_000)),
            ("0.5s", Some(500_000_000)),
            (".5s", Some(500_000_000)),
            ("+1.s", Some(1_000_000_000)),
            ("-1.000000001s", Some(-1_000_000_001)),
            ("01s", None),
            ("1.0000000000s", None),
            ("1h0m0s", None),
            ("1", None),
            ("s", None),
            ("-s", None),
            ("", None),
        ] {
            assert_eq!(parse(span), nanos, "{span}");
        }
    }

    #[test]
    fn fractions_come_in_groups_of_three_digits() {
        assert_eq!(text(0), "0s");
        assert_eq!(text(1_000_000_000), "1s");
        assert_eq!(text(500_000_000), "0.500s");
        assert_eq!(text(-1_000_001_000), "-1.000001s");
    }
}
