//! What e-mails and SMS are sent by.

use serde_json::Value;

use super::super::resource::{Resource, active, filled, made, named};

pub(super) const ALL: &[Resource] = &[
    Resource {
        name: "zitadel_email_provider_smtp",
        kind: "EmailProvider",
        fields: &[
            made("description", "description", filled),
            made("set_active", "state", active),
            named("host", "smtp.host"),
            named("tls", "smtp.tls"),
            named("sender_address", "smtp.senderAddress"),
            named("sender_name", "smtp.senderName"),
            named("reply_to_address", "smtp.replyToAddress"),
            named("user", "smtp.user"),
            made("user", "smtp.authentication", plain),
        ],
        input: Some(("password", "smtp.password")),
        ..Resource::EMPTY
    },
    Resource {
        name: "zitadel_email_provider_http",
        kind: "EmailProvider",
        fields: &[
            made("description", "description", filled),
            made("set_active", "state", active),
            named("endpoint", "http.endpoint"),
        ],
        known: &["signing_key"],
        ..Resource::EMPTY
    },
    Resource {
        name: "zitadel_sms_provider_twilio",
        kind: "SmsProvider",
        fields: &[
            made("description", "description", filled),
            made("set_active", "state", active),
            named("sid", "twilio.sid"),
            named("sender_number", "twilio.senderNumber"),
            named("verify_service_sid", "twilio.verifyServiceSid"),
        ],
        input: Some(("token", "twilio.token")),
        ..Resource::EMPTY
    },
    Resource {
        name: "zitadel_sms_provider_http",
        kind: "SmsProvider",
        fields: &[
            made("description", "description", filled),
            made("set_active", "state", active),
            named("endpoint", "http.endpoint"),
        ],
        known: &["signing_key"],
        ..Resource::EMPTY
    },
];

/// Who has a user logs in by a password.
fn plain(user: &Value) -> Option<Value> {
    filled(user).map(|_| "Plain".into())
}
