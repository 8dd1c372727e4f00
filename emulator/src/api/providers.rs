//! Identity providers of the instance and of organizations.

use serde_json::{Map, Value, json};

use super::{
    Access::{Authenticated, Permission},
    Answer, Call, Route, change_details, creation_details,
    list::{self, Page},
};
use crate::{
    errors::ApiError,
    message::message,
    model::{
        difference, is_zero, notification::encrypted, policy::login::OWNER_TYPES,
        provider::Provider,
    },
    proto::{EMPTY, Field, Message, Request, SHORT},
    store::{Aggregate, Draft},
};

mod special;
mod types;

use types::{AUTO_LINKING, TYPES, Type};

/// Which key encrypts their secrets.
const KEY: &str = "idpConfigKey";
const MISSING: &str = "Identity Provider Configuration doesn't exist";

static ID_QUERY: Message = Message::new("IDPIDQuery", &[Field::text("id").rules(SHORT)]);
static NAME_QUERY: Message = Message::new(
    "IDPNameQuery",
    &[Field::text("name").rules(SHORT), Field::choice("method", list::TEXT_QUERY)],
);
static OWNER_QUERY: Message =
    Message::new("IDPOwnerTypeQuery", &[Field::choice("ownerType", OWNER_TYPES)]);
static QUERY: Message = Message::one_of(
    "ProviderQuery",
    "query",
    &[
        Field::message("idpIdQuery", &ID_QUERY),
        Field::message("idpNameQuery", &NAME_QUERY),
        Field::message("ownerTypeQuery", &OWNER_QUERY),
    ],
);
static SEARCH: Message = Message::new(
    "ListProvidersRequest",
    &[Field::message("query", &list::PAGE), Field::message("queries", &QUERY).repeated()],
);

/// Whose providers a call is about: the instance's, or those of an organization.
#[derive(Clone, Copy)]
enum Side {
    Instance,
    Organization,
}

impl Side {
    /// Where what is said for both is found.
    fn index(self) -> usize {
        match self {
            Self::Instance => 0,
            Self::Organization => 1,
        }
    }

    /// What is said of this one.
    fn of<T: Copy>(self, both: &[T; 2]) -> T {
        let [instance, organization] = *both;
        match self {
            Self::Instance => instance,
            Self::Organization => organization,
        }
    }

    fn owner(self, call: &Call<'_>) -> Aggregate {
        match self {
            Self::Instance => call.state.instance(),
            Self::Organization => Aggregate::organization(&call.organization),
        }
    }
}

pub(super) fn routes() -> Vec<Route> {
    let read = [Permission("iam.idp.read"), Permission("org.idp.read")];
    let write = [Permission("iam.idp.write"), Permission("org.idp.write")];
    let delete = [Permission("iam.idp.delete"), Permission("org.idp.delete")];
    let mut routes = vec![Route::get("/v2/idps/{id}", Authenticated, newer)];
    for side in [Side::Instance, Side::Organization] {
        let one = ["/admin/v1/idps/templates/{id}", "/management/v1/idps/templates/{id}"];
        let all = ["/admin/v1/idps/templates/_search", "/management/v1/idps/templates/_search"];
        let certificate = [
            "/admin/v1/idps/saml/{id}/_generate_certificate",
            "/management/v1/idps/saml/{id}/_generate_certificate",
        ];
        routes.extend([
            Route::get(side.of(&one), side.of(&read), move |call| by_id(call, side)),
            Route::search(side.of(&all), side.of(&read), &SEARCH, move |call| search(call, side)),
            Route::delete(side.of(&one), side.of(&delete), move |call| remove(call, side)),
            Route::post(side.of(&certificate), side.of(&write), &EMPTY, move |call| {
                generate_certificate(call, side)
            }),
        ]);
        for of in &TYPES {
            let Type { paths, one, add: add_request, change: change_request, .. } = of;
            let is_posted = of.is_posted && matches!(side, Side::Instance);
            routes.push(Route::post(side.of(paths), side.of(&write), add_request, move |call| {
                add(call, of, side)
            }));
            let changes = move |call: &mut Call<'_>| change(call, of, side);
            let (one, write) = (side.of(one), side.of(&write));
            routes.push(if is_posted {
                Route::post(one, write, change_request, changes)
            } else {
                Route::put(one, write, change_request, changes)
            });
        }
    }
    routes
}

// Queries.

/// What a provider may do with users, as answers tell it.
pub(super) fn options(provider: &Provider) -> Value {
    let fields = &provider.fields;
    let linking = usize::try_from(fields.number("autoLinkingOption")).unwrap_or_default();
    message! {
        "isLinkingAllowed" => fields.flag("isLinkingAllowed"),
        "isCreationAllowed" => fields.flag("isCreationAllowed"),
        "isAutoCreation" => fields.flag("isAutoCreation"),
        "isAutoUpdate" => fields.flag("isAutoUpdate"),
        "autoLinking" => AUTO_LINKING.get(linking).filter(|_| linking > 0).copied(),
    }
}

/// The number of whose a provider is, among [`OWNER_TYPES`].
fn owner_type(provider: &Provider, instance: &str) -> u64 {
    if provider.stamp.owner == instance { 1 } else { 2 }
}

fn view(provider: &Provider, instance: &str) -> Value {
    let mut config = message! { "options" => options(provider) };
    let of = Type::of(provider);
    if let (Some(config), Some(of)) = (config.as_object_mut(), of) {
        config.insert(of.config.to_owned(), of.view(provider));
    }
    let owner = if owner_type(provider, instance) == 1 { "SYSTEM" } else { "ORG" };
    message! {
        "id" => &*provider.id,
        "details" => provider.stamp.details(),
        "state" => "IDP_STATE_ACTIVE",
        "name" => provider.fields.text("name"),
        "owner" => format!("IDP_OWNER_TYPE_{owner}"),
        "type" => of.map(|of| format!("PROVIDER_TYPE_{}", of.word)),
        "config" => config,
    }
}

fn by_id(call: &mut Call<'_>, side: Side) -> Answer {
    let owner = side.owner(call).id;
    let found = call.state.read.providers.get(call.param("id"));
    let found = found.filter(|provider| provider.stamp.owner == owner);
    let found = found.ok_or_else(|| ApiError::not_found("QUERY-SAFrt", MISSING))?;
    Ok(json!({ "idp": view(found, &call.state.instance_id) }).into())
}

/// The newer interface.
fn newer(call: &mut Call<'_>) -> Answer {
    let found = call.state.read.providers.get(call.param("id"));
    let found = found.ok_or_else(|| ApiError::not_found("QUERY-SAFrt", MISSING))?;
    let of_instance = owner_type(found, &call.state.instance_id) == 1;
    let permission = if of_instance { "iam.idp.read" } else { "org.idp.read" };
    call.permit(permission, &found.stamp.owner)?;
    let mut view = view(found, &call.state.instance_id);
    if let (Some(view), Some(of)) = (view.as_object_mut(), Type::of(found)) {
        view.remove("owner");
        view.insert("type".to_owned(), format!("IDP_TYPE_{}", of.word).into());
    }
    Ok(json!({ "idp": view }).into())
}

/// The instance's providers; an organization sees its own with them.
fn search(call: &mut Call<'_>, side: Side) -> Answer {
    let with_own = matches!(side, Side::Organization);
    let queries = call.request.messages("queries");
    let instance = &call.state.instance_id;
    let passes = |provider: &Provider, query: &Request| {
        let (id, owner) = (query.message("idpIdQuery"), query.message("ownerTypeQuery"));
        (!query.has("idpIdQuery") || id.text("id") == provider.id)
            && (!query.has("ownerTypeQuery")
                || owner.number("ownerType") == owner_type(provider, instance))
            && (!query.has("idpNameQuery")
                || list::matches(
                    provider.fields.text("name"),
                    &query.message("idpNameQuery"),
                    "name",
                ))
    };
    let rows = call
        .state
        .read
        .providers
        .iter()
        .filter(|provider| {
            let owner = &provider.stamp.owner;
            owner == instance || with_own && *owner == call.organization
        })
        .filter(|provider| queries.iter().all(|query| passes(provider, query)))
        .map(|provider| view(provider, instance));
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("providers")),
        "result" => page,
    }
    .into())
}

// Commands.

/// Refuses what holds nothing but blanks.
fn check_filled(call: &Call<'_>, of: &Type, side: Side, is_new: bool) -> Result<(), ApiError> {
    for (field, add, change) in of.filled {
        let id = side.of(if is_new { add } else { change });
        if !id.is_empty() && call.request.text(field).trim().is_empty() {
            return Err(ApiError::invalid(id, "Errors.Invalid.Argument"));
        }
    }
    Ok(())
}

fn add(call: &mut Call<'_>, of: &Type, side: Side) -> Answer {
    of.special.check_rules(&of.add, &call.request)?;
    check_filled(call, of, side, true)?;
    let special = of.special.said(&call.request, true, side.index())?;
    let id = call.state.clock.id();
    let mut payload = said(of, &call.request, special);
    payload.retain(|field, value| of.special.tells_empty(field) || !is_zero(value));
    payload.extend(secret(of, &call.request, true));
    payload.extend(of.special.made());
    payload.insert("id".to_owned(), json!(id));
    let draft = Draft::new(&side.owner(call), side.of(&of.added)).payload(payload);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": creation_details(&event), "id": id }).into())
}

fn change(call: &mut Call<'_>, of: &Type, side: Side) -> Answer {
    of.special.check_rules(&of.change, &call.request)?;
    check_filled(call, of, side, false)?;
    let special = of.special.said(&call.request, false, side.index())?;
    let provider = existing(call, of, side, side.of(&of.missing))?;
    let want = said(of, &call.request, special);
    let mut changes = difference(&provider.fields, &want);
    changes.extend(want.into_iter().filter(|(field, _)| of.special.tells_unchanged(field)));
    changes.extend(secret(of, &call.request, false));
    if changes.is_empty() {
        return Ok(json!({ "details": provider.stamp.change_details() }).into());
    }
    changed(call, of, side, &provider.id, changes)
}

fn generate_certificate(call: &mut Call<'_>, side: Side) -> Answer {
    let Some(of) = TYPES.iter().find(|of| of.name == "saml") else {
        return Err(ApiError::internal("EMU-1", "there is no such type"));
    };
    let missing = side.of(&["INST-76dbwsv9vm", "ORG-4dw21ch9o9"]);
    let provider = existing(call, of, side, missing)?;
    changed(call, of, side, &provider.id, of.special.made())
}

/// A provider that is there, as the write side knows it.
fn existing(
    call: &Call<'_>,
    of: &Type,
    side: Side,
    missing: &'static str,
) -> Result<Provider, ApiError> {
    let owner = side.owner(call).id;
    let provider = call.state.write.providers.get(call.param("id"));
    let provider = provider.filter(|p| p.stamp.owner == owner && p.kind == of.name);
    provider.cloned().ok_or_else(|| ApiError::not_found(missing, MISSING))
}

fn changed(
    call: &mut Call<'_>,
    of: &Type,
    side: Side,
    id: &str,
    mut changes: Map<String, Value>,
) -> Answer {
    changes.insert("id".to_owned(), json!(id));
    let draft = Draft::new(&side.owner(call), side.of(&of.changed)).payload(changes);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

/// What a request says, under the names of events; scopes that are empty are not said.
fn said(of: &Type, request: &Request, special: Map<String, Value>) -> Map<String, Value> {
    let options = request.message("providerOptions");
    let flags = ["isLinkingAllowed", "isCreationAllowed", "isAutoCreation", "isAutoUpdate"];
    let mut said = special;
    said.extend(flags.map(|flag| (flag.to_owned(), json!(options.flag(flag)))));
    said.insert("autoLinkingOption".to_owned(), json!(options.number("autoLinking")));
    for (field, event) in [("name", "name")].iter().chain(of.texts) {
        let text = request.text(field);
        let is_trimmed = of.filled.iter().any(|(filled, ..)| filled == field);
        let text = if is_trimmed { text.trim() } else { text };
        said.insert((*event).to_owned(), json!(text));
    }
    let set = of.flags.iter().map(|(flag, event)| ((*event).to_owned(), request.flag(flag).into()));
    said.extend(set);
    if !request.list("scopes").is_empty() {
        said.insert("scopes".to_owned(), json!(request.texts("scopes")));
    }
    said
}

/// A secret that a request holds. A change takes it with the blanks around it.
fn secret(of: &Type, request: &Request, is_new: bool) -> Option<(String, Value)> {
    let (field, event) = of.secret.filter(|(field, _)| !request.text(field).is_empty())?;
    let is_trimmed = is_new && of.filled.iter().any(|(filled, ..)| *filled == field);
    let text = request.text(field);
    let text = if is_trimmed { text.trim() } else { text };
    Some((event.to_owned(), encrypted(text, KEY)))
}

fn remove(call: &mut Call<'_>, side: Side) -> Answer {
    let (id, owner) = (call.param("id").to_owned(), side.owner(call));
    let provider = call.state.write.providers.get(&id);
    if provider.is_none_or(|provider| provider.stamp.owner != owner.id) {
        return Err(ApiError::not_found(side.of(&["INST-Se3tg", "ORG-Se3tg"]), MISSING));
    }
    let event = side.of(&["instance.idp.removed", "org.idp.removed"]);
    let event = call.push(vec![Draft::new(&owner, event).with("id", id)])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
