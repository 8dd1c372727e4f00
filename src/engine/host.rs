//! What the engine needs of the place where the objects live: a cluster, or a folder.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;

use super::error::{Missing, OutputError};
use crate::{
    api::status::Status,
    contract::{FileOrigin, Key, Object},
};

/// A Secret into which something is written that ZITADEL issued.
#[derive(Debug, Clone, Default)]
pub struct OutputSecret {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub data: BTreeMap<String, SecretString>,
    /// Its type; `None`: `Opaque`.
    pub kind: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Whether it is the object's alone.
    pub is_own: bool,
    /// Whether it is deleted with the object.
    pub goes_with_owner: bool,
}

/// A value of a Secret.
#[derive(Debug, Clone)]
pub struct HeldValue {
    /// It.
    pub value: SecretString,
    /// Which state of the Secret this is: another one may hold another value. Tells nothing of the
    /// value.
    pub version: String,
}

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
    async fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<HeldValue, Missing>;
    /// Whether a secret is sent to something that exists, if nobody knows whether it has it: where
    /// statuses are kept, that is so once.
    fn sends_unknown_secrets(&self) -> bool;
    /// A value of a `ConfigMap`.
    async fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<String, Missing>;
    /// The bytes under a key of a Secret or `ConfigMap`, be they text or not.
    async fn file(&self, namespace: &str, origin: &FileOrigin) -> Result<Vec<u8>, Missing>;
    /// A Secret that objects write, as it is; `None`: there is none.
    async fn output(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<OutputSecret>, OutputError>;
    /// Writes the Secret of an object; `dry_run`: only finds out whether it could.
    async fn write_output(
        &self,
        object: &Object,
        secret: &OutputSecret,
        dry_run: bool,
    ) -> Result<(), OutputError>;
    /// Whether something may be issued into a Secret for what exists. Where what was written can't be
    /// read again, nobody can tell whether it was.
    fn issues_into(&self, _namespace: &str, _name: &str) -> bool {
        true
    }
    /// Whether statuses are there again in the next process.
    fn keeps_statuses(&self) -> bool {
        true
    }
    /// Keeps a status before a call is made that it has to survive.
    async fn remember(&self, object: &Object, status: &Status) -> Result<(), String>;
}
