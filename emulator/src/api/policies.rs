//! Policies of the instance and of organizations: the routes of every kind in
//! [`crate::model::policy`], and the older and newer views of some.

use serde_json::{Map, Value, json};

use super::{Access, Answer, Call, Route, change_details, creation_details, users};
use crate::{
    errors::ApiError,
    message::message,
    model::{
        difference, is_zero,
        policy::{DOMAIN, Kind, LABEL, PRIVACY, Policy, Refusal, api_name},
    },
    parsers::mail,
    proto::Request,
    state::State,
    store::{Aggregate, Draft, Event},
};

pub(crate) mod label;
mod login;
mod org_iam;
mod passwords;

/// Where the routes of an organization's policy lie, and who may use them.
struct Routes {
    path: &'static str,
    read: &'static str,
    write: &'static str,
    remove: &'static str,
}

pub(super) fn routes() -> Vec<Route> {
    use Access::Permission;
    let privacy = Routes {
        path: "/management/v1/policies/privacy",
        read: "policy.read",
        write: "policy.write",
        remove: "policy.delete",
    };
    let domain = Routes {
        path: "/admin/v1/orgs/{org}/policies/domain",
        read: "iam.policy.read",
        write: "iam.policy.write",
        remove: "iam.policy.delete",
    };
    let privacy_path = "/admin/v1/policies/privacy";
    let domain_path = "/admin/v1/policies/domain";
    let mut routes = instance(privacy_path, privacy_path, &PRIVACY);
    routes.extend(instance(domain_path, domain_path, &DOMAIN));
    routes.extend(label::routes());
    routes.extend(login::routes());
    routes.extend(passwords::routes());
    routes.extend(organization(&privacy, &PRIVACY));
    routes.extend(organization(&domain, &DOMAIN));
    routes.extend(org_iam::routes(&Routes {
        path: "/admin/v1/orgs/{org}/policies/orgiam",
        ..domain
    }));
    routes.push(Route::get(
        "/management/v1/policies/default/privacy",
        Permission("policy.read"),
        |call| {
            let instance = call.state.instance_id.clone();
            read(call, &PRIVACY, &instance, PRIVACY.fields)
        },
    ));
    for (path, fields) in [
        ("/management/v1/policies/domain", DOMAIN.fields),
        ("/management/v1/policies/orgiam", org_iam::FIELDS),
    ] {
        routes.push(Route::get(path, Permission("policy.read"), move |call| {
            let owner = call.organization.clone();
            read(call, &DOMAIN, &owner, fields)
        }));
    }
    routes.push(Route::get("/v2/settings/legal_support", Permission("policy.read"), |call| {
        read_v2(
            call,
            &PRIVACY,
            &[
                ("tosLink", "tosLink"),
                ("privacyLink", "privacyPolicyLink"),
                ("helpLink", "helpLink"),
                ("supportEmail", "supportEmail"),
                ("docsLink", "docsLink"),
                ("customLink", "customLink"),
                ("customLinkText", "customLinkText"),
            ],
        )
    }));
    routes.push(Route::get("/v2/settings/domain", Permission("policy.read"), |call| {
        read_v2(
            call,
            &DOMAIN,
            &[
                ("userLoginMustBeDomain", "loginNameIncludesDomain"),
                ("validateOrgDomains", "requireOrgDomainVerification"),
                (
                    "smtpSenderAddressMatchesInstanceDomain",
                    "smtpSenderAddressMatchesInstanceDomain",
                ),
            ],
        )
    }));
    routes
}

fn instance(path: &'static str, update_path: &'static str, kind: &'static Kind) -> Vec<Route> {
    use Access::Permission;
    let [update, ..] = &kind.requests;
    vec![
        Route::get(path, Permission("iam.policy.read"), |call| {
            let instance = call.state.instance_id.clone();
            read(call, kind, &instance, kind.fields)
        }),
        Route::put(update_path, Permission("iam.policy.write"), update, |call| {
            let want = said(kind, &call.request)?;
            update_instance(call, kind, &want)
        }),
    ]
}

fn organization(at: &Routes, kind: &'static Kind) -> Vec<Route> {
    use Access::Permission;
    let [_, add_request, change_request] = &kind.requests;
    vec![
        Route::get(at.path, Permission(at.read), |call| {
            let owner = target(call);
            read_own(call, kind, &owner)
        }),
        Route::post(at.path, Permission(at.write), add_request, |call| {
            let want = said(kind, &call.request)?;
            add(call, kind, want)
        }),
        Route::put(at.path, Permission(at.write), change_request, |call| {
            let want = said(kind, &call.request)?;
            change(call, kind, &want)
        }),
        Route::delete(at.path, Permission(at.remove), |call| remove(call, kind)),
    ]
}

/// The organization that is meant: the one in the path, or the one that the call acts in.
fn target(call: &Call<'_>) -> String {
    match call.param("org") {
        "" => call.organization.clone(),
        id => id.to_owned(),
    }
}

/// What a request wants, fields that it omits as their zero values.
///
/// # Errors
/// 400 for an e-mail address that carries a name.
fn said(kind: &Kind, request: &Request) -> Result<Map<String, Value>, ApiError> {
    let mut want = named(kind, request);
    if let Some(value) = want.get_mut("supportEmail")
        && let Some(address) = value.as_str().filter(|address| !address.is_empty())
    {
        let parsed = mail::parse(address)
            .map_err(|_| ApiError::invalid("EMAIL-599BI", "Email is invalid"))?;
        if !parsed.name.is_empty() {
            return Err(ApiError::invalid("EMAIL-599GV", "Email is invalid"));
        }
        *value = json!(address.trim());
    }
    Ok(want)
}

fn named(kind: &Kind, request: &Request) -> Map<String, Value> {
    let [message, ..] = &kind.requests;
    let fields = kind.fields.iter().map(|field| {
        let name = api_name(field);
        let value = request.0.get(name).cloned().unwrap_or_else(|| message.zero(name));
        ((*field).to_owned(), value)
    });
    fields.chain(kind.cleared.map(|field| (field.to_owned(), json!(false)))).collect()
}

// Queries.

fn stands<'a>(call: &'a Call<'_>, kind: &Kind, owner: &str) -> (Option<&'a Policy>, bool) {
    match call.state.read.policy(owner, kind) {
        Some(own) => (Some(own), owner == call.state.instance_id),
        None => (call.state.read.policy(&call.state.instance_id, kind), true),
    }
}

fn view(
    call: &Call<'_>,
    kind: &Kind,
    owner: &str,
    fields: &[&'static str],
) -> Result<(Value, bool), ApiError> {
    let (policy, is_default) = stands(call, kind, owner);
    let policy = policy.ok_or_else(|| ApiError::internal("QUERY-0", "Errors.Internal"))?;
    let mut view = message! { "details" => policy.stamp.details(), "isDefault" => is_default };
    if let Some(view) = view.as_object_mut() {
        view.extend(fields.iter().filter_map(|name| {
            Some((api_name(name).to_owned(), told(policy.fields.0.get(*name)?)?))
        }));
    }
    Ok((view, is_default))
}

/// A value as answers tell it: numbers as text, zero values not at all.
fn told(value: &Value) -> Option<Value> {
    match value {
        _ if is_zero(value) => None,
        Value::Number(number) => Some(json!(number.to_string())),
        value => Some(value.clone()),
    }
}

fn read(call: &Call<'_>, kind: &Kind, owner: &str, fields: &[&'static str]) -> Answer {
    let (view, _) = view(call, kind, owner, fields)?;
    Ok(json!({ "policy": view }).into())
}

/// An organization's policy: its own, or the one that it inherits.
fn read_own(call: &Call<'_>, kind: &Kind, owner: &str) -> Answer {
    let (view, is_default) = view(call, kind, owner, kind.fields)?;
    let outside = is_default && passwords::tells_default_outside(kind);
    Ok(message! { "policy" => view, "isDefault" => outside }.into())
}

fn read_v2(call: &Call<'_>, kind: &Kind, names: &[(&str, &str)]) -> Answer {
    let owner = context(call)?;
    let (policy, is_default) = stands(call, kind, &owner);
    let policy = policy.ok_or_else(|| ApiError::internal("QUERY-0", "Errors.Internal"))?;
    let mut settings = message! {
        "resourceOwnerType" => owner_type(is_default),
    };
    if let Some(settings) = settings.as_object_mut() {
        settings.extend(names.iter().filter_map(|(have, name)| {
            Some(((*name).to_owned(), told(policy.fields.0.get(*have)?)?))
        }));
    }
    Ok(json!({ "details": policy.stamp.details(), "settings": settings }).into())
}

/// The instance or the organization that a call of the newer interface asks about.
fn context(call: &Call<'_>) -> Result<String, ApiError> {
    Ok(match (call.query_flag("ctx.instance")?, call.query("ctx.orgId")) {
        (true, _) => call.state.instance_id.clone(),
        (_, id) if !id.is_empty() => id,
        _ => call.organization.clone(),
    })
}

fn owner_type(is_default: bool) -> &'static str {
    if is_default { "RESOURCE_OWNER_TYPE_INSTANCE" } else { "RESOURCE_OWNER_TYPE_ORG" }
}

// Commands.

fn update_instance(call: &mut Call<'_>, kind: &Kind, want: &Map<String, Value>) -> Answer {
    passwords::check(kind, want)?;
    let instance = call.state.instance();
    let Some(policy) = call.state.write.policy(&instance.id, kind) else {
        return Err(ApiError::internal("INSTANCE-0", "Errors.Internal"));
    };
    let changes = difference(&policy.fields, want);
    if changes.is_empty() {
        return Err(precondition(kind.instance_unchanged));
    }
    let [_, event_type] = kind.instance_events;
    let mut drafts = vec![Draft::new(&instance, event_type).payload(changes.clone())];
    if let Some(scoped) = scope_change(kind, &changes) {
        let organizations: Vec<_> = call
            .state
            .write
            .organizations
            .iter()
            .filter(|organization| organization.state.exists())
            .filter(|organization| call.state.write.policy(&organization.id, kind).is_none())
            .map(|organization| organization.id.clone())
            .collect();
        for id in organizations {
            drafts.extend(users::user_name_changes(call.state, &id, scoped));
        }
    }
    let position = call.state.store.len();
    call.push(drafts)?;
    Ok(json!({ "details": change_details(&event_at(call.state, position)?) }).into())
}

fn add(call: &mut Call<'_>, kind: &Kind, want: Map<String, Value>) -> Answer {
    let drafts = addition(call, kind, want)?;
    let position = call.state.store.len();
    call.push(drafts)?;
    Ok(json!({ "details": creation_details(&event_at(call.state, position)?) }).into())
}

/// The events that give an organization its own policy.
///
/// # Errors
/// 409 when it has one.
fn addition(
    call: &Call<'_>,
    kind: &Kind,
    want: Map<String, Value>,
) -> Result<Vec<Draft>, ApiError> {
    passwords::check(kind, &want)?;
    let owner = target(call);
    if call.state.write.policy(&owner, kind).is_some() {
        return Err(ApiError::exists(kind.exists.0, kind.exists.1));
    }
    let [added, ..] = kind.organization_events;
    let want: Map<_, _> = want.into_iter().filter(|(_, value)| !is_zero(value)).collect();
    let scoped = want.get("userLoginMustBeDomain").is_some();
    let changes = differs_from_instance(call.state, kind, scoped).then_some(scoped);
    let mut drafts = vec![Draft::new(&Aggregate::organization(&owner), added).payload(want)];
    if let Some(scoped) = changes {
        drafts.extend(users::user_name_changes(call.state, &owner, scoped));
    }
    Ok(drafts)
}

fn change(call: &mut Call<'_>, kind: &Kind, want: &Map<String, Value>) -> Answer {
    passwords::check(kind, want)?;
    let owner = target(call);
    let policy =
        call.state.write.policy(&owner, kind).ok_or_else(|| not_found(kind.nothing_to_update))?;
    let changes = difference(&policy.fields, want);
    if changes.is_empty() {
        return Err(precondition(kind.unchanged));
    }
    let [_, event_type, _] = kind.organization_events;
    let organization = Aggregate::organization(&owner);
    let mut drafts = vec![Draft::new(&organization, event_type).payload(changes.clone())];
    if let Some(scoped) = scope_change(kind, &changes) {
        drafts.extend(users::user_name_changes(call.state, &owner, scoped));
    }
    let position = call.state.store.len();
    call.push(drafts)?;
    Ok(json!({ "details": change_details(&event_at(call.state, position)?) }).into())
}

fn remove(call: &mut Call<'_>, kind: &Kind) -> Answer {
    let owner = target(call);
    let policy =
        call.state.write.policy(&owner, kind).ok_or_else(|| not_found(kind.nothing_to_remove))?;
    let scoped = policy.fields.flag("userLoginMustBeDomain");
    let [.., removed] = kind.organization_events;
    let mut draft = Draft::new(&Aggregate::organization(&owner), removed);
    if kind.name == LABEL.name {
        draft = draft.payload(Map::new());
    }
    let mut drafts = vec![draft];
    if differs_from_instance(call.state, kind, scoped) {
        drafts.extend(users::user_name_changes(call.state, &owner, !scoped));
    }
    let position = call.state.store.len();
    call.push(drafts)?;
    Ok(json!({ "details": change_details(&event_at(call.state, position)?) }).into())
}

/// Whether a change of policy changes how login names are made, and to what.
fn scope_change(kind: &Kind, changes: &Map<String, Value>) -> Option<bool> {
    (kind.name == DOMAIN.name)
        .then(|| changes.get("userLoginMustBeDomain"))
        .flatten()
        .and_then(Value::as_bool)
}

fn differs_from_instance(state: &State, kind: &Kind, scoped: bool) -> bool {
    kind.name == DOMAIN.name
        && state
            .write
            .policy(&state.instance_id, kind)
            .is_some_and(|policy| policy.fields.flag("userLoginMustBeDomain") != scoped)
}

fn event_at(state: &State, position: usize) -> Result<Event, ApiError> {
    state
        .store
        .get(position)
        .cloned()
        .ok_or_else(|| ApiError::internal("EMU-0", "nothing happened"))
}

fn precondition((id, message): Refusal) -> ApiError {
    ApiError::precondition(id, message)
}

fn not_found((id, message): Refusal) -> ApiError {
    ApiError::not_found(id, message)
}
