//! Requests: protobuf's JSON form, described by tables.
//!
//! A [`Message`] lists the fields a request may have and the rules they obey. Reading follows
//! protobuf's JSON mapping (unknown fields and unknown enum names are ignored, wrong types are
//! not); checking follows ZITADEL's validation rules and comes later, after the permission checks.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    errors::{ApiError, Code, Form},
    json::{self, Broken, Json, Node},
    parsers::{duration, timestamp},
};

mod rules;

pub(crate) use rules::check;

/// The type of a request.
pub(crate) struct Message {
    /// Its name, as validation errors tell it.
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
    /// The name of a `oneof` of which one field has to be there.
    pub(crate) one_of: Option<&'static str>,
}

impl Message {
    pub(crate) const fn new(name: &'static str, fields: &'static [Field]) -> Self {
        Self { name, fields, one_of: None }
    }

    /// The value of a field that a request omits.
    pub(crate) fn zero(&self, name: &str) -> Value {
        let field = self.fields.iter().find(|field| field.name == name);
        match field.map(|field| field.kind) {
            Some(Kind::Flag) => Value::Bool(false),
            Some(Kind::Number(_) | Kind::Choice(_) | Kind::Duration) => Value::from(0),
            Some(Kind::Text) => Value::from(""),
            _ => Value::Null,
        }
    }

    /// A filter: exactly one of its fields is set.
    pub(crate) const fn one_of(
        name: &'static str,
        group: &'static str,
        fields: &'static [Field],
    ) -> Self {
        Self { name, fields, one_of: Some(group) }
    }
}

/// A request without fields.
pub(crate) static EMPTY: Message = Message::new("Empty", &[]);

/// A field of a request.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    name: &'static str,
    kind: Kind,
    repeated: bool,
    rules: &'static [Rule],
    /// The name of the `oneof` that it shares with other fields of a message that has more.
    group: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Text,
    /// A whole number up to this one.
    Number(u64),
    Date,
    /// A time span; it is read as nanoseconds.
    Duration,
    /// Base64; it is read as that of the standard alphabet, with padding.
    Bytes,
    Choice(&'static [&'static str]),
    Message(&'static Message),
}

/// A rule that ZITADEL checks before it does anything.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// The number of characters lies between these two.
    Length(usize, usize),
    /// As [`Rule::Length`], where the field is there at all.
    LengthIfSet(usize, usize),
    /// A list has at most this many entries.
    MaxItems(usize),
    /// The number of entries of a list lies between these two.
    Items(usize, usize),
    /// An enum's number, or each of a list of such, is one of those that are declared.
    Defined,
    /// An enum, or each of a list of such, is not its first value.
    NotFirst,
    /// Empty or an e-mail address.
    Email,
    /// A flag that, where it is there, is set.
    True,
    /// A field is there.
    Required,
    /// No entry of a list is there twice.
    Unique,
    /// The number of characters of each entry of a list lies between these two.
    EachLength(usize, usize),
    /// A time span lies between zero and so many seconds.
    UpTo(u32),
    /// Bytes are at most so many.
    MaxBytes(usize),
    /// A text has at most so many bytes.
    MaxTextBytes(usize),
    /// The number of bytes lies between these two.
    Bytes(usize, usize),
}

/// The usual length of a name or an id that has to be there.
pub(crate) const NAME: &[Rule] = &[Rule::Length(1, 200)];
/// The usual length of a name or an id that may be omitted.
pub(crate) const OPTIONAL_NAME: &[Rule] = &[Rule::LengthIfSet(1, 200)];
/// The usual length of a text that may be empty.
pub(crate) const SHORT: &[Rule] = &[Rule::Length(0, 200)];

impl Field {
    const fn of(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, repeated: false, rules: &[], group: None }
    }

    pub(crate) const fn flag(name: &'static str) -> Self {
        Self::of(name, Kind::Flag)
    }

    pub(crate) const fn text(name: &'static str) -> Self {
        Self::of(name, Kind::Text)
    }

    pub(crate) const fn number(name: &'static str) -> Self {
        Self::of(name, Kind::Number(u64::MAX))
    }

    /// A number of 32 bits.
    pub(crate) const fn small_number(name: &'static str) -> Self {
        Self::of(name, Kind::Number(u32::MAX as u64))
    }

    pub(crate) const fn date(name: &'static str) -> Self {
        Self::of(name, Kind::Date)
    }

    pub(crate) const fn duration(name: &'static str) -> Self {
        Self::of(name, Kind::Duration)
    }

    pub(crate) const fn bytes(name: &'static str) -> Self {
        Self::of(name, Kind::Bytes)
    }

    /// An enum, by the names of its values from 0 on.
    pub(crate) const fn choice(name: &'static str, values: &'static [&'static str]) -> Self {
        Self { rules: &[Rule::Defined], ..Self::of(name, Kind::Choice(values)) }
    }

    pub(crate) const fn message(name: &'static str, message: &'static Message) -> Self {
        Self::of(name, Kind::Message(message))
    }

    pub(crate) const fn in_group(self, group: &'static str) -> Self {
        Self { group: Some(group), ..self }
    }

    pub(crate) const fn repeated(self) -> Self {
        Self { repeated: true, ..self }
    }

    pub(crate) const fn rules(self, rules: &'static [Rule]) -> Self {
        Self { rules, ..self }
    }
}

/// A request as it was read: fields by their JSON names, enums, 64-bit numbers and durations as
/// numbers.
/// Fields that were omitted, or `null`, are not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request(pub(crate) Map<String, Value>);

impl Request {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    pub(crate) fn date(&self, name: &str) -> Option<Timestamp> {
        timestamp::parse(self.text(name))
    }

    pub(crate) fn list(&self, name: &str) -> &[Value] {
        self.0.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
    }

    /// A nested message; an empty one where it was omitted.
    pub(crate) fn message(&self, name: &str) -> Self {
        Self::from_value(self.0.get(name))
    }

    pub(crate) fn messages(&self, name: &str) -> Vec<Self> {
        self.list(name).iter().map(|value| Self::from_value(Some(value))).collect()
    }

    fn from_value(value: Option<&Value>) -> Self {
        Self(value.and_then(Value::as_object).cloned().unwrap_or_default())
    }
}

/// Reads a body.
///
/// # Errors
/// 400 when the body is no JSON, or not of the message's types.
pub(crate) fn read(message: &Message, body: &[u8], form: Form) -> Result<Request, ApiError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| refuse("proto:\u{a0}syntax error (line 1:1): invalid UTF-8 in string"))?;
    match json::parse(text) {
        Ok((node, end)) => {
            if form == Form::Connect
                && let Some(found) = json::trailing(text, end)
            {
                return Err(refuse(format!(
                    "proto:\u{a0}syntax error {}: unexpected token {found}",
                    place(text, end)
                )));
            }
            object(message, &node, text).map(Request)
        }
        Err(Broken::Empty) if form == Form::Gateway => Ok(Request::default()),
        Err(Broken::Empty) => Err(refuse("zero-length payload is not a valid JSON object")),
        Err(Broken::Truncated) => Err(refuse("unexpected EOF")),
        Err(Broken::Unexpected(found, _)) => {
            Err(refuse(format!("invalid character '{found}' looking for beginning of value")))
        }
    }
}

fn refuse(message: impl Into<String>) -> ApiError {
    ApiError::bare(Code::InvalidArgument, message)
}

fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("(line {line}:{column})")
}

fn object(message: &Message, node: &Node, text: &str) -> Result<Map<String, Value>, ApiError> {
    let Json::Object(entries) = &node.json else {
        let token: String = text.get(node.at..).unwrap_or_default().chars().take(1).collect();
        return Err(refuse(format!(
            "proto:\u{a0}syntax error {}: unexpected token {token}",
            place(text, node.at)
        )));
    };
    let mut read = Map::new();
    let mut seen = Vec::new();
    let mut groups = Vec::new();
    for (name, value) in entries {
        let Some(field) =
            message.fields.iter().find(|field| field.name == name || snake(field.name) == *name)
        else {
            continue;
        };
        if seen.contains(&field.name) {
            return Err(refuse(format!(
                "proto:\u{a0}{}: duplicate field \"{name}\"",
                place(text, value.at)
            )));
        }
        let group = message.one_of.or(field.group);
        if let Some(group) = group.filter(|group| groups.contains(group)) {
            return Err(refuse(format!(
                "proto:\u{a0}{}: error parsing \"{name}\", oneof {}.{group} is already set",
                place(text, value.at),
                message.name,
            )));
        }
        if matches!(value.json, Json::Null) {
            continue;
        }
        seen.push(field.name);
        groups.extend(group);
        let decoded = if field.repeated {
            let Json::List(entries) = &value.json else {
                return Err(wrong(field, value, text, "list"));
            };
            let mut list = Vec::with_capacity(entries.len());
            for entry in entries {
                list.extend(single(field, entry, text)?);
            }
            Some(Value::Array(list))
        } else {
            single(field, value, text)?
        };
        if let Some(decoded) = decoded {
            read.insert(field.name.to_owned(), decoded);
        }
    }
    Ok(read)
}

fn wrong(field: &Field, node: &Node, text: &str, kind: &str) -> ApiError {
    refuse(format!(
        "proto:\u{a0}{}: invalid value for {kind} field {}: {}",
        place(text, node.at),
        field.name,
        node.plain()
    ))
}

fn single(field: &Field, node: &Node, text: &str) -> Result<Option<Value>, ApiError> {
    let wrong = |kind| Err(wrong(field, node, text, kind));
    Ok(Some(match (field.kind, &node.json) {
        (Kind::Flag, Json::Bool(value)) => Value::Bool(*value),
        (Kind::Flag, _) => return wrong("bool"),
        (Kind::Text, Json::Text(value)) => Value::String(value.clone()),
        (Kind::Text, _) => return wrong("string"),
        (Kind::Number(most), json) => match whole_number(json) {
            Some(value) if value <= most => Value::from(value),
            _ => return wrong(if most == u64::MAX { "uint64" } else { "uint32" }),
        },
        (Kind::Date, Json::Text(value)) => match timestamp::parse(value) {
            Some(_) => Value::String(value.clone()),
            None => return wrong("google.protobuf.Timestamp"),
        },
        (Kind::Date, _) => return wrong("google.protobuf.Timestamp"),
        (Kind::Duration, Json::Text(value)) => match duration::parse(value) {
            Some(nanos) => Value::from(nanos),
            None => return wrong("google.protobuf.Duration"),
        },
        (Kind::Duration, _) => return wrong("google.protobuf.Duration"),
        (Kind::Bytes, Json::Text(value)) => match bytes(value) {
            Some(bytes) => Value::from(STANDARD.encode(bytes)),
            None => return wrong("bytes"),
        },
        (Kind::Bytes, _) => return wrong("bytes"),
        // A name that is not declared counts as absent.
        (Kind::Choice(values), Json::Text(name)) => {
            return Ok(values.iter().position(|value| value == name).map(Value::from));
        }
        (Kind::Choice(_), Json::Number(number)) => match number.as_i64() {
            Some(number) if i32::try_from(number).is_ok() => Value::from(number),
            _ => return wrong("enum"),
        },
        (Kind::Choice(_), _) => return wrong("enum"),
        (Kind::Message(message), _) => Value::Object(object(message, node, text)?),
    }))
}

/// Base64 of either alphabet, with or without padding.
fn bytes(text: &str) -> Option<Vec<u8>> {
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet =
        if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, ANY_PADDING).decode(text).ok()
}

/// A number, or a text that holds one; fractions of zero are allowed.
fn whole_number(json: &Json) -> Option<u64> {
    let number = match json {
        Json::Number(number) => number.clone(),
        Json::Text(text) if !text.starts_with(char::is_whitespace) => {
            serde_json::from_str(text).ok()?
        }
        _ => return None,
    };
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        // Exactly representable and whole: the text form loses nothing.
        (float >= 0.0 && float.fract() == 0.0 && float < 9_007_199_254_740_992.0)
            .then(|| format!("{float:.0}").parse().ok())?
    })
}

/// A JSON name as the proto file writes it.
pub(crate) fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Message = Message::new("Inner", &[Field::text("list").repeated()]);
    static COLOR: &[&str] = &["NONE", "RED"];
    static OUTER: Message = Message::new(
        "Outer",
        &[
            Field::text("longName").rules(NAME),
            Field::flag("on"),
            Field::number("count"),
            Field::choice("color", COLOR),
            Field::message("inner", &INNER),
        ],
    );

    fn outcome(body: &str) -> String {
        match read(&OUTER, body.as_bytes(), Form::Gateway) {
            Ok(request) => Value::Object(request.0).to_string(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn unknown_fields_and_names_are_ignored() {
        assert_eq!(outcome(r#"{"x": 1, "color": "BLUE", "on": null}"#), "{}");
        assert_eq!(outcome(r#"{"long_name": "a"}"#), r#"{"longName":"a"}"#);
        assert_eq!(outcome(r#"{"count": "7"}"#), r#"{"count":7}"#);
        assert_eq!(outcome(r#"{"count": 7.0}"#), r#"{"count":7}"#);
        assert_eq!(outcome(r#"{"color": 9}"#), r#"{"color":9}"#);
        assert_eq!(outcome(""), "{}");
    }

    #[test]
    fn wrong_types_are_refused_with_their_place() {
        assert!(
            outcome(r#"{"on": "yes"}"#).contains("(line 1:8): invalid value for bool field on")
        );
        assert!(outcome(r#"{"inner": ["en"]}"#).contains("(line 1:11): unexpected token ["));
        assert!(outcome(r#"{"on": true, "on": true}"#).contains("duplicate field"));
        assert!(outcome(r#"{"count": -1}"#).contains("invalid value for uint64"));
        assert!(outcome(r#"{"inner": {"list": [null]}}"#).contains("invalid value for string"));
    }

    #[test]
    fn rules_are_checked() {
        let check = |body: &str| {
            read(&OUTER, body.as_bytes(), Form::Gateway)
                .and_then(|request| check(&OUTER, &request))
                .map_err(|error| format!("{error:?}"))
        };
        assert!(check(r#"{"longName": "x"}"#).is_ok());
        assert!(check("{}").is_err_and(|e| e.contains("Outer.LongName: value length")));
        assert!(check(r#"{"longName": "x", "color": 2}"#).is_err_and(|e| e.contains("defined")));
    }
}
