//! What no recording holds: how requests are read, and which check comes first where several refuse.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use zitadel_emulator::{Emulator, Options};

const PROJECTS: &str = "/zitadel.project.v2.ProjectService";
const ADMINISTRATORS: &str = "/zitadel.internal_permission.v2.InternalPermissionService";

/// A caller with an authorization header, in an organization.
struct Caller {
    emulator: Emulator,
    authorization: String,
    organization: String,
}

impl Caller {
    fn new() -> Self {
        let emulator = Emulator::new(Options::default()).unwrap();
        let authorization = format!("Bearer {}", emulator.pat());
        Self { emulator, authorization, organization: String::new() }
    }

    fn with(&self, authorization: &str) -> Self {
        Self {
            emulator: self.emulator.clone(),
            authorization: authorization.to_owned(),
            organization: self.organization.clone(),
        }
    }

    fn user(&self, name: &str, roles: &[&str]) -> (String, Self) {
        let user = self.emulator.add_user(name, name, roles);
        let caller = self.with(&format!("Bearer {}", user.pat));
        (user.id, caller)
    }

    async fn send(&self, method: &str, path: &str, body: String) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost:8080")
            .header("content-type", "application/json");
        if !self.authorization.is_empty() {
            request = request.header("authorization", &self.authorization);
        }
        if !self.organization.is_empty() {
            request = request.header("x-zitadel-orgid", &self.organization);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.emulator.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.send(method, path, body.to_string()).await
    }

    /// The status and the id of a refusal; an empty id for an answer that carries none.
    async fn refusal(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, body) = self.call(method, path, body).await;
        let detail = &body["details"][0];
        let id = detail["id"].as_str().or(detail["debug"]["id"].as_str()).unwrap_or_default();
        (status, id.to_owned())
    }

    async fn project(&self, name: &str) -> String {
        let (_, body) = self.call("POST", "/management/v1/projects", json!({ "name": name })).await;
        body["id"].as_str().unwrap().to_owned()
    }
}

fn refused(status: u16, id: &str) -> (u16, String) {
    (status, id.to_owned())
}

#[tokio::test]
async fn the_authorization_header_is_read_in_one_way() {
    let caller = Caller::new();
    let pat = caller.emulator.pat();
    for (header, wanted) in [
        (format!("Bearer {pat}"), refused(200, "")),
        (format!("Basic Bearer {pat}"), refused(200, "")),
        (format!("Bearer  {pat}"), refused(401, "AUTH-7fs1e")),
        (format!("bearer {pat}"), refused(401, "AUTH-7fs1e")),
        (format!("Basic {pat}"), refused(401, "AUTH-7fs1e")),
        (pat.clone(), refused(401, "AUTH-7fs1e")),
        (format!("Bearer Bearer {pat}"), refused(401, "AUTH-7fs1e")),
        (String::new(), refused(401, "")),
    ] {
        let caller = caller.with(&header);
        for (method, path) in [
            ("GET", "/admin/v1/restrictions".to_owned()),
            ("POST", format!("{PROJECTS}/ListProjects")),
        ] {
            let found = caller.refusal(method, &path, json!({})).await;
            assert_eq!(found, wanted, "{header:?} {path}");
        }
    }
    for (header, status, error) in [
        ("", 401, "invalid_request"),
        ("Basic abc", 401, "invalid_request"),
        ("Bearer abc", 401, "access_denied"),
    ] {
        let (found, body) = caller.with(header).call("GET", "/oidc/v1/userinfo", Value::Null).await;
        assert_eq!((found, &body["error"]), (status, &json!(error)), "{header:?}");
    }
}

#[tokio::test]
async fn languages_are_parsed_before_they_are_checked() {
    let caller = Caller::new();
    let set = |list: Value| {
        caller.refusal(
            "PUT",
            "/admin/v1/restrictions",
            json!({ "allowedLanguages": { "list": list } }),
        )
    };
    for (list, wanted) in [
        (json!(["en", "xx"]), refused(400, "LANG-jc8Sq")),
        (json!(["en", "german"]), refused(400, "LANG-jc8Sq")),
        (json!(["en", ""]), refused(400, "LANG-jc8Sq")),
        (json!(["en", "tlh", "xx"]), refused(400, "LANG-jc8Sq")),
        (json!(["en", "de-CH"]), refused(400, "LANG-lg4DP")),
        (json!(["en", "tlh"]), refused(400, "LANG-lg4DP")),
        (json!(["en", "tlh", "de-CH"]), refused(400, "LANG-XHiK5")),
        (json!(["en", "EN"]), refused(400, "LANG-XHiK5")),
        (json!(["en", "eng", "en-Latn"]), refused(400, "LANG-3M9f2")),
        (json!(["de"]), refused(400, "COMMAND-L0m2u")),
        (json!(["EN", "deu", "in"]), refused(200, "")),
    ] {
        assert_eq!(set(list.clone()).await, wanted, "{list}");
    }
    let (_, body) = caller.call("GET", "/admin/v1/restrictions", Value::Null).await;
    assert_eq!(body["allowedLanguages"], json!(["en", "de", "id"]));

    for (language, wanted) in [
        ("xx", refused(400, "LANG-jc8Sq")),
        ("und", refused(400, "LANG-3M9f2")),
        ("tlh", refused(400, "LANG-lg4DP")),
        ("EN", refused(400, "INST-DS3rq")),
        ("fr", refused(400, "LANG-2M9fs")),
        ("DE", refused(200, "")),
    ] {
        let path = format!("/admin/v1/languages/default/{language}");
        assert_eq!(caller.refusal("PUT", &path, json!({})).await, wanted, "{language}");
    }
    let (_, body) = caller.call("GET", "/admin/v1/languages/default", Value::Null).await;
    assert_eq!(body["language"], "de");
}

#[tokio::test]
async fn an_empty_list_of_languages_is_a_change_once() {
    let caller = Caller::new();
    let before = caller.emulator.event_count();
    for _ in 0..2 {
        let body = json!({ "allowedLanguages": { "list": [] } });
        assert_eq!(caller.call("PUT", "/admin/v1/restrictions", body).await.0, 200);
        assert_eq!(caller.emulator.event_count(), before + 1);
    }
}

#[tokio::test]
async fn support_addresses_are_read_twice() {
    let caller = Caller::new();
    let set = |address: &str| {
        caller.refusal("PUT", "/admin/v1/policies/privacy", json!({ "supportEmail": address }))
    };
    for (address, wanted) in [
        ("nobody", refused(400, "")),
        ("a@-x", refused(400, "")),
        ("Ada <ada@example.com>", refused(400, "EMAIL-599GV")),
        ("ada@example.com (Ada)", refused(400, "EMAIL-599GV")),
        (" ada@example.com ", refused(200, "")),
        ("ada@example.com", refused(400, "INSTANCE-9jJfs")),
        ("<ada@example.com>", refused(200, "")),
    ] {
        assert_eq!(set(address).await, wanted, "{address:?}");
    }
    let (_, body) = caller.call("GET", "/admin/v1/policies/privacy", Value::Null).await;
    assert_eq!(body["policy"]["supportEmail"], "<ada@example.com>");
}

#[tokio::test]
async fn a_call_is_checked_from_the_outside_in() {
    let caller = Caller::new();
    let (_, viewer) = caller.user("viewer", &["ORG_OWNER_VIEWER"]);
    let (_, nobody) = caller.user("nobody", &[]);
    let stranger = caller.with("");
    let path = "/management/v1/projects";
    // What is no request of this kind, before who asks.
    assert_eq!(stranger.send("POST", path, "{\"name\": 1}".to_owned()).await.0, 400);
    // Who asks, before where, what for, and what.
    assert_eq!(stranger.refusal("POST", path, json!({})).await, refused(401, ""));
    let mut elsewhere = caller.with(&nobody.authorization);
    "999999999999999999".clone_into(&mut elsewhere.organization);
    assert_eq!(elsewhere.refusal("POST", path, json!({})).await, refused(403, "AUTH-Bs7Ds"));
    assert_eq!(nobody.refusal("POST", path, json!({})).await, refused(404, "AUTHZ-cdgFk"));
    assert_eq!(viewer.refusal("POST", path, json!({})).await, refused(403, "AUTH-5mWD2"));
    assert_eq!(caller.refusal("POST", path, json!({})).await, refused(400, ""));
}

#[tokio::test]
async fn organizations_need_a_name_and_the_default_one_is_active() {
    let caller = Caller::new();
    let blank = json!({ "name": "  " });
    for (path, id) in [("/management/v1/orgs", "EVENT-Mf9sd"), ("/v2/organizations", "ORG-mruNY")] {
        assert_eq!(caller.refusal("POST", path, blank.clone()).await, refused(400, id));
    }
    let found = caller.refusal("PUT", "/management/v1/orgs/me", blank).await;
    assert_eq!(found, refused(400, "EVENT-Mf9sd"));

    let (_, body) = caller.call("POST", "/v2/organizations", json!({ "name": "other" })).await;
    let id = body["organizationId"].as_str().unwrap().to_owned();
    let make_default = format!("/admin/v1/orgs/default/{id}");
    let switch = async |step: &str| {
        caller.call("POST", &format!("/v2/organizations/{id}/{step}"), json!({})).await.0
    };
    assert_eq!(switch("deactivate").await, 200);
    let found = caller.refusal("PUT", &make_default, json!({})).await;
    assert_eq!(found, refused(400, "INSTA-Wfe21"));
    assert_eq!(switch("activate").await, 200);
    for wanted in [refused(200, ""), refused(400, "INST-SDfw2")] {
        assert_eq!(caller.refusal("PUT", &make_default, json!({})).await, wanted);
    }
    assert_eq!(switch("deactivate").await, 200);
    let found = caller.refusal("PUT", &make_default, json!({})).await;
    assert_eq!(found, refused(400, "INST-SDfw2"), "what is so already, first");
}

#[tokio::test]
async fn the_project_service_looks_for_the_id_then_the_permission_then_the_name() {
    let caller = Caller::new();
    let (_, viewer) = caller.user("viewer", &["IAM_OWNER_VIEWER"]);
    let (_, org) = caller.call("GET", "/management/v1/orgs/me", Value::Null).await;
    let org = org["org"]["id"].as_str().unwrap().to_owned();
    let create = format!("{PROJECTS}/CreateProject");
    let body =
        |id: &str, name: &str| json!({ "organizationId": org, "projectId": id, "name": name });
    assert_eq!(caller.call("POST", &create, body("one", "Name")).await.0, 200);
    for (by, id, name, wanted) in [
        (&viewer, "one", "name", refused(409, "COMMAND-opamwu")),
        (&viewer, "two", "name", refused(403, "AUTH-AWfge")),
        (&caller, "two", "NAME", refused(409, "V3-DKcYh")),
        (&caller, "two", "", refused(400, "")),
        (&caller, "two", "other", refused(200, "")),
    ] {
        assert_eq!(by.refusal("POST", &create, body(id, name)).await, wanted, "{id} {name}");
    }
    for (method, by, id, wanted) in [
        ("UpdateProject", &viewer, "three", refused(404, "COMMAND-3M9sd")),
        ("UpdateProject", &viewer, "two", refused(403, "AUTH-AWfge")),
        ("UpdateProject", &caller, "two", refused(409, "V3-DKcYh")),
        ("ActivateProject", &viewer, "two", refused(400, "COMMAND-5M9bs")),
        ("DeactivateProject", &viewer, "two", refused(403, "AUTH-AWfge")),
        ("DeleteProject", &viewer, "three", refused(200, "")),
        ("DeleteProject", &viewer, "two", refused(403, "AUTH-AWfge")),
    ] {
        let path = format!("{PROJECTS}/{method}");
        let found = by.refusal("POST", &path, json!({ "projectId": id, "name": "name" })).await;
        assert_eq!(found, wanted, "{method} {id}");
    }
}

#[tokio::test]
async fn members_of_projects_are_checked_in_order() {
    let caller = Caller::new();
    let project = caller.project("one").await;
    let (user, owner) = caller.user("owner", &[]);
    let (_, viewer) = caller.user("viewer", &["ORG_OWNER_VIEWER"]);
    let add = async |by: &Caller, project: &str, user: &str, roles: Value| {
        let body = json!({ "userId": user, "resource": { "projectId": project }, "roles": roles });
        by.refusal("POST", &format!("{ADMINISTRATORS}/CreateAdministrator"), body).await
    };
    for (by, project, user, roles, wanted) in [
        (&viewer, "none", "none", json!([]), refused(400, "PROJECT-W8m4l")),
        (&viewer, "none", "none", json!(["ORG_OWNER"]), refused(400, "PROJECT-3m9ds")),
        (&viewer, "none", "none", json!(["PROJECT_OWNER"]), refused(400, "COMMAND-uXHNj")),
        (&viewer, "none", &*user, json!(["PROJECT_OWNER"]), refused(400, "COMMAND-EbFMN")),
        (&viewer, &*project, &*user, json!(["PROJECT_OWNER"]), refused(403, "AUTH-AWfge")),
        (&caller, &*project, &*user, json!(["PROJECT_OWNER"]), refused(200, "")),
        (&caller, &*project, &*user, json!(["PROJECT_OWNER"]), refused(409, "PROJECT-PtXi1")),
    ] {
        assert_eq!(add(by, project, user, roles.clone()).await, wanted, "{project} {roles}");
    }
    // The owner of one project, and of no other.
    let other = caller.project("two").await;
    let read = async |id: &str| {
        owner.refusal("GET", &format!("/management/v1/projects/{id}"), Value::Null).await
    };
    assert_eq!(read(&project).await, refused(200, ""));
    assert_eq!(read(&other).await, refused(403, "AUTH-3jknH"));
    let body = json!({ "projectId": other, "name": "mine" });
    let found = owner.refusal("POST", &format!("{PROJECTS}/UpdateProject"), body).await;
    assert_eq!(found, refused(403, "AUTH-Swrgg2"));
    let members = |id: &str| format!("/management/v1/projects/{id}/members/_search");
    let (_, body) = owner.call("POST", &members(&project), json!({})).await;
    assert_eq!(body["result"][0]["roles"], json!(["PROJECT_OWNER"]));
    let found = owner.refusal("POST", &members(&other), json!({})).await;
    assert_eq!(found, refused(403, "AUTH-3jknH"));
}

const USERS: &str = "/zitadel.user.v2.UserService";
const ORGANIZATIONS: &str = "/zitadel.org.v2.OrganizationService";

/// The ids that a list tells, from the field that holds them.
fn ids(body: &Value, list: &str, id: &str) -> Vec<String> {
    let rows = body[list].as_array().map_or(&[][..], Vec::as_slice);
    rows.iter().filter_map(|row| row[id].as_str().map(str::to_owned)).collect()
}

impl Caller {
    /// An organization, and somebody in it.
    async fn organization(&self, name: &str) -> String {
        let (_, body) = self.call("POST", "/v2/organizations", json!({ "name": name })).await;
        body["organizationId"].as_str().unwrap().to_owned()
    }

    async fn person(&self, organization: &str, name: &str, more: Value) -> String {
        let mut human = json!({
            "profile": { "givenName": name, "familyName": "Byron" },
            "email": { "email": format!("{name}@example.com"), "isVerified": true },
        });
        human.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let body = json!({ "organizationId": organization, "username": name, "human": human });
        let (status, body) = self.call("POST", "/v2/users/new", body).await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    async fn machine(&self, organization: &str, name: &str) -> String {
        let body = json!({
            "organizationId": organization,
            "username": name,
            "machine": { "name": name },
        });
        let (_, body) = self.call("POST", "/v2/users/new", body).await;
        body["id"].as_str().unwrap().to_owned()
    }
}

// Both interfaces know the same queries of users. What only people have is null for a machine in
// ZITADEL's tables: it meets no query, and sorts as the greatest.
#[tokio::test]
async fn users_are_found_by_every_query_and_machines_have_no_names_of_people() {
    let caller = Caller::new();
    let organization = caller.organization("queries").await;
    let phone = json!({ "phone": { "phone": "+41791234567", "isVerified": true } });
    let ada = caller.person(&organization, "ada", phone).await;
    let eve = caller.person(&organization, "eve", json!({})).await;
    let bot = caller.machine(&organization, "bot").await;
    let name = |kind: &str, field: &str, text: &str| json!({ kind: { field: text, "method": "TEXT_QUERY_METHOD_EQUALS" } });
    let both = [
        (name("firstNameQuery", "firstName", "ada"), vec![&ada]),
        (name("lastNameQuery", "lastName", "Byron"), vec![&ada, &eve]),
        (name("displayNameQuery", "displayName", "eve Byron"), vec![&eve]),
        (name("displayNameQuery", "displayName", "bot"), vec![]),
        (name("nickNameQuery", "nickName", "x"), vec![]),
        (json!({ "inUserIdsQuery": { "userIds": [ada, bot] } }), vec![&ada, &bot]),
        (json!({ "inUserEmailsQuery": { "userEmails": ["eve@example.com"] } }), vec![&eve]),
        (
            json!({ "orQuery": { "queries": [
                name("userNameQuery", "userName", "bot"),
                name("firstNameQuery", "firstName", "eve"),
            ] } }),
            vec![&bot, &eve],
        ),
        (
            json!({ "andQuery": { "queries": [
                name("lastNameQuery", "lastName", "Byron"),
                { "notQuery": { "query": name("firstNameQuery", "firstName", "eve") } },
            ] } }),
            vec![&ada],
        ),
        // The number of the newer interface's last state is that of another in the older one.
        (json!({ "stateQuery": { "state": 5 } }), vec![]),
    ];
    let newer = [
        (name("phoneQuery", "number", "+41791234567"), vec![&ada]),
        (json!({ "stateQuery": { "state": "USER_STATE_ACTIVE" } }), vec![&ada, &bot, &eve]),
    ];
    let in_organization = json!({ "organizationIdQuery": { "organizationId": organization } });
    for (query, wanted) in both.iter().chain(&newer) {
        let body = json!({ "queries": [query, in_organization] });
        let (status, found) = caller.call("POST", "/v2/users", body).await;
        let (mut found, mut wanted) = (ids(&found, "result", "userId"), wanted.clone());
        found.sort();
        wanted.sort();
        assert_eq!((status, found.iter().collect::<Vec<_>>()), (200, wanted), "{query}");
    }
    let inside =
        Caller { organization: organization.clone(), ..caller.with(&caller.authorization) };
    for (query, wanted) in &both {
        let body = json!({ "queries": [query] });
        let (status, found) = inside.call("POST", "/management/v1/users/_search", body).await;
        assert_eq!((status, ids(&found, "result", "id").len()), (200, wanted.len()), "{query}");
    }
    let sorted = json!({
        "query": { "asc": true },
        "sortingColumn": "USER_FIELD_NAME_FIRST_NAME",
        "queries": [in_organization],
    });
    let (_, found) = caller.call("POST", "/v2/users", sorted).await;
    assert_eq!(ids(&found, "result", "userId"), [ada, eve, bot]);
    // A text has to be there for the newer interface, and may be empty for the older one.
    let empty = json!({ "queries": [name("userNameQuery", "userName", "")] });
    let newer = caller.refusal("POST", "/v2/users", empty.clone()).await;
    assert_eq!(newer, refused(400, ""));
    let older = inside.refusal("POST", "/management/v1/users/_search", empty).await;
    assert_eq!(older, refused(200, ""));
}

// It is read whether a name is free, and it is compared letter by letter.
#[tokio::test]
async fn whether_a_user_would_be_unique_is_read() {
    let caller = Caller::new();
    let organization = caller.organization("unique").await;
    caller.person(&organization, "ada", json!({})).await;
    for (query, wanted) in [
        ("userName=ada", false),
        ("userName=ADA", true),
        ("email=ada@example.com", false),
        ("userName=ada&email=eve@example.com", true),
        ("userName=eve", true),
    ] {
        let path = format!("/management/v1/users/_is_unique?{query}");
        let (_, body) = caller.call("GET", &path, Value::Null).await;
        assert_eq!(body["isUnique"].as_bool().unwrap_or_default(), wanted, "{query}");
    }
}

// The domains and the metadata of an organization tell the limit that was asked for, and none if
// none was; other lists tell the one that counted. Domains name methods as the older interfaces do.
#[tokio::test]
async fn domains_and_metadata_of_organizations_come_in_pages() {
    let caller = Caller::new();
    let id = caller.organization("pages").await;
    for domain in ["b.example.com", "a.example.com"] {
        let path = format!("/v2/organizations/{id}/domains");
        caller.call("POST", &path, json!({ "domain": domain })).await;
    }
    let path = format!("/v2/organizations/{id}/domains/search");
    let wanted = json!({
        "pagination": { "limit": 2, "asc": true },
        "sortingColumn": "DOMAIN_FIELD_NAME_NAME",
    });
    let (_, page) = caller.call("POST", &path, wanted).await;
    assert_eq!(ids(&page, "domains", "domain"), ["a.example.com", "b.example.com"]);
    assert_eq!(page["pagination"], json!({ "totalResult": "3", "appliedLimit": "2" }));
    let filter = json!({ "domain": "example", "method": "TEXT_QUERY_METHOD_CONTAINS" });
    let wanted = json!({ "filters": [{ "domainFilter": filter }] });
    let (_, found) = caller.call("POST", &path, wanted).await;
    assert_eq!(found["pagination"], json!({ "totalResult": "2" }));
    let wide = json!({ "pagination": { "limit": 1001 } });
    assert_eq!(caller.refusal("POST", &path, wide).await, refused(400, "QUERY-4M0fs"));

    let metadata = format!("/v2/organizations/{id}/metadata");
    let set = json!({ "metadata": [{ "key": "k", "value": "MQ==" }] });
    caller.call("POST", &metadata, set).await;
    let wanted = json!({ "pagination": { "limit": 7 } });
    let (_, page) = caller.call("POST", &format!("{metadata}/search"), wanted).await;
    assert_eq!(page["pagination"], json!({ "totalResult": "1", "appliedLimit": "7" }));
}

// A query for a project finds those of its grants as well; administrators of the newer interface
// are found by the whole name, and by filters that hold others.
#[tokio::test]
async fn memberships_and_administrators_are_filtered() {
    let caller = Caller::new();
    let (bot, _) = caller.user("bot", &["IAM_OWNER_VIEWER"]);
    let project = caller.project("members").await;
    let member = json!({ "userId": bot, "roles": ["PROJECT_OWNER"] });
    let path = format!("/management/v1/projects/{project}/members");
    caller.call("POST", &path, member).await;
    let path = format!("/management/v1/users/{bot}/memberships/_search");
    for (query, wanted) in [
        (json!({ "iamQuery": { "iam": true } }), 1),
        (json!({ "projectQuery": { "projectId": project } }), 1),
        (json!({ "orgQuery": { "orgId": "1" } }), 0),
        (json!({ "projectGrantQuery": { "projectGrantId": project } }), 0),
    ] {
        let (_, found) = caller.call("POST", &path, json!({ "queries": [query] })).await;
        assert_eq!(ids(&found, "result", "userId").len(), wanted, "{query}");
    }
    assert_eq!(caller.refusal("POST", &path, json!({ "queries": [{}] })).await, refused(400, ""));

    let path = format!("{ADMINISTRATORS}/ListAdministrators");
    let login = |name: &str| {
        let method = "TEXT_FILTER_METHOD_STARTS_WITH";
        json!({ "userPreferredLoginName": { "preferredLoginName": name, "method": method } })
    };
    let role = json!({ "role": { "roleKey": "PROJECT_OWNER" } });
    for (filter, wanted) in [
        (login("bot"), 2),
        (login("bo"), 0),
        (json!({ "and": { "queries": [login("bot"), role] } }), 1),
        (json!({ "and": { "queries": [login("bot"), { "not": { "query": role } }] } }), 1),
        (json!({ "or": { "queries": [role, login("nobody")] } }), 1),
        (json!({ "userDisplayName": { "displayName": "bot" } }), 0),
        (
            json!({ "creationDate": {
                "timestamp": "2020-01-01T00:00:00Z",
                "method": "TIMESTAMP_FILTER_METHOD_BEFORE",
            } }),
            0,
        ),
    ] {
        let (status, found) = caller.call("POST", &path, json!({ "filters": [filter] })).await;
        let count = found["administrators"].as_array().map_or(0, Vec::len);
        assert_eq!((status, count), (200, wanted), "{filter}");
    }
}

#[tokio::test]
async fn user_grants_tell_names_of_people_and_are_found_by_them() {
    let caller = Caller::new();
    let project = caller.project("granted").await;
    let (_, own) = caller.call("GET", "/management/v1/orgs/me", Value::Null).await;
    let organization = own["org"]["id"].as_str().unwrap().to_owned();
    let ada = caller.person(&organization, "ada", json!({})).await;
    let bot = caller.machine(&organization, "bot").await;
    let mut made = Vec::new();
    for user in [&ada, &bot] {
        let path = format!("/management/v1/users/{user}/grants");
        let (_, grant) = caller.call("POST", &path, json!({ "projectId": project })).await;
        made.push(grant["userGrantId"].as_str().unwrap().to_owned());
    }
    let path = format!("/management/v1/users/{ada}/grants/{}", made[0]);
    let (_, grant) = caller.call("GET", &path, Value::Null).await;
    let grant = &grant["userGrant"];
    assert_eq!(grant["firstName"], "ada");
    assert_eq!(grant["email"], "ada@example.com");
    assert_eq!(grant["displayName"], "ada Byron");
    let path = "/management/v1/users/grants/_search";
    for (query, wanted) in [
        (json!({ "firstNameQuery": { "firstName": "ada" } }), vec![&ada]),
        (json!({ "displayNameQuery": { "displayName": "bot" } }), vec![]),
        (json!({ "userNameQuery": { "userName": "bot" } }), vec![&bot]),
        (json!({ "userTypeQuery": { "type": "TYPE_MACHINE" } }), vec![&bot]),
        (json!({ "projectNameQuery": { "projectName": "granted" } }), vec![&ada, &bot]),
        (json!({ "orgNameQuery": { "orgName": "nobody" } }), vec![]),
    ] {
        let (_, found) = caller.call("POST", path, json!({ "queries": [query] })).await;
        assert_eq!(ids(&found, "result", "userId").iter().collect::<Vec<_>>(), wanted, "{query}");
    }
    let path = "/management/v1/user_grants/_bulk";
    let none = caller.refusal("DELETE", path, json!({})).await;
    assert_eq!(none, refused(400, "COMMAND-5M0sd"));
    let one_unknown = json!({ "grantId": [made[0], "1"] });
    assert_eq!(caller.refusal("DELETE", path, one_unknown).await, refused(404, "COMMAND-1My0t"));
    let (status, body) = caller.call("DELETE", path, json!({ "grantId": made })).await;
    assert_eq!((status, body), (200, json!({})));
}

// The newer services are served over Connect as well: what a path or a query holds elsewhere is in
// the body, success is 200, and errors have Connect's form.
#[tokio::test]
async fn routes_of_the_newer_services_are_methods_over_connect() {
    let caller = Caller::new();
    let add = format!("{ORGANIZATIONS}/AddOrganization");
    let (status, body) = caller.call("POST", &add, json!({ "name": "twin" })).await;
    let id = body["organizationId"].as_str().unwrap().to_owned();
    assert_eq!(status, 200);
    let path = format!("{ORGANIZATIONS}/UpdateOrganization");
    let (status, _) =
        caller.call("POST", &path, json!({ "organizationId": id, "name": "other" })).await;
    assert_eq!(status, 200);
    let (status, body) = caller.call("POST", &path, json!({ "name": "third" })).await;
    assert_eq!((status, &body["code"]), (400, &json!("invalid_argument")));
    let keys = json!({ "organizationId": id, "keys": ["nothing"] });
    let path = format!("{ORGANIZATIONS}/DeleteOrganizationMetadata");
    assert_eq!(caller.refusal("POST", &path, keys).await, refused(404, "META-2npds"));
    let nobody = json!({ "userId": "1" });
    let path = format!("{USERS}/GetUserByID");
    assert_eq!(caller.refusal("POST", &path, nobody).await, refused(404, "QUERY-Dfbg2"));
    let path = "/zitadel.settings.v2.SettingsService/GetLoginSettings";
    let (_, body) = caller.call("POST", path, json!({ "ctx": { "instance": true } })).await;
    assert_eq!(body["settings"]["resourceOwnerType"], "RESOURCE_OWNER_TYPE_INSTANCE");
    let (status, _) = caller.call("GET", path, Value::Null).await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn organizations_begin_with_a_person_and_are_looked_for_by_name_and_domain() {
    let caller = Caller::new();
    let person = json!({
        "profile": { "givenName": "Ada", "familyName": "Byron" },
        "email": { "email": "ada@example.com", "returnCode": {} },
    });
    let body = json!({ "name": "begun", "admins": [{ "human": person }] });
    let (status, body) = caller.call("POST", "/v2/organizations", body).await;
    assert_eq!(status, 201);
    let admin = &body["createdAdmins"][0];
    assert!(admin["userId"].is_string() && admin["emailCode"].is_string(), "{admin}");
    let inside = Caller {
        organization: body["organizationId"].as_str().unwrap().to_owned(),
        ..caller.with(&caller.authorization)
    };
    let path = "/management/v1/orgs/me/members/_search";
    let (_, members) = inside.call("POST", path, json!({})).await;
    assert_eq!(members["result"][0]["roles"], json!(["ORG_OWNER"]));
    let nobody = json!({ "name": "never", "admins": [{ "roles": ["ORG_OWNER"] }] });
    let path = "/v2/organizations";
    assert_eq!(caller.refusal("POST", path, nobody).await, refused(501, "ORGv2-SD2r1"));

    for (query, wanted) in
        [("name=BEGUN", false), ("domain=begun.localhost", false), ("name=x", true)]
    {
        let path = format!("/admin/v1/orgs/_is_unique?{query}");
        let (_, body) = caller.call("GET", &path, Value::Null).await;
        assert_eq!(body["isUnique"].as_bool().unwrap_or_default(), wanted, "{query}");
    }
    let path = "/admin/v1/orgs/_is_unique";
    assert_eq!(caller.refusal("GET", path, Value::Null).await, refused(400, "QUERY-DGqfd"));
    let path = "/management/v1/global/orgs/_by_domain?domain=begun.localhost";
    let (_, found) = caller.call("GET", path, Value::Null).await;
    assert_eq!(found["org"]["name"], "begun");
    let path = "/management/v1/global/users/_by_login_name?loginName=ada@example.com";
    let (_, found) = caller.call("GET", path, Value::Null).await;
    assert_eq!(found["user"]["userName"], "ada@example.com");
}

// Unlike other updates of the newer interfaces, this one refuses what is so already.
#[tokio::test]
async fn the_name_of_the_instance_has_to_change() {
    let caller = Caller::new();
    let path = "/zitadel.instance.v2.InstanceService/UpdateInstance";
    let name = json!({ "instanceName": "another" });
    assert_eq!(caller.call("POST", path, name.clone()).await.0, 200);
    assert_eq!(caller.refusal("POST", path, name).await, refused(400, "INST-alpxism"));
    let (_, settings) = caller.call("GET", "/v2/settings", Value::Null).await;
    assert_eq!(settings["defaultLanguage"], "en");
    assert_eq!(settings["allowedLanguages"], settings["supportedLanguages"]);
}

#[tokio::test]
async fn parts_of_people_are_changed_and_proven() {
    let caller = Caller::new();
    let organization = caller.organization("parts").await;
    let ada = caller.person(&organization, "ada", json!({})).await;
    let bot = caller.machine(&organization, "bot").await;
    let at = |user: &str, part: &str| format!("/v2/users/{user}/{part}");
    let email = |address: &str| json!({ "email": address, "returnCode": {} });
    let same = caller.refusal("POST", &at(&ada, "email"), email("ada@example.com")).await;
    assert_eq!(same, refused(400, "COMMAND-Uch5e"));
    let machine = caller.refusal("POST", &at(&bot, "email"), email("b@example.com")).await;
    assert_eq!(machine, refused(404, "COMMAND-ieJ2e"));
    let unproven = json!({ "email": "b@example.com", "isVerified": false });
    let unproven = caller.refusal("POST", &at(&ada, "email"), unproven).await;
    assert_eq!(unproven, refused(400, ""));
    let template = json!({ "email": "b@example.com", "sendCode": { "urlTemplate": "{{.No}}" } });
    let template = caller.refusal("POST", &at(&ada, "email"), template).await;
    assert_eq!(template, refused(400, "DOMAIN-oGh5e"));
    let resent = caller.refusal("POST", &at(&ada, "email/resend"), json!({})).await;
    assert_eq!(resent, refused(400, "EMAIL-5w5ilin4yt"));

    let (_, changed) = caller.call("POST", &at(&ada, "email"), email("new@example.com")).await;
    let code = changed["verificationCode"].as_str().unwrap();
    let wrong = json!({ "verificationCode": "no" });
    let wrong = caller.refusal("POST", &at(&ada, "email/verify"), wrong).await;
    assert_eq!(wrong, refused(400, "COMMAND-eis9R"));
    let right = json!({ "verificationCode": code });
    assert_eq!(caller.call("POST", &at(&ada, "email/verify"), right.clone()).await.0, 200);
    // It counts once.
    let again = caller.refusal("POST", &at(&ada, "email/verify"), right).await;
    assert_eq!(again, refused(400, "COMMAND-eis9R"));

    let (status, set) =
        caller.call("POST", &at(&ada, "phone"), json!({ "phone": "+41 79 123 45 67" })).await;
    assert_eq!((status, set["verificationCode"].is_null()), (200, true));
    let short = caller.refusal("POST", &at(&ada, "phone"), json!({ "phone": "1" })).await;
    assert_eq!(short, refused(400, "PHONE-so0wa"));
    let (_, seen) = caller.call("GET", &format!("/v2/users/{ada}"), Value::Null).await;
    assert_eq!(
        seen["user"]["human"]["email"],
        json!({ "email": "new@example.com", "isVerified": true })
    );
    assert_eq!(seen["user"]["human"]["phone"], json!({ "phone": "+41791234567" }));
    assert_eq!(caller.call("DELETE", &at(&ada, "phone"), Value::Null).await.0, 200);

    let password = |text: &str| json!({ "newPassword": { "password": text } });
    let weak = caller.refusal("POST", &at(&ada, "password"), password("short")).await;
    assert_eq!(weak, refused(400, "DOMAIN-HuJf6"));
    let (status, _) = caller.call("POST", &at(&ada, "password"), password("Secr3tP4ss!")).await;
    assert_eq!(status, 200);
    let mut with_former = password("0therP4ss!");
    with_former["currentPassword"] = json!("wrong");
    let wrong = caller.refusal("POST", &at(&ada, "password"), with_former).await;
    assert_eq!(wrong, refused(400, "COMMAND-3M0fs"));
}

// One of a group of fields is read; two are refused before anything is looked at.
#[tokio::test]
async fn a_user_is_of_one_type_with_one_password() {
    let caller = Caller::new();
    let organization = caller.organization("types").await;
    let human = json!({
        "profile": { "givenName": "Ada", "familyName": "Byron" },
        "email": { "email": "ada@example.com" },
        "password": { "password": "Secr3tP4ss!" },
        "hashedPassword": { "hash": "$2a$12$abc" },
    });
    let two = json!({ "organizationId": organization, "username": "two", "human": human });
    assert_eq!(caller.refusal("POST", "/v2/users/new", two).await, refused(400, ""));
    let ada = caller.person(&organization, "ada", json!({})).await;
    let path = format!("/v2/users/{ada}");
    let two = json!({ "human": {}, "machine": {} });
    assert_eq!(caller.refusal("PATCH", &path, two).await, refused(400, ""));
}

// The older form of mail servers is another view of the same providers.
#[tokio::test]
async fn mail_servers_have_an_older_form() {
    let caller = Caller::new();
    let none = caller.refusal("GET", "/admin/v1/smtp", Value::Null).await;
    assert_eq!(none, refused(404, "QUERY-fwofw"));
    let server = json!({
        "senderAddress": "a@example.com",
        "senderName": "A",
        "host": "mail.example.com:25",
    });
    let (status, made) = caller.call("POST", "/admin/v1/smtp", server.clone()).await;
    assert_eq!(status, 200);
    let id = made["id"].as_str().unwrap();
    let activated = caller.call("POST", &format!("/admin/v1/smtp/{id}/_activate"), json!({})).await;
    assert_eq!(activated.0, 200);
    let (_, read) = caller.call("GET", "/admin/v1/smtp", Value::Null).await;
    assert_eq!(read["smtpConfig"]["host"], "mail.example.com:25");
    assert_eq!(read["smtpConfig"]["state"], "SMTP_CONFIG_ACTIVE");
    let (_, read) = caller.call("GET", &format!("/admin/v1/email/{id}"), Value::Null).await;
    assert_eq!(read["config"]["smtp"]["host"], "mail.example.com:25");
    let (_, all) = caller.call("POST", "/admin/v1/smtp/_search", json!({})).await;
    assert_eq!(ids(&all, "result", "id"), [id]);
    let path = format!("/admin/v1/smtp/{id}");
    assert_eq!(caller.call("DELETE", &path, Value::Null).await.0, 200);
    let gone = caller.refusal("DELETE", &path, Value::Null).await;
    assert_eq!(gone, refused(404, "COMMAND-09CXlTDL6w"));
}
