//! Project roles, applications, users and password policies beyond the recordings: what lags, what
//! is lost, what outlives its parent, and who may do what.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use zitadel_emulator::{Emulator, Options};

/// A client of an emulator in process.
#[derive(Clone)]
struct Caller {
    emulator: Emulator,
    token: String,
    organization: String,
}

impl Caller {
    fn new() -> Self {
        let emulator = Emulator::new(Options::default()).unwrap();
        Self { token: emulator.pat(), emulator, organization: String::new() }
    }

    fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    fn within(&self, organization: &str) -> Self {
        Self { organization: organization.to_owned(), ..self.clone() }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        if !self.organization.is_empty() {
            request = request.header("x-zitadel-orgid", &self.organization);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.emulator.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// A call that has to succeed.
    async fn must(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    async fn organization(&self, name: &str) -> Self {
        let made = self.must("POST", "/v2/organizations", json!({ "name": name })).await;
        self.within(made["organizationId"].as_str().unwrap())
    }

    async fn project(&self, id: &str) {
        let body = json!({ "organizationId": self.organization, "projectId": id, "name": id });
        self.must("POST", &project_service("CreateProject"), body).await;
    }

    async fn add_role(&self, project: &str, key: &str) -> (u16, Value) {
        let path = format!("/management/v1/projects/{project}/roles");
        self.call("POST", &path, json!({ "roleKey": key, "displayName": key })).await
    }

    async fn roles(&self, project: &str) -> Vec<String> {
        let path = format!("/management/v1/projects/{project}/roles/_search");
        let found = self.must("POST", &path, json!({})).await;
        let roles = found["result"].as_array().cloned().unwrap_or_default();
        roles.iter().map(|role| role["key"].as_str().unwrap().to_owned()).collect()
    }

    async fn add_api(&self, project: &str, id: &str, name: &str) -> (u16, Value) {
        let body = json!({
            "projectId": project, "applicationId": id, "name": name, "apiConfiguration": {}
        });
        self.call("POST", &application_service("CreateApplication"), body).await
    }

    /// The name by which reads know an application.
    async fn application(&self, id: &str) -> Option<String> {
        let body = json!({ "applicationId": id });
        let found = self.call("POST", &application_service("GetApplication"), body).await.1;
        found["application"]["name"].as_str().map(str::to_owned)
    }

    async fn add_machine(&self, id: &str, user_name: &str) -> (u16, Value) {
        let body = json!({ "userId": id, "userName": user_name, "name": user_name });
        self.call("POST", "/management/v1/users/machine", body).await
    }

    async fn read_user(&self, id: &str) -> u16 {
        self.call("GET", &format!("/v2/users/{id}"), Value::Null).await.0
    }
}

fn project_service(method: &str) -> String {
    format!("/zitadel.project.v2.ProjectService/{method}")
}

fn application_service(method: &str) -> String {
    format!("/zitadel.application.v2.ApplicationService/{method}")
}

/// Metadata of a service provider, base64 as in requests.
fn metadata(entity: &str) -> String {
    STANDARD.encode(format!("<EntityDescriptor entityID=\"{entity}\"/>"))
}

/// The id that ZITADEL gives the place of a refusal.
fn place(answer: &Value) -> &str {
    answer["details"][0]["id"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn reads_of_roles_users_and_policies_lag_behind_writes() {
    let caller = Caller::new().organization("lagging").await;
    caller.project("project").await;
    caller.emulator.faults().lag(Duration::from_hours(1));
    let policy = "/management/v1/policies/password/complexity";
    assert_eq!(caller.add_role("project", "reader").await.0, 200);
    assert_eq!(caller.add_machine("bot", "bot").await.0, 200);
    caller.must("POST", policy, json!({ "minLength": 12 })).await;
    assert!(caller.roles("project").await.is_empty());
    assert_eq!(caller.read_user("bot").await, 404);
    assert_eq!(caller.must("GET", policy, Value::Null).await["policy"]["minLength"], "8");
    // The write side knows all the same.
    assert_eq!(caller.add_role("project", "reader").await.0, 409);
    assert_eq!(place(&caller.add_machine("bot", "other").await.1), "COMMAND-k2una");
    assert_eq!(caller.call("POST", policy, json!({ "minLength": 9 })).await.0, 409);
}

#[tokio::test]
async fn reads_catch_up() {
    let caller = Caller::new().organization("catching-up").await;
    caller.project("project").await;
    caller.emulator.faults().lag(Duration::from_millis(20));
    caller.add_role("project", "reader").await;
    caller.add_machine("bot", "bot").await;
    while caller.read_user("bot").await == 404 {
        tokio::task::yield_now().await;
    }
    // Events reach the read side in order.
    assert_eq!(caller.roles("project").await, ["reader"]);
}

#[tokio::test]
async fn lost_events_leave_the_read_side_as_it_was() {
    let caller = Caller::new().organization("losing").await;
    caller.project("project").await;
    for lost in ["project.role.added", "user.machine.added", "org.policy.lockout.added"] {
        caller.emulator.faults().lose_next(lost);
    }
    let policy = "/management/v1/policies/lockout";
    assert_eq!(caller.add_role("project", "lost").await.0, 200);
    assert_eq!(caller.add_role("project", "kept").await.0, 200);
    assert_eq!(caller.add_machine("lost", "lost").await.0, 200);
    caller.must("POST", policy, json!({ "maxPasswordAttempts": 5 })).await;
    assert_eq!(caller.roles("project").await, ["kept"]);
    assert_eq!(caller.read_user("lost").await, 404);
    assert_eq!(caller.must("GET", policy, Value::Null).await["isDefault"], true);
    // What is unseen can be removed all the same.
    caller.must("DELETE", "/management/v1/projects/project/roles/lost", Value::Null).await;
    caller.must("DELETE", "/v2/users/lost", Value::Null).await;
    caller.must("DELETE", policy, Value::Null).await;
}

#[tokio::test]
async fn an_organization_takes_its_roles_users_and_policies_along() {
    let admin = Caller::new();
    let caller = admin.organization("doomed").await;
    caller.project("project").await;
    caller.add_role("project", "reader").await;
    caller.add_machine("bot", "bot").await;
    let before = caller.emulator.event_count();
    caller.must("DELETE", &format!("/v2/organizations/{}", caller.organization), json!({})).await;
    assert_eq!(caller.emulator.event_count(), before + 1);
    assert!(caller.roles("project").await.is_empty());
    let list = json!({ "projectId": "project" });
    let list = admin.must("POST", &project_service("ListProjectRoles"), list).await;
    assert_eq!(list["projectRoles"], Value::Null);
    assert_eq!(caller.read_user("bot").await, 404);
    let query = json!({ "queries": [{ "inUserIdsQuery": { "userIds": ["bot"] } }] });
    assert_eq!(admin.must("POST", "/v2/users", query).await["result"], Value::Null);
    // The name is free again.
    assert_eq!(admin.add_machine("bot-2", "bot").await.0, 200);
}

#[tokio::test]
async fn the_keys_of_roles_outlive_their_project() {
    let caller = Caller::new().organization("keys").await;
    caller.project("project").await;
    caller.add_role("project", "reader").await;
    caller.must("DELETE", "/management/v1/projects/project", Value::Null).await;
    caller.project("project").await;
    assert!(caller.roles("project").await.is_empty());
    assert_eq!(caller.add_role("project", "Reader").await.0, 409);
    assert_eq!(caller.add_role("project", "other").await.0, 200);
}

#[tokio::test]
async fn removing_a_namesake_removes_the_user_that_reads_show() {
    let admin = Caller::new();
    let first = admin.organization("first").await;
    let second = admin.organization("second").await;
    assert_eq!(first.add_machine("shared", "one").await.0, 200);
    assert_eq!(second.add_machine("shared", "two").await.0, 200);
    assert_eq!(place(&second.add_machine("shared", "three").await.1), "COMMAND-k2una");
    let path = "/management/v1/users/shared";
    assert_eq!(second.call("GET", path, Value::Null).await.0, 404);
    assert_eq!(first.must("GET", path, Value::Null).await["user"]["userName"], "one");
    second.must("DELETE", path, Value::Null).await;
    assert_eq!(first.call("GET", path, Value::Null).await.0, 404);
    assert_eq!(place(&first.call("DELETE", path, Value::Null).await.1), "COMMAND-m9od");
}

#[tokio::test]
async fn a_removed_role_leaves_the_grants_that_the_read_side_knows() {
    let admin = Caller::new();
    let caller = admin.organization("granting").await;
    caller.project("project").await;
    caller.add_role("project", "reader").await;
    caller.add_machine("bot", "bot").await;
    let body = json!({ "projectId": "project", "roleKeys": ["reader"] });
    let grants = "/management/v1/users/bot/grants";
    let made = caller.must("POST", grants, body.clone()).await;
    let grant = format!("{grants}/{}", made["userGrantId"].as_str().unwrap());
    caller.must("DELETE", "/management/v1/projects/project/roles/reader", Value::Null).await;
    assert_eq!(caller.must("GET", &grant, Value::Null).await["userGrant"]["roleKeys"], Value::Null);
    caller.must("DELETE", "/v2/users/bot", Value::Null).await;
    assert_eq!(caller.call("GET", &grant, Value::Null).await.0, 404);
    let last = caller.emulator.events().pop().unwrap();
    assert_eq!(last.event_type, "user.grant.cascade.removed");
}

#[tokio::test]
async fn the_project_service_leaves_users_the_roles_that_a_grant_loses_and_ends_them_with_it() {
    let owner = Caller::new().organization("owner").await;
    let guest = owner.organization("guest").await;
    owner.project("project").await;
    owner.add_role("project", "reader").await;
    guest.add_machine("bot", "bot").await;
    let service = |method: &str| {
        let named = json!({ "projectId": "project", "grantedOrganizationId": guest.organization });
        (project_service(method), named)
    };
    let (create, mut body) = service("CreateProjectGrant");
    body["roleKeys"] = json!(["reader"]);
    owner.must("POST", &create, body).await;
    let authorization = "/zitadel.authorization.v2.AuthorizationService";
    let body = json!({
        "userId": "bot", "projectId": "project", "organizationId": guest.organization,
        "roleKeys": ["reader"],
    });
    let made = owner.must("POST", &format!("{authorization}/CreateAuthorization"), body).await;
    let grant = format!("/management/v1/users/bot/grants/{}", made["id"].as_str().unwrap());
    let (update, body) = service("UpdateProjectGrant");
    owner.must("POST", &update, body).await;
    let read = guest.must("GET", &grant, Value::Null).await;
    assert_eq!(read["userGrant"]["roleKeys"], json!(["reader"]));
    let (delete, body) = service("DeleteProjectGrant");
    owner.must("POST", &delete, body).await;
    assert_eq!(guest.call("GET", &grant, Value::Null).await.0, 404);
    let again = format!("{authorization}/DeleteAuthorization");
    let never = owner.must("POST", &again, json!({ "id": "never" })).await;
    assert_eq!(never["deletionDate"], "0001-01-01T00:00:00Z");
}

#[tokio::test]
async fn a_service_account_without_a_role_makes_and_removes_its_own_tokens_only() {
    let owner = Caller::new().organization("selves").await;
    for id in ["one", "two"] {
        owner.add_machine(id, id).await;
    }
    let expiring = json!({ "expirationDate": "2099-01-01T00:00:00Z" });
    let first = owner.must("POST", "/v2/users/one/pats", expiring.clone()).await;
    let one = owner.with_token(first["token"].as_str().unwrap());
    let own = one.must("POST", "/v2/users/one/pats", expiring.clone()).await;
    let other = one.call("POST", "/v2/users/two/pats", expiring).await;
    assert_eq!((other.0, place(&other.1)), (404, "AUTHZ-cdgFk"));
    let path = format!("/v2/users/one/pats/{}", own["tokenId"].as_str().unwrap());
    one.must("DELETE", &path, Value::Null).await;
}

#[tokio::test]
async fn lists_of_users_are_sorted_by_id_and_descend_unless_told_otherwise() {
    let caller = Caller::new().organization("sorting").await;
    for (id, name) in [("b", "first"), ("c", "Second"), ("a", "third")] {
        assert_eq!(caller.add_machine(id, name).await.0, 200);
    }
    let ids = async |path: &str, sorting: Value| {
        let mut body = sorting;
        if path == "/v2/users" {
            let owner = json!({ "organizationId": caller.organization });
            body["queries"] = json!([{ "organizationIdQuery": owner }]);
        }
        let found = caller.must("POST", path, body).await;
        let users = found["result"].as_array().cloned().unwrap_or_default();
        let id = |user: &Value| user["id"].as_str().or(user["userId"].as_str()).map(str::to_owned);
        users.iter().filter_map(id).collect::<String>()
    };
    for path in ["/management/v1/users/_search", "/v2/users"] {
        let ascending = json!({ "query": { "asc": true } });
        let by_name = json!({
            "query": { "asc": true },
            "sortingColumn": "USER_FIELD_NAME_USER_NAME",
        });
        assert_eq!(ids(path, json!({})).await, "cba");
        assert_eq!(ids(path, ascending).await, "abc");
        assert_eq!(ids(path, by_name).await, "bca");
    }
}

#[tokio::test]
async fn a_granted_project_is_listed_once_more_for_each_grant() {
    let admin = Caller::new();
    let owner = admin.organization("owner").await;
    let guest = admin.organization("guest").await;
    owner.project("project").await;
    let body = json!({ "grantedOrgId": guest.organization });
    owner.must("POST", "/management/v1/projects/project/grants", body).await;
    let count = async |organization: &str, kind: &str| {
        let filter = json!({ "organizationId": organization, "type": kind });
        let body = json!({ "filters": [{ "organizationIdFilter": filter }] });
        let found = admin.must("POST", &project_service("ListProjects"), body).await;
        found["projects"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(count(&owner.organization, "OWNED").await, 2);
    assert_eq!(count(&owner.organization, "GRANTED").await, 0);
    assert_eq!(count(&guest.organization, "GRANTED").await, 1);
    assert_eq!(count(&guest.organization, "OWNED").await, 0);
    owner.must("DELETE", "/management/v1/projects/project", Value::Null).await;
    assert_eq!(count(&guest.organization, "OWNED_OR_GRANTED").await, 0);
}

#[tokio::test]
async fn roles_permit_what_their_endpoints_declare() {
    let admin = Caller::new();
    admin.project_of_default("project").await;
    admin.add_role("project", "reader").await;
    admin.add_machine("bot", "bot").await;
    let as_role = |role: &'static str| {
        let user = admin.emulator.add_user(&role.to_lowercase(), role, &[role]);
        admin.with_token(&user.pat)
    };
    let viewer = as_role("ORG_OWNER_VIEWER");
    let users = as_role("ORG_USER_MANAGER");
    let settings = as_role("ORG_SETTINGS_MANAGER");
    let policy = "/management/v1/policies/password/complexity";
    let role = json!({ "projectId": "project", "roleKey": "x", "displayName": "x" });
    for (caller, expected) in [(&viewer, [200, 403, 403, 403]), (&users, [200, 403, 200, 403])] {
        let read = caller.call("GET", "/management/v1/users/bot", Value::Null).await.0;
        let (add_role, refusal) = caller.add_role("project", "x").await;
        let (add_user, _) = caller.add_machine("new-bot", "new-bot").await;
        let (add_policy, _) = caller.call("POST", policy, json!({ "minLength": 9 })).await;
        assert_eq!([read, add_role, add_user, add_policy], expected);
        assert_eq!(place(&refusal), "AUTH-5mWD2");
        let (status, _) =
            caller.call("POST", &project_service("AddProjectRole"), role.clone()).await;
        assert_eq!(status, 403);
    }
    assert_eq!(settings.call("GET", "/v2/users/bot", Value::Null).await.0, 403);
    assert_eq!(settings.call("DELETE", "/v2/users/bot", Value::Null).await.0, 403);
    assert_eq!(settings.call("POST", "/v2/users/bot/lock", json!({})).await.0, 403);
    settings.must("POST", policy, json!({ "minLength": 9 })).await;
    // A list shows oneself at least.
    let list = settings.must("POST", "/v2/users", json!({})).await;
    assert_eq!(list["details"]["totalResult"], "1");
}

#[tokio::test]
async fn the_instance_reads_lengths_of_32_bits() {
    let caller = Caller::new();
    let length = json!({ "minLength": 4_294_967_297_u64 });
    let (_, instance) =
        caller.call("PUT", "/admin/v1/policies/password/complexity", length.clone()).await;
    assert_eq!((instance["code"].as_u64(), place(&instance)), (Some(3), ""));
    let (_, own) = caller.call("POST", "/management/v1/policies/password/complexity", length).await;
    assert_eq!(place(&own), "MODEL-Lsp0e");
}

#[tokio::test]
async fn an_application_under_the_id_of_another_holds_up_the_reads_of_all() {
    let caller = Caller::new().organization("holding-up").await;
    caller.project("project").await;
    assert_eq!(caller.add_api("project", "one", "first").await.0, 200);
    assert_eq!(caller.add_api("project", "one", "second").await.0, 200);
    // Two events have no place: the application and its configuration.
    for id in ["two", "three"] {
        assert_eq!(caller.add_api("project", id, id).await.0, 200);
        assert_eq!(caller.application(id).await, None);
    }
    assert_eq!(caller.add_api("project", "four", "four").await.0, 200);
    for (id, name) in [("one", "first"), ("two", "two"), ("three", "three"), ("four", "four")] {
        assert_eq!(caller.application(id).await.as_deref(), Some(name));
    }
    // The write side knows the second one.
    let body = json!({ "projectId": "project", "applicationId": "one", "name": "second" });
    let (_, refusal) = caller.call("POST", &application_service("UpdateApplication"), body).await;
    assert_eq!(refusal["details"][0]["debug"]["id"], "COMMAND-2m8vx");
}

#[tokio::test]
async fn what_happens_to_a_namesake_in_another_project_happens_to_the_one_that_shows() {
    let caller = Caller::new().organization("namesakes").await;
    for project in ["here", "there"] {
        caller.project(project).await;
        assert_eq!(caller.add_api(project, "shared", project).await.0, 200);
    }
    caller.must("DELETE", "/management/v1/projects/there/apps/shared", Value::Null).await;
    assert_eq!(caller.application("shared").await.as_deref(), Some("here"));
    for id in ["one", "two"] {
        caller.add_api("here", id, id).await;
    }
    assert_eq!(caller.application("shared").await, None);
    let path = "/management/v1/projects/here/apps/shared";
    caller.must("PUT", path, json!({ "name": "still there" })).await;
}

#[tokio::test]
async fn the_names_of_applications_outlive_their_project_and_entities_do_not() {
    let caller = Caller::new().organization("leftovers").await;
    let add_provider = async |name: &str, entity: &str| {
        let body = json!({ "name": name, "metadataXml": metadata(entity) });
        caller.call("POST", "/management/v1/projects/project/apps/saml", body).await.0
    };
    caller.project("project").await;
    assert_eq!(add_provider("app", "https://sp.example.com").await, 200);
    assert_eq!(add_provider("other", "https://SP.example.com").await, 409);
    caller.must("DELETE", "/management/v1/projects/project", Value::Null).await;
    assert_eq!(add_provider("other", "https://sp.example.com").await, 400);
    caller.project("project").await;
    assert_eq!(add_provider("App", "https://sp.example.com").await, 409);
    assert_eq!(add_provider("other", "https://sp.example.com").await, 200);
}

#[tokio::test]
async fn an_organization_takes_its_applications_and_their_keys_along() {
    let admin = Caller::new();
    let caller = admin.organization("doomed").await;
    caller.project("project").await;
    let apps = "/management/v1/projects/project/apps";
    let body = json!({ "name": "api", "authMethodType": "API_AUTH_METHOD_TYPE_PRIVATE_KEY_JWT" });
    let made = caller.must("POST", &format!("{apps}/api"), body).await;
    let keys = format!("{apps}/{}/keys", made["appId"].as_str().unwrap());
    caller.must("POST", &keys, json!({ "type": "KEY_TYPE_JSON" })).await;
    let count = async || {
        let of = json!({ "filters": [{ "projectIdFilter": { "projectId": "project" } }] });
        let apps = admin.must("POST", &application_service("ListApplications"), of.clone()).await;
        let keys = admin.must("POST", &application_service("ListApplicationKeys"), of).await;
        [&apps["applications"], &keys["keys"]].map(|list| list.as_array().map_or(0, Vec::len))
    };
    assert_eq!(count().await, [1, 1]);
    caller.must("DELETE", &format!("/v2/organizations/{}", caller.organization), json!({})).await;
    assert_eq!(count().await, [0, 0]);
}

#[tokio::test]
async fn reads_of_applications_lag_behind_writes() {
    let caller = Caller::new().organization("lagging").await;
    caller.project("project").await;
    caller.emulator.faults().lag(Duration::from_hours(1));
    assert_eq!(caller.add_api("project", "api", "api").await.0, 200);
    assert_eq!(caller.application("api").await, None);
    assert_eq!(caller.add_api("project", "other", "API").await.0, 409);
}

#[tokio::test]
async fn metadata_of_saml_are_checked_and_never_fetched() {
    let caller = Caller::new().organization("metadata").await;
    caller.project("project").await;
    let apps = "/management/v1/projects/project/apps/saml";
    for (what, refused) in [
        (json!({ "metadataXml": STANDARD.encode("<EntitiesDescriptor/>") }), "SAML-bquso"),
        (json!({ "metadataXml": STANDARD.encode("<EntityDescriptor>") }), "SAML-bquso"),
        (json!({ "metadataUrl": "https://sp.example.com/metadata" }), "SAML-wmqlo1"),
        (json!({}), ""),
    ] {
        let mut body = what;
        body["name"] = json!("app");
        let (status, answer) = caller.call("POST", apps, body).await;
        assert_eq!((status, place(&answer)), (400, refused));
    }
}

impl Caller {
    /// A project in the caller's own organization.
    async fn project_of_default(&self, id: &str) {
        let me = self.must("GET", "/management/v1/orgs/me", Value::Null).await;
        self.within(me["org"]["id"].as_str().unwrap()).project(id).await;
    }
}
