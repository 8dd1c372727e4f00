//! The status: what is remembered of the remote side, and what is said about it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::secret::SecretStatus;

/// The status of every kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The generation of the spec that this status speaks of; -1: nobody has looked at the object
    /// yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Id in ZITADEL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Id of the ZITADEL instance that `id` counts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// The Instance object through which it was bound. Deletion and hand-over go through this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceBinding>,
    /// Id of the organization it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Ids of what it is in below the organization, from the outside in: of a role its project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// The ids that names in the spec, such as `userLoginName`, stood for when they were looked
    /// up: by then they count, whoever has the name later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resolved: BTreeMap<String, String>,
    #[serde(flatten)]
    #[allow(missing_docs, reason = "its fields are documented")]
    pub reported: Reported,
    /// Of keys that are used in turn: which is in use, and what comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationStatus>,
    /// What has to be published before ZITADEL believes that it belongs to who declares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeStatus>,
    /// The Secret that holds what ZITADEL issued for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretStatus>,
    /// Which state of which Secret was sent last, for each field whose value nobody can read back:
    /// UID and resource version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets_applied: BTreeMap<String, String>,
    /// The fingerprint of the file that each field held when it was last as declared: another one is
    /// another declaration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files_applied: BTreeMap<String, String>,
    /// The name of what is being created, where its id is not known yet, or where a second attempt
    /// could create it twice: left behind only by an attempt that was cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creating: Option<String>,
    /// Id of the thing in whose place another one is being created: left behind only by an attempt
    /// that was cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Whether Kastellan created it or found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Settings: what the declared fields held before Kastellan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<std::collections::BTreeMap<String, AnyValue>>")]
    pub original: Option<Map<String, Value>>,
    /// `Ready`, and while they are true `Reconciling` and `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What differs right now, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
    /// The last change by somebody else that made a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_drift: Option<LastDrift>,
}

/// What only ZITADEL knows, where the kind has such a thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// The client id by which it logs in, or by which its users do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where an application for OpenID Connect differs from the standard, in ZITADEL's words, such
    /// as `NoRedirectUris`. ZITADEL accepts it all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compliance_problems: Vec<String>,
    /// Whether it is proved that a domain belongs to its organization, or nobody asks for a proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// What ZITADEL looks for. It is no secret: who declares the thing publishes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeStatus {
    /// In which way it is published: `Dns` or `Http`.
    #[serde(rename = "type")]
    pub way: String,
    /// Where it is looked for: the name of a TXT record, or the address of a file.
    pub location: String,
    /// The text that is to be there.
    pub token: String,
    /// When it was asked for, by ZITADEL's clock; absent: that does not show yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<String>,
}

/// Keys that are used in turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// Id of the key that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Since when it is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When another one takes its place; absent: nothing asks for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotates_at: Option<String>,
    /// Id of the key that takes its place, if that is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_key_id: Option<String>,
    /// Those that were in use before, and are still accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<RetiredKey>,
    /// What the annotation `kastellan.dev/renew-at` said when it was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewed_for: Option<String>,
    /// Id of the key that the annotation asks to replace, until another one is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// A key that was in use before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetiredKey {
    /// Its id.
    pub id: String,
    /// When it is removed; absent: it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<String>,
}

/// An Instance object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct InstanceBinding {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: one of the same name that is created later is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// Any JSON value.
#[derive(JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub(crate) struct AnyValue(#[allow(dead_code, reason = "only its schema is used")] Value);

/// Where a remote object comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Provenance {
    /// Kastellan created it.
    Created,
    /// It was there before.
    Adopted,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// The field's path in the spec.
    pub field: String,
    /// What is declared.
    #[schemars(with = "AnyValue")]
    pub declared: Value,
    /// What is so in ZITADEL; absent: nothing.
    #[schemars(with = "AnyValue")]
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub live: Value,
}

/// A change by somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastDrift {
    /// When it was found.
    pub at: String,
    /// The declared fields that it changed.
    pub fields: Vec<String>,
    /// Who did it, where the event feed tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether it was reverted.
    pub corrected: bool,
}

/// A condition in the form of Kubernetes and kstatus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Ready`, `Reconciling` or `Stalled`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word of the documented list.
    pub reason: String,
    /// Why, for people, with what to do.
    pub message: String,
    /// The generation of the spec that this speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// When `status` last changed.
    pub last_transition_time: String,
}

/// Why an object is in the state that it is in: the closed list of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "documented by `about`")]
pub enum Reason {
    InSync,
    Creating,
    Updating,
    Deleting,
    WaitingForReference,
    InvalidSpec,
    ReferenceChanged,
    SecretMissing,
    AdoptionRefused,
    Conflict,
    Contested,
    LockOut,
    Forbidden,
    Unauthenticated,
    Unreachable,
    RateLimited,
    Rejected,
    NotVerified,
    InstanceChanged,
    LostByZitadel,
    Observing,
    Suspended,
    NotServed,
    NotConverged,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::InSync,
        Self::Creating,
        Self::Updating,
        Self::Deleting,
        Self::WaitingForReference,
        Self::InvalidSpec,
        Self::ReferenceChanged,
        Self::SecretMissing,
        Self::AdoptionRefused,
        Self::Conflict,
        Self::Contested,
        Self::LockOut,
        Self::Forbidden,
        Self::Unauthenticated,
        Self::Unreachable,
        Self::RateLimited,
        Self::Rejected,
        Self::NotVerified,
        Self::InstanceChanged,
        Self::LostByZitadel,
        Self::Observing,
        Self::Suspended,
        Self::NotServed,
        Self::NotConverged,
    ];

    /// What it means and what to do, for the documentation.
    pub const fn about(self) -> &'static str {
        match self {
            Self::InSync => "What was read back equals what is declared.",
            Self::Creating => "It is being created.",
            Self::Updating => "It is being changed.",
            Self::Deleting => {
                "It is being deleted, or something has to be settled first: see the message."
            }
            Self::WaitingForReference => {
                "Something it refers to is not there or not ready. It goes on by itself when that changes."
            }
            Self::InvalidSpec => {
                "The object can't mean what it says. Change it as the message says."
            }
            Self::ReferenceChanged => {
                "What it refers to came to mean something else, and what it is bound to can't follow. Delete the object and create another one, or let it refer to what it was."
            }
            Self::SecretMissing => {
                "The Secret does not hold what was written into it, and `onMissing: Stall` says that nothing new is issued. Bring it back, or set `onMissing: Reissue`."
            }
            Self::AdoptionRefused => {
                "Something of this name exists and differs, as `status.drift` shows, or is of another kind. Make them alike, or set `adoptionPolicy: Always`, or choose another name."
            }
            Self::Conflict => "An older object declares the same thing. Delete one of them.",
            Self::Contested => {
                "Somebody keeps undoing what is declared, and it is still reverted, at growing intervals; or somebody has begun a draft that would be published with it, and it waits. The message says who, or what."
            }
            Self::LockOut => {
                "It would lock everybody out of something, as the message says. Change it, or insist with the annotation `kastellan.dev/allow-lock-out: \"true\"`."
            }
            Self::Forbidden => {
                "The account, or a namespace, lacks a permission or consent: the message says which."
            }
            Self::Unauthenticated => "ZITADEL does not accept the credentials. Renew the Secret.",
            Self::Unreachable => "ZITADEL can't be reached or does not answer. It is tried again.",
            Self::RateLimited => "ZITADEL asked to wait.",
            Self::Rejected => "ZITADEL refused the write; the message is ZITADEL's.",
            Self::NotVerified => {
                "ZITADEL has not found yet what proves that it belongs to who declares it. Publish what the message says; it is looked for at growing pauses."
            }
            Self::InstanceChanged => {
                "Another ZITADEL instance answers now. Nothing is written. Point the Instance at the former one, or delete the objects and create them again."
            }
            Self::LostByZitadel => {
                "ZITADEL knows the object but does not show it. See Troubleshooting, Ghosts."
            }
            Self::Observing => "It differs, and is only observed.",
            Self::Suspended => "`suspend: true`: nothing is looked at.",
            Self::NotServed => {
                "Only an Instance says this. Its labels do not select the operator any more that served it; the one that they select takes it over, and until then nothing is done for it and what belongs to it."
            }
            Self::NotConverged => "What was read back is not what was written yet.",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What is said about an object: becomes its conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// `True`, `False` or `Unknown` of the condition `Ready`.
    pub ready: Ready,
    /// Why.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}

/// The status of the condition `Ready`, and which condition stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// What was read equals what is declared.
    True,
    /// Not yet; it goes on by itself: `Reconciling` is true.
    Progressing,
    /// It needs a person: `Stalled` is true.
    Stalled,
    /// It differs, and that is all there is to say.
    False,
    /// Nobody looks.
    Unknown,
}

impl Status {
    /// Puts a readiness into the conditions; times of those whose status stays are kept.
    pub fn set(&mut self, readiness: &Readiness, generation: i64, now: Timestamp) {
        let ready = match readiness.ready {
            Ready::True => "True",
            Ready::Unknown => "Unknown",
            _ => "False",
        };
        let mut conditions = vec![("Ready", ready)];
        match readiness.ready {
            Ready::Progressing => conditions.push(("Reconciling", "True")),
            Ready::Stalled => conditions.push(("Stalled", "True")),
            _ => {}
        }
        let former = std::mem::take(&mut self.conditions);
        self.observed_generation = Some(generation);
        self.conditions = conditions
            .into_iter()
            .map(|(kind, status)| Condition {
                kind: kind.into(),
                status: status.into(),
                reason: readiness.reason.to_string(),
                message: readiness.message.clone(),
                observed_generation: generation,
                last_transition_time: former
                    .iter()
                    .find(|c| c.kind == kind && c.status == status)
                    .map_or_else(|| format!("{now:.0}"), |c| c.last_transition_time.clone()),
            })
            .collect();
    }

    /// The condition of this type, if there is one.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.kind == kind)
    }

    /// The reason of the condition `Ready`, if it is one that is known.
    pub fn reason(&self) -> Option<Reason> {
        let said = &self.condition("Ready")?.reason;
        Reason::ALL.into_iter().find(|r| r.to_string() == *said)
    }

    /// Whether the object was Ready when this was written.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|c| c.status == "True")
    }
}
