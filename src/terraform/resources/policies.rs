//! Settings: most of them once for the instance (`zitadel_default_…`), and for each organization
//! that has its own.

use super::{
    super::resource::{Field, Resource, filled, made, named, same},
    ORGANIZATION,
};

const fn default(name: &'static str, kind: &'static str, fields: &'static [Field]) -> Resource {
    Resource { name, kind, fields, ..Resource::EMPTY }
}

const fn own(name: &'static str, kind: &'static str, fields: &'static [Field]) -> Resource {
    Resource { within: &[ORGANIZATION], ..default(name, kind, fields) }
}

pub(super) const ALL: &[Resource] = &[
    default("zitadel_default_privacy_policy", "PrivacyPolicy", PRIVACY),
    own("zitadel_privacy_policy", "PrivacyPolicy", PRIVACY),
    default("zitadel_default_domain_policy", "DomainPolicy", DOMAIN),
    own("zitadel_domain_policy", "DomainPolicy", DOMAIN),
    default("zitadel_default_password_complexity_policy", "PasswordComplexityPolicy", COMPLEXITY),
    own("zitadel_password_complexity_policy", "PasswordComplexityPolicy", COMPLEXITY),
    default("zitadel_default_password_age_policy", "PasswordAgePolicy", AGE),
    own("zitadel_password_age_policy", "PasswordAgePolicy", AGE),
    default("zitadel_default_lockout_policy", "LockoutPolicy", LOCKOUT),
    own("zitadel_lockout_policy", "LockoutPolicy", LOCKOUT),
    default("zitadel_default_notification_policy", "NotificationPolicy", NOTIFICATION),
    own("zitadel_notification_policy", "NotificationPolicy", NOTIFICATION),
    default("zitadel_default_login_policy", "LoginPolicy", LOGIN),
    own("zitadel_login_policy", "LoginPolicy", LOGIN),
    Resource {
        known: LABEL_KNOWN,
        ..default("zitadel_default_label_policy", "LabelPolicy", LABEL)
    },
    Resource { known: LABEL_KNOWN, ..own("zitadel_label_policy", "LabelPolicy", LABEL) },
    default("zitadel_default_security_settings", "SecurityPolicy", SECURITY),
    default("zitadel_instance_restrictions", "Restrictions", RESTRICTIONS),
    // Which key signs is nothing to declare: that changes.
    Resource {
        known: &["key_id", "webkey_id"],
        ..default("zitadel_active_webkey", "WebKeys", &[])
    },
];

const PRIVACY: &[Field] = &[
    same("tos_link"),
    same("privacy_link"),
    same("help_link"),
    same("support_email"),
    same("docs_link"),
    same("custom_link"),
    same("custom_link_text"),
];

const DOMAIN: &[Field] = &[
    same("user_login_must_be_domain"),
    same("validate_org_domains"),
    same("smtp_sender_address_matches_instance_domain"),
];

const COMPLEXITY: &[Field] = &[
    same("min_length"),
    same("has_uppercase"),
    same("has_lowercase"),
    same("has_number"),
    same("has_symbol"),
];

const AGE: &[Field] = &[same("max_age_days"), same("expire_warn_days")];

const LOCKOUT: &[Field] = &[same("max_password_attempts"), same("max_otp_attempts")];

const NOTIFICATION: &[Field] = &[same("password_change")];

const LABEL: &[Field] = &[
    same("primary_color"),
    same("background_color"),
    same("warn_color"),
    same("font_color"),
    same("primary_color_dark"),
    same("background_color_dark"),
    same("warn_color_dark"),
    same("font_color_dark"),
    made("theme_mode", "themeMode", filled),
    same("hide_login_name_suffix"),
    same("disable_watermark"),
];

/// A file is on the disk of whoever ran terraform: its path is told, and what follows from it is
/// not.
const LABEL_KNOWN: &[&str] = &[
    "set_active",
    "logo_hash",
    "logo_dark_hash",
    "icon_hash",
    "icon_dark_hash",
    "font_hash",
    "logo_url",
    "logo_url_dark",
    "icon_url",
    "icon_url_dark",
    "font_url",
];

const LOGIN: &[Field] = &[
    named("user_login", "allowUsernamePassword"),
    same("allow_register"),
    same("allow_external_idp"),
    same("force_mfa"),
    same("force_mfa_local_only"),
    made("passwordless_type", "passwordlessType", filled),
    same("hide_password_reset"),
    same("ignore_unknown_usernames"),
    same("allow_domain_discovery"),
    same("disable_login_with_email"),
    same("disable_login_with_phone"),
    same("default_redirect_uri"),
    made("password_check_lifetime", "passwordCheckLifetime", filled),
    made("external_login_check_lifetime", "externalLoginCheckLifetime", filled),
    made("mfa_init_skip_lifetime", "mfaInitSkipLifetime", filled),
    made("second_factor_check_lifetime", "secondFactorCheckLifetime", filled),
    made("multi_factor_check_lifetime", "multiFactorCheckLifetime", filled),
    same("second_factors"),
    same("multi_factors"),
    named("idps", "identityProviderIds"),
];

const SECURITY: &[Field] = &[
    named("embedded_iframe_enabled", "embeddedIframe.enabled"),
    named("embedded_iframe_allowed_origins", "embeddedIframe.allowedOrigins"),
    same("enable_impersonation"),
];

const RESTRICTIONS: &[Field] =
    &[same("disallow_public_org_registration"), same("allowed_languages")];
