//! The faults, one by one: in process where that shows them, over a socket where it takes one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::{Duration, Instant};

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use reqwest::Client;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use zitadel_emulator::{Action, Emulator, Options, Outage, Reset, Rule, Running};

/// A client of an emulator in process.
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

    /// The same emulator, called with another token.
    fn with_token(&self, token: &str) -> Self {
        Self {
            emulator: self.emulator.clone(),
            token: token.to_owned(),
            organization: String::new(),
        }
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
        let response = self
            .emulator
            .router()
            .oneshot(request.body(Body::from(body.to_string())).unwrap())
            .await
            .unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn add_project(&self, name: &str) -> (u16, String) {
        let (status, body) =
            self.call("POST", "/management/v1/projects", json!({ "name": name })).await;
        (status, body["id"].as_str().unwrap_or_default().to_owned())
    }

    async fn read_project(&self, id: &str) -> u16 {
        self.call("GET", &format!("/management/v1/projects/{id}"), Value::Null).await.0
    }

    async fn feed(&self, wanted: Value) -> Vec<Value> {
        let (_, body) = self.call("POST", "/admin/v1/events/_search", wanted).await;
        body["events"].as_array().cloned().unwrap_or_default()
    }
}

#[tokio::test]
async fn rules_answer_instead_of_the_server() {
    let caller = Caller::new();
    let faults = caller.emulator.faults();
    let once = |action| Rule::new(action).path("/admin/v1/*").times(1);
    for (action, status, code) in [
        (Action::TooManyRequests { retry_after: Some(3) }, 429, json!(8)),
        (Action::TooManyRequests { retry_after: None }, 429, json!(8)),
        (Action::Status { status: 500 }, 500, Value::Null),
        (Action::Unavailable, 503, json!(14)),
        (Action::ExpiredToken, 401, json!(16)),
    ] {
        faults.add(once(action.clone()));
        let (found, body) = caller.call("GET", "/admin/v1/restrictions", Value::Null).await;
        assert_eq!((found, &body["code"]), (status, &code), "{action:?}");
        assert_eq!(caller.call("GET", "/admin/v1/restrictions", Value::Null).await.0, 200);
    }
}

#[tokio::test]
async fn retry_after_is_told_where_it_is_given() {
    let caller = Caller::new();
    caller
        .emulator
        .faults()
        .add(Rule::new(Action::TooManyRequests { retry_after: Some(7) }).times(1));
    let request = Request::get("/admin/v1/healthz").body(Body::empty()).unwrap();
    let response = caller.emulator.router().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "7");
}

#[tokio::test]
async fn in_process_a_reset_is_an_answer_that_breaks() {
    let caller = Caller::new();
    caller.emulator.faults().add(Rule::new(Action::Reset).times(1));
    let request = Request::get("/admin/v1/healthz").body(Body::empty()).unwrap();
    let response = caller.emulator.router().oneshot(request).await.unwrap();
    assert!(response.extensions().get::<Reset>().is_some());
    assert!(to_bytes(response.into_body(), usize::MAX).await.is_err());
    assert_eq!(caller.emulator.calls()[0].status, 0);
}

#[tokio::test]
async fn a_lost_answer_leaves_its_effect() {
    let caller = Caller::new();
    let before = caller.emulator.event_count();
    caller
        .emulator
        .faults()
        .add(Rule::new(Action::LoseAnswerWith { status: 504 }).method("POST").times(1));
    assert_eq!(caller.add_project("lost").await.0, 504);
    assert_eq!(caller.emulator.event_count(), before + 1);
    assert_eq!(caller.add_project("lost").await.0, 409);
}

#[tokio::test]
async fn reads_lag_and_the_feed_does_not() {
    let caller = Caller::new();
    caller.emulator.faults().lag(Duration::from_millis(150));
    let (_, id) = caller.add_project("slow").await;
    assert_eq!(caller.read_project(&id).await, 404);
    assert_eq!(caller.feed(json!({ "aggregateId": id })).await.len(), 1);
    // The write side knows it already.
    assert_eq!(caller.add_project("slow").await.0, 409);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(caller.read_project(&id).await, 200);
}

#[tokio::test]
async fn a_lost_event_makes_a_ghost() {
    let caller = Caller::new();
    caller.emulator.faults().lose_next("project.added");
    let (status, id) = caller.add_project("ghost").await;
    assert_eq!(status, 200);
    assert_eq!(caller.read_project(&id).await, 404);
    assert_eq!(caller.add_project("ghost").await.0, 409);
    let path = format!("/management/v1/projects/{id}");
    assert_eq!(caller.call("PUT", &path, json!({ "name": "other" })).await.0, 200);
    assert_eq!(caller.read_project(&id).await, 404);
    assert_eq!(caller.call("DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(caller.add_project("ghost").await.0, 200);

    caller.emulator.faults().lose_every(2);
    let mut seen = 0;
    for number in 0..10 {
        let (_, id) = caller.add_project(&format!("p{number}")).await;
        seen += u32::from(caller.read_project(&id).await == 200);
    }
    assert_eq!(seen, 5);
}

#[tokio::test]
async fn late_commits_show_up_behind_younger_events() {
    let caller = Caller::new();
    let newest = caller.feed(json!({ "limit": 1 })).await[0]["creationDate"].clone();
    caller.emulator.faults().late_commits(Duration::from_millis(300));
    for number in 0..20 {
        caller.add_project(&format!("p{number}")).await;
    }
    let wanted = json!({ "asc": true, "from": newest });
    assert!(caller.feed(wanted.clone()).await.len() < 20);
    tokio::time::sleep(Duration::from_millis(350)).await;
    let dates: Vec<_> =
        caller.feed(wanted).await.iter().map(|event| event["creationDate"].to_string()).collect();
    assert_eq!(dates.len(), 20);
    assert!(dates.is_sorted());
}

/// A token by client credentials.
async fn token(caller: &Caller, secret: &str) -> String {
    let scope = "openid+urn:zitadel:iam:org:project:id:zitadel:aud";
    let form =
        format!("grant_type=client_credentials&client_id=bot&client_secret={secret}&scope={scope}");
    let request = Request::post("/oauth/v2/token").body(Body::from(form)).unwrap();
    let response = caller.emulator.router().oneshot(request).await.unwrap();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn tokens_expire_when_they_are_told_to() {
    let caller = Caller::new();
    let faults = caller.emulator.faults();
    let bot = caller.emulator.add_user("bot", "Bot", &["IAM_OWNER_VIEWER"]);
    let path = format!("/management/v1/users/{}/secret", bot.id);
    let (_, body) = caller.call("PUT", &path, json!({})).await;
    let secret = body["clientSecret"].as_str().unwrap();

    let first = caller.with_token(&token(&caller, secret).await);
    assert_eq!(first.call("GET", "/admin/v1/restrictions", Value::Null).await.0, 200);
    faults.expire_tokens();
    assert_eq!(first.call("GET", "/admin/v1/restrictions", Value::Null).await.0, 401);
    assert_eq!(caller.call("GET", "/admin/v1/restrictions", Value::Null).await.0, 200);

    faults.token_lifetime(Duration::from_mins(1));
    let second = caller.with_token(&token(&caller, secret).await);
    assert_eq!(second.call("GET", "/admin/v1/restrictions", Value::Null).await.0, 200);
    faults.advance(Duration::from_mins(2));
    assert_eq!(second.call("GET", "/admin/v1/restrictions", Value::Null).await.0, 401);
}

#[tokio::test]
async fn the_whole_server_has_conditions() {
    let caller = Caller::new();
    let faults = caller.emulator.faults();
    let restrictions = || caller.call("GET", "/admin/v1/restrictions", Value::Null);

    faults.latency(Duration::from_millis(60), Duration::ZERO);
    let start = Instant::now();
    restrictions().await;
    assert!(start.elapsed() >= Duration::from_millis(60));
    faults.latency(Duration::ZERO, Duration::ZERO);

    faults.missing("/zitadel.project.v2", 404);
    assert_eq!(
        caller.call("POST", "/zitadel.project.v2.ProjectService/ListProjects", json!({})).await.0,
        404
    );
    faults.missing("/admin/v1/orgs/*/policies/domain", 501);
    assert_eq!(caller.call("GET", "/admin/v1/orgs/1/policies/domain", Value::Null).await.0, 501);

    faults.down(Outage::Unavailable);
    assert_eq!(restrictions().await.0, 503);
    faults.down(Outage::Hang);
    let calls = caller.emulator.calls().len();
    let hangs = tokio::time::timeout(Duration::from_millis(50), restrictions()).await;
    assert!(hangs.is_err());
    let calls = caller.emulator.calls().split_off(calls);
    assert!(calls.len() == 1 && calls[0].status == 0, "it counts: {calls:?}");
    faults.up();
    assert_eq!(restrictions().await.0, 200);

    let before = caller.emulator.instance_id();
    let now = faults.new_instance();
    assert_ne!(before, now);
    let (_, body) =
        caller.call("POST", "/zitadel.instance.v2.InstanceService/GetInstance", json!({})).await;
    assert_eq!(body["instance"]["id"], now);
    assert_eq!(restrictions().await.0, 200);

    faults.clear();
    assert_eq!(
        caller.call("POST", "/zitadel.project.v2.ProjectService/ListProjects", json!({})).await.0,
        200
    );
}

#[tokio::test]
async fn calls_and_writes_are_counted_and_a_reset_keeps_the_credentials() {
    let caller = Caller::new();
    let key_file = caller.emulator.key_file();
    let (_, id) = caller.add_project("one").await;
    caller.read_project(&id).await;
    caller.call("POST", "/management/v1/projects/_search", json!({})).await;
    let calls = caller.emulator.calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.method.as_str(), call.route.as_str(), call.status, call.writes))
        .collect();
    assert_eq!(
        seen,
        [
            ("POST", "/management/v1/projects", 200, true),
            ("GET", "/management/v1/projects/{id}", 200, false),
            ("POST", "/management/v1/projects/_search", 200, false),
        ]
    );
    let instance = caller.emulator.instance_id();
    caller.emulator.reset().unwrap();
    assert!(caller.emulator.calls().is_empty());
    assert_ne!(caller.emulator.instance_id(), instance);
    assert_eq!(caller.emulator.key_file(), key_file);
    assert_eq!(caller.read_project(&id).await, 404);
}

#[tokio::test]
async fn others_sign_their_changes_and_may_do_less() {
    let caller = Caller::new();
    let somebody = caller.emulator.add_user("ada", "Ada Byron", &["ORG_OWNER"]);
    let ada = caller.with_token(&somebody.pat);
    let (status, id) = ada.add_project("hers").await;
    assert_eq!(status, 200);
    let events = caller.feed(json!({ "aggregateId": id })).await;
    assert_eq!(
        events[0]["editor"],
        json!({ "userId": somebody.id, "displayName": "Ada Byron", "service": "zitadel" })
    );

    let (status, body) = ada.call("GET", "/admin/v1/restrictions", Value::Null).await;
    assert_eq!((status, &body["details"][0]["id"]), (403, &json!("AUTH-5mWD2")));
    let viewer =
        caller.with_token(&caller.emulator.add_user("eve", "Eve", &["IAM_OWNER_VIEWER"]).pat);
    assert_eq!(viewer.read_project(&id).await, 200);
    assert_eq!(viewer.add_project("no").await.0, 403);
    let v2 = json!({ "projectId": id, "name": "no" });
    let (status, body) =
        viewer.call("POST", "/zitadel.project.v2.ProjectService/UpdateProject", v2).await;
    assert_eq!((status, &body["details"][0]["debug"]["id"]), (403, &json!("AUTH-AWfge")));
    let nobody = caller.with_token(&caller.emulator.add_user("bob", "Bob", &[]).pat);
    let (status, body) = nobody.call("GET", "/admin/v1/restrictions", Value::Null).await;
    assert_eq!((status, &body["details"][0]["id"]), (404, &json!("AUTHZ-cdgFk")));
}

#[tokio::test]
async fn a_foreign_organization_is_no_place_to_act_in() {
    let caller = Caller::new();
    let (_, body) = caller.call("POST", "/v2/organizations", json!({ "name": "theirs" })).await;
    let mut ada = caller.with_token(&caller.emulator.add_user("ada", "Ada", &["ORG_OWNER"]).pat);
    body["organizationId"].as_str().unwrap().clone_into(&mut ada.organization);
    let (status, body) = ada.call("POST", "/management/v1/projects", json!({ "name": "x" })).await;
    assert_eq!((status, &body["details"][0]["id"]), (404, &json!("AUTHZ-cdgFk")));
}

#[tokio::test]
async fn a_lying_server_reports_another_instance() {
    let caller = Caller::new();
    let instance =
        || caller.call("POST", "/zitadel.instance.v2.InstanceService/GetInstance", json!({}));
    let id = caller.emulator.instance_id();
    caller.emulator.faults().report_instance_id("123456789012345678");
    assert_eq!(instance().await.1["instance"]["id"], "123456789012345678");
    let (_, v1) = caller.call("GET", "/admin/v1/instances/me", Value::Null).await;
    assert_eq!(v1["instance"]["id"], "123456789012345678");
    assert_eq!(caller.emulator.instance_id(), id);
    caller.emulator.faults().clear();
    assert_eq!(instance().await.1["instance"]["id"], id);
}

#[tokio::test]
async fn the_token_endpoint_lies_about_lifetimes_and_refuses() {
    let caller = Caller::new();
    let faults = caller.emulator.faults();
    let bot = caller.emulator.add_user("bot", "Bot", &["IAM_OWNER_VIEWER"]);
    let path = format!("/management/v1/users/{}/secret", bot.id);
    let (_, body) = caller.call("PUT", &path, json!({})).await;
    let secret = body["clientSecret"].as_str().unwrap().to_owned();
    let ask = async || {
        let form = format!("grant_type=client_credentials&client_id=BOT&client_secret={secret}");
        let request = Request::post("/oauth/v2/token").body(Body::from(form)).unwrap();
        let response = caller.emulator.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice::<Value>(&bytes).unwrap())
    };
    faults.expires_in(u64::MAX);
    assert_eq!(ask().await.1["expires_in"], u64::MAX);
    faults.refuse_tokens(400, "invalid_grant", Some(1));
    faults.refuse_tokens(401, "invalid_client", Some(1));
    for (status, error) in [(400, "invalid_grant"), (401, "invalid_client")] {
        let (found, body) = ask().await;
        assert_eq!((found, &body["error"]), (status, &json!(error)));
        assert_eq!(body.get("expires_in"), None);
    }
    assert_eq!(ask().await.1["expires_in"], u64::MAX);
    faults.clear();
    assert_eq!(ask().await.1["expires_in"], 43_199);
}

#[tokio::test]
async fn only_the_feed_fails() {
    let caller = Caller::new();
    let feed = || caller.call("POST", "/admin/v1/events/_search", json!({}));
    let rule = |status, body| {
        Rule::new(Action::Answer { status, body }).path("/admin/v1/events/_search").times(1)
    };
    caller.emulator.faults().add(rule(500, json!({ "code": 13, "message": "internal" })));
    caller.emulator.faults().add(rule(200, json!("{\"events\": [")));
    let (status, body) = feed().await;
    assert_eq!((status, &body["code"]), (500, &json!(13)));
    assert_eq!(caller.call("GET", "/admin/v1/restrictions", Value::Null).await.0, 200);
    assert_eq!(feed().await, (200, Value::Null), "no JSON");
    assert!(feed().await.1["events"].is_array());
}

#[tokio::test]
async fn rows_of_lists_can_be_odd() {
    let caller = Caller::new();
    caller.add_project("one").await;
    let alter = |pointer: &str, value| {
        let action = Action::Alter { pointer: pointer.to_owned(), value };
        let path = "/zitadel.project.v2.ProjectService/ListProjects";
        caller.emulator.faults().add(Rule::new(action).path(path));
    };
    alter("/projects/0/state", Some(json!("PROJECT_STATE_FROZEN")));
    alter("/projects/0/projectId", None);
    let (_, body) =
        caller.call("POST", "/zitadel.project.v2.ProjectService/ListProjects", json!({})).await;
    assert_eq!(body["projects"][0]["state"], "PROJECT_STATE_FROZEN");
    assert_eq!(body["projects"][0].get("projectId"), None);
    assert_eq!(body["projects"][1]["state"], "PROJECT_STATE_ACTIVE");
}

#[tokio::test]
async fn pages_of_lists_never_end() {
    let caller = Caller::new();
    for number in 0..3 {
        caller.add_project(&format!("p{number}")).await;
    }
    caller.emulator.faults().add(Rule::new(Action::FirstPage));
    let page = |offset: u32| {
        let body = json!({ "pagination": { "offset": offset.to_string(), "limit": 2 } });
        caller.call("POST", "/zitadel.project.v2.ProjectService/ListProjects", body)
    };
    let (first, later) = (page(0).await.1, page(1_000).await.1);
    assert_eq!(first["projects"], later["projects"]);
    assert_eq!(later["pagination"]["totalResult"], u64::MAX.to_string());
    let newest = json!({ "limit": 2, "asc": true, "from": "2099-01-01T00:00:00Z" });
    assert_eq!(caller.feed(newest).await.len(), 2);
}

#[tokio::test]
async fn bodies_are_huge_or_never_end() {
    let (running, client) = over_socket().await;
    let url = format!("{}/debug/ready", running.url());
    running.emulator().faults().add(Rule::new(Action::Inflate { bytes: 300_000 }).times(1));
    let body = client.get(&url).send().await.unwrap().text().await.unwrap();
    assert_eq!((body.len(), body.trim_end()), (300_004, "\"ok\""));
    running.emulator().faults().add(Rule::new(Action::Endless).times(1));
    let mut response = client.get(&url).send().await.unwrap();
    let mut seen = 0;
    while seen < 1_000_000 {
        seen += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn an_organization_that_exists_is_refused() {
    let mut caller = Caller::new();
    let (_, body) = caller.call("POST", "/v2/organizations", json!({ "name": "theirs" })).await;
    body["organizationId"].as_str().unwrap().clone_into(&mut caller.organization);
    caller.emulator.faults().refuse_organization(&caller.organization);
    let (status, body) = caller.call("GET", "/management/v1/orgs/me", Value::Null).await;
    assert_eq!((status, &body["details"][0]["id"]), (403, &json!("AUTH-Bs7Ds")));
    caller.emulator.faults().clear();
    assert_eq!(caller.call("GET", "/management/v1/orgs/me", Value::Null).await.0, 200);
}

#[tokio::test]
async fn lists_hide_what_an_account_without_its_role_may_not_see() {
    let caller = Caller::new();
    caller.call("POST", "/v2/organizations", json!({ "name": "other" })).await;
    let bot = caller.emulator.add_user("bot", "Bot", &["IAM_OWNER"]);
    let bot_calls = caller.with_token(&bot.pat);
    let seen = async || {
        let (status, body) = bot_calls.call("POST", "/v2/organizations/_search", json!({})).await;
        assert_eq!(status, 200);
        assert_eq!(body["details"]["totalResult"], "2", "the total tells nothing");
        body["result"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(seen().await, 2);
    caller.emulator.set_roles(&bot.id, &["ORG_OWNER"]);
    assert_eq!(seen().await, 1);
    caller.emulator.set_roles(&bot.id, &[]);
    assert_eq!(seen().await, 0);
    caller.emulator.set_roles(&bot.id, &["IAM_OWNER"]);
    assert_eq!(seen().await, 2);
}

#[tokio::test]
async fn an_older_server_has_no_services_v2() {
    let caller = Caller::new();
    for path in ["/zitadel.", "/v2/"] {
        caller.emulator.faults().missing(path, 404);
    }
    for (method, path) in [
        ("POST", "/zitadel.project.v2.ProjectService/ListProjects"),
        ("POST", "/zitadel.instance.v2.InstanceService/GetInstance"),
        ("POST", "/v2/organizations/_search"),
        ("GET", "/v2/settings/security"),
    ] {
        assert_eq!(caller.call(method, path, json!({})).await.0, 404, "{path}");
    }
    assert_eq!(caller.call("GET", "/admin/v1/instances/me", Value::Null).await.0, 200);
}

#[tokio::test]
async fn what_expires_does_so_when_the_clock_jumps() {
    let caller = Caller::new();
    let bot = caller.emulator.add_user("bot", "Bot", &["IAM_OWNER"]);
    let path = format!("/management/v1/users/{}/pats", bot.id);
    let expiry = json!({ "expirationDate": "2099-01-01T00:00:00Z" });
    let (_, body) = caller.call("POST", &path, expiry).await;
    let bot_calls = caller.with_token(body["token"].as_str().unwrap());
    let status = async || bot_calls.call("GET", "/admin/v1/restrictions", Value::Null).await.0;
    assert_eq!(status().await, 200);
    caller.emulator.faults().advance(Duration::from_hours(24 * 366 * 100));
    assert_eq!(status().await, 401);
}

async fn over_socket() -> (Running, Client) {
    let running = Emulator::start(Options::default()).await.unwrap();
    (running, Client::builder().pool_max_idle_per_host(0).build().unwrap())
}

#[tokio::test]
async fn over_a_socket_a_reset_closes_it() {
    let (running, client) = over_socket().await;
    let url = format!("{}/debug/healthz", running.url());
    for action in [Action::Reset, Action::LoseAnswer, Action::Truncate] {
        running.emulator().faults().add(Rule::new(action.clone()).times(1));
        let answer = match client.get(&url).send().await {
            Ok(response) => response.bytes().await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(answer.is_err(), "{action:?}");
        assert!(client.get(&url).send().await.unwrap().status().is_success());
    }
}

#[tokio::test]
async fn a_server_that_is_down_resets_and_comes_back() {
    let (running, client) = over_socket().await;
    let url = format!("{}/debug/ready", running.url());
    let post = |path: &str| client.post(format!("{}{path}", running.url())).send();
    assert_eq!(post("/_emulator/down").await.unwrap().status(), 204);
    assert!(client.get(&url).send().await.is_err());
    assert_eq!(post("/_emulator/up").await.unwrap().status(), 204);
    assert!(client.get(&url).send().await.is_ok());
}

#[tokio::test]
async fn a_stopped_server_breaks_its_connections_and_restarts_with_its_state() {
    let mut running = Emulator::start(Options::default()).await.unwrap();
    let client = Client::new();
    let url = format!("{}/debug/ready", running.url());
    assert!(client.get(&url).send().await.is_ok());
    let before = running.emulator().instance_id();
    running.stop().await;
    assert!(client.get(&url).send().await.is_err());
    running.restart().await.unwrap();
    assert!(client.get(&url).send().await.is_ok());
    assert_eq!(running.emulator().instance_id(), before);
}

#[tokio::test]
async fn switches_work_over_http() {
    let (running, client) = over_socket().await;
    let at = |path: &str| format!("{}{path}", running.url());
    let rule = json!({ "action": { "type": "tooManyRequests", "retryAfter": 1 }, "path": "/debug", "times": 1 });
    assert_eq!(
        client.post(at("/_emulator/faults")).json(&rule).send().await.unwrap().status(),
        204
    );
    assert_eq!(client.get(at("/debug/ready")).send().await.unwrap().status(), 429);
    let conditions = json!({ "latency": { "read": 1 }, "lag": 5, "loseEvery": 0, "lateCommits": 0, "tokenLifetime": 1000, "expiresIn": u64::MAX });
    assert_eq!(
        client.post(at("/_emulator/conditions")).json(&conditions).send().await.unwrap().status(),
        204
    );
    let user = json!({ "userName": "ada", "displayName": "Ada", "roles": ["IAM_OWNER"] });
    let user: Value =
        client.post(at("/_emulator/users")).json(&user).send().await.unwrap().json().await.unwrap();
    let pat = user["pat"].as_str().unwrap();
    let me = client.get(at("/auth/v1/users/me")).bearer_auth(pat).send().await.unwrap();
    assert!(me.status() == 200 || me.status() == 404, "the read side may lag");
    for (path, body) in [
        (
            "/_emulator/faults",
            json!({ "action": { "type": "alter", "pointer": "/a" }, "times": 1 }),
        ),
        (
            "/_emulator/faults",
            json!({ "action": { "type": "answer", "status": 200, "body": "[" }, "path": "/x" }),
        ),
        ("/_emulator/faults", json!({ "action": { "type": "firstPage" }, "path": "/x" })),
        ("/_emulator/faults", json!({ "action": { "type": "inflate", "bytes": 1 }, "path": "/x" })),
        ("/_emulator/faults", json!({ "action": { "type": "endless" }, "path": "/x" })),
        (
            "/_emulator/refuse-tokens",
            json!({ "status": 400, "error": "invalid_grant", "times": 1 }),
        ),
        ("/_emulator/refuse-organization", json!({ "id": "1" })),
        ("/_emulator/report-instance", json!({ "id": "1" })),
        ("/_emulator/advance", json!({ "milliseconds": 1 })),
    ] {
        let answer = client.post(at(path)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{path} {body}");
    }
    let roles = format!("/_emulator/users/{}/roles", user["id"].as_str().unwrap());
    let answer = client.put(at(&roles)).json(&json!({ "roles": [] })).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    let events: Value = client
        .get(at("/_emulator/events?aggregateType=user"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(events["total"].as_u64().unwrap() >= 4);
    let calls: Value =
        client.get(at("/_emulator/calls")).send().await.unwrap().json().await.unwrap();
    assert_eq!(calls["total"], 2);
    assert_eq!(client.post(at("/_emulator/reset")).send().await.unwrap().status(), 204);
}
