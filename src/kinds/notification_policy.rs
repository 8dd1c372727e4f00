//! `NotificationPolicy`: what users are told of by mail, by the admin API for the instance and the
//! management API for an organization. A write replaces all fields.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    organization,
    policy::{self, Policy},
};
use crate::{
    api::spec::{Common, OrganizationScope},
    contract::{Description, Inputs, Kind, SpecError},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NotificationPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    state: NotificationPolicyState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationPolicyState {
    /// Whether users are told that their password was changed. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_change: Option<bool>,
}

impl Kind for NotificationPolicy {
    type State = NotificationPolicyState;
    const DESCRIPTION: Description = Description {
        kind: "NotificationPolicy",
        plural: "notificationpolicies",
        short: "znotification",
        about: "What users are told of by mail: the instance's rule, or with organizationRef or \
                organizationId that organization's own.",
        noun: "the notification policy",
        references: &[organization::PARENT],
        events: &[
            policy::of_instance(&[
                "instance.policy.notification.added",
                "instance.policy.notification.changed",
            ]),
            policy::of_organization(
                &[
                    "org.policy.notification.added",
                    "org.policy.notification.changed",
                    "org.policy.notification.removed",
                ],
                &["org.policy.notification.added"],
            ),
        ],
        unchanged: &["INSTANCE-29x02n", "Org-ioqnxz"],
        permissions: policy::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> Result<NotificationPolicyState, SpecError> {
        Ok(self.state.clone())
    }
}

impl Policy for NotificationPolicy {
    const PATHS: [&'static str; 2] =
        ["/admin/v1/policies/notification", "/management/v1/policies/notification"];

    fn zero() -> NotificationPolicyState {
        NotificationPolicyState { password_change: Some(false) }
    }
}
