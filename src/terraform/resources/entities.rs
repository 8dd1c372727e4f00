//! Organizations, projects, roles, accounts.

use super::{
    super::resource::{Resource, SecretAttribute, activity, filled, made, named, same},
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
];

const ORG: Resource = Resource {
    kind: "Organization",
    fields: &[same("name"), made("state", "state", activity)],
    known: &["org_id", "primary_domain"],
    ..Resource::EMPTY
};
