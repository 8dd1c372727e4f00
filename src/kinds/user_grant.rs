//! `UserGrant`: roles of a project that a user has (in the console a role assignment, in the API v2
//! an authorization), by the management API, one list for each organization.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    grant::{Content, Grant},
    organization, project, project_grant, project_role,
    user::{self, UserScope},
    wire::{self, Activity, Details, found, lenient, some_default},
};
use crate::{
    api::spec::{Adoption, Common, ObjectReference, OrganizationScope},
    contract::{
        Access, Breadth, Consent, Description, Entity, EntityDescription, EventFilter, EventPlace,
        EventSubject, IdSource, Inputs, Kind, List, NaturalKey, Permissions, Place, Reference,
        RemoteEntity, Role, Row, SpecError, Written,
    },
    zitadel::{Path, Result, page},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserGrant {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    adoption: Adoption,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    user: UserScope,
    /// The Project object whose roles are given. One of another namespace must name `UserGrant` in
    /// the `kinds` of its `allowedNamespaces`. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_ref: Option<ObjectReference>,
    /// The id of a project that is not declared here. Needs the consent of the Instance's
    /// `instanceScope`. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    /// The `ProjectGrant` object by which the organization has the project. Omitted: none, since the
    /// project is the organization's own. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_grant_ref: Option<ObjectReference>,
    /// The id of a project grant that is not declared here. Needs the consent of the Instance's
    /// `instanceScope`. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    project_grant_id: Option<String>,
    /// Keys of the roles that the user has, exactly; each has to exist in the project, or in its
    /// grant. `[]`: none. Omitted: not managed.
    #[schemars(length(max = 100), inner(length(min = 1, max = 200)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    role_keys: Option<Vec<String>>,
    /// Whether the roles count. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
}

/// The fields that can be managed, and those that say which grant it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserGrantState {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_grant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_keys: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
}

const PROJECT: Reference =
    Reference { role: Role::Input, consent: Consent::Named, ..project::PARENT };
const PROJECT_GRANT: Reference =
    Reference { role: Role::Input, consent: Consent::Named, ..project_grant::PARENT };

impl Kind for UserGrant {
    type State = UserGrantState;
    const DESCRIPTION: Description = Description {
        kind: "UserGrant",
        plural: "usergrants",
        short: "zgrant",
        about: "Roles of a project that a user has (role assignment, authorization).",
        noun: "the user grant",
        references: &[
            organization::REQUIRED_PARENT,
            Reference { role: Role::Below, ..user::REFERENCE },
            PROJECT,
            PROJECT_GRANT,
        ],
        names: &[project_role::BY_KEY],
        events: &[EventFilter {
            aggregate: "usergrant",
            types: &[
                "user.grant.added",
                "user.grant.changed",
                "user.grant.cascade.changed",
                "user.grant.deactivated",
                "user.grant.reactivated",
                "user.grant.removed",
                "user.grant.cascade.removed",
            ],
            creates: &["user.grant.added"],
            removes: &[],
            place: EventPlace::Owner,
            subject: EventSubject::Aggregate,
        }],
        lists: &[List::set("roleKeys")],
        unchanged: &["COMMAND-Rs8fy"],
        permissions: &[Permissions::in_organization(&[
            "org.read",
            "user.grant.read",
            "user.grant.write",
            "user.grant.delete",
        ])],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, inputs: &Inputs) -> std::result::Result<UserGrantState, SpecError> {
        let id = |field: &str| inputs.id(field).map(ToOwned::to_owned);
        let refers = inputs.id("userRef").is_some();
        Ok(UserGrantState {
            user_id: id("userRef"),
            project_id: id("projectRef"),
            project_grant_id: refers.then(|| id("projectGrantRef").unwrap_or_default()),
            role_keys: self.role_keys.clone(),
            state: self.state,
        })
    }
}

/// A grant in the management API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: String,
    #[serde(default)]
    details: Details,
    user_id: String,
    project_id: String,
    #[serde(default)]
    project_grant_id: String,
    #[serde(default)]
    role_keys: Vec<String>,
    #[serde(default = "some_default", deserialize_with = "lenient")]
    state: Option<Activity>,
}

impl From<Wire> for RemoteEntity<UserGrantState> {
    fn from(w: Wire) -> Self {
        let version = w.details.version();
        Self {
            id: w.id,
            place: Place {
                organization: w.details.resource_owner,
                parents: vec![w.user_id.clone()],
            },
            state: UserGrantState {
                user_id: Some(w.user_id),
                project_id: Some(w.project_id),
                project_grant_id: Some(w.project_grant_id),
                role_keys: Some(w.role_keys),
                state: w.state,
            },
            version,
        }
    }
}

impl Entity for UserGrant {
    const ENTITY: EntityDescription = EntityDescription {
        id: IdSource::Server,
        natural_key: NaturalKey::References(&["userId", "projectId", "projectGrantId"]),
        defaults: &[("state", "Active")],
        // A role, or a project grant.
        missing: &["COMMAND-mm9F4", "COMMAND-4m9ff"],
        listed_by: Breadth::Organization,
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<UserGrantState>>>> + Send + 'static {
        let path = "/management/v1/users/grants/_search";
        page::rows::<Wire>(&access.client, access.organization(), path, json!({}))
            .map_ok(|row| row.map(RemoteEntity::from))
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<UserGrantState>>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Read {
            user_grant: Wire,
        }
        let path = GRANT.path(access, id)?;
        let answer: Result<Read> = access.client.get(access.organization(), &path).await;
        Ok(found(answer)?.map(|r| r.user_grant.into()))
    }

    async fn create(access: &Access, _: &str, want: &UserGrantState) -> Result<Written> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            user_grant_id: String,
            #[serde(default)]
            details: Details,
        }
        let path = Path::new("/management/v1/users/{}/grants", &[access.parent()])?;
        let body = json!({
            "projectId": want.project_id,
            "projectGrantId": want.project_grant_id,
            "roleKeys": want.role_keys,
        });
        let created: Created =
            access.client.write(Method::POST, access.organization(), &path, &body).await?;
        let (id, version) = (created.user_grant_id, created.details.version());
        let created = Written { version, ..Written::default() };
        let written = GRANT.begin(access, &id, want.state, created).await?;
        Ok(Written { id: Some(id), ..written })
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<UserGrantState>,
        want: &UserGrantState,
    ) -> Result<Written> {
        GRANT.update(access, &have.id, content(&have.state), content(want)).await
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        wire::delete(access, &GRANT.path(access, id)?).await
    }
}

const GRANT: Grant = Grant {
    path: "/management/v1/users/{}/grants/{}",
    activate: "/management/v1/users/{}/grants/{}/_reactivate",
    deactivate: "/management/v1/users/{}/grants/{}/_deactivate",
};

fn content(state: &UserGrantState) -> Content<'_> {
    Content { role_keys: state.role_keys.as_deref(), state: state.state }
}
