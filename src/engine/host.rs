//! What the engine needs of the place where the objects live: a cluster, or a folder.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;

use super::error::Missing;
use crate::{
    api::status::Status,
    contract::{Key, Object},
};

/// Where objects, Secrets and namespaces are.
#[async_trait]
pub trait Host: Send + Sync {
    /// An object as it was last seen.
    fn object(&self, key: &Key) -> Option<Arc<Object>>;
    /// Objects whose remote side is not settled yet and which need this connection.
    fn dependants(&self, instance: &Key) -> Vec<Key>;
    /// Objects whose remote side is not settled yet, which are being deleted and which refer to
    /// this one.
    fn deleting_children(&self, parent: &Key) -> Vec<Key>;
    /// Labels of a namespace; empty where it is not known.
    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String>;
    /// A value of a Secret.
    async fn secret(&self, namespace: &str, name: &str, key: &str)
    -> Result<SecretString, Missing>;
    /// A value of a `ConfigMap`.
    async fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<String, Missing>;
    /// Keeps a status before a call is made that it has to survive.
    async fn remember(&self, object: &Object, status: &Status) -> Result<(), String>;
}
