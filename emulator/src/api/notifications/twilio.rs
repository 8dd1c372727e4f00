//! Twilio.

use serde_json::{Value, json};

use super::{SMS, filled, trimmed};
use crate::{
    api::{Access::Permission, Answer, Call, Route, change_details, creation_details},
    errors::ApiError,
    message::message,
    model::{
        difference,
        notification::{Provider, encrypted},
    },
    proto::{Field, Message, NAME, Request, SHORT},
    store::Draft,
};

static ADD: Message = Message::new(
    "AddSMSProviderTwilioRequest",
    &[
        Field::text("sid").rules(NAME),
        Field::text("token").rules(NAME),
        Field::text("senderNumber").rules(SHORT),
        Field::text("description").rules(SHORT),
        Field::text("verifyServiceSid").rules(SHORT),
    ],
);
static CHANGE: Message = Message::new(
    "UpdateSMSProviderTwilioRequest",
    &[
        Field::text("sid").rules(NAME),
        Field::text("senderNumber").rules(SHORT),
        Field::text("description").rules(SHORT),
        Field::text("verifyServiceSid").rules(SHORT),
    ],
);
static TOKEN: Message =
    Message::new("UpdateSMSProviderTwilioTokenRequest", &[Field::text("token").rules(NAME)]);

pub(super) fn routes() -> Vec<Route> {
    let write = Permission("iam.write");
    vec![
        Route::post("/admin/v1/sms/twilio", write, &ADD, add),
        Route::put("/admin/v1/sms/twilio/{id}", write, &CHANGE, change),
        Route::put("/admin/v1/sms/twilio/{id}/token", write, &TOKEN, set_token),
    ]
}

pub(super) fn view(provider: &Provider) -> Value {
    let fields = &provider.fields;
    message! {
        "sid" => fields.text("sid"),
        "senderNumber" => fields.text("senderNumber"),
        "verifyServiceSid" => fields.text("verifyServiceSid"),
    }
}

/// The fields but for the token, under the names of events.
fn scalars(request: &Request) -> [(&'static str, Value); 4] {
    [
        ("description", json!(trimmed(request, "description"))),
        ("senderNumber", json!(request.text("senderNumber"))),
        ("sid", json!(request.text("sid"))),
        ("verifyServiceSid", json!(request.text("verifyServiceSid"))),
    ]
}

fn add(call: &mut Call<'_>) -> Answer {
    let id = call.state.clock.id();
    let mut payload = filled(scalars(&call.request));
    payload.insert("id".to_owned(), json!(id));
    payload.insert("token".to_owned(), encrypted(call.request.text("token"), SMS.key));
    let instance = call.state.instance();
    let draft = Draft::new(&instance, "instance.sms.configtwilio.added").payload(payload);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": creation_details(&event), "id": id }).into())
}

fn existing(call: &Call<'_>, missing: &'static str) -> Result<Provider, ApiError> {
    let known = SMS.existing(call, "twilio").cloned();
    known.ok_or_else(|| ApiError::not_found(missing, SMS.missing_text))
}

fn change(call: &mut Call<'_>) -> Answer {
    let known = existing(call, "COMMAND-MUY0IFAf8O")?;
    let want = scalars(&call.request).map(|(name, value)| (name.to_owned(), value));
    let mut changes = difference(&known.fields, &want.into_iter().collect());
    if changes.is_empty() {
        return Ok(json!({ "details": SMS.unchanged(call) }).into());
    }
    changes.insert("id".to_owned(), json!(known.id));
    let instance = call.state.instance();
    let draft = Draft::new(&instance, "instance.sms.configtwilio.changed").payload(changes);
    let event = call.push(vec![draft])?;
    Ok(json!({ "details": change_details(&event) }).into())
}

fn set_token(call: &mut Call<'_>) -> Answer {
    let known = existing(call, "COMMAND-fj9wf")?;
    let token = encrypted(call.request.text("token"), SMS.key);
    let instance = call.state.instance();
    let draft = Draft::new(&instance, "instance.sms.configtwilio.token.changed");
    let event = call.push(vec![draft.with("id", known.id).with("token", token)])?;
    Ok(json!({ "details": change_details(&event) }).into())
}
