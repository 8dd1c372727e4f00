//! A custom resource as the engine sees it. Pure.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use crate::api::{
    ABANDON, ALLOW_LOCK_OUT, RECONCILE_AT, instance::InstanceDetails, status::Status,
};

/// Which object: kind, namespace, name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Kind, e.g. `Project`.
    pub kind: &'static str,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// A custom resource.
#[derive(Debug, Clone)]
pub struct Object {
    /// Which it is.
    pub key: Key,
    /// UID in Kubernetes; `None` for a manifest on disk.
    pub uid: Option<String>,
    /// Generation of the spec; on disk a number made of its content.
    pub generation: i64,
    /// When it was made, in seconds; orders those that claim the same thing.
    pub created: i64,
    /// Deletion has begun.
    pub is_deleting: bool,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The spec as it was written.
    pub spec: Value,
    /// The status as it was read, where there is one that can be read.
    pub status: Status,
    /// Of an `Instance`: what its status says besides.
    pub details: InstanceDetails,
}

/// The namespace of UUIDs that stand for objects without a UID, and for ids that follow a dead one.
const DERIVED: Uuid = Uuid::from_u128(0x7d1a_6a2e_53f0_4b8e_9c55_1f0e_6b1d_2a90);

impl Object {
    /// The id that this object gives to what it makes where ZITADEL lets the client choose: its
    /// UID, or on disk a UUID of kind, namespace and name.
    pub fn derived_id(&self) -> String {
        self.uid.clone().unwrap_or_else(|| {
            let Key { kind, namespace, name } = &self.key;
            Uuid::new_v5(&DERIVED, format!("{kind}/{namespace}/{name}").as_bytes()).to_string()
        })
    }

    /// The id to make something under again whose former id is dead: ZITADEL keeps parts of a dead
    /// thing's write side.
    pub fn id_after(&self, former: &str) -> String {
        Uuid::new_v5(&DERIVED, format!("{}/{former}", self.derived_id()).as_bytes()).to_string()
    }

    /// Released without a call, by annotation.
    pub fn is_abandoned(&self) -> bool {
        self.annotations.get(ABANDON).is_some_and(|v| v == "true")
    }

    /// Whether it insists on what would lock everybody out, by annotation.
    pub fn allows_lock_out(&self) -> bool {
        self.annotations.get(ALLOW_LOCK_OUT).is_some_and(|v| v == "true")
    }

    /// What the annotation that asks for a reconcile says.
    pub fn asked_at(&self) -> Option<&str> {
        self.annotations.get(RECONCILE_AT).map(String::as_str)
    }

    /// Older objects come first; ties are broken by UID.
    pub fn seniority(&self) -> (i64, String) {
        (self.created, self.uid.clone().unwrap_or_else(|| self.key.to_string()))
    }
}
