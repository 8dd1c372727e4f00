//! Which login an application sends its users to. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::contract::crd::Rule;

/// An address belongs to the second login.
pub(in crate::kinds) const RULE: Rule = Rule {
    rule: "!has(self.loginVersion) || !has(self.loginVersion.baseUri) || \
           self.loginVersion.baseUri == '' || \
           (has(self.loginVersion.version) && self.loginVersion.version == 'V2')",
    message: "loginVersion.baseUri goes with loginVersion.version: V2",
};

/// Which login an application sends its users to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::kinds) struct LoginVersion {
    /// Which login. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Login>,
    /// Address of a login of one's own, with `version: V2`; `""`: none. Omitted: not managed.
    #[schemars(length(max = 500), regex(pattern = r"^\S*$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    base_uri: Option<String>,
}

/// A login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(in crate::kinds) enum Login {
    /// That of the instance.
    Instance,
    /// The first one, a part of ZITADEL itself.
    V1,
    /// The second one.
    V2,
}

/// The same as ZITADEL tells it; nothing stands for the instance's.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kinds) struct Wire {
    login_v1: Option<Value>,
    login_v2: Option<Second>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Second {
    #[serde(default)]
    base_uri: String,
}

impl From<Wire> for LoginVersion {
    fn from(wire: Wire) -> Self {
        let (version, base_uri) = match (wire.login_v1, wire.login_v2) {
            (_, Some(second)) => (Login::V2, second.base_uri),
            (Some(_), None) => (Login::V1, String::new()),
            (None, None) => (Login::Instance, String::new()),
        };
        Self { version: Some(version), base_uri: Some(base_uri) }
    }
}

impl LoginVersion {
    /// As a request says it.
    pub(in crate::kinds) fn wire(&self) -> Value {
        match self.version {
            None | Some(Login::Instance) => Value::Null,
            Some(Login::V1) => json!({"loginV1": {}}),
            Some(Login::V2) => json!({"loginV2": {"baseUri": self.base_uri}}),
        }
    }
}
