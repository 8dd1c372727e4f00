//! The spec fields that kinds have in common. The engine reads them as one [`Shared`]; the schema
//! of a kind holds those that fit it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What every kind but `Instance` has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Common {
    /// The Instance that this belongs to. Left out: the Instance named `default` in the same
    /// namespace, or, together with `organizationRef`, the organization's Instance. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_ref: Option<ObjectReference>,
    /// What happens in ZITADEL when this object is deleted. Left out: what Kastellan created is
    /// deleted, what it adopted is kept; an Organization is always kept; an organization's own
    /// policy that Kastellan made is reset so that it inherits again, one that was there gets its
    /// former values back; instance-wide settings stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether differences are corrected or only reported. Left out: `Enforce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// While true nothing at all happens, deletion included. Left out: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// What every entity has: a thing of which there are many, each with an id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// This very id in ZITADEL: adopted if it is there, created under it if not. Left out: an id
    /// derived from this object's UID. Immutable.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether something that already exists under this name is taken over. `IfIdentical`: if the
    /// declared fields already hold there; otherwise the difference is shown in the status. Left
    /// out: `IfIdentical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adoption_policy: Option<AdoptionPolicy>,
}

/// The organization something belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationScope {
    /// An Organization object. Its namespace left out: the same one; another one must be allowed by
    /// the Organization's `allowedNamespaces`. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_ref: Option<ObjectReference>,
    /// The id of an organization that is not declared here. Needs the consent of the Instance's
    /// `instanceScope`. Immutable.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
}

/// All the fields that the engine itself acts on, as far as a kind has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Shared {
    /// See [`Common`].
    #[serde(flatten)]
    pub common: Common,
    /// See [`Identity`].
    #[serde(flatten)]
    pub identity: Identity,
    /// See [`OrganizationScope`].
    #[serde(flatten)]
    pub organization: OrganizationScope,
}

impl Shared {
    /// Whether differences are only reported.
    pub fn observes(&self) -> bool {
        self.common.mode == Some(Mode::Observe)
    }

    /// Whether nothing at all happens.
    pub fn is_suspended(&self) -> bool {
        self.common.suspend == Some(true)
    }
}

/// A reference to an object of this API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectReference {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the object. Left out: the namespace of the object that refers to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// What happens in ZITADEL when an object is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Entities are deleted; settings get back what was there before.
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
    /// Labels of the namespaces meant by `from: Selector`. Left out: none match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
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

/// Labels that a namespace must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// All of these, with these values. Empty: every namespace.
    pub match_labels: BTreeMap<String, String>,
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
                (NamespacesFrom::Selector, Some(s)) => {
                    let labels = labels();
                    s.match_labels.iter().all(|(k, v)| labels.get(k) == Some(v))
                }
            })
    }
}
