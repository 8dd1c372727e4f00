//! `Administrator`: who may manage the instance, an organization, a project or a project grant (in
//! the console a manager, in the API v1 a member), by the admin API and the management API. There
//! is no read by id: one is found by a search for the user.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    organization, owner, project, project_grant,
    user::{self, UserScope},
    wire::{self, Details},
};
use crate::{
    api::spec::{Adoption, Common, ObjectReference, OrganizationScope},
    contract::{
        Access, Breadth, Consent, Description, Entity, EntityDescription, EventFilter, EventPlace,
        EventSubject, IdSource, Inputs, Kind, List, NaturalKey, Permissions, Place, Reference,
        RemoteEntity, Row, SpecError, Written,
    },
    zitadel::{Path, Result, page},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Administrator {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    adoption: Adoption,
    #[serde(flatten)]
    organization: OrganizationScope,
    /// The Project object that is managed. One of another namespace must name Administrator in the
    /// `kinds` of its `allowedNamespaces`. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_ref: Option<ObjectReference>,
    /// The id of a project that is not declared here. Needs the consent of the Instance's
    /// `instanceScope`. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    /// The `ProjectGrant` object that is managed. One of another namespace must name Administrator in
    /// the `kinds` of its `allowedNamespaces`. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_grant_ref: Option<ObjectReference>,
    #[serde(flatten)]
    user: UserScope,
    /// The roles, exactly: `IAM_…` for the instance, `ORG_…`, `PROJECT_…` or `PROJECT_GRANT_…` for
    /// what is referred to. Omitted: not managed, which only something that exists already can be.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 200)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
}

/// The fields that can be managed, and the one that says who it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdministratorState {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
}

const fn filter(
    aggregate: &'static str,
    types: &'static [&'static str],
    creates: &'static [&'static str],
    place: EventPlace,
) -> EventFilter {
    let subject = EventSubject::Payload("userId");
    EventFilter { aggregate, types, creates, removes: &[], place, subject }
}

impl Kind for Administrator {
    type State = AdministratorState;
    const DESCRIPTION: Description = Description {
        kind: "Administrator",
        plural: "administrators",
        short: "zadmin",
        about: "Who may manage the instance, an organization, a project or a project grant \
                (manager, member).",
        noun: "the administrator",
        references: &[
            Reference { consent: Consent::Named, ..organization::PARENT },
            Reference { consent: Consent::Named, required: false, ..project::PARENT },
            Reference { id_field: "", consent: Consent::Named, ..project_grant::PARENT },
            user::REFERENCE,
        ],
        events: &[
            filter(
                "instance",
                &[
                    "instance.member.added",
                    "instance.member.changed",
                    "instance.member.removed",
                    "instance.member.cascade.removed",
                ],
                &["instance.member.added"],
                EventPlace::Instance,
            ),
            filter(
                "org",
                &[
                    "org.member.added",
                    "org.member.changed",
                    "org.member.removed",
                    "org.member.cascade.removed",
                ],
                &["org.member.added"],
                EventPlace::Aggregate,
            ),
            filter(
                "project",
                &[
                    "project.member.added",
                    "project.member.changed",
                    "project.member.removed",
                    "project.member.cascade.removed",
                ],
                &["project.member.added"],
                EventPlace::BelowAggregate,
            ),
            filter(
                "project",
                &[
                    "project.grant.member.added",
                    "project.grant.member.changed",
                    "project.grant.member.removed",
                    "project.grant.member.cascade.removed",
                ],
                &["project.grant.member.added"],
                EventPlace::BelowPayload("grantId"),
            ),
        ],
        lists: &[List::set("roles")],
        permissions: &[
            Permissions::in_instance(&["iam.member.read", "iam.member.write", "iam.member.delete"]),
            Permissions::in_organization(&[
                "org.read",
                "org.member.read",
                "org.member.write",
                "org.member.delete",
            ]),
            Permissions::in_project(&[
                "project.read",
                "project.member.read",
                "project.member.write",
                "project.member.delete",
            ]),
            Permissions::between_organizations(&[
                "project.grant.read",
                "project.grant.member.read",
                "project.grant.member.write",
                "project.grant.member.delete",
            ]),
        ],
        ..Description::EMPTY
    };

    fn desired(
        &self,
        _: &str,
        inputs: &Inputs,
    ) -> std::result::Result<AdministratorState, SpecError> {
        let prefix = self.prefix();
        let is_of_level = |role: &String| {
            role.starts_with(prefix) && (prefix != PROJECT || !role.starts_with(PROJECT_GRANT))
        };
        if let Some(role) = self.roles.iter().flatten().find(|role| !is_of_level(role)) {
            let what =
                format!("{role} is no role of what is referred to: those begin with {prefix}");
            return Err(SpecError::new("roles", what));
        }
        Ok(AdministratorState {
            user_id: inputs.id("userRef").map(ToOwned::to_owned),
            roles: self.roles.clone(),
        })
    }

    async fn locks_out(
        access: &Access,
        id: Option<&str>,
        want: Option<&AdministratorState>,
    ) -> Result<Option<&'static str>> {
        let stays = want.and_then(|want| want.roles.as_deref()).is_some_and(owner::is_owner);
        match id {
            Some(user) if access.place == Place::instance() && !stays => {
                owner::needs(access, |member| member.id == user).await
            }
            _ => Ok(None),
        }
    }
}

const PROJECT: &str = "PROJECT_";
const PROJECT_GRANT: &str = "PROJECT_GRANT_";

impl Administrator {
    /// What the roles of its level begin with.
    fn prefix(&self) -> &'static str {
        let organization = &self.organization;
        if self.project_grant_ref.is_some() {
            PROJECT_GRANT
        } else if self.project_ref.is_some() || self.project_id.is_some() {
            PROJECT
        } else if organization.organization_ref.is_some() || organization.organization_id.is_some()
        {
            "ORG_"
        } else {
            "IAM_"
        }
    }
}

/// A member in the management API and in the admin API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "userId")]
    id: String,
    #[serde(default)]
    details: Details,
    #[serde(default)]
    roles: Vec<String>,
}

impl Wire {
    fn at(self, place: &Place) -> RemoteEntity<AdministratorState> {
        let version = self.details.version();
        RemoteEntity {
            id: self.id.clone(),
            place: place.clone(),
            state: AdministratorState { user_id: Some(self.id), roles: Some(self.roles) },
            version,
        }
    }
}

impl Entity for Administrator {
    const ENTITY: EntityDescription = EntityDescription {
        id: IdSource::Key,
        natural_key: NaturalKey::References(&["userId"]),
        listed_by: Breadth::Place,
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<AdministratorState>>>> + Send + 'static {
        let (client, organization) = (&access.client, access.organization());
        let rows =
            searched(access).map(|path| page::rows::<Wire>(client, organization, path, json!({})));
        let place = access.place.clone();
        // A path that can't be made is the only row.
        let rows = futures::stream::iter([rows]).try_flatten();
        rows.map_ok(move |row| row.map(|wire| wire.at(&place)))
    }

    async fn read(access: &Access, user: &str) -> Result<Option<RemoteEntity<AdministratorState>>> {
        let (organization, path) = (access.organization(), searched(access)?);
        let query = json!({"queries": [{"userIdQuery": {"userId": user}}]});
        let found = page::one::<Wire>(&access.client, organization, &path, &query).await?;
        Ok(found.map(|wire| wire.at(&access.place)))
    }

    async fn create(access: &Access, user: &str, want: &AdministratorState) -> Result<Written> {
        let body = json!({"userId": user, "roles": want.roles});
        let written = wire::write(access, Method::POST, &members(access)?, &body).await?;
        Ok(Written { id: Some(user.to_owned()), ..written })
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<AdministratorState>,
        want: &AdministratorState,
    ) -> Result<Written> {
        let body = json!({"roles": want.roles});
        wire::write(access, Method::PUT, &member(access, &have.id)?, &body).await
    }

    async fn delete(access: &Access, user: &str) -> Result<()> {
        wire::delete(access, &member(access, user)?).await
    }
}

fn searched(access: &Access) -> Result<Path> {
    at(
        access,
        [
            "/admin/v1/members/_search",
            "/management/v1/orgs/me/members/_search",
            "/management/v1/projects/{}/members/_search",
            "/management/v1/projects/{}/grants/{}/members/_search",
        ],
        None,
    )
}

fn members(access: &Access) -> Result<Path> {
    at(
        access,
        [
            "/admin/v1/members",
            "/management/v1/orgs/me/members",
            "/management/v1/projects/{}/members",
            "/management/v1/projects/{}/grants/{}/members",
        ],
        None,
    )
}

fn member(access: &Access, user: &str) -> Result<Path> {
    at(
        access,
        [
            "/admin/v1/members/{}",
            "/management/v1/orgs/me/members/{}",
            "/management/v1/projects/{}/members/{}",
            "/management/v1/projects/{}/grants/{}/members/{}",
        ],
        Some(user),
    )
}

/// The path for the level of a place: the instance, an organization, a project, a project grant.
fn at(access: &Access, templates: [&'static str; 4], user: Option<&str>) -> Result<Path> {
    let Place { organization, parents } = &access.place;
    let [instance, of_organization, project, project_grant] = templates;
    let template = match (organization, parents.len()) {
        (None, _) => instance,
        (Some(_), 0) => of_organization,
        (Some(_), 1) => project,
        (Some(_), _) => project_grant,
    };
    let segments: Vec<&str> = parents.iter().map(String::as_str).chain(user).collect();
    Path::new(template, &segments)
}
