//! Answers: protobuf's JSON form leaves zero values out.

/// A JSON object of the given fields, without those that are zero values
/// (`false`, `""`, `0`, an empty list, nothing). Objects stay, even empty ones.
macro_rules! message {
    ($($name:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut, reason = "a message may have no fields")]
        let mut fields = serde_json::Map::new();
        $({
            let value = serde_json::Value::from($value);
            if !$crate::model::is_zero(&value) {
                fields.insert(String::from($name), value);
            }
        })*
        serde_json::Value::Object(fields)
    }};
}

pub(crate) use message;
