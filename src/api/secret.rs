//! Secrets in specs and statuses. `spec.secret`: the Secret into which something that ZITADEL issues is
//! written, the same for every kind that has one. `…SecretRef`: the key of a Secret whose value
//! ZITADEL gets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key of a Secret in the namespace of the object that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What a kind has that issues a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretScope {
    /// The Secret that gets what ZITADEL issues. Omitted: no secret is asked for and none is
    /// written; one that was written before stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSpec>,
}

/// What a kind has whose things expire, and that are nothing without their secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyScope {
    #[serde(flatten)]
    #[allow(missing_docs, reason = "its fields are documented")]
    pub times: KeyTimes,
    /// The Secret that gets it. Required: nobody can read it again.
    pub secret: SecretSpec,
}

/// When a key ends, and when another one takes its place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyTimes {
    /// How long each one is valid, such as `2160h`, from `1h` to `876000h`. Omitted: `2160h`
    /// (90 days).
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<String>,
    /// How long before its end another one is issued and written into the Secret, at least `5m`.
    /// Until its own end the former one stays valid. Omitted: a third of the lifetime.
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<String>,
}

/// A Secret, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretSpec {
    /// Name of the Secret, in the namespace of this object.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9][-a-z0-9.]*$"))]
    pub name: String,
    /// Keys of the Secret and what they hold: text in which `${clientId}`, `${clientSecret}`,
    /// `${issuer}` and others stand for values, as they are or by a filter: `${issuer:url}`,
    /// `:json`, `:base64`; `$${` stands for `${`. Omitted: the keys that the kind has by default.
    #[schemars(length(max = 50), extend("maxProperties" = 50))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<BTreeMap<String, String>>,
    /// Type of the Secret. Omitted: `Opaque`. A Secret that exists keeps its type.
    #[schemars(length(min = 1, max = 253))]
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Labels of the Secret. Omitted: none but Kastellan's own.
    #[schemars(extend("maxProperties" = 50))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations of the Secret. Omitted: none but Kastellan's own.
    #[schemars(extend("maxProperties" = 50))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Whose the Secret is. Omitted: `Own`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<SecretPolicy>,
    /// After how long a new secret is issued, such as `2160h`. The former one ends at that moment:
    /// whoever uses it has to read the new one. Omitted: never.
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate_after: Option<String>,
    /// What happens when the Secret is gone, or does not hold what was written. Omitted: what
    /// Kastellan issued is issued again, what it adopted is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_missing: Option<OnMissing>,
}

/// Whose a Secret is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SecretPolicy {
    /// This object's: it is created by it, and goes with it. One that exists is not touched.
    #[default]
    Own,
    /// Somebody else's too: the keys are added to those that it has, and stay when this object goes.
    Merge,
}

/// What happens when a value is not where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnMissing {
    /// A new one is issued, which ends the present one.
    Reissue,
    /// Nothing, until somebody decides.
    Stall,
}

/// What is known of the Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretStatus {
    /// Its name.
    pub name: String,
    /// When what it holds was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<String>,
    /// When a new one will be issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotates_at: Option<String>,
    /// When what it holds ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Those of before that are still valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub previous: Vec<FormerKey>,
    /// Since when one is being issued; left behind only by an attempt that was cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// When the one ends that is being issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_expires_at: Option<String>,
    /// What the annotation `kastellan.dev/renew-at` said when it was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewed_for: Option<String>,
}

/// A key of before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FormerKey {
    /// Its id in ZITADEL.
    pub id: String,
    /// When it ends. Its record is removed then.
    pub expires_at: String,
}
