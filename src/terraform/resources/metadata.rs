//! Metadata: a resource is one key, and all those of an organization or of a user are one object.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    super::resource::{MapEntry, Parent, Resource},
    ORGANIZATION,
};

const USER: Parent = Parent { attribute: "user_id", kind: "MachineUser" };

pub(super) const ALL: &[Resource] = &[
    Resource { name: "zitadel_org_metadata", within: &[ORGANIZATION], ..OF_ORGANIZATION },
    Resource {
        name: "zitadel_organization_metadata",
        within: &[Parent { attribute: "organization_id", ..ORGANIZATION }],
        ..OF_ORGANIZATION
    },
    Resource {
        name: "zitadel_user_metadata",
        kind: "UserMetadata",
        within: &[ORGANIZATION, USER],
        ..OF_ORGANIZATION
    },
];

const OF_ORGANIZATION: Resource = Resource {
    kind: "OrganizationMetadata",
    entry: Some(MapEntry { map: "entries", key: "key", value: "value", of: entry }),
    ..Resource::EMPTY
};

/// The form in which the kinds have this text: what begins like base64 of theirs is written as such.
fn entry(text: &str) -> String {
    if text.starts_with("base64:") {
        format!("base64:{}", STANDARD.encode(text))
    } else {
        text.to_owned()
    }
}
