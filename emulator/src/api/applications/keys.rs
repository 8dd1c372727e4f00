//! The keys of applications: the management API, and the application service v2.

use serde_json::json;

use super::{
    super::{
        Access, Route, change_details, date,
        list::{LIST, PAGE},
    },
    At,
};
use crate::proto::{Field, Message, NAME, Rule, SHORT};

mod commands;
mod queries;

use commands::{add, create, remove};
use queries::{get, get_v2, search, search_v2};

static ADD: Message = Message::new(
    "AddAppKeyRequest",
    &[
        Field::choice("type", &["KEY_TYPE_UNSPECIFIED", "KEY_TYPE_JSON"])
            .rules(&[Rule::Defined, Rule::NotFirst]),
        Field::date("expirationDate"),
    ],
);
static CREATE: Message = Message::new(
    "CreateApplicationKeyRequest",
    &[
        Field::text("applicationId").rules(NAME),
        Field::text("projectId").rules(NAME),
        Field::date("expirationDate"),
    ],
);
static DELETE: Message = Message::new(
    "DeleteApplicationKeyRequest",
    &[
        Field::text("keyId").rules(NAME),
        Field::text("applicationId").rules(NAME),
        Field::text("projectId").rules(NAME),
    ],
);
static GET: Message = Message::new("GetApplicationKeyRequest", &[Field::text("keyId").rules(NAME)]);
static APPLICATION_FILTER: Message =
    Message::new("ApplicationKeyApplicationIDFilter", &[Field::text("applicationId").rules(SHORT)]);
static PROJECT_FILTER: Message =
    Message::new("ApplicationKeyProjectIDFilter", &[Field::text("projectId").rules(NAME)]);
static ORGANIZATION_FILTER: Message = Message::new(
    "ApplicationKeyOrganizationIDFilter",
    &[Field::text("organizationId").rules(NAME)],
);
static FILTER: Message = Message::one_of(
    "ApplicationKeySearchFilter",
    "filter",
    &[
        Field::message("applicationIdFilter", &APPLICATION_FILTER),
        Field::message("projectIdFilter", &PROJECT_FILTER),
        Field::message("organizationIdFilter", &ORGANIZATION_FILTER),
    ],
);
static LIST_V2: Message = Message::new(
    "ListApplicationKeysRequest",
    &[
        Field::message("pagination", &PAGE),
        Field::choice(
            "sortingColumn",
            &[
                "APPLICATION_KEYS_SORT_BY_ID",
                "APPLICATION_KEYS_SORT_BY_PROJECT_ID",
                "APPLICATION_KEYS_SORT_BY_APPLICATION_ID",
                "APPLICATION_KEYS_SORT_BY_CREATION_DATE",
                "APPLICATION_KEYS_SORT_BY_ORGANIZATION_ID",
                "APPLICATION_KEYS_SORT_BY_EXPIRATION",
                "APPLICATION_KEYS_SORT_BY_TYPE",
            ],
        ),
        Field::message("filters", &FILTER).repeated(),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    const READ: Access = Access::Permission("project.app.read");
    const WRITE: Access = Access::Permission("project.app.write");
    use Access::Authenticated;
    const PATH: &str = "/management/v1/projects/{id}/apps/{app}/keys";
    const ONE: &str = "/management/v1/projects/{id}/apps/{app}/keys/{key}";
    const SEARCH: &str = "/management/v1/projects/{id}/apps/{app}/keys/_search";
    let of_management = [
        Route::post(PATH, WRITE, &ADD, add),
        Route::search(SEARCH, READ, &LIST, search),
        Route::get(ONE, READ, get),
        Route::delete(ONE, WRITE, |call| {
            let (at, key) = (At::path(call), call.param("key").to_owned());
            let event = remove(call, &at, &key)?;
            Ok(json!({ "details": change_details(&event) }).into())
        }),
    ];
    let of_service = [
        Route::post(
            "/zitadel.application.v2.ApplicationService/CreateApplicationKey",
            Authenticated,
            &CREATE,
            create,
        ),
        Route::post(
            "/zitadel.application.v2.ApplicationService/DeleteApplicationKey",
            Authenticated,
            &DELETE,
            |call| {
                let (at, key) = (At::request(call), call.request.text("keyId").to_owned());
                let event = remove(call, &at, &key)?;
                Ok(json!({ "deletionDate": date(&event) }).into())
            },
        ),
        Route::search(
            "/zitadel.application.v2.ApplicationService/GetApplicationKey",
            Authenticated,
            &GET,
            get_v2,
        ),
        Route::search(
            "/zitadel.application.v2.ApplicationService/ListApplicationKeys",
            Authenticated,
            &LIST_V2,
            search_v2,
        ),
    ];
    of_management.map(|route| route.of_one("id")).into_iter().chain(of_service).collect()
}
