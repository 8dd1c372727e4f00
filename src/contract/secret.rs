//! What a kind issues, and the templates by which it gets into a Secret. Pure.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{SpecError, Version, decode};
use crate::api::secret::{KeyTimes, SecretScope, SecretSpec};

/// Whoever uses a secret has to learn of the next one in time.
const SHORTEST: SignedDuration = SignedDuration::from_hours(1);
/// A hundred years: for ever.
const LONGEST: SignedDuration = SignedDuration::from_hours(876_000);
/// The least time for a new key to reach who uses it.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// A secret that something has, or is: it can be issued again, and never read.
#[derive(Debug, Clone, Copy)]
pub struct Issues {
    /// How another one is issued.
    pub renewal: Renewal,
    /// The value that is secret, such as `clientSecret`.
    pub value: &'static str,
    /// The values that are known besides, of all kinds: see [`COMMON`].
    pub values: &'static [&'static str],
    /// Keys of the Secret where the spec names none, with their templates.
    pub keys: &'static [(&'static str, &'static str)],
    /// The events by which it gets another one.
    pub events: &'static [&'static str],
}

/// How another secret is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The thing gets another one, which ends the former one.
    InPlace,
    /// The thing is the secret: another thing is created, and the former one stays valid until it
    /// expires. When that is, its field `expiresAt` says; no two expire at the same moment.
    ByAnother,
}

/// Values that templates of every kind can use.
pub const COMMON: [&str; 4] = ["issuer", "tokenEndpoint", "jwksUri", "organizationId"];

/// What was issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The secret.
    pub secret: SecretString,
    /// How fresh a read must be to show it.
    pub version: Option<Version>,
}

/// The Secret that a spec declares, with its templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredSecret {
    /// What the spec says.
    pub spec: SecretSpec,
    /// Its keys and what they hold.
    pub templates: BTreeMap<String, Template>,
    /// How long a secret is used.
    pub rotate_after: Option<SignedDuration>,
    /// How long a key is valid, and how long before its end another one takes its place.
    pub lifetime: Lifetime,
}

/// How long a key is valid, and how long before its end another one takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// From issue to expiry.
    pub whole: SignedDuration,
    /// From renewal to expiry.
    pub renew_before: SignedDuration,
}

/// The Secret that a spec declares, if it does.
pub fn declared(issues: &Issues, spec: &Value) -> Result<Option<DeclaredSecret>, SpecError> {
    let times = decode::<KeyTimes>(spec)?;
    let Some(spec) = decode::<SecretScope>(spec)?.secret else { return Ok(None) };
    let known: Vec<&str> =
        [issues.value].into_iter().chain(issues.values.iter().copied()).chain(COMMON).collect();
    let default = || issues.keys.iter().map(|(k, t)| ((*k).to_owned(), (*t).to_owned())).collect();
    check_metadata(&spec)?;
    let texts: BTreeMap<String, String> = spec.data.clone().unwrap_or_else(default);
    let read = |(key, text): (&String, &String)| {
        if !is_key(key) {
            let what = "letters, digits, -, _ and . make a key of a Secret";
            return Err(SpecError::new(&format!("secret.data[{key:?}]"), what));
        }
        let template = Template::read(text, &known);
        let template =
            template.map_err(|what| SpecError::new(&format!("secret.data[{key:?}]"), what))?;
        Ok((key.clone(), template))
    };
    let templates = texts.iter().map(read).collect::<Result<BTreeMap<_, _>, _>>()?;
    let rotate_after = spec.rotate_after.as_deref().map(rotation).transpose()?;
    if issues.renewal == Renewal::ByAnother && rotate_after.is_some() {
        let what = "is for secrets that have no expiry: here set lifetime and renewBefore";
        return Err(SpecError::new("secret.rotateAfter", what));
    }
    let holds_it = |template: &Template| template.uses(issues.value);
    if issues.renewal == Renewal::ByAnother && !templates.values().any(holds_it) {
        let what =
            format!("one of the keys has to hold ${{{}}}: nobody can read it again", issues.value);
        return Err(SpecError::new("secret.data", what));
    }
    let lifetime = lifetime(&times)?;
    Ok(Some(DeclaredSecret { spec, templates, rotate_after, lifetime }))
}

/// That of keys whose spec says nothing else: 90 days, and a third of it.
const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

fn lifetime(times: &KeyTimes) -> Result<Lifetime, SpecError> {
    let read = |field, text: &Option<String>| {
        let parsed = text.as_deref().map(str::parse::<SignedDuration>);
        parsed.transpose().map_err(|_| SpecError::new(field, "is a duration such as 2160h"))
    };
    let whole = read("lifetime", &times.lifetime)?.unwrap_or(LIFETIME);
    if whole < SHORTEST || whole > LONGEST {
        return Err(SpecError::new("lifetime", "is at least 1h, and at most 876000h"));
    }
    let renew_before = read("renewBefore", &times.renew_before)?.unwrap_or(whole / 3);
    if renew_before < MARGIN || renew_before >= whole {
        return Err(SpecError::new("renewBefore", "is at least 5m, and shorter than the lifetime"));
    }
    Ok(Lifetime { whole, renew_before })
}

/// Types by which Kubernetes itself would put credentials of others into a Secret, or take it for
/// a login of its own.
const POWERFUL: [&str; 2] =
    ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"];
/// Labels and annotations that say whose a Secret is.
const RESERVED: [&str; 3] =
    ["app.kubernetes.io/managed-by", "kastellan.dev/", "issued.kastellan.dev/"];

fn check_metadata(spec: &SecretSpec) -> Result<(), SpecError> {
    if let Some(kind) = spec.kind.as_deref().filter(|kind| POWERFUL.contains(kind)) {
        return Err(SpecError::new("secret.type", format!("{kind} is for Kubernetes alone")));
    }
    for (field, map) in [("labels", &spec.labels), ("annotations", &spec.annotations)] {
        let is_reserved = |key: &&String| RESERVED.iter().any(|r| key.starts_with(r));
        if let Some(key) = map.iter().flatten().map(|(key, _)| key).find(is_reserved) {
            let field = format!("secret.{field}[{key:?}]");
            return Err(SpecError::new(&field, "is for Kastellan alone"));
        }
    }
    Ok(())
}

fn is_key(key: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=253).contains(&key.len())
        && key.chars().all(is_allowed)
        && key != "."
        && !key.starts_with("..")
}

fn rotation(text: &str) -> Result<SignedDuration, SpecError> {
    let parsed = text.parse::<SignedDuration>().ok().filter(|d| *d >= SHORTEST);
    parsed.ok_or_else(|| SpecError::new("secret.rotateAfter", "is at least 1h, such as 2160h"))
}

/// Values by their names.
pub type Values = BTreeMap<&'static str, SecretString>;

/// A text in which placeholders stand for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value { name: String, filter: Filter },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    AsIs,
    Json,
    Url,
    Base64,
}

impl Filter {
    fn named(name: Option<&str>) -> Option<Self> {
        match name {
            None => Some(Self::AsIs),
            Some("json") => Some(Self::Json),
            Some("url") => Some(Self::Url),
            Some("base64") => Some(Self::Base64),
            Some(_) => None,
        }
    }

    fn apply(self, value: &str) -> String {
        match self {
            Self::AsIs => value.to_owned(),
            Self::Json => serde_json::Value::from(value).to_string(),
            Self::Url => crate::zitadel::percent_encoded(value),
            Self::Base64 => STANDARD.encode(value),
        }
    }
}

impl Template {
    /// Reads a text whose placeholders may be these values.
    pub fn read(text: &str, known: &[&str]) -> Result<Self, String> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                plain.push_str(before);
                plain.push_str("${");
                rest = from.get(2..).unwrap_or_default();
                continue;
            }
            plain.push_str(before);
            let inner = from.get(2..).unwrap_or_default();
            let Some((placeholder, after)) = inner.split_once('}') else {
                return Err("${ without } behind it; write $${ for ${ itself".into());
            };
            let (name, filter) = match placeholder.split_once(':') {
                Some((name, filter)) => (name, Some(filter)),
                None => (placeholder, None),
            };
            if !known.contains(&name) {
                return Err(format!("${{{name}}} is not known; there are {}", known.join(", ")));
            }
            let Some(filter) = Filter::named(filter) else {
                return Err(format!("${{{placeholder}}}: the filters are json, url, base64"));
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Value { name: name.to_owned(), filter });
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// Whether a value stands somewhere in it.
    pub fn uses(&self, value: &str) -> bool {
        self.0.iter().any(|p| matches!(p, Piece::Value { name, .. } if name == value))
    }

    /// Whether it is this value as it is, and nothing else.
    pub fn is_only(&self, value: &str) -> bool {
        matches!(&self.0[..], [Piece::Value { name, filter: Filter::AsIs }] if name == value)
    }

    /// The text; `None`: a value is not there.
    pub fn render(&self, values: &Values) -> Option<SecretString> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Value { name, filter } => {
                    let value = values.get(name.as_str())?;
                    text.push_str(&filter.apply(value.expose_secret()));
                }
            }
        }
        Some(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["id", "secret"];

    fn rendered(text: &str) -> Result<String, String> {
        let values = [("id", "a b"), ("secret", "\"x\"")];
        let values = values.into_iter().map(|(name, value)| (name, value.into())).collect();
        let template = Template::read(text, &KNOWN)?;
        Ok(template.render(&values).unwrap().expose_secret().to_owned())
    }

    #[test]
    fn placeholders_stand_for_values() {
        for (text, expected) in [
            ("", ""),
            ("plain $ {} }", "plain $ {} }"),
            ("${id}", "a b"),
            ("<${id}|${secret}>", "<a b|\"x\">"),
            ("${id:url}", "a%20b"),
            ("${secret:json}", "\"\\\"x\\\"\""),
            ("${id:base64}", "YSBi"),
            ("$${id} is ${id}", "${id} is a b"),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, says) in [
            ("${other}", "is not known; there are id, secret"),
            ("${id:rot13}", "the filters are"),
            ("${id", "without }"),
        ] {
            assert!(rendered(text).unwrap_err().contains(says), "{text}");
        }
    }

    #[test]
    fn what_a_template_needs_is_told() {
        let read = |text: &str| Template::read(text, &KNOWN).unwrap();
        assert!(read("a ${secret:json}").uses("secret") && !read("$${secret}").uses("secret"));
        assert!(read("${secret}").is_only("secret") && !read("${secret} ").is_only("secret"));
        let none = Values::new();
        assert!(read("a").render(&none).is_some() && read("${id}").render(&none).is_none());
    }
}
