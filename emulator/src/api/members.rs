//! Members of the instance (admin API), of organizations, of projects and of project grants
//! (management API): one mechanism at four levels.

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route,
    list::{self, LIST, PAGE, TEXT_QUERY},
};
use crate::{
    message::message,
    model::{Model, Stamp, grant::Grant},
    proto::{Field, Message, NAME, SHORT},
    roles::Level,
    store::{Aggregate, Draft},
};

mod commands;
mod queries;

pub(super) use commands::{add, addition_of_new, addition_to, change, remove, unique};
pub(super) use queries::{memberships, user_of};

const ADD: &[Field] = &[Field::text("userId").rules(NAME), Field::text("roles").repeated()];
static ADD_ORGANIZATION: Message = Message::new("AddOrgMemberRequest", ADD);
static ADD_INSTANCE: Message = Message::new("AddIAMMemberRequest", ADD);
static ADD_PROJECT: Message = Message::new("AddProjectMemberRequest", ADD);
static ADD_PROJECT_GRANT: Message = Message::new("AddProjectGrantMemberRequest", ADD);
static UPDATE: Message = Message::new("UpdateMemberRequest", &[Field::text("roles").repeated()]);
static USER_QUERY: Message = Message::new("UserIDQuery", &[Field::text("userId").rules(SHORT)]);
static FIRST_NAME_QUERY: Message = Message::new(
    "FirstNameQuery",
    &[Field::text("firstName").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static LAST_NAME_QUERY: Message = Message::new(
    "LastNameQuery",
    &[Field::text("lastName").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static EMAIL_QUERY: Message = Message::new(
    "EmailQuery",
    &[Field::text("email").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static QUERY: Message = Message::one_of(
    "SearchQuery",
    "query",
    &[
        Field::message("firstNameQuery", &FIRST_NAME_QUERY),
        Field::message("lastNameQuery", &LAST_NAME_QUERY),
        Field::message("emailQuery", &EMAIL_QUERY),
        Field::message("userIdQuery", &USER_QUERY),
    ],
);
static OF_ORGANIZATION: Message =
    Message::new("MembershipOrgQuery", &[Field::text("orgId").rules(SHORT)]);
static OF_PROJECT: Message =
    Message::new("MembershipProjectQuery", &[Field::text("projectId").rules(SHORT)]);
static OF_PROJECT_GRANT: Message =
    Message::new("MembershipProjectGrantQuery", &[Field::text("projectGrantId").rules(SHORT)]);
static OF_INSTANCE: Message = Message::new("MembershipIAMQuery", &[Field::flag("iam")]);
static MEMBERSHIP_QUERY: Message = Message::one_of(
    "MembershipQuery",
    "query",
    &[
        Field::message("orgQuery", &OF_ORGANIZATION),
        Field::message("projectQuery", &OF_PROJECT),
        Field::message("projectGrantQuery", &OF_PROJECT_GRANT),
        Field::message("iamQuery", &OF_INSTANCE),
    ],
);
/// A search for what somebody is a member of.
pub(super) static MEMBERSHIPS: Message = Message::new(
    "ListMembershipsRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &MEMBERSHIP_QUERY).repeated()],
);
static SEARCH: Message = Message::new(
    "ListMembersRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    let mut routes = at(&Routes {
        of: instance,
        path: "/admin/v1/members",
        one: "/admin/v1/members/{user}",
        search: "/admin/v1/members/_search",
        add: &ADD_INSTANCE,
        permissions: ["iam.member.read", "iam.member.write", "iam.member.delete"],
    });
    routes.extend(at(&Routes {
        of: own_organization,
        path: "/management/v1/orgs/me/members",
        one: "/management/v1/orgs/me/members/{user}",
        search: "/management/v1/orgs/me/members/_search",
        add: &ADD_ORGANIZATION,
        permissions: ["org.member.read", "org.member.write", "org.member.delete"],
    }));
    routes.extend(
        at(&Routes {
            of: project_in_path,
            path: "/management/v1/projects/{project}/members",
            one: "/management/v1/projects/{project}/members/{user}",
            search: "/management/v1/projects/{project}/members/_search",
            add: &ADD_PROJECT,
            permissions: ["project.member.read", "project.member.write", "project.member.delete"],
        })
        .into_iter()
        .map(|route| route.of_one("project")),
    );
    routes.extend(at(&Routes {
        of: project_grant_in_path,
        path: "/management/v1/projects/{project}/grants/{grant}/members",
        one: "/management/v1/projects/{project}/grants/{grant}/members/{user}",
        search: "/management/v1/projects/{project}/grants/{grant}/members/_search",
        add: &ADD_PROJECT_GRANT,
        permissions: [
            "project.grant.member.read",
            "project.grant.member.write",
            "project.grant.member.delete",
        ],
    }));
    routes.extend([
        Route::search(
            "/admin/v1/members/roles/_search",
            Permission("iam.member.read"),
            &LIST,
            |call| {
                let (details, names) = counted_names(call, Level::Instance);
                Ok(json!({ "details": details, "roles": names }).into())
            },
        ),
        Route::search(
            "/management/v1/orgs/members/roles/_search",
            Permission("org.member.read"),
            &LIST,
            |_| Ok(json!({ "result": Level::Organization.names().collect::<Vec<_>>() }).into()),
        ),
        Route::search(
            "/management/v1/projects/members/roles/_search",
            Permission("project.member.read"),
            &LIST,
            |_| Ok(json!({ "result": Level::Project.names().collect::<Vec<_>>() }).into()),
        ),
        Route::search(
            "/management/v1/projects/grants/members/roles/_search",
            Permission("project.grant.member.read"),
            &LIST,
            |call| {
                let (details, names) = counted_names(call, Level::ProjectGrant);
                Ok(json!({ "details": details, "result": names }).into())
            },
        ),
        Route::search(
            "/management/v1/users/{id}/memberships/_search",
            Permission("user.membership.read"),
            &MEMBERSHIPS,
            |call| {
                let user = call.param("id").to_owned();
                memberships(call, &user)
            },
        ),
    ]);
    routes
}

/// The roles of a level, and the details of the list of them.
fn counted_names(call: &mut Call<'_>, level: Level) -> (Value, Vec<&'static str>) {
    let names: Vec<_> = level.names().collect();
    let seen = crate::clock::text(call.state.clock.date());
    (list::details(names.len(), &seen), names)
}

/// The routes of one level.
struct Routes {
    of: fn(&Call<'_>) -> Place,
    path: &'static str,
    one: &'static str,
    search: &'static str,
    add: &'static Message,
    /// To read, to write, and to remove.
    permissions: [&'static str; 3],
}

fn at(routes: &Routes) -> Vec<Route> {
    use Access::Permission;
    let of = routes.of;
    let [read, write, delete] = routes.permissions;
    vec![
        Route::search(routes.search, Permission(read), &SEARCH, move |call| {
            let place = of(call);
            queries::search(call, &place)
        }),
        Route::post(routes.path, Permission(write), routes.add, move |call| {
            let place = of(call);
            let user = call.request.text("userId").to_owned();
            let roles = call.request.texts("roles");
            let stamp = add(call, &place, &user, &roles)?;
            Ok(json!({ "details": stamp.creation_details() }).into())
        }),
        Route::put(routes.one, Permission(write), &UPDATE, move |call| {
            let place = of(call);
            let user = call.param("user").to_owned();
            let roles = call.request.texts("roles");
            let stamp = change(call, &place, &user, roles)?;
            Ok(json!({ "details": stamp.change_details() }).into())
        }),
        Route::delete(routes.one, Permission(delete), move |call| {
            let place = of(call);
            let user = call.param("user").to_owned();
            let stamp = remove(call, &place, &user)?;
            let details = stamp.as_ref().map_or_else(
                || message! { "resourceOwner" => place.home(&call.state.write) },
                Stamp::change_details,
            );
            Ok(json!({ "details": details }).into())
        }),
    ]
}

/// Where somebody is a member.
pub(super) struct Place {
    pub(super) level: Level,
    pub(super) id: String,
    /// The organization that it has to be in, or that calls for a project grant; none where a call
    /// may name any.
    pub(super) owner: Option<String>,
}

impl Place {
    fn is_in(&self, organization: &str) -> bool {
        self.owner.as_ref().is_none_or(|owner| owner == organization)
    }

    /// The project grant that it is.
    fn grant<'a>(&self, model: &'a Model) -> Option<&'a Grant> {
        let grant = model.grants.of_projects.get(&self.id);
        grant.filter(|grant| self.level == Level::ProjectGrant && grant.state.exists())
    }

    /// Whose a member would be.
    fn home<'a>(&'a self, model: &'a Model) -> Option<&'a str> {
        if self.level == Level::ProjectGrant {
            return self.grant(model).map(|grant| &*grant.stamp.owner);
        }
        Some(self.owner.as_ref().unwrap_or(&self.id))
    }

    /// An event of a member.
    fn event(&self, model: &Model, owner: &str, event_type: &'static str, user: &str) -> Draft {
        let aggregate = match self.level {
            Level::Instance => Aggregate::instance(&self.id),
            Level::Organization => Aggregate::organization(&self.id),
            Level::Project => Aggregate::new("project", &*self.id, owner),
            Level::ProjectGrant => {
                let project = self.grant(model).map(|grant| &*grant.project).unwrap_or_default();
                Aggregate::new("project", project, owner)
            }
        };
        let draft = Draft::new(&aggregate, event_type).with("userId", user);
        if self.level == Level::ProjectGrant { draft.with("grantId", &*self.id) } else { draft }
    }
}

/// The instance.
pub(super) fn instance(call: &Call<'_>) -> Place {
    Place { level: Level::Instance, id: call.state.instance_id.clone(), owner: None }
}

fn own_organization(call: &Call<'_>) -> Place {
    Place { level: Level::Organization, id: call.organization.clone(), owner: None }
}

fn project_in_path(call: &Call<'_>) -> Place {
    Place {
        level: Level::Project,
        id: call.param("project").to_owned(),
        owner: Some(call.organization.clone()),
    }
}

fn project_grant_in_path(call: &Call<'_>) -> Place {
    let grant = call.state.write.grants.of_projects.get(call.param("grant"));
    let id = grant.filter(|grant| grant.project == call.param("project"));
    Place {
        level: Level::ProjectGrant,
        id: id.map(|grant| grant.id.clone()).unwrap_or_default(),
        owner: Some(call.organization.clone()),
    }
}

/// The grant of a project to an organization.
pub(super) fn project_grant(call: &Call<'_>, project: &str, organization: &str) -> Place {
    let grant = call.state.write.grants.of_projects.iter().find(|grant| {
        grant.state.exists() && grant.project == project && grant.grantee == organization
    });
    Place {
        level: Level::ProjectGrant,
        id: grant.map(|grant| grant.id.clone()).unwrap_or_default(),
        owner: None,
    }
}

/// What an answer of the service v2 says of a change.
pub(super) fn dated(name: &str, stamp: Option<&Stamp>) -> Answer {
    let date = stamp.map(|stamp| crate::clock::text(stamp.changed));
    Ok(crate::message::message! { name => date }.into())
}
