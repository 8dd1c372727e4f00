//! `Organization`, by the organization service v2 (`/v2/organizations`), which lets the client
//! choose the id.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    owner,
    wire::{Activity, Answer, Dated, Details},
};
use crate::{
    api::spec::{AllowedNamespaces, Common, Identity},
    contract::{
        Access, Description, Entity, EntityDescription, EventFilter, EventPlace, EventSubject,
        Inputs, Kind, Permissions, Place, Reference, RemoteEntity, Row, SpecError, Written,
    },
    zitadel::{Capability, Path, Result, page},
};

/// The reference of what is in an organization, or in the instance itself where it is omitted.
pub(super) const PARENT: Reference = Reference {
    field: "organizationRef",
    id_field: "organizationId",
    kinds: &["Organization"],
    ..Reference::PARENT
};

/// The reference of what is always in an organization.
pub(super) const REQUIRED_PARENT: Reference = Reference { required: true, ..PARENT };

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    /// Namespaces whose objects may refer to this organization. Omitted: only its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_namespaces: Option<AllowedNamespaces>,
    #[serde(flatten)]
    state: OrganizationState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationState {
    /// Name, unique in the instance regardless of case. Omitted: the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whether the organization can be used. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
}

impl Kind for Organization {
    type State = OrganizationState;
    const DESCRIPTION: Description = Description {
        kind: "Organization",
        plural: "organizations",
        short: "zorg",
        about: "An organization: the home of projects, users and policies.",
        noun: "the organization",
        events: &[EventFilter {
            aggregate: "org",
            types: &[
                "org.added",
                "org.changed",
                "org.deactivated",
                "org.reactivated",
                "org.removed",
            ],
            creates: &["org.added"],
            removes: &["org.removed"],
            place: EventPlace::Instance,
            subject: EventSubject::Aggregate,
        }],
        unchanged: &["ORG-4VSdf"],
        permissions: &[Permissions::in_instance(&[
            "org.read",
            "org.create",
            "org.write",
            "org.delete",
        ])],
        ..Description::EMPTY
    };

    fn desired(&self, name: &str, _: &Inputs) -> std::result::Result<OrganizationState, SpecError> {
        let name = self.state.name.clone().unwrap_or_else(|| name.into());
        Ok(OrganizationState { name: Some(name), ..self.state.clone() })
    }

    async fn locks_out(
        access: &Access,
        id: Option<&str>,
        want: Option<&OrganizationState>,
    ) -> Result<Option<&'static str>> {
        let ends = want.is_none_or(|want| want.state == Some(Activity::Inactive));
        match id {
            Some(id) if ends && id == access.account.organization => {
                Ok(Some("the account that Kastellan itself acts as is in it"))
            }
            Some(id) if ends => owner::needs(access, |member| member.organization == id).await,
            _ => Ok(None),
        }
    }
}

/// An organization in the organization service v2.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: String,
    #[serde(default)]
    details: Details,
    name: String,
    #[serde(default)]
    state: Activity,
}

impl From<Wire> for RemoteEntity<OrganizationState> {
    fn from(w: Wire) -> Self {
        let version = w.details.version();
        let state = OrganizationState { name: Some(w.name), state: Some(w.state) };
        Self { id: w.id, place: Place::instance(), state, version }
    }
}

const SEARCH: &str = "/v2/organizations/_search";

impl Entity for Organization {
    const ENTITY: EntityDescription = EntityDescription {
        retain_by_default: true,
        defaults: &[("state", "Active")],
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<OrganizationState>>>> + Send + 'static {
        page::rows::<Wire>(&access.client, None, SEARCH, json!({}))
            .map_ok(|row| row.map(RemoteEntity::from))
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<OrganizationState>>> {
        let query = json!({"queries": [{"idQuery": {"id": id}}]});
        let found = page::search::<Wire>(&access.client, None, SEARCH, query);
        std::pin::pin!(found.map_ok(RemoteEntity::from)).try_next().await
    }

    async fn create(access: &Access, id: &str, want: &OrganizationState) -> Result<Written> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            organization_id: String,
            #[serde(default)]
            details: Details,
        }
        // Servers from 4.0 to 4.6 call the field `orgId`; unknown fields are ignored.
        let body = json!({"name": want.name, "organizationId": id, "orgId": id});
        let created: Created =
            access.client.write(Method::POST, None, "/v2/organizations", &body).await?;
        let (id, version) = (Some(created.organization_id), created.details.version());
        let written = Written { id, version, ..Written::default() };
        match (want.state, &written.id) {
            (Some(Activity::Inactive), Some(id)) => {
                Ok(set_state(access, id, Activity::Inactive).await?.after(written))
            }
            _ => Ok(written),
        }
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<OrganizationState>,
        want: &OrganizationState,
    ) -> Result<Written> {
        let mut written = Written::default();
        if have.state.name != want.name {
            written = rename(access, &have.id, want).await?;
        }
        match want.state {
            Some(state) if have.state.state != want.state => {
                Ok(set_state(access, &have.id, state).await?.after(written))
            }
            _ => Ok(written),
        }
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        let path = Path::new("/v2/organizations/{}", &[id])?;
        access.client.write::<Value>(Method::DELETE, None, &path, &()).await.map(drop)
    }
}

/// `POST /v2/organizations/{id}`, since 4.7.0.
const RENAME: Capability = Capability::new("UpdateOrganization");

async fn rename(access: &Access, id: &str, want: &OrganizationState) -> Result<Written> {
    let body = json!({"name": want.name});
    let path = Path::new("/v2/organizations/{}", &[id])?;
    let by_v2 = async || {
        let answer: Dated = access.client.write(Method::POST, None, &path, &body).await?;
        Ok(answer.written(None, id))
    };
    let by_v1 = async || {
        let path = "/management/v1/orgs/me";
        let answer: Answer = access.client.write(Method::PUT, Some(id), path, &body).await?;
        Ok(answer.written())
    };
    access.client.with_fallback(RENAME, by_v2, by_v1).await
}

async fn set_state(access: &Access, id: &str, state: Activity) -> Result<Written> {
    let path = match state {
        Activity::Active => "/v2/organizations/{}/activate",
        Activity::Inactive => "/v2/organizations/{}/deactivate",
    };
    let path = Path::new(path, &[id])?;
    let answer: Dated = access.client.write(Method::POST, None, &path, &json!({})).await?;
    Ok(answer.written(None, id))
}
