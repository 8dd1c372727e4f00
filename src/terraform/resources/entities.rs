//! Organizations, their domains, projects, roles, accounts.

use serde_json::Value;

use super::{
    super::resource::{Parent, Resource, SecretAttribute, activity, filled, made, named, same},
    ORGANIZATION, PROJECT,
};

pub(super) const ALL: &[Resource] = &[
    Resource { name: "zitadel_org", ..ORG },
    Resource { name: "zitadel_organization", ..ORG },
    Resource {
        name: "zitadel_project",
        kind: "Project",
        within: &[ORGANIZATION],
        fields: &[
            same("name"),
            same("project_role_assertion"),
            same("project_role_check"),
            same("has_project_check"),
            made("private_labeling_setting", "privateLabelingSetting", filled),
            made("state", "state", activity),
        ],
        known: &["project_id"],
        ..Resource::EMPTY
    },
    Resource {
        name: "zitadel_project_role",
        kind: "ProjectRole",
        within: &[ORGANIZATION, PROJECT],
        fields: &[named("role_key", "key"), same("display_name"), same("group")],
        ..Resource::EMPTY
    },
    Resource {
        name: "zitadel_domain",
        kind: "OrganizationDomain",
        within: &[ORGANIZATION],
        fields: &[named("name", "domain"), made("is_primary", "primary", set)],
        known: &["is_verified", "validation_type"],
        ..Resource::EMPTY
    },
    Resource {
        name: "zitadel_organization_domain",
        kind: "OrganizationDomain",
        within: &[Parent { attribute: "organization_id", ..ORGANIZATION }],
        fields: &[same("domain"), made("is_primary", "primary", set)],
        known: &["is_verified", "validation_type", "org_id"],
        ..Resource::EMPTY
    },
    Resource {
        name: "zitadel_machine_user",
        kind: "MachineUser",
        within: &[ORGANIZATION],
        fields: &[
            same("user_name"),
            same("name"),
            same("description"),
            made("access_token_type", "accessTokenType", filled),
            made("state", "state", activity),
        ],
        secret: Some(SecretAttribute {
            attribute: "client_secret",
            values: &[("client_id", "clientId"), ("user_name", "userName"), ("id", "userId")],
        }),
        known: &["user_id", "with_secret", "login_names", "preferred_login_name"],
        ..Resource::EMPTY
    },
    Resource {
        name: "zitadel_human_user",
        kind: "HumanUser",
        within: &[ORGANIZATION],
        fields: &[
            same("user_name"),
            named("first_name", "profile.givenName"),
            named("last_name", "profile.familyName"),
            made("nick_name", "profile.nickName", filled),
            made("display_name", "profile.displayName", filled),
            made("preferred_language", "profile.preferredLanguage", filled),
            made("gender", "profile.gender", told),
            same("email"),
            made("phone", "phone", filled),
            made("state", "state", activity),
        ],
        known: &[
            "user_id",
            "is_email_verified",
            "is_phone_verified",
            "initial_password",
            "initial_hashed_password",
            "initial_skip_password_change",
            "login_names",
            "preferred_login_name",
        ],
        ..Resource::EMPTY
    },
];

/// What is not `…_UNSPECIFIED`.
fn told(value: &Value) -> Option<Value> {
    filled(value).filter(|value| !value.as_str().is_some_and(|word| word.ends_with("_UNSPECIFIED")))
}

const ORG: Resource = Resource {
    kind: "Organization",
    fields: &[same("name"), made("state", "state", activity)],
    known: &["org_id", "primary_domain"],
    ..Resource::EMPTY
};

/// What one of several has, where it has it.
fn set(value: &Value) -> Option<Value> {
    Some(value.clone()).filter(|value| value == &Value::Bool(true))
}
