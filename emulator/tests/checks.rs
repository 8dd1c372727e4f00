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
