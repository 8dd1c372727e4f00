//! `PasswordAgePolicy`: how long passwords are used, by the admin API for the instance and the
//! management API for an organization. A write replaces all fields.

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
pub struct PasswordAgePolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    state: PasswordAgePolicyState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordAgePolicyState {
    /// After how many days a password has to be changed; 0: never. Omitted: not managed.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(
        default,
        deserialize_with = "count::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    max_age_days: Option<u64>,
    /// How many days before that users are warned; 0: they are not. Omitted: not managed.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(
        default,
        deserialize_with = "count::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    expire_warn_days: Option<u64>,
}

impl Kind for PasswordAgePolicy {
    type State = PasswordAgePolicyState;
    const DESCRIPTION: Description = Description {
        kind: "PasswordAgePolicy",
        plural: "passwordagepolicies",
        short: "zage",
        about: "How long passwords are used: the instance's rule, or with organizationRef or \
                organizationId that organization's own.",
        noun: "the password age policy",
        references: &[organization::PARENT],
        events: &[
            policy::of_instance(&[
                "instance.policy.password.age.added",
                "instance.policy.password.age.changed",
            ]),
            policy::of_organization(
                &[
                    "org.policy.password.age.added",
                    "org.policy.password.age.changed",
                    "org.policy.password.age.removed",
                ],
                &["org.policy.password.age.added"],
            ),
        ],
        unchanged: &["INSTANCE-180sf", "Org-dsgjR"],
        permissions: policy::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> Result<PasswordAgePolicyState, SpecError> {
        Ok(self.state.clone())
    }
}

impl Policy for PasswordAgePolicy {
    const PATHS: [&'static str; 2] =
        ["/admin/v1/policies/password/age", "/management/v1/policies/password/age"];

    fn zero() -> PasswordAgePolicyState {
        PasswordAgePolicyState { max_age_days: Some(0), expire_warn_days: Some(0) }
    }
}
