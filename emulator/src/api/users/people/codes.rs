//! The codes by which somebody proves an e-mail address, a phone number or a request for another
//! password.

use serde_json::{Value, json};

use super::{super::super::Call, origin};
use crate::{
    api::credentials,
    clock,
    errors::ApiError,
    model::{notification::encrypted, user::User},
    proto::{Field, Message, OPTIONAL_NAME, Request},
    store::Draft,
};

/// How a code is sent.
pub(super) static SEND: Message =
    Message::new("SendVerificationCode", &[Field::text("urlTemplate").rules(OPTIONAL_NAME)]);

/// The codes that an answer tells.
#[derive(Default)]
pub(in super::super::super) struct Codes {
    pub(in super::super::super) email: Option<String>,
    pub(in super::super::super) phone: Option<String>,
}

/// A new code.
pub(super) struct Code {
    text: String,
    /// Whether the answer tells it, and nobody sends it.
    returned: bool,
    template: String,
}

const HOUR: u64 = 3_600_000_000_000;

impl Code {
    /// A code as a request wants it.
    ///
    /// # Errors
    /// 400 for a template of an address that is none.
    pub(super) fn asked_for(request: &Request) -> Result<Self, ApiError> {
        let template = request.message("sendCode").text("urlTemplate").to_owned();
        if !is_template(&template) {
            let message = "Errors.User.InvalidURLTemplate";
            return Err(ApiError::invalid("DOMAIN-oGh5e", message));
        }
        Ok(Self { returned: request.has("returnCode"), template, ..Self::sent() })
    }

    /// A code that is sent in the usual way.
    pub(super) fn sent() -> Self {
        let text = credentials::random_text(6).to_uppercase();
        Self { text, returned: false, template: String::new() }
    }

    /// The event that makes it.
    pub(super) fn on(&self, call: &Call<'_>, draft: Draft) -> Draft {
        let draft = draft
            .with("code", encrypted(&self.text, "userKey"))
            .with("expiry", HOUR)
            .with("triggerOrigin", origin(call));
        let draft = if self.returned { draft.with("code_returned", true) } else { draft };
        if self.template.is_empty() {
            return draft;
        }
        draft.with("url_template", &*self.template)
    }

    /// The code, if the answer tells it.
    pub(super) fn told(self) -> Option<String> {
        self.returned.then_some(self.text)
    }
}

/// Whether every place that a template leaves open is one of those that there are.
fn is_template(template: &str) -> bool {
    let mut parts = template.split("{{");
    let _ = parts.next();
    parts.all(|part| {
        part.split_once("}}")
            .is_some_and(|(name, _)| [".UserID", ".Code", ".OrgID"].contains(&name.trim()))
    })
}

/// What is left to be proven of a person: the event of the last code, as long as nothing ended it.
pub(super) fn pending(call: &Call<'_>, user: &User, part: &str) -> Option<Value> {
    let of = |name: &str| format!("user.human.{part}.{name}");
    let (made, ends) = (of("code.added"), [of("verified"), of("changed"), of("removed")]);
    let store = &call.state.store;
    let mut events = store.of_aggregate(&user.id).iter().rev().filter_map(|at| store.get(*at));
    let last = events
        .find(|event| event.event_type == made || ends.iter().any(|end| event.event_type == end))?;
    if last.event_type != made {
        return None;
    }
    let mut payload = last.payload.clone()?;
    payload.insert("made".to_owned(), json!(clock::text(last.creation_date)));
    Some(Value::Object(payload))
}

/// Whether somebody enters the right code in time.
pub(super) fn is_right(call: &Call<'_>, pending: &Value, code: &str) -> bool {
    let kept = pending.pointer("/code/Crypted").and_then(Value::as_str);
    let made = pending.get("made").and_then(Value::as_str).and_then(|made| made.parse().ok());
    let in_time = made.is_some_and(|made: jiff::Timestamp| {
        call.state.clock.now().duration_since(made) < jiff::SignedDuration::from_hours(1)
    });
    in_time && kept == Some(&*credentials::hash(code))
}
