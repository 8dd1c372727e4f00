//! Identity providers of the instance and of organizations, as far as login policies need them: two
//! kinds, made, found and deleted.

use serde_json::{Map, Value, json};

use super::{
    Access::Permission,
    Answer, Call, Route, change_details, creation_details,
    list::{self, Page},
};
use crate::{
    errors::ApiError,
    message::message,
    model::{is_zero, policy::login::OWNER_TYPES, provider::Provider},
    proto::{Field, Message, NAME, Request, Rule, SHORT},
    store::{Aggregate, Draft},
};

const AUTO_LINKING: &[&str] = &[
    "AUTO_LINKING_OPTION_UNSPECIFIED",
    "AUTO_LINKING_OPTION_USERNAME",
    "AUTO_LINKING_OPTION_EMAIL",
];
const SECRET: &[Rule] = &[Rule::Length(1, 1_000)];
const SCOPES: &[Rule] = &[Rule::MaxItems(20), Rule::EachLength(1, 100)];
static OPTIONS: Message = Message::new(
    "Options",
    &[
        Field::flag("isLinkingAllowed"),
        Field::flag("isCreationAllowed"),
        Field::flag("isAutoCreation"),
        Field::flag("isAutoUpdate"),
        Field::choice("autoLinking", AUTO_LINKING),
    ],
);

/// What tells one kind of provider from another.
struct Kind {
    /// Where it is made: at the instance, at an organization.
    paths: [&'static str; 2],
    events: [&'static str; 2],
    request: Message,
    /// The texts that must hold more than blanks, and the ids that refuse them, without `INST-` or
    /// `ORG-` in front.
    required: &'static [(&'static str, [&'static str; 2])],
}

static KINDS: [Kind; 2] = [
    Kind {
        paths: ["/admin/v1/idps/google", "/management/v1/idps/google"],
        events: ["instance.idp.google.added", "org.idp.google.added"],
        request: Message::new(
            "AddGoogleProviderRequest",
            &[
                Field::text("name").rules(SHORT),
                Field::text("clientId").rules(NAME),
                Field::text("clientSecret").rules(SECRET),
                Field::text("scopes").repeated().rules(SCOPES),
                Field::message("providerOptions", &OPTIONS),
            ],
        ),
        required: &[
            ("clientId", ["INST-D3fvs", "ORG-D3fvs"]),
            ("clientSecret", ["INST-W2vqs", "ORG-W2vqs"]),
        ],
    },
    Kind {
        paths: ["/admin/v1/idps/generic_oidc", "/management/v1/idps/generic_oidc"],
        events: ["instance.idp.oidc.added", "org.idp.oidc.added"],
        request: Message::new(
            "AddGenericOIDCProviderRequest",
            &[
                Field::text("name").rules(NAME),
                Field::text("issuer").rules(NAME),
                Field::text("clientId").rules(NAME),
                Field::text("clientSecret").rules(SECRET),
                Field::text("scopes").repeated().rules(SCOPES),
                Field::message("providerOptions", &OPTIONS),
                Field::flag("isIdTokenMapping"),
                Field::flag("usePkce"),
            ],
        ),
        required: &[
            ("name", ["INST-Sgtj5", "ORG-Sgtj5"]),
            ("issuer", ["INST-Hz6zj", "ORG-Hz6zj"]),
            ("clientId", ["INST-fb5jm", "ORG-fb5jm"]),
            ("clientSecret", ["INST-Sfdf4", "ORG-Sfdf4"]),
        ],
    },
];

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

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for kind in &KINDS {
        let Kind { paths: [of_instance, of_organization], request, .. } = kind;
        routes.push(Route::post(of_instance, Permission("iam.idp.write"), request, |call| {
            let instance = call.state.instance();
            add(call, kind, &instance)
        }));
        routes.push(Route::post(of_organization, Permission("org.idp.write"), request, |call| {
            let organization = Aggregate::organization(&call.organization);
            add(call, kind, &organization)
        }));
    }
    routes.extend([
        Route::delete("/admin/v1/idps/templates/{id}", Permission("iam.idp.delete"), |call| {
            let instance = call.state.instance();
            remove(call, &instance, "instance.idp.removed", "INST-Se3tg")
        }),
        Route::delete("/management/v1/idps/templates/{id}", Permission("org.idp.delete"), |call| {
            let organization = Aggregate::organization(&call.organization);
            remove(call, &organization, "org.idp.removed", "ORG-Se3tg")
        }),
        Route::search(
            "/admin/v1/idps/templates/_search",
            Permission("iam.idp.read"),
            &SEARCH,
            |call| search(call, false),
        ),
        Route::search(
            "/management/v1/idps/templates/_search",
            Permission("org.idp.read"),
            &SEARCH,
            |call| search(call, true),
        ),
    ]);
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
    let fields = &provider.fields;
    let mut config = message! { "options" => options(provider) };
    if let Some(config) = config.as_object_mut() {
        let own = message! {
            "issuer" => fields.text("issuer"),
            "clientId" => fields.text("clientId"),
            "scopes" => fields.texts("scopes"),
            "isIdTokenMapping" => fields.flag("idTokenMapping"),
            "usePkce" => fields.flag("usePKCE"),
        };
        config.insert(provider.kind.to_owned(), own);
    }
    let owner = if owner_type(provider, instance) == 1 { "SYSTEM" } else { "ORG" };
    message! {
        "id" => &*provider.id,
        "details" => provider.stamp.details(),
        "state" => "IDP_STATE_ACTIVE",
        "name" => fields.text("name"),
        "owner" => format!("IDP_OWNER_TYPE_{owner}"),
        "type" => format!("PROVIDER_TYPE_{}", provider.kind.to_uppercase()),
        "config" => config,
    }
}

/// The instance's providers; an organization sees its own with them.
fn search(call: &mut Call<'_>, with_own: bool) -> Answer {
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

fn add(call: &mut Call<'_>, kind: &Kind, owner: &Aggregate) -> Answer {
    let of_instance = owner.kind == "instance";
    for (field, [at_instance, at_organization]) in kind.required {
        if call.request.text(field).trim().is_empty() {
            let id = if of_instance { at_instance } else { at_organization };
            return Err(ApiError::invalid(id, "Errors.Invalid.Argument"));
        }
    }
    let id = call.state.clock.id();
    let [at_instance, at_organization] = kind.events;
    let event_type = if of_instance { at_instance } else { at_organization };
    let draft = Draft::new(owner, event_type).payload(payload(&call.request, &id));
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": creation_details(&event), "id": id }).into())
}

/// What was asked for, under the names of events.
fn payload(request: &Request, id: &str) -> Map<String, Value> {
    let options = request.message("providerOptions");
    let fields = [
        ("id", json!(id)),
        ("name", json!(request.text("name"))),
        ("issuer", json!(request.text("issuer").trim())),
        ("clientId", json!(request.text("clientId").trim())),
        (
            "clientSecret",
            json!({
                "Algorithm": "aes",
                "Crypted": super::credentials::random_text(32),
                "CryptoType": 0,
                "KeyID": "idpConfigKey",
            }),
        ),
        ("scopes", json!(request.texts("scopes"))),
        ("idTokenMapping", json!(request.flag("isIdTokenMapping"))),
        ("usePKCE", json!(request.flag("usePkce"))),
        ("isLinkingAllowed", json!(options.flag("isLinkingAllowed"))),
        ("isCreationAllowed", json!(options.flag("isCreationAllowed"))),
        ("isAutoCreation", json!(options.flag("isAutoCreation"))),
        ("isAutoUpdate", json!(options.flag("isAutoUpdate"))),
        ("autoLinkingOption", json!(options.number("autoLinking"))),
    ];
    fields
        .into_iter()
        .filter(|(_, value)| !is_zero(value))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn remove(
    call: &mut Call<'_>,
    owner: &Aggregate,
    event_type: &'static str,
    missing: &'static str,
) -> Answer {
    let id = call.param("id").to_owned();
    let provider = call.state.write.providers.get(&id);
    if provider.is_none_or(|provider| provider.stamp.owner != owner.id) {
        return Err(ApiError::not_found(missing, "Identity Provider Configuration doesn't exist"));
    }
    let event = call.push(vec![Draft::new(owner, event_type).with("id", id)])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
