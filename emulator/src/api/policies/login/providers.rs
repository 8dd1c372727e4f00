//! The identity providers that a login policy offers.

use serde_json::{Value, json};

use super::{
    super::{
        super::{Access::Permission, Answer, Call, Route, change_details, creation_details, list},
        context,
    },
    NO_POLICY, owner, standing,
};
use crate::{
    errors::ApiError,
    message::message,
    model::{
        policy::{
            LOGIN,
            login::{Allowed, OWNER_TYPES},
        },
        provider::Provider,
    },
    proto::{Field, Message, NAME, Request, Rule},
    store::{Aggregate, Draft},
};

static ADD_TO_INSTANCE: Message =
    Message::new("AddIDPToLoginPolicyRequest", &[Field::text("idpId").rules(NAME)]);
static ADD_TO_ORGANIZATION: Message = Message::new(
    "AddIDPToLoginPolicyRequest",
    &[
        Field::text("idpId").rules(NAME),
        Field::choice("ownerType", OWNER_TYPES).rules(&[Rule::Defined, Rule::NotFirst]),
    ],
);
/// The number of a provider of the organization, among [`OWNER_TYPES`].
const OF_ORGANIZATION: u64 = 2;
const NOT_EXISTING: &str = "Identity Provider Configuration doesn't exist";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::search(
            "/admin/v1/policies/login/idps/_search",
            Permission("iam.policy.read"),
            &list::LIST,
            |call| found(call, true),
        ),
        Route::post(
            "/admin/v1/policies/login/idps",
            Permission("iam.policy.write"),
            &ADD_TO_INSTANCE,
            add_to_instance,
        ),
        Route::delete(
            "/admin/v1/policies/login/idps/{idp}",
            Permission("iam.policy.write"),
            |call| remove(call, true),
        ),
        Route::search(
            "/management/v1/policies/login/idps/_search",
            Permission("policy.read"),
            &list::LIST,
            |call| found(call, false),
        ),
        Route::post(
            "/management/v1/policies/login/idps",
            Permission("policy.write"),
            &ADD_TO_ORGANIZATION,
            add_to_organization,
        ),
        Route::delete(
            "/management/v1/policies/login/idps/{idp}",
            Permission("policy.write"),
            |call| remove(call, false),
        ),
        Route::get("/v2/settings/login/idps", Permission("policy.read"), active),
    ]
}

/// The providers that a policy offers, as reads of the policy tell them.
pub(super) fn links(call: &Call<'_>, allowed: &Allowed) -> Vec<Value> {
    allowed.providers.iter().map(|id| link(id, call.state.read.providers.get(id))).collect()
}

fn link(id: &str, provider: Option<&Provider>) -> Value {
    message! {
        "idpId" => id,
        "idpName" => provider.map(|provider| provider.fields.text("name")),
        // The older enum knows two types, and one of them is no longer made.
        "idpType" => provider.filter(|provider| provider.kind == "oidc").map(|_| "IDP_TYPE_OIDC"),
    }
}

fn found(call: &mut Call<'_>, of_instance: bool) -> Answer {
    let (_, allowed, _) = standing(call, &owner(call, of_instance).id)?;
    let (page, total) = list::Page::of(&call.request).cut(links(call, &allowed).into_iter());
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("provider links")),
        "result" => page,
    }
    .into())
}

/// The newer interface, with its filters.
fn active(call: &mut Call<'_>) -> Answer {
    let filters = [
        ("linkingAllowed", "isLinkingAllowed"),
        ("creationAllowed", "isCreationAllowed"),
        ("autoCreation", "isAutoCreation"),
        ("autoLinking", "autoLinkingOption"),
    ];
    let owner = context(call)?;
    let (_, allowed, _) = standing(call, &owner)?;
    let mut wanted = Vec::new();
    for (query, field) in filters {
        if !call.query(query).is_empty() {
            wanted.push((field, call.query_flag(query)?));
        }
    }
    let set = |provider: &Provider, field| {
        provider.fields.flag(field) || provider.fields.number(field) > 0
    };
    let providers = &call.state.read.providers;
    let providers: Vec<_> = allowed
        .providers
        .iter()
        .filter_map(|id| providers.get(id))
        .filter(|provider| wanted.iter().all(|(field, want)| set(provider, field) == *want))
        .map(|provider| {
            message! {
                "id" => &*provider.id,
                "name" => provider.fields.text("name"),
                "type" => format!("IDENTITY_PROVIDER_TYPE_{}", provider.kind.to_uppercase()),
                "options" => super::super::super::providers::options(provider),
            }
        })
        .collect();
    Ok(message! {
        "details" => message! {
            "totalResult" => list::count(providers.len()),
            "timestamp" => call.state.read.latest("provider links"),
        },
        "identityProviders" => providers,
    }
    .into())
}

// Commands.

/// Whether the instance (`true`) or the organization has a provider under an id.
fn exists(call: &Call<'_>, id: &str, of_instance: bool) -> bool {
    let owner = owner(call, of_instance).id;
    call.state.write.providers.get(id).is_some_and(|provider| provider.stamp.owner == owner)
}

/// The providers that the creation of a policy names.
///
/// # Errors
/// 400 for one that neither the organization nor the instance has.
pub(super) fn wanted(call: &Call<'_>, organization: &Aggregate) -> Result<Vec<Draft>, ApiError> {
    let draft = |idp: Request| {
        let id = idp.text("idpId");
        if !exists(call, id, true) && !exists(call, id, false) {
            return Err(ApiError::precondition("Org-FEd32", NOT_EXISTING));
        }
        Ok(addition(organization, id, idp.number("ownerType")))
    };
    call.request.messages("idps").into_iter().map(draft).collect()
}

/// The event that adds a provider to an organization's policy.
fn addition(organization: &Aggregate, id: &str, owner_type: u64) -> Draft {
    let draft =
        Draft::new(organization, "org.policy.login.idpprovider.added").with("idpConfigId", id);
    if owner_type == OF_ORGANIZATION { draft.with("idpProviderType", 1) } else { draft }
}

fn is_linked(call: &Call<'_>, owner: &Aggregate, id: &str) -> bool {
    call.state.write.logins.of(&owner.id).providers.iter().any(|have| have == id)
}

fn add_to_instance(call: &mut Call<'_>) -> Answer {
    let instance = call.state.instance();
    let id = call.request.text("idpId");
    if !exists(call, id, true) {
        return Err(ApiError::precondition("INSTANCE-m8fsd", NOT_EXISTING));
    }
    if is_linked(call, &instance, id) {
        return Err(ApiError::exists("INSTANCE-2B0ps", "Identity provider already exists"));
    }
    let draft = Draft::new(&instance, "instance.policy.login.idpprovider.added");
    let event = call.push(vec![draft.with("idpConfigId", id)])?;
    Ok(json!({ "details": creation_details(&event) }).into())
}

fn add_to_organization(call: &mut Call<'_>) -> Answer {
    let organization = owner(call, false);
    if call.state.write.policy(&organization.id, &LOGIN).is_none() {
        return Err(ApiError::not_found("Org-Ffgw2", NO_POLICY));
    }
    let (id, owner_type) = (call.request.text("idpId"), call.request.number("ownerType"));
    if !exists(call, id, owner_type != OF_ORGANIZATION) {
        return Err(ApiError::precondition("Org-3N9fs", NOT_EXISTING));
    }
    if is_linked(call, &organization, id) {
        return Err(ApiError::exists("Org-2B0ps", "Errors.Org.LoginPolicy.IDP.AlreadyExists"));
    }
    let draft = addition(&organization, id, owner_type);
    Ok(json!({ "details": creation_details(&call.push(vec![draft])?) }).into())
}

fn remove(call: &mut Call<'_>, of_instance: bool) -> Answer {
    let (event_type, missing) = if of_instance {
        ("instance.policy.login.idpprovider.removed", "INSTANCE-39fjs")
    } else {
        ("org.policy.login.idpprovider.removed", "Org-39fjs")
    };
    let owner = owner(call, of_instance);
    if call.state.write.policy(&owner.id, &LOGIN).is_none() {
        return Err(ApiError::not_found("Org-GVDfe", NO_POLICY));
    }
    let id = call.param("idp").to_owned();
    if !is_linked(call, &owner, &id) {
        return Err(ApiError::not_found(missing, "Identity provider doesn't exist"));
    }
    let event = call.push(vec![Draft::new(&owner, event_type).with("idpConfigId", id)])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
