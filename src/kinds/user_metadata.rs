//! `UserMetadata`: values by key that a user has, by the management API
//! (`/management/v1/users/{id}/metadata`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    metadata::{self, Declared, MetadataState},
    user::UserReference,
};
use crate::{
    api::spec::Common,
    contract::{
        Access, Consent, Description, EventFilter, EventPlace, EventSubject, Inputs, Kind,
        Permissions, Place, Reference, RemoteSetting, Setting, SpecError, Written,
    },
    zitadel::{Path, Result},
};

const SEARCH: &str = "/management/v1/users/{}/metadata/_search";
const BULK: &str = "/management/v1/users/{}/metadata/_bulk";

/// The user who has it. Actions may decide by it what somebody is allowed to do.
const USER: Reference = Reference {
    field: "userRef",
    id_field: "userId",
    kinds: &["MachineUser", "HumanUser"],
    required: true,
    consent: Consent::Named,
    ..Reference::PARENT
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserMetadata {
    #[serde(flatten)]
    common: Common,
    /// The object of the account whose metadata it is. One of another namespace must name
    /// `UserMetadata` in the `kinds` of its `allowedNamespaces`. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_ref: Option<UserReference>,
    /// The id of a user who is not declared here. Needs the consent of the Instance's
    /// `instanceScope`. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(flatten)]
    declared: Declared,
}

impl Kind for UserMetadata {
    type State = MetadataState;
    const DESCRIPTION: Description = Description {
        kind: "UserMetadata",
        plural: "usermetadata",
        short: "zusermeta",
        about: "Metadata of a user: values by key, which actions and tokens can use. At most one \
                object for each user.",
        noun: "the metadata",
        references: &[USER],
        events: &[EventFilter {
            aggregate: "user",
            types: &["user.metadata.set", "user.metadata.removed"],
            creates: &[],
            removes: &[],
            place: EventPlace::BelowAggregate,
            subject: EventSubject::Setting,
        }],
        maps: &["entries"],
        rules: metadata::RULES,
        permissions: &[Permissions::in_organization(&["user.read", "user.write"])],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<MetadataState, SpecError> {
        self.declared.state()
    }
}

impl Setting for UserMetadata {
    async fn read(access: &Access) -> Result<RemoteSetting<MetadataState>> {
        metadata::read(access, path(SEARCH, access)?).await
    }

    async fn write(
        access: &Access,
        have: &RemoteSetting<MetadataState>,
        want: &MetadataState,
    ) -> Result<Written> {
        metadata::write(access, &path(BULK, access)?, have, want).await
    }

    async fn places(access: &Access) -> Result<Vec<Place>> {
        metadata::places(access, path(SEARCH, access)?).await
    }
}

fn path(template: &'static str, access: &Access) -> Result<Path> {
    Path::new(template, &[access.parent()])
}
