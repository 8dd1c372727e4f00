//! Applications through the application service v2.

use serde_json::{Map, Value, json};

use super::{
    super::{
        Access, Answer, Call, Route, date,
        list::{self, PAGE, Page, TEXT_FILTER},
    },
    At, apis,
    commands::{Made, remove, rename, set_active},
    oidc::{self, Said},
    saml, secrets, views,
};
use crate::{
    clock::NO_DATE,
    errors::{ApiError, Code},
    message::message,
    model::application::{Application, Kind},
    proto::{Field, Message, NAME, Request, Rule, SHORT},
};

static CREATE: Message = Message::new(
    "CreateApplicationRequest",
    &[
        Field::text("projectId").rules(NAME),
        Field::text("applicationId").rules(SHORT),
        Field::text("name").rules(NAME),
        Field::message("oidcConfiguration", &oidc::CREATE_V2).in_group("application_type"),
        Field::message("samlConfiguration", &saml::CREATE_V2).in_group("application_type"),
        Field::message("apiConfiguration", &apis::CREATE_V2).in_group("application_type"),
    ],
);
static UPDATE: Message = Message::new(
    "UpdateApplicationRequest",
    &[
        Field::text("applicationId").rules(NAME),
        Field::text("projectId").rules(NAME),
        Field::text("name").rules(SHORT),
        Field::message("samlConfiguration", &saml::UPDATE_V2).in_group("application_type"),
        Field::message("oidcConfiguration", &oidc::UPDATE_V2).in_group("application_type"),
        Field::message("apiConfiguration", &apis::UPDATE_V2).in_group("application_type"),
    ],
);
const ONE: &[Field] =
    &[Field::text("applicationId").rules(NAME), Field::text("projectId").rules(NAME)];
static DELETE: Message = Message::new("DeleteApplicationRequest", ONE);
static DEACTIVATE: Message = Message::new("DeactivateApplicationRequest", ONE);
static REACTIVATE: Message = Message::new("ReactivateApplicationRequest", ONE);
static GENERATE_SECRET: Message = Message::new("GenerateClientSecretRequest", ONE);
static GET: Message =
    Message::new("GetApplicationRequest", &[Field::text("applicationId").rules(NAME)]);

const STATES: &[&str] = &[
    "APPLICATION_STATE_UNSPECIFIED",
    "APPLICATION_STATE_ACTIVE",
    "APPLICATION_STATE_INACTIVE",
    "APPLICATION_STATE_REMOVED",
];
const TYPES: &[&str] = &[
    "APPLICATION_TYPE_UNSPECIFIED",
    "APPLICATION_TYPE_OIDC",
    "APPLICATION_TYPE_API",
    "APPLICATION_TYPE_SAML",
];
static PROJECT_FILTER: Message =
    Message::new("ProjectIDFilter", &[Field::text("projectId").rules(NAME)]);
static NAME_FILTER: Message = Message::new(
    "ApplicationNameFilter",
    &[Field::text("name").rules(SHORT), Field::choice("method", TEXT_FILTER)],
);
static CLIENT_FILTER: Message =
    Message::new("ClientIDFilter", &[Field::text("clientId").rules(NAME)]);
static ENTITY_FILTER: Message =
    Message::new("EntityIDFilter", &[Field::text("entityId").rules(NAME)]);
static FILTER: Message = Message::one_of(
    "ApplicationSearchFilter",
    "filter",
    &[
        Field::message("projectIdFilter", &PROJECT_FILTER),
        Field::message("nameFilter", &NAME_FILTER),
        Field::choice("stateFilter", STATES).rules(&[]),
        Field::choice("typeFilter", TYPES).rules(&[Rule::Defined]),
        Field::message("clientIdFilter", &CLIENT_FILTER),
        Field::message("entityIdFilter", &ENTITY_FILTER),
    ],
);
static LIST: Message = Message::new(
    "ListApplicationsRequest",
    &[
        Field::message("pagination", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "APPLICATION_SORT_BY_ID",
                "APPLICATION_SORT_BY_NAME",
                "APPLICATION_SORT_BY_STATE",
                "APPLICATION_SORT_BY_CREATION_DATE",
                "APPLICATION_SORT_BY_CHANGE_DATE",
            ],
        ),
        Field::message("filters", &FILTER).repeated(),
    ],
);

/// A method of the service.
macro_rules! path {
    ($method:literal) => {
        concat!("/zitadel.application.v2.ApplicationService/", $method)
    };
}

pub(super) fn routes() -> Vec<Route> {
    use Access::Authenticated;
    vec![
        Route::post(path!("CreateApplication"), Authenticated, &CREATE, create),
        Route::post(path!("UpdateApplication"), Authenticated, &UPDATE, update),
        Route::search(path!("GetApplication"), Authenticated, &GET, get),
        Route::search(path!("ListApplications"), Authenticated, &LIST, search),
        Route::post(path!("DeleteApplication"), Authenticated, &DELETE, |call| {
            let at = At::request(call);
            let event = remove(call, &at)?;
            Ok(json!({ "deletionDate": date(&event) }).into())
        }),
        Route::post(path!("DeactivateApplication"), Authenticated, &DEACTIVATE, |call| {
            let at = At::request(call);
            let event = set_active(call, &at, false)?;
            Ok(json!({ "deactivationDate": date(&event) }).into())
        }),
        Route::post(path!("ReactivateApplication"), Authenticated, &REACTIVATE, |call| {
            let at = At::request(call);
            let event = set_active(call, &at, true)?;
            Ok(json!({ "reactivationDate": date(&event) }).into())
        }),
        Route::post(path!("GenerateClientSecret"), Authenticated, &GENERATE_SECRET, |call| {
            let at = At::request(call);
            let (secret, event) = secrets::renew_any(call, &at)?;
            Ok(json!({ "clientSecret": secret, "creationDate": date(&event) }).into())
        }),
    ]
}

fn create(call: &mut Call<'_>) -> Answer {
    let at = At::request(call);
    let request = call.request.clone();
    let name = request.text("name");
    let [oidc, saml, api] = ["oidcConfiguration", "samlConfiguration", "apiConfiguration"];
    let (made, kind, configuration) = if request.has(oidc) {
        let made = oidc::add(call, &at, name, &request.message(oidc), Said::Creation)?;
        let compliance = oidc::made(call, &at, &made.id);
        let told = message! {
            "clientId" => &*made.client,
            "clientSecret" => made.secret.clone(),
            "nonCompliant" => compliance.broken,
            "complianceProblems" => views::problems_v2(&compliance),
        };
        (made, oidc, told)
    } else if request.has(api) {
        let made = apis::add(call, &at, name, &request.message(api))?;
        let told = client(&made);
        (made, api, told)
    } else if request.has(saml) {
        let configuration = request.message(saml);
        saml::require_metadata("CreateSAMLApplicationRequest", &configuration)?;
        (saml::add(call, &at, name, &configuration)?, saml, Value::Object(Map::new()))
    } else {
        return Err(ApiError::bare(
            Code::InvalidArgument,
            "invalid CreateApplicationRequest.ApplicationType: value is required",
        ));
    };
    let date = date(&made.event);
    Ok(json!({ "applicationId": made.id, "creationDate": date, kind: configuration }).into())
}

fn client(made: &Made) -> Value {
    message! { "clientId" => &*made.client, "clientSecret" => made.secret.clone() }
}

/// Changes the name, then the configuration; what was changed stays so if the latter is refused.
fn update(call: &mut Call<'_>) -> Answer {
    let at = At::request(call);
    let request = call.request.clone();
    let mut last = None;
    let name = request.text("name").trim();
    if !name.is_empty() {
        last = Some(rename(call, &at, name)?);
    }
    let configuration = |name: &str| request.has(name).then(|| request.message(name));
    if let Some(configuration) = configuration("oidcConfiguration") {
        last = Some(oidc::update(call, &at, &configuration, Said::Update)?);
    }
    if let Some(configuration) = configuration("apiConfiguration") {
        last = Some(apis::update(call, &at, &configuration)?);
    }
    if let Some(configuration) = configuration("samlConfiguration") {
        last = Some(saml::update(call, &at, &configuration)?);
    }
    let changed = last.map_or(NO_DATE.to_owned(), |event| date(&event));
    Ok(json!({ "changeDate": changed }).into())
}

/// Checks that the caller may read an application.
fn may_read(call: &Call<'_>, application: &Application) -> Result<(), ApiError> {
    call.permit_one("project.app.read", &application.stamp.owner, &application.project)
}

fn get(call: &mut Call<'_>) -> Answer {
    let application = call
        .state
        .read
        .applications
        .get(call.request.text("applicationId"))
        .ok_or_else(|| ApiError::not_found("QUERY-pCP8P", "Errors.App.NotExisting"))?;
    may_read(call, application)?;
    Ok(json!({ "application": views::view_v2(application) }).into())
}

fn passes(application: &Application, filter: &Request) -> bool {
    let text = |name: &str, field: &str| filter.message(name).text(field).to_owned();
    let is = |kind: Kind| application.configuration(kind).is_some();
    let state = usize::try_from(filter.number("stateFilter")).unwrap_or_default();
    let entity = application.configuration(Kind::Saml).map(|fields| fields.text("entityId"));
    (!filter.has("projectIdFilter") || application.project == text("projectIdFilter", "projectId"))
        && (!filter.has("nameFilter")
            || list::matches(&application.name, &filter.message("nameFilter"), "name"))
        && (!filter.has("stateFilter") || STATES.get(state) == Some(&views::state_v2(application)))
        && (!filter.has("typeFilter")
            || match filter.number("typeFilter") {
                1 => is(Kind::Oidc),
                2 => is(Kind::Api),
                _ => is(Kind::Saml),
            })
        && (!filter.has("clientIdFilter")
            || application.of_client(&text("clientIdFilter", "clientId")).is_some())
        && (!filter.has("entityIdFilter") || entity == Some(&*text("entityIdFilter", "entityId")))
}

fn search(call: &mut Call<'_>) -> Answer {
    let page = Page::of_pagination(&call.request)?;
    let filters = call.request.messages("filters");
    if filters.iter().any(|filter| filter.has("typeFilter") && filter.number("typeFilter") == 0) {
        return Err(ApiError::bare(
            Code::InvalidArgument,
            "invalid ApplicationSearchFilter.TypeFilter: value must not be in list [0]",
        ));
    }
    let mut rows: Vec<_> = call
        .state
        .read
        .applications
        .iter()
        .filter(|application| filters.iter().all(|filter| passes(application, filter)))
        .collect();
    match call.request.number("sortingColumn") {
        1 => page.sort(&mut rows, |application| application.name.clone()),
        2 => page.sort(&mut rows, |application| views::state_v2(application)),
        3 => page.sort(&mut rows, |application| application.position),
        4 => page.sort(&mut rows, |application| application.stamp.changed),
        _ => page.sort(&mut rows, |application| application.id.clone()),
    }
    let (rows, total) = page.cut(rows.into_iter());
    // The total counts what the caller may not see.
    let applications: Vec<_> = rows
        .into_iter()
        .filter(|application| may_read(call, application).is_ok())
        .map(views::view_v2)
        .collect();
    Ok(message! { "pagination" => page.pagination(total), "applications" => applications }.into())
}
