//! The references of a spec as data: resolution, wake-ups, order, offline validation, CEL rules and
//! export follow from these. Pure.

use serde_json::Value;

use super::{Key, SpecError};
use crate::api::spec::ObjectReference;

/// A reference that a kind's spec can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The field that names an object, such as `organizationRef`.
    pub field: &'static str,
    /// The field that names a remote id instead, such as `organizationId`.
    pub id_field: &'static str,
    /// Kinds that the object may have. Where there are several, the reference names one in `kind`.
    pub kinds: &'static [&'static str],
    /// What the reference is for.
    pub role: Role,
    /// Whether one of the two fields has to be set.
    pub required: bool,
    /// When the object's consent covers this kind.
    pub consent: Consent,
}

/// What a reference is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The thing is in what it refers to.
    Parent,
    /// The thing needs the id of what it refers to.
    Input,
}

/// When the `allowedNamespaces` of an object cover a kind that refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Also where its `kinds` are omitted.
    Implied,
    /// Only where its `kinds` name the kind.
    Named,
}

/// What a spec says for a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Referent {
    /// An object.
    Object(Key),
    /// A remote id.
    Id(String),
}

impl Reference {
    /// What the spec of an object in `namespace` says.
    pub fn read(&self, spec: &Value, namespace: &str) -> Result<Option<Referent>, SpecError> {
        let given = |field: &str| spec.get(field).filter(|v| !v.is_null()).cloned();
        match (given(self.field), given(self.id_field)) {
            (Some(_), Some(_)) => Err(SpecError::exclusive(self.field, self.id_field)),
            (None, None) if self.required => Err(SpecError::one_of(self.field, self.id_field)),
            (None, None) => Ok(None),
            (Some(object), None) => {
                let kind = self.kind(object.get("kind").and_then(Value::as_str))?;
                let r: ObjectReference = serde_json::from_value(object)
                    .map_err(|e| SpecError::new(self.field, e.to_string()))?;
                let namespace = r.namespace.unwrap_or_else(|| namespace.to_owned());
                Ok(Some(Referent::Object(Key { kind, namespace, name: r.name })))
            }
            (None, Some(id)) => match id.as_str() {
                Some(id) if crate::zitadel::is_id(id) => Ok(Some(Referent::Id(id.to_owned()))),
                _ => Err(SpecError::not_an_id(self.id_field, &id)),
            },
        }
    }

    fn kind(&self, named: Option<&str>) -> Result<&'static str, SpecError> {
        match (named, self.kinds) {
            (None, [only]) => Ok(*only),
            (named, kinds) => kinds.iter().copied().find(|k| Some(*k) == named).ok_or_else(|| {
                let message = format!("kind must be one of {}", kinds.join(", "));
                SpecError::new(self.field, message)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PARENT: Reference = Reference {
        field: "aRef",
        id_field: "aId",
        kinds: &["A"],
        role: Role::Parent,
        required: true,
        consent: Consent::Implied,
    };

    #[test]
    fn a_reference_names_an_object_or_an_id_and_never_both() {
        let read = |spec: Value| PARENT.read(&spec, "ns").map_err(|e| e.to_string());
        let key =
            |namespace: &str| Key { kind: "A", namespace: namespace.into(), name: "x".into() };
        assert_eq!(read(json!({"aRef": {"name": "x"}})), Ok(Some(Referent::Object(key("ns")))));
        assert_eq!(
            read(json!({"aRef": {"name": "x", "namespace": "other"}})),
            Ok(Some(Referent::Object(key("other"))))
        );
        assert_eq!(read(json!({"aId": "1-a_B"})), Ok(Some(Referent::Id("1-a_B".into()))));
        for (spec, says) in [
            (json!({}), "set aRef, or aId"),
            (json!({"aRef": null}), "set aRef, or aId"),
            (json!({"aRef": {"name": "x"}, "aId": "1"}), "exclude each other"),
            (json!({"aRef": "x"}), "spec.aRef"),
            (json!({"aId": "../x"}), "spec.aId: \"../x\" is not an id"),
            (json!({"aId": 7}), "spec.aId: 7 is not an id"),
            (json!({"aId": ""}), "is not an id"),
        ] {
            let error = read(spec.clone()).unwrap_err();
            assert!(error.contains(says), "{spec}: {error}");
        }
        let optional = Reference { required: false, ..PARENT };
        assert_eq!(optional.read(&json!({}), "ns"), Ok(None));
    }

    #[test]
    fn where_several_kinds_are_possible_the_reference_names_one() {
        let any = Reference { kinds: &["A", "B"], ..PARENT };
        let read = |spec: Value| any.read(&spec, "ns").map_err(|e| e.to_string());
        let key = Key { kind: "B", namespace: "ns".into(), name: "x".into() };
        let named = json!({"aRef": {"kind": "B", "name": "x"}});
        assert_eq!(read(named), Ok(Some(Referent::Object(key))));
        for spec in [json!({"aRef": {"name": "x"}}), json!({"aRef": {"kind": "C", "name": "x"}})] {
            assert!(read(spec).unwrap_err().contains("one of A, B"));
        }
    }
}
