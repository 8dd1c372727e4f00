//! `EmailProvider`: by what the instance sends e-mails, by the admin API. An update replaces the
//! scalars and keeps how ZITADEL logs in to the server: that is changed by another provider in the
//! place of the former one, since no update of it reaches what ZITADEL sends by.

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
    api::spec::{Adoption, Common},
    contract::{
        Access, Description, Entity, EntityDescription, Inputs, Kind, List, Place, RemoteEntity,
        Required, Row, SecretInput, Secrets, SpecError, Written, crd::Rule,
    },
    zitadel::{Path, Result, page},
};

mod smtp;

use smtp::Smtp;

const ONE: &str = "/admin/v1/email/{}";
const ACTIVATE: &str = "/admin/v1/email/{}/_activate";
const DEACTIVATE: &str = "/admin/v1/email/{}/_deactivate";
const SMTP: [&str; 2] = ["/admin/v1/email/smtp", "/admin/v1/email/smtp/{}"];
const HTTP: [&str; 2] = ["/admin/v1/email/http", "/admin/v1/email/http/{}"];

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EmailProvider {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    adoption: Adoption,
    #[serde(flatten)]
    state: EmailProviderState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmailProviderState {
    /// What it is called among the providers of its form; by this one that exists is found. Omitted:
    /// the name of this object.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether e-mails are sent by it. At most one provider of an instance is `Active`: activating
    /// one deactivates the other. Omitted: not managed, and a new one is `Inactive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Activity>,
    /// A mail server.
    #[serde(skip_serializing_if = "Option::is_none")]
    smtp: Option<Smtp>,
    /// A webhook that sends e-mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http>,
}

impl Kind for EmailProvider {
    type State = EmailProviderState;
    const DESCRIPTION: Description = Description {
        kind: "EmailProvider",
        plural: "emailproviders",
        short: "zemail",
        about: "By what the instance sends e-mails: a mail server, or a webhook.",
        noun: "the e-mail provider",
        forms: &["smtp", "http"],
        inputs: &[
            SecretInput {
                field: "smtp.password",
                reference: "smtp.passwordSecretRef",
                required: Required::With("smtp.authentication", "Plain"),
                by_another: true,
                events: &["instance.smtp.config.changed", "instance.smtp.config.password.changed"],
                payload: &["password", "plainAuth.password"],
                ..SecretInput::EMPTY
            },
            SecretInput {
                field: "smtp.xoauth2.clientSecret",
                reference: "smtp.xoauth2.clientSecretRef",
                required: Required::With("smtp.authentication", "XOAuth2"),
                by_another: true,
                events: &["instance.smtp.config.changed"],
                payload: &["xoauth2Auth.clientCredentials.clientSecret"],
                ..SecretInput::EMPTY
            },
        ],
        events: &[
            notification::events(
                &[
                    "instance.smtp.config.added",
                    "instance.smtp.config.changed",
                    "instance.smtp.config.http.added",
                    "instance.smtp.config.http.changed",
                    "instance.smtp.config.activated",
                    "instance.smtp.config.deactivated",
                    "instance.smtp.config.removed",
                ],
                &["instance.smtp.config.added", "instance.smtp.config.http.added"],
            ),
            notification::events_of_active(&[
                "instance.smtp.config.activated",
                "instance.smtp.config.password.changed",
            ]),
        ],
        lists: &[List::set("smtp.xoauth2.scopes")],
        rules: &[
            Rule {
                rule: "!has(self.smtp) || has(self.smtp.xoauth2) == (has(self.smtp.authentication) && self.smtp.authentication == 'XOAuth2')",
                message: "smtp.xoauth2 goes with authentication: XOAuth2, and with nothing else",
            },
            Rule {
                rule: "!has(self.smtp) || !has(self.smtp.passwordSecretRef) || (has(self.smtp.authentication) && self.smtp.authentication == 'Plain')",
                message: "smtp.passwordSecretRef goes with authentication: Plain",
            },
        ],
        unchanged: &["COMMAND-vUHBSmBzaw", "COMMAND-km8g3"],
        permissions: notification::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(
        &self,
        name: &str,
        _: &Inputs,
    ) -> std::result::Result<EmailProviderState, SpecError> {
        let description = self.state.description.clone().unwrap_or_else(|| name.into());
        Ok(EmailProviderState { description: Some(description), ..self.state.clone() })
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
    smtp: Option<smtp::Wire>,
    http: Option<Http>,
}

impl From<Wire> for RemoteEntity<EmailProviderState> {
    fn from(w: Wire) -> Self {
        let version = w.details.version();
        Self {
            id: w.id,
            place: Place::instance(),
            state: EmailProviderState {
                description: Some(w.description),
                state: w.state,
                smtp: w.smtp.map(Smtp::from),
                http: w.http,
            },
            version,
        }
    }
}

impl Entity for EmailProvider {
    const ENTITY: EntityDescription = EntityDescription {
        defaults: &[("state", "Inactive"), ("smtp.authentication", "None")],
        by_another: &[
            "smtp.authentication",
            "smtp.xoauth2.tokenEndpoint",
            "smtp.xoauth2.scopes",
            "smtp.xoauth2.clientId",
        ],
        ..notification::ENTITY
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<EmailProviderState>>>> + Send + 'static {
        let path = "/admin/v1/email/_search";
        page::rows::<Wire>(&access.client, None, path, json!({}))
            .map_ok(|row| row.map(RemoteEntity::from))
    }

    async fn read(access: &Access, id: &str) -> Result<Option<RemoteEntity<EmailProviderState>>> {
        #[derive(Deserialize)]
        struct Read {
            config: Wire,
        }
        let answer: Result<Read> = access.client.get(None, &Path::new(ONE, &[id])?).await;
        Ok(found(answer)?.map(|read| read.config.into()))
    }

    async fn create(access: &Access, id: &str, want: &EmailProviderState) -> Result<Written> {
        Self::create_with(access, id, want, &Secrets::default()).await
    }

    async fn create_with(
        access: &Access,
        _: &str,
        want: &EmailProviderState,
        secrets: &Secrets,
    ) -> Result<Written> {
        let ([smtp, _], [http, _]) = (SMTP, HTTP);
        let path = if want.smtp.is_some() { smtp } else { http };
        let mut body = body(want);
        if let (Some(smtp), Value::Object(body)) = (&want.smtp, &mut body) {
            body.extend(smtp.login(secrets));
        }
        notification::create(access, path, &body, ACTIVATE, want.state).await
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<EmailProviderState>,
        want: &EmailProviderState,
    ) -> Result<Written> {
        let change = async {
            let body = body(want);
            if body == self::body(&have.state) {
                return Ok(Written::default());
            }
            let path = if want.smtp.is_some() { SMTP[1] } else { HTTP[1] };
            wire::write(access, Method::PUT, &Path::new(path, &[&have.id])?, &body).await
        };
        let states = [have.state.state, want.state];
        notification::update(access, [ACTIVATE, DEACTIVATE], &have.id, states, change).await
    }

    async fn delete(access: &Access, id: &str) -> Result<()> {
        wire::delete(access, &Path::new(ONE, &[id])?).await
    }
}

/// What an update takes. It resets what is omitted, but for how ZITADEL logs in.
fn body(want: &EmailProviderState) -> Value {
    match (&want.smtp, &want.http) {
        (Some(smtp), _) => smtp.body(want.description.as_deref()),
        (None, http) => json!({
            "description": want.description,
            "endpoint": http.as_ref().map(|http| &http.endpoint),
        }),
    }
}
