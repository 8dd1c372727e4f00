//! The rules of requests: lengths, enums, addresses. ZITADEL checks them after the permissions.

use serde_json::Value;

use super::{Field, Kind, Message, Request, Rule, refuse};
use crate::errors::ApiError;

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
        Rule::Defined => {
            let Kind::Choice(values) = field.kind else {
                return None;
            };
            let number = value.and_then(Value::as_i64)?;
            usize::try_from(number)
                .map_or(true, |number| number >= values.len())
                .then(|| "value must be one of the defined enum values".to_owned())
        }
        Rule::NotFirst => {
            let Kind::Choice(values) = field.kind else {
                return None;
            };
            let first = values.first().copied().unwrap_or_default();
            (value.and_then(Value::as_i64).unwrap_or_default() == 0)
                .then(|| format!("value must not be in list [{first}]"))
        }
        Rule::Email => text.filter(|text| !text.is_empty() && !is_email(text)).map(|_| {
            "value must be a valid email address | caused by: mail: missing '@' or angle-addr"
                .to_owned()
        }),
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else {
        return false;
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    !local.is_empty()
        && local.len() <= 64
        && text.len() <= 254
        && local.chars().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && host.split('.').all(label)
}

/// A JSON name as Go writes it.
fn go_name(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        assert!(is_email("help@example.com"));
        for text in ["nobody", "@x", "a@", "a b@x", "a@-x", "a@x..y"] {
            assert!(!is_email(text), "{text}");
        }
    }
}
