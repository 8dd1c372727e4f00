//! Which resource of the provider `zitadel/zitadel` is which kind here. What has another name than
//! its attribute is in the table; of the rest `name_in_snake_case` is `nameInSnakeCase`.

/// A resource of terraform, and the kind that declares the same.
pub(super) struct Resource {
    /// `zitadel_project`
    pub(super) terraform: &'static str,
    /// `Project`
    pub(super) kind: &'static str,
    /// Attributes and the fields that have another name.
    pub(super) fields: &'static [(&'static str, &'static str)],
    /// The attribute by which people know it, where it is not `name`.
    pub(super) named_by: &'static str,
    /// Attributes that are secret, and the keys of a Secret that get them.
    pub(super) secrets: &'static [(&'static str, &'static str)],
}

const PLAIN: Resource =
    Resource { terraform: "", kind: "", fields: &[], named_by: "name", secrets: &[] };

/// Attributes that refer to something, and the reference of a kind that says the same; the last
/// parent that there is counts.
pub(super) const REFERENCES: [(&str, &str); 8] = [
    ("org_id", "organizationRef"),
    ("project_id", "projectRef"),
    ("grant_id", "projectGrantRef"),
    ("project_grant_id", "projectGrantRef"),
    ("user_id", "userRef"),
    ("granted_org_id", "grantedOrganizationRef"),
    ("app_id", "applicationRef"),
    ("application_id", "applicationRef"),
];

/// Attributes that say nothing that could be declared: what ZITADEL sets by itself, and how
/// terraform came to its secrets.
pub(super) const TOLD_BY_ZITADEL: [&str; 15] = [
    "id",
    "state",
    "primary_domain",
    "is_default",
    "login_names",
    "preferred_login_name",
    "client_id",
    "with_secret",
    "key_type",
    "expiration_date",
    "public_key",
    "version",
    "compliance_problems",
    "none_compliant",
    "timeouts",
];

const CLIENT: &[(&str, &str)] = &[("client_id", "clientId"), ("client_secret", "clientSecret")];
const LOGIN: &[(&str, &str)] =
    &[("user_login", "allowUsernamePassword"), ("idps", "identityProviderIds")];
const SECURITY: &[(&str, &str)] = &[
    ("embedded_iframe_enabled", "embeddedIframe.enabled"),
    ("embedded_iframe_allowed_origins", "embeddedIframe.allowedOrigins"),
];

/// All resources that have a kind here.
pub(super) const RESOURCES: [Resource; 33] = [
    Resource { terraform: "zitadel_org", kind: "Organization", ..PLAIN },
    Resource { terraform: "zitadel_organization", kind: "Organization", ..PLAIN },
    Resource { terraform: "zitadel_project", kind: "Project", ..PLAIN },
    Resource {
        terraform: "zitadel_project_role",
        kind: "ProjectRole",
        fields: &[("role_key", "key")],
        named_by: "role_key",
        ..PLAIN
    },
    Resource {
        terraform: "zitadel_machine_user",
        kind: "MachineUser",
        named_by: "user_name",
        secrets: CLIENT,
        ..PLAIN
    },
    Resource {
        terraform: "zitadel_machine_key",
        kind: "MachineKey",
        secrets: &[("key_details", "key.json")],
        ..PLAIN
    },
    Resource {
        terraform: "zitadel_personal_access_token",
        kind: "PersonalAccessToken",
        secrets: &[("token", "token")],
        ..PLAIN
    },
    Resource {
        terraform: "zitadel_application_oidc",
        kind: "OidcApplication",
        fields: &[("app_type", "applicationType"), ("auth_method_type", "authMethod")],
        secrets: CLIENT,
        ..PLAIN
    },
    Resource {
        terraform: "zitadel_application_api",
        kind: "ApiApplication",
        fields: &[("auth_method_type", "authMethod")],
        secrets: CLIENT,
        ..PLAIN
    },
    Resource {
        terraform: "zitadel_application_saml",
        kind: "SamlApplication",
        fields: &[("metadata_xml", "metadata.xml")],
        ..PLAIN
    },
    Resource {
        terraform: "zitadel_application_key",
        kind: "ApplicationKey",
        secrets: &[("key_details", "key.json")],
        ..PLAIN
    },
    Resource { terraform: "zitadel_project_grant", kind: "ProjectGrant", ..PLAIN },
    Resource { terraform: "zitadel_user_grant", kind: "UserGrant", ..PLAIN },
    Resource { terraform: "zitadel_instance_member", kind: "Administrator", ..PLAIN },
    Resource { terraform: "zitadel_org_member", kind: "Administrator", ..PLAIN },
    Resource { terraform: "zitadel_project_member", kind: "Administrator", ..PLAIN },
    Resource { terraform: "zitadel_project_grant_member", kind: "Administrator", ..PLAIN },
    Resource { terraform: "zitadel_login_policy", kind: "LoginPolicy", fields: LOGIN, ..PLAIN },
    Resource {
        terraform: "zitadel_default_login_policy",
        kind: "LoginPolicy",
        fields: LOGIN,
        ..PLAIN
    },
    Resource { terraform: "zitadel_lockout_policy", kind: "LockoutPolicy", ..PLAIN },
    Resource { terraform: "zitadel_default_lockout_policy", kind: "LockoutPolicy", ..PLAIN },
    Resource {
        terraform: "zitadel_password_complexity_policy",
        kind: "PasswordComplexityPolicy",
        ..PLAIN
    },
    Resource {
        terraform: "zitadel_default_password_complexity_policy",
        kind: "PasswordComplexityPolicy",
        ..PLAIN
    },
    Resource { terraform: "zitadel_password_age_policy", kind: "PasswordAgePolicy", ..PLAIN },
    Resource {
        terraform: "zitadel_default_password_age_policy",
        kind: "PasswordAgePolicy",
        ..PLAIN
    },
    Resource { terraform: "zitadel_notification_policy", kind: "NotificationPolicy", ..PLAIN },
    Resource {
        terraform: "zitadel_default_notification_policy",
        kind: "NotificationPolicy",
        ..PLAIN
    },
    Resource { terraform: "zitadel_privacy_policy", kind: "PrivacyPolicy", ..PLAIN },
    Resource { terraform: "zitadel_default_privacy_policy", kind: "PrivacyPolicy", ..PLAIN },
    Resource { terraform: "zitadel_domain_policy", kind: "DomainPolicy", ..PLAIN },
    Resource { terraform: "zitadel_default_domain_policy", kind: "DomainPolicy", ..PLAIN },
    Resource {
        terraform: "zitadel_default_security_settings",
        kind: "SecurityPolicy",
        fields: SECURITY,
        ..PLAIN
    },
    Resource { terraform: "zitadel_instance_restrictions", kind: "Restrictions", ..PLAIN },
];
