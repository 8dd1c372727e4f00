//! Forms that many of ZITADEL's answers have in common.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    engine::kind::{Version, Written},
    zitadel::{Code, Error, Result},
};

/// `details` of v1 and of the older v2 services.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Details {
    creation_date: Option<Timestamp>,
    change_date: Option<Timestamp>,
    #[serde(default)]
    pub(super) resource_owner: String,
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
        Written { id: None, version: self.details.version() }
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
        let changed = self.change_date.or(self.creation_date);
        Written {
            id: id.map(ToOwned::to_owned),
            version: changed.map(|changed| Version { aggregate: aggregate.into(), changed }),
        }
    }
}

/// `Ok(None)` where a read finds nothing: the thing, or the organization that it would be in
/// (`AUTH-Bs7Ds`).
pub(super) fn found<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(t) => Ok(Some(t)),
        Err(e) if is_gone(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether an error says that a thing is not there. A 404 without an id is a missing endpoint or an
/// unknown host.
pub(super) fn is_gone(e: &Error) -> bool {
    match e.code() {
        Some(Code::NotFound) => e.id().is_some(),
        Some(Code::PermissionDenied) => e.id() == Some("AUTH-Bs7Ds"),
        _ => false,
    }
}

/// Whether something can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum Activity {
    /// Yes.
    #[default]
    #[serde(alias = "PROJECT_STATE_ACTIVE", alias = "ORGANIZATION_STATE_ACTIVE")]
    Active,
    /// No, until it is activated again.
    #[serde(alias = "PROJECT_STATE_INACTIVE", alias = "ORGANIZATION_STATE_INACTIVE")]
    Inactive,
}
