//! `Instance`: where a ZITADEL is and how to log in. What all other kinds need.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::{
        instance::InstanceStatus,
        source::KeyReference,
        spec::{Namespaces, ObjectReference},
    },
    contract::{
        ConnectionKind, ConnectionSpec, Description, SpecError,
        connection::{CaSource, CredentialsSource},
        crd::{self, Rule},
        decode,
    },
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// The external URL of the instance, such as `https://auth.example.com`: audience of tokens,
    /// and the host that selects the instance.
    #[schemars(length(min = 1, max = 500))]
    pub issuer: String,
    /// Where to connect, if that is another place, such as `http://zitadel.zitadel.svc:8080`. Omitted: the issuer.
    #[schemars(length(min = 1, max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How to log in: exactly one of the three.
    pub credentials: Credentials,
    /// A private CA to trust besides the public ones. Omitted: the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Ca>,
    /// Who may declare organizations, and what is in them. Omitted: this namespace only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<Namespaces>,
    /// Who may declare instance-wide settings, name an `organizationId`, adopt an Organization, or
    /// declare domains of organizations. Omitted: this namespace only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_scope: Option<Namespaces>,
    /// Other Instances that lead to the same ZITADEL. Where both name each other, their objects can
    /// be in conflict, and a thing can be handed over from an object of the one to an object of the
    /// other. Omitted: none.
    #[schemars(length(max = 20))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<Vec<ObjectReference>>,
    /// How often the event feed is asked for changes; at least `1s`. Omitted: `5s`.
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_interval: Option<String>,
    /// How often everything is listed again, whatever the feed says; at least `10s`. Omitted:
    /// `10m`.
    #[schemars(length(max = 20), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resync_interval: Option<String>,
    /// Calls at once; writes of one kind always go one at a time. Omitted: 4.
    #[schemars(range(min = 1, max = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
    /// While true nothing at all happens, deletion included. Omitted: false.
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

const DESCRIPTION: Description = Description {
    kind: "Instance",
    plural: "instances",
    short: "zinstance",
    about: "A ZITADEL instance: where it is and how to log in. What everything else refers to.",
    noun: "the instance",
    rules: &[
        Rule {
            rule: "[has(self.credentials.privateKey), has(self.credentials.personalAccessToken), has(self.credentials.clientCredentials)].filter(x, x).size() == 1",
            message: "credentials: set exactly one of privateKey, personalAccessToken, \
                      clientCredentials",
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
            message: "address must be a URL without a path, such as \
                      http://zitadel.zitadel.svc:8080",
        },
        Rule {
            rule: "!has(self.pollInterval) || duration(self.pollInterval) >= duration('1s')",
            message: "pollInterval must be at least 1s",
        },
        Rule {
            rule: "!has(self.resyncInterval) || duration(self.resyncInterval) >= duration('10s')",
            message: "resyncInterval must be at least 10s",
        },
    ],
    ..Description::EMPTY
};

/// The registry's line.
pub struct InstanceKind;

impl ConnectionKind for InstanceKind {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn crd(&self) -> CustomResourceDefinition {
        crd::crd::<Instance, InstanceStatus>(
            &DESCRIPTION,
            None,
            &[("Version", ".status.version"), ("Feed", ".status.feed.mode")],
        )
    }

    fn read(&self, spec: &Value) -> Result<ConnectionSpec, SpecError> {
        let spec: Instance = decode(spec)?;
        let (poll, resync) = (spec.poll_interval.as_deref(), spec.resync_interval.as_deref());
        Ok(ConnectionSpec {
            credentials: spec.credentials.source()?,
            ca: spec.ca.map(Ca::source).transpose()?,
            poll: interval("pollInterval", poll, Duration::from_secs(5), Duration::from_secs(1))?,
            resync: interval(
                "resyncInterval",
                resync,
                Duration::from_secs(600),
                Duration::from_secs(10),
            )?,
            max_concurrency: spec.max_concurrency.unwrap_or(4).clamp(1, 64) as usize,
            issuer: spec.issuer,
            address: spec.address,
        })
    }
}

fn interval(
    field: &str,
    text: Option<&str>,
    default: Duration,
    least: Duration,
) -> Result<Duration, SpecError> {
    let Some(text) = text else { return Ok(default) };
    let parsed = text.parse::<SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    parsed.filter(|d| *d >= least).ok_or_else(|| {
        let what = format!("{text:?} is not a duration of at least {least:?}, such as 30s or 5m");
        SpecError::new(field, what)
    })
}

impl Credentials {
    fn source(self) -> Result<CredentialsSource, SpecError> {
        match (self.private_key, self.personal_access_token, self.client_credentials) {
            (Some(key), None, None) => Ok(CredentialsSource::PrivateKey(key.secret_ref.into())),
            (None, Some(token), None) => {
                Ok(CredentialsSource::PersonalAccessToken(token.secret_ref.into()))
            }
            (None, None, Some(c)) => Ok(CredentialsSource::ClientCredentials {
                client_id: c.client_id,
                secret: c.secret_ref.into(),
            }),
            _ => Err(SpecError::new(
                "credentials",
                "set exactly one of privateKey, personalAccessToken, clientCredentials",
            )),
        }
    }
}

impl Ca {
    fn source(self) -> Result<CaSource, SpecError> {
        match (self.secret_ref, self.config_map_ref) {
            (Some(r), None) => Ok(CaSource::Secret(r.into())),
            (None, Some(r)) => Ok(CaSource::ConfigMap(r.into())),
            _ => Err(SpecError::new("ca", "set exactly one of secretRef, configMapRef")),
        }
    }
}
