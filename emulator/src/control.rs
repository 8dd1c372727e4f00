//! `/_emulator/...`: the switches and counters over HTTP, on every host and without a token.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, Query, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    emulator::Emulator,
    faults::{Outage, Rule},
};

/// The routes, in the order of the crate's documentation.
pub(crate) fn router() -> Router<Emulator> {
    Router::new()
        .route("/_emulator", get(about))
        .route("/_emulator/reset", post(reset))
        .route("/_emulator/events", get(events))
        .route("/_emulator/calls", get(calls).delete(forget_calls))
        .route("/_emulator/users", post(add_user))
        .route("/_emulator/users/{id}/roles", put(set_roles))
        .route("/_emulator/faults", get(rules).post(add_rule).delete(clear))
        .route("/_emulator/conditions", post(conditions))
        .route("/_emulator/expire-tokens", post(expire_tokens))
        .route("/_emulator/refuse-tokens", post(refuse_tokens))
        .route("/_emulator/refuse-organization", post(refuse_organization))
        .route("/_emulator/report-instance", post(report_instance))
        .route("/_emulator/advance", post(advance))
        .route("/_emulator/new-instance", post(new_instance))
        .route("/_emulator/lose-next", post(lose_next))
        .route("/_emulator/missing", post(missing))
        .route("/_emulator/down", post(down))
        .route("/_emulator/up", post(up))
}

const DONE: StatusCode = StatusCode::NO_CONTENT;

async fn about(Shared(emulator): Shared<Emulator>) -> Json<Value> {
    let summary = emulator.shared.calls.summary();
    Json(json!({
        "instanceId": emulator.instance_id(),
        "events": emulator.event_count(),
        "calls": summary.total,
        "writes": summary.writes,
    }))
}

async fn reset(Shared(emulator): Shared<Emulator>) -> Response {
    match emulator.reset() {
        Ok(()) => DONE.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Which {
    aggregate_type: Option<String>,
    aggregate_id: Option<String>,
}

async fn events(Shared(emulator): Shared<Emulator>, Query(which): Query<Which>) -> Json<Value> {
    let same = |want: &Option<String>, have: &str| want.as_ref().is_none_or(|want| want == have);
    let events: Vec<_> = emulator
        .events()
        .into_iter()
        .filter(|event| same(&which.aggregate_type, event.aggregate_type))
        .filter(|event| same(&which.aggregate_id, &event.aggregate_id))
        .collect();
    Json(json!({ "total": events.len(), "events": events }))
}

async fn calls(Shared(emulator): Shared<Emulator>) -> Json<Value> {
    let summary = emulator.shared.calls.summary();
    Json(json!({
        "total": summary.total,
        "writes": summary.writes,
        "routes": summary.routes,
        "calls": emulator.calls(),
    }))
}

async fn forget_calls(Shared(emulator): Shared<Emulator>) -> StatusCode {
    emulator.reset_calls();
    DONE
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Somebody {
    user_name: String,
    display_name: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

async fn add_user(Shared(emulator): Shared<Emulator>, Json(user): Json<Somebody>) -> Response {
    let roles: Vec<_> = user.roles.iter().map(String::as_str).collect();
    let name = user.display_name.as_ref().unwrap_or(&user.user_name);
    Json(emulator.add_user(&user.user_name, name, &roles)).into_response()
}

#[derive(Deserialize)]
struct Roles {
    roles: Vec<String>,
}

async fn set_roles(
    Shared(emulator): Shared<Emulator>,
    Path(id): Path<String>,
    Json(roles): Json<Roles>,
) -> StatusCode {
    let roles: Vec<_> = roles.roles.iter().map(String::as_str).collect();
    emulator.set_roles(&id, &roles);
    DONE
}

async fn rules(Shared(emulator): Shared<Emulator>) -> Json<Vec<Rule>> {
    Json(emulator.faults().rules())
}

async fn add_rule(Shared(emulator): Shared<Emulator>, Json(rule): Json<Rule>) -> StatusCode {
    emulator.faults().add(rule);
    DONE
}

async fn clear(Shared(emulator): Shared<Emulator>) -> StatusCode {
    emulator.faults().clear();
    DONE
}

/// Conditions of the whole server; what is omitted stays. Times in milliseconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Conditions {
    latency: Option<Latency>,
    lag: Option<u64>,
    lose_every: Option<u64>,
    late_commits: Option<u64>,
    one_date: Option<u64>,
    token_lifetime: Option<u64>,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Latency {
    #[serde(default)]
    read: u64,
    #[serde(default)]
    write: u64,
}

async fn conditions(
    Shared(emulator): Shared<Emulator>,
    Json(wanted): Json<Conditions>,
) -> StatusCode {
    let faults = emulator.faults();
    let time = Duration::from_millis;
    if let Some(latency) = wanted.latency {
        faults.latency(time(latency.read), time(latency.write));
    }
    if let Some(lag) = wanted.lag {
        faults.lag(time(lag));
    }
    if let Some(every) = wanted.lose_every {
        faults.lose_every(every);
    }
    if let Some(most) = wanted.late_commits {
        faults.late_commits(time(most));
    }
    if let Some(transactions) = wanted.one_date {
        faults.one_date(transactions);
    }
    if let Some(lifetime) = wanted.token_lifetime {
        faults.token_lifetime(time(lifetime));
    }
    if let Some(seconds) = wanted.expires_in {
        faults.expires_in(seconds);
    }
    DONE
}

async fn expire_tokens(Shared(emulator): Shared<Emulator>) -> StatusCode {
    emulator.faults().expire_tokens();
    DONE
}

#[derive(Deserialize)]
struct TokenRefusal {
    status: u16,
    error: String,
    times: Option<u32>,
}

async fn refuse_tokens(
    Shared(emulator): Shared<Emulator>,
    Json(refusal): Json<TokenRefusal>,
) -> StatusCode {
    emulator.faults().refuse_tokens(refusal.status, &refusal.error, refusal.times);
    DONE
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

async fn refuse_organization(
    Shared(emulator): Shared<Emulator>,
    Json(organization): Json<Named>,
) -> StatusCode {
    emulator.faults().refuse_organization(&organization.id);
    DONE
}

async fn report_instance(
    Shared(emulator): Shared<Emulator>,
    Json(instance): Json<Named>,
) -> StatusCode {
    emulator.faults().report_instance_id(&instance.id);
    DONE
}

#[derive(Deserialize)]
struct Time {
    milliseconds: u64,
}

async fn advance(Shared(emulator): Shared<Emulator>, Json(time): Json<Time>) -> StatusCode {
    emulator.faults().advance(Duration::from_millis(time.milliseconds));
    DONE
}

async fn new_instance(Shared(emulator): Shared<Emulator>) -> Json<Value> {
    Json(json!({ "instanceId": emulator.faults().new_instance() }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lose {
    event_type: String,
}

async fn lose_next(Shared(emulator): Shared<Emulator>, Json(lose): Json<Lose>) -> StatusCode {
    emulator.faults().lose_next(&lose.event_type);
    DONE
}

async fn missing(
    Shared(emulator): Shared<Emulator>,
    Json(missing): Json<crate::faults::Missing>,
) -> StatusCode {
    emulator.faults().missing(&missing.path, missing.status);
    DONE
}

#[derive(Deserialize)]
struct Down {
    outage: Option<Outage>,
}

async fn down(Shared(emulator): Shared<Emulator>, down: Option<Json<Down>>) -> StatusCode {
    let outage = down.and_then(|Json(down)| down.outage);
    emulator.faults().down(outage.unwrap_or(Outage::Reset));
    DONE
}

async fn up(Shared(emulator): Shared<Emulator>) -> StatusCode {
    emulator.faults().up();
    DONE
}
