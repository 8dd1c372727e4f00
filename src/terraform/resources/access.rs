//! Who may do what: grants, and members, which are administrators here.

use super::{
    super::resource::{Field, Parent, Resource, filled, made, named, same},
    ORGANIZATION, PROJECT,
};

const GRANT: Parent = Parent { attribute: "grant_id", kind: "" };
const USER: Field = same("user_id");

const MEMBER: Resource =
    Resource { kind: "Administrator", fields: &[USER, same("roles")], ..Resource::EMPTY };

pub(super) const ALL: &[Resource] = &[
    Resource {
        name: "zitadel_project_grant",
        kind: "ProjectGrant",
        within: &[ORGANIZATION, PROJECT],
        fields: &[named("granted_org_id", "grantedOrganizationId"), same("role_keys")],
        ..Resource::EMPTY
    },
    Resource {
        name: "zitadel_user_grant",
        kind: "UserGrant",
        within: &[ORGANIZATION],
        fields: &[
            USER,
            same("project_id"),
            made("project_grant_id", "projectGrantId", filled),
            same("role_keys"),
        ],
        ..Resource::EMPTY
    },
    Resource { name: "zitadel_instance_member", ..MEMBER },
    Resource { name: "zitadel_org_member", within: &[ORGANIZATION], ..MEMBER },
    Resource { name: "zitadel_project_member", within: &[ORGANIZATION, PROJECT], ..MEMBER },
    Resource {
        name: "zitadel_project_grant_member",
        within: &[ORGANIZATION, PROJECT, GRANT],
        ..MEMBER
    },
];
