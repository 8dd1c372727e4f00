//! The domains of organizations: management API and service v2.

use serde_json::{Value, json};

use super::{
    super::{
        Access, Answer, Call, Route, change_details, creation_details, credentials, date,
        list::{self, PAGE, Page, TEXT_QUERY},
        users,
    },
    commands::{DOMAIN_TAKEN, existing, generated_domain},
};
use crate::{
    errors::ApiError,
    message::message,
    model::organization::{Domain, Organization},
    proto::{EMPTY, Field, Message, NAME, OPTIONAL_NAME, Request, Rule},
    state::State,
    store::{Aggregate, Draft, Event},
};

const CHALLENGES: &[&str] = &[
    "DOMAIN_VALIDATION_TYPE_UNSPECIFIED",
    "DOMAIN_VALIDATION_TYPE_HTTP",
    "DOMAIN_VALIDATION_TYPE_DNS",
];
const CHALLENGE: Field = Field::choice("type", CHALLENGES).rules(&[Rule::Defined, Rule::NotFirst]);

static ADD: Message = Message::new("AddOrgDomainRequest", &[Field::text("domain").rules(NAME)]);
static ADD_V2: Message =
    Message::new("AddOrganizationDomainRequest", &[Field::text("domain").rules(NAME)]);
static NAME_QUERY: Message = Message::new(
    "DomainNameQuery",
    &[Field::text("name").rules(NAME), Field::choice("method", TEXT_QUERY)],
);
static QUERY: Message = Message::one_of(
    "DomainSearchQuery",
    "query",
    &[Field::message("domainNameQuery", &NAME_QUERY)],
);
static LIST: Message = Message::new(
    "ListOrgDomainsRequest",
    &[Field::message("query", &PAGE), Field::message("queries", &QUERY).repeated()],
);
static DOMAIN_FILTER: Message = Message::new(
    "OrganizationDomainQuery",
    // Unlike other filters of the newer interfaces, it names the methods as the older ones do.
    &[Field::text("domain").rules(NAME), Field::choice("method", TEXT_QUERY)],
);
static FILTER: Message = Message::one_of(
    "DomainSearchFilter",
    "filter",
    &[Field::message("domainFilter", &DOMAIN_FILTER)],
);
static LIST_V2: Message = Message::new(
    "ListOrganizationDomainsRequest",
    &[
        Field::message("pagination", &PAGE),
        Field::message("filters", &FILTER).repeated(),
        Field::choice(
            "sortingColumn",
            &[
                "DOMAIN_FIELD_NAME_UNSPECIFIED",
                "DOMAIN_FIELD_NAME_NAME",
                "DOMAIN_FIELD_NAME_CREATION_DATE",
            ],
        ),
    ],
);
static GENERATE: Message = Message::new("GenerateOrgDomainValidationRequest", &[CHALLENGE]);
static GENERATE_V2: Message = Message::new(
    "GenerateOrganizationDomainValidationRequest",
    &[Field::text("domain").rules(NAME), CHALLENGE],
);
static VERIFY_V2: Message =
    Message::new("VerifyOrganizationDomainRequest", &[Field::text("domain").rules(OPTIONAL_NAME)]);

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Permission};
    const READ: Access = Permission("org.read");
    const WRITE: Access = Permission("org.write");
    let mut routes = vec![
        Route::search("/management/v1/orgs/me/domains/_search", READ, &LIST, search),
        Route::post("/management/v1/orgs/me/domains", WRITE, &ADD, |call| {
            let event = add(call, &call.organization.clone())?;
            Ok(json!({ "details": creation_details(&event) }).into())
        }),
        Route::delete("/management/v1/orgs/me/domains/{domain}", WRITE, |call| {
            let domain = call.param("domain").to_owned();
            let event = remove(call, &call.organization.clone(), &domain)?;
            Ok(json!({ "details": change_details(&event) }).into())
        }),
        Route::post(
            "/management/v1/orgs/me/domains/{domain}/_set_primary",
            WRITE,
            &EMPTY,
            set_primary,
        ),
        Route::post(
            "/management/v1/orgs/me/domains/{domain}/validation/_generate",
            WRITE,
            &GENERATE,
            |call| {
                let domain = call.param("domain").to_owned();
                generate(call, &call.organization.clone(), &domain)
            },
        ),
        Route::post(
            "/management/v1/orgs/me/domains/{domain}/validation/_validate",
            WRITE,
            &EMPTY,
            |call| {
                let domain = call.param("domain").to_owned();
                validate(call, &call.organization.clone(), &domain)
            },
        ),
    ];
    routes.extend([
        Route::post("/v2/organizations/{id}/domains", Authenticated, &ADD_V2, |call| {
            let id = call.param("id").to_owned();
            if existing(call, &id).is_none() {
                return Err(ApiError::precondition("COMMAND-QXPGs", "Organisation not found"));
            }
            call.permit("org.write", &id)?;
            let event = add(call, &id)?;
            Ok(json!({ "creationDate": date(&event) }).into())
        }),
        Route::search("/v2/organizations/{id}/domains/search", Authenticated, &LIST_V2, search_v2),
        Route::delete("/v2/organizations/{id}/domains", Authenticated, |call| {
            let id = call.param("id").to_owned();
            call.permit("org.write", &id)?;
            let event = remove(call, &id, &call.query("domain"))?;
            Ok(json!({ "deletionDate": date(&event) }).into())
        }),
        Route::post(
            "/v2/organizations/{id}/domains/validation/generate",
            Authenticated,
            &GENERATE_V2,
            |call| {
                let (id, domain) = named(call)?;
                generate(call, &id, &domain)
            },
        ),
        Route::post(
            "/v2/organizations/{id}/domains/validation/verify",
            Authenticated,
            &VERIFY_V2,
            |call| {
                let (id, domain) = named(call)?;
                validate(call, &id, &domain)
            },
        ),
    ]);
    routes
}

/// The organization in the path, where the caller may write, and the domain in the request.
fn named(call: &Call<'_>) -> Result<(String, String), ApiError> {
    let id = call.param("id").to_owned();
    call.permit("org.write", &id)?;
    Ok((id, call.request.text("domain").to_owned()))
}

// Queries.

fn rows(
    organization: Option<&Organization>,
    passes: impl Fn(&str) -> bool,
) -> Vec<(&String, &Domain)> {
    let domains = organization.into_iter().flat_map(|organization| &organization.domains);
    let mut rows: Vec<_> = domains.filter(|(name, _)| passes(name)).collect();
    rows.sort_by_key(|(_, domain)| domain.position);
    rows
}

fn search(call: &mut Call<'_>) -> Answer {
    let page = Page::of(&call.request);
    let queries = call.request.messages("queries");
    let passes = |name: &str| {
        let query = |query: &Request| query.message("domainNameQuery");
        queries.iter().all(|q| list::matches(name, &query(q), "name"))
    };
    let organization = call.state.read.organizations.get(&call.organization);
    let primary = organization.map_or("", |organization| &organization.primary_domain);
    let (rows, total) = page.cut(rows(organization, passes).into_iter());
    let view = |(name, domain): (&String, &Domain)| {
        message! {
            "orgId" => &*call.organization,
            "details" => domain.stamp.details(),
            "domainName" => &**name,
            "isVerified" => domain.verified,
            "isPrimary" => name == primary,
            "validationType" => challenge(domain),
        }
    };
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest("organizations")),
        "result" => rows.into_iter().map(view).collect::<Vec<_>>(),
    }
    .into())
}

fn challenge(domain: &Domain) -> &'static str {
    match domain.challenge {
        0 => "",
        number => {
            CHALLENGES.get(usize::try_from(number).unwrap_or_default()).copied().unwrap_or_default()
        }
    }
}

fn search_v2(call: &mut Call<'_>) -> Answer {
    let id = call.param("id").to_owned();
    let page = Page::of_pagination(&call.request)?;
    call.permit("org.read", &id)?;
    let filters = call.request.messages("filters");
    let passes = |name: &str| {
        let filter = |filter: &Request| filter.message("domainFilter");
        filters.iter().all(|f| list::matches(name, &filter(f), "domain"))
    };
    let organization = call.state.read.organizations.get(&id);
    let primary = organization.map_or("", |organization| &organization.primary_domain);
    let mut rows = rows(organization, passes);
    match call.request.number("sortingColumn") {
        1 => page.sort(&mut rows, |(name, _)| name.to_lowercase()),
        2 => page.sort(&mut rows, |(_, domain)| domain.position),
        _ => {}
    }
    let (rows, total) = page.cut(rows.into_iter());
    let view = |(name, domain): (&String, &Domain)| -> Value {
        message! {
            "organizationId" => &*id,
            "domain" => &**name,
            "isVerified" => domain.verified,
            "isPrimary" => name == primary,
            "validationType" => challenge(domain),
        }
    };
    Ok(message! {
        "pagination" => list::asked_pagination(&call.request, total),
        "domains" => rows.into_iter().map(view).collect::<Vec<_>>(),
    }
    .into())
}

// Commands.

fn domain_of<'a>(call: &'a Call<'_>, id: &str, domain: &str) -> Option<&'a Domain> {
    existing(call, id).and_then(|organization| organization.domains.get(domain))
}

fn missing(id: &'static str) -> ApiError {
    ApiError::not_found(id, "Domain doesn't exist on organization")
}

fn of(id: &str, event_type: &'static str, domain: &str) -> Draft {
    Draft::new(&Aggregate::organization(id), event_type).with("domain", domain)
}

/// Adds a domain. Where nobody asks for a proof it is verified at once, and takes the user names
/// that others have under it.
fn add(call: &mut Call<'_>, id: &str) -> Result<Event, ApiError> {
    let domain = call.request.text("domain").to_owned();
    if domain_of(call, id, &domain).is_some() {
        return Err(ApiError::exists("V2-e1wse", "Errors.Already.Exists"));
    }
    let mut drafts = vec![of(id, "org.domain.added", &domain)];
    if !State::must_validate_domains(&call.state.write, &call.state.instance_id, id) {
        drafts.extend(verified(call.state, id, &domain));
    }
    call.push(drafts)
}

/// It is an organization's alone from now on, and so are the user names under it.
fn verified(state: &mut State, id: &str, domain: &str) -> Vec<Draft> {
    let draft = of(id, "org.domain.verified", domain).take("org_domain", domain, DOMAIN_TAKEN);
    [draft].into_iter().chain(users::claims(state, id, domain)).collect()
}

fn set_primary(call: &mut Call<'_>) -> Answer {
    let (id, domain) = (call.organization.clone(), call.param("domain").to_owned());
    let known = domain_of(call, &id, &domain).ok_or_else(|| missing("ORG-GDfA3"))?;
    if !known.verified {
        return Err(ApiError::precondition("ORG-Ggd32", "Domain is not verified"));
    }
    let event = call.push(vec![of(&id, "org.domain.primary.set", &domain)])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn remove(call: &mut Call<'_>, id: &str, domain: &str) -> Result<Event, ApiError> {
    let organization = existing(call, id).ok_or_else(|| missing("ORG-GDfA3"))?;
    let known = organization.domains.get(domain).ok_or_else(|| missing("ORG-GDfA3"))?;
    let generated = generated_domain(&organization.name, &call.state.domain)?;
    if organization.primary_domain == domain || generated == domain {
        let text = "Organization Domain must not be deleted";
        return Err(ApiError::precondition("ORG-Sjdi3", text));
    }
    let draft = of(id, "org.domain.removed", domain);
    let draft = if known.verified { draft.release("org_domain", domain) } else { draft };
    call.push(vec![draft])
}

fn generate(call: &mut Call<'_>, id: &str, domain: &str) -> Answer {
    let known = domain_of(call, id, domain).ok_or_else(|| missing("ORG-AGD31"))?;
    if known.verified {
        return Err(already_verified());
    }
    let kind = call.request.number("type");
    let token = credentials::random_text(32);
    let url = location(kind, domain, &token);
    let code = json!({
        "CryptoType": 0,
        "Algorithm": "aes",
        "KeyID": "domainVerificationKey",
        "Crypted": credentials::hash(&token),
    });
    let draft = of(id, "org.domain.verification.added", domain)
        .with("validationType", kind)
        .with("validationCode", code);
    call.push(vec![draft])?;
    Ok(json!({ "token": token, "url": url }).into())
}

/// Where a proof is looked for.
fn location(kind: u64, domain: &str, token: &str) -> String {
    if kind == 2 {
        format!("_zitadel-challenge.{domain}")
    } else {
        format!("https://{domain}/.well-known/zitadel-challenge/{token}.txt")
    }
}

/// Looks for a proof, in what tests say is published.
fn validate(call: &mut Call<'_>, id: &str, domain: &str) -> Answer {
    let known = domain_of(call, id, domain).ok_or_else(|| missing("ORG-Sjdi3"))?;
    if known.verified {
        return Err(already_verified());
    }
    if known.challenge == 0 {
        return Err(ApiError::precondition("ORG-SFBB3", "Domain validation is missing"));
    }
    let is_proof = |(at, text): (&String, &String)| {
        *at == location(known.challenge, domain, text) && credentials::hash(text) == known.code
    };
    if call.state.published.iter().any(is_proof) {
        let drafts = verified(call.state, id, domain);
        let event = call.push(drafts)?;
        return Ok(json!({ "details": change_details(&event) }).into());
    }
    call.push(vec![of(id, "org.domain.verification.failed", domain)])?;
    Err(ApiError::invalid("ORG-GH3s", "Domain verification failed"))
}

fn already_verified() -> ApiError {
    ApiError::precondition("ORG-HGw21", "Domain is already verified")
}
