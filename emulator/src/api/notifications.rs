//! Providers of e-mails and of SMS: what both have, and webhooks.

use serde_json::{Map, Value, json};

use super::{
    Access::Permission,
    Answer, Call, Route, change_details, creation_details,
    list::{self, Page},
};
use crate::{
    errors::ApiError,
    message::message,
    model::{
        Model, difference, is_zero,
        notification::{Provider, Providers, encrypted},
    },
    parsers::address::Address,
    proto::{EMPTY, Field, Message, Request, Rule, SHORT},
    state::State,
    store::{Draft, Event},
};

mod smtp;
mod twilio;

/// E-mails, or SMS.
pub(super) struct Channel {
    of: for<'a> fn(&'a Model) -> &'a Providers,
    /// The table, as lists tell when it was last seen.
    table: &'static str,
    states: [&'static str; 2],
    /// Which key encrypts a secret of a new provider.
    key: &'static str,
    activated: &'static str,
    deactivated: &'static str,
    removed: &'static str,
    http_added: &'static str,
    http_changed: &'static str,
    /// Which errors tell that there is none: read, activate, deactivate, delete, change a webhook.
    missing: [&'static str; 5],
    missing_text: &'static str,
    /// Which errors tell that it is so already: active, inactive.
    already: [&'static str; 2],
    /// Whether what was never there is taken for inactive.
    knows_inactive: bool,
    /// How a creation and a deletion tell their details.
    details: fn(&Event) -> Value,
}

static EMAIL: Channel = Channel {
    of: |model| &model.emails,
    table: "emails",
    states: ["EMAIL_PROVIDER_INACTIVE", "EMAIL_PROVIDER_ACTIVE"],
    key: "smtpKey",
    activated: "instance.smtp.config.activated",
    deactivated: "instance.smtp.config.deactivated",
    removed: "instance.smtp.config.removed",
    http_added: "instance.smtp.config.http.added",
    http_changed: "instance.smtp.config.http.changed",
    missing: [
        "QUERY-fwofw",
        "COMMAND-E9K20hxOS9",
        "COMMAND-k39PJ",
        "COMMAND-09CXlTDL6w",
        "COMMAND-xIrdledqv4",
    ],
    missing_text: "SMTP configuration not found",
    already: ["COMMAND-vUHBSmBzaw", "COMMAND-km8g3"],
    knows_inactive: true,
    details: change_details,
};

static SMS: Channel = Channel {
    of: |model| &model.texts,
    table: "texts",
    states: ["SMS_PROVIDER_CONFIG_INACTIVE", "SMS_PROVIDER_CONFIG_ACTIVE"],
    key: "smsKey",
    activated: "instance.sms.configactivated",
    deactivated: "instance.sms.configdeactivated",
    removed: "instance.sms.configremoved",
    http_added: "instance.sms.confighttp.added",
    http_changed: "instance.sms.confighttp.changed",
    missing: [
        "QUERY-fn99w",
        "COMMAND-9ULtp9PH5E",
        "COMMAND-Ebu4pXBJeN",
        "COMMAND-povEVHPCkV",
        "COMMAND-6NW4I5Kqzj",
    ],
    missing_text: "SMS configuration not found",
    already: ["COMMAND-B25GFeIvRi", "COMMAND-OSZAEkYvk7"],
    knows_inactive: false,
    details: creation_details,
};

const ENDPOINT: &[Rule] = &[Rule::Length(1, 2048)];
static ADD_HTTP: Message = Message::new(
    "AddEmailProviderHTTPRequest",
    &[Field::text("endpoint").rules(ENDPOINT), Field::text("description").rules(SHORT)],
);
static CHANGE_HTTP: Message = Message::new(
    "UpdateEmailProviderHTTPRequest",
    &[
        Field::text("endpoint").rules(ENDPOINT),
        Field::text("description").rules(SHORT),
        Field::duration("expirationSigningKey").rules(&[Rule::UpTo(0)]),
    ],
);

/// The routes of one channel that both have, by their paths.
fn common(channel: &'static Channel, paths: [&'static str; 6]) -> Vec<Route> {
    let [one, search, activate, deactivate, http, one_http] = paths;
    let (read, write) = (Permission("iam.read"), Permission("iam.write"));
    vec![
        Route::get(one, read, |call| one_by_id(call, channel)),
        Route::search(search, read, &list::LIST, |call| all(call, channel)),
        Route::post(activate, write, &EMPTY, |call| set_active(call, channel, true)),
        Route::post(deactivate, write, &EMPTY, |call| set_active(call, channel, false)),
        Route::delete(one, write, |call| remove(call, channel)),
        Route::post(http, write, &ADD_HTTP, |call| add_http(call, channel)),
        Route::put(one_http, write, &CHANGE_HTTP, |call| change_http(call, channel)),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    let mut routes = common(
        &EMAIL,
        [
            "/admin/v1/email/{id}",
            "/admin/v1/email/_search",
            "/admin/v1/email/{id}/_activate",
            "/admin/v1/email/{id}/_deactivate",
            "/admin/v1/email/http",
            "/admin/v1/email/http/{id}",
        ],
    );
    routes.extend(common(
        &SMS,
        [
            "/admin/v1/sms/{id}",
            "/admin/v1/sms/_search",
            "/admin/v1/sms/{id}/_activate",
            "/admin/v1/sms/{id}/_deactivate",
            "/admin/v1/sms/http",
            "/admin/v1/sms/http/{id}",
        ],
    ));
    routes.push(Route::get("/admin/v1/email", Permission("iam.read"), |call| {
        let active = call.state.read.emails.iter().find(|provider| provider.is_active);
        answer(call.state, active, &EMAIL)
    }));
    routes.extend(smtp::routes());
    routes.extend(twilio::routes());
    routes
}

impl Channel {
    fn not_found(&self, what: usize) -> ApiError {
        let id = self.missing.get(what).copied().unwrap_or_default();
        ApiError::not_found(id, self.missing_text)
    }

    /// The details of a change that changes nothing: those of the last event of any provider.
    fn unchanged(&self, call: &Call<'_>) -> Value {
        let last = (self.of)(&call.state.write).last.as_ref();
        last.map_or_else(|| json!({}), crate::model::Stamp::change_details)
    }

    /// A provider that is there, as the write side knows it.
    fn existing<'a>(&self, call: &'a Call<'_>, form: &str) -> Option<&'a Provider> {
        let provider = (self.of)(&call.state.write).get(call.param("id"));
        provider.filter(|provider| !provider.is_removed && provider.form == form)
    }
}

// Queries.

fn view(state: &State, provider: &Provider, channel: &Channel) -> Value {
    let fields = &provider.fields;
    let [inactive, active] = channel.states;
    let mut view = message! {
        "details" => provider.stamp.details(),
        "id" => &*provider.id,
        "state" => if provider.is_active { active } else { inactive },
        "description" => fields.text("description"),
    };
    let own = match provider.form {
        "smtp" => smtp::view(provider),
        "twilio" => twilio::view(provider),
        _ => message! {
            "endpoint" => fields.text("endpoint"),
            "signingKey" => state.signing_key(fields.0.get("signingKey")),
        },
    };
    if let Some(view) = view.as_object_mut() {
        view.insert(provider.form.to_owned(), own);
    }
    view
}

fn answer(state: &State, provider: Option<&Provider>, channel: &Channel) -> Answer {
    let provider = provider.ok_or_else(|| channel.not_found(0))?;
    Ok(json!({ "config": view(state, provider, channel) }).into())
}

fn one_by_id(call: &mut Call<'_>, channel: &Channel) -> Answer {
    answer(call.state, (channel.of)(&call.state.read).get(call.param("id")), channel)
}

fn all(call: &mut Call<'_>, channel: &Channel) -> Answer {
    let rows = (channel.of)(&call.state.read).iter();
    let rows = rows.map(|provider| view(call.state, provider, channel));
    let (page, total) = Page::of(&call.request).cut(rows);
    Ok(message! {
        "details" => list::details(total, &call.state.read.latest(channel.table)),
        "result" => page,
    }
    .into())
}

// Commands.

/// What was never there can be activated, and takes the place of the one that is active.
fn set_active(call: &mut Call<'_>, channel: &Channel, active: bool) -> Answer {
    let id = call.param("id").to_owned();
    let known = (channel.of)(&call.state.write).get(&id);
    if known.is_some_and(|provider| provider.is_removed) {
        return Err(channel.not_found(if active { 1 } else { 2 }));
    }
    let is_active = match known {
        Some(provider) => Some(provider.is_active),
        None => channel.knows_inactive.then_some(false),
    };
    if is_active == Some(active) {
        let [already_active, already_inactive] = channel.already;
        let error = if active { already_active } else { already_inactive };
        return Err(ApiError::precondition(error, "it is so already"));
    }
    let event = if active { channel.activated } else { channel.deactivated };
    let instance = call.state.instance();
    let event = call.push(vec![Draft::new(&instance, event).with("id", id)])?;
    Ok(json!({ "details": creation_details(&event) }).into())
}

fn remove(call: &mut Call<'_>, channel: &Channel) -> Answer {
    let id = call.param("id").to_owned();
    let known = (channel.of)(&call.state.write).get(&id);
    if known.is_none_or(|provider| provider.is_removed) {
        return Err(channel.not_found(3));
    }
    let instance = call.state.instance();
    let event = call.push(vec![Draft::new(&instance, channel.removed).with("id", id)])?;
    Ok(json!({ "details": (channel.details)(&event) }).into())
}

fn check_endpoint(endpoint: &str) -> Result<(), ApiError> {
    let address = Address::parse(endpoint);
    if address.is_none_or(|address| address.is_nowhere()) {
        let text = "Errors.NotificationProvider.Blocked.Endpoint";
        return Err(ApiError::invalid("COMMAND-Uf0294nKls", text));
    }
    Ok(())
}

fn add_http(call: &mut Call<'_>, channel: &Channel) -> Answer {
    check_endpoint(call.request.text("endpoint"))?;
    let id = call.state.clock.id();
    let key = call.state.new_signing_key();
    let fields = [
        ("id", json!(id)),
        ("description", json!(call.request.text("description"))),
        ("endpoint", json!(call.request.text("endpoint"))),
        ("signingKey", encrypted(&key, channel.key)),
    ];
    let instance = call.state.instance();
    let draft = Draft::new(&instance, channel.http_added).payload(filled(fields));
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": (channel.details)(&event), "id": id, "signingKey": key }).into())
}

fn change_http(call: &mut Call<'_>, channel: &Channel) -> Answer {
    check_endpoint(call.request.text("endpoint"))?;
    let provider = channel.existing(call, "http").ok_or_else(|| channel.not_found(4))?;
    let id = provider.id.clone();
    let fields = [
        ("description", json!(call.request.text("description"))),
        ("endpoint", json!(call.request.text("endpoint"))),
    ];
    let want = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut changes = difference(&provider.fields, &want);
    let renews = call.request.has("expirationSigningKey");
    let key = renews.then(|| call.state.new_signing_key());
    if let Some(key) = &key {
        changes.insert("signingKey".to_owned(), encrypted(key, "smtpKey"));
    }
    if changes.is_empty() {
        return Ok(json!({ "details": channel.unchanged(call) }).into());
    }
    changes.insert("id".to_owned(), json!(id));
    let instance = call.state.instance();
    let event = call.push(vec![Draft::new(&instance, channel.http_changed).payload(changes)])?;
    Ok(message! { "details" => change_details(&event), "signingKey" => key }.into())
}

/// The fields of a new provider that are not empty.
fn filled<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    let filled = fields.into_iter().filter(|(_, value)| !is_zero(value));
    filled.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Texts of a request without the blanks around them.
fn trimmed<'a>(request: &'a Request, name: &str) -> &'a str {
    request.text(name).trim()
}
