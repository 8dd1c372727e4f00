//! Secrets that ZITADEL takes and never shows: where they come from, and which events tell that
//! somebody else set one. Pure.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{Fields, SpecError, connection::ValueSource};
use crate::api::secret::SecretKeyReference;

/// A field that ZITADEL takes and never shows: its value comes from a Secret in the namespace of the
/// object.
#[derive(Debug, Clone, Copy)]
pub struct SecretInput {
    /// The path by which reports name it, such as `smtp.password`.
    pub field: &'static str,
    /// The path of the reference to the Secret in the spec, such as `smtp.passwordSecretRef`.
    pub reference: &'static str,
    /// When nothing can be created without it.
    pub required: Required,
    /// Whether it is sent only with what is created: what becomes of it afterwards is somebody else's.
    pub initial: bool,
    /// Whether ZITADEL can't change it: another thing is created in the place of the former one.
    pub by_another: bool,
    /// The events that can carry it.
    pub events: &'static [&'static str],
    /// Where in the payload of these it is; empty: each of them tells that it was set.
    pub payload: &'static [&'static str],
}

/// When nothing can be created without a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    /// Never.
    Never,
    /// Always, where a kind has several forms in this one.
    Always,
    /// Where a field has a value.
    With(&'static str, &'static str),
}

impl SecretInput {
    /// Whether something with these fields can't be created without it.
    pub fn is_required(&self, form: Option<&str>, fields: &Fields) -> bool {
        match self.required {
            Required::Never => false,
            Required::Always => form.is_none_or(|form| self.field.split('.').next() == Some(form)),
            Required::With(field, value) => fields.text(field) == Some(value),
        }
    }

    /// One that an update changes: `SecretInput { field: …, ..SecretInput::EMPTY }`.
    pub const EMPTY: Self = Self {
        field: "",
        reference: "",
        required: Required::Never,
        initial: false,
        by_another: false,
        events: &[],
        payload: &[],
    };

    /// The key of a Secret that a spec names for it.
    pub fn read(&self, spec: &Value) -> Result<Option<ValueSource>, SpecError> {
        let found = self.reference.split('.').try_fold(spec, |at, step| at.get(step));
        let Some(found) = found.filter(|found| !found.is_null()) else { return Ok(None) };
        let read: Result<SecretKeyReference, _> = serde_json::from_value(found.clone());
        let read = read.map_err(|e| SpecError::new(self.reference, e.to_string()))?;
        Ok(Some(ValueSource { name: read.name, key: read.key }))
    }

    /// Whether an event tells that it was set. Payloads have ZITADEL's internal form: where that is
    /// another one by now, it may have been.
    pub fn is_carried_by(&self, event: &str, payload: &Value) -> bool {
        let holds = |path: &&str| {
            let found = path.split('.').try_fold(payload, |at, step| at.get(step));
            found.is_some_and(|found| !found.is_null())
        };
        self.events.contains(&event)
            && (self.payload.is_empty() || !payload.is_object() || self.payload.iter().any(holds))
    }
}

/// Values for the fields of a call that nobody can read again.
#[derive(Debug, Clone, Default)]
pub struct Secrets(BTreeMap<&'static str, SecretString>);

impl Secrets {
    /// The value of a field; `None`: it is not sent.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(ExposeSecret::expose_secret)
    }

    /// The fields that are sent.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Whether nothing is sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(&'static str, SecretString)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (&'static str, SecretString)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PASSWORD: SecretInput = SecretInput {
        field: "smtp.password",
        reference: "smtp.passwordSecretRef",
        events: &["changed", "set"],
        payload: &["password", "auth.password"],
        ..SecretInput::EMPTY
    };

    #[test]
    fn a_spec_names_a_key_of_a_secret() {
        let read = |spec: Value| PASSWORD.read(&spec).map_err(|e| e.to_string());
        let named = json!({"smtp": {"passwordSecretRef": {"name": "mail", "key": "password"}}});
        let source = ValueSource { name: "mail".into(), key: "password".into() };
        assert_eq!(read(named), Ok(Some(source)));
        for spec in [json!({}), json!({"smtp": {}}), json!({"smtp": {"passwordSecretRef": null}})] {
            assert_eq!(read(spec), Ok(None));
        }
        let odd = read(json!({"smtp": {"passwordSecretRef": {"name": "mail"}}})).unwrap_err();
        assert!(odd.contains("spec.smtp.passwordSecretRef"), "{odd}");
    }

    #[test]
    fn an_event_tells_by_its_payload_that_a_secret_was_set() {
        let secret = json!({"Crypted": "x"});
        for (event, payload, tells) in [
            ("changed", json!({"password": secret}), true),
            ("changed", json!({"auth": {"password": secret}}), true),
            ("changed", json!({"auth": {}}), false),
            ("changed", json!({"host": "a"}), false),
            ("set", json!(null), true),
            ("removed", json!({"password": secret}), false),
        ] {
            assert_eq!(PASSWORD.is_carried_by(event, &payload), tells, "{event} {payload}");
        }
        let always = SecretInput { payload: &[], ..PASSWORD };
        assert!(always.is_carried_by("set", &json!({})));
    }

    #[test]
    fn values_are_in_no_debug_output() {
        let secrets: Secrets = [("smtp.password", "hunter2".into())].into_iter().collect();
        assert_eq!(secrets.get("smtp.password"), Some("hunter2"));
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }
}
