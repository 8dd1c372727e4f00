//! `LockoutPolicy`: after how many wrong attempts a user is locked, by the admin API for the
//! instance and the management API for an organization. A write replaces all fields.

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
pub struct LockoutPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    state: LockoutPolicyState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockoutPolicyState {
    /// How many wrong passwords in a row lock a user; 0: none do. A user is locked until somebody
    /// unlocks it. Omitted: not managed.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(
        default,
        deserialize_with = "count::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    max_password_attempts: Option<u64>,
    /// How many wrong one-time passwords in a row lock a user; 0: none do. Omitted: not managed.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(
        default,
        deserialize_with = "count::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    max_otp_attempts: Option<u64>,
}

impl Kind for LockoutPolicy {
    type State = LockoutPolicyState;
    const DESCRIPTION: Description = Description {
        kind: "LockoutPolicy",
        plural: "lockoutpolicies",
        short: "zlockout",
        about: "After how many wrong attempts a user is locked: the instance's rule, or with organizationRef or \
                organizationId that organization's own.",
        noun: "the lockout policy",
        references: &[organization::PARENT],
        events: &[
            policy::of_instance(&[
                "instance.policy.lockout.added",
                "instance.policy.lockout.changed",
            ]),
            policy::of_organization(
                &[
                    "org.policy.lockout.added",
                    "org.policy.lockout.changed",
                    "org.policy.lockout.removed",
                ],
                &["org.policy.lockout.added"],
            ),
        ],
        unchanged: &["INSTANCE-0psjF", "ORG-0JFSr"],
        permissions: policy::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> Result<LockoutPolicyState, SpecError> {
        Ok(self.state.clone())
    }
}

impl Policy for LockoutPolicy {
    const PATHS: [&'static str; 2] =
        ["/admin/v1/policies/lockout", "/management/v1/policies/lockout"];
    const WRITTEN_AT: &'static str = "/admin/v1/policies/password/lockout";

    fn zero() -> LockoutPolicyState {
        LockoutPolicyState { max_password_attempts: Some(0), max_otp_attempts: Some(0) }
    }
}
