//! The kind that says where an instance is and how to log in. Pure.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::{Description, SpecError};
use crate::api::source::KeyReference;

/// A kind whose objects are connections.
pub trait ConnectionKind: Send + Sync {
    /// What it is.
    fn description(&self) -> &'static Description;
    /// Its custom resource definition.
    fn crd(&self) -> CustomResourceDefinition;
    /// Reads a spec.
    fn read(&self, spec: &Value) -> Result<ConnectionSpec, SpecError>;
}

/// What the spec of a connection says of how to connect. Its consents (`allowedNamespaces`,
/// `instanceScope`) and its `peers` are read by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSpec {
    /// The external URL of the instance.
    pub issuer: String,
    /// Where to connect, if not at the issuer.
    pub address: Option<String>,
    /// How to log in.
    pub credentials: CredentialsSource,
    /// A private CA to trust as well.
    pub ca: Option<CaSource>,
    /// How often the event feed is asked.
    pub poll: Duration,
    /// How often everything is listed again.
    pub resync: Duration,
    /// Calls at once; at least 1.
    pub max_concurrency: usize,
}

impl ConnectionSpec {
    /// Whether both mean the same server and the same credentials, as far as specs tell.
    pub fn leads_where(&self, other: &Self) -> bool {
        (&self.issuer, &self.address, &self.ca, &self.credentials)
            == (&other.issuer, &other.address, &other.ca, &other.credentials)
    }
}

/// A key of a Secret or ConfigMap in the connection's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValueSource {
    /// Name of the Secret or ConfigMap.
    pub name: String,
    /// Key in it.
    pub key: String,
}

impl From<KeyReference> for ValueSource {
    fn from(r: KeyReference) -> Self {
        Self { name: r.name, key: r.key }
    }
}

/// Where the credentials are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsSource {
    /// A service account's key file.
    PrivateKey(ValueSource),
    /// A service account's personal access token.
    PersonalAccessToken(ValueSource),
    /// A service account's client id and secret.
    ClientCredentials {
        /// The client id.
        client_id: String,
        /// The client secret.
        secret: ValueSource,
    },
}

impl CredentialsSource {
    /// The key of a Secret that holds them.
    pub fn secret(&self) -> &ValueSource {
        match self {
            Self::PrivateKey(source)
            | Self::PersonalAccessToken(source)
            | Self::ClientCredentials { secret: source, .. } => source,
        }
    }
}

/// Where a CA is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaSource {
    /// In a Secret.
    Secret(ValueSource),
    /// In a ConfigMap.
    ConfigMap(ValueSource),
}
