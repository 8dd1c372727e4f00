//! THE REGISTRY: one line per kind. CRDs, controllers, RBAC, the command line, the documentation and
//! the tests follow from it.

use crate::contract::{Entry, Registry};

pub mod administrator;
pub mod api_application;
mod application;
pub mod application_key;
pub mod domain_policy;
pub mod email_provider;
mod grant;
pub mod human_user;
pub mod identity_provider;
pub mod instance;
mod key;
pub mod label_policy;
mod lifetime;
pub mod lockout_policy;
pub mod login_policy;
pub mod machine_key;
pub mod machine_user;
pub mod message_text;
mod metadata;
mod notification;
pub mod notification_policy;
pub mod oidc_application;
pub mod organization;
pub mod organization_domain;
pub mod organization_metadata;
mod owner;
pub mod password_age_policy;
pub mod password_complexity_policy;
pub mod personal_access_token;
mod policy;
pub mod privacy_policy;
pub mod project;
pub mod project_grant;
pub mod project_role;
pub mod restrictions;
pub mod saml_application;
pub mod security_policy;
pub mod sms_provider;
mod user;
pub mod user_grant;
pub mod user_metadata;
mod way_in;
pub mod web_keys;
mod wire;

/// All kinds; what others refer to comes first.
pub static REGISTRY: Registry = Registry::new(&[
    Entry::Connection(&instance::InstanceKind),
    Entry::entity::<organization::Organization>(),
    Entry::setting::<security_policy::SecurityPolicy>(),
    Entry::setting::<restrictions::Restrictions>(),
    Entry::setting::<web_keys::WebKeys>(),
    Entry::setting::<privacy_policy::PrivacyPolicy>(),
    Entry::setting::<domain_policy::DomainPolicy>(),
    Entry::setting::<password_complexity_policy::PasswordComplexityPolicy>(),
    Entry::setting::<password_age_policy::PasswordAgePolicy>(),
    Entry::setting::<lockout_policy::LockoutPolicy>(),
    Entry::setting::<notification_policy::NotificationPolicy>(),
    Entry::entity::<identity_provider::IdentityProvider>(),
    Entry::setting::<login_policy::LoginPolicy>(),
    Entry::setting::<label_policy::LabelPolicy>(),
    Entry::setting::<message_text::MessageText>(),
    Entry::entity::<organization_domain::OrganizationDomain>(),
    Entry::setting::<organization_metadata::OrganizationMetadata>(),
    Entry::entity::<project::Project>(),
    Entry::entity::<project_role::ProjectRole>(),
    Entry::entity::<machine_user::MachineUser>(),
    Entry::entity::<human_user::HumanUser>(),
    Entry::setting::<user_metadata::UserMetadata>(),
    Entry::entity::<email_provider::EmailProvider>(),
    Entry::entity::<sms_provider::SmsProvider>(),
    Entry::entity::<oidc_application::OidcApplication>(),
    Entry::entity::<api_application::ApiApplication>(),
    Entry::entity::<saml_application::SamlApplication>(),
    Entry::entity::<machine_key::MachineKey>(),
    Entry::entity::<personal_access_token::PersonalAccessToken>(),
    Entry::entity::<application_key::ApplicationKey>(),
    Entry::entity::<project_grant::ProjectGrant>(),
    Entry::entity::<user_grant::UserGrant>(),
    Entry::entity::<administrator::Administrator>(),
]);
