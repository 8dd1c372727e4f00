//! The references of a spec as data: resolution, wake-ups, order, offline validation, CEL rules and
//! export follow from these. Pure.

use futures::future::BoxFuture;
use serde_json::Value;

use super::{Key, SpecError};
use crate::{
    api::spec::ObjectReference,
    zitadel::{Client, Result as ZitadelResult},
};

/// A reference that a kind's spec can make.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// The field that names an object, such as `organizationRef`.
    pub field: &'static str,
    /// The field that names a remote id instead, such as `organizationId`; `""`: there is none.
    pub id_field: &'static str,
    /// Whether an id needs the consent to act on the instance.
    pub by_id: ById,
    /// Another way to name what no object declares.
    pub by_name: Option<ByName>,
    /// Kinds that the object may have. Where there are several, the reference names one in `kind`,
    /// or means the first.
    pub kinds: &'static [&'static str],
    /// What the reference is for.
    pub role: Role,
    /// Whether one of its fields has to be set.
    pub required: bool,
    /// When the object's consent covers this kind.
    pub consent: Consent,
}

/// Who may name a remote id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ById {
    /// Whoever may act on the instance.
    InstanceScope,
    /// Everybody: to name it gives no access to it.
    Anyone,
}

/// A name that ZITADEL itself knows, such as a login name.
#[derive(Debug, Clone, Copy)]
pub struct ByName {
    /// The field, such as `userLoginName`.
    pub field: &'static str,
    /// The permission that finding it needs; without it nothing is found.
    pub permission: &'static str,
    /// Finds the ids of what has this name.
    pub find: for<'a> fn(&'a Client, &'a str) -> BoxFuture<'a, ZitadelResult<Vec<String>>>,
}

/// What a reference is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The thing is in what it refers to.
    Parent,
    /// The thing needs the id of what it refers to.
    Input,
    /// The same, and the thing is addressed below it, in the organization of its parent: a grant
    /// below the user who has it.
    Below,
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
    /// A name that ZITADEL knows.
    Name(String),
}

impl Reference {
    /// What something may be in: `Reference { field: …, ..Reference::PARENT }`.
    pub const PARENT: Self = Self {
        field: "",
        id_field: "",
        by_id: ById::InstanceScope,
        by_name: None,
        kinds: &[],
        role: Role::Parent,
        required: false,
        consent: Consent::Implied,
    };

    /// What the spec of an object in `namespace` says.
    pub fn read(&self, spec: &Value, namespace: &str) -> Result<Option<Referent>, SpecError> {
        let given = |field: &str| spec.get(field).filter(|v| !v.is_null()).cloned();
        if let Some(name) = self.name(spec)? {
            return Ok(Some(Referent::Name(name)));
        }
        match (given(self.field), given(self.id_field)) {
            (Some(_), Some(_)) => Err(SpecError::exclusive(self.field, self.id_field)),
            (None, None) if self.required => Err(SpecError::one_of(self.field, self.id_field)),
            (None, None) => Ok(None),
            (Some(object), None) => {
                self.object(object, namespace).map(|key| Some(Referent::Object(key)))
            }
            (None, Some(id)) => match id.as_str() {
                Some(id) if crate::zitadel::is_id(id) => Ok(Some(Referent::Id(id.to_owned()))),
                _ => Err(SpecError::not_an_id(self.id_field, &id)),
            },
        }
    }

    /// The objects that the spec of an object in `namespace` names, where its field is a list.
    pub fn read_all(&self, spec: &Value, namespace: &str) -> Result<Vec<Key>, SpecError> {
        let items = spec.get(self.field).and_then(Value::as_array).into_iter().flatten();
        items.map(|item| self.object(item.clone(), namespace)).collect()
    }

    fn object(&self, object: Value, namespace: &str) -> Result<Key, SpecError> {
        let kind = self.kind(object.get("kind").and_then(Value::as_str))?;
        let r: ObjectReference = serde_json::from_value(object)
            .map_err(|e| SpecError::new(self.field, e.to_string()))?;
        let namespace = r.namespace.unwrap_or_else(|| namespace.to_owned());
        Ok(Key { kind, namespace, name: r.name })
    }

    /// The name that a spec gives, beside which there is nothing else.
    fn name(&self, spec: &Value) -> Result<Option<String>, SpecError> {
        let given = |field: &str| spec.get(field).filter(|v| !v.is_null());
        let Some(by) = self.by_name else { return Ok(None) };
        let Some(name) = given(by.field) else { return Ok(None) };
        if let Some(other) = [self.field, self.id_field].into_iter().find(|f| given(f).is_some()) {
            return Err(SpecError::exclusive(by.field, other));
        }
        let name = name.as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| SpecError::new(by.field, "is not a name"))?;
        Ok(Some(name.to_owned()))
    }

    /// The fields that a spec can set for it.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> + use<> {
        let fields = [self.field, self.id_field].into_iter().filter(|field| !field.is_empty());
        fields.chain(self.by_name.map(|by| by.field))
    }

    fn kind(&self, named: Option<&str>) -> Result<&'static str, SpecError> {
        match (named, self.kinds) {
            // Further kinds came later: the first one is meant where none is named.
            (None, [first, ..]) => Ok(*first),
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
        required: true,
        ..Reference::PARENT
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
    fn a_list_names_several_objects() {
        let read = |spec: Value| PARENT.read_all(&spec, "ns").map_err(|e| e.to_string());
        assert_eq!(read(json!({})), Ok(Vec::new()));
        let both = read(json!({"aRef": [{"name": "x"}, {"name": "y", "namespace": "other"}]}));
        let key = |namespace: &str, name: &str| Key {
            kind: "A",
            namespace: namespace.into(),
            name: name.into(),
        };
        assert_eq!(both, Ok(vec![key("ns", "x"), key("other", "y")]));
        assert!(read(json!({"aRef": [{}]})).unwrap_err().contains("spec.aRef"));
    }

    #[test]
    fn where_several_kinds_are_possible_the_reference_names_one_or_means_the_first() {
        let any = Reference { kinds: &["A", "B"], ..PARENT };
        let read = |spec: Value| any.read(&spec, "ns").map_err(|e| e.to_string());
        for (given, kind) in [(json!({"kind": "B", "name": "x"}), "B"), (json!({"name": "x"}), "A")]
        {
            let key = Key { kind, namespace: "ns".into(), name: "x".into() };
            assert_eq!(read(json!({"aRef": given})), Ok(Some(Referent::Object(key))));
        }
        let unknown = json!({"aRef": {"kind": "C", "name": "x"}});
        assert!(read(unknown).unwrap_err().contains("one of A, B"));
    }

    #[test]
    fn what_zitadel_knows_by_name_is_named_by_nothing_else() {
        let by_name = ByName {
            field: "aName",
            permission: "a.read",
            find: |_, _| Box::pin(async { Ok(Vec::new()) }),
        };
        let named = Reference { by_name: Some(by_name), ..PARENT };
        let read = |spec: Value| named.read(&spec, "ns").map_err(|e| e.to_string());
        assert_eq!(read(json!({"aName": "x"})), Ok(Some(Referent::Name("x".into()))));
        for (spec, says) in [
            (json!({"aName": "x", "aId": "1"}), "exclude each other"),
            (json!({"aName": "x", "aRef": {"name": "x"}}), "exclude each other"),
            (json!({"aName": ""}), "is not a name"),
            (json!({"aName": 7}), "is not a name"),
            (json!({}), "set aRef, or aId"),
        ] {
            let error = read(spec.clone()).unwrap_err();
            assert!(error.contains(says), "{spec}: {error}");
        }
    }
}
