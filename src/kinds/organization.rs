//! `Organization`, by the organization service v2 (`/v2/organizations`), which lets the client
//! choose the id.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{Activity, Answer, Dated, Details, is_gone};
use crate::{
    api::{
        crd::Names,
        spec::{Common, Identity, Namespaces},
    },
    engine::kind::{At, Entity, Events, Kind, Remote, Scope, Written},
    zitadel::{Result, page},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    /// Namespaces whose objects may refer to this organization. Left out: only its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_namespaces: Option<Namespaces>,
    #[serde(flatten)]
    state: OrganizationState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationState {
    /// Name, unique in the instance. Left out: the name of this object.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whether its users can log in. Left out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
}

impl Kind for Organization {
    type State = OrganizationState;
    const NAMES: Names = Names { kind: "Organization", plural: "organizations", short: &["zorg"] };
    const ABOUT: &'static str =
        "An organization: the home of projects, users and policies of its own.";
    const SCOPE: Scope = Scope::Instance;
    const EVENTS: &'static [Events] = &[
        Events { aggregate: "org", prefix: "org.added" },
        Events { aggregate: "org", prefix: "org.changed" },
        Events { aggregate: "org", prefix: "org.deactivated" },
        Events { aggregate: "org", prefix: "org.reactivated" },
        Events { aggregate: "org", prefix: "org.removed" },
    ];
    const UNCHANGED: &'static [&'static str] = &["ORG-4VSdf"];

    fn desired(&self, name: &str) -> OrganizationState {
        OrganizationState {
            name: Some(self.state.name.clone().unwrap_or_else(|| name.into())),
            ..self.state.clone()
        }
    }
}

/// An organization in the service v2.
#[derive(Debug, Deserialize)]
struct Wire {
    id: String,
    #[serde(default)]
    details: Details,
    name: String,
    #[serde(default)]
    state: Activity,
}

impl From<Wire> for Remote<OrganizationState> {
    fn from(w: Wire) -> Self {
        let version = w.details.version();
        Self {
            id: w.id,
            organization: None,
            state: OrganizationState { name: Some(w.name), state: Some(w.state) },
            own: true,
            version,
        }
    }
}

const SEARCH: &str = "/v2/organizations/_search";

impl Entity for Organization {
    const NOUN: &'static str = "the organization";
    const PRECIOUS: bool = true;
    const DEFAULTS: &'static [(&'static str, &'static str)] = &[("state", "Active")];

    fn list(at: &At) -> impl Stream<Item = Result<Remote<OrganizationState>>> + Send + 'static {
        page::search::<Wire>(&at.client, None, SEARCH, json!({})).map_ok(Into::into)
    }

    async fn read(at: &At, id: &str) -> Result<Option<Remote<OrganizationState>>> {
        let found = page::search::<Wire>(
            &at.client,
            None,
            SEARCH,
            json!({"queries": [{"idQuery": {"id": id}}]}),
        )
        .map_ok(Into::into);
        std::pin::pin!(found).try_next().await
    }

    async fn create(at: &At, id: &str, want: &OrganizationState) -> Result<Written> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            organization_id: String,
            #[serde(default)]
            details: Details,
        }
        let created: Created = at
            .client
            .write(
                Method::POST,
                None,
                "/v2/organizations",
                &json!({"name": want.name, "organizationId": id}),
            )
            .await?;
        let written =
            Written { version: created.details.version(), id: Some(created.organization_id) };
        match (want.state, &written.id) {
            (Some(Activity::Inactive), Some(id)) => Ok(Written {
                version: set_state(at, id, Activity::Inactive).await?.version,
                ..written
            }),
            _ => Ok(written),
        }
    }

    async fn update(
        at: &At,
        have: &Remote<OrganizationState>,
        want: &OrganizationState,
    ) -> Result<Written> {
        let mut written = Written::default();
        if have.state.name != want.name {
            let body = json!({"name": want.name});
            written = match at
                .client
                .write::<Dated>(
                    Method::POST,
                    None,
                    &format!("/v2/organizations/{}", have.id),
                    &body,
                )
                .await
            {
                Err(e) if e.is_missing_endpoint() => at
                    .client
                    .write::<Answer>(Method::PUT, Some(&have.id), "/management/v1/orgs/me", &body)
                    .await?
                    .written(),
                answer => answer?.written(None, &have.id),
            };
        }
        match want.state {
            Some(state) if have.state.state != want.state => set_state(at, &have.id, state).await,
            _ => Ok(written),
        }
    }

    async fn delete(at: &At, id: &str) -> Result<()> {
        match at
            .client
            .write::<Value>(Method::DELETE, None, &format!("/v2/organizations/{id}"), &())
            .await
        {
            Err(e) if !is_gone(&e) => Err(e),
            _ => Ok(()),
        }
    }
}

async fn set_state(at: &At, id: &str, state: Activity) -> Result<Written> {
    let verb = match state {
        Activity::Active => "activate",
        Activity::Inactive => "deactivate",
    };
    let answer: Dated = at
        .client
        .write(Method::POST, None, &format!("/v2/organizations/{id}/{verb}"), &json!({}))
        .await?;
    Ok(answer.written(None, id))
}
