//! Forms that many of ZITADEL's answers have in common.

use jiff::Timestamp;
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    contract::{Access, Version, Written},
    zitadel::{Path, Result},
};

/// `details` of v1 and of the older v2 services.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Details {
    creation_date: Option<Timestamp>,
    change_date: Option<Timestamp>,
    pub(super) resource_owner: Option<String>,
}

impl Details {
    /// Absent for what was never set. A create answers with its `creationDate`.
    pub(super) fn version(&self) -> Option<Version> {
        let changed = self.change_date.or(self.creation_date)?;
        Some(Version { aggregate: self.resource_owner.clone(), changed })
    }
}

/// `{"details": …}`: the answer to most v1 writes.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    details: Details,
}

impl Answer {
    pub(super) fn written(&self) -> Written {
        Written { version: self.details.version(), ..Written::default() }
    }
}

/// `{"details": …, "id": …}`: the answer to some v1 creates.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    id: String,
    #[serde(default)]
    details: Details,
}

impl Created {
    pub(super) fn written(self) -> Written {
        let version = self.details.version();
        Written { id: Some(self.id), version, ..Written::default() }
    }
}

/// `{"changeDate"}` or `{"creationDate"}`: the answer to v2 writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dated {
    creation_date: Option<Timestamp>,
    change_date: Option<Timestamp>,
}

impl Dated {
    pub(super) fn written(&self, id: Option<&str>, aggregate: &str) -> Written {
        let version = self
            .change_date
            .or(self.creation_date)
            .map(|changed| Version { aggregate: Some(aggregate.to_owned()), changed });
        Written { id: id.map(ToOwned::to_owned), version, ..Written::default() }
    }
}

/// A word that this version does not know makes its field unknown, not the whole row unreadable.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Value::deserialize(deserializer).map(|value| serde_json::from_value(value).ok())
}

/// What ZITADEL omits from an answer is the zero value.
#[expect(clippy::unnecessary_wraps, reason = "what serde asks for in an optional field")]
pub(super) fn some_default<T: Default>() -> Option<T> {
    Some(T::default())
}

/// A number that is declared as one, and that ZITADEL's JSON has as text: uint64.
pub(super) mod count {
    use serde::{Deserialize, Deserializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Count {
        Number(u64),
        Text(String),
    }

    pub(in crate::kinds) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        match Option::<Count>::deserialize(deserializer)? {
            None => Ok(None),
            Some(Count::Number(number)) => Ok(Some(number)),
            Some(Count::Text(text)) => text.parse().map(Some).map_err(D::Error::custom),
        }
    }
}

/// A write in the organization of a place, which answers with `details`.
pub(super) async fn write(
    access: &Access,
    method: Method,
    path: &Path,
    body: &Value,
) -> Result<Written> {
    let answer: Answer = access.client.write(method, access.organization(), path, body).await?;
    Ok(answer.written())
}

/// A deletion in the organization of a place.
pub(super) async fn delete(access: &Access, path: &Path) -> Result<()> {
    let deleted = access.client.write::<Value>(Method::DELETE, access.organization(), path, &());
    deleted.await.map(drop)
}

/// `Ok(None)` where a read finds nothing.
pub(super) fn found<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(t) => Ok(Some(t)),
        Err(e) if e.says_gone() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether something can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum Activity {
    /// Yes.
    #[default]
    #[serde(alias = "PROJECT_STATE_ACTIVE", alias = "ORGANIZATION_STATE_ACTIVE")]
    #[serde(alias = "USER_GRANT_STATE_ACTIVE", alias = "PROJECT_GRANT_STATE_ACTIVE")]
    #[serde(alias = "APP_STATE_ACTIVE", alias = "APPLICATION_STATE_ACTIVE")]
    #[serde(alias = "EMAIL_PROVIDER_ACTIVE")]
    #[serde(alias = "SMS_PROVIDER_CONFIG_ACTIVE")]
    Active,
    /// No, until it is activated again.
    #[serde(alias = "PROJECT_STATE_INACTIVE", alias = "ORGANIZATION_STATE_INACTIVE")]
    #[serde(alias = "USER_GRANT_STATE_INACTIVE", alias = "PROJECT_GRANT_STATE_INACTIVE")]
    #[serde(alias = "APP_STATE_INACTIVE", alias = "APPLICATION_STATE_INACTIVE")]
    #[serde(alias = "EMAIL_PROVIDER_INACTIVE")]
    #[serde(alias = "SMS_PROVIDER_CONFIG_INACTIVE")]
    Inactive,
}
