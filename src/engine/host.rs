//! What the engine needs of the place where the objects live: a cluster, or a folder.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;

use super::{Key, Object};
use crate::api::status::Status;

/// Where objects, Secrets and namespaces are.
#[async_trait]
pub trait Host: Send + Sync {
    /// An object as it was last seen.
    fn object(&self, key: &Key) -> Option<Arc<Object>>;
    /// All `Instance`s.
    fn instances(&self) -> Vec<Arc<Object>>;
    /// Objects other than `Instance`s whose remote side is not settled yet and which belong to this
    /// Instance.
    fn dependants(&self, instance: &Key) -> Vec<Key>;
    /// Labels of a namespace; empty where it is not known.
    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String>;
    /// A value of a Secret.
    async fn secret(&self, namespace: &str, name: &str, key: &str)
    -> Result<SecretString, Missing>;
    /// A value of a ConfigMap.
    async fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<String, Missing>;
    /// Keeps a status before a call is made that it has to survive.
    async fn remember(&self, object: &Object, status: &Status) -> Result<(), String>;
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// No such Secret or ConfigMap.
    Object,
    /// It has no such key, or holds no text there.
    Key,
    /// It may not be read, or can't be just now.
    Unreadable(String),
}

impl Missing {
    /// A message that says what to do.
    pub fn message(&self, kind: &str, namespace: &str, name: &str, key: &str) -> String {
        match self {
            Self::Object => format!("waiting for {kind} {namespace}/{name}: it does not exist"),
            Self::Key => {
                format!("waiting for {kind} {namespace}/{name}: it has no text under the key {key}")
            }
            Self::Unreadable(why) => format!("{kind} {namespace}/{name} can't be read: {why}"),
        }
    }
}
