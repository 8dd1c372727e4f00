//! What the status of an `Instance` says besides: what was found at the other end. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::Status;

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
    /// The Lease whose holder serves it, as `namespace/name`: another operator begins only when
    /// this one has let go, or has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
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
