//! Organizations: service v2, the caller's own (management API), and all of them (admin API).

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route, change_details, creation_details, date,
    list::{self, PAGE, Page, TEXT_QUERY},
    users,
};
use crate::{
    errors::ApiError,
    message::message,
    model::{
        Stamp,
        organization::{Organization, State},
    },
    proto::{EMPTY, Field, Message, NAME, OPTIONAL_NAME, Request},
};

mod commands;
mod domains;

pub(crate) use commands::creation;
use commands::{add_v1, create, delete, remove_v1, rename, set_active, set_default};

const STATES: [&str; 4] = ["UNSPECIFIED", "ACTIVE", "INACTIVE", "REMOVED"];
const STATES_V2: &[&str] = &[
    "ORGANIZATION_STATE_UNSPECIFIED",
    "ORGANIZATION_STATE_ACTIVE",
    "ORGANIZATION_STATE_INACTIVE",
    "ORGANIZATION_STATE_REMOVED",
];
const STATES_V1: &[&str] =
    &["ORG_STATE_UNSPECIFIED", "ORG_STATE_ACTIVE", "ORG_STATE_INACTIVE", "ORG_STATE_REMOVED"];

static ADMIN: Message = Message::new(
    "AddOrganizationRequest_Admin",
    &[
        Field::text("userId").in_group("user_type"),
        Field::message("human", &users::ADD_PERSON).in_group("user_type"),
        Field::text("roles").repeated(),
    ],
);
static CREATE: Message = Message::new(
    "AddOrganizationRequest",
    &[
        Field::text("name").rules(NAME),
        Field::message("admins", &ADMIN).repeated(),
        Field::text("orgId").rules(OPTIONAL_NAME),
        Field::text("organizationId").rules(OPTIONAL_NAME),
    ],
);
const NAME_ALONE: &[Field] = &[Field::text("name").rules(NAME)];
static UPDATE: Message = Message::new("UpdateOrganizationRequest", NAME_ALONE);
static ADD_V1: Message = Message::new("AddOrgRequest", NAME_ALONE);
static UPDATE_V1: Message = Message::new("UpdateOrgRequest", NAME_ALONE);

static NAME_QUERY: Message = Message::new(
    "OrganizationNameQuery",
    &[Field::text("name").rules(NAME), Field::choice("method", TEXT_QUERY)],
);
static DOMAIN_QUERY: Message = Message::new(
    "OrganizationDomainQuery",
    &[Field::text("domain").rules(NAME), Field::choice("method", TEXT_QUERY)],
);
static ID_QUERY: Message = Message::new("OrganizationIDQuery", &[Field::text("id").rules(NAME)]);
static STATE_QUERY: Message =
    Message::new("OrganizationStateQuery", &[Field::choice("state", STATES_V2)]);
static STATE_QUERY_V1: Message =
    Message::new("OrgStateQuery", &[Field::choice("state", STATES_V1)]);
static QUERY: Message = Message::one_of(
    "SearchQuery",
    "query",
    &[
        Field::message("nameQuery", &NAME_QUERY),
        Field::message("domainQuery", &DOMAIN_QUERY),
        Field::message("stateQuery", &STATE_QUERY),
        Field::message("idQuery", &ID_QUERY),
        Field::message("defaultQuery", &EMPTY),
    ],
);
static QUERY_V1: Message = Message::one_of(
    "OrgQuery",
    "query",
    &[
        Field::message("nameQuery", &NAME_QUERY),
        Field::message("domainQuery", &DOMAIN_QUERY),
        Field::message("stateQuery", &STATE_QUERY_V1),
        Field::message("idQuery", &ID_QUERY),
    ],
);
static LIST: Message = Message::new(
    "ListOrganizationsRequest",
    &[
        Field::message("query", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "ORGANIZATION_FIELD_NAME_UNSPECIFIED",
                "ORGANIZATION_FIELD_NAME_NAME",
                "ORGANIZATION_FIELD_NAME_CREATION_DATE",
            ],
        ),
        Field::message("queries", &QUERY).repeated(),
    ],
);
static LIST_V1: Message = Message::new(
    "ListOrgsRequest",
    &[
        Field::message("query", &PAGE),
        Field::choice(
            "sortingColumn",
            &["ORG_FIELD_NAME_UNSPECIFIED", "ORG_FIELD_NAME_NAME", "ORG_FIELD_NAME_CREATION_DATE"],
        ),
        Field::message("queries", &QUERY_V1).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Permission};
    let mut routes = domains::routes();
    routes.extend([
        Route::post("/v2/organizations", Authenticated, &CREATE, create),
        Route::search("/v2/organizations/_search", Authenticated, &LIST, search),
        Route::post("/v2/organizations/{id}", Authenticated, &UPDATE, |call| {
            let id = call.param("id").to_owned();
            let event = rename(call, &id, true)?;
            Ok(json!({ "changeDate": date(&event) }).into())
        }),
        Route::delete("/v2/organizations/{id}", Authenticated, delete),
        Route::post("/v2/organizations/{id}/deactivate", Authenticated, &EMPTY, |call| {
            let id = call.param("id").to_owned();
            let event = set_active(call, &id, false)?;
            Ok(json!({ "changeDate": date(&event) }).into())
        }),
        Route::post("/v2/organizations/{id}/activate", Authenticated, &EMPTY, |call| {
            let id = call.param("id").to_owned();
            let event = set_active(call, &id, true)?;
            Ok(json!({ "changeDate": date(&event) }).into())
        }),
        Route::post("/management/v1/orgs", Permission("org.create"), &ADD_V1, add_v1),
        Route::get("/management/v1/orgs/me", Permission("org.read"), |call| {
            one(call, &call.organization)
        }),
        Route::put("/management/v1/orgs/me", Permission("org.write"), &UPDATE_V1, |call| {
            let id = call.organization.clone();
            let event = rename(call, &id, false)?;
            Ok(json!({ "details": creation_details(&event) }).into())
        }),
        Route::delete("/management/v1/orgs/me", Permission("org.delete"), |call| {
            let id = call.organization.clone();
            remove_v1(call, &id)
        }),
        Route::post(
            "/management/v1/orgs/me/_deactivate",
            Permission("org.write"),
            &EMPTY,
            |call| {
                let id = call.organization.clone();
                let event = set_active(call, &id, false)?;
                Ok(json!({ "details": change_details(&event) }).into())
            },
        ),
        Route::post(
            "/management/v1/orgs/me/_reactivate",
            Permission("org.write"),
            &EMPTY,
            |call| {
                let id = call.organization.clone();
                let event = set_active(call, &id, true)?;
                Ok(json!({ "details": change_details(&event) }).into())
            },
        ),
        Route::get(
            "/management/v1/global/orgs/_by_domain",
            Permission("org.global.read"),
            by_domain,
        ),
        Route::get("/admin/v1/orgs/_is_unique", Permission("iam.read"), is_unique),
        Route::search("/admin/v1/orgs/_search", Permission("iam.read"), &LIST_V1, search_v1),
        Route::get("/admin/v1/orgs/default", Permission("iam.read"), |call| {
            one(call, call.state.read.instance.default_organization())
        }),
        Route::put("/admin/v1/orgs/default/{id}", Permission("iam.write"), &EMPTY, set_default),
        Route::get("/admin/v1/orgs/{id}", Permission("iam.read"), |call| {
            one(call, call.param("id"))
        }),
        Route::delete("/admin/v1/orgs/{id}", Permission("iam.write"), |call| {
            let id = call.param("id").to_owned();
            remove_v1(call, &id)
        }),
    ]);
    routes
}

fn missing(id: &'static str) -> ApiError {
    ApiError::not_found(id, "Organisation not found")
}

fn state_name(state: State) -> &'static str {
    let index = match state {
        State::Active | State::Locked => 1,
        State::Inactive => 2,
        State::Removed => 3,
    };
    STATES.get(index).copied().unwrap_or_default()
}

/// One organization as the older interfaces tell it. They read it from its events, so it never
/// lags, is there even after its removal, and carries the date of whatever happened last.
fn one(call: &Call<'_>, id: &str) -> Answer {
    let organization =
        call.state.write.organizations.get(id).ok_or_else(|| missing("QUERY-leq5Q"))?;
    let mut stamp = organization.stamp.clone();
    let last = call.state.store.of_aggregate(id).last();
    if let Some(event) = last.and_then(|position| call.state.store.get(*position)) {
        stamp.touch(event);
    }
    Ok(json!({ "org": view_v1(organization, &stamp) }).into())
}

/// An active organization by its primary domain, as the read side knows it.
fn by_domain(call: &mut Call<'_>) -> Answer {
    let domain = call.query("domain");
    let mut organizations = call.state.read.organizations.iter();
    let found = organizations.find(|organization| {
        organization.state == State::Active && organization.primary_domain == domain
    });
    let found = found.ok_or_else(|| missing("QUERY-iTTGJ"))?;
    Ok(json!({ "org": view_v1(found, &found.stamp) }).into())
}

/// Whether there is no organization of this name, and none that has this domain, whatever the case
/// of their letters.
fn is_unique(call: &mut Call<'_>) -> Answer {
    let (name, domain) = (call.query("name").to_lowercase(), call.query("domain").to_lowercase());
    if name.is_empty() && domain.is_empty() {
        return Err(ApiError::invalid("QUERY-DGqfd", "Errors.Query.InvalidRequest"));
    }
    let mut organizations = call.state.read.organizations.iter();
    let is_met = organizations.any(|organization| {
        let mut domains = organization.domains.iter().filter(|(_, known)| known.verified);
        let has = domains.any(|(have, _)| have.to_lowercase() == domain);
        organization.state.exists() && (has || organization.name.to_lowercase() == name)
    });
    Ok(message! { "isUnique" => !is_met }.into())
}

fn view_v1(organization: &Organization, stamp: &Stamp) -> Value {
    message! {
        "id" => &*organization.id,
        "details" => stamp.details(),
        "state" => format!("ORG_STATE_{}", state_name(organization.state)),
        "name" => &*organization.name,
        "primaryDomain" => &*organization.primary_domain,
    }
}

fn view(organization: &Organization) -> Value {
    message! {
        "id" => &*organization.id,
        "details" => organization.stamp.details(),
        "state" => format!("ORGANIZATION_STATE_{}", state_name(organization.state)),
        "name" => &*organization.name,
        "primaryDomain" => &*organization.primary_domain,
    }
}

fn passes(organization: &Organization, query: &Request, default: &str) -> bool {
    let name = query.message("nameQuery");
    let domain = query.message("domainQuery");
    let state = query.message("stateQuery").number("state");
    let state = STATES.get(usize::try_from(state).unwrap_or_default());
    (!query.has("nameQuery") || list::matches(&organization.name, &name, "name"))
        && (!query.has("domainQuery")
            || organization
                .domains
                .iter()
                .any(|(name, known)| known.verified && list::matches(name, &domain, "domain")))
        && (!query.has("stateQuery") || state == Some(&state_name(organization.state)))
        && (!query.has("idQuery") || organization.id == query.message("idQuery").text("id"))
        && (!query.has("defaultQuery") || organization.id == default)
}

/// The rows of a search, in order.
fn rows<'a>(call: &'a Call<'_>, page: &Page) -> Vec<&'a Organization> {
    let queries = call.request.messages("queries");
    let default = call.state.read.instance.default_organization();
    let mut rows: Vec<_> = call
        .state
        .read
        .organizations
        .iter()
        .filter(|organization| organization.state.exists())
        .filter(|organization| queries.iter().all(|query| passes(organization, query, default)))
        .collect();
    match call.request.number("sortingColumn") {
        1 => page.sort(&mut rows, |row| (row.name.to_lowercase(), row.position)),
        2 => page.sort(&mut rows, |row| row.position),
        _ => {}
    }
    rows
}

fn search(call: &mut Call<'_>) -> Answer {
    let page = Page::of(&call.request);
    let (rows, total) = page.cut(rows(call, &page).into_iter());
    // The total counts what the caller may not see.
    let result: Vec<_> =
        rows.into_iter().filter(|row| call.permit("org.read", &row.id).is_ok()).map(view).collect();
    Ok(message! {
        "details" => message! {
            "totalResult" => list::count(total),
            "timestamp" => call.state.read.latest("organizations"),
        },
        "result" => result,
    }
    .into())
}

fn search_v1(call: &mut Call<'_>) -> Answer {
    let page = Page::of(&call.request);
    let (rows, total) = page.cut(rows(call, &page).into_iter());
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("organizations")),
        "result" => rows
            .into_iter()
            .map(|row| view_v1(row, &row.stamp))
            .collect::<Vec<_>>(),
    }
    .into())
}
