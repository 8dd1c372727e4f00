//! `DomainPolicy`, formerly org IAM policy: the instance's (`/admin/v1/policies/domain`) or an
//! organization's own (`/admin/v1/orgs/{id}/policies/domain`); on servers that lack these, the
//! older `orgiam` form of both.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::policy::Endpoint;
use crate::{
    api::{
        crd::Names,
        spec::{Common, OrganizationScope},
    },
    engine::kind::{At, Events, Kind, Remote, Scope, Setting, Written},
    zitadel::Result,
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
    /// Whether login names end with the organization's domain. Left out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_login_must_be_domain: Option<bool>,
    /// Whether domains of organizations must be verified. Left out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    validate_org_domains: Option<bool>,
    /// Whether the sender of e-mails must have a domain of the instance. Left out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    smtp_sender_address_matches_instance_domain: Option<bool>,
}

impl Kind for DomainPolicy {
    type State = DomainPolicyState;
    const NAMES: Names =
        Names { kind: "DomainPolicy", plural: "domainpolicies", short: &["zdomainpolicy"] };
    const ABOUT: &'static str = "How login names and domains belong together (formerly org IAM policy): the instance's, or with organizationRef or organizationId that organization's own.";
    const SCOPE: Scope = Scope::Either;
    const EVENTS: &'static [Events] = &[
        Events { aggregate: "instance", prefix: "instance.policy.domain." },
        Events { aggregate: "org", prefix: "org.policy.domain." },
    ];
    const UNCHANGED: &'static [&'static str] = &["INSTANCE-pl9fN", "ORG-3M9ds"];

    fn desired(&self, _: &str) -> DomainPolicyState {
        self.state.clone()
    }
}

impl Setting for DomainPolicy {
    const NOUN: &'static str = "the domain policy";

    async fn read(at: &At) -> Result<Remote<DomainPolicyState>> {
        let zero = DomainPolicyState {
            user_login_must_be_domain: Some(false),
            validate_org_domains: Some(false),
            smtp_sender_address_matches_instance_domain: Some(false),
        };
        match endpoint(at, "domain").read(&zero).await {
            Err(e) if e.is_missing_endpoint() => endpoint(at, "orgiam").read(&zero).await,
            other => other,
        }
    }

    async fn write(
        at: &At,
        have: &Remote<DomainPolicyState>,
        want: &DomainPolicyState,
    ) -> Result<Written> {
        match endpoint(at, "domain").write(have.own, want).await {
            // The older form has this one field; it sets the two others to true.
            Err(e) if e.is_missing_endpoint() => {
                endpoint(at, "orgiam")
                    .write(
                        have.own,
                        &json!({"userLoginMustBeDomain": want.user_login_must_be_domain}),
                    )
                    .await
            }
            other => other,
        }
    }

    async fn reset(at: &At) -> Result<()> {
        match endpoint(at, "domain").reset().await {
            Err(e) if e.is_missing_endpoint() => endpoint(at, "orgiam").reset().await,
            other => other,
        }
    }
}

fn endpoint<'a>(at: &'a At, form: &str) -> Endpoint<'a> {
    let path = match at.organization() {
        Some(id) => format!("/admin/v1/orgs/{id}/policies/{form}"),
        None => format!("/admin/v1/policies/{form}"),
    };
    Endpoint { at, organization: None, path }
}
