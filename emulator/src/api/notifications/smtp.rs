//! Mail servers.

use serde_json::{Map, Value, json};

use super::{EMAIL, filled, remove, set_active, trimmed};
use crate::{
    api::{
        Access::Permission,
        Answer, Call, Route, change_details,
        list::{self, Page},
    },
    errors::ApiError,
    message::message,
    model::{
        difference,
        notification::{Login, Provider, encrypted},
        policy,
    },
    proto::{EMPTY, Field, Message, NAME, Request, Rule, SHORT},
    store::Draft,
};

static PLAIN: Message = Message::new("SMTPPlainAuth", &[Field::text("password")]);
static CREDENTIALS: Message = Message::new(
    "SMTPXOAuth2ClientCredentials",
    &[Field::text("clientId").rules(NAME), Field::text("clientSecret").rules(SHORT)],
);
static XOAUTH2: Message = Message::new(
    "SMTPXOAuth2Auth",
    &[
        Field::text("tokenEndpoint").rules(NAME),
        Field::text("scopes").repeated(),
        Field::message("clientCredentials", &CREDENTIALS),
    ],
);

/// The fields of both requests.
const FIELDS: &[Field] = &[
    Field::text("senderAddress").rules(NAME),
    Field::text("senderName").rules(NAME),
    Field::flag("tls"),
    Field::text("host").rules(&[Rule::Length(1, 500)]),
    Field::text("user"),
    Field::text("password"),
    Field::text("replyToAddress").rules(SHORT),
    Field::text("description").rules(SHORT),
    Field::message("none", &EMPTY).in_group("auth"),
    Field::message("plain", &PLAIN).in_group("auth"),
    Field::message("xoauth2", &XOAUTH2).in_group("auth"),
];
/// The fields of both requests of the older form, which knows no kind of authentication.
const OLDER_FIELDS: &[Field] = &[
    Field::text("senderAddress").rules(NAME),
    Field::text("senderName").rules(NAME),
    Field::flag("tls"),
    Field::text("host").rules(&[Rule::Length(1, 500)]),
    Field::text("user"),
    Field::text("password"),
    Field::text("replyToAddress").rules(SHORT),
    Field::text("description").rules(SHORT),
];
static ADD_OLDER: Message = Message::new("AddSMTPConfigRequest", OLDER_FIELDS);
static CHANGE_OLDER: Message = Message::new("UpdateSMTPConfigRequest", OLDER_FIELDS);
static ADD: Message = Message::new("AddEmailProviderSMTPRequest", FIELDS);
static CHANGE: Message = Message::new("UpdateEmailProviderSMTPRequest", FIELDS);
static PASSWORD: Message =
    Message::new("UpdateEmailProviderSMTPPasswordRequest", &[Field::text("password")]);

pub(super) fn routes() -> Vec<Route> {
    let write = Permission("iam.write");
    vec![
        Route::post("/admin/v1/email/smtp", write, &ADD, add),
        Route::put("/admin/v1/email/smtp/{id}", write, &CHANGE, change),
        Route::put("/admin/v1/email/smtp/{id}/password", write, &PASSWORD, set_password),
    ]
    .into_iter()
    .chain(older_routes())
    .collect()
}

/// The older form of the same providers.
fn older_routes() -> [Route; 9] {
    const ONE: &str = "/admin/v1/smtp/{id}";
    let (read, write) = (Permission("iam.read"), Permission("iam.write"));
    [
        Route::get("/admin/v1/smtp", read, |call| {
            older_answer(call.state.read.emails.iter().find(|provider| provider.is_active))
        }),
        Route::get(ONE, read, |call| older_answer(call.state.read.emails.get(call.param("id")))),
        Route::search("/admin/v1/smtp/_search", read, &list::LIST, |call| {
            let emails = &call.state.read.emails;
            let (page, total) = Page::of(&call.request).cut(emails.iter().map(older_view));
            Ok(message! {
                "details" => list::details(total, &call.state.read.latest(EMAIL.table)),
                "result" => page,
            }
            .into())
        }),
        Route::post("/admin/v1/smtp", write, &ADD_OLDER, add),
        Route::put(ONE, write, &CHANGE_OLDER, change),
        Route::put("/admin/v1/smtp/{id}/password", write, &PASSWORD, set_password),
        Route::post("/admin/v1/smtp/{id}/_activate", write, &EMPTY, |call| {
            set_active(call, &EMAIL, true)
        }),
        Route::post("/admin/v1/smtp/{id}/_deactivate", write, &EMPTY, |call| {
            set_active(call, &EMAIL, false)
        }),
        Route::delete(ONE, write, |call| remove(call, &EMAIL)),
    ]
}

/// A provider in the older form: what it has of a mail server, next to all else.
fn older_view(provider: &Provider) -> Value {
    let fields = &provider.fields;
    message! {
        "details" => provider.stamp.details(),
        "id" => &*provider.id,
        "state" => if provider.is_active { "SMTP_CONFIG_ACTIVE" } else { "SMTP_CONFIG_INACTIVE" },
        "description" => fields.text("description"),
        "senderAddress" => fields.text("senderAddress"),
        "senderName" => fields.text("senderName"),
        "tls" => fields.flag("tls"),
        "host" => fields.text("host"),
        "user" => fields.text("user"),
        "replyToAddress" => fields.text("replyToAddress"),
    }
}

fn older_answer(provider: Option<&Provider>) -> Answer {
    let provider = provider.ok_or_else(|| EMAIL.not_found(0))?;
    Ok(json!({ "smtpConfig": older_view(provider) }).into())
}

pub(super) fn view(provider: &Provider) -> Value {
    let fields = &provider.fields;
    let mut view = message! {
        "senderAddress" => fields.text("senderAddress"),
        "senderName" => fields.text("senderName"),
        "tls" => fields.flag("tls"),
        "host" => fields.text("host"),
        "user" => fields.text("user"),
        "replyToAddress" => fields.text("replyToAddress"),
    };
    let (name, login) = match &provider.login {
        Login { oauth: Some(oauth), .. } => (
            "xoauth2",
            message! {
                "tokenEndpoint" => &*oauth.endpoint,
                "scopes" => oauth.scopes.clone(),
                "clientCredentials" => message! { "clientId" => &*oauth.client },
            },
        ),
        Login { password: Some(_), .. } => ("plain", json!({})),
        _ => ("none", json!({})),
    };
    if let Some(view) = view.as_object_mut() {
        view.insert(name.to_owned(), login);
    }
    view
}

/// How to log in, as a request says.
enum Auth {
    /// Not at all, or as before.
    Unsaid,
    Plain(Option<Value>),
    Xoauth2(Request),
}

fn secret(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| encrypted(text, EMAIL.key))
}

fn auth(request: &Request) -> Auth {
    if request.has("none") {
        return Auth::Unsaid;
    }
    if request.has("xoauth2") {
        return Auth::Xoauth2(request.message("xoauth2"));
    }
    let plain = request.message("plain");
    let password = [plain.text("password"), request.text("password")].map(secret);
    let [nested, former] = password;
    let password = nested.or(former);
    if request.has("plain") || password.is_some() || !request.text("user").is_empty() {
        return Auth::Plain(password);
    }
    Auth::Unsaid
}

/// The fields that are none of a login, under the names of events.
fn scalars(request: &Request) -> [(&'static str, Value); 7] {
    [
        ("description", json!(trimmed(request, "description"))),
        ("host", json!(trimmed(request, "host"))),
        ("replyToAddress", json!(trimmed(request, "replyToAddress"))),
        ("senderAddress", json!(trimmed(request, "senderAddress"))),
        ("senderName", json!(request.text("senderName"))),
        ("tls", json!(request.flag("tls"))),
        ("user", json!(request.text("user"))),
    ]
}

fn check(
    request: &Request,
    no_sender: &'static str,
    no_port: &'static str,
) -> Result<(), ApiError> {
    if trimmed(request, "senderAddress").is_empty() {
        return Err(ApiError::invalid(no_sender, "Errors.Invalid.Argument"));
    }
    let host = trimmed(request, "host");
    let is_host = host.rsplit_once(':').is_some_and(|(name, _)| {
        !name.contains(':') || (name.starts_with('[') && name.ends_with(']'))
    });
    if is_host { Ok(()) } else { Err(ApiError::invalid(no_port, "Errors.Invalid.Argument")) }
}

/// The instance may want its own domains in the addresses of senders.
fn check_sender(call: &Call<'_>) -> Result<(), ApiError> {
    let policy = call.state.write.policy(&call.state.instance_id, &policy::DOMAIN);
    let is_strict = policy.is_some_and(|p| p.fields.flag("smtpSenderAddressMatchesInstanceDomain"));
    let sender = trimmed(&call.request, "senderAddress");
    let domain = sender.rsplit_once('@').map_or(sender, |(_, domain)| domain);
    let is_own = call.state.write.instance.domains.iter().any(|own| own.name == domain);
    if is_strict && !is_own {
        let text = "Errors.SMTPConfig.SenderAdressNotCustomDomain";
        return Err(ApiError::invalid("INST-xtWIiR2ZbR", text));
    }
    Ok(())
}

fn add(call: &mut Call<'_>) -> Answer {
    check(&call.request, "COMMAND-SAAFpV8VKV", "COMMAND-EvAtufIinh")?;
    check_sender(call)?;
    let id = call.state.clock.id();
    let mut payload = filled(scalars(&call.request));
    payload.insert("id".to_owned(), json!(id));
    match auth(&call.request) {
        Auth::Unsaid => {}
        Auth::Plain(password) => {
            payload.insert("plainAuth".to_owned(), message! { "password" => password });
        }
        Auth::Xoauth2(oauth) => {
            let credentials = oauth.message("clientCredentials");
            let credentials = message! {
                "clientId" => credentials.text("clientId"),
                "clientSecret" => encrypted(credentials.text("clientSecret"), EMAIL.key),
            };
            let oauth = message! {
                "clientCredentials" => credentials,
                "scopes" => oauth.texts("scopes"),
                "tokenEndpoint" => oauth.text("tokenEndpoint"),
            };
            payload.insert("xoauth2Auth".to_owned(), oauth);
        }
    }
    let instance = call.state.instance();
    let draft = Draft::new(&instance, "instance.smtp.config.added").payload(payload);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event), "id": id }).into())
}

/// What of a client's credentials is another than before. A secret always is.
fn oauth_changes(login: &Login, oauth: &Request) -> Map<String, Value> {
    let have = login.oauth.clone();
    let credentials = oauth.message("clientCredentials");
    let is_new = have.is_none();
    let have = have.unwrap_or_default();
    let mut changes = Map::new();
    let mut inner = Map::new();
    if is_new || have.client != credentials.text("clientId") {
        inner.insert("clientId".to_owned(), json!(credentials.text("clientId")));
    }
    if let Some(secret) = secret(credentials.text("clientSecret")) {
        inner.insert("clientSecret".to_owned(), secret);
    }
    if is_new || have.scopes != oauth.texts("scopes") {
        changes.insert("scopes".to_owned(), json!(oauth.texts("scopes")));
    }
    if is_new || have.endpoint != oauth.text("tokenEndpoint") {
        changes.insert("tokenEndpoint".to_owned(), json!(oauth.text("tokenEndpoint")));
    }
    if inner.is_empty() && changes.is_empty() {
        return changes;
    }
    changes.insert("clientCredentials".to_owned(), Value::Object(inner));
    changes
}

/// A provider of another form stays as it is. An event of a change always tells of both logins.
fn change(call: &mut Call<'_>) -> Answer {
    check(&call.request, "COMMAND-gyPUXOTA4N", "COMMAND-kZNVkuL32L")?;
    let known = call.state.write.emails.get(call.param("id"));
    let Some(known) = known.filter(|provider| !provider.is_removed).cloned() else {
        return Err(ApiError::not_found("COMMAND-j5IDFtt3T1", EMAIL.missing_text));
    };
    check_sender(call)?;
    let unchanged = json!({ "details": EMAIL.unchanged(call) });
    if known.form != "smtp" {
        return Ok(unchanged.into());
    }
    let want = scalars(&call.request).map(|(name, value)| (name.to_owned(), value));
    let mut changes = difference(&known.fields, &want.into_iter().collect());
    let (mut plain, mut oauth) = (Map::new(), Map::new());
    let mut is_changed = !changes.is_empty();
    match auth(&call.request) {
        Auth::Unsaid => {}
        Auth::Plain(password) => {
            is_changed |=
                password.is_some() || !known.login.is_plain || known.login.oauth.is_some();
            if let Some(password) = password {
                changes.insert("password".to_owned(), password.clone());
                plain.insert("password".to_owned(), password);
            }
        }
        Auth::Xoauth2(want) => {
            oauth = oauth_changes(&known.login, &want);
            is_changed |= !oauth.is_empty();
        }
    }
    if !is_changed {
        return Ok(unchanged.into());
    }
    oauth.entry("clientCredentials").or_insert_with(|| json!({}));
    changes.insert("id".to_owned(), json!(known.id));
    changes.insert("plainAuth".to_owned(), Value::Object(plain));
    changes.insert("xoauth2Auth".to_owned(), Value::Object(oauth));
    let instance = call.state.instance();
    let draft = Draft::new(&instance, "instance.smtp.config.changed").payload(changes);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

/// Only of the one that is active; the event does not say whose it is.
fn set_password(call: &mut Call<'_>) -> Answer {
    let known = call.state.write.emails.get(call.param("id"));
    if !known.is_some_and(|provider| provider.is_active) {
        return Err(ApiError::not_found("COMMAND-rDHzqjGuKQ", EMAIL.missing_text));
    }
    let password = secret(call.request.text("password"));
    let instance = call.state.instance();
    let draft = Draft::new(&instance, "instance.smtp.config.password.changed");
    let fields = message! { "password" => password };
    let event = call.push(vec![draft.payload(fields.as_object().cloned().unwrap_or_default())])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
