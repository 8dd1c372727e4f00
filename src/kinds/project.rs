//! `Project`. Created by the project service v2, which lets the client choose the id; listed, read,
//! changed and deleted by the management API, whose lists are 35 times faster. On a server without
//! that service: created by the management API too.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{Activity, Answer, Dated, Details, found, is_gone};
use crate::{
    api::{
        crd::{Names, Rule},
        spec::{Common, Identity, OrganizationScope},
    },
    engine::kind::{At, Entity, Events, Kind, Remote, Scope, Version, Written},
    zitadel::{Result, page},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    state: ProjectState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectState {
    /// Name, unique in the organization regardless of case. Left out: the name of this object.
    #[schemars(length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whether tokens and userinfo hold the user's roles of this project. Left out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_role_assertion: Option<bool>,
    /// Whether only users with a role of this project may log in to its applications. Left out: not
    /// managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_role_check: Option<bool>,
    /// Whether only users whose organization has the project, or a grant of it, may log in. Left
    /// out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_project_check: Option<bool>,
    /// Whose branding the login shows. Left out: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    private_labeling_setting: Option<PrivateLabelingSetting>,
    /// Whether the project can be used. Left out: not managed.
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
    const NAMES: Names = Names { kind: "Project", plural: "projects", short: &["zproject"] };
    const ABOUT: &'static str =
        "A project of an organization: the home of applications, roles and grants.";
    const SCOPE: Scope = Scope::Organization;
    const EVENTS: &'static [Events] = &[Events { aggregate: "project", prefix: "project." }];
    const RULES: &'static [Rule] = &[Rule {
        rule: "has(self.organizationRef) || has(self.organizationId)",
        message: "a project belongs to an organization: set organizationRef, or organizationId for one that is not declared here",
    }];

    fn desired(&self, name: &str) -> ProjectState {
        ProjectState {
            name: Some(self.state.name.clone().unwrap_or_else(|| name.into())),
            ..self.state.clone()
        }
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
    #[serde(default)]
    state: Activity,
    #[serde(default)]
    project_role_assertion: bool,
    #[serde(default)]
    project_role_check: bool,
    #[serde(default)]
    has_project_check: bool,
    #[serde(default)]
    private_labeling_setting: PrivateLabelingSetting,
}

impl From<Wire> for Remote<ProjectState> {
    fn from(w: Wire) -> Self {
        let version = w.details.version();
        Self {
            id: w.id,
            organization: Some(w.details.resource_owner),
            state: ProjectState {
                name: Some(w.name),
                project_role_assertion: Some(w.project_role_assertion),
                project_role_check: Some(w.project_role_check),
                has_project_check: Some(w.has_project_check),
                private_labeling_setting: Some(w.private_labeling_setting),
                state: Some(w.state),
            },
            own: true,
            version,
        }
    }
}

impl Entity for Project {
    const NOUN: &'static str = "the project";
    const DEFAULTS: &'static [(&'static str, &'static str)] =
        &[("privateLabelingSetting", "Unspecified"), ("state", "Active")];

    fn list(at: &At) -> impl Stream<Item = Result<Remote<ProjectState>>> + Send + 'static {
        page::search::<Wire>(
            &at.client,
            at.organization(),
            "/management/v1/projects/_search",
            json!({}),
        )
        .map_ok(Into::into)
    }

    async fn read(at: &At, id: &str) -> Result<Option<Remote<ProjectState>>> {
        #[derive(Deserialize)]
        struct Read {
            project: Wire,
        }
        let answer: Result<Read> =
            at.client.get(at.organization(), &format!("/management/v1/projects/{id}")).await;
        Ok(found(answer)?.map(|r| r.project.into()))
    }

    async fn create(at: &At, id: &str, want: &ProjectState) -> Result<Written> {
        let labeling = want.private_labeling_setting.map(PrivateLabelingSetting::wire);
        let body = json!({
            "organizationId": at.organization,
            "projectId": id,
            "name": want.name,
            "projectRoleAssertion": want.project_role_assertion,
            "authorizationRequired": want.project_role_check,
            "projectAccessRequired": want.has_project_check,
            "privateLabelingSetting": labeling,
        });
        let written = match at
            .client
            .write::<Dated>(
                Method::POST,
                None,
                "/zitadel.project.v2.ProjectService/CreateProject",
                &body,
            )
            .await
        {
            Err(e) if e.is_missing_endpoint() => create_v1(at, want).await?,
            answer => answer?.written(Some(id), at.organization().unwrap_or_default()),
        };
        let id = written.id.as_deref().unwrap_or(id);
        match want.state {
            Some(Activity::Inactive) => Ok(Written {
                version: set_state(at, id, Activity::Inactive).await?.version,
                ..written
            }),
            _ => Ok(written),
        }
    }

    async fn update(at: &At, have: &Remote<ProjectState>, want: &ProjectState) -> Result<Written> {
        let without_state = |s: &ProjectState| {
            serde_json::to_value(ProjectState { state: None, ..s.clone() }).unwrap_or_default()
        };
        let mut written = Written::default();
        if without_state(&have.state) != without_state(want) {
            let path = format!("/management/v1/projects/{}", have.id);
            written = at
                .client
                .write::<Answer>(Method::PUT, at.organization(), &path, &wire(want))
                .await?
                .written();
        }
        match want.state {
            Some(state) if have.state.state != want.state => set_state(at, &have.id, state).await,
            _ => Ok(written),
        }
    }

    async fn delete(at: &At, id: &str) -> Result<()> {
        match at
            .client
            .write::<Value>(
                Method::DELETE,
                at.organization(),
                &format!("/management/v1/projects/{id}"),
                &(),
            )
            .await
        {
            Err(e) if !is_gone(&e) => Err(e),
            _ => Ok(()),
        }
    }
}

/// The body of v1's create and update; the update resets what is left out.
fn wire(want: &ProjectState) -> Value {
    json!({
        "name": want.name,
        "projectRoleAssertion": want.project_role_assertion,
        "projectRoleCheck": want.project_role_check,
        "hasProjectCheck": want.has_project_check,
        "privateLabelingSetting": want.private_labeling_setting.map(PrivateLabelingSetting::wire),
    })
}

async fn create_v1(at: &At, want: &ProjectState) -> Result<Written> {
    #[derive(Deserialize)]
    struct Created {
        id: String,
        #[serde(default)]
        details: Details,
    }
    let created: Created = at
        .client
        .write(Method::POST, at.organization(), "/management/v1/projects", &wire(want))
        .await?;
    let version: Option<Version> = created.details.version();
    Ok(Written { id: Some(created.id), version })
}

async fn set_state(at: &At, id: &str, state: Activity) -> Result<Written> {
    let verb = match state {
        Activity::Active => "_reactivate",
        Activity::Inactive => "_deactivate",
    };
    let answer: Answer = at
        .client
        .write(
            Method::POST,
            at.organization(),
            &format!("/management/v1/projects/{id}/{verb}"),
            &json!({}),
        )
        .await?;
    Ok(answer.written())
}
