//! `Project`. Created by the project service v2 (since 4.6.0), which lets the client choose the id;
//! listed, read, changed and deleted by the management API, whose lists are 35 times faster. On a
//! server without that service: created by the management API too.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    organization,
    wire::{self, Activity, Details, found, lenient, some_default},
};
use crate::{
    api::spec::{AllowedNamespaces, Common, Identity, ObjectReference, OrganizationScope},
    contract::{
        Access, Description, Entity, EntityDescription, EventFilter, EventPlace, EventSubject,
        Inputs, Kind, Permissions, Place, Reference, RemoteEntity, Row, SpecError, Version,
        Written,
    },
    zitadel::{Capability, Path, Result, page},
};

/// The reference of what is in a project.
pub(super) const PARENT: Reference = Reference {
    field: "projectRef",
    id_field: "projectId",
    kinds: &["Project"],
    required: true,
    ..Reference::PARENT
};

/// The project that something belongs to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectScope {
    /// A Project object. One of another namespace must allow it by its `allowedNamespaces`.
    /// Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_ref: Option<ObjectReference>,
    /// The id of a project that is not declared here. Needs the consent of the Instance's
    /// `instanceScope`. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
}

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    organization: OrganizationScope,
    /// Namespaces whose objects may refer to this project. Omitted: only its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_namespaces: Option<AllowedNamespaces>,
    #[serde(flatten)]
    state: ProjectState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectState {
    /// Name, unique in the organization regardless of case. Omitted: the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whether tokens and userinfo hold the user's roles of this project. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_role_assertion: Option<bool>,
    /// Whether only users with a role of this project may log in to its applications. Omitted: not
    /// managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_role_check: Option<bool>,
    /// Whether only users whose organization has the project, or a grant of it, may log in.
    /// Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_project_check: Option<bool>,
    /// Whose branding the login shows. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    private_labeling_setting: Option<PrivateLabelingSetting>,
    /// Whether the project can be used. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
}

/// Whose branding the login shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PrivateLabelingSetting {
    /// The instance's, until the user is known.
    #[default]
    #[serde(alias = "PRIVATE_LABELING_SETTING_UNSPECIFIED")]
    Unspecified,
    /// That of the project's organization.
    #[serde(alias = "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY")]
    EnforceProjectResourceOwnerPolicy,
    /// That of the user's organization.
    #[serde(alias = "PRIVATE_LABELING_SETTING_ALLOW_LOGIN_USER_RESOURCE_OWNER_POLICY")]
    AllowLoginUserResourceOwnerPolicy,
}

impl PrivateLabelingSetting {
    fn wire(self) -> &'static str {
        match self {
            Self::Unspecified => "PRIVATE_LABELING_SETTING_UNSPECIFIED",
            Self::EnforceProjectResourceOwnerPolicy => {
                "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY"
            }
            Self::AllowLoginUserResourceOwnerPolicy => {
                "PRIVATE_LABELING_SETTING_ALLOW_LOGIN_USER_RESOURCE_OWNER_POLICY"
            }
        }
    }
}

impl Kind for Project {
    type State = ProjectState;
    const DESCRIPTION: Description = Description {
        kind: "Project",
        plural: "projects",
        short: "zproject",
        about: "A project of an organization: the home of applications, roles and grants.",
        noun: "the project",
        references: &[organization::REQUIRED_PARENT],
        events: &[EventFilter {
            aggregate: "project",
            types: &[
                "project.added",
                "project.changed",
                "project.deactivated",
                "project.reactivated",
                "project.removed",
            ],
            creates: &["project.added"],
            removes: &["project.removed"],
            place: EventPlace::Owner,
            subject: EventSubject::Aggregate,
        }],
        permissions: &[Permissions::in_organization(&[
            "org.read",
            "project.read",
            "project.create",
            "project.write",
            "project.delete",
        ])],
        ..Description::EMPTY
    };

    fn desired(&self, name: &str, _: &Inputs) -> std::result::Result<ProjectState, SpecError> {
        let name = self.state.name.clone().unwrap_or_else(|| name.into());
        Ok(ProjectState { name: Some(name), ..self.state.clone() })
    }
}

/// A project in the management API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: String,
    #[serde(default)]
    details: Details,
    name: String,
    #[serde(default = "some_default", deserialize_with = "lenient")]
    state: Option<Activity>,
    #[serde(default)]
    project_role_assertion: bool,
    #[serde(default)]
    project_role_check: bool,
    #[serde(default)]
    has_project_check: bool,
    #[serde(default = "some_default", deserialize_with = "lenient")]
    private_labeling_setting: Option<PrivateLabelingSetting>,
}

impl From<Wire> for RemoteEntity<ProjectState> {
    fn from(w: Wire) -> Self {
        let version = w.details.version();
        Self {
            id: w.id,
            place: Place { organization: w.details.resource_owner, parents: Vec::new() },
            state: ProjectState {
                name: Some(w.name),
                project_role_assertion: Some(w.project_role_assertion),
                project_role_check: Some(w.project_role_check),
                has_project_check: Some(w.has_project_check),
                private_labeling_setting: w.private_labeling_setting,
                state: w.state,
            },
            version,
        }
    }
}

/// The project service v2, since 4.6.0.
const CREATE: Capability = Capability::new("CreateProject");
const PATH: &str = "/management/v1/projects/{}";

impl Entity for Project {
    const ENTITY: EntityDescription = EntityDescription {
        defaults: &[("privateLabelingSetting", "Unspecified"), ("state", "Active")],
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<ProjectState>>>> + Send + 'static {
        let path = "/management/v1/projects/_search";
        page::rows::<Wire>(&access.client, access.organization(), path, json!({}))
            .map_ok(|row| row.map(RemoteEntity::from))
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<ProjectState>>> {
        #[derive(Deserialize)]
        struct Read {
            project: Wire,
        }
        let path = Path::new(PATH, &[id])?;
        let answer: Result<Read> = access.client.get(access.organization(), &path).await;
        Ok(found(answer)?.map(|r| r.project.into()))
    }

    async fn create(access: &Access, id: &str, want: &ProjectState) -> Result<Written> {
        let by_v2 = || create_v2(access, id, want);
        let by_v1 = || create_v1(access, want);
        let written = access.client.with_fallback(CREATE, by_v2, by_v1).await?;
        match (want.state, &written.id) {
            (Some(Activity::Inactive), Some(id)) => {
                Ok(set_state(access, id, Activity::Inactive).await?.after(written))
            }
            _ => Ok(written),
        }
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<ProjectState>,
        want: &ProjectState,
    ) -> Result<Written> {
        let without_state = |s: &ProjectState| ProjectState { state: None, ..s.clone() };
        let mut written = Written::default();
        if without_state(&have.state) != without_state(want) {
            let path = Path::new(PATH, &[&have.id])?;
            written = wire::write(access, Method::PUT, &path, &body(want)).await?;
        }
        match want.state {
            Some(state) if have.state.state != want.state => {
                Ok(set_state(access, &have.id, state).await?.after(written))
            }
            _ => Ok(written),
        }
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        wire::delete(access, &Path::new(PATH, &[id])?).await
    }
}

/// The body of v1's create and update; the update resets what is omitted.
fn body(want: &ProjectState) -> Value {
    json!({
        "name": want.name,
        "projectRoleAssertion": want.project_role_assertion,
        "projectRoleCheck": want.project_role_check,
        "hasProjectCheck": want.has_project_check,
        "privateLabelingSetting": want.private_labeling_setting.map(PrivateLabelingSetting::wire),
    })
}

async fn create_v2(access: &Access, id: &str, want: &ProjectState) -> Result<Written> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        project_id: String,
        creation_date: Option<jiff::Timestamp>,
    }
    let body = json!({
        "organizationId": access.organization(),
        "projectId": id,
        "name": want.name,
        "projectRoleAssertion": want.project_role_assertion,
        "authorizationRequired": want.project_role_check,
        "projectAccessRequired": want.has_project_check,
        "privateLabelingSetting": want.private_labeling_setting.map(PrivateLabelingSetting::wire),
    });
    let path = "/zitadel.project.v2.ProjectService/CreateProject";
    let created: Created = access.client.write(Method::POST, None, path, &body).await?;
    let aggregate = access.organization().map(ToOwned::to_owned);
    let version = created.creation_date.map(|changed| Version { aggregate, changed });
    Ok(Written { id: Some(created.project_id), version, ..Written::default() })
}

async fn create_v1(access: &Access, want: &ProjectState) -> Result<Written> {
    #[derive(Deserialize)]
    struct Created {
        id: String,
        #[serde(default)]
        details: Details,
    }
    let path = "/management/v1/projects";
    let created: Created =
        access.client.write(Method::POST, access.organization(), path, &body(want)).await?;
    let version = created.details.version();
    Ok(Written { id: Some(created.id), version, ..Written::default() })
}

async fn set_state(access: &Access, id: &str, state: Activity) -> Result<Written> {
    let path = match state {
        Activity::Active => "/management/v1/projects/{}/_reactivate",
        Activity::Inactive => "/management/v1/projects/{}/_deactivate",
    };
    wire::write(access, Method::POST, &Path::new(path, &[id])?, &json!({})).await
}
