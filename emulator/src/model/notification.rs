//! Providers of e-mails and of SMS: at most one of each is active.

use serde_json::{Map, Value};

use super::{
    Fields, Side, Stamp,
    table::{Row, Table},
};
use crate::store::{Event, Position};

/// A provider.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) id: String,
    position: Position,
    pub(crate) stamp: Stamp,
    /// What it sends by: `smtp`, `twilio`, `http`.
    pub(crate) form: &'static str,
    pub(crate) is_active: bool,
    /// Only the write side still knows one that was deleted.
    pub(crate) is_removed: bool,
    pub(crate) fields: Fields,
    pub(crate) login: Login,
}

impl Row for Provider {
    fn owner(&self) -> &str {
        &self.stamp.owner
    }

    fn position(&self) -> Position {
        self.position
    }
}

/// How a mail server is logged in to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    /// Whether a user was given, with a password or without.
    pub(crate) is_plain: bool,
    pub(crate) password: Option<Value>,
    pub(crate) oauth: Option<OAuth>,
}

/// The credentials of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct OAuth {
    pub(crate) endpoint: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) client: String,
    pub(crate) secret: Option<Value>,
}

/// All providers of one kind.
#[derive(Default)]
pub(crate) struct Providers {
    table: Table<Provider>,
    /// The last event of any.
    pub(crate) last: Option<Stamp>,
}

impl Providers {
    pub(crate) fn get(&self, id: &str) -> Option<&Provider> {
        self.table.get(id)
    }

    /// All that are there, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.table.iter().filter(|provider| !provider.is_removed)
    }

    fn active(&self) -> Vec<String> {
        self.iter().filter(|p| p.is_active).map(|p| p.id.clone()).collect()
    }

    /// Applies what an event says of a provider.
    pub(super) fn apply(&mut self, side: Side, position: Position, event: &Event) {
        let Some((form, change)) = parts(event.event_type) else { return };
        self.last = Some(Stamp::new(event));
        let payload = Fields(event.payload.clone().unwrap_or_default());
        let id = payload.text("id").to_owned();
        match change {
            "added" => {
                let mut provider = Provider {
                    id: id.clone(),
                    position,
                    stamp: Stamp::new(event),
                    form,
                    is_active: false,
                    is_removed: false,
                    fields: Fields::default(),
                    login: Login::default(),
                };
                provider.change(side, &payload, true);
                self.table.insert(&id, provider);
            }
            "changed" | "token.changed" => {
                // The read side has one place for the password, which such an event fills twice: it
                // is tried for a while, and then skipped.
                let is_skipped = payload.has("password") && side == Side::Read;
                if let (Some(provider), false) = (self.table.get_mut(&id), is_skipped) {
                    provider.stamp.touch(event);
                    provider.change(side, &payload, false);
                }
            }
            // It does not say whose password it is: the read side finds nobody.
            "password.changed" if side == Side::Write => {
                for id in self.active() {
                    if let Some(provider) = self.table.get_mut(&id) {
                        provider.login.password = payload.0.get("password").cloned();
                    }
                }
            }
            "activated" => {
                for other in self.active() {
                    if let Some(other) = self.table.get_mut(&other) {
                        other.is_active = false;
                        other.stamp.touch(event);
                    }
                }
                self.set_active(&id, true, event);
            }
            "deactivated" => self.set_active(&id, false, event),
            "removed" if side == Side::Read => {
                self.table.remove(&id);
            }
            "removed" => {
                if let Some(provider) = self.table.get_mut(&id) {
                    (provider.is_removed, provider.is_active) = (true, false);
                }
            }
            _ => {}
        }
    }

    fn set_active(&mut self, id: &str, is_active: bool, event: &Event) {
        if let Some(provider) = self.table.get_mut(id) {
            provider.is_active = is_active;
            provider.stamp.touch(event);
        }
    }
}

impl Provider {
    fn change(&mut self, side: Side, payload: &Fields, is_new: bool) {
        let plain = payload.message("plainAuth");
        let oauth = payload.message("xoauth2Auth");
        let fields = payload.0.iter().filter(|(name, _)| {
            !["id", "password", "plainAuth", "xoauth2Auth"].contains(&name.as_str())
        });
        self.fields.0.extend(fields.map(|(name, value)| (name.clone(), value.clone())));
        if let Some(password) = plain.0.get("password") {
            self.login = Login { is_plain: true, password: Some(password.clone()), oauth: None };
        } else if payload.has("plainAuth") && self.login.oauth.is_none() {
            self.login.is_plain = true;
        }
        let credentials = oauth.message("clientCredentials");
        if oauth.has("tokenEndpoint") || oauth.has("scopes") || !credentials.0.is_empty() {
            self.change_oauth(side, &oauth, &credentials, is_new);
        }
    }

    /// What an event does not say of a client's credentials, the read side takes for empty.
    fn change_oauth(&mut self, side: Side, oauth: &Fields, credentials: &Fields, is_new: bool) {
        let mut now = self.login.oauth.take().unwrap_or_default();
        let takes_all = side == Side::Read || is_new;
        if takes_all || oauth.has("tokenEndpoint") {
            oauth.text("tokenEndpoint").clone_into(&mut now.endpoint);
        }
        if takes_all || oauth.has("scopes") {
            now.scopes = oauth.texts("scopes");
        }
        if !credentials.0.is_empty() {
            if takes_all || credentials.has("clientId") {
                credentials.text("clientId").clone_into(&mut now.client);
            }
            if takes_all || credentials.has("clientSecret") {
                now.secret = credentials.0.get("clientSecret").cloned();
            }
        }
        self.login.oauth = Some(now);
    }

    /// The secret by which it sends: an encrypted one, as events tell it.
    pub(crate) fn secret(&self) -> Option<&Value> {
        let oauth = self.login.oauth.as_ref().and_then(|oauth| oauth.secret.as_ref());
        oauth.or(self.login.password.as_ref()).or_else(|| self.fields.0.get("token"))
    }
}

/// What an event is about, and what it does.
fn parts(event: &'static str) -> Option<(&'static str, &'static str)> {
    let forms = [
        ("instance.smtp.config.http.", "http"),
        ("instance.smtp.config.", "smtp"),
        ("instance.sms.configtwilio.", "twilio"),
        ("instance.sms.confighttp.", "http"),
        ("instance.sms.config", "twilio"),
    ];
    forms.into_iter().find_map(|(prefix, form)| Some((form, event.strip_prefix(prefix)?)))
}

/// Whether an event is one of a provider of e-mails, or of SMS.
pub(super) fn is_of(event: &str, of: &str) -> bool {
    event.strip_prefix("instance.").is_some_and(|rest| rest.starts_with(of))
}

/// A value as events hold it: encrypted, so that the same value is told from others.
pub(crate) fn encrypted(value: &str, key: &str) -> Value {
    let crypted = crate::api::credentials::hash(value);
    let fields = [
        ("Algorithm", Value::from("aes")),
        ("Crypted", Value::from(crypted)),
        ("CryptoType", Value::from(0)),
        ("KeyID", Value::from(key)),
    ];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Object(fields.collect::<Map<_, _>>())
}
