//! The rules of requests: lengths, enums, addresses. ZITADEL checks them after the permissions.

use serde_json::Value;

use super::{Field, Kind, Message, Request, Rule, refuse};
use crate::{errors::ApiError, parsers::mail};

/// Checks the rules of a request.
///
/// # Errors
/// 400 with the name of the field that breaks its rule.
pub(crate) fn check(message: &Message, request: &Request) -> Result<(), ApiError> {
    violation(message, request).map_or(Ok(()), |text| Err(refuse(text)))
}

fn violation(message: &Message, request: &Request) -> Option<String> {
    for field in message.fields {
        let value = request.0.get(field.name);
        let broken = field
            .rules
            .iter()
            .find_map(|rule| broken(*rule, field, value))
            .map(|reason| format!("invalid {}.{}: {reason}", message.name, go_name(field.name)))
            .or_else(|| nested_violation(message, field, value));
        if broken.is_some() {
            return broken;
        }
    }
    let missing = message.one_of.filter(|_| request.0.is_empty())?;
    Some(format!("invalid {}.{}: value is required", message.name, go_name(missing)))
}

fn nested_violation(message: &Message, field: &Field, value: Option<&Value>) -> Option<String> {
    let (Kind::Message(inner), Some(value)) = (field.kind, value) else {
        return None;
    };
    let entries = if field.repeated {
        value.as_array().map_or(&[][..], Vec::as_slice)
    } else {
        std::slice::from_ref(value)
    };
    entries.iter().enumerate().find_map(|(index, entry)| {
        let cause = violation(inner, &Request::from_value(Some(entry)))?;
        let index = if field.repeated { format!("[{index}]") } else { String::new() };
        Some(format!(
            "invalid {}.{}{index}: embedded message failed validation | caused by: {cause}",
            message.name,
            go_name(field.name)
        ))
    })
}

fn broken(rule: Rule, field: &Field, value: Option<&Value>) -> Option<String> {
    let text = value.and_then(Value::as_str);
    match rule {
        Rule::LengthIfSet(..) if value.is_none() => None,
        Rule::Length(min, max) | Rule::LengthIfSet(min, max) => {
            let length = text.unwrap_or_default().chars().count();
            (length < min || length > max).then(|| {
                if min == 0 {
                    format!("value length must be at most {max} runes")
                } else {
                    format!("value length must be between {min} and {max} runes, inclusive")
                }
            })
        }
        Rule::MaxItems(max) => value
            .and_then(Value::as_array)
            .is_some_and(|list| list.len() > max)
            .then(|| format!("value must contain no more than {max} item(s)")),
        Rule::Items(min, max) => {
            let count = value.and_then(Value::as_array).map_or(0, Vec::len);
            (count < min || count > max)
                .then(|| format!("value must contain between {min} and {max} items, inclusive"))
        }
        Rule::Defined => {
            let Kind::Choice(values) = field.kind else {
                return None;
            };
            numbers(value)
                .any(|number| usize::try_from(number).map_or(true, |number| number >= values.len()))
                .then(|| "value must be one of the defined enum values".to_owned())
        }
        Rule::NotFirst => {
            let Kind::Choice(values) = field.kind else {
                return None;
            };
            let first = values.first().copied().unwrap_or_default();
            let omitted = value.is_none() && !field.repeated;
            (omitted || numbers(value).any(|number| number == 0))
                .then(|| format!("value must not be in list [{first}]"))
        }
        Rule::Email => text
            .filter(|text| !text.is_empty())
            .and_then(|text| mail::check_rule(text).err())
            .map(|reason| format!("value must be a valid email address | caused by: {reason}")),
        Rule::True => {
            (value == Some(&Value::Bool(false))).then(|| "value must equal true".to_owned())
        }
        Rule::Required => value.is_none().then(|| "value is required".to_owned()),
        Rule::Unique => value
            .and_then(Value::as_array)
            .is_some_and(|list| {
                list.iter()
                    .enumerate()
                    .any(|(index, entry)| list.iter().take(index).any(|former| former == entry))
            })
            .then(|| "repeated value must contain unique items".to_owned()),
        Rule::UpTo(seconds) => {
            let most = i64::from(seconds) * 1_000_000_000;
            value
                .and_then(Value::as_i64)
                .is_some_and(|nanos| !(0..=most).contains(&nanos))
                .then(|| format!("value must be inside range [0s, {seconds}s]"))
        }
        Rule::MaxBytes(max) => {
            (bytes(text) > max).then(|| format!("value length must be at most {max} bytes"))
        }
        Rule::MaxTextBytes(max) => text
            .is_some_and(|text| text.len() > max)
            .then(|| format!("value length must be at most {max} bytes")),
        Rule::Bytes(min, max) => {
            let length = bytes(text);
            (length < min || length > max)
                .then(|| format!("value length must be between {min} and {max} bytes, inclusive"))
        }
        Rule::EachLength(min, max) => value
            .and_then(Value::as_array)
            .is_some_and(|list| {
                list.iter().filter_map(Value::as_str).any(|text| {
                    let length = text.chars().count();
                    length < min || length > max
                })
            })
            .then(|| format!("value length must be between {min} and {max} runes, inclusive")),
    }
}

/// How many bytes a text in base64 stands for.
fn bytes(text: Option<&str>) -> usize {
    text.map_or(0, |text| text.trim_end_matches('=').len() * 3 / 4)
}

/// The numbers of an enum, or of a list of such.
fn numbers(value: Option<&Value>) -> impl Iterator<Item = i64> {
    let one = value.and_then(Value::as_i64);
    let list = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    one.into_iter().chain(list.iter().filter_map(Value::as_i64))
}

/// A JSON name as Go writes it.
fn go_name(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
