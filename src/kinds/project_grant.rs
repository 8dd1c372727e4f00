//! `ProjectGrant`: a project lent to another organization, by the management API in the organization
//! that owns the project, one list for each such organization.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    grant::{Content, Grant},
    project::{self, ProjectScope},
    project_role,
    wire::{self, Activity, Details, found, lenient, some_default},
};
use crate::{
    api::spec::{Adoption, AllowedNamespaces, Common, ObjectReference},
    contract::{
        Access, Breadth, Consent, Cut, Description, Entity, EntityDescription, EventFilter,
        EventPlace, EventSubject, IdSource, Inputs, Kind, List, NaturalKey, Permissions, Place,
        Reference, RemoteEntity, Role, Row, SpecError, Written,
    },
    zitadel::{Path, Result, page},
};

/// For how many roles that are taken away the users are counted who have them.
const MAX_CUTS: usize = 10;

/// The reference of what is in a project grant.
pub(super) const PARENT: Reference = Reference {
    field: "projectGrantRef",
    id_field: "projectGrantId",
    kinds: &["ProjectGrant"],
    ..Reference::PARENT
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectGrant {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    adoption: Adoption,
    #[serde(flatten)]
    project: ProjectScope,
    /// Namespaces whose objects may refer to this grant. Omitted: only its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_namespaces: Option<AllowedNamespaces>,
    /// The Organization object that gets the project. One of another namespace must allow it by its
    /// `allowedNamespaces`. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_organization_ref: Option<ObjectReference>,
    /// The id of an organization that is not declared here. Needs the consent of the Instance's
    /// `instanceScope`. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_organization_id: Option<String>,
    /// Keys of the roles that the organization may give to users, exactly; each has to exist in the
    /// project. One that is taken away is taken from its users too, for good. `[]`: none. Omitted:
    /// not managed.
    #[schemars(length(max = 100), inner(length(min = 1, max = 200)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    role_keys: Option<Vec<String>>,
    /// Whether the grant counts. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
}

/// The fields that can be managed, and the one that says which grant it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectGrantState {
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_organization_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_keys: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
}

impl Kind for ProjectGrant {
    type State = ProjectGrantState;
    const DESCRIPTION: Description = Description {
        kind: "ProjectGrant",
        plural: "projectgrants",
        short: "zpgrant",
        about: "A project lent to another organization, which gives its roles to users.",
        noun: "the project grant",
        references: &[
            Reference { consent: Consent::Named, ..project::PARENT },
            Reference {
                field: "grantedOrganizationRef",
                id_field: "grantedOrganizationId",
                kinds: &["Organization"],
                role: Role::Input,
                required: true,
                ..Reference::PARENT
            },
        ],
        names: &[project_role::BY_KEY],
        events: &[EventFilter {
            aggregate: "project",
            types: &[
                "project.grant.added",
                "project.grant.changed",
                "project.grant.cascade.changed",
                "project.grant.deactivated",
                "project.grant.reactivated",
                "project.grant.removed",
            ],
            creates: &["project.grant.added"],
            removes: &["project.grant.removed"],
            place: EventPlace::BelowAggregate,
            subject: EventSubject::Payload("grantId"),
        }],
        lists: &[List::set("roleKeys")],
        // The list of an organization's grants shows none to who has a role in a project alone.
        permissions: &[Permissions::in_organization(&[
            "project.read",
            "project.grant.read",
            "project.grant.write",
            "project.grant.delete",
        ])],
        ..Description::EMPTY
    };

    fn desired(
        &self,
        _: &str,
        inputs: &Inputs,
    ) -> std::result::Result<ProjectGrantState, SpecError> {
        Ok(ProjectGrantState {
            granted_organization_id: inputs.id("grantedOrganizationRef").map(ToOwned::to_owned),
            role_keys: self.role_keys.clone(),
            state: self.state,
        })
    }
}

/// A grant in the management API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(alias = "grantId")]
    id: String,
    #[serde(default)]
    details: Details,
    project_id: String,
    granted_org_id: String,
    #[serde(default)]
    granted_role_keys: Vec<String>,
    #[serde(default = "some_default", deserialize_with = "lenient")]
    state: Option<Activity>,
}

impl From<Wire> for RemoteEntity<ProjectGrantState> {
    fn from(w: Wire) -> Self {
        let version = w.details.version();
        Self {
            id: w.id,
            place: Place { organization: w.details.resource_owner, parents: vec![w.project_id] },
            state: ProjectGrantState {
                granted_organization_id: Some(w.granted_org_id),
                role_keys: Some(w.granted_role_keys),
                state: w.state,
            },
            version,
        }
    }
}

impl Entity for ProjectGrant {
    const ENTITY: EntityDescription = EntityDescription {
        id: IdSource::Server,
        natural_key: NaturalKey::References(&["grantedOrganizationId"]),
        defaults: &[("state", "Active")],
        // A role.
        missing: &["COMMAND-6m9gd"],
        listed_by: Breadth::Organization,
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<ProjectGrantState>>>> + Send + 'static {
        let path = "/management/v1/projectgrants/_search";
        page::rows::<Wire>(&access.client, access.organization(), path, json!({}))
            .map_ok(|row| row.map(RemoteEntity::from))
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<ProjectGrantState>>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Read {
            project_grant: Wire,
        }
        let path = GRANT.path(access, id)?;
        let answer: Result<Read> = access.client.get(access.organization(), &path).await;
        Ok(found(answer)?.map(|r| r.project_grant.into()))
    }

    async fn create(access: &Access, _: &str, want: &ProjectGrantState) -> Result<Written> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            grant_id: String,
            #[serde(default)]
            details: Details,
        }
        let path = Path::new("/management/v1/projects/{}/grants", &[access.parent()])?;
        let granted = &want.granted_organization_id;
        let body = json!({"grantedOrgId": granted, "roleKeys": want.role_keys});
        let created: Created =
            access.client.write(Method::POST, access.organization(), &path, &body).await?;
        let (id, version) = (created.grant_id, created.details.version());
        let created = Written { version, ..Written::default() };
        let written = GRANT.begin(access, &id, want.state, created).await?;
        Ok(Written { id: Some(id), ..written })
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<ProjectGrantState>,
        want: &ProjectGrantState,
    ) -> Result<Written> {
        GRANT.update(access, &have.id, content(&have.state), content(want)).await
    }

    /// A role that is taken away is taken from the users who have it by this grant.
    async fn cuts(
        access: &Access,
        have: &RemoteEntity<ProjectGrantState>,
        want: &ProjectGrantState,
    ) -> Result<Vec<Cut>> {
        let kept = want.role_keys.as_deref().unwrap_or_default();
        let gone = have.state.role_keys.iter().flatten().filter(|key| !kept.contains(key));
        let mut cuts = Vec::new();
        for key in gone.take(MAX_CUTS) {
            // The user grants are in the other organization: the owner of the project sees those too.
            let queries = json!([
                {"withGrantedQuery": {"withGranted": true}},
                {"projectGrantIdQuery": {"projectGrantId": have.id}},
                {"roleKeyQuery": {"roleKey": key}},
            ]);
            let path = "/management/v1/users/grants/_search";
            let count = page::count(&access.client, access.organization(), path, &queries).await;
            let (what, from) = (format!("the role {key}"), "user grant");
            // Who may not list them is told that there may be some.
            cuts.push(Cut { what, from, count: count.unwrap_or(None) });
        }
        Ok(cuts)
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        wire::delete(access, &GRANT.path(access, id)?).await
    }
}

const GRANT: Grant = Grant {
    path: "/management/v1/projects/{}/grants/{}",
    activate: "/management/v1/projects/{}/grants/{}/_reactivate",
    deactivate: "/management/v1/projects/{}/grants/{}/_deactivate",
};

fn content(state: &ProjectGrantState) -> Content<'_> {
    Content { role_keys: state.role_keys.as_deref(), state: state.state }
}
