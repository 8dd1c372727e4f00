//! The texts of messages: a type of resource for each message.

use super::{
    super::resource::{Resource, made, same},
    ORGANIZATION,
};

macro_rules! text {
    ($name:literal, $message:literal) => {
        Resource {
            name: $name,
            kind: "MessageText",
            fields: &[
                made("language", "type", |_| Some($message.into())),
                same("language"),
                same("title"),
                same("pre_header"),
                same("subject"),
                same("greeting"),
                same("text"),
                same("button_text"),
                same("footer_text"),
            ],
            ..Resource::EMPTY
        }
    };
}

macro_rules! own {
    ($name:literal, $message:literal) => {
        Resource { within: &[ORGANIZATION], ..text!($name, $message) }
    };
}

pub(super) const ALL: &[Resource] = &[
    text!("zitadel_default_init_message_text", "InitCode"),
    own!("zitadel_init_message_text", "InitCode"),
    text!("zitadel_default_password_reset_message_text", "PasswordReset"),
    own!("zitadel_password_reset_message_text", "PasswordReset"),
    text!("zitadel_default_verify_email_message_text", "VerifyEmail"),
    own!("zitadel_verify_email_message_text", "VerifyEmail"),
    text!("zitadel_default_verify_phone_message_text", "VerifyPhone"),
    own!("zitadel_verify_phone_message_text", "VerifyPhone"),
    text!("zitadel_default_verify_sms_otp_message_text", "VerifySMSOTP"),
    own!("zitadel_verify_sms_otp_message_text", "VerifySMSOTP"),
    text!("zitadel_default_verify_email_otp_message_text", "VerifyEmailOTP"),
    own!("zitadel_verify_email_otp_message_text", "VerifyEmailOTP"),
    text!("zitadel_default_domain_claimed_message_text", "DomainClaimed"),
    own!("zitadel_domain_claimed_message_text", "DomainClaimed"),
    text!("zitadel_default_passwordless_registration_message_text", "PasswordlessRegistration"),
    own!("zitadel_passwordless_registration_message_text", "PasswordlessRegistration"),
    text!("zitadel_default_password_change_message_text", "PasswordChange"),
    own!("zitadel_password_change_message_text", "PasswordChange"),
    text!("zitadel_default_invite_user_message_text", "InviteUser"),
    own!("zitadel_invite_user_message_text", "InviteUser"),
];
