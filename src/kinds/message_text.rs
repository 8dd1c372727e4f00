//! `MessageText`: the words of one message that ZITADEL sends, in one language, by the admin API for
//! the instance and the management API for an organization. A write replaces all words. What is
//! empty in a text is taken from the next outer one when the message is sent, so that inherited
//! words are never part of what is read here.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{organization, restrictions, wire};
use crate::{
    api::spec::{Common, OrganizationScope},
    contract::{
        Access, CheckError, Description, EventFilter, EventPlace, EventSubject, Inputs, Kind,
        Permissions, Place, RemoteSetting, Setting, SpecError, Written, crd::Rule,
    },
    zitadel::{Code, Error, Path, Result},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageText {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    /// Which message it is. Immutable.
    #[serde(rename = "type")]
    message: Message,
    /// The language, such as `en`: one of those that ZITADEL supports. Immutable.
    #[schemars(length(min = 2, max = 3), regex(pattern = "^[a-z]{2,3}$"))]
    language: String,
    #[serde(flatten)]
    state: MessageTextState,
}

/// A message that ZITADEL sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Message {
    /// To a new user, who sets a password by it.
    InitCode,
    /// To who has asked for another password.
    PasswordReset,
    /// To a new e-mail address.
    VerifyEmail,
    /// To a new phone number.
    VerifyPhone,
    /// The one-time password that goes by SMS.
    #[serde(rename = "VerifySMSOTP")]
    VerifySmsOtp,
    /// The one-time password that goes by e-mail.
    #[serde(rename = "VerifyEmailOTP")]
    VerifyEmailOtp,
    /// To a user of a domain that another organization has claimed.
    DomainClaimed,
    /// To who registers a passkey.
    PasswordlessRegistration,
    /// To a user whose password has changed.
    PasswordChange,
    /// To a user who is invited.
    InviteUser,
}

/// The messages, as specs and events name them, and as paths do.
const MESSAGES: [(&str, &str); 10] = [
    ("InitCode", "init"),
    ("PasswordReset", "passwordreset"),
    ("VerifyEmail", "verifyemail"),
    ("VerifyPhone", "verifyphone"),
    ("VerifySMSOTP", "verifysmsotp"),
    ("VerifyEmailOTP", "verifyemailotp"),
    ("DomainClaimed", "domainclaimed"),
    ("PasswordlessRegistration", "passwordless_registration"),
    ("PasswordChange", "password_change"),
    ("InviteUser", "invite_user"),
];

/// The fields that can be managed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageTextState {
    /// Title of an e-mail; `""`: the inherited one. Placeholders such as `{{.DisplayName}}` stand
    /// for what is known of the user, as in all texts. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// What lists of e-mails show before one is opened; `""`: the inherited one. Omitted: not
    /// managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pre_header: Option<String>,
    /// Subject of an e-mail; `""`: the inherited one. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Salutation; `""`: the inherited one. Omitted: not managed.
    #[schemars(length(max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    greeting: Option<String>,
    /// The text itself, and of an SMS all that there is; `{{.Code}}` stands for the code where the
    /// message has one; `""`: the inherited one. Omitted: not managed.
    #[schemars(length(max = 10000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What the button says; `""`: the inherited one. Omitted: not managed.
    #[schemars(length(max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    button_text: Option<String>,
    /// What stands at the end; `""`: the inherited one. Omitted: not managed.
    #[schemars(length(max = 2000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    footer_text: Option<String>,
}

const INSTANCE_EVENTS: EventFilter = EventFilter {
    aggregate: "instance",
    types: &[
        "instance.customtext.set",
        "instance.customtext.removed",
        "instance.customtext.template.removed",
    ],
    creates: &[],
    removes: &[],
    place: EventPlace::Instance,
    subject: EventSubject::Keyed(&["template", "language"]),
};

impl Kind for MessageText {
    type State = MessageTextState;
    const DESCRIPTION: Description = Description {
        kind: "MessageText",
        plural: "messagetexts",
        short: "zmessage",
        about: "The words of one message that ZITADEL sends, in one language: the instance's, or with organizationRef \
                or organizationId that organization's own.",
        noun: "the text",
        references: &[organization::PARENT],
        keyed_by: &["type", "language"],
        events: &[
            INSTANCE_EVENTS,
            EventFilter {
                aggregate: "org",
                types: &[
                    "org.customtext.set",
                    "org.customtext.removed",
                    "org.customtext.template.removed",
                ],
                place: EventPlace::Aggregate,
                ..INSTANCE_EVENTS
            },
        ],
        // One that says nothing is not there: ZITADEL would never show it.
        rules: &[Rule {
            rule: "(has(self.title) && self.title != '') || (has(self.preHeader) && self.preHeader != '') || (has(self.subject) && self.subject != '') || (has(self.greeting) && self.greeting != '') || (has(self.text) && self.text != '') || (has(self.buttonText) && self.buttonText != '') || (has(self.footerText) && self.footerText != '')",
            message: "set at least one of title, preHeader, subject, greeting, text, buttonText, \
                      footerText to words of its own; to have none, delete this object",
        }],
        permissions: &[
            Permissions::in_instance(&["iam.policy.read", "iam.policy.write", "iam.policy.delete"]),
            Permissions::in_organization(&[
                "org.read",
                "policy.read",
                "policy.write",
                "policy.delete",
            ]),
        ],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<MessageTextState, SpecError> {
        Ok(self.state.clone())
    }
}

/// A text in both APIs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    details: wire::Details,
    #[serde(default)]
    is_default: bool,
    #[serde(flatten)]
    words: MessageTextState,
}

impl From<Wire> for RemoteSetting<MessageTextState> {
    fn from(Wire { details, is_default, words }: Wire) -> Self {
        // What is inherited is nothing of its own, and may change with what it comes from.
        let words = if is_default { MessageTextState::default() } else { words };
        let own = words != MessageTextState::default();
        let said = |text: Option<String>| Some(text.unwrap_or_default());
        let state = MessageTextState {
            title: said(words.title),
            pre_header: said(words.pre_header),
            subject: said(words.subject),
            greeting: said(words.greeting),
            text: said(words.text),
            button_text: said(words.button_text),
            footer_text: said(words.footer_text),
        };
        Self { state, own, version: details.version() }
    }
}

impl Setting for MessageText {
    async fn read(access: &Access) -> Result<RemoteSetting<MessageTextState>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Read {
            custom_text: Wire,
        }
        let read: Read = access.client.get(access.organization(), &path(access)?).await?;
        Ok(read.custom_text.into())
    }

    async fn write(
        access: &Access,
        have: &RemoteSetting<MessageTextState>,
        want: &MessageTextState,
    ) -> Result<Written> {
        let path = path(access)?;
        let mut written = Written::default();
        if !have.own {
            // ZITADEL remembers the words of a text that was reset, or that an organization of the same id had, and
            // takes words that it remembers for no change, although it does not show them.
            written = wire::write(access, Method::PUT, &path, &json!({})).await?;
        }
        let answer = wire::write(access, Method::PUT, &path, &json!(want)).await?;
        Ok(answer.after(written))
    }

    /// Those that were ever written, which the event log tells at once. Whoever may not read it has to
    /// ask for each message in each language: there is no list.
    async fn places(access: &Access) -> Result<Vec<Place>> {
        let written = match written(access).await {
            Err(e) if e.code() == Some(Code::PermissionDenied) => {
                let languages = restrictions::supported_languages(access).await?;
                let of = |(message, _): (&str, &str)| {
                    let message = message.to_owned();
                    languages.iter().map(move |language| (message.clone(), language.clone()))
                };
                MESSAGES.into_iter().flat_map(of).collect()
            }
            written => written?,
        };
        let place = |(message, language)| access.place.below(message).below(language);
        Ok(written.into_iter().map(place).collect())
    }

    async fn check(access: &Access, _: &MessageTextState) -> std::result::Result<(), CheckError> {
        let languages = restrictions::supported_languages(access).await?;
        match access.place.parents.last() {
            Some(language) if !languages.contains(language) => {
                let message = format!(
                    "ZITADEL does not support {language}; it supports {}",
                    languages.join(", ")
                );
                Err(SpecError::new("language", message).into())
            }
            _ => Ok(()),
        }
    }

    async fn reset(access: &Access) -> Result<()> {
        wire::delete(access, &path(access)?).await
    }
}

/// The messages and languages of the texts that were ever written.
async fn written(access: &Access) -> Result<BTreeSet<(String, String)>> {
    /// The most that one answer holds.
    const LIMIT: usize = 1_000;
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        events: Vec<Event>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Event {
        creation_date: Timestamp,
        payload: Written,
    }
    #[derive(Deserialize)]
    struct Written {
        template: String,
        language: String,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Query<'a> {
        aggregate_types: &'a [&'a str],
        #[serde(skip_serializing_if = "Option::is_none")]
        aggregate_id: Option<&'a str>,
        event_types: [&'a str; 1],
        asc: bool,
        limit: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<Timestamp>,
    }
    let aggregate_id = access.organization();
    let (aggregate_types, event_types): (&[&str], _) = match aggregate_id {
        None => (&["instance"], ["instance.customtext.set"]),
        Some(_) => (&[], ["org.customtext.set"]),
    };
    let (mut all, mut from) = (BTreeSet::new(), None);
    loop {
        let query =
            Query { aggregate_types, aggregate_id, event_types, asc: true, limit: LIMIT, from };
        let Answer { events } = access.client.query(None, EVENTS, &query).await?;
        // Events of one date are of one write, and that is of one text.
        let (is_last, last) = (events.len() < LIMIT, events.last().map(|e| e.creation_date));
        let of_messages = events.into_iter().map(|e| (e.payload.template, e.payload.language));
        all.extend(of_messages.filter(|(name, _)| MESSAGES.iter().any(|(m, _)| m == name)));
        if is_last {
            return Ok(all);
        }
        if last <= from {
            let what = "a page that does not go on".into();
            return Err(Error::Malformed { endpoint: format!("POST {EVENTS}"), what });
        }
        from = last;
    }
}

const EVENTS: &str = "/admin/v1/events/_search";

/// Where a text is: its place is below its message and its language.
fn path(access: &Access) -> Result<Path> {
    let template = match access.organization() {
        None => "/admin/v1/text/message/{}/{}",
        Some(_) => "/management/v1/text/message/{}/{}",
    };
    let keys = match &access.place.parents[..] {
        [name, language] => {
            MESSAGES.iter().find(|(message, _)| message == name).zip(Some(language))
        }
        _ => None,
    };
    let ((_, message), language) = keys.ok_or_else(|| Error::Malformed {
        endpoint: template.into(),
        what: "a place without a message and a language".into(),
    })?;
    Path::new(template, &[message, language])
}
