//! `SecurityPolicy`: embedding in iframes, impersonation. Read at `GET /v2/settings/security`,
//! written at `PUT /v2/policies/security`, which resets whatever is omitted.

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{policy, wire::Answer};
use crate::{
    api::spec::Common,
    contract::{
        Access, Description, Inputs, Kind, List, Permissions, RemoteSetting, Setting, SpecError,
        Written,
    },
    zitadel::Result,
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SecurityPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    state: SecurityPolicyState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurityPolicyState {
    /// Whether the login may be shown in an iframe, and where. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    embedded_iframe: Option<EmbeddedIframe>,
    /// Whether users may be impersonated by token exchange. Who does it needs a role
    /// `*_IMPERSONATOR` as well. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_impersonation: Option<bool>,
}

/// Embedding of the login in iframes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedIframe {
    /// Whether it is allowed. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    /// Origins that may embed, such as `https://app.example.com`; their order means nothing. `[]`:
    /// none. Omitted: not managed.
    #[schemars(length(max = 200), inner(length(min = 1, max = 500)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_origins: Option<Vec<String>>,
}

impl Kind for SecurityPolicy {
    type State = SecurityPolicyState;
    const DESCRIPTION: Description = Description {
        kind: "SecurityPolicy",
        plural: "securitypolicies",
        short: "zsecurity",
        about: "Security settings of the instance: embedding of the login, impersonation.",
        noun: "the security policy",
        events: &[policy::of_instance(&["instance.policy.security.set"])],
        lists: &[List::set("embeddedIframe.allowedOrigins")],
        unchanged: &["POLICY-EWsf3"],
        permissions: &[Permissions::in_instance(&["iam.policy.read", "iam.policy.write"])],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<SecurityPolicyState, SpecError> {
        Ok(self.state.clone())
    }
}

impl Setting for SecurityPolicy {
    async fn read(access: &Access) -> Result<RemoteSetting<SecurityPolicyState>> {
        #[derive(Deserialize)]
        struct Read {
            #[serde(default)]
            settings: SecurityPolicyState,
        }
        let Read { settings } = access.client.get(None, "/v2/settings/security").await?;
        let iframe = settings.embedded_iframe.unwrap_or_default();
        let state = SecurityPolicyState {
            embedded_iframe: Some(EmbeddedIframe {
                enabled: Some(iframe.enabled.unwrap_or_default()),
                allowed_origins: Some(iframe.allowed_origins.unwrap_or_default()),
            }),
            enable_impersonation: Some(settings.enable_impersonation.unwrap_or_default()),
        };
        // This answer carries neither an id nor a date.
        Ok(RemoteSetting { state, own: true, version: None })
    }

    async fn write(
        access: &Access,
        _: &RemoteSetting<SecurityPolicyState>,
        want: &SecurityPolicyState,
    ) -> Result<Written> {
        let answer: Answer =
            access.client.write(Method::PUT, None, "/v2/policies/security", want).await?;
        Ok(answer.written())
    }
}
