//! `PasswordComplexityPolicy`: what passwords have to contain, by the admin API for the instance and
//! the management API for an organization. A write replaces all fields, and needs the length.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    organization,
    policy::{self, Policy},
    wire::count,
};
use crate::{
    api::spec::{Common, OrganizationScope},
    contract::{Description, Inputs, Kind, SpecError},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PasswordComplexityPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    state: PasswordComplexityPolicyState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordComplexityPolicyState {
    /// How many characters a password has at least; ZITADEL counts bytes, and takes no more than 72.
    /// Omitted: not managed.
    #[schemars(range(min = 1, max = 72))]
    #[serde(
        default,
        deserialize_with = "count::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    min_length: Option<u64>,
    /// Whether it needs an upper-case letter. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_uppercase: Option<bool>,
    /// Whether it needs a lower-case letter. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_lowercase: Option<bool>,
    /// Whether it needs a digit. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_number: Option<bool>,
    /// Whether it needs a symbol. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_symbol: Option<bool>,
}

impl Kind for PasswordComplexityPolicy {
    type State = PasswordComplexityPolicyState;
    const DESCRIPTION: Description = Description {
        kind: "PasswordComplexityPolicy",
        plural: "passwordcomplexitypolicies",
        short: "zcomplexity",
        about: "What passwords have to contain: the instance's rule, or with organizationRef or \
                organizationId that organization's own. It holds for passwords that are set from \
                then on.",
        noun: "the password complexity policy",
        references: &[organization::PARENT],
        events: &[
            policy::of_instance(&[
                "instance.policy.password.complexity.added",
                "instance.policy.password.complexity.changed",
            ]),
            policy::of_organization(
                &[
                    "org.policy.password.complexity.added",
                    "org.policy.password.complexity.changed",
                    "org.policy.password.complexity.removed",
                ],
                &["org.policy.password.complexity.added"],
            ),
        ],
        unchanged: &["INSTANCE-9jlsf", "Org-DAs21"],
        permissions: policy::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> Result<PasswordComplexityPolicyState, SpecError> {
        Ok(self.state.clone())
    }
}

impl Policy for PasswordComplexityPolicy {
    const PATHS: [&'static str; 2] =
        ["/admin/v1/policies/password/complexity", "/management/v1/policies/password/complexity"];

    fn zero() -> PasswordComplexityPolicyState {
        let no = Some(false);
        PasswordComplexityPolicyState {
            min_length: Some(0),
            has_uppercase: no,
            has_lowercase: no,
            has_number: no,
            has_symbol: no,
        }
    }
}
