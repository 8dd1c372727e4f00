//! The metadata of organizations and of users: management API, organization and user service v2.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::{
    Access, Answer, Call, Route, change_details, creation_details, date,
    list::{self, PAGE, Page, TEXT_FILTER, TEXT_QUERY},
    users,
};
use crate::{
    clock,
    errors::ApiError,
    message::message,
    model::{Stamp, metadata::Entry, user::User},
    proto::{Field, Message, NAME, Rule},
    store::{Aggregate, Draft},
};

/// The most that a value holds.
const MOST: usize = 500_000;
const KEY: Field = Field::text("key").rules(NAME);
const VALUE: Field = Field::bytes("value").rules(&[Rule::Bytes(1, MOST)]);
const KEYS: Field = Field::text("keys").repeated().rules(&[Rule::EachLength(1, 200)]);

static SET_ORGANIZATION: Message = Message::new("SetOrgMetadataRequest", &[VALUE]);
static SET_USER: Message = Message::new("SetUserMetadataRequest", &[VALUE]);
static BULK_ORGANIZATION: Message = Message::new(
    "BulkSetOrgMetadataRequest",
    &[Field::message("metadata", &ENTRY_ORGANIZATION).repeated()],
);
static ENTRY_ORGANIZATION: Message =
    Message::new("BulkSetOrgMetadataRequest_Metadata", &[KEY, VALUE]);
static BULK_USER: Message = Message::new(
    "BulkSetUserMetadataRequest",
    &[Field::message("metadata", &ENTRY_USER).repeated()],
);
static ENTRY_USER: Message = Message::new("BulkSetUserMetadataRequest_Metadata", &[KEY, VALUE]);
static REMOVE_ORGANIZATION: Message = Message::new("BulkRemoveOrgMetadataRequest", &[KEYS]);
static REMOVE_USER: Message = Message::new("BulkRemoveUserMetadataRequest", &[KEYS]);
static ENTRY_V2: Message =
    Message::new("Metadata", &[KEY, Field::bytes("value").rules(&[Rule::MaxBytes(MOST)])]);
static SET_ORGANIZATION_V2: Message = Message::new(
    "SetOrganizationMetadataRequest",
    &[Field::message("metadata", &ENTRY_V2).repeated()],
);
static SET_USER_V2: Message =
    Message::new("SetUserMetadataRequest", &[Field::message("metadata", &ENTRY_V2).repeated()]);

static KEY_QUERY: Message =
    Message::new("MetadataKeyQuery", &[KEY, Field::choice("method", TEXT_QUERY)]);
static QUERY: Message =
    Message::one_of("MetadataQuery", "query", &[Field::message("keyQuery", &KEY_QUERY)]);
static LIST: Message = Message::new(
    "ListMetadataRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()],
);
static KEY_FILTER: Message =
    Message::new("MetadataKeyFilter", &[KEY, Field::choice("method", TEXT_FILTER)]);
static FILTER: Message =
    Message::one_of("MetadataSearchFilter", "filter", &[Field::message("keyFilter", &KEY_FILTER)]);
static LIST_V2: Message = Message::new(
    "ListMetadataRequestV2",
    &[Field::message("pagination", &PAGE), Field::message("filters", &FILTER).repeated()],
);

/// Whose metadata it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Organization,
    User,
}

impl Of {
    /// What errors and events are called of an organization, and of a user.
    fn name(self, organization: &'static str, user: &'static str) -> &'static str {
        match self {
            Self::Organization => organization,
            Self::User => user,
        }
    }
}

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Permission};
    use Of::{Organization, User};
    const READ_ORGANIZATION: Access = Permission("org.read");
    const WRITE_ORGANIZATION: Access = Permission("org.write");
    const READ_USER: Access = Permission("user.read");
    const WRITE_USER: Access = Permission("user.write");
    vec![
        Route::search("/management/v1/metadata/_search", READ_ORGANIZATION, &LIST, |call| {
            search(call, &own(call))
        }),
        Route::post(
            "/management/v1/metadata/_bulk",
            WRITE_ORGANIZATION,
            &BULK_ORGANIZATION,
            |call| set_bulk(call, Organization),
        ),
        Route::delete_by(
            "/management/v1/metadata/_bulk",
            WRITE_ORGANIZATION,
            &REMOVE_ORGANIZATION,
            |call| remove_bulk(call, Organization),
        ),
        Route::get("/management/v1/metadata/{key}", READ_ORGANIZATION, |call| {
            get(call, Organization, &own(call))
        }),
        Route::post(
            "/management/v1/metadata/{key}",
            WRITE_ORGANIZATION,
            &SET_ORGANIZATION,
            |call| set(call, Organization),
        ),
        Route::delete("/management/v1/metadata/{key}", WRITE_ORGANIZATION, |call| {
            remove(call, Organization)
        }),
        Route::search("/management/v1/users/{id}/metadata/_search", READ_USER, &LIST, |call| {
            search(call, &user_here(call))
        }),
        Route::post("/management/v1/users/{id}/metadata/_bulk", WRITE_USER, &BULK_USER, |call| {
            set_bulk(call, User)
        }),
        Route::delete_by(
            "/management/v1/users/{id}/metadata/_bulk",
            WRITE_USER,
            &REMOVE_USER,
            |call| remove_bulk(call, User),
        ),
        Route::get("/management/v1/users/{id}/metadata/{key}", READ_USER, |call| {
            get(call, User, &user_here(call))
        }),
        Route::post("/management/v1/users/{id}/metadata/{key}", WRITE_USER, &SET_USER, |call| {
            set(call, User)
        }),
        Route::delete("/management/v1/users/{id}/metadata/{key}", WRITE_USER, |call| {
            remove(call, User)
        }),
        Route::post(
            "/v2/organizations/{id}/metadata",
            Authenticated,
            &SET_ORGANIZATION_V2,
            |call| set_v2(call, Organization),
        ),
        Route::search(
            "/v2/organizations/{id}/metadata/search",
            Authenticated,
            &LIST_V2,
            search_organization_v2,
        ),
        Route::delete("/v2/organizations/{id}/metadata", Authenticated, |call| {
            remove_v2(call, Organization)
        }),
        Route::post("/v2/users/{id}/metadata", Authenticated, &SET_USER_V2, |call| {
            set_v2(call, User)
        }),
        Route::search("/v2/users/{id}/metadata/search", Authenticated, &LIST_V2, search_user_v2),
        Route::delete("/v2/users/{id}/metadata", Authenticated, |call| remove_v2(call, User)),
    ]
}

/// The organization that the call acts in.
fn own(call: &Call<'_>) -> Aggregate {
    Aggregate::organization(&call.organization)
}

/// The user in the path, of the organization that the call acts in.
fn user_here(call: &Call<'_>) -> Aggregate {
    Aggregate::new("user", call.param("id"), &*call.organization)
}

// Queries.

/// The entries that show and pass, by their keys.
fn rows<'a>(
    call: &'a Call<'_>,
    holder: &Aggregate,
    passes: impl Fn(&str) -> bool,
) -> Vec<(&'a str, &'a Entry)> {
    let entries = call.state.read.metadata.of(holder.kind, &holder.id, &holder.owner);
    entries.into_iter().filter(|(key, _)| passes(key)).collect()
}

fn view((key, entry): (&str, &Entry)) -> Value {
    message! {
        "details" => entry.stamp.details(),
        "key" => key,
        "value" => &*entry.value,
    }
}

fn get(call: &Call<'_>, of: Of, holder: &Aggregate) -> Answer {
    let key = call.param("key");
    let found = rows(call, holder, |have| have == key).pop();
    let id = of.name("QUERY-Rph32", "QUERY-Rgh32");
    let found = found.ok_or_else(|| ApiError::not_found(id, "Metadata not found"))?;
    Ok(json!({ "metadata": view(found) }).into())
}

/// A list of the older interface: by their keys, whichever way is asked for.
fn search(call: &Call<'_>, holder: &Aggregate) -> Answer {
    let queries = call.request.messages("queries");
    let passes =
        |key: &str| queries.iter().all(|q| list::matches(key, &q.message("keyQuery"), "key"));
    let page = Page::of(&call.request);
    let (page, total) = page.cut(rows(call, holder, passes).into_iter());
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("metadata")),
        "result" => page.into_iter().map(view).collect::<Vec<_>>(),
    }
    .into())
}

fn view_v2((key, entry): (&str, &Entry)) -> Value {
    message! {
        "creationDate" => clock::text(entry.stamp.created),
        "changeDate" => clock::text(entry.stamp.changed),
        "key" => key,
        "value" => &*entry.value,
    }
}

fn rows_v2<'a>(call: &'a Call<'_>, holder: &Aggregate) -> Vec<(&'a str, &'a Entry)> {
    let filters = call.request.messages("filters");
    let passes =
        |key: &str| filters.iter().all(|f| list::matches(key, &f.message("keyFilter"), "key"));
    rows(call, holder, passes)
}

fn search_organization_v2(call: &mut Call<'_>) -> Answer {
    let holder = Aggregate::organization(call.param("id"));
    call.permit("org.read", &holder.id)?;
    let page = Page::of_pagination(&call.request)?;
    let (page, total) = page.cut(rows_v2(call, &holder).into_iter());
    Ok(message! {
        "pagination" => list::asked_pagination(&call.request, total),
        "metadata" => page.into_iter().map(view_v2).collect::<Vec<_>>(),
    }
    .into())
}

/// The newest first, unless it is asked for the oldest.
fn search_user_v2(call: &mut Call<'_>) -> Answer {
    let user = call.state.read.users.get(call.param("id"));
    let owner = user.map_or_else(String::new, |user| user.stamp.owner.clone());
    if call.user != call.param("id") {
        call.permit("user.read", &owner)?;
    }
    let holder = Aggregate::new("user", call.param("id"), owner);
    let page = Page::of_pagination(&call.request)?;
    let mut rows = rows_v2(call, &holder);
    if page.ascending {
        rows.sort_by_key(|(_, entry)| entry.stamp.created);
    } else {
        rows.sort_by_key(|(_, entry)| Reverse(entry.stamp.created));
    }
    let (rows, total) = page.cut(rows.into_iter());
    Ok(message! {
        "pagination" => page.pagination(total),
        "metadata" => rows.into_iter().map(view_v2).collect::<Vec<_>>(),
    }
    .into())
}

// Commands.

/// Whose metadata a call of the older interface changes.
fn holder(call: &Call<'_>, of: Of) -> Result<Aggregate, ApiError> {
    let (here, user) = (&call.organization, call.param("id"));
    match of {
        Of::Organization => organization(call, here),
        Of::User => {
            let user = users::existing_in(call.state, user, here);
            user.map(users::aggregate).ok_or_else(no_user)
        }
    }
}

/// Whose metadata a call of the newer interfaces changes; who may.
fn holder_v2(call: &Call<'_>, of: Of) -> Result<Aggregate, ApiError> {
    let id = call.param("id");
    let holder = match of {
        Of::Organization => organization(call, id)?,
        Of::User => {
            let user = call.state.write.users.get(id).map(User::latest);
            let user = user.filter(|user| user.state.exists());
            user.map(users::aggregate).ok_or_else(no_user)?
        }
    };
    call.permit(of.name("org.write", "user.write"), &holder.owner)?;
    Ok(holder)
}

fn organization(call: &Call<'_>, id: &str) -> Result<Aggregate, ApiError> {
    let organization = call.state.write.organizations.get(id);
    if organization.is_some_and(|organization| organization.state.exists()) {
        return Ok(Aggregate::organization(id));
    }
    Err(ApiError::precondition("COMMAND-QXPGs", "Organisation not found"))
}

fn no_user() -> ApiError {
    ApiError::precondition("COMMAND-uXHNj", "User could not be found")
}

fn setting(of: Of, holder: &Aggregate, key: &str, value: &str) -> Draft {
    Draft::new(holder, of.name("org.metadata.set", "user.metadata.set"))
        .with("key", key)
        .with("value", value)
}

fn removal(of: Of, holder: &Aggregate, key: &str) -> Draft {
    Draft::new(holder, of.name("org.metadata.removed", "user.metadata.removed")).with("key", key)
}

fn stamp<'a>(call: &'a Call<'_>, holder: &Aggregate) -> Option<&'a Stamp> {
    call.state.write.metadata.last(holder.kind, &holder.id, &holder.owner)
}

/// Sets one. Of an organization that is an event in any case.
fn set(call: &mut Call<'_>, of: Of) -> Answer {
    let holder = holder(call, of)?;
    let (key, value) = (call.param("key"), call.request.text("value"));
    let metadata = &call.state.write.metadata;
    let have = metadata.of(holder.kind, &holder.id, &holder.owner).remove(key);
    if let Some(have) = have.filter(|have| of == Of::User && have.value == value) {
        return Ok(json!({ "details": have.stamp.creation_details() }).into());
    }
    let draft = setting(of, &holder, key, value);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": creation_details(&event) }).into())
}

/// The entries of a request.
fn entries(call: &Call<'_>) -> Result<Vec<(String, String)>, ApiError> {
    let entries = call.request.messages("metadata");
    if entries.is_empty() {
        return Err(ApiError::precondition("META-9mm2d", "Metadata list is empty"));
    }
    let text = |name: &str, entry: &crate::proto::Request| entry.text(name).to_owned();
    Ok(entries.iter().map(|entry| (text("key", entry), text("value", entry))).collect())
}

/// The events of those that differ. What is not there is as good as empty.
fn settings(
    call: &Call<'_>,
    of: Of,
    holder: &Aggregate,
    entries: &[(String, String)],
) -> Result<Vec<Draft>, ApiError> {
    let have = call.state.write.metadata.of(holder.kind, &holder.id, &holder.owner);
    let mut drafts = Vec::new();
    for (key, value) in entries {
        let former = have.get(key.as_str()).map_or("", |entry| entry.value.as_str());
        if former == value {
            continue;
        }
        if value.is_empty() {
            let id = of.name("META-2ml0f", "META-2m00f");
            return Err(ApiError::invalid(id, "Metadata value is invalid"));
        }
        drafts.push(setting(of, holder, key, value));
    }
    Ok(drafts)
}

fn set_bulk(call: &mut Call<'_>, of: Of) -> Answer {
    let entries = entries(call)?;
    let holder = holder(call, of)?;
    let drafts = settings(call, of, &holder, &entries)?;
    let details = if drafts.is_empty() {
        stamp(call, &holder).map(Stamp::change_details)
    } else {
        Some(change_details(&call.push(drafts)?))
    };
    Ok(message! { "details" => details }.into())
}

fn set_v2(call: &mut Call<'_>, of: Of) -> Answer {
    let entries = entries(call)?;
    let holder = holder_v2(call, of)?;
    let drafts = settings(call, of, &holder, &entries)?;
    let set = if drafts.is_empty() {
        stamp(call, &holder).map(|stamp| clock::text(stamp.changed))
    } else {
        Some(date(&call.push(drafts)?))
    };
    Ok(message! { "setDate" => set }.into())
}

fn remove(call: &mut Call<'_>, of: Of) -> Answer {
    let holder = holder(call, of)?;
    let key = call.param("key");
    let metadata = &call.state.write.metadata;
    if !metadata.of(holder.kind, &holder.id, &holder.owner).contains_key(key) {
        let id = of.name("META-mcnw3", "META-ncnw3");
        return Err(ApiError::not_found(id, "Metadata not found"));
    }
    let draft = removal(of, &holder, key);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn refuse_none(of: Of, keys: &[String]) -> Result<(), ApiError> {
    if keys.is_empty() {
        let id = of.name("META-9mw2d", "META-9mm2d");
        return Err(ApiError::precondition(id, "Metadata list is empty"));
    }
    Ok(())
}

/// The events of a removal: of all, or of none.
fn removals(
    call: &Call<'_>,
    of: Of,
    holder: &Aggregate,
    keys: &[String],
) -> Result<Vec<Draft>, ApiError> {
    let have = call.state.write.metadata.of(holder.kind, &holder.id, &holder.owner);
    if keys.iter().any(|key| !have.contains_key(key.as_str())) {
        let id = of.name("META-2npds", "META-2nnds");
        return Err(ApiError::not_found(id, "One or more keys do not exist"));
    }
    Ok(keys.iter().map(|key| removal(of, holder, key)).collect())
}

fn remove_bulk(call: &mut Call<'_>, of: Of) -> Answer {
    let keys = call.request.texts("keys");
    refuse_none(of, &keys)?;
    let holder = holder(call, of)?;
    let drafts = removals(call, of, &holder, &keys)?;
    let event = call.push(drafts)?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn remove_v2(call: &mut Call<'_>, of: Of) -> Answer {
    let keys = call.queries("keys");
    refuse_none(of, &keys)?;
    let holder = holder_v2(call, of)?;
    let drafts = removals(call, of, &holder, &keys)?;
    let event = call.push(drafts)?;
    Ok(json!({ "deletionDate": date(&event) }).into())
}
