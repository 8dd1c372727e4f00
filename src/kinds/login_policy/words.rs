//! The words of login policies, as they are declared and as ZITADEL has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether people log in without a password.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum PasswordlessType {
    /// No.
    #[default]
    #[serde(alias = "PASSWORDLESS_TYPE_NOT_ALLOWED")]
    NotAllowed,
    /// Whoever has set up a passkey.
    #[serde(alias = "PASSWORDLESS_TYPE_ALLOWED")]
    Allowed,
}

/// What is asked for besides a password.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub(super) enum SecondFactor {
    /// A one-time password of an app.
    #[serde(alias = "SECOND_FACTOR_TYPE_OTP")]
    Otp,
    /// A security key.
    #[serde(alias = "SECOND_FACTOR_TYPE_U2F")]
    U2f,
    /// A one-time password by e-mail.
    #[serde(alias = "SECOND_FACTOR_TYPE_OTP_EMAIL")]
    OtpEmail,
    /// A one-time password by SMS.
    #[serde(alias = "SECOND_FACTOR_TYPE_OTP_SMS")]
    OtpSms,
    /// A recovery code. ZITADEL 4 knows it.
    #[serde(alias = "SECOND_FACTOR_TYPE_RECOVERY_CODES")]
    RecoveryCodes,
}

/// What is asked for in place of a password.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub(super) enum MultiFactor {
    /// A security key that verifies who uses it: a passkey.
    #[serde(alias = "MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION")]
    U2fWithVerification,
}

impl PasswordlessType {
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::NotAllowed => "PASSWORDLESS_TYPE_NOT_ALLOWED",
            Self::Allowed => "PASSWORDLESS_TYPE_ALLOWED",
        }
    }
}

impl SecondFactor {
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::Otp => "SECOND_FACTOR_TYPE_OTP",
            Self::U2f => "SECOND_FACTOR_TYPE_U2F",
            Self::OtpEmail => "SECOND_FACTOR_TYPE_OTP_EMAIL",
            Self::OtpSms => "SECOND_FACTOR_TYPE_OTP_SMS",
            Self::RecoveryCodes => "SECOND_FACTOR_TYPE_RECOVERY_CODES",
        }
    }
}

impl MultiFactor {
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::U2fWithVerification => "MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION",
        }
    }
}
