//! The spec fields that kinds have in common. The schema of a kind holds those that fit it; the
//! engine reads them as one [`Shared`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What every kind but `Instance` has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Common {
    /// The Instance that this belongs to. Omitted: the Instance named `default` in the same
    /// namespace, or, where another object is referred to, the Instance of that object. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_ref: Option<ObjectReference>,
    /// What happens in ZITADEL when this object is deleted. Omitted: what Kastellan created is
    /// deleted, what it adopted is kept; an Organization is always kept; an organization's own
    /// policy that Kastellan created is reset so that it inherits again, one that existed before
    /// gets its former values back; instance-wide settings stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether differences are corrected or only reported. Omitted: `Enforce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// While true nothing at all happens, deletion included. Omitted: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// What every entity has: a thing of which there are many, each with an id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// This very id in ZITADEL: adopted if it exists, created under it if not. Omitted: an id
    /// derived from this object's UID. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "its field is documented")]
    pub adoption: Adoption,
}

/// What every entity has whose existing things can be taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// Whether something that already exists under this name is taken over. `IfIdentical`: if the
    /// declared fields already hold there; otherwise the difference is shown in the status.
    /// Omitted: `IfIdentical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adoption_policy: Option<AdoptionPolicy>,
}

/// The organization that something belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationScope {
    /// An Organization object. One of another namespace must allow it by its `allowedNamespaces`.
    /// Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_ref: Option<ObjectReference>,
    /// The id of an organization that is not declared here. Needs the consent of the Instance's
    /// `instanceScope`. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
}

/// All the fields that the engine itself acts on, apart from references.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Shared {
    /// See [`Common`].
    #[serde(flatten)]
    pub common: Common,
    /// See [`Identity`].
    #[serde(flatten)]
    pub identity: Identity,
}

impl Shared {
    /// Whether differences are only reported.
    pub fn observes(&self) -> bool {
        self.common.mode == Some(Mode::Observe)
    }

    /// Whether existing things are taken over.
    pub fn adoption_policy(&self) -> AdoptionPolicy {
        self.identity.adoption.adoption_policy.unwrap_or(AdoptionPolicy::IfIdentical)
    }
}

/// Whether a spec says that nothing at all happens. Read by itself: it counts however wrong the
/// rest is.
pub fn is_suspended(spec: &Value) -> bool {
    spec.get("suspend").and_then(Value::as_bool) == Some(true)
}

/// Whether a spec says that differences are only reported. Read by itself.
pub fn only_observes(spec: &Value) -> bool {
    spec.get("mode").and_then(Value::as_str) == Some("Observe")
}

/// The deletion policy of a spec. Read by itself, since an older or newer CRD may have let pass
/// what can't be read: what says nothing that is understood about deletion is kept.
pub fn deletion_policy(spec: &Value) -> Option<DeletionPolicy> {
    let read = |field: &str| spec.get(field).filter(|v| !v.is_null()).cloned();
    let mode = read("mode").map(serde_json::from_value::<Mode>).transpose();
    let policy = read("deletionPolicy").map(serde_json::from_value::<DeletionPolicy>).transpose();
    match (mode, policy) {
        (Ok(_), Ok(policy)) => policy,
        _ => Some(DeletionPolicy::Retain),
    }
}

/// A reference to an object of this API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectReference {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the object. Omitted: the namespace of the object that refers to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// What happens in ZITADEL when an object is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Entities are deleted; settings get back what they held before.
    Delete,
    /// Everything stays as it is.
    Retain,
}

/// Whether something that already exists is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// Only if the declared fields already hold.
    IfIdentical,
    /// Yes, and it is changed to what is declared.
    Always,
    /// No.
    Never,
}

/// Whether differences are corrected or only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Correct them.
    Enforce,
    /// Report them in `status.drift`; never write.
    Observe,
}

/// Which namespaces may do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Namespaces {
    /// `Same`: this object's own. `All`: any. `Selector`: those whose labels match.
    pub from: NamespacesFrom,
    /// Labels of the namespaces meant by `from: Selector`. Omitted: none match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Which namespaces may refer to something, and by which kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllowedNamespaces {
    #[serde(flatten)]
    #[allow(missing_docs, reason = "its fields are documented")]
    pub namespaces: Namespaces,
    /// Kinds that may refer to it, such as `ProjectRole`. Omitted: those that give nobody access to
    /// anything; `UserGrant`, `ProjectGrant` and `Administrator` have to be named.
    #[schemars(length(max = 50), inner(length(min = 1, max = 63)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
}

/// See [`Namespaces::from`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The object's own namespace.
    Same,
    /// Every namespace.
    All,
    /// The namespaces whose labels match.
    Selector,
}

/// Labels that a namespace must have; an empty selector matches every namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// All of these, with these values. Omitted: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// All of these have to hold. Omitted: none has to.
    #[schemars(length(max = 50))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_expressions: Option<Vec<LabelExpression>>,
}

/// What a label must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LabelExpression {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How it relates to `values`.
    pub operator: LabelOperator,
    /// Values for `In` and `NotIn`. Omitted: none.
    #[schemars(length(max = 50))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

/// See [`LabelExpression::operator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// The label has one of the values.
    In,
    /// The label has none of the values, or does not exist.
    NotIn,
    /// The label exists.
    Exists,
    /// The label does not exist.
    DoesNotExist,
}

impl LabelSelector {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let has_label = |(k, v): (&String, &String)| labels.get(k) == Some(v);
        self.match_labels.iter().flatten().all(has_label)
            && self.match_expressions.iter().flatten().all(|e| e.matches(labels))
    }
}

impl LabelExpression {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let is_listed = value.is_some_and(|v| self.values.iter().flatten().any(|x| x == v));
        match self.operator {
            LabelOperator::In => is_listed,
            LabelOperator::NotIn => !is_listed,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

impl Namespaces {
    /// Whether an object in namespace `from` with `labels` may use one in namespace `own` that says
    /// this. `None` is `Same`.
    pub fn allow(
        this: Option<&Self>,
        own: &str,
        from: &str,
        labels: impl FnOnce() -> BTreeMap<String, String>,
    ) -> bool {
        own == from
            || this.is_some_and(|n| match (n.from, &n.selector) {
                (NamespacesFrom::Same, _) | (NamespacesFrom::Selector, None) => false,
                (NamespacesFrom::All, _) => true,
                (NamespacesFrom::Selector, Some(selector)) => selector.matches(&labels()),
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_says_nothing_understood_about_deletion_is_kept() {
        use DeletionPolicy::{Delete, Retain};
        for (spec, expected) in [
            (json!({}), None),
            (json!({"deletionPolicy": null, "mode": null}), None),
            (json!({"deletionPolicy": "Delete"}), Some(Delete)),
            (json!({"deletionPolicy": "Retain", "name": 7}), Some(Retain)),
            (json!({"deletionPolicy": "Delete", "suspend": "perhaps"}), Some(Delete)),
            (json!({"deletionPolicy": "Orphan"}), Some(Retain)),
            (json!({"deletionPolicy": ["Delete"]}), Some(Retain)),
            (json!({"mode": "Watch"}), Some(Retain)),
            (json!({"mode": "Watch", "deletionPolicy": "Delete"}), Some(Retain)),
        ] {
            assert_eq!(deletion_policy(&spec), expected, "{spec}");
        }
    }

    #[test]
    fn a_selector_matches_labels_and_expressions() {
        let labels: BTreeMap<String, String> = [("team".into(), "blue".into())].into();
        for (selector, matches) in [
            (json!({}), true),
            (json!({"matchLabels": {}}), true),
            (json!({"matchLabels": {"team": "blue"}}), true),
            (json!({"matchLabels": {"team": "red"}}), false),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["blue"]}]}),
                true,
            ),
            (json!({"matchExpressions": [{"key": "team", "operator": "In"}]}), false),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["blue"]}]}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["blue"]}]}),
                true,
            ),
            (json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}), true),
            (json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}), false),
            (
                json!({"matchLabels": {"team": "blue"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}),
                false,
            ),
        ] {
            let read: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(read.matches(&labels), matches, "{selector}");
        }
    }
}
