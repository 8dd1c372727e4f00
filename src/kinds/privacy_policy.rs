//! `PrivacyPolicy`: links to terms of service, privacy policy, help. The instance's
//! (`/admin/v1/policies/privacy`) or an organization's own (`/management/v1/policies/privacy`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    organization,
    policy::{self, Policy},
};
use crate::{
    api::spec::{Common, OrganizationScope},
    contract::{Description, Inputs, Kind, SpecError, crd::Rule},
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
    /// Link to the terms of service; `""`: none. `{{.Lang}}` stands for the user's language. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_link: Option<String>,
    /// Link to the privacy policy; `""`: none. `{{.Lang}}` stands for the user's language. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy_link: Option<String>,
    /// Link to help; `""`: none. `{{.Lang}}` stands for the user's language. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    help_link: Option<String>,
    /// E-mail address of the support; `""`: none. Omitted: not managed.
    #[schemars(length(max = 320))]
    #[serde(skip_serializing_if = "Option::is_none")]
    support_email: Option<String>,
    /// Link to the documentation that the console shows; `""`: none. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    docs_link: Option<String>,
    /// A link of your own that the console shows; `""`: none. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_link: Option<String>,
    /// The text of `customLink`; `""`: none. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_link_text: Option<String>,
}

impl Kind for PrivacyPolicy {
    type State = PrivacyPolicyState;
    const DESCRIPTION: Description = Description {
        kind: "PrivacyPolicy",
        plural: "privacypolicies",
        short: "zprivacy",
        about: "Links and addresses that users see at login: the instance's, or with \
                organizationRef or organizationId that organization's own.",
        noun: "the privacy policy",
        references: &[organization::PARENT],
        events: &[
            policy::of_instance(&[
                "instance.policy.privacy.added",
                "instance.policy.privacy.changed",
            ]),
            policy::of_organization(
                &[
                    "org.policy.privacy.added",
                    "org.policy.privacy.changed",
                    "org.policy.privacy.removed",
                ],
                &["org.policy.privacy.added"],
            ),
        ],
        rules: &[Rule {
            rule: r"!has(self.supportEmail) || self.supportEmail == '' || self.supportEmail.matches('^[^@\\s<>]+@[^@\\s<>]+$')",
            message: "supportEmail must be an e-mail address such as help@example.com, or empty \
                      for none",
        }],
        unchanged: &["INSTANCE-9jJfs", "Org-4N9fs"],
        permissions: policy::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> Result<PrivacyPolicyState, SpecError> {
        Ok(self.state.clone())
    }
}

impl Policy for PrivacyPolicy {
    const PATHS: [&'static str; 2] =
        ["/admin/v1/policies/privacy", "/management/v1/policies/privacy"];

    fn zero() -> PrivacyPolicyState {
        let none = || Some(String::new());
        PrivacyPolicyState {
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
