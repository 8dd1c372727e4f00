//! Durations: declared as `240h` or `1h30m`, seconds in ZITADEL's JSON (`864000s`). Pure.

use std::borrow::Cow;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Units from the largest on, in nanoseconds.
const UNITS: [(&str, i128); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
const SECOND: u128 = 1_000_000_000;

/// How long something lasts. Whatever units it was written in, it reads as a number of the largest
/// unit that fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lifetime(SignedDuration);

impl Lifetime {
    /// As protobuf's JSON form has it.
    pub(super) fn wire(self) -> String {
        let nanos = self.0.as_nanos();
        let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
        let fraction = format!(".{:09}", size % SECOND);
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        format!("{sign}{}{fraction}s", size / SECOND)
    }
}

impl std::fmt::Display for Lifetime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = self.0.as_nanos();
        let fits = |(_, size): &&(&str, i128)| nanos != 0 && nanos % size == 0;
        let (unit, size) = UNITS.iter().find(fits).unwrap_or(&("s", 1));
        write!(f, "{}{unit}", nanos / size)
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = text.parse::<SignedDuration>().ok();
        // ZITADEL counts nanoseconds in 64 bits: 292 years.
        let read = read.filter(|read| i64::try_from(read.as_nanos()).is_ok());
        let wrong = || D::Error::custom(format!("{text:?} is not a duration such as 240h or 90m"));
        read.map(Self).ok_or_else(wrong)
    }
}

impl JsonSchema for Lifetime {
    fn schema_name() -> Cow<'static, str> {
        "Lifetime".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 20,
            "pattern": "^([0-9]+(ns|us|ms|s|m|h))+$",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_duration_reads_the_same_whatever_its_units() {
        for (written, reads, wire) in [
            ("240h", "240h", "864000s"),
            ("864000s", "240h", "864000s"),
            ("1h30m", "90m", "5400s"),
            ("1.500s", "1500ms", "1.5s"),
            ("0s", "0s", "0s"),
            ("0h", "0s", "0s"),
            ("-1s", "-1s", "-1s"),
            ("7ns", "7ns", "0.000000007s"),
        ] {
            let lifetime: Lifetime = serde_json::from_value(json!(written)).unwrap();
            assert_eq!((lifetime.to_string().as_str(), lifetime.wire().as_str()), (reads, wire));
            let again: Lifetime = serde_json::from_value(json!(lifetime)).unwrap();
            assert_eq!(again, lifetime);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for wrong in ["", "long", "3600", "99999999999h"] {
            assert!(serde_json::from_value::<Lifetime>(json!(wrong)).is_err(), "{wrong}");
        }
    }
}
