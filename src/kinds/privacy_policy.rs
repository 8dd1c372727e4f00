//! `PrivacyPolicy`: links to terms of service, privacy policy, help. The instance's
//! (`/admin/v1/policies/privacy`) or an organization's own (`/management/v1/policies/privacy`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::Endpoint;
use crate::{
    api::{
        crd::{Names, Rule},
        spec::{Common, OrganizationScope},
    },
    engine::kind::{At, Events, Kind, Remote, Scope, Setting, Written},
    zitadel::Result,
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PrivacyPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    state: PrivacyPolicyState,
}

/// The fields that can be managed. In links `{{.Lang}}` stands for the user's language.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrivacyPolicyState {
    /// Link to the terms of service; `""`: none. `{{.Lang}}` stands for the user's language. Left
    /// out: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_link: Option<String>,
    /// Link to the privacy policy; `""`: none. `{{.Lang}}` stands for the user's language. Left
    /// out: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy_link: Option<String>,
    /// Link to help; `""`: none. `{{.Lang}}` stands for the user's language. Left out: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    help_link: Option<String>,
    /// E-mail address of the support; `""`: none. Left out: not managed.
    #[schemars(length(max = 320))]
    #[serde(skip_serializing_if = "Option::is_none")]
    support_email: Option<String>,
    /// Link to the documentation that the console shows; `""`: none. Left out: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    docs_link: Option<String>,
    /// A link of your own that the console shows; `""`: none. Left out: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_link: Option<String>,
    /// The text of `customLink`; `""`: none. Left out: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_link_text: Option<String>,
}

impl PrivacyPolicyState {
    fn zero() -> Self {
        let none = || Some(String::new());
        Self {
            tos_link: none(),
            privacy_link: none(),
            help_link: none(),
            support_email: none(),
            docs_link: none(),
            custom_link: none(),
            custom_link_text: none(),
        }
    }
}

impl Kind for PrivacyPolicy {
    type State = PrivacyPolicyState;
    const NAMES: Names =
        Names { kind: "PrivacyPolicy", plural: "privacypolicies", short: &["zprivacy"] };
    const ABOUT: &'static str = "Links and addresses that users see at login: the instance's, or with organizationRef or organizationId that organization's own.";
    const SCOPE: Scope = Scope::Either;
    const EVENTS: &'static [Events] = &[
        Events { aggregate: "instance", prefix: "instance.policy.privacy." },
        Events { aggregate: "org", prefix: "org.policy.privacy." },
    ];
    const RULES: &'static [Rule] = &[Rule {
        rule: r"!has(self.supportEmail) || self.supportEmail == '' || self.supportEmail.matches('^[^@\\s<>]+@[^@\\s<>]+$')",
        message: "supportEmail must be an e-mail address such as help@example.com, or empty for none",
    }];
    const UNCHANGED: &'static [&'static str] = &["INSTANCE-9jJfs", "Org-4N9fs"];

    fn desired(&self, _: &str) -> PrivacyPolicyState {
        self.state.clone()
    }
}

impl Setting for PrivacyPolicy {
    const NOUN: &'static str = "the privacy policy";

    async fn read(at: &At) -> Result<Remote<PrivacyPolicyState>> {
        endpoint(at).read(&PrivacyPolicyState::zero()).await
    }

    async fn write(
        at: &At,
        have: &Remote<PrivacyPolicyState>,
        want: &PrivacyPolicyState,
    ) -> Result<Written> {
        endpoint(at).write(have.own, want).await
    }

    async fn reset(at: &At) -> Result<()> {
        endpoint(at).reset().await
    }
}

fn endpoint(at: &At) -> Endpoint<'_> {
    let path = if at.organization.is_some() {
        "/management/v1/policies/privacy"
    } else {
        "/admin/v1/policies/privacy"
    };
    Endpoint { at, organization: at.organization(), path: path.into() }
}
