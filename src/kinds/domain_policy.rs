//! `DomainPolicy`, formerly org IAM policy: the instance's (`/admin/v1/policies/domain`) or an
//! organization's own (`/admin/v1/orgs/{id}/policies/domain`); on servers that lack these, the
//! older `orgiam` form of both.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    organization,
    policy::{self, Endpoint},
};
use crate::{
    api::spec::{Common, OrganizationScope},
    contract::{
        Access, Description, Inputs, Kind, Permissions, RemoteSetting, Setting, SpecError, Written,
    },
    zitadel::{Capability, Path, Result},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DomainPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    state: DomainPolicyState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainPolicyState {
    /// Whether login names end with the organization's domain. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_login_must_be_domain: Option<bool>,
    /// Whether domains of organizations must be verified. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    validate_org_domains: Option<bool>,
    /// Whether the sender of e-mails must have a domain of the instance. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    smtp_sender_address_matches_instance_domain: Option<bool>,
}

impl Kind for DomainPolicy {
    type State = DomainPolicyState;
    const DESCRIPTION: Description = Description {
        kind: "DomainPolicy",
        plural: "domainpolicies",
        short: "zdomainpolicy",
        about: "How login names and domains belong together (formerly org IAM policy): the \
                instance's, or with organizationRef or organizationId that organization's own.",
        noun: "the domain policy",
        references: &[organization::PARENT],
        events: &[
            policy::of_instance(&[
                "instance.policy.domain.added",
                "instance.policy.domain.changed",
            ]),
            policy::of_organization(
                &[
                    "org.policy.domain.added",
                    "org.policy.domain.changed",
                    "org.policy.domain.removed",
                ],
                &["org.policy.domain.added"],
            ),
        ],
        unchanged: &["INSTANCE-pl9fN", "ORG-3M9ds"],
        permissions: &[
            Permissions::in_instance(&["iam.policy.read", "iam.policy.write"]),
            Permissions::in_organization(&[
                "org.read",
                "iam.policy.read",
                "iam.policy.write",
                "iam.policy.delete",
            ]),
        ],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<DomainPolicyState, SpecError> {
        Ok(self.state.clone())
    }
}

impl Setting for DomainPolicy {
    async fn read(access: &Access) -> Result<RemoteSetting<DomainPolicyState>> {
        let zero = DomainPolicyState {
            user_login_must_be_domain: Some(false),
            validate_org_domains: Some(false),
            smtp_sender_address_matches_instance_domain: Some(false),
        };
        let (current, older) = (current(access)?, older(access)?);
        let read = || current.read(&zero);
        access.client.with_fallback(CURRENT, read, || older.read(&zero)).await
    }

    async fn write(
        access: &Access,
        have: &RemoteSetting<DomainPolicyState>,
        want: &DomainPolicyState,
    ) -> Result<Written> {
        let (current, older) = (current(access)?, older(access)?);
        // The older form has this one field; it sets the two others to true.
        let one = json!({"userLoginMustBeDomain": want.user_login_must_be_domain});
        let write = || current.write(have.own, want);
        access.client.with_fallback(CURRENT, write, || older.write(have.own, &one)).await
    }

    async fn reset(access: &Access) -> Result<()> {
        let (current, older) = (current(access)?, older(access)?);
        access.client.with_fallback(CURRENT, || current.reset(), || older.reset()).await
    }
}

/// The current form of the policy's paths.
const CURRENT: Capability = Capability::new("DomainPolicy");

fn current(access: &Access) -> Result<Endpoint<'_>> {
    endpoint(access, "/admin/v1/policies/domain", "/admin/v1/orgs/{}/policies/domain")
}

/// On servers that lack the current form.
fn older(access: &Access) -> Result<Endpoint<'_>> {
    endpoint(access, "/admin/v1/policies/orgiam", "/admin/v1/orgs/{}/policies/orgiam")
}

fn endpoint<'a>(
    access: &'a Access,
    instance: &'static str,
    organization: &'static str,
) -> Result<Endpoint<'a>> {
    let path = match access.organization() {
        Some(id) => Path::new(organization, &[id])?,
        None => instance.into(),
    };
    Ok(Endpoint { access, organization: None, path })
}
