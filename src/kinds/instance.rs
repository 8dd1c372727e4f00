//! `Instance`: where a ZITADEL is and how to log in. Neither an entity nor a setting, but what all
//! others need; the engine's part of it is `engine::instance`.

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::{
        crd::{self, Names, Rule},
        spec::Namespaces,
        status::Status,
    },
    engine::{
        Fields, error,
        kind::{At, Entry, Events, Remote, Scope, Shape, Written, decode},
    },
    zitadel::Result,
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// The external URL of the instance, such as `https://auth.example.com`: audience of tokens,
    /// and the host that selects the instance.
    #[schemars(length(min = 1, max = 500))]
    pub issuer: String,
    /// Where to connect, if that is another place, such as `http://zitadel.zitadel.svc:8080`. Left
    /// out: the issuer.
    #[schemars(length(min = 1, max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How to log in: exactly one of the three.
    pub credentials: Credentials,
    /// A private CA to trust besides the public ones. Left out: the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Ca>,
    /// Who may declare organizations, and what is in them. Left out: this namespace only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<Namespaces>,
    /// Who may declare instance-wide settings, name an `organizationId`, or adopt an Organization.
    /// Left out: this namespace only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_scope: Option<Namespaces>,
    /// How often the event feed is asked for changes; at least `1s`. Left out: `5s`.
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_interval: Option<String>,
    /// How often everything is listed anew, whatever the feed says; at least `10s`. Left out:
    /// `10m`.
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resync_interval: Option<String>,
    /// Calls at once; writes of one kind always go one at a time. Left out: 4.
    #[schemars(range(min = 1, max = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
    /// While true nothing at all happens, deletion included. Left out: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// How to log in: exactly one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// A service account's key file, as ZITADEL makes it (JWT profile).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<FromSecret>,
    /// A service account's personal access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal_access_token: Option<FromSecret>,
    /// A service account's client id and secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<ClientCredentials>,
}

/// A value in a Secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FromSecret {
    /// The Secret, in the Instance's own namespace.
    pub secret_ref: KeyReference,
}

/// Client id and secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCredentials {
    /// The client id: the account's user name.
    #[schemars(length(min = 1, max = 200))]
    pub client_id: String,
    /// The Secret that holds the client secret, in the Instance's own namespace.
    pub secret_ref: KeyReference,
}

/// Where a CA is: exactly one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ca {
    /// A key of a Secret in the Instance's own namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeyReference>,
    /// A key of a ConfigMap in the Instance's own namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<KeyReference>,
}

/// A key of a Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyReference {
    /// Name of the Secret or ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// The status: that of every kind, and what was found at the other end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceStatus {
    /// What every kind has.
    #[serde(flatten)]
    pub common: Status,
    /// What an Instance has besides.
    #[serde(flatten)]
    pub details: InstanceDetails,
}

/// What was found at the other end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceDetails {
    /// Version of the server, where it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The issuer that `instanceId` was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The account that Kastellan acts as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// How changes are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedStatus>,
    /// How many objects belong to this Instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<Objects>,
}

/// How many objects belong to an Instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Objects {
    /// Those that are Ready.
    pub ready: u64,
    /// All others.
    pub not_ready: u64,
}

/// An account of ZITADEL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// User id.
    pub id: String,
    /// Login name.
    pub name: String,
    /// What it may act on: `instance`, or `organization <id>`.
    pub scope: String,
}

/// How changes are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeedStatus {
    /// `Following`: by the event feed, within seconds. `Polling`: by listing everything each
    /// `resyncInterval`.
    pub mode: FeedMode,
    /// Why it is `Polling`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// See [`FeedStatus::mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FeedMode {
    /// By the event feed.
    Following,
    /// By listing.
    Polling,
}

/// For the registry.
pub struct InstanceEntry;
/// The registry's line.
pub static ENTRY: InstanceEntry = InstanceEntry;

const NAMES: Names = Names { kind: "Instance", plural: "instances", short: &["zinstance"] };
const RULES: &[Rule] = &[
    Rule {
        rule: "[has(self.credentials.privateKey), has(self.credentials.personalAccessToken), has(self.credentials.clientCredentials)].filter(x, x).size() == 1",
        message: "credentials: set exactly one of privateKey, personalAccessToken, clientCredentials",
    },
    Rule {
        rule: "!has(self.ca) || has(self.ca.secretRef) != has(self.ca.configMapRef)",
        message: "ca: set exactly one of secretRef, configMapRef",
    },
    Rule {
        rule: "self.issuer.matches('^https?://[^/?#]+/?$')",
        message: "issuer must be a URL without a path, such as https://auth.example.com",
    },
    Rule {
        rule: "!has(self.address) || self.address.matches('^https?://[^/?#]+/?$')",
        message: "address must be a URL without a path, such as http://zitadel.zitadel.svc:8080",
    },
    Rule {
        rule: "!has(self.pollInterval) || duration(self.pollInterval) >= duration('1s')",
        message: "pollInterval must be at least 1s",
    },
    Rule {
        rule: "!has(self.resyncInterval) || duration(self.resyncInterval) >= duration('10s')",
        message: "resyncInterval must be at least 10s",
    },
];

/// An Instance is reconciled by `engine::instance`; nothing of it is listed, written or deleted.
#[async_trait]
impl Entry for InstanceEntry {
    fn names(&self) -> &'static Names {
        &NAMES
    }
    fn about(&self) -> &'static str {
        "A ZITADEL instance: where it is and how to log in. What everything else refers to."
    }
    fn noun(&self) -> &'static str {
        "the instance"
    }
    fn shape(&self) -> Shape {
        Shape::Connection
    }
    fn scope(&self) -> Scope {
        Scope::Instance
    }
    fn events(&self) -> &'static [Events] {
        &[]
    }
    fn sets(&self) -> &'static [&'static str] {
        &[]
    }
    fn crd(&self) -> CustomResourceDefinition {
        crd::crd::<Instance, InstanceStatus>(&NAMES, self.about(), RULES)
    }
    fn desired(&self, spec: &Value, _: &str) -> error::Result<Fields> {
        decode::<Instance>(spec).map(|_| Fields::default())
    }
    fn list(&self, _: &At) -> BoxStream<'static, Result<Remote>> {
        futures::stream::empty().boxed()
    }
    async fn read(&self, _: &At, _: &str) -> Result<Option<Remote>> {
        Ok(None)
    }
    async fn create(&self, _: &At, _: &str, _: &Fields) -> Result<Written> {
        Ok(Written::default())
    }
    async fn write(&self, _: &At, _: &Remote, _: &Fields) -> Result<Written> {
        Ok(Written::default())
    }
    async fn delete(&self, _: &At, _: &str) -> Result<()> {
        Ok(())
    }
    async fn check(&self, _: &At, _: &Fields) -> error::Result<()> {
        Ok(())
    }
}
