//! How a type of resource is described. Pure.

use serde_json::Value;

/// A type of resource, or a form of one: which kind it is, and which attribute is which field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource {
    /// The type, such as `zitadel_project`.
    pub(super) name: &'static str,
    /// The block that makes it this kind, where a type has several; its attributes count as the
    /// resource's own.
    pub(super) block: Option<&'static str>,
    /// The kind.
    pub(super) kind: &'static str,
    /// What it is in, from the outside in.
    pub(super) within: &'static [Parent],
    /// What becomes a field.
    pub(super) fields: &'static [Field],
    /// What it is an entry of.
    pub(super) entry: Option<MapEntry>,
    /// What is secret in it, and came of ZITADEL.
    pub(super) secret: Option<SecretAttribute>,
    /// What is secret in it, and ZITADEL got: the attribute, and the field that stands for it.
    pub(super) input: Option<(&'static str, &'static str)>,
    /// Attributes that say nothing that could be declared, or say it again.
    pub(super) known: &'static [&'static str],
    /// An attribute with which it is something that no kind declares.
    pub(super) except: Option<&'static str>,
}

/// What something is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parent {
    /// The attribute that holds its id.
    pub(super) attribute: &'static str,
    /// Its kind, where it can be named by its id; empty: it has to be in the state.
    pub(super) kind: &'static str,
}

/// An attribute that becomes a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// The attribute.
    pub(super) attribute: &'static str,
    /// Path of the field; `None`: the attribute's name as this API writes it.
    path: Option<&'static str>,
    /// What the field holds; `None`: it is not declared.
    pub(super) value: fn(&Value) -> Option<Value>,
}

/// One entry of a map. What has the map is one thing, and comes of as many resources.
#[derive(Debug, Clone, Copy)]
pub(super) struct MapEntry {
    /// The field that is the map.
    pub(super) map: &'static str,
    /// The attribute that is the key.
    pub(super) key: &'static str,
    /// The attribute that is the value.
    pub(super) value: &'static str,
    /// What the map holds.
    pub(super) of: fn(&str) -> String,
}

/// A secret, and what its Secret holds besides.
#[derive(Debug, Clone, Copy)]
pub(super) struct SecretAttribute {
    /// The attribute.
    pub(super) attribute: &'static str,
    /// Attributes that templates can use, and their names there.
    pub(super) values: &'static [(&'static str, &'static str)],
}

impl Resource {
    /// `Resource { name: …, kind: …, ..Resource::EMPTY }`.
    pub(super) const EMPTY: Self = Self {
        name: "",
        block: None,
        kind: "",
        within: &[],
        fields: &[],
        entry: None,
        secret: None,
        input: None,
        known: &[],
        except: None,
    };

    /// Whether an attribute is one that nobody has to be told of.
    pub(super) fn knows(&self, attribute: &str) -> bool {
        let parents = self.within.iter().map(|parent| parent.attribute);
        let fields = self.fields.iter().map(|field| field.attribute);
        let of_entry = self.entry.iter().flat_map(|entry| [entry.key, entry.value]);
        let of_secret = self.secret.iter().flat_map(|secret| {
            secret.values.iter().map(|(attribute, _)| *attribute).chain([secret.attribute])
        });
        // `timeouts` are terraform's own.
        let mut known = ["id", "timeouts"]
            .into_iter()
            .chain(parents)
            .chain(fields)
            .chain(of_entry)
            .chain(of_secret)
            .chain(self.input.map(|(attribute, _)| attribute))
            .chain(self.known.iter().copied())
            .chain(self.block);
        known.any(|known| known == attribute)
    }
}

impl Field {
    /// Path of the field.
    pub(super) fn path(&self) -> String {
        self.path.map_or_else(|| camel(self.attribute), ToOwned::to_owned)
    }
}

/// A field that has the attribute's name.
pub(super) const fn same(attribute: &'static str) -> Field {
    Field { attribute, path: None, value: as_is }
}

/// A field that has another name.
pub(super) const fn named(attribute: &'static str, path: &'static str) -> Field {
    Field { attribute, path: Some(path), value: as_is }
}

/// A field that holds something else.
pub(super) const fn made(
    attribute: &'static str,
    path: &'static str,
    value: fn(&Value) -> Option<Value>,
) -> Field {
    Field { attribute, path: Some(path), value }
}

/// The words of ZITADEL's API are known to the kinds.
fn as_is(value: &Value) -> Option<Value> {
    (!value.is_null()).then(|| value.clone())
}

/// An id, or a word, that is omitted where it is empty.
pub(super) fn filled(value: &Value) -> Option<Value> {
    as_is(value).filter(|value| value.as_str() != Some(""))
}

/// The end of words such as `ORG_STATE_ACTIVE`, whose beginning has changed over the years.
pub(super) fn activity(value: &Value) -> Option<Value> {
    let (_, state) = value.as_str()?.rsplit_once("_STATE_")?;
    let words = [("ACTIVE", "Active"), ("INACTIVE", "Inactive"), ("LOCKED", "Locked")];
    words.into_iter().find(|(word, _)| *word == state).map(|(_, state)| state.into())
}

/// Whether it is the one that is in use.
pub(super) fn active(value: &Value) -> Option<Value> {
    let is_active = value.as_bool()?;
    Some(if is_active { "Active" } else { "Inactive" }.into())
}

/// `tos_link` as `tosLink`.
fn camel(attribute: &str) -> String {
    let mut words = attribute.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(letters);
    }
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_words_are_this_apis() {
        assert_eq!(same("smtp_sender_address_matches_instance_domain").path(), {
            "smtpSenderAddressMatchesInstanceDomain"
        });
        assert_eq!(same("name").path(), "name");
        for (word, state) in [
            ("ORG_STATE_ACTIVE", Some("Active")),
            ("USER_STATE_INACTIVE", Some("Inactive")),
            ("PROJECT_STATE_UNSPECIFIED", None),
            ("", None),
        ] {
            assert_eq!(activity(&json!(word)), state.map(Value::from), "{word}");
        }
    }
}
