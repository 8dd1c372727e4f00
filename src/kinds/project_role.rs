//! `ProjectRole`: a role of a project, by the management API, whose updates keep nothing that is
//! omitted. There is no read by id: one is found by a search for its key.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    project::{self, ProjectScope},
    wire::{self, Details},
};
use crate::{
    api::spec::{Adoption, Common},
    contract::{
        Access, Description, Entity, EntityDescription, EventFilter, EventPlace, EventSubject,
        IdSource, Inputs, Kind, Names, NaturalKey, Permissions, Place, RemoteEntity, Row,
        SpecError, Written,
    },
    zitadel::{Path, Result, page},
};

/// How others name roles.
pub(super) const BY_KEY: Names = Names { list: "roleKeys", kind: "ProjectRole" };

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProjectRole {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    adoption: Adoption,
    #[serde(flatten)]
    project: ProjectScope,
    #[serde(flatten)]
    state: ProjectRoleState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectRoleState {
    /// Key of the role, as tokens show it; unique in the project regardless of case. Omitted: the
    /// name of this object. Immutable: ZITADEL can't change it, and removing a role takes it out of
    /// all grants, for good.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Name that people see. Omitted: not managed, and of a new role its key.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// Group under which the console lists it; `""`: none. Omitted: not managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

impl Kind for ProjectRole {
    type State = ProjectRoleState;
    const DESCRIPTION: Description = Description {
        kind: "ProjectRole",
        plural: "projectroles",
        short: "zrole",
        about: "A role of a project, which grants give to users and organizations.",
        noun: "the role",
        references: &[project::PARENT],
        events: &[EventFilter {
            aggregate: "project",
            types: &["project.role.added", "project.role.changed", "project.role.removed"],
            creates: &["project.role.added"],
            removes: &[],
            place: EventPlace::BelowAggregate,
            subject: EventSubject::Payload("key"),
        }],
        permissions: &[Permissions::in_project(&[
            "project.read",
            "project.role.read",
            "project.role.write",
            "project.role.delete",
        ])],
        ..Description::EMPTY
    };

    fn desired(&self, name: &str, _: &Inputs) -> std::result::Result<ProjectRoleState, SpecError> {
        let key = self.state.key.clone().unwrap_or_else(|| name.into());
        Ok(ProjectRoleState { key: Some(key), ..self.state.clone() })
    }
}

/// A role in the management API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    key: String,
    #[serde(default)]
    details: Details,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    group: String,
}

impl Wire {
    /// A search through an organization that does not have the project finds nothing.
    fn at(self, place: &Place) -> RemoteEntity<ProjectRoleState> {
        let version = self.details.version();
        RemoteEntity { id: self.key.clone(), place: place.clone(), state: self.state(), version }
    }

    fn state(self) -> ProjectRoleState {
        ProjectRoleState {
            key: Some(self.key),
            display_name: Some(self.display_name),
            group: Some(self.group),
        }
    }
}

fn searched(access: &Access) -> Result<Path> {
    Path::new("/management/v1/projects/{}/roles/_search", &[access.parent()])
}

/// The body of a create and of an update, which resets what is omitted. A name is required.
fn body(key: &str, want: &ProjectRoleState) -> Value {
    let display_name = want.display_name.as_deref().filter(|name| !name.is_empty());
    json!({
        "roleKey": key,
        "displayName": display_name.unwrap_or(key),
        "group": want.group,
    })
}

impl Entity for ProjectRole {
    const ENTITY: EntityDescription = EntityDescription {
        id: IdSource::Key,
        natural_key: NaturalKey::Field("key"),
        starts_empty: true,
        ended_by: Some("project.role.removed"),
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<ProjectRoleState>>>> + Send + 'static {
        let (client, organization) = (&access.client, access.organization());
        let rows =
            searched(access).map(|path| page::rows::<Wire>(client, organization, path, json!({})));
        let place = access.place.clone();
        // A path that can't be made is the only row.
        let rows = futures::stream::iter([rows]).try_flatten();
        rows.map_ok(move |row| row.map(|wire| wire.at(&place)))
    }

    async fn read(access: &Access, key: &str) -> Result<Option<RemoteEntity<ProjectRoleState>>> {
        let query = json!({"key": key, "method": "TEXT_QUERY_METHOD_EQUALS"});
        let query = json!({"queries": [{"keyQuery": query}]});
        let (organization, path) = (access.organization(), searched(access)?);
        let found = page::one::<Wire>(&access.client, organization, &path, &query).await?;
        Ok(found.map(|wire| wire.at(&access.place)))
    }

    fn told(payload: Value) -> Option<ProjectRoleState> {
        serde_json::from_value(payload).ok().map(Wire::state)
    }

    async fn create(access: &Access, key: &str, want: &ProjectRoleState) -> Result<Written> {
        let path = Path::new("/management/v1/projects/{}/roles", &[access.parent()])?;
        let written = wire::write(access, Method::POST, &path, &body(key, want)).await?;
        Ok(Written { id: Some(key.to_owned()), ..written })
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<ProjectRoleState>,
        want: &ProjectRoleState,
    ) -> Result<Written> {
        let path = path(access, &have.id)?;
        wire::write(access, Method::PUT, &path, &body(&have.id, want)).await
    }

    async fn delete(access: &Access, key: &str) -> Result<()> {
        wire::delete(access, &path(access, key)?).await
    }
}

fn path(access: &Access, key: &str) -> Result<Path> {
    Path::new("/management/v1/projects/{}/roles/{}", &[access.parent(), key])
}
