//! `OrganizationMetadata`: values by key that an organization has, by the management API
//! (`/management/v1/metadata`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    metadata::{self, Declared, MetadataState},
    organization,
};
use crate::{
    api::spec::{Common, OrganizationScope},
    contract::{
        Access, Description, EventFilter, EventPlace, EventSubject, Inputs, Kind, Permissions,
        Place, RemoteSetting, Setting, SpecError, Written,
    },
    zitadel::Result,
};

const SEARCH: &str = "/management/v1/metadata/_search";
const BULK: &str = "/management/v1/metadata/_bulk";

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationMetadata {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    declared: Declared,
}

impl Kind for OrganizationMetadata {
    type State = MetadataState;
    const DESCRIPTION: Description = Description {
        kind: "OrganizationMetadata",
        plural: "organizationmetadata",
        short: "zorgmeta",
        about: "Metadata of an organization: values by key. At most one object for each \
                organization.",
        noun: "the metadata",
        references: &[organization::REQUIRED_PARENT],
        events: &[EventFilter {
            aggregate: "org",
            types: &["org.metadata.set", "org.metadata.removed", "org.metadata.removed.all"],
            creates: &[],
            removes: &[],
            place: EventPlace::Aggregate,
            subject: EventSubject::Setting,
        }],
        maps: &["entries"],
        rules: metadata::RULES,
        permissions: &[Permissions::in_organization(&["org.read", "org.write"])],
        ..Description::EMPTY
    };

    fn desired(&self, _: &str, _: &Inputs) -> std::result::Result<MetadataState, SpecError> {
        self.declared.state()
    }
}

impl Setting for OrganizationMetadata {
    async fn read(access: &Access) -> Result<RemoteSetting<MetadataState>> {
        metadata::read(access, SEARCH.into()).await
    }

    async fn write(
        access: &Access,
        have: &RemoteSetting<MetadataState>,
        want: &MetadataState,
    ) -> Result<Written> {
        metadata::write(access, &BULK.into(), have, want).await
    }

    async fn places(access: &Access) -> Result<Vec<Place>> {
        metadata::places(access, SEARCH.into()).await
    }
}
