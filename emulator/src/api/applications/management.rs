//! Applications through the management API.

use serde_json::{Value, json};

use super::{
    super::{
        Access, Answer, Call, Route, change_details, creation_details,
        list::{self, PAGE, Page, TEXT_QUERY},
    },
    At, apis,
    commands::{Made, remove, rename, set_active},
    missing,
    oidc::{self, Said},
    saml, secrets, views,
};
use crate::{
    errors::ApiError,
    message::message,
    model::application::Kind,
    proto::{EMPTY, Field, Message, NAME, SHORT},
    store::Event,
};

static UPDATE: Message = Message::new("UpdateAppRequest", &[Field::text("name").rules(NAME)]);
static NAME_QUERY: Message = Message::new(
    "AppNameQuery",
    &[Field::text("name").rules(SHORT), Field::choice("method", TEXT_QUERY)],
);
static QUERY: Message =
    Message::one_of("AppQuery", "query", &[Field::message("nameQuery", &NAME_QUERY)]);
static LIST: Message = Message::new(
    "ListAppsRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()],
);

/// The applications of a project, and one of them.
macro_rules! path {
    ($rest:literal) => {
        concat!("/management/v1/projects/{id}/apps/", $rest)
    };
}

pub(super) fn routes() -> Vec<Route> {
    const READ: Access = Access::Permission("project.app.read");
    const WRITE: Access = Access::Permission("project.app.write");
    const DELETE: Access = Access::Permission("project.app.delete");
    let routes = [
        Route::search(path!("_search"), READ, &LIST, search),
        Route::post(path!("oidc"), WRITE, &oidc::ADD, add_oidc),
        Route::post(path!("api"), WRITE, &apis::ADD, add_api),
        Route::post(path!("saml"), WRITE, &saml::ADD, add_saml),
        Route::get(path!("{app}"), READ, get),
        Route::put(path!("{app}"), WRITE, &UPDATE, |call| {
            let (at, name) = (At::path(call), call.request.text("name").to_owned());
            changed(rename(call, &at, &name))
        }),
        Route::delete(path!("{app}"), DELETE, |call| {
            let at = At::path(call);
            changed(remove(call, &at))
        }),
        Route::put(path!("{app}/oidc_config"), WRITE, &oidc::UPDATE, |call| {
            let (at, request) = (At::path(call), call.request.clone());
            changed(oidc::update(call, &at, &request, Said::Management))
        }),
        Route::put(path!("{app}/api_config"), WRITE, &apis::UPDATE, |call| {
            let (at, request) = (At::path(call), call.request.clone());
            changed(apis::update(call, &at, &request))
        }),
        Route::put(path!("{app}/saml_config"), WRITE, &saml::UPDATE, |call| {
            let (at, request) = (At::path(call), call.request.clone());
            saml::require_metadata("UpdateSAMLAppConfigRequest", &request)?;
            changed(saml::update(call, &at, &request))
        }),
        Route::post(path!("{app}/oidc_config/_generate_client_secret"), WRITE, &EMPTY, |call| {
            new_secret(call, Kind::Oidc)
        }),
        Route::post(path!("{app}/api_config/_generate_client_secret"), WRITE, &EMPTY, |call| {
            new_secret(call, Kind::Api)
        }),
        Route::post(path!("{app}/_deactivate"), WRITE, &EMPTY, |call| {
            let at = At::path(call);
            changed(set_active(call, &at, false))
        }),
        Route::post(path!("{app}/_reactivate"), WRITE, &EMPTY, |call| {
            let at = At::path(call);
            changed(set_active(call, &at, true))
        }),
    ];
    routes.map(|route| route.of_one("id")).into()
}

fn changed(event: Result<Event, ApiError>) -> Answer {
    Ok(json!({ "details": change_details(&event?) }).into())
}

/// What is told of an application that was made.
fn told(made: &Made) -> Value {
    message! {
        "appId" => &*made.id,
        "details" => creation_details(&made.event),
        "clientId" => &*made.client,
        "clientSecret" => made.secret.clone(),
    }
}

fn add_oidc(call: &mut Call<'_>) -> Answer {
    let (at, request) = (At::path(call), call.request.clone());
    let made = oidc::add(call, &at, request.text("name"), &request, Said::Management)?;
    let compliance = oidc::made(call, &at, &made.id);
    let mut told = told(&made);
    if let Some(told) = told.as_object_mut() {
        let problems = message! {
            "noneCompliant" => compliance.broken,
            "complianceProblems" => views::problems(&compliance),
        };
        told.extend(problems.as_object().cloned().unwrap_or_default());
    }
    Ok(told.into())
}

fn add_api(call: &mut Call<'_>) -> Answer {
    let (at, request) = (At::path(call), call.request.clone());
    let made = apis::add(call, &at, request.text("name"), &request)?;
    Ok(told(&made).into())
}

fn add_saml(call: &mut Call<'_>) -> Answer {
    let (at, request) = (At::path(call), call.request.clone());
    saml::require_metadata("AddSAMLAppRequest", &request)?;
    let made = saml::add(call, &at, request.text("name"), &request)?;
    Ok(told(&made).into())
}

fn new_secret(call: &mut Call<'_>, kind: Kind) -> Answer {
    let at = At::path(call);
    let (secret, event) = secrets::renew(call, &at, kind)?;
    Ok(json!({ "clientSecret": secret, "details": change_details(&event) }).into())
}

fn get(call: &mut Call<'_>) -> Answer {
    let (project, id) = (call.param("id"), call.param("app"));
    let application = call.state.read.applications.of_project(project, id);
    let application =
        application.ok_or_else(|| ApiError::not_found("QUERY-pCP8P", "Errors.App.NotExisting"))?;
    if application.stamp.owner != call.organization {
        return Err(missing("MANAG-SFf2a"));
    }
    Ok(json!({ "app": views::view(application) }).into())
}

/// The applications of a project, by their ids, whatever organization the call acts in.
fn search(call: &mut Call<'_>) -> Answer {
    let queries = call.request.messages("queries");
    let project = call.param("id");
    let mut rows: Vec<_> = call
        .state
        .read
        .applications
        .iter()
        .filter(|application| application.project == project)
        .filter(|application| {
            let name = |query: &crate::proto::Request| query.message("nameQuery");
            queries.iter().all(|query| list::matches(&application.name, &name(query), "name"))
        })
        .collect();
    rows.sort_by_key(|application| &application.id);
    let (page, total) = Page::of(&call.request).cut(rows.into_iter());
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("applications")),
        "result" => page.into_iter().map(views::view).collect::<Vec<_>>(),
    }
    .into())
}
