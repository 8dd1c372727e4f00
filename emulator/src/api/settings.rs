//! Settings of the instance that are neither policies nor entities: security, restrictions,
//! languages.

use serde_json::{Map, Value, json};

use super::{Access, Answer, Call, Route, change_details};
use crate::{
    errors::ApiError,
    message::message,
    model::{Fields, difference},
    parsers::language,
    proto::{EMPTY, Field, Message, Request},
    store::{Aggregate, Draft},
};

/// The languages that ZITADEL's own texts come in.
pub(crate) const LANGUAGES: [&str; 22] = [
    "ar", "bg", "cs", "de", "en", "es", "fr", "hu", "id", "it", "ja", "ko", "mk", "nl", "pl", "pt",
    "ro", "ru", "sv", "tr", "uk", "zh",
];

static IFRAME: Message = Message::new(
    "EmbeddedIframeSettings",
    &[Field::flag("enabled"), Field::text("allowedOrigins").repeated()],
);
static SET_SECURITY: Message = Message::new(
    "SetSecuritySettingsRequest",
    &[Field::message("embeddedIframe", &IFRAME), Field::flag("enableImpersonation")],
);
static SET_SECURITY_V1: Message = Message::new(
    "SetSecurityPolicyRequest",
    &[
        Field::flag("enableIframeEmbedding"),
        Field::text("allowedOrigins").repeated(),
        Field::flag("enableImpersonation"),
    ],
);
static SELECT_LANGUAGES: Message =
    Message::new("SelectLanguages", &[Field::text("list").repeated()]);
static SET_RESTRICTIONS: Message = Message::new(
    "SetRestrictionsRequest",
    &[
        Field::flag("disallowPublicOrgRegistration"),
        Field::message("allowedLanguages", &SELECT_LANGUAGES),
    ],
);

pub(super) fn routes() -> Vec<Route> {
    use Access::{Authenticated, Permission};
    vec![
        Route::get("/v2/settings/security", Permission("iam.policy.read"), security),
        Route::put(
            "/v2/policies/security",
            Permission("iam.policy.write"),
            &SET_SECURITY,
            |call| {
                let iframe = call.request.message("embeddedIframe");
                let want = security_fields(&call.request, iframe.flag("enabled"), &iframe);
                set_security(call, &want)
            },
        ),
        Route::get("/admin/v1/policies/security", Permission("iam.policy.read"), security_v1),
        Route::put(
            "/admin/v1/policies/security",
            Permission("iam.policy.write"),
            &SET_SECURITY_V1,
            |call| {
                let enabled = call.request.flag("enableIframeEmbedding");
                let want = security_fields(&call.request, enabled, &call.request);
                set_security(call, &want)
            },
        ),
        Route::get("/admin/v1/restrictions", Permission("iam.restrictions.read"), restrictions),
        Route::put(
            "/admin/v1/restrictions",
            Permission("iam.restrictions.write"),
            &SET_RESTRICTIONS,
            set_restrictions,
        ),
        Route::get("/v2/settings", Permission("policy.read"), general),
        Route::get("/admin/v1/languages", Authenticated, |_| {
            Ok(json!({ "languages": LANGUAGES }).into())
        }),
        Route::get("/admin/v1/languages/allowed", Authenticated, allowed_languages),
        Route::get("/admin/v1/languages/default", Authenticated, |call| {
            Ok(json!({ "language": call.state.read.instance.default_language() }).into())
        }),
        Route::put(
            "/admin/v1/languages/default/{language}",
            Permission("iam.write"),
            &EMPTY,
            set_default_language,
        ),
    ]
}

// Security.

const ENABLED: &str = "enable_iframe_embedding";
const ORIGINS: &str = "allowedOrigins";
const IMPERSONATION: &str = "enable_impersonation";

/// What was asked for, under the names of events.
fn security_fields(request: &Request, enabled: bool, origins: &Request) -> Map<String, Value> {
    Map::from_iter([
        (ENABLED.to_owned(), json!(enabled)),
        (ORIGINS.to_owned(), json!(origins.texts(ORIGINS))),
        (IMPERSONATION.to_owned(), json!(request.flag("enableImpersonation"))),
    ])
}

fn set_security(call: &mut Call<'_>, want: &Map<String, Value>) -> Answer {
    let none = Fields::default();
    let have = call.state.write.security.as_ref();
    let changes = difference(have.map_or(&none, |security| &security.fields), want);
    if changes.is_empty() {
        return Err(ApiError::precondition("POLICY-EWsf3", "No changes"));
    }
    let instance = call.state.instance();
    let draft = Draft::new(&instance, "instance.policy.security.set").payload(changes);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn security(call: &mut Call<'_>) -> Answer {
    let none = Fields::default();
    let have = call.state.read.security.as_ref();
    let fields = have.map_or(&none, |security| &security.fields);
    let iframe = message! {
        "enabled" => fields.flag(ENABLED),
        "allowedOrigins" => fields.texts(ORIGINS),
    };
    let settings = message! {
        "embeddedIframe" => iframe,
        "enableImpersonation" => fields.flag(IMPERSONATION),
    };
    Ok(json!({ "settings": settings }).into())
}

fn security_v1(call: &mut Call<'_>) -> Answer {
    let none = Fields::default();
    let have = call.state.read.security.as_ref();
    let fields = have.map_or(&none, |security| &security.fields);
    let policy = message! {
        "details" => have.map_or_else(|| json!({}), |security| security.stamp.details()),
        "enableIframeEmbedding" => fields.flag(ENABLED),
        "allowedOrigins" => fields.texts(ORIGINS),
        "enableImpersonation" => fields.flag(IMPERSONATION),
    };
    Ok(json!({ "policy": policy }).into())
}

// Restrictions and languages.

const DISALLOW: &str = "disallowPublicOrgRegistration";
const ALLOWED: &str = "allowedLanguages";

fn parse_tag(text: &str) -> Result<String, ApiError> {
    language::parse(text).ok_or_else(|| ApiError::invalid("LANG-jc8Sq", "Could not parse language"))
}

/// The tag of no language in particular passes.
pub(super) fn check_supported<'a>(
    languages: impl Iterator<Item = &'a String>,
) -> Result<(), ApiError> {
    let unsupported: Vec<&str> = languages
        .map(String::as_str)
        .filter(|language| *language != language::ROOT && !LANGUAGES.contains(language))
        .collect();
    match unsupported.len() {
        0 => Ok(()),
        1 => Err(ApiError::invalid("LANG-lg4DP", "Language is not supported")),
        _ => Err(ApiError::invalid(
            "LANG-XHiK5",
            format!("Errors.Languages.NotSupported: [{}]", unsupported.join(", ")),
        )),
    }
}

fn check_languages(languages: &[String], default: &str) -> Result<(), ApiError> {
    let duplicates: Vec<_> = languages
        .iter()
        .enumerate()
        .filter(|(index, language)| languages.iter().take(*index).any(|other| other == *language))
        .map(|(_, language)| language.as_str())
        .collect();
    match duplicates.len() {
        0 => {}
        1 => {
            let message = format!("Errors.Languages.Duplicate: [{}]", duplicates.join(", "));
            return Err(ApiError::invalid("LANG-XHiK5", message));
        }
        _ => return Err(ApiError::invalid("LANG-3M9f2", "Errors.Language.Duplicate")),
    }
    check_supported(languages.iter())?;
    if !languages.is_empty() && !languages.iter().any(|language| language == default) {
        return Err(ApiError::precondition(
            "COMMAND-L0m2u",
            "The default language must be allowed",
        ));
    }
    Ok(())
}

fn sorted(mut languages: Vec<String>) -> Vec<String> {
    languages.sort();
    languages
}

fn set_restrictions(call: &mut Call<'_>) -> Answer {
    let request = &call.request;
    // Languages are read before anything is checked.
    let languages: Vec<_> = request
        .message(ALLOWED)
        .texts("list")
        .iter()
        .map(|language| parse_tag(language))
        .collect::<Result<_, _>>()?;
    if !request.has(DISALLOW) && !request.has(ALLOWED) {
        return Err(ApiError::invalid("COMMAND-oASwj", "No restrictions specified"));
    }
    let mut want = Map::new();
    if request.has(DISALLOW) {
        want.insert(DISALLOW.to_owned(), json!(request.flag(DISALLOW)));
    }
    let none = Fields::default();
    let mut allowed = None;
    let have = call.state.write.restrictions.as_ref();
    let fields = have.map_or(&none, |restrictions| &restrictions.fields);
    if request.has(ALLOWED) {
        check_languages(&languages, call.state.write.instance.default_language())?;
        // Another order is no change; an empty list is one where there never was any.
        if !fields.has(ALLOWED) || sorted(fields.texts(ALLOWED)) != sorted(languages.clone()) {
            allowed = Some(languages);
        }
    }
    let mut changes = difference(fields, &want);
    changes.extend(allowed.map(|languages| (ALLOWED.to_owned(), json!(languages))));
    if changes.is_empty() {
        let details = have.map_or_else(
            || json!({ "resourceOwner": call.state.instance_id }),
            |restrictions| restrictions.stamp.change_details(),
        );
        return Ok(json!({ "details": details }).into());
    }
    let id = have.map(|restrictions| restrictions.id.clone());
    let id = id.unwrap_or_else(|| call.state.clock.id());
    let aggregate = Aggregate::new("restrictions", id, &*call.state.instance_id);
    let event = call.push(vec![Draft::new(&aggregate, "restrictions.set").payload(changes)])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn restrictions(call: &mut Call<'_>) -> Answer {
    let Some(restrictions) = &call.state.read.restrictions else {
        return Ok(json!({ "details": {} }).into());
    };
    Ok(message! {
        "details" => restrictions.stamp.details(),
        "disallowPublicOrgRegistration" => restrictions.fields.flag(DISALLOW),
        "allowedLanguages" => restrictions.fields.texts(ALLOWED),
    }
    .into())
}

/// The languages that people may choose: all that are known, if nothing restricts them.
fn allowed(call: &Call<'_>) -> Vec<String> {
    let restrictions = call.state.read.restrictions.as_ref();
    let allowed = restrictions.map(|restrictions| restrictions.fields.texts(ALLOWED));
    allowed
        .filter(|languages| !languages.is_empty())
        .unwrap_or_else(|| LANGUAGES.map(str::to_owned).to_vec())
}

fn allowed_languages(call: &mut Call<'_>) -> Answer {
    Ok(json!({ "languages": allowed(call) }).into())
}

fn general(call: &mut Call<'_>) -> Answer {
    let instance = &call.state.read.instance;
    let organization = instance.default_organization();
    Ok(message! {
        "defaultOrgId" => organization,
        "defaultOrganizationId" => organization,
        "defaultLanguage" => instance.default_language(),
        "supportedLanguages" => LANGUAGES.to_vec(),
        "allowedLanguages" => allowed(call),
    }
    .into())
}

fn set_default_language(call: &mut Call<'_>) -> Answer {
    let language = parse_tag(call.param("language"))?;
    if language == language::ROOT {
        return Err(ApiError::invalid("LANG-3M9f2", "Errors.Language.Undefined"));
    }
    check_supported(std::iter::once(&language))?;
    if call.state.write.instance.default_language() == language {
        return Err(ApiError::precondition("INST-DS3rq", "Instance not changed"));
    }
    let restrictions = call.state.write.restrictions.as_ref();
    let allowed =
        restrictions.map(|restrictions| restrictions.fields.texts(ALLOWED)).unwrap_or_default();
    if !allowed.is_empty() && !allowed.contains(&language) {
        return Err(ApiError::precondition("LANG-2M9fs", "Language is not allowed"));
    }
    let instance = call.state.instance();
    let draft = Draft::new(&instance, "instance.default.language.set").with("language", language);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
