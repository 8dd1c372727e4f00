//! `SecurityPolicy`: embedding in iframes, impersonation. Read at `GET /v2/settings/security`,
//! written at `PUT /v2/policies/security`, which resets whatever is left out.

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wire::Answer;
use crate::{
    api::{
        crd::{Names, Rule},
        spec::Common,
    },
    engine::kind::{At, Events, Kind, Remote, Scope, Setting, Written},
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
    /// Whether the login may be shown in an iframe, and where. Left out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    embedded_iframe: Option<EmbeddedIframe>,
    /// Whether users may be impersonated by token exchange. Who does it needs a role
    /// `*_IMPERSONATOR` as well. Left out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_impersonation: Option<bool>,
}

/// Embedding of the login in iframes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedIframe {
    /// Whether it is allowed. Left out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    /// Origins that may embed, such as `https://app.example.com`; their order means nothing. `[]`:
    /// none. Left out: not managed.
    #[schemars(length(max = 200), inner(length(min = 1, max = 500)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_origins: Option<Vec<String>>,
}

impl Kind for SecurityPolicy {
    type State = SecurityPolicyState;
    const NAMES: Names =
        Names { kind: "SecurityPolicy", plural: "securitypolicies", short: &["zsecurity"] };
    const ABOUT: &'static str =
        "Security settings of the instance: embedding of the login, impersonation.";
    const SCOPE: Scope = Scope::Instance;
    const EVENTS: &'static [Events] =
        &[Events { aggregate: "instance", prefix: "instance.policy.security." }];
    // Not a set of the schema: server-side apply would drop `[]`, which is a declaration.
    const RULES: &'static [Rule] = &[Rule {
        rule: "!has(self.embeddedIframe) || !has(self.embeddedIframe.allowedOrigins) || self.embeddedIframe.allowedOrigins.all(x, self.embeddedIframe.allowedOrigins.exists_one(y, x == y))",
        message: "embeddedIframe.allowedOrigins: name each origin once",
    }];
    const SETS: &'static [&'static str] = &["embeddedIframe.allowedOrigins"];
    const UNCHANGED: &'static [&'static str] = &["POLICY-EWsf3"];

    fn desired(&self, _: &str) -> SecurityPolicyState {
        self.state.clone()
    }
}

impl Setting for SecurityPolicy {
    const NOUN: &'static str = "the security policy";

    async fn read(at: &At) -> Result<Remote<SecurityPolicyState>> {
        #[derive(Deserialize)]
        struct Read {
            #[serde(default)]
            settings: SecurityPolicyState,
        }
        let Read { settings } = at.client.get(None, "/v2/settings/security").await?;
        let iframe = settings.embedded_iframe.unwrap_or_default();
        let state = SecurityPolicyState {
            embedded_iframe: Some(EmbeddedIframe {
                enabled: Some(iframe.enabled.unwrap_or_default()),
                allowed_origins: Some(iframe.allowed_origins.unwrap_or_default()),
            }),
            enable_impersonation: Some(settings.enable_impersonation.unwrap_or_default()),
        };
        // This answer carries neither an id nor a date.
        Ok(Remote { id: String::new(), organization: None, state, own: true, version: None })
    }

    async fn write(
        at: &At,
        _: &Remote<SecurityPolicyState>,
        want: &SecurityPolicyState,
    ) -> Result<Written> {
        let answer: Answer =
            at.client.write(Method::PUT, None, "/v2/policies/security", want).await?;
        Ok(answer.written())
    }
}
