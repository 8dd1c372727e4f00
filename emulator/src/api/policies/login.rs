//! The policy of how to log in: its fields, with the factors and identity providers that it allows.

use serde_json::{Map, Value, json};

use super::{
    super::{Access::Permission, Answer, Call, Route, creation_details},
    Routes, addition, change, remove, said, stands, target, told, update_instance,
};
use crate::{
    errors::ApiError,
    message::message,
    model::policy::{
        LOGIN, Policy, api_name,
        login::{Allowed, LIFETIMES, MULTI_FACTORS, PASSWORDLESS, SECOND_FACTORS},
    },
    parsers::{address::Address, duration},
    store::{Aggregate, Draft},
};

mod factors;
mod providers;

const INSTANCE: &str = "/admin/v1/policies/login";
const ORGANIZATION: Routes = Routes {
    path: "/management/v1/policies/login",
    read: "policy.read",
    write: "policy.write",
    remove: "policy.delete",
};

pub(super) fn routes() -> Vec<Route> {
    let Routes { path, read: read_permission, write, remove: delete } = ORGANIZATION;
    let [update, add_request, change_request] = &LOGIN.requests;
    let mut routes = vec![
        Route::get(INSTANCE, Permission("iam.policy.read"), read_default),
        Route::put(INSTANCE, Permission("iam.policy.write"), update, |call| {
            let want = said(&LOGIN, &call.request)?;
            check_redirect(&want, "INST-SFdqd")?;
            update_instance(call, &LOGIN, &want)
        }),
        Route::get(path, Permission(read_permission), |call| {
            let owner = target(call);
            let (view, is_default) = view(call, &owner)?;
            Ok(message! { "policy" => view, "isDefault" => is_default }.into())
        }),
        Route::get("/management/v1/policies/default/login", Permission(read_permission), |call| {
            read_default(call)
        }),
        Route::post(path, Permission(write), add_request, add),
        Route::put(path, Permission(write), change_request, |call| {
            let want = said(&LOGIN, &call.request)?;
            check_redirect(&want, "Org-Sfd21")?;
            change(call, &LOGIN, &want)
        }),
        Route::delete(path, Permission(delete), |call| remove(call, &LOGIN)),
        Route::get("/v2/settings/login", Permission(read_permission), read_v2),
    ];
    routes.extend(factors::routes());
    routes.extend(providers::routes());
    routes
}

/// Whose policy stands for an organization, or for the instance: its own or the instance's.
fn standing(call: &Call<'_>, owner: &str) -> Result<(Policy, Allowed, bool), ApiError> {
    let (policy, is_default) = stands(call, &LOGIN, owner);
    let policy =
        policy.ok_or_else(|| ApiError::not_found("QUERY-QsUBJ", "Login Policy not found"))?;
    let owner = if is_default { &call.state.instance_id } else { owner };
    Ok((policy.clone(), call.state.read.logins.of(owner), is_default))
}

/// What the older and the newer interface tell alike.
fn common(policy: &Policy, allowed: &Allowed) -> Map<String, Value> {
    let numbers = LOGIN.fields.iter().filter(|name| LIFETIMES.contains(name)).map(|name| {
        let nanos = policy.fields.0.get(*name).and_then(Value::as_i64).unwrap_or_default();
        ((*name).to_owned(), json!(duration::text(nanos)))
    });
    let rest = LOGIN.fields.iter().filter_map(|name| match policy.fields.0.get(*name)? {
        Value::Number(_) => None,
        value => Some((api_name(name).to_owned(), told(value)?)),
    });
    let factors = [
        ("secondFactors", names(&allowed.second_factors, SECOND_FACTORS)),
        ("multiFactors", names(&allowed.multi_factors, MULTI_FACTORS)),
    ];
    let factors = factors.into_iter().filter(|(_, names)| !names.is_empty());
    let factors = factors.map(|(name, names)| (name.to_owned(), json!(names)));
    numbers.chain(rest).chain(factors).collect()
}

/// The names of enum values by their numbers.
fn names(numbers: &[u64], all: &[&'static str]) -> Vec<&'static str> {
    let name = |number: &u64| all.get(usize::try_from(*number).ok()?).copied();
    numbers.iter().filter_map(name).collect()
}

fn view(call: &Call<'_>, owner: &str) -> Result<(Value, bool), ApiError> {
    let (policy, allowed, is_default) = standing(call, owner)?;
    let mut view = message! {
        "details" => policy.stamp.details(),
        "isDefault" => is_default,
        "passwordlessType" => passwordless(&policy),
        "idps" => providers::links(call, &allowed),
    };
    if let Some(view) = view.as_object_mut() {
        view.extend(common(&policy, &allowed));
    }
    Ok((view, is_default))
}

/// The name of a type that is not the first.
fn passwordless(policy: &Policy) -> Option<&'static str> {
    match policy.fields.number("passwordlessType") {
        0 => None,
        number => names(&[number], PASSWORDLESS).first().copied(),
    }
}

fn read_default(call: &mut Call<'_>) -> Answer {
    let instance = call.state.instance_id.clone();
    let (view, _) = view(call, &instance)?;
    Ok(json!({ "policy": view }).into())
}

fn read_v2(call: &mut Call<'_>) -> Answer {
    let owner = super::context(call)?;
    let (policy, allowed, is_default) = standing(call, &owner)?;
    let passkeys = passwordless(&policy).map(|name| name.replace("PASSWORDLESS_", "PASSKEYS_"));
    let mut settings = message! {
        "resourceOwnerType" => super::owner_type(is_default),
        "passkeysType" => passkeys,
        "allowLocalAuthentication" => policy.fields.flag("allowUsernamePassword"),
    };
    if let Some(settings) = settings.as_object_mut() {
        settings.extend(common(&policy, &allowed));
    }
    Ok(json!({ "details": policy.stamp.details(), "settings": settings }).into())
}

// Commands.

/// Refuses an address to lead to that is none; checked before anything is looked up.
fn check_redirect(want: &Map<String, Value>, id: &'static str) -> Result<(), ApiError> {
    let address = want.get("defaultRedirectURI").and_then(Value::as_str).unwrap_or_default();
    let is_good = |address: Address| match &*address.scheme {
        "" => false,
        "http" | "https" => !address.host.is_empty(),
        _ => true,
    };
    if address.is_empty() || Address::parse(address).is_some_and(is_good) {
        return Ok(());
    }
    Err(ApiError::invalid(id, "Default Redirect URI is invalid"))
}

/// An organization's own policy, with all that it allows.
fn add(call: &mut Call<'_>) -> Answer {
    let want = said(&LOGIN, &call.request)?;
    check_redirect(&want, "Org-WSfdq")?;
    let second = factors::wanted(&call.request, "secondFactors", SECOND_FACTORS, "Org-SFeea")?;
    let multi = factors::wanted(&call.request, "multiFactors", MULTI_FACTORS, "Org-WSfrg")?;
    let mut drafts = addition(call, &LOGIN, want)?;
    let organization = Aggregate::organization(&target(call));
    let factor = |event_type| {
        let organization = &organization;
        move |number: u64| Draft::new(organization, event_type).with("mfaType", number)
    };
    drafts.extend(second.into_iter().map(factor("org.policy.login.secondfactor.added")));
    drafts.extend(multi.into_iter().map(factor("org.policy.login.multifactor.added")));
    drafts.extend(providers::wanted(call, &organization)?);
    Ok(json!({ "details": creation_details(&call.push(drafts)?) }).into())
}

/// The instance, or the organization that a call acts in.
fn owner(call: &Call<'_>, of_instance: bool) -> Aggregate {
    if of_instance { call.state.instance() } else { Aggregate::organization(&call.organization) }
}

const NO_POLICY: &str = "Login Policy not found";
