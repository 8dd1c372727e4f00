//! `SmsProvider`: by what the instance sends SMS, by the admin API. An update replaces the scalars and
//! keeps the token, which has a call of its own.

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    notification::{self, Http},
    wire::{self, Activity, Details, found, lenient},
};
use crate::{
    api::{
        secret::SecretKeyReference,
        spec::{Adoption, Common},
    },
    contract::{
        Access, Description, Entity, EntityDescription, Inputs, Kind, Place, RemoteEntity,
        Required, Row, SecretInput, Secrets, SpecError, Written,
    },
    zitadel::{Path, Result, page},
};

const ONE: &str = "/admin/v1/sms/{}";
const ACTIVATE: &str = "/admin/v1/sms/{}/_activate";
const DEACTIVATE: &str = "/admin/v1/sms/{}/_deactivate";
const TWILIO: [&str; 2] = ["/admin/v1/sms/twilio", "/admin/v1/sms/twilio/{}"];
const TOKEN: &str = "/admin/v1/sms/twilio/{}/token";
const HTTP: [&str; 2] = ["/admin/v1/sms/http", "/admin/v1/sms/http/{}"];

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SmsProvider {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    adoption: Adoption,
    #[serde(flatten)]
    state: SmsProviderState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SmsProviderState {
    /// What it is called among the providers of its form; by this one that exists is found. Omitted:
    /// the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether SMS are sent by it. At most one provider of an instance is `Active`: activating one
    /// deactivates the other. Omitted: not managed, and a new one is `Inactive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
    /// Twilio.
    #[serde(skip_serializing_if = "Option::is_none")]
    twilio: Option<Twilio>,
    /// A webhook that sends SMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http>,
}

/// An account of Twilio.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Twilio {
    /// The account's SID.
    #[schemars(required, length(min = 1, max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// The number that SMS come from; `""`: none, where `verifyServiceSid` sends them. Omitted: not
    /// managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_number: Option<String>,
    /// The SID of a Verify service, which makes and checks the codes itself; `""`: none. Omitted: not
    /// managed.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_service_sid: Option<String>,
    /// The account's token. Omitted: not managed; needed to create one.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_secret_ref: Option<SecretKeyReference>,
}

impl Kind for SmsProvider {
    type State = SmsProviderState;
    const DESCRIPTION: Description = Description {
        kind: "SmsProvider",
        plural: "smsproviders",
        short: "zsms",
        about: "By what the instance sends SMS: an account of Twilio, or a webhook.",
        noun: "the SMS provider",
        forms: &["twilio", "http"],
        inputs: &[SecretInput {
            field: "twilio.token",
            reference: "twilio.tokenSecretRef",
            required: Required::Always,
            events: &["instance.sms.configtwilio.token.changed"],
            ..SecretInput::EMPTY
        }],
        events: &[
            notification::events(
                &[
                    "instance.sms.configtwilio.added",
                    "instance.sms.configtwilio.changed",
                    "instance.sms.configtwilio.token.changed",
                    "instance.sms.confighttp.added",
                    "instance.sms.confighttp.changed",
                    "instance.sms.configactivated",
                    "instance.sms.configdeactivated",
                    "instance.sms.configremoved",
                ],
                &["instance.sms.configtwilio.added", "instance.sms.confighttp.added"],
            ),
            notification::events_of_active(&["instance.sms.configactivated"]),
        ],
        unchanged: &["COMMAND-B25GFeIvRi", "COMMAND-OSZAEkYvk7"],
        permissions: notification::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(&self, name: &str, _: &Inputs) -> std::result::Result<SmsProviderState, SpecError> {
        let description = self.state.description.clone().unwrap_or_else(|| name.into());
        Ok(SmsProviderState { description: Some(description), ..self.state.clone() })
    }
}

/// A provider in the admin API.
#[derive(Debug, Deserialize)]
struct Wire {
    id: String,
    #[serde(default)]
    details: Details,
    #[serde(default, deserialize_with = "lenient")]
    state: Option<Activity>,
    #[serde(default)]
    description: String,
    twilio: Option<TwilioWire>,
    http: Option<Http>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TwilioWire {
    #[serde(default)]
    sid: String,
    #[serde(default)]
    sender_number: String,
    #[serde(default)]
    verify_service_sid: String,
}

impl From<TwilioWire> for Twilio {
    fn from(w: TwilioWire) -> Self {
        Self {
            sid: Some(w.sid),
            sender_number: Some(w.sender_number),
            verify_service_sid: Some(w.verify_service_sid),
            token_secret_ref: None,
        }
    }
}

impl From<Wire> for RemoteEntity<SmsProviderState> {
    fn from(w: Wire) -> Self {
        let version = w.details.version();
        Self {
            id: w.id,
            place: Place::instance(),
            state: SmsProviderState {
                description: Some(w.description),
                state: w.state,
                twilio: w.twilio.map(Twilio::from),
                http: w.http,
            },
            version,
        }
    }
}

impl Entity for SmsProvider {
    const ENTITY: EntityDescription = notification::ENTITY;

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<SmsProviderState>>>> + Send + 'static {
        let path = "/admin/v1/sms/_search";
        page::rows::<Wire>(&access.client, None, path, json!({}))
            .map_ok(|row| row.map(RemoteEntity::from))
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<SmsProviderState>>> {
        #[derive(Deserialize)]
        struct Read {
            config: Wire,
        }
        let answer: Result<Read> = access.client.get(None, &Path::new(ONE, &[id])?).await;
        Ok(found(answer)?.map(|read| read.config.into()))
    }

    async fn create(access: &Access, id: &str, want: &SmsProviderState) -> Result<Written> {
        Self::create_with(access, id, want, &Secrets::default()).await
    }

    async fn create_with(
        access: &Access,
        _: &str,
        want: &SmsProviderState,
        secrets: &Secrets,
    ) -> Result<Written> {
        let path = if want.twilio.is_some() { TWILIO[0] } else { HTTP[0] };
        let mut body = body(want);
        if let (Some(token), Value::Object(body)) = (secrets.get("twilio.token"), &mut body) {
            body.insert("token".into(), token.into());
        }
        notification::create(access, path, &body, ACTIVATE, want.state).await
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<SmsProviderState>,
        want: &SmsProviderState,
    ) -> Result<Written> {
        Self::update_with(access, have, want, &Secrets::default()).await
    }

    async fn update_with(
        access: &Access,
        have: &RemoteEntity<SmsProviderState>,
        want: &SmsProviderState,
        secrets: &Secrets,
    ) -> Result<Written> {
        let change = async {
            let mut written = Written::default();
            let body = body(want);
            if body != self::body(&have.state) {
                let path = if want.twilio.is_some() { TWILIO[1] } else { HTTP[1] };
                let path = Path::new(path, &[&have.id])?;
                written = wire::write(access, Method::PUT, &path, &body).await?;
            }
            if let Some(token) = secrets.get("twilio.token") {
                let path = Path::new(TOKEN, &[&have.id])?;
                let body = json!({ "token": token });
                written = wire::write(access, Method::PUT, &path, &body).await?.after(written);
            }
            Ok(written)
        };
        let states = [have.state.state, want.state];
        notification::update(access, [ACTIVATE, DEACTIVATE], &have.id, states, change).await
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        wire::delete(access, &Path::new(ONE, &[id])?).await
    }
}

/// What an update takes. It resets what is omitted, but for the token.
fn body(want: &SmsProviderState) -> Value {
    match (&want.twilio, &want.http) {
        (Some(twilio), _) => json!({
            "description": want.description,
            "sid": twilio.sid,
            "senderNumber": twilio.sender_number,
            "verifyServiceSid": twilio.verify_service_sid,
        }),
        (None, http) => json!({
            "description": want.description,
            "endpoint": http.as_ref().map(|http| &http.endpoint),
        }),
    }
}
